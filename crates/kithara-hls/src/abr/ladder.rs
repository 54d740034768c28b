//! The variants, what they need, and which may be chosen.

use std::time::{Duration, Instant};

use super::Candidate;

/// A segment shorter than this tells nothing of its variant's bandwidth: its headers weigh too much.
const MIN_OBSERVED: Duration = Duration::from_secs(1);

/// A variant of the ladder.
#[derive(Debug, Clone, Copy)]
struct Rung {
    declared: u64,
    /// The most that a segment was seen to need, bits per second.
    seen: u64,
    exclusion: Exclusion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exclusion {
    None,
    Until(Instant),
    ForGood,
}

impl Rung {
    /// Bits per second that the variant needs. A declaration far above the segments seen counts video that is not
    /// fetched, or is a careless one: then a quarter above the seen peak is believed.
    fn bandwidth(&self) -> u64 {
        match (self.declared, self.seen) {
            (declared, 0) => declared,
            (declared, seen) if seen >= declared => seen,
            (declared, seen) if seen < declared / 2 => seen.saturating_add(seen / 4),
            (declared, _) => declared,
        }
    }

    fn is_excluded(&self, now: Instant) -> bool {
        match self.exclusion {
            Exclusion::None => false,
            Exclusion::Until(until) => now < until,
            Exclusion::ForGood => true,
        }
    }
}

/// The variants by ascending bandwidth.
#[derive(Debug)]
pub(super) struct Ladder {
    rungs: Vec<Rung>,
}

impl Ladder {
    pub(super) fn new(bandwidths: &[u64]) -> Self {
        let rung = |declared: &u64| Rung { declared: *declared, seen: 0, exclusion: Exclusion::None };
        Self { rungs: bandwidths.iter().map(rung).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.rungs.len()
    }

    /// A segment of `variant` turned out to have `bytes` for `duration` of audio.
    pub(super) fn observe(&mut self, variant: usize, bytes: u64, duration: Duration) {
        if let Some(rung) = self.rungs.get_mut(variant).filter(|_| duration >= MIN_OBSERVED) {
            let bits = (bytes as f64 * 8.0 / duration.as_secs_f64()) as u64;
            rung.seen = rung.seen.max(bits);
        }
    }

    pub(super) fn exclude(&mut self, variant: usize, now: Instant, penalty: Option<Duration>) {
        if let Some(rung) = self.rungs.get_mut(variant) {
            rung.exclusion = match penalty.and_then(|penalty| now.checked_add(penalty)) {
                _ if rung.exclusion == Exclusion::ForGood => Exclusion::ForGood,
                Some(until) => Exclusion::Until(until),
                None => Exclusion::ForGood,
            };
        }
    }

    pub(super) fn clear_exclusions(&mut self) {
        for rung in &mut self.rungs {
            if let Exclusion::Until(_) = rung.exclusion {
                rung.exclusion = Exclusion::None;
            }
        }
    }

    pub(super) fn is_excluded(&self, variant: usize, now: Instant) -> bool {
        self.rungs.get(variant).is_none_or(|rung| rung.is_excluded(now))
    }

    pub(super) fn next_return(&self, now: Instant) -> Option<Instant> {
        let until = self.rungs.iter().filter_map(|rung| match rung.exclusion {
            Exclusion::Until(until) => Some(until),
            _ => None,
        });
        until.filter(|until| *until > now).min()
    }

    pub(super) fn bandwidth(&self, variant: usize) -> u64 {
        let Some(rung) = self.rungs.get(variant) else { return 0 };
        if rung.seen > 0 {
            return rung.bandwidth();
        }
        // Not seen: at most what a higher one was seen to need.
        let seen_above =
            self.rungs[variant..].iter().filter(|above| above.seen > 0).map(Rung::bandwidth).min();
        rung.declared.min(seen_above.unwrap_or(u64::MAX))
    }

    /// Replaces `candidates` by the variants that may be chosen at `now`: neither excluded nor outside of
    /// `min..=max` bits per second, if any is inside.
    pub(super) fn candidates(&self, now: Instant, min: u64, max: u64, candidates: &mut Vec<Candidate>) {
        candidates.clear();
        let all = self.rungs.iter().enumerate().filter(|(_, rung)| !rung.is_excluded(now));
        candidates.extend(all.map(|(variant, _)| Candidate { variant, bandwidth: self.bandwidth(variant) }));
        let lowest = candidates.iter().map(|candidate| candidate.bandwidth).min().unwrap_or(0);
        candidates.retain(|candidate| candidate.bandwidth <= max.max(lowest));
        let highest = candidates.iter().map(|candidate| candidate.bandwidth).max().unwrap_or(0);
        candidates.retain(|candidate| candidate.bandwidth >= min.min(highest));
    }
}
