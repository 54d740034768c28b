//! How fast the network is.

use std::time::Duration;

/// The shortest transfer for the arithmetic: a clock that stood still is no infinite rate.
const MIN_ELAPSED: f64 = 1e-4;

/// Half-lives of the averages of the rate, in seconds of transfer.
const HALF_LIVES: [f64; 2] = [3.0, 8.0];

/// Half-life of the average of the logarithm of the rate, in transfers.
const LOG_HALF_LIFE: f64 = 2.2;

/// Half-life of the same average in seconds of transfer: a measurement that took long counts for more.
const LOG_HALF_TIME: f64 = 8.0;

/// Half-life of the average of the squared prediction errors, in transfers.
const SPREAD_HALF_LIFE: f64 = 2.0;

/// Spread assumed before any prediction could be compared with what came.
const PRIOR_SPREAD: f64 = 0.247;

/// How many predictions the assumed spread stands for.
const PRIOR_WEIGHT: f64 = 3.885;

/// What the network gives, as far as it is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RateEstimate {
    /// Bits per second while a transfer is under way, the wait for its first byte not counted: the lower of two
    /// averages with half-lives of 3 and 8 s.
    pub throughput: f64,
    /// Time from a request to its first byte.
    pub latency: Duration,
    /// Bits per second that the next transfer exceeds or misses with equal chance.
    pub median: f64,
    /// Standard deviation of the natural logarithm of the next transfer's rate around the logarithm of `median`.
    pub spread: f64,
    /// Measurements so far.
    pub samples: u32,
}

impl RateEstimate {
    /// An estimate out of a throughput that was measured some time ago.
    #[must_use]
    pub fn assumed(throughput: u64) -> Self {
        let median = throughput.max(1) as f64;
        Self { throughput: median, latency: Duration::ZERO, median, spread: PRIOR_SPREAD, samples: 0 }
    }
}

/// One measurement of the network: a transfer, or several that ran at the same time.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RateSample {
    /// Bits received.
    pub bits: f64,
    /// Time in which at least one transfer was receiving; waits for a first byte are not part of it.
    pub elapsed: Duration,
    /// Time from the request to the first byte, where a request was measured.
    pub first_byte: Option<Duration>,
    /// Duration of the audio that was received; sets how fast older latencies are forgotten.
    pub audio: Duration,
}

impl RateSample {
    /// `bits` in `elapsed`.
    #[must_use]
    pub fn new(bits: f64, elapsed: Duration) -> Self {
        Self { bits, elapsed, first_byte: None, audio: Duration::from_secs(6) }
    }

    /// With the time from the request to the first byte.
    #[must_use]
    pub fn with_first_byte(mut self, first_byte: Duration) -> Self {
        self.first_byte = Some(first_byte);
        self
    }

    /// With the duration of the audio received. Default 6 s.
    #[must_use]
    pub fn with_audio(mut self, audio: Duration) -> Self {
        self.audio = audio;
        self
    }
}

/// Estimates the rate from measurements.
///
/// Two figures are kept. [`RateEstimate::throughput`] is the estimate of the published algorithms: averages that weigh
/// a measurement by the time it took. [`RateEstimate::median`] and [`RateEstimate::spread`] describe the distribution of
/// the next transfer's rate: an average of logarithms, and the errors that its own predictions turned out to have.
#[derive(Debug, Clone, Default)]
pub struct RateEstimator {
    rates: [Ewma; 2],
    latencies: [Ewma; 2],
    log: Ewma,
    errors: Ewma,
    samples: u32,
}

impl RateEstimator {
    /// An estimator without a measurement.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a measurement into account. What came out of a cache is none.
    pub fn add(&mut self, sample: RateSample) {
        let seconds = sample.elapsed.as_secs_f64().max(MIN_ELAPSED);
        if !(sample.bits.is_finite() && sample.bits > 0.0) {
            return;
        }
        let rate = sample.bits / seconds;
        for (average, half_life) in self.rates.iter_mut().zip(HALF_LIVES) {
            average.add(rate, seconds / half_life);
        }
        if let Some(first_byte) = sample.first_byte {
            let audio = sample.audio.as_secs_f64().clamp(0.1, 60.0);
            for (average, half_life) in self.latencies.iter_mut().zip(HALF_LIVES) {
                average.add(first_byte.as_secs_f64(), audio / half_life);
            }
        }
        let log = rate.ln();
        if let Some(predicted) = self.log.value() {
            self.errors.add((log - predicted).powi(2), 1.0 / SPREAD_HALF_LIFE);
        }
        self.log.add(log, 1.0 / LOG_HALF_LIFE + seconds / LOG_HALF_TIME);
        self.samples = self.samples.saturating_add(1);
    }

    /// What the network gives; `None` before the first measurement.
    #[must_use]
    pub fn estimate(&self) -> Option<RateEstimate> {
        let throughput = self.rates.iter().filter_map(Ewma::value).reduce(f64::min)?;
        let latency = self.latencies.iter().filter_map(Ewma::value).reduce(f64::max).unwrap_or(0.0);
        Some(RateEstimate {
            throughput,
            latency: Duration::try_from_secs_f64(latency).unwrap_or_default(),
            median: self.log.value()?.exp(),
            spread: self.spread(),
            samples: self.samples,
        })
    }

    fn spread(&self) -> f64 {
        let measured = f64::from(self.samples.saturating_sub(1)).min(2.0 * SPREAD_HALF_LIFE);
        let errors = self.errors.value().unwrap_or(0.0) * measured;
        ((errors + PRIOR_SPREAD.powi(2) * PRIOR_WEIGHT) / (measured + PRIOR_WEIGHT)).sqrt()
    }
}

/// Collects what transfers bring into measurements of some size: tiny transfers, which round trips rule, are added up.
#[derive(Debug, Clone)]
pub(super) struct RateMeter {
    estimator: RateEstimator,
    /// Bits per second that an earlier stream measured.
    initial: Option<u64>,
    min_bytes: u64,
    bytes: u64,
    elapsed: Duration,
    first_byte: Option<Duration>,
}

/// A measurement ends after so much time of transfer at the latest, if it has enough bytes.
const LONGEST_MEASUREMENT: Duration = Duration::from_secs(2);

impl RateMeter {
    pub(super) fn new(initial: Option<u64>, min_bytes: u64) -> Self {
        Self {
            estimator: RateEstimator::new(),
            initial,
            min_bytes: min_bytes.max(1),
            bytes: 0,
            elapsed: Duration::ZERO,
            first_byte: None,
        }
    }

    /// `bytes` came in `elapsed`. `enough` bytes make a measurement.
    pub(super) fn add(&mut self, bytes: u64, elapsed: Duration, enough: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.elapsed = self.elapsed.saturating_add(elapsed);
        let is_long = self.elapsed >= LONGEST_MEASUREMENT && self.bytes >= self.min_bytes;
        if is_long || self.bytes >= enough.max(self.min_bytes) {
            self.commit();
        }
    }

    /// The first byte of a request came after `elapsed`.
    pub(super) fn add_first_byte(&mut self, elapsed: Duration) {
        self.first_byte = Some(self.first_byte.map_or(elapsed, |before| before.saturating_add(elapsed) / 2));
    }

    /// A segment ended: a measurement, if it had enough bytes.
    pub(super) fn transfer_ended(&mut self) {
        if self.bytes >= self.min_bytes {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let sample = RateSample::new(std::mem::take(&mut self.bytes) as f64 * 8.0, self.elapsed);
        self.elapsed = Duration::ZERO;
        self.estimator.add(match self.first_byte.take() {
            Some(first_byte) => sample.with_first_byte(first_byte),
            None => sample,
        });
    }

    /// What was measured, or what an earlier stream had measured.
    pub(super) fn estimate(&self) -> Option<RateEstimate> {
        self.estimator.estimate().or_else(|| self.initial.map(RateEstimate::assumed))
    }
}

/// An exponentially weighted average that is right from its first value on.
#[derive(Debug, Clone, Default)]
struct Ewma {
    sum: f64,
    weight: f64,
}

impl Ewma {
    /// Adds a value that stands for so many half-lives.
    fn add(&mut self, value: f64, half_lives: f64) {
        let keep = 0.5_f64.powf(half_lives);
        self.sum = self.sum * keep + value * (1.0 - keep);
        self.weight = self.weight * keep + (1.0 - keep);
    }

    fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn close(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 0.01
    }

    #[test]
    fn first_sample_is_the_estimate() {
        let mut estimator = RateEstimator::new();
        assert_eq!(estimator.estimate(), None);
        estimator.add(RateSample::new(1e6, SECOND).with_first_byte(SECOND / 10));
        let estimate = estimator.estimate().unwrap();
        assert!(close(estimate.throughput, 1e6) && close(estimate.median, 1e6), "{estimate:?}");
        assert_eq!(estimate.latency.as_millis(), 100);
        assert_eq!(estimate.samples, 1);
    }

    #[test]
    fn time_to_first_byte_is_no_part_of_the_rate() {
        let mut estimator = RateEstimator::new();
        for _ in 0..10 {
            estimator.add(RateSample::new(3e6, SECOND).with_first_byte(SECOND * 3 / 2));
        }
        let estimate = estimator.estimate().unwrap();
        assert!(close(estimate.throughput, 3e6), "{estimate:?}");
        assert!(close(estimate.latency.as_secs_f64(), 1.5), "{estimate:?}");
    }

    #[test]
    fn spread_tells_a_steady_link_from_a_wavering_one() {
        let spread = |rates: [f64; 2]| {
            let mut estimator = RateEstimator::new();
            for sample in 0..30 {
                estimator.add(RateSample::new(rates[sample % 2], SECOND));
            }
            estimator.estimate().unwrap().spread
        };
        let (steady, wavering) = (spread([1e6, 1e6]), spread([4e5, 2.5e6]));
        assert!(steady < 0.25 && wavering > 3.0 * steady, "{steady} {wavering}");
    }

    #[test]
    fn drop_is_believed_within_two_transfers() {
        let mut estimator = RateEstimator::new();
        for _ in 0..20 {
            estimator.add(RateSample::new(4.8e6, SECOND));
        }
        for _ in 0..2 {
            estimator.add(RateSample::new(1.9e6, SECOND * 6));
        }
        let estimate = estimator.estimate().unwrap();
        assert!(estimate.throughput < 8e5 && estimate.median < 8e5, "{estimate:?}");
    }

    #[test]
    fn link_that_got_fast_is_believed_though_its_transfers_are_short() {
        let mut estimator = RateEstimator::new();
        for _ in 0..10 {
            estimator.add(RateSample::new(5e4, SECOND));
        }
        for _ in 0..8 {
            estimator.add(RateSample::new(5e5, SECOND / 200));
        }
        assert!(estimator.estimate().unwrap().median > 1e7);
    }

    #[test]
    fn tiny_transfers_are_added_up() {
        let mut meter = RateMeter::new(None, 16 << 10);
        for _ in 0..15 {
            meter.add(1 << 10, SECOND / 20, 0);
            meter.transfer_ended();
            assert_eq!(meter.estimate(), None);
        }
        meter.add(1 << 10, SECOND / 20, 0);
        assert!(close(meter.estimate().unwrap().throughput, 163_840.0));
    }

    #[test]
    fn earlier_measurement_holds_until_there_is_a_new_one() {
        let mut meter = RateMeter::new(Some(300_000), 1);
        assert!(close(meter.estimate().unwrap().median, 3e5));
        meter.add(125_000, SECOND, 0);
        assert!(close(meter.estimate().unwrap().median, 1e6));
    }

    #[test]
    fn absurd_measures_give_finite_estimates() {
        let mut meter = RateMeter::new(None, 1);
        meter.add(u64::MAX, Duration::ZERO, 0);
        meter.add(1, Duration::MAX, 0);
        meter.add(u64::MAX, Duration::MAX, 0);
        meter.add_first_byte(Duration::from_secs(u64::from(u32::MAX)));
        meter.add(u64::MAX, SECOND, 0);
        let estimate = meter.estimate().unwrap();
        assert!(
            estimate.throughput.is_finite() && estimate.median.is_finite() && estimate.spread.is_finite()
        );
    }
}
