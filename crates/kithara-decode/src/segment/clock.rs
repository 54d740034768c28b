//! From media timestamps to frames of the presentation.
//!
//! Pure: no decoder state, no I/O. Within a run of packets the decoded frames are counted, and timestamps are only compared
//! with the count. Where the count breaks off (start, seek, switch of variant, loss) timestamps place the next packet.
//!
//! Timestamps mean something within one discontinuity domain only. Inside a domain they may still jump without a tag, so
//! the clock keeps *runs*: stretches of segments whose timestamps agree with the count of decoded frames.

use std::time::Duration;

use super::{Anchor, Expected, SegmentStart};
use crate::demux::{Codec, DemuxedPacket, TrackInfo};
use crate::rescale::rescale_signed;

/// Runs remembered; beyond this the oldest is forgotten, but never the first segment's.
const MAX_RUNS: usize = 1024;
/// An edit list or encoder delay that hides more than this is not believed, in seconds.
const MAX_LEAD_SECONDS: u64 = 10;

/// Segments whose timestamps count on without a jump, and where they lie in the presentation.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The discontinuity domain that the timestamps belong to.
    domain: u64,
    variant: usize,
    /// Playlist positions of the first and of the last segment that was seen to belong to it.
    from: Duration,
    until: Duration,
    anchor: Anchor,
    /// The frame, at `rate`, that sounds at the anchor's media time.
    frame: i64,
    rate: u32,
    /// False where only a rough playlist position was known.
    is_certain: bool,
}

/// The runs learned so far.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The run of the presentation's first segment.
    origin: Option<Run>,
    runs: Vec<Run>,
    /// An anchor that was set from outside, for the domain of the first segment that comes.
    preset: Option<Anchor>,
    /// The run that placed the last packet.
    current: Option<Run>,
    /// The segment begun last: where it began, and its start and duration by the playlist.
    last: Option<(i64, u32, Duration, Duration)>,
    /// A segment was decoded whose length contradicts its EXTINF and agrees with its timestamps.
    durations_lie: bool,
}

/// A packet's timestamp and what is needed to interpret it.
pub(super) struct Stamp<'a> {
    pub(super) packet: &'a DemuxedPacket<'a>,
    /// Whether the part that the edit list hides is hidden.
    pub(super) edits: bool,
    /// Frames per second that the codec gives.
    pub(super) rate: u32,
}

/// Where a packet was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Frame at the packet's rate.
    pub(super) frame: i64,
    /// False where only a rough playlist position was known.
    pub(super) is_certain: bool,
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

    /// The anchor that makes this packet the first of its domain: its encoder delay is hidden.
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

    /// The anchor of a packet in the middle of a domain: nothing is hidden.
    fn here(&self) -> Anchor {
        Anchor { media_time: self.time(), timescale: self.track().timescale.max(1), lead: 0 }
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

impl Run {
    /// The frame of `stamp` by the timestamps of this run.
    fn locate(&self, stamp: &Stamp<'_>) -> i64 {
        let timescale = stamp.track().timescale.max(1);
        let anchor = rescale_signed(self.anchor.media_time, timescale, self.anchor.timescale);
        let origin = rescale_signed(self.frame, stamp.rate, self.rate);
        let frame = origin.saturating_add(stamp.frames_of(stamp.time().saturating_sub(anchor)));
        self.aligned(frame, origin, stamp)
    }

    /// Packets of a fixed length start at multiples of it from the first one: undoes the rounding of timestamps.
    fn aligned(&self, frame: i64, origin: i64, stamp: &Stamp<'_>) -> i64 {
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

    /// Whether the segment was seen to belong to the run.
    fn holds(&self, segment: &SegmentStart) -> bool {
        (self.domain, self.variant) == (segment.domain, segment.variant)
            && (self.from..=self.until).contains(&segment.timeline_start)
    }

    /// How far a segment's playlist position is from the run's.
    fn distance(&self, segment: &SegmentStart) -> Duration {
        let at = segment.timeline_start;
        if at < self.from { self.from - at } else { at.saturating_sub(self.until) }
    }

    /// Whether a timestamp at `frame` may belong to the run when the playlist puts the segment at `expected`, roughly.
    /// Durations that are wrong stretch or shrink the way from the run's start; a packet that stands at that start while
    /// its segment is far from it has timestamps that began anew without a discontinuity tag.
    fn explains(&self, frame: i64, expected: i64, rate: u32) -> bool {
        let origin = rescale_signed(self.frame, rate, self.rate);
        let (way, wanted) = (frame.saturating_sub(origin), expected.saturating_sub(origin));
        let is_near = frame.saturating_sub(expected).unsigned_abs() <= u64::from(rate / 4);
        let is_on_the_way = way.saturating_mul(wanted.signum()) >= wanted.saturating_abs() / 4;
        let slack = i64::from(rate) * 10 + expected.saturating_abs() / 20;
        (is_near || is_on_the_way) && frame.saturating_sub(expected).saturating_abs() <= slack
    }
}

impl Clock {
    /// The anchor of the presentation's first segment.
    pub(super) fn anchor(&self) -> Option<Anchor> {
        self.preset.or(self.origin.map(|origin| origin.anchor))
    }

    /// Makes `anchor` frame 0, in the domain of the segment that comes next.
    pub(super) fn set_anchor(&mut self, anchor: Anchor) {
        self.preset = Some(Anchor { timescale: anchor.timescale.max(1), ..anchor });
    }

    fn set_origin(&mut self, anchor: Anchor, segment: &SegmentStart) {
        let SegmentStart { domain, variant, .. } = *segment;
        let (from, until) = (Duration::ZERO, Duration::ZERO);
        self.origin = Some(Run { domain, variant, from, until, anchor, frame: 0, rate: 1, is_certain: true });
    }

    /// The media time, in 90 kHz units, that the first packet of `segment` is expected to have.
    pub(super) fn time_near(&self, segment: &SegmentStart) -> Option<i64> {
        let (anchor, from) = match self.nearest(segment) {
            Some(run) => (run.anchor, run.from),
            None => (self.preset?, Duration::ZERO),
        };
        let ticks = |way: Duration| i64::try_from(way.as_nanos() / 1000 * 9 / 100).ok();
        let at = segment.timeline_start;
        let since = if at < from { -ticks(from - at)? } else { ticks(at - from)? };
        Some(rescale_signed(anchor.media_time, 90_000, anchor.timescale).saturating_add(since))
    }

    /// The run that says most about `segment`: one that is certain; the latest one that holds it, else the nearest.
    fn nearest(&self, segment: &SegmentStart) -> Option<Run> {
        let of_domain = |is_certain| {
            let all = self.origin.iter().chain(&self.runs);
            all.filter(move |run| run.domain == segment.domain && run.is_certain == is_certain)
        };
        let best = |is_certain| {
            let holding = of_domain(is_certain).filter(|run| run.holds(segment)).max_by_key(|run| run.from);
            let nearest = || {
                of_domain(is_certain)
                    .min_by_key(|run| (run.distance(segment), run.variant != segment.variant))
            };
            holding.or_else(nearest).copied()
        };
        best(true).or_else(|| best(false))
    }

    /// Remembers that `anchor`, in `segment`, stands at `frame`.
    fn begin(
        &mut self,
        segment: &SegmentStart,
        anchor: Anchor,
        (frame, rate): (i64, u32),
        is_certain: bool,
    ) -> Run {
        let SegmentStart { domain, variant, timeline_start: at, .. } = *segment;
        let run = Run { domain, variant, from: at, until: at, anchor, frame, rate, is_certain };
        let is_same = |known: &Run| (known.domain, known.variant, known.from) == (domain, variant, at);
        // A newer placement of the same segment replaces the old one.
        self.runs.retain(|known| !is_same(known) || known.until > at);
        if is_certain {
            self.runs.retain(|known| known.domain != domain || known.is_certain);
        }
        if self.runs.len() >= MAX_RUNS {
            self.runs.remove(0);
        }
        self.runs.push(run);
        self.current = Some(run);
        run
    }

    /// The packet, the first behind a discontinuity, follows the frames counted so far.
    pub(super) fn begin_domain(
        &mut self,
        stamp: &Stamp<'_>,
        segment: &SegmentStart,
        counted: Located,
    ) -> Located {
        self.last = Some((counted.frame, stamp.rate, segment.timeline_start, segment.duration));
        let run = self.begin(segment, stamp.anchor(), (counted.frame, stamp.rate), counted.is_certain);
        Located { frame: run.locate(stamp), ..counted }
    }

    /// Compares the timestamp of the first packet of `segment` with the frames counted up to it. A jump that no tag
    /// announces begins another run.
    pub(super) fn observe(&mut self, stamp: &Stamp<'_>, segment: &SegmentStart, place: Located) {
        let counted = place.frame;
        let now = (counted, stamp.rate, segment.timeline_start, segment.duration);
        let last = self.last.replace(now);
        if !stamp.packet.is_timed {
            return;
        }
        let tolerance = stamp.tolerance().max(1);
        let agrees = |run: &Run| {
            (run.domain, run.variant) == (segment.domain, segment.variant)
                && (run.locate(stamp) - counted).abs() <= tolerance
        };
        if let Some(current) = self.current.filter(agrees) {
            self.observe_length(last, counted, stamp.rate, segment);
            let is_current = |run: &Run| {
                (run.domain, run.variant, run.from, run.frame)
                    == (current.domain, current.variant, current.from, current.frame)
            };
            for run in self.origin.iter_mut().chain(&mut self.runs).filter(|run| is_current(run)) {
                run.until = run.until.max(segment.timeline_start);
            }
        } else if let Some(run) = self.nearest(segment).filter(|run| run.holds(segment) && agrees(run)) {
            self.current = Some(run);
        } else {
            self.begin(segment, stamp.here(), (counted, stamp.rate), place.is_certain);
        }
    }

    /// Compares the decoded length of the segment before with its EXTINF, where timestamps agree with the count.
    fn observe_length(
        &mut self,
        last: Option<(i64, u32, Duration, Duration)>,
        counted: i64,
        rate: u32,
        segment: &SegmentStart,
    ) {
        let Some((frame, last_rate, start, duration)) = last else { return };
        let follows = segment.timeline_start.abs_diff(start + duration) < Duration::from_millis(1);
        if follows && last_rate == rate {
            let off = (counted - frame).saturating_sub(frame_at(duration, rate)).abs();
            self.durations_lie |= off > i64::from(rate) / 20;
        }
    }

    /// Where the first packet of `segment` lies when frames were not counted up to it.
    pub(super) fn place(&mut self, stamp: &Stamp<'_>, segment: &SegmentStart) -> Located {
        let placement = self.place_first(stamp, segment);
        self.last = Some((placement.frame, stamp.rate, segment.timeline_start, segment.duration));
        placement
    }

    fn place_first(&mut self, stamp: &Stamp<'_>, segment: &SegmentStart) -> Located {
        let certain = |frame| Located { frame, is_certain: true };
        if let Some(preset) = self.preset.take() {
            self.set_origin(preset, segment);
        }
        if segment.is_first && self.origin.is_none() {
            self.set_origin(stamp.anchor(), segment);
        }
        let exact = segment.expected.filter(|expected| expected.is_exact);
        if !stamp.packet.is_timed {
            return match exact {
                _ if segment.is_first => certain(-i64::from(stamp.anchor().lead)),
                Some(expected) => certain(expected.at(stamp.rate)),
                None => Located { frame: self.by_playlist(stamp, segment), is_certain: false },
            };
        }
        let known = self.nearest(segment);
        if let Some(run) = known {
            let frame = run.locate(stamp);
            if run.holds(segment) || self.is_believed(&run, frame, stamp, segment) {
                self.current = Some(run);
                return Located { frame, is_certain: run.is_certain };
            }
        }
        if segment.is_first {
            // Another variant whose timestamps have nothing to do with the first one's.
            return certain(self.begin(segment, stamp.anchor(), (0, stamp.rate), true).locate(stamp));
        }
        let frame = exact.map_or_else(|| self.by_playlist(stamp, segment), |exact| exact.at(stamp.rate));
        // Where timestamps jump inside a domain, there is nothing more certain than the playlist.
        let is_certain = exact.is_some() || known.is_some_and(|run| run.is_certain);
        self.begin(segment, stamp.here(), (frame, stamp.rate), is_certain);
        Located { frame, is_certain }
    }

    /// Whether the timestamps of a segment outside of `run` may be taken as going on from it.
    fn is_believed(&self, run: &Run, frame: i64, stamp: &Stamp<'_>, segment: &SegmentStart) -> bool {
        match segment.expected {
            Some(expected) if expected.is_exact && !self.durations_lie => {
                (frame - expected.at(stamp.rate)).abs() <= stamp.tolerance().max(1)
            }
            Some(expected) => run.explains(frame, expected.at(stamp.rate), stamp.rate),
            None => run.explains(frame, frame_at(segment.timeline_start, stamp.rate), stamp.rate),
        }
    }

    /// Where a packet behind a loss, at or after frame `next`, lies by its timestamp; `None` where none can be believed.
    pub(super) fn relocate(&self, stamp: &Stamp<'_>, segment: &SegmentStart, next: i64) -> Option<i64> {
        let run = self.current.as_ref().filter(|run| run.domain == segment.domain);
        let frame = run.copied().or_else(|| self.nearest(segment))?.locate(stamp);
        let slack = i64::from(stamp.rate) * 10 + frame_at(segment.duration, stamp.rate);
        ((frame - next).abs() <= slack).then_some(frame)
    }

    /// The position of a segment by the playlist alone. Sums of rounded durations are moved to the grid of packets where
    /// they are near it.
    fn by_playlist(&self, stamp: &Stamp<'_>, segment: &SegmentStart) -> i64 {
        if let Some(expected) = segment.expected {
            return expected.at(stamp.rate);
        }
        let frame = frame_at(segment.timeline_start, stamp.rate);
        let Some(step) = stamp.step() else { return frame };
        let lead = self.anchor().map_or(0, |anchor| i64::from(anchor.lead));
        let off = frame.rem_euclid(step);
        let nearest = if off < step / 2 { frame - off } else { frame - off + step };
        let is_near = (nearest - frame).abs() <= step / 8;
        if is_near { nearest - lead } else { frame }
    }
}

impl Expected {
    /// The frame at `rate`.
    fn at(&self, rate: u32) -> i64 {
        rescale_signed(self.frame, rate, self.rate.max(1))
    }
}

/// The frame at `position`, rounded to nearest.
fn frame_at(position: Duration, rate: u32) -> i64 {
    i64::try_from(crate::AudioSpec::new(rate, 1).frame_at(position)).unwrap_or(i64::MAX)
}
