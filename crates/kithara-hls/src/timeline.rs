//! The timeline: variant × segment ↔ time. Pure.
//!
//! A segment's *nominal* place is the sum of the `EXTINF` durations before it. What the media itself says
//! ([`Timeline::correct`]) moves the places from there on. Variants are aligned by time and by discontinuity sequence,
//! never by media sequence number.

use std::sync::Arc;
use std::time::Duration;

use crate::playlist::MediaPlaylist;

/// One segment's place on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentRef {
    /// Index in the ladder.
    pub variant: usize,
    /// Index in the media playlist.
    pub segment: usize,
    /// Where it begins, corrected.
    pub start: Duration,
    /// How long it is, corrected.
    pub duration: Duration,
    /// Number of its discontinuity domain.
    pub discontinuity_sequence: u64,
    /// Its number in its own playlist: what stays the same over a reload.
    pub media_sequence: u64,
}

impl SegmentRef {
    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.start.saturating_add(self.duration)
    }
}

/// Where every segment of every known variant stands in time.
#[derive(Debug, Default)]
pub struct Timeline {}

impl Timeline {
    /// A timeline without variants.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings in a variant's playlist, or its reloaded successor: segments that both have keep their places.
    pub fn insert(&mut self, variant: usize, playlist: Arc<MediaPlaylist>) {
        let _ = (variant, playlist);
        todo!()
    }

    /// The playlist of a variant, if it is known.
    #[must_use]
    pub fn playlist(&self, variant: usize) -> Option<&Arc<MediaPlaylist>> {
        let _ = variant;
        todo!()
    }

    /// The segment of `variant` that holds `position`: the first for a position before all of them, the last for one
    /// at or after the end; `None` if the variant is unknown or has no segment.
    #[must_use]
    pub fn segment_at(&self, variant: usize, position: Duration) -> Option<SegmentRef> {
        let _ = (variant, position);
        todo!()
    }

    /// A segment by its index; `None` past the end.
    #[must_use]
    pub fn segment(&self, variant: usize, segment: usize) -> Option<SegmentRef> {
        let _ = (variant, segment);
        todo!()
    }

    /// Where a segment begins; for the index after the last one, where the variant ends.
    #[must_use]
    pub fn start_of(&self, variant: usize, segment: usize) -> Option<Duration> {
        let _ = (variant, segment);
        todo!()
    }

    /// Where to go on in variant `to` instead of with `segment` of variant `from`: the segment of `to` that holds
    /// that segment's beginning.
    #[must_use]
    pub fn aligned(&self, from: usize, segment: usize, to: usize) -> Option<SegmentRef> {
        let _ = (from, segment, to);
        todo!()
    }

    /// Tells where a segment's media really begins and how long it really is. Segments after it move with it.
    ///
    /// A measure that contradicts the ones around it is fitted between them.
    pub fn correct(&mut self, variant: usize, segment: usize, start: Duration, duration: Duration) {
        let _ = (variant, segment, start, duration);
        todo!()
    }

    /// Where a variant ends.
    #[must_use]
    pub fn duration_of(&self, variant: usize) -> Option<Duration> {
        let _ = variant;
        todo!()
    }

    /// Where the longest known variant ends; `None` while no variant is known.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        todo!()
    }
}
