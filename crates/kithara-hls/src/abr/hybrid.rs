//! `hybrid`, the default policy: plans the next segments for the best expected experience.

mod plan;
mod watch;

use super::SwitchReason;
use super::view::{AbrPolicy, Choice, Finished, PlanView, TransferProgress};
use plan::Planner;
use watch::Watch;

pub(crate) use plan::HORIZON;

/// Share of the rate that the first segment after a start or a move may need. Its first bytes are heard while the rest
/// arrives.
const FIRST_SHARE: f64 = 0.6;

/// Model-predictive planning over a distribution of rates.
///
/// For each variant of the next segment it computes what the following segments are worth if each of them is chosen in
/// the best way: bitrate, less its changes, less the time without audio. The rate is not one number but a distribution
/// with a median, a spread and a rare near-outage, and it tends to stay as it is from one segment to the next. Buffered
/// audio is thereby worth what it protects against.
///
/// An arriving segment is given up when, at the rate of the last second, it would come after the buffer has run dry, and
/// a lower variant would cost less time without audio than is lost in quality.
#[derive(Debug, Clone, Default)]
pub struct Hybrid {
    planner: Planner,
    watch: Watch,
    /// Ladder index of the variant that replaces an abandoned segment: until that
    /// has arrived, no choice is higher.
    limit: Option<usize>,
}

impl Hybrid {
    fn candidate(&mut self, view: &PlanView<'_>) -> usize {
        let highest = view.candidates.len().saturating_sub(1);
        let Some(rate) = view.rate else { return view.current.unwrap_or(0) };
        if highest == 0 {
            return 0;
        }
        let planned = if view.index == 0 && view.buffered.is_zero() {
            view.sustainable(rate.median * FIRST_SHARE)
        } else {
            self.planner.best(view, &rate)
        };
        self.limit.map_or(planned, |limit| planned.min(view.at_or_below(limit)))
    }
}

impl AbrPolicy for Hybrid {
    fn name(&self) -> &'static str {
        "hybrid"
    }

    fn choose(&mut self, view: &PlanView<'_>) -> Choice {
        let candidate = self.candidate(view);
        let carried = view.rate.map_or(0, |rate| view.sustainable(rate.throughput));
        let up = if carried >= candidate { SwitchReason::ThroughputUp } else { SwitchReason::BufferUp };
        let is_low = view.buffered < view.segment * 2;
        let down = if is_low { SwitchReason::BufferLow } else { SwitchReason::ThroughputDown };
        view.choice(candidate, up, down)
    }

    fn abandon(&mut self, view: &PlanView<'_>, transfer: &TransferProgress) -> Option<usize> {
        let rate = self.watch.rate(transfer)?;
        self.planner.instead_of(view, transfer, rate)
    }

    fn finished(&mut self, _view: &PlanView<'_>, segment: Finished) {
        self.watch = Watch::default();
        // The replacement lifts the limit; another segment that arrives meanwhile does not.
        let is_lifted = |limit: &usize| segment.variant <= *limit;
        self.limit = segment.abandoned_for.or(self.limit.filter(|limit| !is_lifted(limit)));
    }

    fn moved(&mut self) {
        self.watch = Watch::default();
        self.limit = None;
    }
}
