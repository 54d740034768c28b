//! `throughput`: the highest variant that 90 % of the throughput carries.

use std::time::Duration;

use super::InsufficientBuffer;
use crate::abr::SwitchReason;
use crate::abr::view::{AbrPolicy, Choice, PlanView, TransferProgress};

/// Share of the throughput that is used.
const SAFETY: f64 = 0.9;

/// A transfer is watched for this long before it may be given up.
const GRACE: Duration = Duration::from_millis(500);

/// A segment is given up when it would take this many times its duration.
const ABANDON_FACTOR: f64 = 1.8;

/// The ThroughputRule of dash.js with its rules against an empty buffer and for giving up segments.
#[derive(Debug, Clone, Default)]
pub struct Throughput {
    buffer_rule: InsufficientBuffer,
}

impl AbrPolicy for Throughput {
    fn name(&self) -> &'static str {
        "throughput"
    }

    fn choose(&mut self, view: &PlanView<'_>) -> Choice {
        let Some(rate) = view.rate else {
            return view.choice(0, SwitchReason::Initial, SwitchReason::Initial);
        };
        let carried = view.sustainable(rate.throughput * SAFETY);
        let safe = self.buffer_rule.limit(view, carried);
        let down = if safe < carried { SwitchReason::BufferLow } else { SwitchReason::ThroughputDown };
        view.choice(safe, SwitchReason::ThroughputUp, down)
    }

    fn abandon(&mut self, view: &PlanView<'_>, transfer: &TransferProgress) -> Option<usize> {
        let rate = transfer.rate().filter(|_| transfer.elapsed >= GRACE)?;
        let left = transfer.bits_left();
        let whole = transfer.elapsed.as_secs_f64() + left / rate;
        if whole * view.speed <= ABANDON_FACTOR * transfer.duration.as_secs_f64() {
            return None;
        }
        let current = view.at_or_below(transfer.variant);
        let lower = view.sustainable(rate * SAFETY);
        let bits = transfer.total as f64 * 8.0 * view.bandwidth(lower) / view.bandwidth(current);
        (lower < current && bits < left).then(|| view.candidates[lower].variant)
    }
}
