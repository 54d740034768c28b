//! [`MediaDecoder`]: one progressive file to PCM.

use std::time::Duration;

use kithara_bufpool::SamplePool;
use kithara_stream::MediaInfo;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;

use super::backend::{Backend, Event, Opened, Packet, Stream};
use super::details::{MediaDetails, Tags};
use super::format::{self, Format};
use super::framed::FramedFile;
use super::source::{ByteSource, Interrupter, Window};
use super::symphonia_file::SymphoniaFile;
use super::{aiff, au, caf, flac, mp4, ogg, ts, wav};
use crate::codec::{CodecDecoder, Debt, PacketError, left_before, preroll_of};
use crate::headers::opus::{self, OpusHead};
use crate::output::Output;
use crate::rescale::{rescale, rescale_signed};
use crate::{AudioSpec, DecodeError, PcmChunk};

/// How a [`MediaDecoder`] is to decode.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Where the sample buffers of the chunks come from.
    pub pool: SamplePool,
    /// Output rate in Hz. Default `None`: the rate of the media.
    pub sample_rate: Option<u32>,
    /// Output channels. Default `None`: those of the media.
    pub channels: Option<u16>,
    /// Trim encoder delay and padding, as the reference decoder does. Default `true`.
    pub gapless: bool,
    /// Seek to the exact frame in every file. Default `true`: in MP3 and ADTS files of variable bit rate all that comes
    /// before is read, because nothing else tells which frame it is. With `false` a seek in them over more than about 128 KiB
    /// that are not [at hand](super::ByteSource::at_hand) goes to *about* the frame. See
    /// [`position_is_estimated`](MediaDecoder::position_is_estimated).
    pub exact_seek: bool,
    /// Bytes of leading garbage that are searched for the start of the media. Default 1 MiB. In a transport stream 16 times as
    /// many are searched for the first packet of audio.
    pub probe_budget: u64,
    /// Packets in a row that may fail to decode (each is replaced by silence) before it is an error. Default 64.
    pub max_bad_packets: u32,
}

impl DecodeOptions {
    /// Options with `pool` and the defaults for everything else.
    #[must_use]
    pub fn new(pool: SamplePool) -> Self {
        Self {
            pool,
            sample_rate: None,
            channels: None,
            gapless: true,
            exact_seek: true,
            probe_budget: 1 << 20,
            max_bad_packets: 64,
        }
    }
}

/// Decodes one progressive file. Blocking: every call may read the source.
pub struct MediaDecoder {
    backend: Box<dyn Backend>,
    taker: Taker,
    details: MediaDetails,
    spec: AudioSpec,
    stream: Stream,
    /// Where the file ended when it was played to its end.
    ended_at: Option<Duration>,
    is_ended: bool,
    /// Set by the first seek: from then on an end without any audio is no sign of a bad file.
    has_sought: bool,
    interrupter: Option<Interrupter>,
}

impl std::fmt::Debug for MediaDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaDecoder")
            .field("details", &self.details)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl MediaDecoder {
    /// Finds the format from the bytes (`hint` only settles doubts) and prepares to decode.
    ///
    /// Reads the source from its start, and nothing at its end, except for an MP4 file whose index stands there.
    ///
    /// # Errors
    /// The source cannot be read, is not media, or is media that this build cannot decode.
    pub fn open(
        source: impl ByteSource + 'static,
        hint: &MediaInfo,
        options: DecodeOptions,
    ) -> Result<Self, DecodeError> {
        let interrupter = source.interrupter();
        let opened = open_backend(Window::new(Box::new(source)), hint, &options)?;
        let Opened { mut backend, mut codec, mut stream } = opened;
        if stream.sample_rate == 0 || stream.channels == 0 {
            return Err(DecodeError::Malformed("audio without a rate or channels".into()));
        }
        if !options.gapless {
            (stream.end, stream.total) = (None, None);
        }
        let mut input = AudioSpec::new(stream.sample_rate, stream.channels);
        if codec.may_replicate_bands() {
            input = first_spec(&mut *backend, &mut codec)?.unwrap_or(input);
        }
        let mut output = Output::new(options.pool, options.sample_rate, options.channels);
        let spec = output.learn_spec(input);
        let details = details_of(&stream, &codec, input, spec);
        let taker = Taker {
            codec,
            debt: Debt::default(),
            output,
            next: None,
            input,
            bad_packets: 0,
            max_bad_packets: options.max_bad_packets,
            rate: stream.sample_rate,
            trimmed: 0,
            has_decoded: false,
        };
        Ok(Self {
            backend,
            taker,
            details,
            spec,
            stream,
            ended_at: None,
            is_ended: false,
            has_sought: false,
            interrupter,
        })
    }

    /// Rate and channels of the output.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        self.spec
    }

    /// What the media says about itself.
    #[must_use]
    pub fn details(&self) -> &MediaDetails {
        &self.details
    }

    /// Length as it is known by now: as the [details](Self::details) tell it, until playback shows that it is another.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.ended_at.or_else(|| self.backend.length()).or(self.details.duration)
    }

    /// Whether positions are an estimate since the last seek: about where they say, for want of the bytes before them.
    /// They count on from there without a break, and a seek back to what was played since finds it at the same positions.
    #[must_use]
    pub fn position_is_estimated(&self) -> bool {
        self.backend.is_estimated()
    }

    /// Takes out what makes a blocked call of this decoder fail at once, from another thread, if its source can be
    /// interrupted. A [`seek`](Self::seek) works again after it.
    pub fn take_interrupter(&mut self) -> Option<Interrupter> {
        self.interrupter.take()
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// The source cannot be read, or the media is damaged beyond what can be skipped.
    pub fn next_chunk(&mut self) -> Result<Option<PcmChunk>, DecodeError> {
        loop {
            if let Some(chunk) = self.taker.output.next_chunk(self.is_ended) {
                return Ok(Some(chunk));
            }
            if self.is_ended {
                return Ok(None);
            }
            if !self.decode_packet()? {
                self.is_ended = true;
                self.note_end();
                self.taker.drain_codec(self.end())?;
                self.taker.output.end_run()?;
                if !self.taker.has_decoded && !self.has_sought {
                    let container = self.stream.container;
                    return Err(DecodeError::Malformed(format!("the {container} file holds no audio")));
                }
            }
        }
    }

    /// Corrects the length at the end of the file, where it is not the stated one.
    fn note_end(&mut self) {
        let Some(end) = self.taker.heard_end(self.end()).filter(|_| !self.backend.is_estimated()) else {
            return;
        };
        let rate = self.taker.input.sample_rate;
        if self.stream.total != Some(rescale(end, self.stream.sample_rate, rate)) {
            self.ended_at = Some(AudioSpec::new(rate, 1).position_of(end));
        }
    }

    /// Where playback ends. By an estimate, or behind an end that was none, the file itself ends.
    fn end(&self) -> Option<u64> {
        self.stream.end.filter(|_| !self.backend.is_estimated() && !self.backend.goes_on())
    }

    /// Decodes one packet; `false` at the end.
    fn decode_packet(&mut self) -> Result<bool, DecodeError> {
        let end = self.end();
        let taker = &mut self.taker;
        match self.backend.next()? {
            Event::End => Ok(false),
            Event::NewStream(params) => {
                taker.drain_codec(end)?;
                taker.codec = CodecDecoder::for_params(params)?;
                taker.next = None;
                Ok(true)
            }
            Event::Packet(mut packet) => {
                if let Some(params) = packet.change.take() {
                    taker.drain_codec(end)?;
                    taker.codec.change(params)?;
                }
                if packet.is_discontinuity {
                    taker.drain_codec(end)?;
                    taker.codec.reset();
                    // What follows keeps its place, where the container tells it.
                    if packet.position.is_some() {
                        taker.next = None;
                    }
                }
                taker.take(&packet, end)?;
                Ok(true)
            }
        }
    }

    /// Moves to `frame` (output rate): the next chunk begins exactly there, or playback is at its end if `frame` lies
    /// behind it. Returns the frame.
    ///
    /// # Errors
    /// The source cannot be read or moved.
    pub fn seek(&mut self, frame: u64) -> Result<u64, DecodeError> {
        self.backend.resume();
        self.has_sought = true;
        let total = self.details.total_frames.filter(|_| !self.backend.goes_on());
        let frame = total.map_or(frame, |total| frame.min(total));
        let rate = self.stream.sample_rate;
        let target = (u128::from(frame) * u128::from(rate) / u128::from(self.spec.sample_rate)) as u64;
        // A codec that lags gives nothing at first for about as many packets as it needs to settle.
        let settling =
            if self.taker.codec.is_lagging() { 2 * self.stream.preroll } else { self.stream.preroll };
        let surplus = settling + self.taker.output.warm_up(rate);
        let start = i64::try_from(target).unwrap_or(i64::MAX).saturating_sub_unsigned(surplus);
        self.taker.seek(frame);
        self.is_ended = true;
        let found = self.backend.seek(start)?;
        self.is_ended = !found;
        Ok(frame)
    }
}

/// What takes packets: all of the decoder but where they come from.
struct Taker {
    codec: CodecDecoder,
    debt: Debt,
    output: Output,
    /// Position of the next frame at the rate that packets decode to. `None`: the next packet says where it stands.
    next: Option<i64>,
    /// What packets decoded to last.
    input: AudioSpec,
    bad_packets: u32,
    max_bad_packets: u32,
    /// The rate that the container counts in.
    rate: u32,
    /// Frames trimmed from the end of the last packet.
    trimmed: u64,
    /// A packet has given frames since the file was opened.
    has_decoded: bool,
}

impl Taker {
    /// The next frame to give out is `frame`, and the next packet says where it stands.
    fn seek(&mut self, frame: u64) {
        self.output.seek(frame);
        self.codec.reset();
        self.debt.forget();
        self.next = None;
        self.bad_packets = 0;
    }

    /// The frame, at the rate of `input`, behind the last one presented. `None` before any.
    fn heard_end(&self, end: Option<u64>) -> Option<u64> {
        let next = u64::try_from(self.next?.saturating_sub_unsigned(self.trimmed)).ok()?;
        Some(end.map_or(next, |end| next.min(rescale(end, self.input.sample_rate, self.rate))))
    }

    /// Gets what a lagging codec still owes, up to `end`.
    fn drain_codec(&mut self, end: Option<u64>) -> Result<(), DecodeError> {
        let Some(next) = self.next else { return Ok(()) };
        let end = end.map(|end| rescale(end, self.input.sample_rate, self.rate));
        self.debt.collect(&mut self.codec, &mut self.output, self.input, next, end)
    }

    /// Decodes a packet, and gives out what of it lies before `end`.
    fn take(&mut self, packet: &Packet<'_>, end: Option<u64>) -> Result<(), DecodeError> {
        let (next, input, base) = (self.next, self.input, self.rate);
        // Where the packet begins, counted at `rate`.
        let place = |rate: u32| match next {
            Some(next) => Some(rescale_signed(next, rate, input.sample_rate)),
            None => packet.position.map(|position| rescale_signed(position, rate, base)),
        };
        match self.codec.decode(packet.data, packet.frames) {
            Ok(decoded) => {
                self.bad_packets = 0;
                let frames = decoded.frames();
                let spec = decoded.spec();
                if spec.sample_rate == 0 {
                    return Ok(());
                }
                // What it cannot tell, and what decodes to nothing, is there to prepare the codec.
                let position = place(spec.sample_rate).filter(|_| frames > 0);
                self.input = spec;
                self.next = position;
                self.has_decoded |= frames > 0;
                self.trimmed = packet.trim_end.min(frames as u64);
                let Some(position) = position else { return Ok(()) };
                self.next = Some(position.saturating_add_unsigned(frames as u64));
                let position = position.saturating_sub_unsigned(decoded.lag());
                let end = end.map(|end| rescale(end, spec.sample_rate, base));
                let kept = frames.saturating_sub(usize::try_from(packet.trim_end).unwrap_or(usize::MAX));
                let kept = kept.min(left_before(end, position));
                self.debt.note(decoded.lag(), packet.data);
                self.output.write(&decoded, 0..kept, position)?;
                Ok(())
            }
            Err(PacketError::Bad(what)) => {
                self.bad_packets += 1;
                tracing::debug!(%what, "a packet could not be decoded");
                if self.bad_packets > self.max_bad_packets {
                    return Err(DecodeError::too_many(self.bad_packets, what));
                }
                let rate = input.sample_rate;
                let Some(position) = place(rate) else { return Ok(()) };
                let frames = rescale(packet.frames, rate, base);
                self.next = Some(position.saturating_add_unsigned(frames));
                let position = position.saturating_sub_unsigned(self.debt.frames());
                let end = end.map(|end| rescale(end, rate, base));
                let kept = frames.min(left_before(end, position) as u64);
                self.output.write_silence(input, kept, position)?;
                Ok(())
            }
            Err(PacketError::Fatal(error)) => Err(error),
        }
    }
}

fn open_backend(
    mut window: Window,
    hint: &MediaInfo,
    options: &DecodeOptions,
) -> Result<Opened, DecodeError> {
    let mut tags = Tags::default();
    let format = format::find(&mut window, hint, options.probe_budget, &mut tags)?;
    match format {
        Format::Framed(kind, header) => FramedFile::open(window, kind, header, tags, !options.exact_seek),
        Format::Mp4 => mp4::open(window),
        Format::Flac => flac::open(window, tags),
        Format::Wav => wav::open(window, !options.exact_seek),
        Format::Ogg => ogg::open(window),
        Format::MpegTs => ts::open(window, tags, options.probe_budget),
        Format::Caf => caf::open(window),
        Format::Au => au::open(window),
        Format::Aiff => aiff::open(window),
        Format::Matroska => {
            let tail = window.offset();
            let (file, track) = SymphoniaFile::open(format, window, Vec::new(), tail, false)?;
            opened_by_symphonia("matroska", file, track)
        }
    }
}

/// Joins what Symphonia says about a track to what the decoder wants to know.
pub(super) fn opened_by_symphonia(
    container: &'static str,
    file: SymphoniaFile,
    track: super::symphonia_file::SymphoniaTrack,
) -> Result<Opened, DecodeError> {
    let mut params = track.params;
    if params.codec == CODEC_ID_OPUS {
        // Opus decodes to this, whatever the rate of what was encoded.
        params.with_sample_rate(opus::RATE);
    }
    let lead = if params.codec == CODEC_ID_OPUS { opus_lead(&params) } else { 0 };
    let file = file.led_by(lead);
    let stream = Stream {
        container,
        sample_rate: params.sample_rate.unwrap_or(0),
        channels: params
            .channels
            .as_ref()
            .and_then(|channels| u16::try_from(channels.count()).ok())
            .unwrap_or(0),
        bits_per_sample: params.bits_per_sample,
        end: None,
        total: track.frames,
        estimate: None,
        preroll: preroll_of(params.codec),
        tags: track.tags,
    };
    let codec = CodecDecoder::for_params(params)?;
    Ok(Opened { backend: Box::new(file), codec, stream })
}

/// What the first packet decodes to. The backend and the codec begin anew.
fn first_spec(backend: &mut dyn Backend, codec: &mut CodecDecoder) -> Result<Option<AudioSpec>, DecodeError> {
    let mut spec = None;
    if let Event::Packet(packet) = backend.next()? {
        spec = match codec.decode(packet.data, packet.frames) {
            Ok(decoded) => Some(decoded.spec()).filter(|spec| spec.sample_rate > 0 && spec.channels > 0),
            Err(PacketError::Bad(_)) => None,
            Err(PacketError::Fatal(error)) => return Err(error),
        };
    }
    backend.seek(i64::MIN)?;
    codec.renew();
    Ok(spec)
}

/// Frames that an Opus decoder gives before the first presented one.
fn opus_lead(params: &AudioCodecParameters) -> i64 {
    let head = params.extra_data.as_deref().unwrap_or_default();
    OpusHead::parse(head).map_or(0, |head| i64::from(head.pre_skip))
}

fn details_of(stream: &Stream, codec: &CodecDecoder, input: AudioSpec, spec: AudioSpec) -> MediaDetails {
    let duration = stream.total.map(|total| AudioSpec::new(stream.sample_rate, 1).position_of(total));
    MediaDetails {
        container: stream.container,
        codec: codec.name(),
        sample_rate: input.sample_rate,
        channels: input.channels,
        total_frames: stream.total.map(|total| rescale(total, spec.sample_rate, stream.sample_rate)),
        duration: duration.or(stream.estimate).filter(|duration| *duration > Duration::ZERO),
        bits_per_sample: stream.bits_per_sample,
        tags: stream.tags.clone(),
    }
}
