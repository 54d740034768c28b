//! How quickly segments come, from the request to the last byte.

use std::time::Duration;

/// A fetch that takes longer than this may have another one beside it, however slowly the audio is consumed.
const PROMPT: Duration = Duration::from_millis(10);

/// A fetch that was to be prompt and is not has another one beside it after this time.
pub(super) const GRACE: Duration = Duration::from_millis(50);

/// The shortest time that a fetch took of late.
#[derive(Debug, Default)]
pub(super) struct FetchLatency(Option<Duration>);

impl FetchLatency {
    /// A fetch from the network took this long. What was quicker is forgotten within some ten fetches.
    pub(super) fn observe(&mut self, took: Duration) {
        let known = self.0.map_or(took, |known| known + took.saturating_sub(known) / 8);
        self.0 = Some(known.min(took));
    }

    /// Whether segments of this `duration` come so soon that a second fetch beside one gains nothing: each connection in
    /// use costs buffers.
    pub(super) fn is_prompt(&self, duration: Duration, speed: f64) -> bool {
        self.0.is_some_and(|took| took <= PROMPT && took.mul_f64(speed) <= duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SEGMENT: Duration = Duration::from_secs(4);

    #[test]
    fn one_at_a_time_where_it_keeps_up() {
        let mut latency = FetchLatency::default();
        assert!(!latency.is_prompt(SEGMENT, 1.0), "nothing is known");
        latency.observe(2 * MS);
        assert!(latency.is_prompt(SEGMENT, 1.0) && latency.is_prompt(SEGMENT, 1999.0));
        assert!(!latency.is_prompt(SEGMENT, 2001.0), "consumed faster than one after the other brings");
        latency.observe(500 * MS);
        assert!(!latency.is_prompt(SEGMENT, 1.0), "slow all of a sudden");
        latency.observe(3 * MS);
        assert!(latency.is_prompt(SEGMENT, 1.0));
        for _ in 0..20 {
            latency.observe(12 * MS);
        }
        assert!(!latency.is_prompt(SEGMENT, 1.0), "what was better once is forgotten");
    }
}
