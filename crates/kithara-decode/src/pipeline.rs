//! Packets to placed PCM, the same for segments and files: codec, decoder delay, output, and silence for bad packets.

use crate::codecs::{CodecDecoder, CodecParameters, CodecTable, DecoderDelay, PacketError, left_before};
use crate::output::Output;
use crate::rescale::{rescale, rescale_signed};
use crate::{AudioSpec, DecodeError};

/// One packet on its way through the pipeline.
#[derive(Clone, Copy)]
pub(crate) struct PipelinePacket<'a> {
    pub(crate) data: &'a [u8],
    /// Frames that the container says it holds, at `rate`.
    pub(crate) frames: u64,
    pub(crate) rate: u32,
    /// Frames of its end that are not presented, at the rate that it decodes to.
    pub(crate) trim_end: u64,
    /// Where presentation ends, at `rate`.
    pub(crate) end: Option<u64>,
    /// Shape of the silence in its place if no packet decoded before it.
    pub(crate) declared: AudioSpec,
}

/// Where the pipeline stands when a packet is placed.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    /// Position of the next frame at the rate of `spec`; `None`: the packet must tell.
    pub(crate) next: Option<i64>,
    /// What packets decoded to last.
    pub(crate) spec: Option<AudioSpec>,
    /// Frames by which the output is behind `next`.
    pub(crate) delay: u64,
}

impl Cursor {
    /// Position of the next frame at `rate`, by counting.
    pub(crate) fn counted(&self, rate: u32) -> Option<i64> {
        let (next, spec) = (self.next?, self.spec?);
        Some(rescale_signed(next, rate, spec.sample_rate.max(1)))
    }
}

/// Where a packet's first frame belongs.
pub(crate) enum Placement {
    /// At this frame, at the rate that the packet decodes to.
    At(i64),
    /// Nowhere: the packet only prepares the codec, and the next one must tell where it belongs.
    Unknown,
    /// Nowhere, and the count goes on behind it.
    Empty,
}

/// Decides where packets belong. The two ways to do it are what segments and files differ in.
pub(crate) trait Place {
    /// Places `frames` frames of `spec` (never of rate 0).
    fn place(
        &mut self,
        cursor: Cursor,
        spec: AudioSpec,
        frames: u64,
        output: &mut Output,
    ) -> Result<Placement, DecodeError>;
}

pub(crate) struct PacketPipeline {
    pub(crate) output: Output,
    codecs: CodecTable,
    codec: Option<CodecDecoder>,
    delay: DecoderDelay,
    next: Option<i64>,
    spec: Option<AudioSpec>,
    /// Frames trimmed from the end of the last packet.
    trimmed: u64,
    /// A packet has given frames.
    has_decoded: bool,
    bad_packets: u32,
    max_bad_packets: u32,
}

impl PacketPipeline {
    pub(crate) fn new(output: Output, codecs: CodecTable, max_bad_packets: u32) -> Self {
        Self {
            output,
            codecs,
            codec: None,
            delay: DecoderDelay::default(),
            next: None,
            spec: None,
            trimmed: 0,
            has_decoded: false,
            bad_packets: 0,
            max_bad_packets,
        }
    }

    pub(crate) fn codec(&self) -> Option<&CodecDecoder> {
        self.codec.as_ref()
    }

    /// Position of the next frame, and what it is counted in.
    pub(crate) fn next(&self) -> Option<(i64, AudioSpec)> {
        self.next.zip(self.spec)
    }

    /// Whether any packet has given frames so far.
    pub(crate) fn has_decoded(&self) -> bool {
        self.has_decoded
    }

    /// The frame behind the last one presented, and its rate. `None` before any.
    pub(crate) fn presented_end(&self, end: Option<(u64, u32)>) -> Option<(u64, u32)> {
        let (next, spec) = self.next()?;
        let next = u64::try_from(next.saturating_sub_unsigned(self.trimmed)).ok()?;
        let end = end.map_or(next, |(end, rate)| next.min(rescale(end, spec.sample_rate, rate)));
        Some((end, spec.sample_rate))
    }

    /// What packets are expected to decode to, before the first one does.
    pub(crate) fn expect_spec(&mut self, spec: AudioSpec) {
        self.spec = Some(spec);
    }

    /// The next packet says where it stands.
    pub(crate) fn forget_position(&mut self) {
        self.next = None;
    }

    /// Decodes packets of these parameters from now on. The decoder at work goes on if it can; else it is drained up to
    /// `end` (see [`drain`](Self::drain)) before another takes its place.
    pub(crate) fn set_codec(
        &mut self,
        parameters: CodecParameters,
        end: Option<(u64, u32)>,
    ) -> Result<(), DecodeError> {
        if self.codec.as_ref().is_some_and(|codec| codec.parameters().accepts(&parameters)) {
            return Ok(());
        }
        self.begin_codec(parameters, end)
    }

    /// As [`set_codec`](Self::set_codec), with a new decoder in any case.
    pub(crate) fn begin_codec(
        &mut self,
        parameters: CodecParameters,
        end: Option<(u64, u32)>,
    ) -> Result<(), DecodeError> {
        self.drain(end)?;
        // The old one's memory is free before the new one is made.
        self.codec = None;
        self.codec = Some(CodecDecoder::new(parameters, &self.codecs)?);
        Ok(())
    }

    /// Takes a decoder as it is.
    pub(crate) fn adopt(&mut self, codec: CodecDecoder) {
        self.codec = Some(codec);
    }

    /// The next frame to give out is `frame`, and the next packet says where it stands.
    pub(crate) fn seek(&mut self, frame: u64) {
        self.output.seek(frame);
        self.reset_codec();
        self.delay.forget();
        self.bad_packets = 0;
    }

    /// Forgets what earlier packets left in the codec.
    pub(crate) fn reset_codec(&mut self) {
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
    }

    /// Gets what a late decoder has still to give, up to `end` (frames, and the rate that they are counted at).
    pub(crate) fn drain(&mut self, end: Option<(u64, u32)>) -> Result<(), DecodeError> {
        let (Some(codec), Some(spec), Some(next)) = (&mut self.codec, self.spec, self.next) else {
            return Ok(());
        };
        let end = end.map(|(end, rate)| rescale(end, spec.sample_rate, rate));
        self.delay.drain(codec, &mut self.output, spec, next, end)
    }

    /// Decodes a packet and gives out what of it is presented; silence stands in for a bad one.
    ///
    /// # Errors
    /// More than the allowed number of packets in a row are bad, or no packet of this stream can be decoded.
    pub(crate) fn take(
        &mut self,
        packet: &PipelinePacket<'_>,
        place: &mut impl Place,
    ) -> Result<(), DecodeError> {
        let Some(codec) = &mut self.codec else { return Ok(()) };
        let decoded = match codec.decode(packet.data, packet.frames) {
            Ok(decoded) => decoded,
            Err(PacketError::Fatal(error)) => return Err(error),
            Err(PacketError::Damaged(reason)) => return self.take_bad(packet, place, reason, false),
            Err(PacketError::Unsupported(reason)) => return self.take_bad(packet, place, reason, true),
        };
        self.bad_packets = 0;
        let (spec, frames) = (decoded.spec(), decoded.frames());
        if spec.sample_rate == 0 || spec.channels == 0 {
            return Ok(());
        }
        self.has_decoded |= frames > 0;
        self.trimmed = packet.trim_end.min(frames as u64);
        let cursor = Cursor { next: self.next, spec: self.spec, delay: decoded.delay() };
        let position = match place.place(cursor, spec, frames as u64, &mut self.output)? {
            Placement::At(position) => position,
            Placement::Empty => return Ok(()),
            Placement::Unknown => {
                (self.spec, self.next) = (Some(spec), None);
                return Ok(());
            }
        };
        self.spec = Some(spec);
        self.next = Some(position.saturating_add_unsigned(frames as u64));
        let position = position.saturating_sub_unsigned(decoded.delay());
        let end = packet.end.map(|end| rescale(end, spec.sample_rate, packet.rate));
        let kept = frames.saturating_sub(usize::try_from(packet.trim_end).unwrap_or(usize::MAX));
        let kept = kept.min(left_before(end, position));
        self.delay.note(decoded.delay(), packet.data);
        self.output.write(&decoded, 0..kept, position)
    }

    fn take_bad(
        &mut self,
        packet: &PipelinePacket<'_>,
        place: &mut impl Place,
        reason: String,
        is_unsupported: bool,
    ) -> Result<(), DecodeError> {
        self.bad_packets += 1;
        tracing::debug!(%reason, "a packet could not be decoded");
        if self.bad_packets > self.max_bad_packets {
            return Err(if is_unsupported {
                let codec = self.codec.as_ref().map_or("packets", CodecDecoder::name);
                DecodeError::Unsupported(format!("{codec} with {reason}"))
            } else {
                DecodeError::TooManyBadPackets { count: self.bad_packets, last: reason }
            });
        }
        let spec = self.spec.unwrap_or(packet.declared);
        if spec.sample_rate == 0 || spec.channels == 0 {
            return Ok(());
        }
        let frames = rescale(packet.frames, spec.sample_rate, packet.rate);
        let cursor = Cursor { next: self.next, spec: self.spec, delay: self.delay.frames() };
        let Placement::At(position) = place.place(cursor, spec, frames, &mut self.output)? else {
            return Ok(());
        };
        self.spec = Some(spec);
        self.next = Some(position.saturating_add_unsigned(frames));
        let position = position.saturating_sub_unsigned(self.delay.frames());
        let end = packet.end.map(|end| rescale(end, spec.sample_rate, packet.rate));
        let kept = frames.min(left_before(end, position) as u64);
        self.output.write_silence(spec, kept, position)
    }
}
