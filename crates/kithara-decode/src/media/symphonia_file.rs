//! Containers that Symphonia's format readers take apart: WAV, AIFF, CAF, Matroska.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use symphonia::core::codecs::CodecParameters as TrackParameters;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_FLAC, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{
    FormatOptions, FormatReader as SymphoniaReader, SeekMode, SeekTo, Track, TrackType,
};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::{MetadataRevision, StandardTag};
use symphonia::core::packet::Packet as SymphoniaPacket;
use symphonia::core::units::{TimeBase, Timestamp};
use symphonia::default::formats::{CafReader, MkvReader, WavReader};

use super::details::Tags;
use super::format_reader::{Event, FormatReader, Opened, Packet, Stream};
use super::source::Window;
use super::view::{SharedWindow, View, ViewState};
use crate::codecs::CodecParameters;
use crate::headers::opus::{self, OpusHead};
use crate::{CodecTable, DecodeError};

/// The containers that are left to Symphonia's readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymphoniaFormat {
    Wav,
    Caf,
    Matroska,
}

/// A reader from Symphonia, its chosen track, and what its source is up to.
pub(super) struct SymphoniaFile {
    origin: Origin,
    reader: Box<dyn SymphoniaReader>,
    state: ViewState,
    track: u32,
    time_base: Option<TimeBase>,
    rate: u32,
    packet: Option<SymphoniaPacket>,
    /// The packet is still to be given.
    is_pending: bool,
    /// What follows the packet, where it matters whether it is the last one.
    ahead: Option<Result<SymphoniaPacket, DecodeError>>,
    /// Frame 0 of the presentation, in ticks.
    zero: i64,
    is_ended: bool,
    /// What positions are whole multiples of, where the codec says it.
    grid: Option<i64>,
    /// Frames that the codec gives before frame 0.
    lead: i64,
    /// The track's entry, where its packets are compressed; and the packet given last, as it was before.
    coded: Option<super::matroska::Track>,
    plain: Vec<u8>,
    /// Frames in all, as the file states them; 0: it does not.
    stated: i64,
    /// Where the last packet given ended, or else where the last seek went.
    passed: i64,
    /// The reader's own seek led here.
    is_sought: bool,
    /// The reader's seeks lead astray: only reading from the start finds a place.
    must_walk: bool,
}

/// What it takes to begin anew.
struct Origin {
    format: SymphoniaFormat,
    window: SharedWindow,
    head: Arc<[u8]>,
    tail: u64,
}

impl Origin {
    fn open(&self, state: &ViewState) -> Result<Box<dyn SymphoniaReader>, DecodeError> {
        let view = View::new(Arc::clone(&self.window), Arc::clone(&self.head), self.tail, state.clone());
        let stream = MediaSourceStream::new(Box::new(view), Default::default());
        let opened = catch_unwind(AssertUnwindSafe(|| reader_for(self.format, stream)));
        settle(opened, state)
    }
}

/// What Symphonia says about the track.
pub(super) struct SymphoniaTrack {
    pub(super) params: CodecParameters,
    pub(super) frames: Option<u64>,
    /// Length by the file's header, which rounds it.
    pub(super) duration: Option<Duration>,
    pub(super) tags: Tags,
}

impl SymphoniaFile {
    /// Opens `head` followed by the source from `tail` on. `knows_length` lets the reader look at the end. Of several
    /// tracks, one is chosen that `codecs` can decode.
    pub(super) fn open(
        format: SymphoniaFormat,
        window: Window,
        head: Vec<u8>,
        tail: u64,
        knows_length: bool,
        codecs: Option<&CodecTable>,
    ) -> Result<(Self, SymphoniaTrack), DecodeError> {
        let state = ViewState::default();
        state.hide_length(!knows_length);
        let mut window = window;
        let head_of_file = match format {
            SymphoniaFormat::Matroska => super::matroska::read(&mut window)?,
            _ => Default::default(),
        };
        let origin = Origin { format, window: Arc::new(Mutex::new(window)), head: head.into(), tail };
        let mut reader = match origin.open(&state) {
            Err(error @ DecodeError::Malformed(_)) => {
                // The file may end before what its headers point to: take it as it comes.
                state.hide_seeking(true);
                origin.open(&state).map_err(|_| error)?
            }
            opened => opened?,
        };
        state.hide_length(false);
        let (track, params, entry) = choose(&*reader, codecs, &head_of_file.tracks)?;
        let mut tags = read_tags(&mut *reader);
        let stated = head_of_file.duration;
        let mut own = Tags::default();
        for (name, value) in &head_of_file.tags {
            own.take(name, value);
        }
        tags.fill_from(own);
        let mut file = Self {
            origin,
            reader,
            state,
            track: track.id,
            time_base: track.time_base,
            rate: if params.codec == CODEC_ID_OPUS { 48_000 } else { params.sample_rate.unwrap_or(0) },
            packet: None,
            is_pending: false,
            ahead: None,
            zero: 0,
            is_ended: false,
            grid: grid_of(&params),
            lead: 0,
            coded: entry.filter(super::matroska::Track::is_coded),
            plain: Vec::new(),
            stated: 0,
            passed: 0,
            is_sought: false,
            must_walk: false,
        };
        file.stated = stated.map_or(0, |stated| (stated.as_secs_f64() * f64::from(file.rate)) as i64);
        if file.is_counted_in_frames() {
            file.zero = track.start_ts.get().saturating_add(i64::from(track.delay.unwrap_or(0)));
        } else if file.advance()? {
            file.is_pending = true;
            file.zero = file.packet_time();
            if params.codec == CODEC_ID_VORBIS {
                // The first packet decodes to nothing.
                file.is_pending = false;
                if file.advance()? {
                    file.zero = file.packet_time();
                }
                file.reopen()?;
            }
        }
        Ok((
            file,
            SymphoniaTrack {
                params: CodecParameters::of_symphonia(&params),
                frames: track.num_frames,
                duration: stated,
                tags,
            },
        ))
    }

    /// The same file, in which frame 0 comes `lead` frames after what the codec gives first.
    pub(super) fn led_by(mut self, lead: i64) -> Self {
        self.lead = lead;
        self
    }

    fn is_counted_in_frames(&self) -> bool {
        self.time_base.is_none_or(|base| base.numer.get() == 1 && base.denom.get() == self.rate)
    }

    fn frame_of(&self, ticks: i64) -> i64 {
        let ticks = ticks.saturating_sub(self.zero);
        match self.time_base.filter(|_| !self.is_counted_in_frames()) {
            None => ticks,
            Some(base) => {
                let scaled = i128::from(ticks) * i128::from(base.numer.get()) * i128::from(self.rate);
                let denominator = i128::from(base.denom.get());
                i64::try_from((scaled + denominator / 2).div_euclid(denominator)).unwrap_or(0)
            }
        }
    }

    fn ticks_of(&self, frame: i64) -> i64 {
        let ticks = match self.time_base.filter(|_| !self.is_counted_in_frames()) {
            None => frame,
            Some(base) => {
                let scaled = i128::from(frame) * i128::from(base.denom.get());
                let denominator = i128::from(base.numer.get()) * i128::from(self.rate.max(1));
                i64::try_from(scaled.div_euclid(denominator)).unwrap_or(0)
            }
        };
        ticks.saturating_add(self.zero).max(0)
    }

    fn read(&mut self) -> Result<Option<SymphoniaPacket>, DecodeError> {
        let reader = &mut self.reader;
        let read = catch_unwind(AssertUnwindSafe(|| reader.next_packet()));
        settle(read, &self.state)
    }
}

impl SymphoniaFile {
    /// Reads the next packet of the track into `packet`. `false` at the end.
    fn advance(&mut self) -> Result<bool, DecodeError> {
        if std::mem::take(&mut self.is_pending) {
            return Ok(true);
        }
        let next = match self.ahead.take() {
            Some(next) => Some(next?),
            None => self.read_packet()?,
        };
        let Some(packet) = next else { return Ok(false) };
        if self.origin.format == SymphoniaFormat::Matroska {
            self.ahead = self.read_packet().transpose();
        }
        self.packet = Some(packet);
        Ok(true)
    }

    /// The next packet of the track.
    fn read_packet(&mut self) -> Result<Option<SymphoniaPacket>, DecodeError> {
        while !self.is_ended {
            match self.read()? {
                Some(packet) if packet.track_id == self.track => return Ok(Some(packet)),
                Some(_) => {}
                None => self.is_ended = true,
            }
        }
        Ok(None)
    }

    /// Frames of the packet's end that are not to be heard, which Symphonia does not tell of the last packet of a Matroska file:
    /// its `DiscardPadding` stands right behind it.
    fn padding(&self, packet: &SymphoniaPacket) -> u64 {
        if self.origin.format != SymphoniaFormat::Matroska || self.ahead.is_some() {
            return 0;
        }
        let window = self.origin.window.lock();
        discard_padding(window.history(), &packet.data).map_or(0, |nanos| {
            let frames = u128::from(nanos) * u128::from(self.rate);
            u64::try_from((frames + 500_000_000) / 1_000_000_000).unwrap_or(0)
        })
    }

    /// Time of the packet, in ticks.
    fn packet_time(&self) -> i64 {
        self.packet.as_ref().map_or(0, |packet| packet.pts.get())
    }

    /// Where the packet stands. A clock that is coarser than frames is made exact by the grid that packets lie on.
    fn position(&self) -> Option<i64> {
        let frame = self.packet.as_ref().map(|packet| self.frame_of(packet.pts.get()))?;
        Some(match self.grid.filter(|_| !self.is_counted_in_frames()) {
            Some(grid) => (frame + grid / 2).div_euclid(grid) * grid,
            None => frame,
        })
    }

    /// Seeks by Symphonia's means. `false` when what comes next does not begin at or before `frame`.
    fn seek_by_reader(&mut self, frame: i64) -> Result<bool, DecodeError> {
        // The reader takes a packet of unknown length for one that ends where it begins: go a few packets further back.
        let early = if self.is_counted_in_frames() { 0 } else { i64::from(self.rate) / 5 };
        let ts = Timestamp::new(self.ticks_of(frame.saturating_sub(early)));
        let to = SeekTo::Timestamp { ts, track_id: self.track };
        let reader = &mut self.reader;
        self.is_ended = false;
        self.is_pending = false;
        self.ahead = None;
        let sought = catch_unwind(AssertUnwindSafe(|| reader.seek(SeekMode::Accurate, to).map(|_| true)));
        match settle(sought, &self.state) {
            Ok(true) => {}
            Err(DecodeError::Io(error)) => return Err(DecodeError::Io(error)),
            _ => return Ok(false),
        }
        self.is_pending = self.advance()?;
        let Some(position) = self.position().filter(|_| self.is_pending) else { return Ok(false) };
        // Behind some seeks the reader gives one packet and then the end: that is believed of the last one only.
        let is_last = self.origin.format == SymphoniaFormat::Matroska && self.ahead.is_none();
        let frames = self.grid.unwrap_or(i64::from(self.rate));
        Ok(position <= frame && !(is_last && position.saturating_add(frames) <= frame))
    }

    fn reopen(&mut self) -> Result<(), DecodeError> {
        self.reader = self.origin.open(&self.state)?;
        (self.is_ended, self.is_pending, self.ahead) = (false, false, None);
        Ok(())
    }

    /// Behind some of its own seeks the reader ends too early. Where that shows, goes on by reading from the start.
    fn finds_more(&mut self) -> Result<bool, DecodeError> {
        let is_early = self.passed.saturating_add(i64::from(self.rate) / 2) < self.stated;
        if !std::mem::take(&mut self.is_sought) || !is_early {
            return Ok(false);
        }
        self.must_walk = true;
        self.reopen()?;
        self.walk(self.passed)
    }

    /// Reads on to the packet that holds `frame`. `false` at the end.
    fn walk(&mut self, frame: i64) -> Result<bool, DecodeError> {
        while self.advance()? {
            let (Some(packet), Some(position)) = (&self.packet, self.position()) else { break };
            let frames = self.frame_of(self.zero.saturating_add_unsigned(packet.block_dur().get()));
            let frames = frames.max(self.grid.unwrap_or(0));
            if position.saturating_add(frames) > frame {
                self.is_pending = true;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl FormatReader for SymphoniaFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        if !(self.advance()? || self.finds_more()? && self.advance()?) {
            return Ok(Event::End);
        }
        let Some(packet) = &self.packet else { return Ok(Event::End) };
        let duration = self.zero.saturating_add_unsigned(packet.block_dur().get());
        let frames = u64::try_from(self.frame_of(duration)).unwrap_or(0);
        self.passed = self
            .position()
            .unwrap_or(self.passed)
            .saturating_add_unsigned(frames.max(self.grid.map_or(1, i64::unsigned_abs)));
        let Some(packet) = &self.packet else { return Ok(Event::End) };
        let trim_end = packet.trim_end.get().max(self.padding(packet));
        let data = match &self.coded {
            Some(entry) => {
                // A damaged packet is none, and does not decode.
                if !entry.restore(&packet.data, &mut self.plain) {
                    self.plain.clear();
                }
                &self.plain[..]
            }
            None => &packet.data[..],
        };
        Ok(Event::Packet(Packet {
            data,
            position: self.position().map(|position| position - self.lead),
            frames,
            trim_end,
            change: None,
            is_discontinuity: false,
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let frame = frame.saturating_add(self.lead).max(0);
        self.passed = frame;
        self.is_sought = false;
        if frame == 0 || !self.is_counted_in_frames() && self.grid.is_none() {
            // Only counting from the start tells where a packet stands; and what comes before frame 0 prepares the codec.
            self.reopen()?;
            return Ok(true);
        }
        if !self.must_walk && self.seek_by_reader(frame)? {
            self.is_sought = true;
            return Ok(true);
        }
        // Some readers cannot go back from the end, or do not go where they were told.
        self.reopen()?;
        if self.origin.format != SymphoniaFormat::Wav && !self.must_walk && self.seek_by_reader(frame)? {
            self.is_sought = true;
            return Ok(true);
        }
        self.reopen()?;
        self.walk(frame)
    }

    fn resume(&mut self) {
        self.state.resume();
    }
}

/// The longest padding that is believed, in nanoseconds.
const MAX_PADDING: u64 = 500_000_000;

/// Nanoseconds of the `DiscardPadding` element that follows `packet` in its block group, within a few bytes.
fn discard_padding(bytes: &[u8], packet: &[u8]) -> Option<u64> {
    let tail = &packet[packet.len().saturating_sub(16)..];
    let end = bytes.len().checked_sub(tail.len())?;
    let at = (0..=end).rev().find(|&at| !tail.is_empty() && bytes[at..].starts_with(tail))? + tail.len();
    let behind = &bytes[at..bytes.len().min(at + 24)];
    let found = behind.windows(2).position(|id| id == [0x75, 0xA2])? + 2;
    let len = usize::from(*behind.get(found)? & 0x0F);
    let value = behind.get(found + 1..found + 1 + len).filter(|value| (1..=8).contains(&value.len()))?;
    let nanos = value.iter().fold(0, |nanos, &byte| nanos << 8 | u64::from(byte));
    (nanos < MAX_PADDING).then_some(nanos)
}

/// Makes an error of ours out of what Symphonia did: the source's own error before all else.
fn settle<T: AtEnd>(
    outcome: std::thread::Result<Result<T, SymphoniaError>>,
    state: &ViewState,
) -> Result<T, DecodeError> {
    if let Some(fault) = state.take_fault() {
        return Err(DecodeError::Io(fault));
    }
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(SymphoniaError::IoError(error))) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            T::at_end().ok_or_else(|| DecodeError::Malformed("the file ends inside its headers".into()))
        }
        Ok(Err(SymphoniaError::IoError(error))) => Err(DecodeError::Io(error)),
        Ok(Err(SymphoniaError::Unsupported(what))) => Err(DecodeError::Unsupported(what.into())),
        Ok(Err(error)) => Err(DecodeError::Malformed(error.to_string())),
        Err(_) => Err(DecodeError::Malformed("the format reader panicked".into())),
    }
}

/// What stands for "the end" where the file ends in the middle.
trait AtEnd: Sized {
    fn at_end() -> Option<Self>;
}

impl AtEnd for Box<dyn SymphoniaReader> {
    fn at_end() -> Option<Self> {
        None
    }
}

impl AtEnd for Option<SymphoniaPacket> {
    fn at_end() -> Option<Self> {
        Some(None)
    }
}

impl AtEnd for bool {
    fn at_end() -> Option<Self> {
        Some(false)
    }
}

fn reader_for(
    format: SymphoniaFormat,
    stream: MediaSourceStream<'static>,
) -> Result<Box<dyn SymphoniaReader>, SymphoniaError> {
    let options = FormatOptions::default();
    Ok(match format {
        SymphoniaFormat::Wav => Box::new(WavReader::try_new(stream, options)?),
        SymphoniaFormat::Caf => Box::new(CafReader::try_new(stream, options)?),
        SymphoniaFormat::Matroska => Box::new(MkvReader::try_new(stream, options)?),
    })
}

/// What packets' positions are multiples of: their length, where the codec fixes it. `None` where the nearest one is not to be
/// told by a clock of milliseconds.
fn grid_of(params: &AudioCodecParameters) -> Option<i64> {
    let rate = params.sample_rate?;
    match params.codec {
        CODEC_ID_AAC => Some(1024),
        CODEC_ID_MP3 => Some(if rate < 32_000 { 576 } else { 1152 }),
        CODEC_ID_MP2 => Some(1152),
        // The shortest packet.
        CODEC_ID_OPUS => Some(120),
        CODEC_ID_VORBIS => {
            // Two lengths of blocks, of which packets overlap by halves.
            let sizes = params.extra_data.as_deref()?.get(28)?;
            let grid = (1_i64 << (sizes & 15)) / 4;
            (grid > i64::from(rate / 900)).then_some(grid)
        }
        CODEC_ID_FLAC => {
            let &[a, b, c, d] = params.extra_data.as_deref()?.first_chunk::<4>()?;
            let (shortest, longest) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            (shortest == longest && u32::from(longest) > rate / 200).then_some(i64::from(longest))
        }
        _ => None,
    }
}

/// The track to play: the first one that can be decoded, the default one before all else. With its entry in the file.
fn choose(
    reader: &dyn SymphoniaReader,
    codecs: Option<&CodecTable>,
    entries: &[super::matroska::Track],
) -> Result<(Track, AudioCodecParameters, Option<super::matroska::Track>), DecodeError> {
    let default = reader.default_track(TrackType::Audio).map(|track| track.id);
    let others = reader.tracks().iter().filter(|track| Some(track.id) != default);
    let first = reader.tracks().iter().filter(|track| Some(track.id) == default);
    let mut refused = Vec::new();
    for track in first.chain(others) {
        let entry = entries.iter().find(|entry| entry.number == u64::from(track.id));
        let Some(mut params) = audio_params(track) else {
            refused.extend(entry.map(super::matroska::Track::codec_name));
            continue;
        };
        if let Some(reason) = entry.and_then(super::matroska::Track::refusal) {
            refused.push(reason);
            continue;
        }
        let plain =
            entry.zip(params.extra_data.as_deref()).and_then(|(entry, data)| entry.restore_private(data));
        if let Some(plain) = plain {
            params.with_extra_data(plain.into_boxed_slice());
        }
        let Some(codecs) = codecs else { return Ok((track.clone(), params, None)) };
        let parameters = CodecParameters::of_symphonia(&params);
        match codecs.make(&parameters) {
            Ok(_) => return Ok((track.clone(), params, entry.cloned())),
            Err(DecodeError::Unsupported(reason)) => {
                let is_unknown = codecs.find(parameters.name()).is_none();
                refused.push(entry.filter(|_| is_unknown).map_or(reason, super::matroska::Track::codec_name));
            }
            Err(error) => refused.push(error.to_string()),
        }
    }
    Err(match &refused[..] {
        [] => no_audio(),
        [one] => DecodeError::Unsupported(one.clone()),
        several => DecodeError::Unsupported(format!(
            "none of the audio tracks can be played: {}",
            several.join(", ")
        )),
    })
}

fn audio_params(track: &Track) -> Option<AudioCodecParameters> {
    match &track.codec_params {
        Some(TrackParameters::Audio(params)) => Some(params.clone()),
        _ => None,
    }
}

fn no_audio() -> DecodeError {
    DecodeError::Unsupported("a file without an audio track".into())
}

fn read_tags(reader: &mut dyn SymphoniaReader) -> Tags {
    let mut tags = Tags::default();
    let mut metadata = reader.metadata();
    loop {
        if let Some(revision) = metadata.current() {
            take_revision(&mut tags, revision);
        }
        if metadata.pop().is_none() {
            return tags;
        }
    }
}

fn take_revision(tags: &mut Tags, revision: &MetadataRevision) {
    for tag in &revision.media.tags {
        let name = match &tag.std {
            Some(StandardTag::TrackTitle(_)) => "TITLE",
            Some(StandardTag::Artist(_)) => "ARTIST",
            Some(StandardTag::Album(_)) => "ALBUM",
            _ => &tag.raw.key,
        };
        tags.take(name, &tag.raw.value.to_string());
    }
    for visual in &revision.media.visuals {
        tags.take_picture(visual.media_type.as_deref().unwrap_or_default(), 3, "", &visual.data);
    }
}

/// Joins what Symphonia says about a track to what the decoder wants to know.
pub(super) fn opened_by_symphonia(
    container: &'static str,
    file: SymphoniaFile,
    track: SymphoniaTrack,
) -> Result<Opened, DecodeError> {
    let mut codec = track.params;
    let mut lead = 0;
    if codec.codec == CODEC_ID_OPUS {
        // Opus decodes to this, whatever the rate of what was encoded.
        codec.sample_rate = opus::RATE;
        let head = codec.extra_data().and_then(OpusHead::parse);
        lead = head.map_or(0, |head| i64::from(head.pre_skip));
    }
    let stream = Stream {
        container,
        sample_rate: codec.sample_rate,
        channels: codec.layout.channels(),
        bits_per_sample: codec.bits_per_sample,
        total: track.frames,
        estimate: track.duration,
        tags: track.tags,
        ..Stream::default()
    };
    Ok(Opened { reader: Box::new(file.led_by(lead)), codec, stream })
}
