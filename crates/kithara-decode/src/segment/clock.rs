//! From media timestamps to frames of the presentation.
//!
//! Pure: no decoder state, no I/O. Within a run of packets the decoded frames are counted, and no timestamp is looked at.
//! Only where the count breaks off (start, seek, switch, discontinuity) timestamps place the next packet.

use std::time::Duration;

use super::Anchor;
use crate::demux::{Codec, DemuxedPacket, TrackInfo};
use crate::rescale::rescale_signed;

/// Timelines remembered: one per discontinuity that was played through.
const MAX_TIMELINES: usize = 256;
/// An edit list or encoder delay that hides more than this is not believed, in seconds.
const MAX_LEAD_SECONDS: u64 = 10;

/// One stretch of media time and where it lies in the presentation.
#[derive(Clone, Copy, Debug)]
struct Timeline {
    anchor: Anchor,
    /// The frame, at `rate`, that sounds at the anchor's media time.
    frame: i64,
    rate: u32,
}

/// The timelines learned so far.
#[derive(Debug, Default)]
pub(super) struct Clock {
    timelines: Vec<Timeline>,
    has_origin: bool,
}

/// What a packet's timestamp means.
pub(super) struct Stamp<'a> {
    pub(super) packet: &'a DemuxedPacket<'a>,
    /// Whether what the edit list hides is hidden.
    pub(super) edits: bool,
    /// Frames per second that the codec gives.
    pub(super) rate: u32,
}

impl Stamp<'_> {
    fn track(&self) -> &TrackInfo {
        self.packet.track
    }

    /// The edit list's shift, in ticks; 0 when there is none, or none that can be believed.
    fn shift(&self) -> i64 {
        let track = self.track();
        let media_time = track.edit.map_or(0, |edit| edit.media_time);
        if media_time > MAX_LEAD_SECONDS * u64::from(track.timescale) { 0 } else { media_time as i64 }
    }

    /// Frames that each packet gives, where they are all alike: with band replication more than the track says.
    fn step(&self) -> Option<i64> {
        let (rate, declared) = (i64::from(self.rate), i64::from(self.track().sample_rate.max(1)));
        let step = i64::from(self.track().frames_per_packet?);
        (rate % declared == 0).then(|| step * (rate / declared)).filter(|step| *step > 1)
    }

    /// Time after the edit list, in ticks.
    fn time(&self) -> i64 {
        self.packet.pts.saturating_sub(self.shift())
    }

    /// Frames to hide at the start that no edit list tells of.
    fn lead(&self) -> u32 {
        let track = self.track();
        let is_hidden_by_edit = track.edit.is_some_and(|edit| self.edits && edit.media_time > 0);
        let hides = match track.codec {
            // Packagers write edit lists that begin at 0 beside a pre-skip.
            Codec::Opus => !is_hidden_by_edit,
            Codec::Mp3 => track.edit.is_none(),
            _ => track.edit.is_none() && self.edits,
        };
        if !hides {
            return 0;
        }
        let decoder_delay = if track.codec == Codec::Mp3 { 529 } else { 0 };
        match track.gapless {
            Some(gapless) if gapless.delay < track.sample_rate.saturating_mul(MAX_LEAD_SECONDS as u32) => {
                gapless.delay + decoder_delay
            }
            _ => 0,
        }
    }

    /// The anchor that makes this packet the first one: what it hides is hidden.
    pub(super) fn anchor(&self) -> Anchor {
        let timescale = self.track().timescale.max(1);
        let lead = self.lead();
        let lead_ticks = rescale_signed(i64::from(lead), timescale, self.track().sample_rate.max(1));
        // Before the edit: presentation begins at the edit. Behind it (a stream cut out of a longer one): here.
        let media_time = match lead {
            0 if self.edits => self.time().max(0),
            _ => self.time().saturating_add(lead_ticks),
        };
        let hidden =
            if lead > 0 { lead } else { self.frames_of(media_time.saturating_sub(self.time())) as u32 };
        Anchor { media_time, timescale, lead: hidden }
    }

    fn frames_of(&self, ticks: i64) -> i64 {
        rescale_signed(ticks, self.rate, self.track().timescale)
    }

    /// Frames by which a timestamp may be off through its rounding to ticks.
    pub(super) fn tolerance(&self) -> i64 {
        let timescale = self.track().timescale.max(1);
        if timescale.is_multiple_of(self.rate.max(1)) {
            0
        } else {
            2 * i64::from(self.rate.div_ceil(timescale)) + 1
        }
    }
}

impl Timeline {
    /// The frame of `stamp` on this timeline.
    fn locate(&self, stamp: &Stamp<'_>) -> i64 {
        let timescale = stamp.track().timescale.max(1);
        let anchor = rescale_signed(self.anchor.media_time, timescale, self.anchor.timescale);
        let origin = rescale_signed(self.frame, stamp.rate, self.rate);
        let frame = origin.saturating_add(stamp.frames_of(stamp.time().saturating_sub(anchor)));
        self.on_grid(frame, origin, stamp)
    }

    /// Whether a packet that it puts at `frame` may belong to it when the playlist puts the packet's segment at `expected`.
    /// Durations that are only roughly right stretch or shrink the way from the timeline's start; a packet that stands at
    /// that start while its segment is far from it has timestamps that began anew without a discontinuity tag.
    fn explains(&self, frame: i64, expected: i64, rate: u32) -> bool {
        let origin = rescale_signed(self.frame, rate, self.rate);
        let (way, wanted) = (frame.saturating_sub(origin), expected.saturating_sub(origin));
        let is_near = (frame.saturating_sub(expected)).unsigned_abs() <= u64::from(rate / 4);
        is_near || way.saturating_mul(wanted.signum()) >= wanted.saturating_abs() / 4
    }

    /// Packets of a fixed length lie on a grid that begins with the first one: undoes the rounding of timestamps.
    fn on_grid(&self, frame: i64, origin: i64, stamp: &Stamp<'_>) -> i64 {
        let (tolerance, Some(step)) = (stamp.tolerance(), stamp.step()) else {
            return frame;
        };
        if tolerance == 0 {
            return frame;
        }
        let start = origin.saturating_sub(i64::from(self.anchor.lead));
        let off = frame.saturating_sub(start).rem_euclid(step);
        if off <= tolerance {
            frame - off
        } else if step - off <= tolerance {
            frame + (step - off)
        } else {
            frame
        }
    }
}

impl Clock {
    /// The anchor of the presentation's own timeline.
    pub(super) fn anchor(&self) -> Option<Anchor> {
        self.has_origin.then(|| self.timelines.first().map(|first| first.anchor)).flatten()
    }

    /// Makes `anchor` frame 0.
    pub(super) fn set_anchor(&mut self, anchor: Anchor) {
        if self.has_origin {
            self.timelines.remove(0);
        }
        self.has_origin = true;
        let anchor = Anchor { timescale: anchor.timescale.max(1), ..anchor };
        self.timelines.insert(0, Timeline { anchor, frame: 0, rate: 1 });
    }

    /// The media time, in 90 kHz units, that `position` is expected to have.
    pub(super) fn time_near(&self, position: Duration) -> Option<i64> {
        let anchor = self.anchor()?;
        let position = i64::try_from(position.as_nanos() / 1000 * 9 / 100).ok()?;
        Some(rescale_signed(anchor.media_time, 90_000, anchor.timescale).saturating_add(position))
    }

    /// Makes the packet's presented start `frame`, on a timeline of its own.
    pub(super) fn begin_timeline(&mut self, stamp: &Stamp<'_>, frame: i64) -> i64 {
        let timeline = Timeline { anchor: stamp.anchor(), frame, rate: stamp.rate };
        if self.timelines.len() < MAX_TIMELINES {
            self.timelines.push(timeline);
        }
        timeline.locate(stamp)
    }

    /// Where a packet without a time lies, if it is the first of a segment that the playlist puts at `start`: sums of
    /// rounded durations are moved to the grid of packets where they are near it.
    pub(super) fn by_playlist(&self, stamp: &Stamp<'_>, start: Duration) -> i64 {
        let frame = frame_at(start, stamp.rate);
        let Some(step) = stamp.step() else { return frame };
        let lead = self.anchor().map_or(0, |anchor| i64::from(anchor.lead));
        let off = frame.rem_euclid(step);
        let nearest = if off < step / 2 { frame - off } else { frame - off + step };
        let is_near = (nearest - frame).abs() <= step / 8;
        if is_near { nearest - lead } else { frame }
    }

    /// Where the packet lies, on the timeline that agrees best with the playlist's `expected` position of its segment;
    /// `None` when none agrees.
    pub(super) fn locate(&self, stamp: &Stamp<'_>, expected: Duration) -> Option<i64> {
        let expected_frame = frame_at(expected, stamp.rate);
        let slack = frame_at(Duration::from_secs(10) + expected / 20, stamp.rate);
        let distance = |frame: &i64| frame.saturating_sub(expected_frame).unsigned_abs();
        let best = self
            .timelines
            .iter()
            .filter_map(|timeline| {
                let frame = timeline.locate(stamp);
                timeline.explains(frame, expected_frame, stamp.rate).then_some(frame)
            })
            .min_by_key(distance)?;
        (distance(&best) <= slack.unsigned_abs()).then_some(best)
    }
}

/// The frame at `position`, rounded to nearest.
pub(super) fn frame_at(position: Duration, rate: u32) -> i64 {
    i64::try_from(crate::AudioSpec::new(rate, 1).frame_at(position)).unwrap_or(i64::MAX)
}
