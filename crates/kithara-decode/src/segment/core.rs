//! The packets of segments: which codec they need, and where they belong.

use std::time::Duration;

use super::clock::{Clock, Located, Stamp};
use super::{SegmentDecoderSettings, SegmentPosition, SegmentStart};
use crate::codecs::CodecParameters;
use crate::demux::{DemuxedPacket, TrackInfo};
use crate::output::Output;
use crate::pipeline::{Cursor, PacketPipeline, PipelinePacket, Place, Placement};
use crate::rescale::rescale;
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
    pub(super) pipeline: PacketPipeline,
    pub(super) clock: Clock,
    pub(super) sync: Sync,
    track: Option<TrackInfo>,
    /// The demuxer is another one: equal serials mean nothing.
    track_is_stale: bool,
    edits: bool,
    /// Packets that are still compared with their times, because something was lost before them.
    unsettled: u32,
    /// Silence asked for before the output's shape was known.
    early_silence: Duration,
    /// Where the first packet of the present segment was placed.
    first: Option<SegmentPosition>,
    /// The frames counted begin at a place that is known.
    is_certain: bool,
    /// The present segment has a demuxer of its own.
    is_whole: bool,
}

impl Core {
    pub(super) fn new(settings: SegmentDecoderSettings) -> Self {
        let output = Output::new(settings.pool, settings.output).native(settings.native);
        Self {
            pipeline: PacketPipeline::new(output, settings.codecs, settings.max_bad_packets),
            clock: Clock::default(),
            sync: Sync::ByTime,
            track: None,
            track_is_stale: true,
            edits: settings.edit_lists,
            unsettled: 0,
            early_silence: Duration::ZERO,
            first: None,
            is_certain: true,
            is_whole: true,
        }
    }

    /// Another segment begins, with a demuxer of its own if it `is_whole`.
    pub(super) fn begin_segment(&mut self, is_whole: bool) {
        self.first = None;
        self.is_whole = is_whole;
    }

    /// Where the first packet of the present segment was placed.
    pub(super) fn segment_position(&self) -> Option<SegmentPosition> {
        self.first
    }

    pub(super) fn track(&self) -> Option<&TrackInfo> {
        self.track.as_ref()
    }

    /// Another demuxer takes over.
    pub(super) fn expect_new_track(&mut self) {
        self.track_is_stale = true;
    }

    pub(super) fn seek(&mut self, frame: u64) {
        self.pipeline.seek(frame);
        self.sync = Sync::ByTime;
        self.early_silence = Duration::ZERO;
        self.first = None;
    }

    /// The presentation is over: what the codec and the resampler hold back comes out.
    pub(super) fn finish(&mut self) -> Result<(), DecodeError> {
        self.pipeline.drain(None)?;
        self.pipeline.output.end_run()
    }

    /// Frames before a seek target that must be decoded, at the track's rate.
    pub(super) fn preroll(&self, track: &TrackInfo) -> u64 {
        let codec = self.pipeline.codec().map_or(0, |codec| codec.preroll(track.frames_per_packet));
        codec + self.pipeline.output.warm_up(track.sample_rate.max(1))
    }

    pub(super) fn insert_silence(&mut self, duration: Duration) -> Result<(), DecodeError> {
        self.pipeline.drain(None)?;
        match self.pipeline.output.spec() {
            Some(spec) => self.pipeline.output.skip(spec.frame_at(duration))?,
            None => self.early_silence += duration,
        }
        // Overlap from before the silence must not sound behind it.
        self.pipeline.reset_codec();
        self.sync = Sync::ByTime;
        self.first = None;
        Ok(())
    }

    /// Makes the codec ready for packets of `track`; the one at work goes on if it can.
    pub(super) fn prepare(&mut self, track: &TrackInfo) -> Result<(), DecodeError> {
        let same =
            !self.track_is_stale && self.track.as_ref().is_some_and(|known| known.serial == track.serial);
        if same && self.pipeline.codec().is_some() {
            return Ok(());
        }
        self.pipeline.set_codec(CodecParameters::of_track(track)?, None)?;
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
        let track = packet.track;
        let rate = track.sample_rate;
        let frames = track
            .frames_per_packet
            .map_or_else(|| rescale(packet.duration, rate, track.timescale), u64::from);
        let pipeline_packet = PipelinePacket {
            data: packet.data,
            frames,
            rate,
            trim_end: 0,
            end: None,
            declared: AudioSpec::new(rate, track.channels.max(1)),
        };
        let mut place = PlaceInPresentation {
            packet,
            segment,
            clock: &mut self.clock,
            sync: &mut self.sync,
            early_silence: &mut self.early_silence,
            edits: self.edits,
            first: &mut self.first,
            is_certain: &mut self.is_certain,
            is_whole: self.is_whole,
        };
        self.pipeline.take(&pipeline_packet, &mut place)
    }

    /// Data was lost before this packet, or shortly before: the codec starts anew, and the packet goes to its own place as
    /// soon as one has a time that says so.
    fn heed_loss(&mut self, packet: &DemuxedPacket<'_>, segment: &SegmentStart) -> Result<(), DecodeError> {
        let Some((next, spec)) = self.pipeline.next().filter(|_| self.sync == Sync::Counting) else {
            return Ok(());
        };
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
            let place = self.clock.relocate(&stamp, segment, next);
            let is_displaced = place.is_some_and(|frame| (frame - next).abs() > stamp.tolerance());
            if is_displaced {
                self.sync = Sync::ByTime;
            }
            // A counter that jumped without a loss is no reason to break the sound.
            is_lost &= is_displaced;
        }
        if is_lost {
            self.pipeline.drain(None)?;
            self.pipeline.reset_codec();
        }
        Ok(())
    }
}

/// Places the packets of segments.
struct PlaceInPresentation<'a> {
    packet: &'a DemuxedPacket<'a>,
    segment: &'a SegmentStart,
    clock: &'a mut Clock,
    sync: &'a mut Sync,
    early_silence: &'a mut Duration,
    edits: bool,
    first: &'a mut Option<SegmentPosition>,
    is_certain: &'a mut bool,
    is_whole: bool,
}

impl Place for PlaceInPresentation<'_> {
    fn place(
        &mut self,
        cursor: Cursor,
        spec: AudioSpec,
        frames: u64,
        output: &mut Output,
    ) -> Result<Placement, DecodeError> {
        if frames == 0 {
            return Ok(Placement::Empty);
        }
        let mut placing =
            Placing { output, clock: &mut *self.clock, sync: &mut *self.sync, cursor, edits: self.edits };
        placing.start(self.early_silence, spec)?;
        let located = placing.place(self.packet, self.segment, spec, self.first.is_none(), *self.is_certain);
        *self.is_certain = located.is_certain;
        self.first.get_or_insert(SegmentPosition {
            frame: located.frame,
            rate: spec.sample_rate,
            is_certain: located.is_certain,
            is_whole: self.is_whole,
        });
        Ok(Placement::At(located.frame))
    }
}

/// The parts of [`Core`] that placing a packet needs while the codec is borrowed.
struct Placing<'a> {
    output: &'a mut Output,
    clock: &'a mut Clock,
    sync: &'a mut Sync,
    cursor: Cursor,
    edits: bool,
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
        is_segment_start: bool,
        was_certain: bool,
    ) -> Located {
        let stamp = Stamp { packet, edits: self.edits, rate: spec.sample_rate.max(1) };
        let counted = self.cursor.counted(spec.sample_rate);
        let counting = |frame| Located { frame, is_certain: was_certain };
        let mut located = match (std::mem::replace(self.sync, Sync::Counting), counted) {
            (Sync::Counting, Some(counted)) => {
                if is_segment_start {
                    self.clock.observe(&stamp, segment, counting(counted));
                }
                counting(counted)
            }
            (Sync::NewTimeline, Some(counted)) if packet.is_timed => {
                self.clock.begin_domain(&stamp, segment, counting(counted))
            }
            (Sync::NewTimeline, Some(counted)) => counting(counted),
            // Behind a loss inside of a segment.
            (Sync::ByTime, Some(counted)) if !is_segment_start => {
                counting(self.clock.relocate(&stamp, segment, counted).unwrap_or(counted))
            }
            _ => self.clock.place(&stamp, segment),
        };
        let position = located.frame;
        located.frame = match counted {
            // A switch between aligned variants: the rounding of timestamps must not be heard.
            Some(counted)
                if (position - counted).abs() <= stamp.tolerance() && self.made_is_at(counted, spec) =>
            {
                counted
            }
            _ => position,
        };
        located
    }

    /// Whether the output stands at `frame` (at `spec`'s rate): not after a seek.
    fn made_is_at(&self, frame: i64, spec: AudioSpec) -> bool {
        let Some(out) = self.output.spec() else { return false };
        let made =
            self.output.made().and_then(|made| i64::try_from(made.saturating_add(self.cursor.delay)).ok());
        out.sample_rate != spec.sample_rate || made == Some(frame)
    }
}
