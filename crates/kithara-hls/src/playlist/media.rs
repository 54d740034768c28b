//! The media playlist, stored compactly: a segment costs about 64 bytes beside its URI.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use url::Url;

use super::error::Warning;
use super::key::KeyInfo;
use super::start::Start;

/// `EXT-X-PLAYLIST-TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaylistType {
    /// Segments are only ever added.
    Event,
    /// Nothing changes any more.
    Vod,
}

/// A media playlist.
#[derive(Clone)]
#[non_exhaustive]
pub struct MediaPlaylist {
    /// `EXT-X-TARGETDURATION`, or the longest segment where the tag is missing.
    pub target_duration: Duration,
    /// `EXT-X-MEDIA-SEQUENCE`: number of the first segment.
    pub media_sequence: u64,
    /// `EXT-X-DISCONTINUITY-SEQUENCE`: number of the first segment's discontinuity domain.
    pub discontinuity_sequence: u64,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub playlist_type: Option<PlaylistType>,
    /// `EXT-X-ENDLIST`: no segment will be added.
    pub end_list: bool,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-START`.
    pub start: Option<Start>,
    /// `EXT-X-VERSION`; 1 where there is none.
    pub version: u64,
    /// Tags of the low-latency extension were there and ignored: whole segments are played.
    pub low_latency: bool,
    /// What was tolerated, the first 32 of it.
    pub warnings: Vec<Warning>,
}

/// `EXT-X-MAP`: the initialization section of the segments after it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Map {
    /// The resource, resolved.
    pub uri: Url,
    /// Its part that is the section; `None`: all of it.
    pub byte_range: Option<Range<u64>>,
    /// How the section is encrypted: by the key in force where the tag stands. Its IV is always given.
    pub key: Option<Arc<KeyInfo>>,
}

/// A segment, as [`MediaPlaylist::segment`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// Place in the playlist, from 0.
    pub index: usize,
    /// The resource, resolved.
    pub uri: Url,
    /// Sum of the durations before it.
    pub start: Duration,
    /// `EXTINF`, exact to the nanosecond.
    pub duration: Duration,
    /// Title of `EXTINF`.
    pub title: Option<String>,
    /// The part of the resource that is the segment, offsets resolved; `None`: all of it.
    pub byte_range: Option<Range<u64>>,
    /// The initialization section. Shared: two segments of one section have the same `Arc`.
    pub map: Option<Arc<Map>>,
    /// How it is encrypted. Where several key formats apply, the one that can be used; where none can, any of them:
    /// ask [`KeyInfo::unsupported`].
    pub key: Option<Arc<KeyInfo>>,
    /// `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// Number of its discontinuity domain.
    pub discontinuity_sequence: u64,
    /// `EXT-X-GAP`: there is nothing to fetch.
    pub gap: bool,
    /// `EXT-X-PROGRAM-DATE-TIME` of this very segment.
    pub program_date_time: Option<SystemTime>,
    /// Its media sequence number.
    pub media_sequence: u64,
    /// `EXT-X-BITRATE`, bits per second.
    pub bitrate: Option<u64>,
}

impl Segment {
    /// The initialization vector to decrypt it with, if it is encrypted.
    #[must_use]
    pub fn iv(&self) -> Option<[u8; 16]> {
        self.key.as_ref().map(|key| key.iv_for(self.media_sequence))
    }
}

impl MediaPlaylist {
    /// Number of segments.
    #[must_use]
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there is no segment (yet).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segment at `index`, with its URI resolved: made at each call, so keep it rather than ask twice.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<Segment> {
        let _ = index;
        todo!()
    }

    /// All segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        (0..self.len()).filter_map(|index| self.segment(index))
    }

    /// Sum of the durations before `index`; for `index == len()` that of all. Allocates nothing.
    #[must_use]
    pub fn start_of(&self, index: usize) -> Option<Duration> {
        let _ = index;
        todo!()
    }

    /// Sum of all durations.
    #[must_use]
    pub fn duration(&self) -> Duration {
        todo!()
    }

    /// Number of the discontinuity domain of a segment. Allocates nothing.
    #[must_use]
    pub fn discontinuity_sequence_of(&self, index: usize) -> Option<u64> {
        let _ = index;
        todo!()
    }

    /// The segment with this media sequence number: for reloads of the same playlist, never across variants.
    #[must_use]
    pub fn index_of(&self, media_sequence: u64) -> Option<usize> {
        let _ = media_sequence;
        todo!()
    }

    /// Wall-clock time of a segment: its own `EXT-X-PROGRAM-DATE-TIME`, or counted on from the last one before it.
    #[must_use]
    pub fn date_time_of(&self, index: usize) -> Option<SystemTime> {
        let _ = index;
        todo!()
    }

    /// The first encryption in the list that cannot be undone: index of the segment, and why.
    #[must_use]
    pub fn unsupported_key(&self) -> Option<(usize, String)> {
        todo!()
    }

    /// Where the author wants playback to begin, if anywhere: this playlist's `EXT-X-START`, else `master`'s; at the
    /// beginning of the segment unless it is precise.
    #[must_use]
    pub fn start_position(&self, master: Option<Start>) -> Option<Duration> {
        let _ = master;
        todo!()
    }

    /// How long to wait, from the beginning of one load to the next; `None` where the list is complete.
    ///
    /// One target duration after a load that brought something new, half of one otherwise.
    #[must_use]
    pub fn reload_delay(&self, changed: bool) -> Option<Duration> {
        let _ = changed;
        todo!()
    }
}

impl std::fmt::Debug for MediaPlaylist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaPlaylist")
            .field("target_duration", &self.target_duration)
            .field("media_sequence", &self.media_sequence)
            .field("playlist_type", &self.playlist_type)
            .field("end_list", &self.end_list)
            .finish_non_exhaustive()
    }
}
