//! `bola`: BOLA-FINITE with the limit BOLA-U on switches up.

use crate::abr::SwitchReason;
use crate::abr::view::{AbrPolicy, Choice, PlanView, TransferProgress};

/// The algorithm's parameter γp.
const GAMMA_P: f64 = 5.0;

/// The buffer target at the edges of the presentation, in segments.
const MIN_TARGET: f64 = 3.0;

/// K. Spiteri, R. Urgaonkar, R. Sitaraman, *BOLA: near-optimal bitrate adaptation for online videos*.
#[derive(Debug, Clone, Default)]
pub struct Bola {
    /// Lyapunov parameter V times p, for the segment chosen last, in seconds.
    v: f64,
    /// Ladder index of the variant chosen last.
    last: usize,
}

/// Logarithm of a candidate's bandwidth over that of the lowest.
fn utility(view: &PlanView<'_>, candidate: usize) -> f64 {
    (view.bandwidth(candidate) / view.bandwidth(0)).ln()
}

impl Bola {
    fn set_target(&mut self, view: &PlanView<'_>) {
        let to_end = view.remaining.unwrap_or(usize::MAX);
        let target = (view.index.min(to_end) as f64 / 2.0).max(MIN_TARGET) * view.segment.as_secs_f64();
        let target = target.min(view.capacity.as_secs_f64());
        let top = utility(view, view.candidates.len() - 1);
        self.v = (target - view.segment.as_secs_f64()) / (top + GAMMA_P);
    }

    fn score(&self, view: &PlanView<'_>, candidate: usize, buffered: f64, bits: f64) -> f64 {
        (self.v * (utility(view, candidate) + GAMMA_P) - buffered) / bits
    }

    fn by_buffer(&self, view: &PlanView<'_>) -> usize {
        let buffered = view.buffered.as_secs_f64();
        let scores = (0..view.candidates.len())
            .map(|candidate| self.score(view, candidate, buffered, view.bandwidth(candidate)));
        scores
            .enumerate()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map_or(0, |best| best.0)
    }
}

impl AbrPolicy for Bola {
    fn name(&self) -> &'static str {
        "bola"
    }

    fn choose(&mut self, view: &PlanView<'_>) -> Choice {
        let Some(rate) = view.rate else {
            return view.choice(0, SwitchReason::Initial, SwitchReason::Initial);
        };
        self.set_target(view);
        let last = view.at_or_below(self.last);
        let mut candidate = self.by_buffer(view);
        if candidate > last {
            let carried = view.sustainable(rate.throughput);
            // BOLA-U: no more than one above what the throughput carries.
            candidate = if candidate <= carried { candidate } else { last.max(carried + 1) };
        }
        self.last = view.candidates[candidate].variant;
        view.choice(candidate, SwitchReason::BufferUp, SwitchReason::BufferLow)
    }

    fn abandon(&mut self, view: &PlanView<'_>, transfer: &TransferProgress) -> Option<usize> {
        let left = transfer.bits_left();
        if transfer.received == 0 || left <= 0.0 {
            return None;
        }
        let current = view.at_or_below(transfer.variant);
        let buffered = view.buffered.as_secs_f64();
        let mut best = (self.score(view, current, buffered, left), None);
        if best.0 < 0.0 {
            return None;
        }
        for lower in 0..current {
            let bits = transfer.total as f64 * 8.0 * view.bandwidth(lower) / view.bandwidth(current);
            let score = self.score(view, lower, buffered, bits);
            if bits < left && score > best.0 {
                best = (score, Some(view.candidates[lower].variant));
            }
        }
        self.last = best.1.unwrap_or(self.last);
        best.1
    }
}
