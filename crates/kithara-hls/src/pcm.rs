//! The reader's side: messages to PCM, wherever the application pulls.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kithara_bufpool::BytePool;
use kithara_decode::demux::{Codec, Container};
use kithara_decode::{
    AudioSpec, DecodeError, Expected, PcmChunk, PcmSource, SegmentDecoder, SegmentDecoderSettings,
    SegmentStart,
};
use kithara_storage::{StorageError, Streaming};
use tokio::time::Instant;

use crate::abr::{SwitchReason, VariantMode};
use crate::adapter::HlsSourceAdapter;
use crate::body::SegmentBody;
use crate::error::{Fetching, HlsError};
use crate::events::HlsEvent;
use crate::message::{Content, Failure, HlsMessage};
use crate::playback_rate::PlaybackRate;
use crate::reader_state::ReaderSender;
use crate::shared::{Counters, Shared};

mod places;
mod seek_check;

use places::{Grid, Places};
use seek_check::{Landed, SLACK, SeekCheck, Verdict};

/// Attempts to get one segment from elsewhere before its failure is the stream's. Each excludes what failed, so the
/// worker ends them by itself sooner; this bounds a worker that cannot.
const MAX_RECOVERIES: u32 = 32;

/// Encodes whose packet lengths are remembered.
const MAX_ENCODES: usize = 4;

/// Decodes the segments of one stream. It owns no thread and no task: decoding happens in the caller's poll.
pub struct HlsPcm<R: Streaming> {
    adapter: HlsSourceAdapter<R>,
    decoder: SegmentDecoder,
    bytes: BytePool,
    shared: Arc<Shared>,
    reader: ReaderSender,
    state: State<R>,
    spec: AudioSpec,
    duration: Option<Duration>,
    /// The next frame to give out.
    position: u64,
    /// The variant that is heard.
    heard: Option<usize>,
    /// The variant that is about to be heard, if it is another one.
    next_heard: Option<NextHeard>,
    /// Where the segment after the last one begins; `None` after a jump.
    next_start: Option<Duration>,
    /// The position at which the segment began that is being read, if it is read from its beginning on.
    began: Option<u64>,
    /// Discontinuity domain of the segment that was fed last.
    domain: Option<u64>,
    recoveries: u32,
    /// A seek that has not arrived.
    check: Option<SeekCheck>,
    /// Where segments begin, as far as that is known.
    places: Places,
    /// Packets of the encodes decoded so far, the latest first.
    packets: Vec<Grid>,
    /// The present segment's place was taken down.
    is_placed: bool,
    /// The next segment does not follow the frames counted so far.
    is_apart: bool,
    /// PCM that `open` decoded to learn the format.
    first: Option<PcmChunk>,
    /// How fast the application takes the PCM.
    rate: PlaybackRate,
    /// PCM was given out since the last seek: finding nothing to decode is running dry.
    playing: bool,
    /// Since when there has been nothing to decode.
    dry_since: Option<Instant>,
    /// Why the last gap is one.
    last_failure: Option<Arc<HlsError>>,
}

impl<R: Streaming> fmt::Debug for HlsPcm<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HlsPcm")
            .field("spec", &self.spec)
            .field("duration", &self.duration)
            .field("position", &self.position)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

enum State<R> {
    /// The next message is wanted.
    Between,
    /// A body is being read.
    Reading { message: HlsMessage<R>, body: SegmentBody<R>, position: u64 },
    /// A segment is fed completely, and its last PCM is being taken.
    Draining(HlsMessage<R>),
    /// The presentation is fed completely.
    Finishing,
    /// The last PCM was given out.
    Ended,
}

impl<R: Streaming> HlsPcm<R> {
    /// Decodes up to the first PCM, so that the format is known.
    pub(crate) async fn open(
        adapter: HlsSourceAdapter<R>,
        settings: SegmentDecoderSettings,
        bytes: BytePool,
        shared: Arc<Shared>,
        reader: ReaderSender,
        duration: Option<Duration>,
    ) -> Result<Self, HlsError> {
        let mut pcm = Self {
            adapter,
            decoder: SegmentDecoder::new(settings),
            bytes,
            shared,
            reader,
            state: State::Between,
            spec: AudioSpec::new(1, 1),
            duration,
            position: 0,
            heard: None,
            next_heard: None,
            next_start: None,
            began: None,
            domain: None,
            recoveries: 0,
            check: None,
            places: Places::default(),
            packets: Vec::new(),
            is_placed: false,
            is_apart: false,
            first: None,
            rate: PlaybackRate::default(),
            playing: false,
            dry_since: None,
            last_failure: None,
        };
        pcm.first = pcm.pull().await?;
        match pcm.first.as_ref().map(PcmChunk::spec).or_else(|| pcm.decoder.spec()) {
            Some(spec) => pcm.spec = spec,
            None => {
                // Silence throughout: the reason of the last gap is the reason of it all.
                return Err(match pcm.last_failure.take() {
                    Some(error) => (*error).clone(),
                    None => HlsError::Unsupported { what: "a presentation without any audio".to_owned() },
                });
            }
        }
        Ok(pcm)
    }

    /// Changes the variant mode from the next segment on.
    pub(crate) fn set_mode(&mut self, mode: VariantMode) {
        let from = match &self.state {
            State::Reading { message, .. } => message.start + message.duration,
            _ => self.spec.position_of(self.position),
        };
        self.adapter.set_mode(mode, from);
    }

    /// Short name of the container that is being decoded.
    pub(crate) fn container(&self) -> Option<&'static str> {
        Some(match self.decoder.container()? {
            Container::Fmp4 => "fmp4",
            Container::MpegTs => "mpegts",
            Container::Adts => "adts",
            Container::MpegAudio => "mp3",
            _ => "other",
        })
    }

    /// Short name of the codec that is being decoded.
    pub(crate) fn codec(&self) -> Option<&'static str> {
        Some(match self.decoder.track()?.codec {
            codec if codec.is_aac() => "aac",
            Codec::Mp3 => "mp3",
            Codec::Mp2 => "mp2",
            Codec::Mp1 => "mp1",
            Codec::Flac => "flac",
            Codec::Alac => "alac",
            Codec::Opus => "opus",
            Codec::Vorbis => "vorbis",
            _ => "other",
        })
    }

    async fn pull(&mut self) -> Result<Option<PcmChunk>, HlsError> {
        loop {
            match self.step().await {
                Ok(Step::Chunk(chunk)) => {
                    self.recoveries = 0;
                    self.note_heard(&chunk);
                    return Ok(Some(chunk));
                }
                Ok(Step::More) => {}
                Ok(Step::End) => return Ok(None),
                Err(error) => self.recover(error)?,
            }
        }
    }

    /// One step of the way from a message to a chunk. Every await is the last thing that a step does before it changes
    /// state, so that dropping it loses nothing.
    async fn step(&mut self) -> Result<Step, HlsError> {
        let chunk = self.decoder.next_chunk().map_err(|error| self.decode_error(error))?;
        if !self.is_placed {
            self.note_place();
        }
        if self.check.is_some() && self.is_on_the_way(chunk.is_some()) {
            return Ok(Step::More);
        }
        if let Some(chunk) = chunk {
            return Ok(Step::Chunk(chunk));
        }
        match &mut self.state {
            State::Between => match self.adapter.next().await? {
                Some(message) => {
                    let follows = self.next_start.replace(message.start + message.duration).is_some();
                    self.began = (follows || self.position == 0).then_some(self.position);
                    self.begin(message)?;
                }
                None => {
                    self.state = State::Finishing;
                    self.decoder.finish().map_err(|error| self.decode_error(error))?;
                }
            },
            State::Reading { message, body, position } => {
                if self.playing
                    && self.dry_since.is_none()
                    && self.rate.speed().is_some()
                    && !body.has(*position)
                {
                    self.dry_since = Some(Instant::now());
                    self.reader.run_dry();
                    self.shared.emit(HlsEvent::Stalled { at: self.spec.position_of(self.position) });
                }
                match body
                    .read(*position, &self.bytes)
                    .await
                    .map_err(|error| storage_error(message, error))?
                {
                    Some(data) => {
                        *position += data.len() as u64;
                        self.decoder.push(data).map_err(|error| self.decode_error(error))?;
                    }
                    None => {
                        let message = message.clone();
                        self.decoder.end_segment().map_err(|error| self.decode_error(error))?;
                        self.state = State::Draining(message);
                    }
                }
            }
            State::Draining(message) => {
                if !self.is_placed {
                    // A segment without audio: the seek is where it was meant to be.
                    self.check = self.check.take().filter(SeekCheck::is_visiting);
                    self.is_apart = true;
                }
                if let Some(began) = self.began.take() {
                    let actual = self.spec.position_of(self.position.saturating_sub(began));
                    message.warn_of_length(actual);
                }
                self.state = State::Between;
            }
            State::Finishing => {
                self.state = State::Ended;
                self.shared.emit(HlsEvent::Ended);
            }
            State::Ended => return Ok(Step::End),
        }
        Ok(Step::More)
    }

    fn begin(&mut self, message: HlsMessage<R>) -> Result<(), HlsError> {
        self.reader.enter(message.start);
        match message.content.clone() {
            Content::Gap { error } => {
                // Up to its end, from wherever the reader is in it.
                let end = message.start + message.duration;
                let rest = end.saturating_sub(self.spec_position()).min(message.duration);
                self.check = self.check.take().filter(SeekCheck::is_visiting);
                self.is_placed = true;
                self.is_apart = true;
                self.decoder.insert_silence(rest);
                Counters::add(&self.shared.counters.gaps, 1);
                let HlsMessage { segment, start, duration, .. } = message;
                let told = error.as_deref().map(|error| crate::error::chain(error));
                self.last_failure = error.or(self.last_failure.take());
                self.shared.emit(HlsEvent::Gap { segment, start, duration, error: told });
                self.state = State::Draining(message);
            }
            Content::Body { body, cached } => {
                self.announce(&message, cached);
                let expected = if std::mem::take(&mut self.is_apart) { self.expect(&message) } else { None };
                self.is_placed = false;
                let start = SegmentStart {
                    init: message.init.clone(),
                    timeline_start: message.start,
                    duration: message.duration,
                    is_first: message.is_first,
                    discontinuity: !message.is_first
                        && self.domain.is_some_and(|domain| domain != message.discontinuity_sequence),
                    variant: message.variant,
                    domain: message.discontinuity_sequence,
                    expected,
                };
                self.domain = Some(message.discontinuity_sequence);
                self.state = State::Reading { message, body, position: 0 };
                self.decoder.begin_segment(start).map_err(|error| self.decode_error(error))?;
            }
        }
        Ok(())
    }

    fn announce(&mut self, message: &HlsMessage<R>, cached: bool) {
        Counters::add(&self.shared.counters.segments, 1);
        let at = message.start.max(self.spec_position());
        let next = NextHeard { variant: message.variant, reason: message.reason, at };
        self.next_heard = Some(next).filter(|next| self.heard != Some(next.variant));
        let HlsMessage { variant, segment, start, .. } = *message;
        self.shared.emit(HlsEvent::SegmentStarted { variant, segment, start, cached });
    }

    /// A variant counts as heard with its first PCM: a segment that is begun may still fail.
    fn note_heard(&mut self, chunk: &PcmChunk) {
        let end = chunk.spec().position_of(chunk.position() + chunk.frames() as u64);
        let Some(NextHeard { variant, reason, at }) = self.next_heard.take_if(|next| end > next.at) else {
            return;
        };
        self.shared.variant.store(variant, Ordering::Relaxed);
        if let Some(from) = self.heard.replace(variant) {
            Counters::add(&self.shared.counters.switches, 1);
            self.shared.emit(HlsEvent::VariantSwitched { at, from, to: variant, reason });
        }
    }

    /// Asks the worker to bring the failed segment from elsewhere; an error of the worker itself is final.
    fn recover(&mut self, error: HlsError) -> Result<(), HlsError> {
        let (State::Reading { message, .. } | State::Draining(message)) = &self.state else {
            return Err(error);
        };
        let segment = message.place();
        self.recoveries += 1;
        if self.recoveries > MAX_RECOVERIES {
            return Err(error);
        }
        let failure = Failure::new(error);
        self.rewind_decoder();
        let resume_at = self.spec_position().saturating_sub(self.decoder.preroll()).min(segment.start);
        // The body first: a store does not remove what is held.
        self.jump();
        self.adapter.failed(segment, resume_at, failure);
        Ok(())
    }

    /// Where the message's first packet should lie by what was decoded so far, and by the playlist.
    fn expect(&self, message: &HlsMessage<R>) -> Option<Expected> {
        let HlsMessage { list, segment, variant, start, .. } = message;
        self.places.expect(list, *segment, *variant, *start, &self.packets)
    }

    /// Takes down where the present segment begins, once its first packet is decoded.
    fn note_place(&mut self) {
        let (State::Reading { message, .. } | State::Draining(message)) = &self.state else { return };
        let Some(position) = self.decoder.segment_position() else { return };
        self.is_placed = true;
        // A segment without a duration stands where the next one does.
        let has_place = message.list.start_of(message.segment).and_then(|start| message.list.index_at(start))
            == Some(message.segment);
        if position.is_certain && position.is_whole && has_place {
            self.places.learn(message.start, message.variant, position.frame, position.rate);
        }
        if let Some(track) = self.decoder.track() {
            let grid = Grid { rate: track.sample_rate.max(1), step: track.frames_per_packet.unwrap_or(1) };
            self.packets.retain(|known| *known != grid);
            self.packets.insert(0, grid);
            self.packets.truncate(MAX_ENCODES);
        }
    }

    /// Whether a seek has to go on before anything is given out. What was decoded until now is dropped then.
    fn is_on_the_way(&mut self, has_chunk: bool) -> bool {
        let (State::Reading { message, .. } | State::Draining(message)) = &self.state else { return false };
        let landed = Landed::of(message);
        let Some(check) = &mut self.check else { return false };
        let Some(position) = self.decoder.segment_position() else { return has_chunk && check.is_visiting() };
        match check.look(&landed, position) {
            Verdict::Arrived => {
                self.check = None;
                false
            }
            Verdict::Continue => has_chunk,
            Verdict::Go(to) => {
                self.rewind_decoder();
                self.jump();
                self.adapter.seek(self.inside(to));
                true
            }
        }
    }

    /// A position at which the playlist has a segment: the media may be longer than the durations say.
    fn inside(&self, position: Duration) -> Duration {
        let last = self.duration.map(|duration| duration.saturating_sub(Duration::from_millis(1)));
        last.map_or(position, |last| position.min(last))
    }

    /// Begins at `to`. Where a presentation `is_joined` in the middle the segment there was just decoded, and nothing before
    /// it is looked at; one that `is_live` begins as much later as its codec needs to get going.
    pub(crate) fn start_at(&mut self, to: Duration, is_joined: bool, is_live: bool) {
        let preroll = if is_joined && is_live { self.decoder.preroll() } else { Duration::ZERO };
        self.go_to(to + preroll);
        if is_joined {
            self.check = None;
        }
    }

    /// Moves to `to`: the next PCM begins at exactly the returned frame.
    fn go_to(&mut self, to: Duration) -> u64 {
        // Durations in playlists are rounded: what lies a little behind their sum may still be there.
        let to = self.duration.map_or(to, |duration| to.min(duration + duration / 4 + SLACK));
        if let Some(spec) = self.decoder.spec() {
            self.set_spec(spec);
        }
        let frame = self.spec.frame_at(to);
        self.first = None;
        self.decoder.seek(frame);
        self.position = frame;
        self.rate.interrupt();
        self.playing = false;
        self.reader.moved(self.spec_position(), self.rate.speed());
        self.dry_since = None;
        self.recoveries = 0;
        self.jump();
        let wanted = to.saturating_sub(self.decoder.preroll());
        self.check = Some(SeekCheck::new(wanted));
        self.adapter.seek(self.inside(wanted));
        frame
    }

    /// A live presentation can be played from its oldest segment to its edge.
    fn clamp_to_live(&self, wanted: Duration) -> Duration {
        let state = self.shared.state();
        let (Some(window), Some(edge)) = (state.window, state.live_edge) else { return wanted };
        if wanted > edge {
            self.shared.emit(HlsEvent::SeekClamped { wanted, to: edge });
            return edge;
        }
        wanted.max(window.start)
    }

    /// The next message does not follow the last one.
    fn jump(&mut self) {
        self.next_start = None;
        self.is_apart = true;
        self.is_placed = true;
        self.state = State::Between;
    }

    /// The decoder goes on at the next frame to give out. It may have met another format already.
    fn rewind_decoder(&mut self) {
        let frame = match self.decoder.spec() {
            Some(spec) if spec != self.spec => spec.frame_at(self.spec_position()),
            _ => self.position,
        };
        self.decoder.seek(frame);
    }

    /// The next chunk has this format.
    fn set_spec(&mut self, spec: AudioSpec) {
        if spec != self.spec {
            let at = self.spec_position();
            self.position = spec.frame_at(at);
            self.spec = spec;
            self.shared.emit(HlsEvent::FormatChanged { at, spec });
        }
    }

    fn spec_position(&self) -> Duration {
        self.spec.position_of(self.position)
    }

    fn decode_error(&self, source: DecodeError) -> HlsError {
        match &self.state {
            State::Reading { message, .. } | State::Draining(message) => HlsError::Decode {
                what: Fetching::Segment(message.segment),
                url: message.url.clone(),
                source: Arc::new(if message.is_encrypted { of_decrypted(source) } else { source }),
            },
            _ => HlsError::Unsupported { what: source.to_string() },
        }
    }
}

/// A variant whose first segment is begun.
struct NextHeard {
    variant: usize,
    reason: SwitchReason,
    /// Place in the audio.
    at: Duration,
}

enum Step {
    Chunk(PcmChunk),
    More,
    End,
}

/// Why a decrypted body is no media: most often it was decrypted with another key than it was encrypted with.
fn of_decrypted(source: DecodeError) -> DecodeError {
    match source {
        DecodeError::NotMedia(found) => DecodeError::NotMedia(format!(
            "{found}; it was decrypted: the key or the initialization vector may be wrong"
        )),
        other => other,
    }
}

fn storage_error<R>(message: &HlsMessage<R>, source: StorageError) -> HlsError {
    HlsError::from_storage(Fetching::Segment(message.segment), message.url.clone(), source)
}

impl<R: Streaming> PcmSource for HlsPcm<R> {
    type Error = HlsError;

    fn spec(&self) -> AudioSpec {
        self.spec
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, HlsError> {
        self.rate.asked();
        let chunk = match self.first.take() {
            Some(chunk) => Some(chunk),
            None => self.pull().await?,
        };
        if let Some(since) = self.dry_since.take() {
            let at = self.spec_position();
            self.shared.emit(HlsEvent::Resumed { at, after: since.elapsed() });
        }
        if let Some(chunk) = &chunk {
            self.set_spec(chunk.spec());
            self.position = chunk.position() + chunk.frames() as u64;
            self.rate.given(self.spec.position_of(chunk.frames() as u64));
            self.playing = true;
            self.reader.played(self.spec_position(), self.rate.speed());
            Counters::add(&self.shared.counters.frames, chunk.frames() as u64);
        }
        Ok(chunk)
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, HlsError> {
        Ok(self.go_to(self.clamp_to_live(to)))
    }
}
