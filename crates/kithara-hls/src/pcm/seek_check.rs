//! Whether a seek has landed where it was meant to. Pure.
//!
//! The playlist's durations may be rounded, to whole seconds in the oldest version of the protocol: after some minutes the
//! segment that should hold a position begins behind it, and the seek goes back by as much. Behind a discontinuity
//! timestamps say nothing of the place on the timeline, and durations that are no whole packets only roughly: then the
//! segments at the discontinuity are decoded first, as straight playback does.

use std::time::Duration;

use kithara_decode::SegmentPosition;

use crate::message::HlsMessage;

/// How far behind the playlist's end a seek may go, beside a share of its length.
pub(super) const SLACK: Duration = Duration::from_secs(10);

/// Steps back or forward at most.
const MAX_STEPS: u32 = 6;

/// Discontinuities that are looked at for one seek, at most: each costs two segments.
const MAX_VISITS: u32 = 8;

/// A seek, until it is known where its first segment really begins.
#[derive(Debug)]
pub(super) struct SeekCheck {
    /// Position from which decoding must begin.
    wanted: Duration,
    steps: u32,
    /// Discontinuities to be looked at; the next one is the last.
    visits: Vec<Boundary>,
    visited: u32,
}

/// Where a discontinuity domain begins on the timeline, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Boundary {
    at: Duration,
    domain: u64,
}

/// The segment at hand, as far as the check needs it.
pub(super) struct Landed {
    pub(super) start: Duration,
    pub(super) duration: Duration,
    /// Number of its discontinuity domain.
    pub(super) domain: u64,
    /// Where its discontinuity domain begins on the timeline; `None` where the list does not go back as far.
    pub(super) domain_start: Option<Duration>,
    /// There is no segment before it.
    pub(super) is_first: bool,
}

/// The consequence of where a segment lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The seek is over: decode on.
    Arrived,
    /// Decode on, up to the next segment, without giving anything out.
    Continue,
    /// Go to this position of the timeline instead.
    Go(Duration),
}

impl Landed {
    /// The segment of `message`.
    pub(super) fn of<R>(message: &HlsMessage<R>) -> Self {
        let list = &message.list;
        let first = message.start.checked_sub(list.start_of(message.segment).unwrap_or_default());
        let domain = list.discontinuity_domain(message.discontinuity_sequence);
        let domain_start = list.start_of(domain.start).zip(first).map(|(start, first)| first + start);
        Self {
            start: message.start,
            duration: message.duration,
            domain: message.discontinuity_sequence,
            domain_start: domain_start.filter(|_| list.is_complete()),
            is_first: message.segment == 0,
        }
    }
}

impl SeekCheck {
    /// A seek to `wanted`, of whose segment nothing was decoded.
    pub(super) fn new(wanted: Duration) -> Self {
        Self { wanted, steps: 0, visits: Vec::new(), visited: 0 }
    }

    /// Whether PCM is decoded for its place alone.
    pub(super) fn is_visiting(&self) -> bool {
        !self.visits.is_empty()
    }

    /// Looks at where the first packet of a segment was placed.
    pub(super) fn look(&mut self, landed: &Landed, position: SegmentPosition) -> Verdict {
        let is_certain = position.is_certain || self.visited >= MAX_VISITS;
        if let Some(boundary) = self.visits.last().copied() {
            if landed.domain < boundary.domain {
                return if is_certain { Verdict::Continue } else { self.visit(landed) };
            }
            self.visits.pop();
            let next = self.visits.last().map_or(self.wanted, |boundary| before(boundary.at));
            return Verdict::Go(next);
        }
        if !is_certain && landed.domain_start.is_some() {
            return self.visit(landed);
        }
        self.step(landed, position)
    }

    /// Goes to the discontinuity before the segment, to learn where it lies.
    fn visit(&mut self, landed: &Landed) -> Verdict {
        let boundary = landed.domain_start.map(|at| Boundary { at, domain: landed.domain });
        let Some(boundary) = boundary.filter(|boundary| !self.visits.contains(boundary)) else {
            self.visited = MAX_VISITS;
            return Verdict::Continue;
        };
        self.visits.push(boundary);
        self.visited += 1;
        Verdict::Go(before(boundary.at))
    }

    /// Goes back if the segment begins behind the wanted position, and forward if it ends long before it.
    fn step(&mut self, landed: &Landed, position: SegmentPosition) -> Verdict {
        let begins = position_of(position);
        let from = if begins > self.wanted && !landed.is_first {
            landed.start.saturating_sub(begins - self.wanted).min(landed.start.saturating_sub(LEAST))
        } else if begins + 3 * landed.duration + LEAST < self.wanted {
            landed.start + (self.wanted - begins)
        } else {
            return Verdict::Arrived;
        };
        self.steps += 1;
        if self.steps > MAX_STEPS { Verdict::Arrived } else { Verdict::Go(from) }
    }
}

/// A step that leads to another segment.
const LEAST: Duration = Duration::from_millis(1);

fn before(boundary: Duration) -> Duration {
    boundary.saturating_sub(LEAST)
}

/// A frame as a duration; before zero is zero.
fn position_of(position: SegmentPosition) -> Duration {
    let (frame, rate) = (u64::try_from(position.frame).unwrap_or(0), u64::from(position.rate.max(1)));
    Duration::from_secs(frame / rate)
        + Duration::from_nanos((frame % rate).saturating_mul(1_000_000_000) / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The segment at second `start`, of 4 s, in a domain that begins at `domain_start`.
    fn landed(start: u32, domain: u64, domain_start: u32) -> Landed {
        Landed {
            start: SECOND * start,
            duration: SECOND * 4,
            domain,
            domain_start: Some(SECOND * domain_start),
            is_first: start == 0,
        }
    }

    fn at(millis: u64, is_certain: bool) -> SegmentPosition {
        let mut decoder = SegmentPosition::default();
        (decoder.frame, decoder.rate) = (millis as i64 * 48, 48_000);
        (decoder.is_certain, decoder.is_whole) = (is_certain, true);
        decoder
    }

    #[test]
    fn a_segment_that_begins_late_is_stepped_back_from() {
        let mut check = SeekCheck::new(SECOND * 41);
        assert_eq!(
            check.look(&landed(40, 0, 0), at(43_500, true)),
            Verdict::Go(Duration::from_millis(37_500))
        );
        assert_eq!(check.look(&landed(36, 0, 0), at(39_000, true)), Verdict::Arrived);
        // The first segment has nothing before it.
        assert_eq!(SeekCheck::new(SECOND).look(&landed(0, 0, 0), at(1_400, true)), Verdict::Arrived);
    }

    #[test]
    fn a_segment_that_ends_long_before_is_stepped_forward_from() {
        let mut check = SeekCheck::new(SECOND * 100);
        assert_eq!(check.look(&landed(100, 0, 0), at(70_000, true)), Verdict::Go(SECOND * 130));
    }

    #[test]
    fn a_seek_that_never_fits_ends() {
        let mut check = SeekCheck::new(SECOND * 41);
        let steps =
            (0..100).take_while(|_| check.look(&landed(40, 0, 0), at(60_000, true)) != Verdict::Arrived);
        assert_eq!(steps.count(), MAX_STEPS as usize);
    }

    #[test]
    fn unknown_discontinuities_are_looked_at_from_the_first_to_the_last() {
        let before = |second: u32| Verdict::Go(SECOND * second - LEAST);
        let mut check = SeekCheck::new(SECOND * 95);
        assert_eq!(check.look(&landed(92, 2, 80), at(92_100, false)), before(80));
        assert_eq!(check.look(&landed(76, 1, 60), at(76_100, false)), before(60));
        assert_eq!(check.look(&landed(56, 0, 0), at(56_200, true)), Verdict::Continue);
        assert_eq!(check.look(&landed(60, 1, 60), at(60_200, true)), before(80));
        assert_eq!(check.look(&landed(76, 1, 60), at(76_200, true)), Verdict::Continue);
        assert_eq!(check.look(&landed(80, 2, 80), at(80_200, true)), Verdict::Go(SECOND * 95));
        assert!(!check.is_visiting());
        assert_eq!(check.look(&landed(92, 2, 80), at(92_300, true)), Verdict::Arrived);
    }

    #[test]
    fn too_many_discontinuities_are_left_to_the_playlist() {
        let mut check = SeekCheck::new(SECOND * 4_000);
        let mut visits = 0;
        for domain in (1..1_000).rev() {
            let at = at(u64::from(domain as u32) * 4_000, false);
            match check.look(&landed(domain as u32 * 4, domain, domain as u32 * 4), at) {
                Verdict::Go(_) => visits += 1,
                _ => break,
            }
        }
        assert_eq!(visits, MAX_VISITS);
    }
}
