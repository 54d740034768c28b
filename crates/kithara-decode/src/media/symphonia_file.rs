//! Containers that Symphonia's format readers take apart: FLAC, Ogg, WAV, AIFF, CAF, Matroska.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::errors::{Error as SymphoniaError, SeekErrorKind};
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::StandardTag;
use symphonia::core::packet::Packet as SymphoniaPacket;
use symphonia::core::units::{TimeBase, Timestamp};
use symphonia::default::formats::{AiffReader, CafReader, FlacReader, MkvReader, OggReader, WavReader};

use super::backend::{Backend, Event, Packet};
use super::details::Tags;
use super::format::Format;
use super::source::Window;
use super::view::{View, ViewState};
use crate::DecodeError;

/// A reader from Symphonia, its chosen track, and what its source is up to.
pub(super) struct SymphoniaFile {
    reader: Box<dyn FormatReader>,
    state: ViewState,
    track: u32,
    time_base: Option<TimeBase>,
    rate: u32,
    /// Ticks of the track's clock at which frame 0 stands.
    origin: i64,
    packet: Option<SymphoniaPacket>,
    is_ended: bool,
}

/// What Symphonia says about the track.
pub(super) struct SymphoniaTrack {
    pub(super) params: AudioCodecParameters,
    pub(super) frames: Option<u64>,
    pub(super) tags: Tags,
}

impl SymphoniaFile {
    /// Opens `head` followed by the source from `tail` on. `knows_length` lets the reader look at the end.
    pub(super) fn open(
        format: Format,
        window: Window,
        head: Vec<u8>,
        tail: u64,
        knows_length: bool,
    ) -> Result<(Self, SymphoniaTrack), DecodeError> {
        let state = ViewState::default();
        state.hide_length(!knows_length);
        let view = View::new(window, head, tail, state.clone());
        let stream = MediaSourceStream::new(Box::new(view), Default::default());
        let opened = catch_unwind(AssertUnwindSafe(|| reader_for(format, stream)));
        let mut reader = settle(opened, &state)?;
        state.hide_length(false);
        let track = reader.default_track(TrackType::Audio).cloned().ok_or_else(no_audio)?;
        let params = audio_params(&track).ok_or_else(no_audio)?;
        let tags = read_tags(&mut *reader);
        let rate = params.sample_rate.unwrap_or(0);
        let mut file =
            Self { reader, state, track: 0, time_base: None, rate, origin: 0, packet: None, is_ended: false };
        file.choose(&track);
        Ok((file, SymphoniaTrack { params, frames: track.num_frames, tags }))
    }

    fn choose(&mut self, track: &Track) {
        self.track = track.id;
        self.time_base = track.time_base;
        let delay = i64::from(track.delay.unwrap_or(0));
        self.origin =
            if self.is_counted_in_frames() { track.start_ts.get().saturating_add(delay) } else { 0 };
    }

    fn is_counted_in_frames(&self) -> bool {
        self.time_base.is_none_or(|base| base.numer.get() == 1 && base.denom.get() == self.rate)
    }

    fn frame_of(&self, ticks: i64) -> i64 {
        let ticks = ticks.saturating_sub(self.origin);
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
        ticks.saturating_add(self.origin).max(0)
    }

    /// Another physical stream has begun: its track.
    fn next_stream(&mut self) -> Result<AudioCodecParameters, DecodeError> {
        let track = self.reader.default_track(TrackType::Audio).cloned().ok_or_else(no_audio)?;
        let params = audio_params(&track).ok_or_else(no_audio)?;
        self.rate = params.sample_rate.unwrap_or(self.rate);
        self.choose(&track);
        Ok(params)
    }

    fn read(&mut self) -> Result<Option<SymphoniaPacket>, DecodeError> {
        let reader = &mut self.reader;
        let read = catch_unwind(AssertUnwindSafe(|| reader.next_packet()));
        settle(read, &self.state)
    }
}

impl Backend for SymphoniaFile {
    fn next(&mut self) -> Result<Event<'_>, DecodeError> {
        if self.is_ended {
            return Ok(Event::End);
        }
        loop {
            match self.read() {
                Ok(Some(packet)) if packet.track_id == self.track => {
                    self.packet = Some(packet);
                    break;
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.is_ended = true;
                    return Ok(Event::End);
                }
                Err(DecodeError::Malformed(what)) if what == RESET => {
                    return self.next_stream().map(Event::NewStream);
                }
                Err(error) => return Err(error),
            }
        }
        let Some(packet) = &self.packet else { return Ok(Event::End) };
        let frames =
            u64::try_from(self.frame_of(self.origin.saturating_add_unsigned(packet.block_dur().get())))
                .unwrap_or(0);
        Ok(Event::Packet(Packet {
            data: &packet.data,
            position: self.frame_of(packet.pts.get()),
            frames: frames.max(1),
            trim_end: packet.trim_end.get(),
        }))
    }

    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError> {
        let ts = Timestamp::new(self.ticks_of(frame.max(0)));
        let to = SeekTo::Timestamp { ts, track_id: self.track };
        let reader = &mut self.reader;
        let sought = catch_unwind(AssertUnwindSafe(|| match reader.seek(SeekMode::Accurate, to) {
            Ok(_) => Ok(true),
            Err(SymphoniaError::SeekError(SeekErrorKind::OutOfRange)) => Ok(false),
            Err(error) => Err(error),
        }));
        let found = settle(sought, &self.state)?;
        self.is_ended = !found;
        Ok(found)
    }

    fn resume(&mut self) {
        self.state.resume();
    }
}

/// What a reset is called among errors.
const RESET: &str = "another stream follows";

/// Makes an error of ours out of what Symphonia did: the source's own error before all else.
fn settle<T: Default2>(
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
        Ok(Err(SymphoniaError::ResetRequired)) => Err(DecodeError::Malformed(RESET.into())),
        Ok(Err(error)) => Err(DecodeError::Malformed(error.to_string())),
        Err(_) => Err(DecodeError::Malformed("the format reader panicked".into())),
    }
}

/// What stands for "the end" where the file ends in the middle.
trait Default2: Sized {
    fn at_end() -> Option<Self>;
}

impl Default2 for Box<dyn FormatReader> {
    fn at_end() -> Option<Self> {
        None
    }
}

impl Default2 for Option<SymphoniaPacket> {
    fn at_end() -> Option<Self> {
        Some(None)
    }
}

impl Default2 for bool {
    fn at_end() -> Option<Self> {
        Some(false)
    }
}

fn reader_for(
    format: Format,
    stream: MediaSourceStream<'static>,
) -> Result<Box<dyn FormatReader>, SymphoniaError> {
    let options = FormatOptions::default();
    Ok(match format {
        Format::Flac => Box::new(FlacReader::try_new(stream, options)?),
        Format::Ogg => Box::new(OggReader::try_new(stream, options)?),
        Format::Wav => Box::new(WavReader::try_new(stream, options)?),
        Format::Aiff => Box::new(AiffReader::try_new(stream, options)?),
        Format::Caf => Box::new(CafReader::try_new(stream, options)?),
        Format::Matroska => Box::new(MkvReader::try_new(stream, options)?),
        _ => return Err(SymphoniaError::Unsupported("no reader for this container")),
    })
}

fn audio_params(track: &Track) -> Option<AudioCodecParameters> {
    match &track.codec_params {
        Some(CodecParameters::Audio(params)) => Some(params.clone()),
        _ => None,
    }
}

fn no_audio() -> DecodeError {
    DecodeError::Unsupported("a file without an audio track".into())
}

fn read_tags(reader: &mut dyn FormatReader) -> Tags {
    let mut tags = Tags::default();
    let mut metadata = reader.metadata();
    let Some(revision) = metadata.skip_to_latest() else { return tags };
    for tag in &revision.media.tags {
        match &tag.std {
            Some(StandardTag::TrackTitle(title)) => tags.take_comment(&format!("TITLE={title}")),
            Some(StandardTag::Artist(artist)) => tags.take_comment(&format!("ARTIST={artist}")),
            Some(StandardTag::Album(album)) => tags.take_comment(&format!("ALBUM={album}")),
            _ => {}
        }
    }
    tags
}
