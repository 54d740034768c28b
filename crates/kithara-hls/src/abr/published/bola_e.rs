//! `bola-e`: BOLA with a placeholder buffer, so that it starts and recovers by throughput.

use std::time::Duration;

use super::{InsufficientBuffer, duration};
use crate::abr::SwitchReason;
use crate::abr::view::{AbrPolicy, Choice, Finished, PlanView, TransferProgress};

/// The buffer below which the lowest variant is preferred, in seconds.
const MINIMUM_BUFFER: f64 = 10.0;

/// What each variant adds to the least buffer target, in seconds.
const MINIMUM_PER_VARIANT: f64 = 2.0;

/// BOLA-E, of the same authors.
#[derive(Debug, Clone, Default)]
pub struct BolaE {
    started: bool,
    /// Seconds that are counted as buffered without being it.
    placeholder: f64,
    /// Ladder index of the variant fetched last.
    last: usize,
    pause: f64,
    buffer_rule: InsufficientBuffer,
}

/// The parameters V times p (seconds) and γp of a ladder and its buffer.
#[derive(Debug, Clone, Copy)]
struct Parameters {
    v: f64,
    gamma_p: f64,
}

impl Parameters {
    fn of(view: &PlanView<'_>) -> Self {
        let least = MINIMUM_BUFFER + MINIMUM_PER_VARIANT * view.candidates.len() as f64;
        let target = view.capacity.as_secs_f64().max(least);
        let top = utility(view, view.candidates.len() - 1);
        // A ladder of one variant has nothing to weigh.
        let gamma_p = ((top - 1.0) / (target / MINIMUM_BUFFER - 1.0)).max(1e-6);
        Self { v: MINIMUM_BUFFER / gamma_p, gamma_p }
    }

    /// The score of a candidate, per bit, at a buffer level.
    fn score(self, view: &PlanView<'_>, candidate: usize, level: f64, bits: f64) -> f64 {
        (self.v * (utility(view, candidate) + self.gamma_p) - level) / bits
    }

    /// The candidate with the best score.
    fn best(self, view: &PlanView<'_>, level: f64) -> usize {
        let scores = (0..view.candidates.len())
            .map(|candidate| self.score(view, candidate, level, view.bandwidth(candidate)));
        scores
            .enumerate()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map_or(0, |best| best.0)
    }

    /// The buffer from which on the candidate is preferred to every lower one.
    fn least_level(self, view: &PlanView<'_>, candidate: usize) -> f64 {
        let (bandwidth, own) = (view.bandwidth(candidate), utility(view, candidate));
        let levels = (0..candidate).filter(|lower| utility(view, *lower) < own).map(|lower| {
            let other = view.bandwidth(lower);
            self.v * (self.gamma_p + (bandwidth * utility(view, lower) - other * own) / (bandwidth - other))
        });
        levels.fold(0.0, f64::max)
    }

    /// The buffer above which fetching the candidate is worth nothing.
    fn most_level(self, view: &PlanView<'_>, candidate: usize) -> f64 {
        self.v * (utility(view, candidate) + self.gamma_p)
    }
}

/// 1 for the lowest candidate, growing with the logarithm of the bandwidth.
fn utility(view: &PlanView<'_>, candidate: usize) -> f64 {
    1.0 + (view.bandwidth(candidate) / view.bandwidth(0)).ln()
}

impl BolaE {
    /// Waits where more buffer is worth nothing; the placeholder is used up first.
    fn set_pause(&mut self, surplus: f64) {
        let used = surplus.clamp(0.0, self.placeholder.max(0.0));
        self.placeholder -= used;
        self.pause = (surplus - used).max(0.0);
    }

    fn start(&mut self, view: &PlanView<'_>) -> usize {
        let Some(rate) = view.rate else { return view.at_or_below(self.last) };
        self.started = true;
        self.buffer_rule = InsufficientBuffer::default();
        let candidate = view.sustainable(rate.throughput);
        let least = Parameters::of(view).least_level(view, candidate);
        self.placeholder = (least - view.buffered.as_secs_f64()).max(0.0);
        candidate
    }
}

impl AbrPolicy for BolaE {
    fn name(&self) -> &'static str {
        "bola-e"
    }

    fn choose(&mut self, view: &PlanView<'_>) -> Choice {
        self.pause = 0.0;
        let (true, Some(rate)) = (self.started, view.rate) else {
            let candidate = self.start(view);
            return view.choice(candidate, SwitchReason::ThroughputUp, SwitchReason::ThroughputDown);
        };
        let parameters = Parameters::of(view);
        let buffered = view.buffered.as_secs_f64();
        let last = view.at_or_below(self.last);
        let mut candidate = parameters.best(view, buffered + self.placeholder);
        let carried = view.sustainable(rate.throughput);
        if candidate > last && candidate > carried {
            candidate = last.max(carried) + 1;
        }
        self.set_pause(buffered + self.placeholder - parameters.most_level(view, candidate));
        if candidate + 1 == view.candidates.len() {
            self.pause = 0.0;
        }
        let safe = self.buffer_rule.limit(view, candidate);
        if safe < candidate {
            self.pause = 0.0;
            let least = parameters.least_level(view, safe);
            self.placeholder = self.placeholder.min((least - buffered).max(0.0));
        }
        let up = if carried > last { SwitchReason::ThroughputUp } else { SwitchReason::BufferUp };
        view.choice(safe, up, SwitchReason::BufferLow)
    }

    fn pause(&self) -> Duration {
        duration(self.pause)
    }

    fn abandon(&mut self, view: &PlanView<'_>, transfer: &TransferProgress) -> Option<usize> {
        let left = transfer.bits_left();
        let (rate, first_byte) = (transfer.rate()?, transfer.first_byte?.as_secs_f64());
        // Another request waits for its first byte anew; meanwhile this one goes on.
        let level = (view.buffered.as_secs_f64() + self.placeholder - first_byte).max(0.0);
        let left = left - first_byte * rate;
        if left <= 0.0 {
            return None;
        }
        let parameters = Parameters::of(view);
        let current = view.at_or_below(transfer.variant);
        let mut best = (parameters.score(view, current, level, left), None);
        for lower in 0..current {
            let bits = transfer.total as f64 * 8.0 * view.bandwidth(lower) / view.bandwidth(current);
            let score = parameters.score(view, lower, level, bits);
            if bits < left && score > best.0 {
                best = (score, Some(view.candidates[lower].variant));
            }
        }
        best.1
    }

    fn finished(&mut self, view: &PlanView<'_>, segment: Finished) {
        self.last = segment.variant;
        let parameters = Parameters::of(view);
        let level = view.buffered.as_secs_f64();
        if let Some(lower) = segment.abandoned_for {
            let lower = view.at_or_below(lower);
            let wanted = if lower > 0 { parameters.least_level(view, lower) } else { MINIMUM_BUFFER };
            self.placeholder = self.placeholder.min((wanted - level).max(0.0));
            return;
        }
        let candidate = view.at_or_below(segment.variant);
        let before = level + segment.elapsed.as_secs_f64();
        self.placeholder = self.placeholder.min((parameters.most_level(view, candidate) - before).max(0.0));
        if level > 0.0 {
            self.placeholder = self.placeholder.max(parameters.least_level(view, candidate) - before);
        }
    }

    fn idled(&mut self, time: Duration) {
        self.placeholder += time.as_secs_f64();
    }

    fn moved(&mut self) {
        self.started = false;
    }
}
