//! Packets to PCM: codec, position, output.

use std::time::Duration;

use super::clock::{Clock, Stamp, frame_at};
use super::{SegmentDecoderSettings, SegmentStart};
use crate::codec::{CodecDecoder, Debt, PacketError};
use crate::demux::{DemuxedPacket, TrackInfo};
use crate::output::Output;
use crate::rescale::{rescale, rescale_signed};
use crate::{AudioSpec, DecodeError};

/// Packets after a loss whose times are looked at: a container may give a time to one of many.
const UNSETTLED_PACKETS: u32 = 64;

/// How the next packet is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Behind the last one: frames are counted.
    Counting,
    /// By its timestamp.
    ByTime,
    /// Behind the last one, but on a new timeline: a discontinuity.
    NewTimeline,
}

pub(super) struct Core {
    pub(super) output: Output,
    pub(super) clock: Clock,
    pub(super) sync: Sync,
    codec: Option<CodecDecoder>,
    debt: Debt,
    track: Option<TrackInfo>,
    /// The demuxer is another one: equal serials mean nothing.
    track_is_stale: bool,
    /// Position of the next frame, and what the last packets decoded to.
    next: i64,
    spec: Option<AudioSpec>,
    edits: bool,
    /// Packets that are still compared with their times, because something was lost before them.
    unsettled: u32,
    bad_packets: u32,
    max_bad_packets: u32,
    /// Silence asked for before the output's shape was known.
    early_silence: Duration,
}

impl Core {
    pub(super) fn new(settings: SegmentDecoderSettings) -> Self {
        Self {
            output: Output::new(settings.pool, settings.sample_rate, settings.channels)
                .native(settings.native),
            clock: Clock::default(),
            sync: Sync::ByTime,
            codec: None,
            debt: Debt::default(),
            track: None,
            track_is_stale: true,
            next: 0,
            spec: None,
            edits: settings.edit_lists,
            unsettled: 0,
            bad_packets: 0,
            max_bad_packets: settings.max_bad_packets,
            early_silence: Duration::ZERO,
        }
    }

    pub(super) fn track(&self) -> Option<&TrackInfo> {
        self.track.as_ref()
    }

    /// Another demuxer takes over.
    pub(super) fn expect_new_track(&mut self) {
        self.track_is_stale = true;
    }

    pub(super) fn seek(&mut self, frame: u64) {
        self.output.seek(frame);
        self.debt.forget();
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
        self.sync = Sync::ByTime;
        self.early_silence = Duration::ZERO;
    }

    /// The presentation is over: what the codec and the resampler hold back comes out.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        self.drain_codec()?;
        self.output.end_run()
    }

    /// Packets at the start of decoding that give nothing which can be heard.
    pub(super) fn lagging_packets(&self) -> u64 {
        if self.codec.as_ref().is_some_and(CodecDecoder::is_lagging) { 2 } else { 0 }
    }

    /// Gets what a lagging codec still owes.
    fn drain_codec(&mut self) -> Result<(), DecodeError> {
        let (Some(codec), Some(spec)) = (&mut self.codec, self.spec) else { return Ok(()) };
        self.debt.collect(codec, &mut self.output, spec, self.next, None)
    }

    pub(super) fn insert_silence(&mut self, duration: Duration) -> Result<(), DecodeError> {
        self.drain_codec()?;
        match self.output.spec() {
            Some(spec) => self.output.skip(spec.frame_at(duration))?,
            None => self.early_silence += duration,
        }
        // What was heard before the silence does not fade out behind it.
        if let Some(codec) = &mut self.codec {
            codec.reset();
        }
        self.sync = Sync::ByTime;
        Ok(())
    }

    /// Makes the codec ready for packets of `track`; the one at work goes on if it can.
    pub(super) fn prepare(&mut self, track: &TrackInfo) -> Result<(), DecodeError> {
        let same =
            !self.track_is_stale && self.track.as_ref().is_some_and(|known| known.serial == track.serial);
        if same && self.codec.is_some() {
            return Ok(());
        }
        if !self.codec.as_ref().is_some_and(|codec| codec.accepts(track)) {
            self.drain_codec()?;
            self.codec = None;
            self.codec = Some(CodecDecoder::for_track(track)?);
        }
        self.track = Some(track.clone());
        self.track_is_stale = false;
        Ok(())
    }

    pub(super) fn take(
        &mut self,
        packet: &DemuxedPacket<'_>,
        segment: &SegmentStart,
    ) -> Result<(), DecodeError> {
        self.prepare(packet.track)?;
        self.heed_loss(packet, segment)?;
        let Some(codec) = &mut self.codec else { return Ok(()) };
        let rate = packet.track.sample_rate;
        let nominal = packet
            .track
            .frames_per_packet
            .map_or_else(|| rescale(packet.duration, rate, packet.track.timescale), u64::from);
        match codec.decode(packet.data, nominal) {
            Ok(decoded) => {
                self.bad_packets = 0;
                let (spec, frames) = (decoded.spec(), decoded.frames());
                if frames == 0 {
                    return Ok(());
                }
                let mut placing = Placing {
                    output: &mut self.output,
                    clock: &mut self.clock,
                    sync: &mut self.sync,
                    next: &mut self.next,
                    edits: self.edits,
                    lag: decoded.lag(),
                };
                placing.start(&mut self.early_silence, spec)?;
                let position = placing.place(packet, segment, spec, &mut self.spec);
                self.debt.note(decoded.lag(), packet.data);
                self.output.write(&decoded, 0..frames, position.saturating_sub_unsigned(decoded.lag()))?;
                self.next = position.saturating_add_unsigned(frames as u64);
                Ok(())
            }
            Err(PacketError::Bad(what)) => {
                self.bad_packets += 1;
                tracing::debug!(%what, "a packet could not be decoded");
                if self.bad_packets > self.max_bad_packets {
                    return Err(DecodeError::too_many(self.bad_packets, what));
                }
                let spec = self
                    .spec
                    .unwrap_or(AudioSpec::new(packet.track.sample_rate, packet.track.channels.max(1)));
                let frames = nominal;
                let mut placing = Placing {
                    output: &mut self.output,
                    clock: &mut self.clock,
                    sync: &mut self.sync,
                    next: &mut self.next,
                    edits: self.edits,
                    lag: self.debt.frames(),
                };
                placing.start(&mut self.early_silence, spec)?;
                let position = placing.place(packet, segment, spec, &mut self.spec);
                self.output.write_silence(
                    spec,
                    frames,
                    position.saturating_sub_unsigned(self.debt.frames()),
                )?;
                self.next = position.saturating_add_unsigned(frames);
                Ok(())
            }
            Err(PacketError::Fatal(error)) => Err(error),
        }
    }

    /// Data was lost before this packet, or shortly before: the codec starts anew, and the packet goes to its own place as
    /// soon as one has a time that says so.
    fn heed_loss(&mut self, packet: &DemuxedPacket<'_>, segment: &SegmentStart) -> Result<(), DecodeError> {
        let Some(spec) = self.spec.filter(|_| self.sync == Sync::Counting) else { return Ok(()) };
        let mut is_lost = packet.is_discontinuity;
        if is_lost {
            self.unsettled = UNSETTLED_PACKETS;
        }
        if self.unsettled == 0 {
            return Ok(());
        }
        self.unsettled -= 1;
        if packet.is_timed {
            let stamp = Stamp { packet, edits: self.edits, rate: spec.sample_rate };
            let place = self.clock.locate(&stamp, segment.timeline_start);
            let is_displaced = place.is_some_and(|frame| (frame - self.next).abs() > stamp.tolerance());
            if is_displaced {
                self.sync = Sync::ByTime;
            }
            // A counter that jumped without a loss is no reason to break the sound.
            is_lost &= is_displaced;
        }
        if is_lost {
            self.drain_codec()?;
        }
        if let Some(codec) = self.codec.as_mut().filter(|_| is_lost) {
            codec.reset();
        }
        Ok(())
    }
}

/// The parts of [`Core`] that placing a packet needs while the codec is borrowed.
struct Placing<'a> {
    output: &'a mut Output,
    clock: &'a mut Clock,
    sync: &'a mut Sync,
    next: &'a mut i64,
    edits: bool,
    /// Frames by which the output is behind `next`.
    lag: u64,
}

impl Placing<'_> {
    fn start(&mut self, early_silence: &mut Duration, spec: AudioSpec) -> Result<(), DecodeError> {
        let silence = std::mem::take(early_silence);
        if silence.is_zero() || spec.sample_rate == 0 || spec.channels == 0 {
            return Ok(());
        }
        let out = self.output.learn_spec(spec);
        self.output.skip(out.frame_at(silence))
    }

    /// The position of the packet's first frame, at `spec`'s rate.
    fn place(
        &mut self,
        packet: &DemuxedPacket<'_>,
        segment: &SegmentStart,
        spec: AudioSpec,
        last: &mut Option<AudioSpec>,
    ) -> i64 {
        let stamp = Stamp { packet, edits: self.edits, rate: spec.sample_rate.max(1) };
        let before = last.replace(spec);
        let counted =
            before.map(|before| rescale_signed(*self.next, spec.sample_rate, before.sample_rate.max(1)));
        let position = match (std::mem::replace(self.sync, Sync::Counting), counted) {
            (Sync::Counting, Some(counted)) => counted,
            (Sync::NewTimeline, Some(counted)) if packet.is_timed => {
                self.clock.begin_timeline(&stamp, counted)
            }
            (Sync::NewTimeline, Some(counted)) => counted,
            _ => self.by_time(&stamp, segment),
        };
        match counted {
            // A switch between aligned variants: the rounding of timestamps must not be heard.
            Some(counted)
                if (position - counted).abs() <= stamp.tolerance() && self.made_is_at(counted, spec) =>
            {
                counted
            }
            _ => position,
        }
    }

    fn by_time(&mut self, stamp: &Stamp<'_>, segment: &SegmentStart) -> i64 {
        let lead = i64::from(stamp.anchor().lead);
        if !stamp.packet.is_timed {
            if segment.is_first && self.clock.anchor().is_none() {
                self.clock.set_anchor(stamp.anchor());
            }
            return if segment.is_first {
                -lead
            } else {
                self.clock.by_playlist(stamp, segment.timeline_start)
            };
        }
        if let Some(frame) = self.clock.locate(stamp, segment.timeline_start) {
            return frame;
        }
        if segment.is_first {
            self.clock.set_anchor(stamp.anchor());
            return self.clock.locate(stamp, segment.timeline_start).unwrap_or(-lead);
        }
        let frame = if segment.discontinuity {
            frame_at(segment.timeline_start, stamp.rate)
        } else {
            // Timestamps began anew within one encode: its packets are on a grid.
            self.clock.by_playlist(stamp, segment.timeline_start) + lead
        };
        self.clock.begin_timeline(stamp, frame)
    }

    /// Whether the output stands at `frame` (at `spec`'s rate): not after a seek.
    fn made_is_at(&self, frame: i64, spec: AudioSpec) -> bool {
        let Some(out) = self.output.spec() else { return false };
        let made = self.output.made().and_then(|made| i64::try_from(made.saturating_add(self.lag)).ok());
        out.sample_rate != spec.sample_rate || made == Some(frame)
    }
}
