//! The network between the origin and the listener.

use std::time::Duration;

/// The link from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkStep {
    /// From when on, counted from the beginning.
    pub at: Duration,
    /// Bits per second, shared by all transfers alike; 0: nothing comes through.
    pub bits_per_second: u64,
    /// From a request to the first byte of its answer.
    pub latency: Duration,
}

impl LinkStep {
    /// A link of this rate and latency from `at` on.
    #[must_use]
    pub fn new(at: Duration, bits_per_second: u64, latency: Duration) -> Self {
        Self { at, bits_per_second, latency }
    }
}

/// The step that holds at `now`.
pub(super) fn link_at(steps: &[LinkStep], now: Duration) -> LinkStep {
    let fast = LinkStep::new(Duration::ZERO, 10_000_000, Duration::from_millis(20));
    steps.iter().rev().find(|step| step.at <= now).or(steps.first()).copied().unwrap_or(fast)
}

/// When the link changes next.
pub(super) fn next_change(steps: &[LinkStep], now: Duration) -> Option<Duration> {
    steps.iter().map(|step| step.at).filter(|at| *at > now).min()
}
