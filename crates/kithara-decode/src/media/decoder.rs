//! [`MediaDecoder`]: one progressive file to PCM.

use std::collections::VecDeque;
use std::time::Duration;

use kithara_bufpool::SamplePool;
use kithara_stream::MediaInfo;

use super::details::{MediaDetails, Tags};
use super::event::{MAX_EVENTS, MediaEvent};
use super::format_reader::{Event, FormatReader, Opened, Stream};
use super::formats::{FormatTable, OpenContext};
use super::source::{ByteSource, Interrupter, Window};
use crate::codecs::{CodecDecoder, CodecTable, PacketError};
use crate::output::{Output, OutputOptions};
use crate::pipeline::{Cursor, PacketPipeline, PipelinePacket, Place, Placement};
use crate::rescale::{rescale, rescale_signed};
use crate::{AudioSpec, DecodeError, PcmChunk};

/// How a [`MediaDecoder`] is to decode.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecodeOptions {
    /// Where the sample buffers of the chunks come from.
    pub pool: SamplePool,
    /// Rate and channels of the output. Default: those of the media.
    pub output: OutputOptions,
    /// Which decoder decodes which codec. Default: those of this build.
    pub codecs: CodecTable,
    /// Which containers can be opened. Default: those of this crate.
    pub formats: FormatTable,
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
            output: OutputOptions::default(),
            codecs: CodecTable::default(),
            formats: FormatTable::default(),
            gapless: true,
            exact_seek: true,
            probe_budget: 1 << 20,
            max_bad_packets: 64,
        }
    }
}

/// Decodes one progressive file. Blocking: every call may read the source.
pub struct MediaDecoder {
    reader: Box<dyn FormatReader>,
    pipeline: PacketPipeline,
    details: MediaDetails,
    spec: AudioSpec,
    stream: Stream,
    /// Where the file ended when it was played to its end.
    ended_at: Option<Duration>,
    is_ended: bool,
    events: VecDeque<MediaEvent>,
    /// The end may have been reached without the beginning.
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
    /// Reads the source from its start, and leaves its end alone, except for an MP4 file whose index stands there.
    ///
    /// # Errors
    /// The source cannot be read, is not media, or is media that this build cannot decode.
    pub fn open(
        source: impl ByteSource + 'static,
        hint: &MediaInfo,
        options: DecodeOptions,
    ) -> Result<Self, DecodeError> {
        let interrupter = source.interrupter();
        let opened = open_reader(Window::new(Box::new(source)), hint, &options)?;
        let Opened { mut reader, codec, mut stream } = opened;
        stream.spec(codec.layout).check()?;
        if !options.gapless {
            (stream.end, stream.total) = (None, None);
        }
        let mut input = stream.spec(codec.layout);
        let mut codec = CodecDecoder::new(codec, &options.codecs)?;
        if codec.may_change_rate() {
            input = first_spec(&mut *reader, &mut codec)?.unwrap_or(input);
        }
        let mut output = Output::new(options.pool, options.output);
        let spec = output.learn_spec(input);
        spec.check()?;
        let details = details_of(&stream, &codec, input, spec);
        let mut pipeline = PacketPipeline::new(output, options.codecs, options.max_bad_packets);
        pipeline.adopt(codec);
        pipeline.expect_spec(input);
        Ok(Self {
            reader,
            pipeline,
            details,
            spec,
            stream,
            ended_at: None,
            is_ended: false,
            events: VecDeque::new(),
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
        self.ended_at.or_else(|| self.reader.length()).or(self.details.duration)
    }

    /// Whether positions are an estimate since the last seek: about where they say, for want of the bytes before them.
    /// They count on from there without a break, and a seek back to what was played since finds it at the same positions.
    #[must_use]
    pub fn position_is_estimated(&self) -> bool {
        self.reader.is_estimated()
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
            if let Some(chunk) = self.pipeline.output.next_chunk(self.is_ended) {
                return Ok(Some(chunk));
            }
            if self.is_ended {
                return Ok(None);
            }
            let is_there = self.decode_packet()?;
            if let Some(tags) = self.reader.take_tags()
                && tags != self.details.tags
            {
                self.details.tags = tags.clone();
                self.note(MediaEvent::TagsChanged(Box::new(tags)));
            }
            if !is_there {
                self.is_ended = true;
                if self.reader.is_truncated() {
                    self.note(MediaEvent::Truncated);
                }
                self.note_end();
                self.pipeline.drain(self.end())?;
                self.pipeline.output.end_run()?;
                if !self.pipeline.has_decoded() && !self.has_sought {
                    let container = self.stream.container;
                    return Err(DecodeError::Malformed(format!("the {container} file holds no audio")));
                }
            }
        }
    }

    /// Corrects the length at the end of the file, where it is not the stated one.
    fn note_end(&mut self) {
        let end = self.pipeline.presented_end(self.end()).filter(|_| !self.reader.is_estimated());
        let Some((end, rate)) = end else { return };
        if self.stream.total != Some(rescale(end, self.stream.sample_rate, rate)) {
            let length = AudioSpec::new(rate, 1).position_of(end);
            if self.ended_at.replace(length) != Some(length) && Some(length) != self.details.duration {
                self.note(MediaEvent::LengthCorrected(length));
            }
        }
    }

    fn note(&mut self, event: MediaEvent) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// The next of the events that have happened, in order.
    pub fn take_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    /// Where playback ends, and the rate that it is counted at. By an estimate, or behind an end that was none, the file
    /// itself ends.
    fn end(&self) -> Option<(u64, u32)> {
        let is_known = !self.reader.is_estimated() && !self.reader.exceeds_declared_length();
        self.stream.end.filter(|_| is_known).map(|end| (end, self.stream.sample_rate))
    }

    /// Decodes one packet; `false` at the end.
    fn decode_packet(&mut self) -> Result<bool, DecodeError> {
        let end = self.end();
        let pipeline = &mut self.pipeline;
        match self.reader.next()? {
            Event::End => Ok(false),
            Event::Silence { until } => {
                pipeline.drain(end)?;
                pipeline.reset_codec();
                pipeline.forget_position();
                let until = rescale(until, self.spec.sample_rate, self.stream.sample_rate);
                let made = pipeline.output.made().unwrap_or(0);
                pipeline.output.skip(until.saturating_sub(made))?;
                Ok(true)
            }
            Event::NewStream(parameters) => {
                pipeline.begin_codec(parameters, end)?;
                pipeline.forget_position();
                Ok(true)
            }
            Event::Packet(mut packet) => {
                if let Some(parameters) = packet.change.take() {
                    pipeline.set_codec(parameters, end)?;
                }
                if packet.is_discontinuity {
                    pipeline.drain(end)?;
                    pipeline.reset_codec();
                    // What follows keeps its place, where the container tells it.
                    if packet.position.is_some() {
                        pipeline.forget_position();
                    }
                }
                let rate = self.stream.sample_rate;
                let pipeline_packet = PipelinePacket {
                    data: packet.data,
                    frames: packet.frames,
                    rate,
                    trim_end: packet.trim_end,
                    end: end.map(|(end, _)| end),
                    declared: AudioSpec::new(rate, self.stream.channels),
                };
                let mut place = PlaceInFile { position: packet.position, rate };
                pipeline.take(&pipeline_packet, &mut place)?;
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
        self.reader.resume();
        self.has_sought = true;
        let total = self.details.total_frames.filter(|_| !self.reader.exceeds_declared_length());
        let frame = total.map_or(frame, |total| frame.min(total));
        let rate = self.stream.sample_rate;
        let target = (u128::from(frame) * u128::from(rate) / u128::from(self.spec.sample_rate)) as u64;
        let preroll = self.pipeline.codec().map_or(0, |codec| codec.preroll(self.stream.frames_per_packet));
        let surplus = preroll + self.pipeline.output.warm_up(rate);
        let start = i64::try_from(target).unwrap_or(i64::MAX).saturating_sub_unsigned(surplus);
        self.pipeline.seek(frame);
        self.pipeline.forget_position();
        self.is_ended = true;
        let found = self.reader.seek(start)?;
        self.is_ended = !found;
        Ok(frame)
    }
}

/// Places the packets of a file: behind each other, or where the container says.
struct PlaceInFile {
    /// Where the packet stands, at `rate`.
    position: Option<i64>,
    rate: u32,
}

impl Place for PlaceInFile {
    fn place(
        &mut self,
        cursor: Cursor,
        spec: AudioSpec,
        frames: u64,
        _output: &mut Output,
    ) -> Result<Placement, DecodeError> {
        let told = || self.position.map(|position| rescale_signed(position, spec.sample_rate, self.rate));
        // A packet that decodes to no frames, or whose place cannot be told, is there to prepare the codec.
        let position = cursor.counted(spec.sample_rate).or_else(told).filter(|_| frames > 0);
        Ok(position.map_or(Placement::Unknown, Placement::At))
    }
}

fn open_reader(mut window: Window, hint: &MediaInfo, options: &DecodeOptions) -> Result<Opened, DecodeError> {
    let mut tags = Tags::default();
    let format = options.formats.find(&mut window, hint, options.probe_budget, &mut tags)?;
    let context = OpenContext {
        tags,
        codecs: &options.codecs,
        may_estimate: !options.exact_seek,
        probe_budget: options.probe_budget,
    };
    (format.open)(window, context)
}

/// What the first packet decodes to. Reader and codec begin anew.
fn first_spec(
    reader: &mut dyn FormatReader,
    codec: &mut CodecDecoder,
) -> Result<Option<AudioSpec>, DecodeError> {
    let mut spec = None;
    if let Event::Packet(packet) = reader.next()? {
        spec = match codec.decode(packet.data, packet.frames) {
            Ok(decoded) => Some(decoded.spec()).filter(|spec| spec.sample_rate > 0 && spec.channels > 0),
            Err(PacketError::Fatal(error)) => return Err(error),
            Err(_) => None,
        };
    }
    reader.seek(i64::MIN)?;
    codec.reset();
    Ok(spec)
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
