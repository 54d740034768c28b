//! The segments of a media playlist, stored compactly.
//!
//! A record has 64 bytes; URIs and titles stand in one text, as written, and are resolved when a segment is asked
//! for. Sub-ranges of one resource share its URI. What few segments have stands in lists beside the records.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use super::context::Context;
use super::error::PlaylistError;
use super::key::KeyInfo;
use super::media::Map;

/// A piece of the table's text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    at: u32,
    len: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Nanoseconds from the beginning of the playlist.
    pub(super) start: u64,
    pub(super) uri: Span,
    pub(super) title: Span,
    /// Empty: the whole resource.
    pub(super) byte_range: Range<u64>,
    /// 1 + index of the key, 0 for none.
    pub(super) key: u32,
    /// 1 + index of the map, 0 for none.
    pub(super) map: u32,
    /// `EXT-X-DISCONTINUITY` tags so far.
    pub(super) discontinuities: u32,
    pub(super) discontinuity: bool,
    pub(super) gap: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    records: Vec<Record>,
    text: String,
    pub(super) keys: Vec<Arc<KeyInfo>>,
    pub(super) maps: Vec<Arc<Map>>,
    /// Segments with a date, ascending.
    date_times: Vec<(u32, SystemTime)>,
    /// Segments from which on a bitrate counts, ascending.
    bitrates: Vec<(u32, u64)>,
    /// Nanoseconds to the end of the last segment.
    end: u64,
    /// The playlist does not give the duration of each segment.
    pub(super) has_guesses: bool,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn push(&mut self, record: Record) {
        self.records.push(record);
    }

    pub(super) fn push_text(&mut self, cx: &mut Context<'_>, text: &str) -> Result<Span, PlaylistError> {
        cx.count(text.len())?;
        let too_large = || cx.too_large("bytes of URIs and titles", u32::MAX as usize);
        let at = u32::try_from(self.text.len()).map_err(|_| too_large())?;
        let len = u32::try_from(text.len()).map_err(|_| too_large())?;
        self.text.push_str(text);
        Ok(Span { at, len })
    }

    /// A date of the segment that is pushed next.
    pub(super) fn push_date_time(&mut self, date_time: SystemTime) {
        self.date_times.push((self.next_index(), date_time));
    }

    /// A bitrate of the segments from the one that is pushed next.
    pub(super) fn push_bitrate(&mut self, bitrate: u64) {
        let index = self.next_index();
        match self.bitrates.last_mut().filter(|(last, _)| *last == index) {
            Some(last) => last.1 = bitrate,
            None => self.bitrates.push((index, bitrate)),
        }
    }

    fn next_index(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }

    /// Gives each segment this many nanoseconds. Returns the end of the last one.
    pub(super) fn spread(&mut self, nanos: u64) -> u64 {
        let mut start = 0u64;
        for record in &mut self.records {
            record.start = start;
            start = start.saturating_add(nanos);
        }
        start
    }

    pub(super) fn finish(&mut self, end: u64) {
        self.end = end;
        self.records.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    pub(super) fn record(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    /// Nanoseconds before a segment; of the index after the last, of all.
    pub(super) fn start(&self, index: usize) -> Option<u64> {
        match self.records.get(index) {
            Some(record) => Some(record.start),
            None => (index == self.records.len()).then_some(self.end),
        }
    }

    /// The last segment that begins at or before this place; `None` if there is no segment.
    pub(super) fn at(&self, nanos: u64) -> Option<usize> {
        let after = self.records.partition_point(|record| record.start <= nanos);
        (!self.records.is_empty()).then_some(after.saturating_sub(1))
    }

    /// The segments whose number of discontinuities before them is `count`.
    pub(super) fn domain(&self, count: u64) -> Range<usize> {
        let first = self.records.partition_point(|record| u64::from(record.discontinuities) < count);
        let end = self.records.partition_point(|record| u64::from(record.discontinuities) <= count);
        first..end
    }

    pub(super) fn text(&self, span: Span) -> &str {
        let at = span.at as usize;
        self.text.get(at..at + span.len as usize).unwrap_or("")
    }

    pub(super) fn key(&self, number: u32) -> Option<Arc<KeyInfo>> {
        self.keys.get((number as usize).checked_sub(1)?).cloned()
    }

    pub(super) fn map(&self, number: u32) -> Option<Arc<Map>> {
        self.maps.get((number as usize).checked_sub(1)?).cloned()
    }

    /// The last date at or before a segment, and of which segment it is.
    pub(super) fn date_time(&self, index: usize) -> Option<(usize, SystemTime)> {
        let after = self.date_times.partition_point(|(of, _)| *of as usize <= index);
        let (of, date_time) = self.date_times.get(after.checked_sub(1)?)?;
        Some((*of as usize, *date_time))
    }

    pub(super) fn bitrate(&self, index: usize) -> Option<u64> {
        let after = self.bitrates.partition_point(|(of, _)| *of as usize <= index);
        self.bitrates.get(after.checked_sub(1)?).map(|(_, bitrate)| *bitrate)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// The segments around `index` without a discontinuity or another map between them.
    pub(super) fn encode(&self, index: usize) -> Range<usize> {
        let Some(own) = self.records.get(index) else { return index..index };
        let is_other =
            |record: &Record| (record.discontinuities, record.map) != (own.discontinuities, own.map);
        let before = self.records[..index].iter().rposition(is_other);
        let after = self.records[index..].iter().position(is_other);
        before.map_or(0, |before| before + 1)..after.map_or(self.records.len(), |after| index + after)
    }

    /// Nanoseconds of the last decimal in which durations are written, a power of ten.
    pub(super) fn resolution(&self) -> u64 {
        if self.has_guesses {
            return 1_000_000_000;
        }
        let ends = self.records.iter().skip(1).map(|record| record.start).chain([self.end]);
        let durations = self.records.iter().zip(ends).map(|(record, end)| end.saturating_sub(record.start));
        let mut resolution = 1_000_000_000;
        for duration in durations {
            while resolution > 1 && duration % resolution != 0 {
                resolution /= 10;
            }
        }
        resolution
    }

    /// Bytes of memory that are held, without keys and maps.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record>() + self.text.capacity()
    }
}
