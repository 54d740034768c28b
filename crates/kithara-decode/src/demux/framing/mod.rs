//! Audio that is a sequence of frames, each with a header that says how long it is: ADTS and MPEG audio.

mod clock;
mod search;

use std::fmt::Debug;
use std::ops::Range;

use bytes::Bytes;

use super::queue::ByteQueue;
use super::track::{Gapless, TimestampWrap, TrackInfo};
use super::{Container, DemuxError, DemuxedPacket};
use clock::Clock;

/// Timestamps of MPEG-TS and of ID3 tags, units per second.
pub(super) const TIMESCALE: u32 = 90_000;
/// They wrap at 33 bits.
pub(super) const WRAP: TimestampWrap = TimestampWrap { bits: 33 };

/// A kind of frame.
pub(super) trait Format: Debug + Send + 'static {
    /// What a frame's header says.
    type Header: Copy + Debug + Send;
    /// For error messages.
    const CONTAINER: Container;
    /// Bytes that [`parse`](Self::parse) looks at.
    const HEADER_LEN: usize;
    /// Following headers that must agree before a frame found behind garbage is believed.
    const RESYNC_DEPTH: usize;

    /// Reads a header; `None` when it is none.
    fn parse(bytes: &[u8]) -> Option<Self::Header>;
    /// Whether the bytes are a header of a form that we do not support (which [`parse`](Self::parse) takes for none).
    fn is_unsupported(bytes: &[u8]) -> bool;
    /// Why a frame cannot be cut into packets.
    fn refusal(header: &Self::Header) -> Option<&'static str>;
    /// What [`is_unsupported`](Self::is_unsupported) finds.
    const UNSUPPORTED: &'static str;
    /// True when both may stand in one stream without a new configuration.
    fn is_same(a: &Self::Header, b: &Self::Header) -> bool;
    /// Bytes with the header, at least 1.
    fn frame_len(header: &Self::Header) -> usize;
    /// PCM frames that a block decodes to.
    fn block_frames(header: &Self::Header) -> u32;
    /// PCM frames per second, never 0.
    fn sample_rate(header: &Self::Header) -> u32;
    /// Describes the track by its first frame.
    fn describe(header: &Self::Header, frame: &[u8]) -> Result<TrackInfo, DemuxError>;
    /// Packets in a frame.
    fn blocks(header: &Self::Header) -> usize;
    /// Where a packet lies in its frame; empty for damaged ones.
    fn block(header: &Self::Header, frame: &[u8], index: usize) -> Range<usize>;
    /// Gapless data when the first frame of a segment is not audio but a tag that is shaped like a frame.
    fn tag(header: &Self::Header, frame: &[u8]) -> Option<Option<Gapless>>;
}

/// A packet that is ready in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    offset: u64,
    len: usize,
    pts: i64,
    duration: u64,
    is_timed: bool,
    is_discontinuity: bool,
}

/// Cuts pushed bytes into frames, finds the first frame, and finds the next one behind damage.
///
/// Where it stands in the stream, and so every packet, depends on the bytes alone and not on how they are cut.
#[derive(Debug)]
pub(super) struct Framer<F: Format> {
    queue: ByteQueue,
    /// Everything before this is consumed.
    at: u64,
    /// Where a frame should have begun when the search for one started.
    expected: u64,
    /// The last frame's header; `is_synced` when the next frame must begin at `at`.
    reference: Option<F::Header>,
    is_synced: bool,
    boundary: Option<Boundary>,
    /// Packets still to come of the frame at `.0`.
    blocks: Option<(u64, F::Header, usize)>,
    clock: Clock,
    info: Option<TrackInfo>,
    gapless: Option<Gapless>,
    serial: u32,
    id: u32,
    is_segment_start: bool,
    is_lost: bool,
    garbage: u64,
    /// ID3 tags between frames are skipped, and tag frames at segment starts.
    is_packed: bool,
}

/// Where pushed bytes end for now.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    at: u64,
    /// An incomplete frame may go on behind the boundary.
    continues: bool,
}

impl<F: Format> Framer<F> {
    /// A framer for packed audio (frames in a file of their own) or for frames in another container.
    pub(super) fn new(is_packed: bool) -> Self {
        Self {
            queue: ByteQueue::default(),
            at: 0,
            expected: 0,
            reference: None,
            is_synced: false,
            boundary: None,
            blocks: None,
            clock: Clock::default(),
            info: None,
            gapless: None,
            serial: 0,
            id: 0,
            is_segment_start: true,
            is_lost: false,
            garbage: 0,
            is_packed,
        }
    }

    pub(super) fn push(&mut self, data: Bytes) {
        self.queue.push(data);
    }

    /// The first frame that begins in what is pushed from now on has this time. `None`: its time is not known, it
    /// follows the one before.
    pub(super) fn mark(&mut self, timestamp: Option<u64>) {
        self.clock.mark(self.queue.end(), timestamp, self.at);
    }

    /// The segment ends here; an incomplete frame may go on in the next.
    pub(super) fn finish(&mut self) {
        self.boundary = Some(Boundary { at: self.queue.end(), continues: true });
    }

    /// What follows does not continue what was pushed.
    pub(super) fn cut(&mut self) {
        self.boundary = Some(Boundary { at: self.queue.end(), continues: false });
    }

    /// Forgets everything but the track.
    pub(super) fn discard(&mut self) {
        let fresh = Self::new(self.is_packed);
        let old = std::mem::replace(self, fresh);
        self.info = old.info;
        self.serial = old.serial;
        self.id = old.id;
        self.queue = old.queue;
        self.queue.clear();
        self.clock.hint = old.clock.hint;
    }

    /// Forgets everything. The serial goes on, so that no two descriptions share one.
    pub(super) fn reset(&mut self) {
        self.discard();
        self.info = None;
        self.clock.hint = None;
    }

    pub(super) fn track(&self) -> Option<&TrackInfo> {
        self.info.as_ref()
    }

    /// The number of the track in its container, and the serial of the description before this.
    pub(super) fn identify(&mut self, id: u32, serial: u32) {
        self.id = id;
        self.serial = serial;
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// The time behind the last packet, once a timestamp has been seen.
    pub(super) fn time(&self) -> Option<i64> {
        self.clock.is_timed.then(|| self.clock.now())
    }

    pub(super) fn set_time_hint(&mut self, near: i64) {
        self.clock.hint = Some(near);
    }

    fn limit(&self) -> u64 {
        self.boundary.map_or(self.queue.end(), |boundary| boundary.at)
    }

    /// Finds the next packet. `None`: more bytes are needed.
    pub(super) fn advance(&mut self) -> Result<Option<Located>, DemuxError> {
        loop {
            if let Some(located) = self.next_block() {
                return Ok(Some(located));
            }
            self.queue.discard_to(self.at);
            if let Some(header) = self.find_frame()? {
                self.enter_frame(header)?;
            } else if !self.pass_boundary() {
                return Ok(None);
            }
        }
    }

    /// Borrows what [`advance`](Self::advance) found.
    pub(super) fn packet(&mut self, located: Located) -> Option<DemuxedPacket<'_>> {
        let data = self.queue.slice(located.offset, located.len)?;
        Some(DemuxedPacket {
            data,
            track: self.info.as_ref()?,
            pts: located.pts,
            duration: located.duration,
            is_timed: located.is_timed,
            is_discontinuity: located.is_discontinuity,
        })
    }

    fn pass_boundary(&mut self) -> bool {
        let Some(boundary) = self.boundary.take() else { return false };
        if self.at != boundary.at {
            // A frame begun here must prove itself by what follows.
            self.is_synced = false;
            self.expected = self.at.min(boundary.at);
        }
        if !boundary.continues {
            self.is_lost |= self.reference.is_some();
            self.is_synced = false;
            self.expected = boundary.at;
        }
        if !boundary.continues || self.at > boundary.at {
            self.at = boundary.at;
            self.queue.stop_discarding();
        }
        self.is_segment_start = true;
        true
    }

    fn enter_frame(&mut self, header: F::Header) -> Result<(), DemuxError> {
        if let Some(what) = F::refusal(&header) {
            return Err(DemuxError::Unsupported { container: F::CONTAINER, what });
        }
        let len = F::frame_len(&header);
        let offset = self.at;
        let is_new = self.info.is_none() || self.reference.is_none_or(|last| !F::is_same(&last, &header));
        let is_segment_start = std::mem::take(&mut self.is_segment_start);
        if is_new || is_segment_start {
            let frame = self.queue.slice(offset, len).unwrap_or_default();
            let tag = if self.is_packed && is_segment_start { F::tag(&header, frame) } else { None };
            if let Some(gapless) = tag {
                self.gapless = gapless.or(self.gapless);
                self.step_over(header, len);
                return Ok(());
            }
            if is_new {
                let info = F::describe(&header, frame)?;
                self.describe(info);
            }
        }
        self.step_over(header, len);
        self.blocks = Some((offset, header, 0));
        Ok(())
    }

    fn step_over(&mut self, header: F::Header, len: usize) {
        self.at += len as u64;
        self.is_synced = true;
        self.reference = Some(header);
        self.garbage = 0;
    }

    fn describe(&mut self, info: TrackInfo) {
        // Behind a seek the tag frame is not seen again.
        let gapless = self.gapless.take().or(self.info.as_ref().and_then(|info| info.gapless));
        let info = TrackInfo { serial: self.serial, id: self.id, gapless, ..info };
        if self.info.as_ref() != Some(&info) {
            self.serial += 1;
            self.info = Some(TrackInfo { serial: self.serial, ..info });
        }
    }

    fn next_block(&mut self) -> Option<Located> {
        loop {
            let (offset, header, index) = self.blocks?;
            if index >= F::blocks(&header) {
                self.blocks = None;
                return None;
            }
            self.blocks = Some((offset, header, index + 1));
            let frame = self.queue.slice(offset, F::frame_len(&header))?;
            let range = F::block(&header, frame, index);
            let (pts, duration, is_timed) =
                self.clock.tick(offset, F::block_frames(&header), F::sample_rate(&header));
            if !range.is_empty() {
                let is_discontinuity = std::mem::take(&mut self.is_lost);
                let (offset, len) = (offset + range.start as u64, range.len());
                return Some(Located { offset, len, pts, duration, is_timed, is_discontinuity });
            }
        }
    }
}
