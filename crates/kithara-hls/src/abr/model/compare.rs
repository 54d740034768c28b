//! Policies held against each other on sets of synthetic traces.

use std::time::Duration;

use super::{Outcome, Segments, Setup, Trace, play, synthetic};
use crate::abr::AbrPolicyKind;

/// A kind of network: many synthetic traces that differ by their seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TraceSet {
    /// What the set stands for.
    pub name: &'static str,
    /// Name of its traces in [`synthetic`].
    pub kind: &'static str,
    /// By which their bandwidth is multiplied.
    pub factor: f64,
}

/// The sets that the documentation compares policies on.
pub const SETS: &[TraceSet] = &[
    TraceSet { name: "3G", kind: "cell-3g", factor: 1.0 },
    TraceSet { name: "3G × 0.25", kind: "cell-3g", factor: 0.25 },
    TraceSet { name: "4G × 0.05", kind: "cell-4g", factor: 0.05 },
    TraceSet { name: "broadband", kind: "broadband", factor: 1.0 },
    TraceSet { name: "Markov chain", kind: "markov", factor: 1.0 },
    TraceSet { name: "random walk", kind: "walk", factor: 1.0 },
    TraceSet { name: "outages", kind: "outages", factor: 1.0 },
    TraceSet { name: "ramps", kind: "ramps", factor: 1.0 },
    TraceSet { name: "600 ms latency", kind: "high-latency", factor: 1.0 },
];

impl TraceSet {
    /// The trace with this seed; `None` if the set's kind is unknown.
    #[must_use]
    pub fn trace(&self, seed: u64) -> Option<Trace> {
        synthetic::named(&format!("{}:{seed}", self.kind))?.ok()?.scaled(self.factor).ok()
    }
}

/// The figures of a policy over a set, averaged over its traces.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Mean {
    /// As in [`Outcome::rebuffer_ratio`].
    pub rebuffer_ratio: f64,
    /// As in [`Outcome::avg_kbps`].
    pub avg_kbps: f64,
    /// As in [`Outcome::change_kbps_per_segment`].
    pub change_kbps: f64,
    /// As in [`Outcome::score`].
    pub score: f64,
}

/// Plays `segments` segments of 6 s with the ladder 66, 134, 270, 989 kbit/s and 30 s of buffer over the first `traces`
/// traces of a set.
#[must_use]
pub fn mean(set: &TraceSet, policy: &AbrPolicyKind, segments: usize, traces: u64) -> Mean {
    const LADDER: [f64; 4] = [66e3, 134e3, 270e3, 989e3];
    let mut mean = Mean::default();
    let Ok(segments) = Segments::constant(&LADDER, Duration::from_secs(6), segments) else { return mean };
    let share = 1.0 / traces.max(1) as f64;
    let mut add = |outcome: &Outcome| {
        mean.rebuffer_ratio += share * outcome.rebuffer_ratio;
        mean.avg_kbps += share * outcome.avg_kbps;
        mean.change_kbps += share * outcome.change_kbps_per_segment;
        mean.score += share * outcome.score;
    };
    for trace in (0..traces).filter_map(|seed| set.trace(seed)) {
        add(&play(&Setup { trace: &trace, segments: &segments, max_buffer: 30.0 }, &mut *policy.build()));
    }
    mean
}
