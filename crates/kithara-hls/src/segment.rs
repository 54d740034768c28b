//! Segments: how they are named, where they lie in time, and where their bytes are.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::playlist::{KeyInfo, Map, MediaPlaylist};

/// How far apart two positions of the timeline may be and still be one.
///
/// Variants cut at the same moment, each at the end of a frame of its codec: up to 93 ms apart (4,096 samples at
/// 44.1 kHz), and playlists round durations. What is shorter than this is never worth a segment of its own.
pub const SAME_TIME: Duration = Duration::from_millis(100);

/// Whether two positions are one, see [`SAME_TIME`].
#[must_use]
pub fn is_same_time(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= SAME_TIME
}

/// A sub-range of a resource: offset and length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

impl Window {
    /// The range of an init section.
    pub(crate) fn of(map: &Map) -> Option<Self> {
        map.byte_range.as_ref().map(|range| Self { offset: range.start, len: range.end - range.start })
    }
}

/// The name of a segment, which it keeps while a live list slides, is renumbered, or begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId {
    /// Index in the ladder.
    pub variant: usize,
    /// The media sequence number under which the segment was first listed. Where the numbers of a list stand still or
    /// fall, counting goes on: no two segments of a variant share a number.
    pub number: u64,
}

/// A segment and its position on the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPlace {
    /// Its name.
    pub id: SegmentId,
    /// Number of its discontinuity domain.
    pub discontinuity_sequence: u64,
    /// Where it begins.
    pub start: Duration,
    /// Its duration by the playlist.
    pub duration: Duration,
}

impl SegmentPlace {
    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.start.saturating_add(self.duration)
    }

    /// Whether it brings audio at `position` that is worth fetching it for: more than [`SAME_TIME`] of it, or more than
    /// half of a segment that is shorter than twice that.
    #[must_use]
    pub fn is_worth_at(&self, position: Duration) -> bool {
        self.end().saturating_sub(position) > SAME_TIME.min(self.duration / 2)
    }
}

/// Where a segment's bytes are, and all that its fetch and its message need.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SegmentPlan {
    /// The segment.
    pub place: SegmentPlace,
    /// Index in the list at the time of planning.
    pub index: usize,
    /// The resource.
    pub url: Url,
    /// The part of the resource that is the segment; `None`: all of it.
    pub window: Option<Window>,
    /// The init section.
    pub map: Option<Arc<Map>>,
    /// How it is encrypted.
    pub key: Option<Arc<KeyInfo>>,
    /// `EXT-X-MEDIA-SEQUENCE` plus index, from which an initialization vector may be derived.
    pub media_sequence: u64,
    /// The first of the presentation.
    pub is_first: bool,
    /// Declared as missing (`EXT-X-GAP`).
    pub gap: bool,
    /// Of a live list: how often its encoder has restarted.
    pub live: Option<u64>,
    /// The list that names it.
    pub list: Arc<MediaPlaylist>,
}

impl SegmentPlan {
    /// Index in the ladder.
    #[must_use]
    pub fn variant(&self) -> usize {
        self.place.id.variant
    }

    /// Whether its bytes are written into the resource of a whole file, beside those of other segments.
    #[must_use]
    pub fn shares_file(&self) -> bool {
        self.window.is_some() && self.key.is_none() && self.live.is_none()
    }
}
