//! Segments of an HLS presentation to PCM, without I/O and without threads.

mod clock;
mod core;
mod settings;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use self::clock::Stamp;
use self::core::{Core, Sync};
use crate::demux::{Container, DemuxError, Demuxer, Sniff, TrackInfo, sniff, sniff_at_end};
use crate::{AudioSpec, DecodeError, PcmChunk};

pub use settings::{Anchor, Expected, SegmentDecoderSettings, SegmentPosition, SegmentStart};

/// Bytes at the start of a segment that may be needed to tell its container.
const SNIFF_LIMIT: usize = 512 * 1024;

/// Bytes at a segment's beginning that tell whether it is another file than its init section: as many as [`sniff`] wants.
const FIRST_LOOK: u64 = 16;

/// Segments at the very start of a presentation that may hold no audio.
const MAX_SILENT_START: u32 = 3;

/// Bytes of a segment that are kept to tell an empty one from no media.
const HEAD_KEPT: usize = 4096;

/// Decodes the segments of a presentation, pushed as they arrive, to PCM with exact positions.
///
/// Per segment: [`begin_segment`](Self::begin_segment), [`push`](Self::push) each piece of its body as it arrives and
/// [`next_chunk`](Self::next_chunk) until `None`, then [`end_segment`](Self::end_segment) and `next_chunk` until `None`.
/// At the very end [`finish`](Self::finish), and `next_chunk` until `None`.
///
/// Chunks follow each other without gap or overlap, from the first one, or from the frame of the last
/// [`seek`](Self::seek), on. Inside a run of segments decoded frames are counted; at a start, a seek, a change of variant
/// and behind a gap, timestamps say where a packet belongs: what was heard already is dropped, and a hole is silence.
/// After an error the next segment can be begun as usual.
pub struct SegmentDecoder {
    core: Core,
    feed: Feed,
    segment: Option<Segment>,
    init: Option<Bytes>,
    /// There are packets in the init section, as some packagers make it.
    init_holds_media: bool,
    variant: Option<usize>,
    /// Segments without any audio at the very start, and where the last of them ends by the playlist.
    silent_start: (u32, Duration),
    /// What went wrong where it could not be said.
    failure: Option<DecodeError>,
}

/// Where the bytes of a segment go.
enum Feed {
    /// The container is not known yet: the bytes so far.
    Unknown(BytesMut),
    Known(Container, Box<dyn Demuxer>),
    /// The demuxer gave up; only another one makes sense.
    Broken,
}

struct Segment {
    start: SegmentStart,
    /// Its first bytes, as long as no packet came of it.
    head: Vec<u8>,
    bytes: u64,
    packets: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Drained,
}

impl std::fmt::Debug for SegmentDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentDecoder")
            .field("spec", &self.spec())
            .field("track", &self.track())
            .field("variant", &self.variant)
            .finish_non_exhaustive()
    }
}

impl SegmentDecoder {
    /// A decoder that waits for its first segment.
    #[must_use]
    pub fn new(settings: SegmentDecoderSettings) -> Self {
        Self {
            core: Core::new(settings),
            feed: Feed::Unknown(BytesMut::new()),
            segment: None,
            init: None,
            init_holds_media: false,
            variant: None,
            silent_start: (0, Duration::ZERO),
            failure: None,
        }
    }

    /// Announces the next segment.
    ///
    /// # Errors
    /// The init section cannot be read, or its codec is not supported.
    pub fn begin_segment(&mut self, start: SegmentStart) -> Result<(), DecodeError> {
        let same_variant = self.variant == Some(start.variant);
        let same_init = same_bytes(self.init.as_ref(), start.init.as_ref());
        // The first segment again, after a seek: what lies in the init section is part of it.
        let repeats_init = start.is_first && self.init_holds_media;
        let continues = same_variant
            && same_init
            && !start.discontinuity
            && !repeats_init
            && matches!(self.feed, Feed::Known(..));
        if self.core.sync == Sync::Counting && start.discontinuity {
            self.core.sync = Sync::NewTimeline;
        } else if self.core.sync == Sync::Counting && !continues {
            self.core.sync = Sync::ByTime;
        }
        self.variant = Some(start.variant);
        let near = self.core.clock.time_near(&start);
        self.core.begin_segment(!continues);
        let init = start.init.clone();
        let mut head = self.segment.take().map_or_else(Vec::new, |segment| segment.head);
        head.clear();
        self.segment = Some(Segment { start, head, bytes: 0, packets: 0, state: State::Open });
        if !continues {
            self.feed = Feed::Unknown(BytesMut::new());
            self.init = None;
            self.init_holds_media = false;
            self.core.expect_new_track();
            if let Some(init) = init {
                self.read_init(init)?;
            }
        }
        if let (Feed::Known(_, demuxer), Some(near)) = (&mut self.feed, near) {
            demuxer.set_time_hint(near);
        }
        Ok(())
    }

    fn read_init(&mut self, init: Bytes) -> Result<(), DecodeError> {
        let container = match sniff_at_end(&init) {
            Sniff::Found(container) => container,
            Sniff::Unsupported(codec) => return Err(DecodeError::Unsupported(codec.to_string())),
            _ => return Err(DecodeError::NotMedia("init section".into())),
        };
        let mut demuxer = container.demuxer();
        self.feed = Feed::Broken;
        demuxer.push(init.clone())?;
        // Asking for a packet makes the demuxer read it.
        let holds_media = demuxer.next_packet()?.is_some();
        self.init_holds_media = holds_media;
        if let Some(track) = demuxer.track() {
            self.core.prepare(track)?;
        }
        if holds_media && self.segment.as_ref().is_some_and(|segment| segment.start.is_first) {
            // It should hold no packets; there are packagers that leave those of the first segment in it.
            demuxer = container.demuxer();
            demuxer.push(init.clone())?;
        } else if holds_media {
            while demuxer.next_packet()?.is_some() {}
        }
        self.feed = Feed::Known(container, demuxer);
        self.init = Some(init);
        Ok(())
    }

    /// Gives more of the segment's body, cut anywhere.
    ///
    /// # Errors
    /// The bytes are not media, or not media that can be demuxed.
    pub fn push(&mut self, data: Bytes) -> Result<(), DecodeError> {
        let Some(segment) = &mut self.segment else { return Ok(()) };
        let held = segment.bytes.min(FIRST_LOOK) as usize;
        let is_head = held < FIRST_LOOK as usize;
        segment.bytes += data.len() as u64;
        if segment.packets == 0 || is_head {
            let room = HEAD_KEPT.saturating_sub(segment.head.len()).min(data.len());
            segment.head.extend_from_slice(&data[..room]);
        }
        match &mut self.feed {
            Feed::Known(..) if segment.bytes < FIRST_LOOK => Ok(()),
            Feed::Known(container, demuxer) => {
                let data = if is_head && held > 0 {
                    [&segment.head[..held], &data[..]].concat().into()
                } else {
                    data
                };
                // Segments may change their container without anything in the playlist to tell: an init section goes on
                // to apply where what it does not belong to is spliced in behind it. One that is a whole file begins anew.
                if is_head
                    && let Sniff::Found(other) = sniff(&data)
                    && (other != *container || self.init.is_none() && data.get(4..8) == Some(b"ftyp"))
                {
                    self.init = None;
                    return self.choose(other, data);
                }
                demuxer.push(data).map_err(DecodeError::from)
            }
            Feed::Unknown(head) if head.is_empty() && !matches!(sniff(&data), Sniff::NeedMore) => {
                let verdict = sniff(&data);
                self.judge(verdict, data)
            }
            Feed::Unknown(head) => {
                head.extend_from_slice(&data);
                let verdict = if head.len() > SNIFF_LIMIT { sniff_at_end(head) } else { sniff(head) };
                if verdict == Sniff::NeedMore {
                    return Ok(());
                }
                let head = std::mem::take(head).freeze();
                self.judge(verdict, head)
            }
            Feed::Broken => Ok(()),
        }
    }

    fn judge(&mut self, verdict: Sniff, head: Bytes) -> Result<(), DecodeError> {
        match verdict {
            Sniff::Found(container) => self.choose(container, head),
            Sniff::Unsupported(codec) => {
                self.feed = Feed::Broken;
                Err(DecodeError::Unsupported(codec.to_string()))
            }
            _ => {
                self.feed = Feed::Broken;
                Err(DecodeError::NotMedia(describe(&head)))
            }
        }
    }

    fn choose(&mut self, container: Container, head: Bytes) -> Result<(), DecodeError> {
        let mut demuxer = container.demuxer();
        if let Some(near) =
            self.segment.as_ref().and_then(|segment| self.core.clock.time_near(&segment.start))
        {
            demuxer.set_time_hint(near);
        }
        demuxer.push(head)?;
        self.core.expect_new_track();
        self.feed = Feed::Known(container, demuxer);
        Ok(())
    }

    /// The next PCM chunk; `None` when more bytes, or the next segment, are needed.
    ///
    /// # Errors
    /// The bytes are not media, or not media that can be decoded. A segment that turns out to hold no audio at all is
    /// [`DecodeError::NotMedia`] here, after its end.
    pub fn next_chunk(&mut self) -> Result<Option<PcmChunk>, DecodeError> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        loop {
            if let Some(chunk) = self.core.pipeline.output.next_chunk(false) {
                return Ok(Some(chunk));
            }
            if !self.decode_packet()? {
                let chunk = self.core.pipeline.output.next_chunk(true);
                return if chunk.is_some() { Ok(chunk) } else { self.check_drained().map(|()| None) };
            }
        }
    }

    /// Decodes one packet; `false` when there is none.
    fn decode_packet(&mut self) -> Result<bool, DecodeError> {
        let (Some(segment), Feed::Known(_, demuxer)) = (&mut self.segment, &mut self.feed) else {
            return Ok(false);
        };
        match demuxer.next_packet() {
            Ok(Some(packet)) => {
                segment.packets += 1;
                let taken = self.core.take(&packet, &segment.start);
                if taken.is_err() {
                    self.feed = Feed::Broken;
                }
                taken.map(|()| true)
            }
            Ok(None) => Ok(false),
            Err(DemuxError::Truncated { container, missing }) => {
                tracing::warn!(%container, missing, "a segment ended early");
                self.core.sync = Sync::ByTime;
                Ok(true)
            }
            Err(error) => {
                self.feed = Feed::Broken;
                self.core.sync = Sync::ByTime;
                let is_silent = matches!(error, DemuxError::NoAudio { .. }) && self.pass_silent_start();
                if is_silent { Ok(false) } else { Err(error.into()) }
            }
        }
    }

    /// A segment holds no audio. Some packagers begin with video alone: at the very start there is silence of its length,
    /// for a few segments. `false`: that is too much.
    fn pass_silent_start(&mut self) -> bool {
        let Some(SegmentStart { timeline_start, duration, .. }) =
            self.segment.as_ref().map(|segment| segment.start.clone())
        else {
            return false;
        };
        let (count, end) = self.silent_start;
        if timeline_start < end {
            // Again, behind a seek: the next segment finds its place by its timestamps.
            return true;
        }
        if self.core.pipeline.output.spec().is_some() || count >= MAX_SILENT_START {
            return false;
        }
        tracing::warn!(?timeline_start, "a segment at the start holds no audio");
        self.silent_start = (count + 1, timeline_start + duration);
        self.failure = self.core.insert_silence(duration).err();
        true
    }

    /// A segment that gave nothing is said once. With a head of its container it is an empty one, such as packagers put
    /// at the end; anything else is no media.
    fn check_drained(&mut self) -> Result<(), DecodeError> {
        let Some(segment) = self.segment.as_mut().filter(|segment| segment.state == State::Ended) else {
            return Ok(());
        };
        segment.state = State::Drained;
        if segment.packets > 0 || matches!(self.feed, Feed::Broken) {
            return Ok(());
        }
        self.core.sync = Sync::ByTime;
        if let Sniff::Found(container) = sniff_at_end(&segment.head) {
            tracing::warn!(bytes = segment.bytes, "a segment holds no audio");
            let is_start = self.core.pipeline.output.spec().is_none();
            if is_start && !self.pass_silent_start() {
                return Err(DemuxError::NoAudio { container }.into());
            }
            return Ok(());
        }
        Err(DecodeError::NotMedia(format!("a segment of {} bytes without audio", segment.bytes)))
    }

    /// Says that the body of the segment is complete. Call [`next_chunk`](Self::next_chunk) until `None` after it.
    ///
    /// # Errors
    /// The segment was too short to be any media.
    pub fn end_segment(&mut self) -> Result<(), DecodeError> {
        let Some(segment) = self.segment.as_mut().filter(|segment| segment.state == State::Open) else {
            return Ok(());
        };
        segment.state = State::Ended;
        match &mut self.feed {
            Feed::Unknown(head) if head.is_empty() => return Ok(()),
            Feed::Unknown(head) => {
                let head = std::mem::take(head).freeze();
                self.judge(sniff_at_end(&head), head)?;
            }
            Feed::Known(_, demuxer) if segment.bytes < FIRST_LOOK => {
                demuxer.push(Bytes::copy_from_slice(&segment.head))?;
            }
            _ => {}
        }
        if let Feed::Known(_, demuxer) = &mut self.feed {
            demuxer.finish()?;
        }
        Ok(())
    }

    /// Puts silence in place of a segment that is missing (EXT-X-GAP). The segment behind it finds its place by its
    /// timestamps.
    pub fn insert_silence(&mut self, duration: Duration) {
        self.segment = None;
        if let Feed::Known(_, demuxer) = &mut self.feed {
            demuxer.discard();
        }
        self.failure = self.core.insert_silence(duration).err();
    }

    /// Says that the presentation has ended: flushes the resampler. Call [`next_chunk`](Self::next_chunk) until `None`.
    ///
    /// # Errors
    /// The resampler failed.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        self.core.finish()
    }

    /// Moves to `frame` (at the output rate): forgets everything but the codec's tables, and drops PCM before `frame`.
    ///
    /// Then begin with the segment that holds the position [`preroll`](Self::preroll) before `frame`, from its start.
    pub fn seek(&mut self, frame: u64) {
        self.segment = None;
        match &mut self.feed {
            Feed::Known(_, demuxer) => demuxer.discard(),
            feed => *feed = Feed::Unknown(BytesMut::new()),
        }
        self.core.seek(frame);
    }

    /// How much before a seek target feeding must begin for the target to sound as in straight playback. At most a
    /// second; a safe guess until the first track is known.
    #[must_use]
    pub fn preroll(&self) -> Duration {
        let Some(track) = self.core.track() else { return Duration::from_millis(500) };
        let frames = self.core.preroll(track);
        AudioSpec::new(track.sample_rate.max(1), 1).position_of(frames).min(Duration::from_secs(1))
    }

    /// Rate and channels of the output; `None` until the first packet is decoded.
    #[must_use]
    pub fn spec(&self) -> Option<AudioSpec> {
        self.core.pipeline.output.spec()
    }

    /// The track that is being decoded, as its container describes it.
    #[must_use]
    pub fn track(&self) -> Option<&TrackInfo> {
        self.core.track()
    }

    /// The container of the segment that is being decoded, once its first bytes have told.
    #[must_use]
    pub fn container(&self) -> Option<Container> {
        match &self.feed {
            Feed::Known(container, _) => Some(*container),
            _ => None,
        }
    }

    /// Where the first packet of the segment begun last was placed; `None` until it is decoded.
    #[must_use]
    pub fn segment_position(&self) -> Option<SegmentPosition> {
        self.core.segment_position()
    }

    /// The media time that is frame 0, once learned from the first segment or set.
    #[must_use]
    pub fn anchor(&self) -> Option<Anchor> {
        self.core.clock.anchor()
    }

    /// Sets the media time that is frame 0 (learned by an earlier decoder, or by [`probe_anchor`](Self::probe_anchor)).
    pub fn set_anchor(&mut self, anchor: Anchor) {
        self.core.clock.set_anchor(anchor);
    }

    /// Learns the anchor from the init section and the first bytes of the presentation's first segment: enough of them
    /// that its first packet is complete (a few kilobytes). `None` when they are not enough.
    #[must_use]
    pub fn probe_anchor(init: Option<&Bytes>, head: &[u8]) -> Option<Anchor> {
        Self::probe_anchor_with(false, init, head)
    }

    /// [`probe_anchor`](Self::probe_anchor) for decoders with [`SegmentDecoderSettings::edit_lists`] as given.
    #[must_use]
    pub fn probe_anchor_with(edit_lists: bool, init: Option<&Bytes>, head: &[u8]) -> Option<Anchor> {
        let Sniff::Found(container) = sniff_at_end(init.map_or(head, |init| init)) else { return None };
        let mut demuxer = container.demuxer();
        if let Some(init) = init {
            demuxer.push(init.clone()).ok()?;
            while demuxer.next_packet().ok()?.is_some() {}
        }
        demuxer.push(Bytes::copy_from_slice(head)).ok()?;
        let packet = demuxer.next_packet().ok()??;
        let stamp = Stamp { rate: packet.track.sample_rate.max(1), packet: &packet, edits: edit_lists };
        Some(stamp.anchor())
    }
}

/// Whether two init sections are the same: by address first, then by content.
fn same_bytes(a: Option<&Bytes>, b: Option<&Bytes>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => (a.as_ptr() == b.as_ptr() && a.len() == b.len()) || a == b,
        _ => false,
    }
}

/// What the first bytes of something that is no media look like, for an error message.
fn describe(head: &[u8]) -> String {
    let text: String =
        String::from_utf8_lossy(&head[..head.len().min(32)]).chars().filter(|c| !c.is_control()).collect();
    format!("begins with {text:?}")
}
