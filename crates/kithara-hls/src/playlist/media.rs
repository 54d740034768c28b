//! The media playlist, stored compactly: a segment costs about 64 bytes beside its URI.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kithara_net::RedactedUrl;
use url::Url;

use super::error::Warning;
use super::key::KeyInfo;
use super::segments::Table;
use super::start::Start;

/// Reloads are not asked for more often than this, whatever the playlist says.
const MIN_RELOAD_DELAY: Duration = Duration::from_millis(500);

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
    /// Whether `EXT-X-MEDIA-SEQUENCE` was there.
    pub(super) has_media_sequence: bool,
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
    /// `HOLD-BACK` of `EXT-X-SERVER-CONTROL`: how far before the end of a live list playback should begin.
    pub hold_back: Option<Duration>,
    /// What was tolerated, the first 32 of it.
    pub warnings: Vec<Warning>,
    pub(super) base: Url,
    pub(super) table: Table,
}

/// `EXT-X-MAP`: the initialization section of the segments after it.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Map {
    /// The resource, resolved.
    pub uri: Url,
    /// Its part that is the section; `None`: all of it.
    pub byte_range: Option<Range<u64>>,
    /// How the section is encrypted: by the key in force where the tag stands. The specification wants this key to
    /// have an IV; where it has none, packagers mostly left the section in the clear.
    pub key: Option<Arc<KeyInfo>>,
}

/// A segment, as [`MediaPlaylist::segment`] makes it.
#[derive(Clone, PartialEq, Eq)]
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
        self.table.len()
    }

    /// Whether there is no segment (yet).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether no segment will be added: `EXT-X-ENDLIST`, or the type `VOD`.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end_list || self.playlist_type == Some(PlaylistType::Vod)
    }

    /// The segment at `index`, with its URI resolved: made at each call, so keep it rather than ask twice.
    #[must_use]
    pub fn segment(&self, index: usize) -> Option<Segment> {
        let record = self.table.record(index)?;
        let title = self.table.text(record.title);
        Some(Segment {
            index,
            uri: self.base.join(self.table.text(record.uri)).ok()?,
            start: Duration::from_nanos(record.start),
            duration: Duration::from_nanos(self.table.start(index + 1)? - record.start),
            title: (!title.is_empty()).then(|| title.to_owned()),
            byte_range: (!record.byte_range.is_empty()).then(|| record.byte_range.clone()),
            map: self.table.map(record.map),
            key: self.table.key(record.key),
            discontinuity: record.discontinuity,
            discontinuity_sequence: self.discontinuity_sequence + u64::from(record.discontinuities),
            gap: record.gap,
            program_date_time: self
                .table
                .date_time(index)
                .filter(|(of, _)| *of == index)
                .map(|(_, date)| date),
            media_sequence: self.media_sequence + index as u64,
            bitrate: self.table.bitrate(index),
        })
    }

    /// All segments in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        (0..self.len()).filter_map(|index| self.segment(index))
    }

    /// Sum of the durations before `index`; for `index == len()` that of all. Allocates nothing.
    #[must_use]
    pub fn start_of(&self, index: usize) -> Option<Duration> {
        self.table.start(index).map(Duration::from_nanos)
    }

    /// The segment that holds `position` by the sum of the durations: the first for a position before all, the last
    /// for one after all; `None` if there is no segment. Allocates nothing.
    #[must_use]
    pub fn index_at(&self, position: Duration) -> Option<usize> {
        self.table.at(u64::try_from(position.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Sum of all durations.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.start_of(self.len()).unwrap_or_default()
    }

    /// Number of the discontinuity domain of a segment. Allocates nothing.
    #[must_use]
    pub fn discontinuity_sequence_of(&self, index: usize) -> Option<u64> {
        let record = self.table.record(index)?;
        Some(self.discontinuity_sequence + u64::from(record.discontinuities))
    }

    /// The segments of a discontinuity domain; empty if it is not in the list. Allocates nothing.
    #[must_use]
    pub fn discontinuity_domain(&self, sequence: u64) -> Range<usize> {
        sequence.checked_sub(self.discontinuity_sequence).map_or(0..0, |count| self.table.domain(count))
    }

    /// The segments around `index` that share its discontinuity domain and its initialization section: one encode.
    pub(crate) fn encode_of(&self, index: usize) -> Range<usize> {
        self.table.encode(index)
    }

    /// The last decimal that durations are written with, in nanoseconds: 1,000 for six decimals.
    pub(crate) fn duration_resolution(&self) -> u64 {
        self.table.resolution()
    }

    /// Whether the first segment has an `EXT-X-DISCONTINUITY` before it.
    #[must_use]
    pub fn begins_with_discontinuity(&self) -> bool {
        self.table.record(0).is_some_and(|record| record.discontinuity)
    }

    /// The segment with this media sequence number: for reloads of the same playlist, never across variants.
    #[must_use]
    pub fn index_of(&self, media_sequence: u64) -> Option<usize> {
        let index = usize::try_from(media_sequence.checked_sub(self.media_sequence)?).ok()?;
        (index < self.len()).then_some(index)
    }

    /// Wall-clock time of a segment: its own `EXT-X-PROGRAM-DATE-TIME`, or counted on from the last one before it.
    #[must_use]
    pub fn date_time_of(&self, index: usize) -> Option<SystemTime> {
        let (of, date_time) = self.table.date_time(index)?;
        let since = self.start_of(index)?.checked_sub(self.start_of(of)?)?;
        date_time.checked_add(since)
    }

    /// The first encryption in the list that cannot be undone: index of the segment, and why.
    #[must_use]
    pub fn unsupported_key(&self) -> Option<(usize, String)> {
        let reasons: Vec<_> = self.table.keys.iter().map(|key| key.unsupported()).collect();
        let reason_of = |number: u32| reasons.get((number as usize).checked_sub(1)?)?.as_ref();
        let map_reason_of = |number: u32| self.table.map(number)?.key.as_ref()?.unsupported();
        if reasons.iter().all(Option::is_none) {
            return None;
        }
        self.table.records().enumerate().filter(|(_, record)| !record.gap).find_map(|(index, record)| {
            let reason = reason_of(record.key).cloned().or_else(|| map_reason_of(record.map))?;
            Some((index, reason))
        })
    }

    /// Where the author wants playback to begin, if anywhere: this playlist's `EXT-X-START`, else `master`'s; at the
    /// beginning of the segment unless it is precise.
    #[must_use]
    pub fn start_position(&self, master: Option<Start>) -> Option<Duration> {
        let start = self.start.or(master)?;
        let position = start.position(self.duration());
        if start.precise { Some(position) } else { self.start_of(self.index_at(position)?) }
    }

    /// What a segment is called, without a query, which may be another one in each load; and its sub-range.
    pub(crate) fn name_of(&self, index: usize) -> Option<(&str, Range<u64>)> {
        let record = self.table.record(index)?;
        let uri = self.table.text(record.uri);
        Some((uri.split(['?', '#']).next().unwrap_or(uri), record.byte_range.clone()))
    }

    /// How long to wait, from the beginning of one load to the next; `None` where the list is complete.
    ///
    /// One target duration after a load that brought something new, half of one otherwise; never less than half a
    /// second.
    #[must_use]
    pub fn reload_delay(&self, changed: bool) -> Option<Duration> {
        let delay = if changed { self.target_duration } else { self.target_duration / 2 };
        (!self.is_complete()).then(|| delay.max(MIN_RELOAD_DELAY))
    }

    /// Bytes of memory that the segments hold.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.table.held_bytes()
    }
}

/// URLs without query values and credentials.
impl std::fmt::Debug for MediaPlaylist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaPlaylist")
            .field("base", &format_args!("{}", RedactedUrl(&self.base)))
            .field("segments", &self.len())
            .field("duration", &self.duration())
            .field("target_duration", &self.target_duration)
            .field("media_sequence", &self.media_sequence)
            .field("playlist_type", &self.playlist_type)
            .field("end_list", &self.end_list)
            .finish_non_exhaustive()
    }
}

/// URLs without query values and credentials.
impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Map")
            .field("uri", &format_args!("{}", RedactedUrl(&self.uri)))
            .field("byte_range", &self.byte_range)
            .field("key", &self.key)
            .finish()
    }
}

/// URLs without query values and credentials.
impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment")
            .field("index", &self.index)
            .field("uri", &format_args!("{}", RedactedUrl(&self.uri)))
            .field("start", &self.start)
            .field("duration", &self.duration)
            .field("byte_range", &self.byte_range)
            .field("map", &self.map)
            .field("key", &self.key)
            .field("discontinuity_sequence", &self.discontinuity_sequence)
            .field("gap", &self.gap)
            .field("media_sequence", &self.media_sequence)
            .finish_non_exhaustive()
    }
}
