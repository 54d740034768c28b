//! Fragmented MP4, pushed as it arrives.

use bytes::Bytes;

use super::mp4::boxes::BoxHeader;
use super::mp4::described::Described;
use super::mp4::fragment::{Fragment, Sample};
use super::mp4::moov::Moov;
use super::mp4::table::Cursor;
use super::queue::ByteQueue;
use super::{Container, DemuxError, DemuxedPacket, Demuxer, TrackInfo, limits};

/// Demuxer of fragmented MP4 (CMAF, ISO base media), and of progressive MP4 whose index comes before its media.
///
/// Init section and media segments are pushed one after the other, or in one piece. Of several tracks the first audio
/// track of a codec that we can cut is taken; boxes that do not matter are skipped. Samples come as soon as their bytes
/// have arrived, while the rest of the `mdat` is still on its way. A `moov` box in the middle of the stream begins a new
/// track (with a new [`TrackInfo::serial`] if it differs).
#[derive(Debug, Default)]
pub struct Fmp4Demuxer {
    queue: ByteQueue,
    /// Where the next box header is expected; `u64::MAX` inside of a box that reaches to the end.
    walk: u64,
    /// Where the segment began.
    segment_start: u64,
    /// Where the segment ends, once that is known.
    boundary: Option<u64>,
    described: Described,
    is_only_track: bool,
    fragment: Fragment,
    /// The place of the fragment's samples is only known once the header of its `mdat` is.
    awaits_mdat: bool,
    /// A `moof` came, and its `mdat` not yet.
    expects_mdat: bool,
    moof: (u64, u64),
    /// Payload of an `mdat` that came before its index.
    held: Option<(u64, u64)>,
    /// Position in the sample table of a movie without fragments.
    table: Option<Cursor>,
    next_pts: (i64, bool),
    is_discontinuity: bool,
    failed: Option<DemuxError>,
}

/// What reading a box came to.
enum Walk {
    Went,
    NeedsMore,
}

impl Fmp4Demuxer {
    /// An empty demuxer.
    pub fn new() -> Self {
        Self::default()
    }

    fn malformed(&self, what: &'static str) -> DemuxError {
        let offset = if self.walk == u64::MAX { self.segment_start } else { self.walk };
        DemuxError::Malformed { container: Container::Fmp4, what, offset }
    }

    /// The end of what belongs to the segment and has arrived.
    fn limit(&self) -> u64 {
        self.boundary.unwrap_or(self.queue.end())
    }

    /// The next sample that is ready, already stepped over.
    fn advance(&mut self) -> Result<Option<Sample>, DemuxError> {
        loop {
            self.discard_consumed();
            if let Some(sample) = self.pending()? {
                if u64::from(sample.size) > limits::MAX_PACKET {
                    let (size, limit) = (sample.size.into(), limits::MAX_PACKET);
                    return Err(DemuxError::TooLarge { what: "MP4 sample (bytes)", size, limit });
                }
                if sample.offset < self.queue.start() {
                    return Err(self.malformed("sample data lies before its index"));
                }
                // Boxes are read up to the one that holds the sample before it is given out, whether its bytes are there
                // or not: so the outcome does not depend on how the bytes were cut.
                let end = sample.offset.saturating_add(sample.size.into());
                if end <= self.limit() && end <= self.walk {
                    self.described.select(sample.description, self.walk)?;
                    self.consume(&sample);
                    return Ok(Some(sample));
                }
            }
            match self.walk_box()? {
                Walk::Went => {}
                Walk::NeedsMore if self.boundary.is_some() => {
                    self.end_segment()?;
                    return Ok(None);
                }
                Walk::NeedsMore => return Ok(None),
            }
        }
    }

    fn discard_consumed(&mut self) {
        let mut keep = if self.walk == u64::MAX { self.limit() } else { self.walk };
        if let Some((start, _)) = self.held {
            keep = keep.min(start);
        }
        if !self.awaits_mdat {
            keep = keep.min(self.fragment.keep_from().unwrap_or(keep));
        }
        if let Some(sample) = self.table_sample() {
            keep = keep.min(sample.offset);
        }
        if let Some(boundary) = self.boundary {
            keep = keep.min(boundary);
        }
        self.queue.discard_to(keep);
    }

    fn table_sample(&self) -> Option<Sample> {
        self.described.table_sample(self.table.as_ref())
    }

    /// The sample that comes next.
    fn pending(&mut self) -> Result<Option<Sample>, DemuxError> {
        while let Some(sample) = self.table_sample() {
            if sample.size > 0 {
                return Ok(Some(sample));
            }
            self.consume(&sample);
        }
        self.table = None;
        if self.awaits_mdat {
            return Ok(None);
        }
        self.fragment.current().map_err(|what| self.malformed(what))
    }

    fn consume(&mut self, sample: &Sample) {
        match (self.described.table(), &mut self.table) {
            (Some(table), Some(cursor)) => table.advance(cursor),
            _ => {
                self.fragment.step(sample.duration, sample.size);
                self.next_pts = self.fragment.next_pts();
            }
        }
    }

    /// Reads the box at `walk`.
    fn walk_box(&mut self) -> Result<Walk, DemuxError> {
        let limit = self.limit();
        if self.walk >= limit {
            return Ok(Walk::NeedsMore);
        }
        let mut bytes = [0; 16];
        let available = self.queue.peek(self.walk, &mut bytes).min((limit - self.walk) as usize);
        let parsed = BoxHeader::parse(&bytes[..available]).map_err(|what| self.malformed(what))?;
        let Some(header) = parsed else { return Ok(Walk::NeedsMore) };
        let end = match header.size {
            Some(size) => self.walk.checked_add(size).ok_or_else(|| self.malformed("box size"))?,
            None => u64::MAX,
        };
        let kind = header.kind.0;
        match &kind {
            b"moov" | b"moof" => return self.walk_index(&header, end),
            b"mdat" => self.enter_mdat(self.walk + header.header_len, end)?,
            [0, 0, 0, 0] if header.size.is_none() => {}
            _ if kind.iter().all(|byte| matches!(byte, b' '..=b'~' | 0xA9)) => {}
            _ => return Err(self.malformed("not a box")),
        }
        self.walk = end;
        Ok(Walk::Went)
    }

    /// Reads a `moov` or `moof` box, once it is there in full.
    fn walk_index(&mut self, header: &BoxHeader, end: u64) -> Result<Walk, DemuxError> {
        let is_moov = &header.kind.0 == b"moov";
        let (what, max) = if is_moov {
            ("moov box (bytes)", limits::MAX_MOOV)
        } else {
            ("moof box (bytes)", limits::MAX_MOOF)
        };
        let end = match (header.size, self.boundary) {
            (Some(_), _) => end,
            (None, Some(boundary)) => boundary,
            (None, None) => self.queue.end().saturating_add(1),
        };
        let size = end - self.walk;
        if size > max {
            return Err(DemuxError::TooLarge { what, size, limit: max });
        }
        if end > self.limit() {
            return Ok(Walk::NeedsMore);
        }
        if self.pending()?.is_some() || self.awaits_mdat {
            return Err(self.malformed("sample data lies outside of its mdat"));
        }
        let payload_len = (size - header.header_len) as usize;
        let Some(payload) = self.queue.bytes(self.walk + header.header_len, payload_len) else {
            return Err(self.malformed("box bytes are gone"));
        };
        if is_moov {
            self.enter_moov(&payload)?;
        } else {
            self.enter_moof(payload, end)?;
        }
        self.held = None;
        self.walk = end;
        Ok(Walk::Went)
    }

    fn enter_moov(&mut self, payload: &[u8]) -> Result<(), DemuxError> {
        let moov = Moov::parse(payload).map_err(|what| self.malformed(what))?;
        self.is_only_track = moov.track_count == 1;
        let track = moov.audio()?;
        self.table = track.table.as_ref().map(|table| table.cursor(0));
        self.described.set_track(track, self.walk)
    }

    fn enter_moof(&mut self, payload: Bytes, end: u64) -> Result<(), DemuxError> {
        let Some(track) = self.described.track() else { return Err(self.malformed("moof before moov")) };
        let parsed = self.fragment.parse(payload, self.walk, track, self.is_only_track, self.next_pts);
        parsed.map_err(|what| self.malformed(what))?;
        self.moof = (self.walk, end);
        self.expects_mdat = true;
        self.awaits_mdat = self.fragment.begins_within(self.walk, end);
        if let (true, Some(first)) = (self.fragment.is_absolute(), self.fragment.first_absolute()) {
            match self.held.and_then(|held| self.absolute_shift(first, held)) {
                Some(delta) => self.fragment.shift_absolute(delta).map_err(|what| self.malformed(what))?,
                None => self.awaits_mdat = true,
            }
        }
        Ok(())
    }

    /// By how much an absolute offset must be moved to lie in an `mdat` payload that came before it: absolute offsets count
    /// from the start of the file, which may be the start of what was pushed or of this segment.
    fn absolute_shift(&self, first: i64, (start, end): (u64, u64)) -> Option<i64> {
        [0, self.segment_start].into_iter().find_map(|delta| {
            let delta = i64::try_from(delta).ok()?;
            let at = u64::try_from(first.checked_add(delta)?).ok()?;
            (start..end).contains(&at).then_some(delta)
        })
    }

    fn enter_mdat(&mut self, start: u64, end: u64) -> Result<(), DemuxError> {
        if self.awaits_mdat {
            self.awaits_mdat = false;
            self.place_fragment(start).map_err(|what| self.malformed(what))?;
        } else if !self.expects_mdat && self.may_hold(start, end) {
            self.held = Some((start, end));
        }
        self.expects_mdat = false;
        Ok(())
    }

    fn place_fragment(&mut self, start: u64) -> Result<(), &'static str> {
        if let Some(first) = self.fragment.first_absolute() {
            // It counts from the start of a file of which we may see a part, in any order: the data begins the mdat.
            let delta = i64::try_from(start).map_err(|_| "offset")?.saturating_sub(first);
            self.fragment.shift_absolute(delta)?;
        }
        if self.fragment.begins_within(self.moof.0, self.moof.1) {
            self.fragment.move_relative_to(start)?;
        }
        Ok(())
    }

    /// True when an `mdat` without a `moof` before it may be described later.
    fn may_hold(&self, start: u64, end: u64) -> bool {
        let is_indexed = self.described.table().is_some();
        !is_indexed && end != u64::MAX && end - start <= limits::MAX_EARLY_MDAT
    }

    /// The segment is over and nothing more can be read: gets ready for the next, and tells what was missing.
    fn end_segment(&mut self) -> Result<(), DemuxError> {
        let Some(end) = self.boundary.take() else { return Ok(()) };
        let missing = self.missing(end)?;
        self.fragment.clear();
        self.table = None;
        self.awaits_mdat = false;
        self.expects_mdat = false;
        self.held = None;
        self.walk = end;
        self.segment_start = end;
        self.queue.discard_to(end);
        if missing > 0 {
            self.is_discontinuity = true;
            return Err(DemuxError::Truncated { container: Container::Fmp4, missing });
        }
        Ok(())
    }

    fn missing(&mut self, end: u64) -> Result<u64, DemuxError> {
        if let Some(sample) = self.pending()? {
            return Ok((sample.offset.saturating_add(sample.size.into())).saturating_sub(end));
        }
        if self.awaits_mdat {
            return Ok(8);
        }
        if self.walk >= end {
            // A box that is cut short matters only when it held samples, which are all there.
            return Ok(0);
        }
        let mut bytes = [0; 16];
        let available = self.queue.peek(self.walk, &mut bytes).min((end - self.walk) as usize);
        match BoxHeader::parse(&bytes[..available]) {
            // An index box that is not there in full.
            Ok(Some(header)) => Ok(header.size.unwrap_or(0).saturating_sub(end - self.walk)),
            // Padding.
            _ if bytes == [0; 16] => Ok(0),
            _ => Ok(8u64.saturating_sub(available as u64).max(1)),
        }
    }
}

impl Demuxer for Fmp4Demuxer {
    fn push(&mut self, data: Bytes) -> Result<(), DemuxError> {
        self.queue.push(data);
        Ok(())
    }

    fn next_packet(&mut self) -> Result<Option<DemuxedPacket<'_>>, DemuxError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let sample = match self.advance() {
            Ok(Some(sample)) => sample,
            Ok(None) => return Ok(None),
            Err(error) => {
                if !matches!(error, DemuxError::Truncated { .. }) {
                    self.failed = Some(error.clone());
                }
                return Err(error);
            }
        };
        let is_discontinuity = std::mem::take(&mut self.is_discontinuity);
        let data = self.queue.slice(sample.offset, sample.size as usize);
        let (Some(track), Some(data)) = (self.described.info(), data) else { return Ok(None) };
        Ok(Some(DemuxedPacket {
            data,
            track,
            pts: sample.pts,
            duration: sample.duration.into(),
            is_timed: sample.is_timed,
            is_discontinuity,
        }))
    }

    fn finish(&mut self) -> Result<(), DemuxError> {
        self.boundary = Some(self.queue.end());
        self.queue.stop_discarding();
        Ok(())
    }

    fn reset(&mut self) {
        let described = Described::with_serial(self.described.serial());
        let mut queue = std::mem::take(&mut self.queue);
        queue.clear();
        *self = Self { described, queue, ..Self::default() };
    }

    fn discard(&mut self) {
        self.queue.clear();
        self.fragment.clear();
        self.table = None;
        self.walk = 0;
        self.segment_start = 0;
        self.boundary = None;
        self.awaits_mdat = false;
        self.expects_mdat = false;
        self.held = None;
        self.next_pts = (0, false);
        self.is_discontinuity = false;
        self.failed = None;
    }

    fn track(&self) -> Option<&TrackInfo> {
        self.described.info()
    }

    fn set_time_hint(&mut self, _near: i64) {}
}
