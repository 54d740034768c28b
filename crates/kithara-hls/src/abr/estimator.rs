//! How fast the network is.

use std::time::Duration;

use super::AbrSettings;

/// What a transfer takes at least, for the arithmetic: a clock that stood still is no infinite throughput.
const MIN_ELAPSED: f64 = 1e-4;

/// Estimates throughput by two exponentially weighted averages, a fast and a slow one, of which the lower counts: it
/// falls quickly and rises with care.
///
/// What is slower than the average is averaged by the time that a bit takes (harmonically), what is faster by the bits
/// that a second brings: of a link that fell to a tenth, the bits of one fast second would outweigh those of many slow ones.
///
/// A measurement weighs as much as it took, or as its bytes would have taken at the present estimate, whichever is
/// more. By time alone a link that got faster would hardly ever be believed, because its transfers are so short.
///
/// Transfers below [`AbrSettings::min_sample_bytes`] are added up until together they measure something: alone they
/// tell of round trips. What came out of a cache must not be told at all.
#[derive(Debug, Clone)]
pub struct ThroughputEstimator {
    fast: Average,
    slow: Average,
    initial: Option<u64>,
    min_sample_bytes: u64,
    pending_bytes: u64,
    pending: Duration,
}

impl ThroughputEstimator {
    /// An estimator without a measurement.
    #[must_use]
    pub fn new(settings: &AbrSettings) -> Self {
        Self {
            fast: Average::new(settings.fast_half_life),
            slow: Average::new(settings.slow_half_life),
            initial: settings.initial_throughput,
            min_sample_bytes: settings.min_sample_bytes,
            pending_bytes: 0,
            pending: Duration::ZERO,
        }
    }

    /// `bytes` came over the network in `elapsed` of transfer. Do not tell what came out of a cache.
    pub fn add(&mut self, bytes: u64, elapsed: Duration) {
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
        self.pending = self.pending.saturating_add(elapsed);
        if self.pending_bytes < self.min_sample_bytes.max(1) {
            return;
        }
        let bits = std::mem::take(&mut self.pending_bytes) as f64 * 8.0;
        let elapsed = std::mem::take(&mut self.pending).as_secs_f64().max(MIN_ELAPSED);
        let expected = self.estimate().map_or(0.0, |estimate| bits / estimate.max(1) as f64);
        self.fast.add(bits / elapsed, elapsed, expected);
        self.slow.add(bits / elapsed, elapsed, expected);
    }

    /// Bits per second; `None` before the first measurement, unless an initial one was given.
    #[must_use]
    pub fn estimate(&self) -> Option<u64> {
        match (self.fast.value(), self.slow.value()) {
            (Some(fast), Some(slow)) => Some(fast.min(slow).round() as u64),
            _ => self.initial,
        }
    }

    /// A transfer turned out to get no more than `bits` per second, and so little of it came that it makes no measurement.
    pub fn fall_to(&mut self, bits: u64) {
        self.fast.limit(bits as f64);
        self.initial = self.initial.map(|initial| initial.min(bits));
    }

    /// Whether anything was measured yet.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.fast.value().is_some()
    }
}

/// An exponentially weighted average that is right from its first sample on.
#[derive(Debug, Clone)]
struct Average {
    half_life: f64,
    value: f64,
    weight: f64,
}

impl Average {
    fn new(half_life: Duration) -> Self {
        Self { half_life: half_life.as_secs_f64().max(1e-3), value: 0.0, weight: 0.0 }
    }

    /// A value that took `elapsed` to measure, and would have taken `expected`. One burst must not wipe out all that
    /// was measured before; a long measurement may.
    fn add(&mut self, value: f64, elapsed: f64, expected: f64) {
        let weight = elapsed.max(expected.min(2.0 * self.half_life));
        let keep = 0.5_f64.powf(weight / self.half_life);
        let known = self.value().unwrap_or(value);
        self.weight = (1.0 - keep) + self.weight * keep;
        let share = (1.0 - keep) / self.weight;
        let average = if value < known {
            1.0 / (share / value.max(1.0) + (1.0 - share) / known.max(1.0))
        } else {
            value * share + known * (1.0 - share)
        };
        self.value = average * self.weight;
    }

    fn limit(&mut self, value: f64) {
        self.value = self.value.min(value * self.weight);
    }

    fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.value / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimator() -> ThroughputEstimator {
        ThroughputEstimator::new(&AbrSettings::default())
    }

    /// Bytes of one second at this many bits per second.
    fn bytes(bits: u64) -> u64 {
        bits / 8
    }

    #[test]
    fn the_first_sample_is_the_estimate() {
        let mut estimator = estimator();
        assert_eq!(estimator.estimate(), None);
        estimator.add(bytes(1_000_000), Duration::from_secs(1));
        assert_eq!(estimator.estimate(), Some(1_000_000));
    }

    #[test]
    fn an_initial_throughput_holds_until_something_is_measured() {
        let settings = AbrSettings { initial_throughput: Some(300_000), ..AbrSettings::default() };
        let mut estimator = ThroughputEstimator::new(&settings);
        assert_eq!(estimator.estimate(), Some(300_000));
        estimator.add(bytes(1_000_000), Duration::from_secs(1));
        assert_eq!(estimator.estimate(), Some(1_000_000));
    }

    #[test]
    fn a_drop_is_believed_at_once_and_a_rise_with_care() {
        let mut estimator = estimator();
        for _ in 0..20 {
            estimator.add(bytes(1_000_000), Duration::from_secs(1));
        }
        for _ in 0..4 {
            estimator.add(bytes(200_000), Duration::from_secs(1));
        }
        let low = estimator.estimate().unwrap();
        assert!((200_000..450_000).contains(&low), "{low}");
        estimator.add(bytes(1_000_000), Duration::from_secs(1));
        let risen = estimator.estimate().unwrap();
        assert!((low..800_000).contains(&risen), "{risen}");
    }

    #[test]
    fn of_a_link_that_fell_to_a_fifteenth_seconds_tell() {
        let mut estimator = estimator();
        for _ in 0..20 {
            estimator.add(bytes(4_800_000), Duration::from_secs(1));
        }
        for _ in 0..2 {
            estimator.add(bytes(320_000), Duration::from_secs(1));
        }
        let low = estimator.estimate().unwrap();
        assert!((320_000..800_000).contains(&low), "{low}");
    }

    #[test]
    fn a_link_that_got_fast_is_believed_though_its_transfers_are_short() {
        let mut estimator = estimator();
        for _ in 0..10 {
            estimator.add(bytes(50_000), Duration::from_secs(1));
        }
        for _ in 0..8 {
            estimator.add(64_000, Duration::from_millis(5));
        }
        assert!(estimator.estimate().unwrap() > 10_000_000);
    }

    #[test]
    fn tiny_transfers_are_added_up() {
        let mut estimator = estimator();
        for _ in 0..15 {
            estimator.add(1_024, Duration::from_millis(50));
            assert_eq!(estimator.estimate(), None);
        }
        estimator.add(1_024, Duration::from_millis(50));
        assert_eq!(estimator.estimate(), Some(163_840));
    }

    #[test]
    fn absurd_measures_give_finite_estimates() {
        let mut estimator = estimator();
        estimator.add(u64::MAX, Duration::ZERO);
        estimator.add(0, Duration::MAX);
        estimator.add(u64::MAX, Duration::MAX);
        assert!(estimator.estimate().is_some());
    }
}
