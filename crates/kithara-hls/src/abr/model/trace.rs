//! What is simulated: a network trace and the segments' sizes.

use std::time::Duration;

/// A part of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Period {
    /// Seconds.
    pub seconds: f64,
    /// Bits per second; 0 for an outage.
    pub bandwidth: f64,
    /// Seconds from a request to its first byte.
    pub latency: f64,
}

impl Period {
    /// A period in the units of trace files.
    #[must_use]
    pub fn from_units(duration_ms: f64, bandwidth_kbps: f64, latency_ms: f64) -> Self {
        Self { seconds: duration_ms / 1e3, bandwidth: bandwidth_kbps * 1e3, latency: latency_ms / 1e3 }
    }
}

/// What a trace or a table of sizes cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A figure is negative, infinite or not a number.
    #[error("period {index} of the trace has a negative or infinite figure")]
    InvalidPeriod {
        /// Index in the trace.
        index: usize,
    },
    /// Nothing would ever arrive.
    #[error("the trace carries less than 1 bit per second on average, so that no segment would ever arrive")]
    NoBandwidth,
    /// The ladder has no rung, or it does not ascend, or a rung is 0.
    #[error("the ladder must list bitrates above 0 in ascending order")]
    InvalidLadder,
    /// A row of the size table has not as many sizes as the ladder has rungs, or a size is 0.
    #[error("row {index} of the segment sizes must have one size above 0 for each bitrate")]
    InvalidSizes {
        /// Index of the row.
        index: usize,
    },
    /// The segments have no duration, or there are none or too many.
    #[error("a session needs 1 to 1,000,000 segments of 1 ms to 1 h")]
    InvalidSegments,
}

/// Bandwidth and latency over time; begins again at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    periods: Vec<Period>,
}

impl Trace {
    /// A trace of these periods.
    ///
    /// # Errors
    /// [`TraceError`]: a figure is invalid, or the trace carries nothing.
    pub fn new(mut periods: Vec<Period>) -> Result<Self, TraceError> {
        let valid = |value: f64| value.is_finite() && value >= 0.0;
        let is_valid = |period: &Period| {
            valid(period.seconds)
                && valid(period.bandwidth)
                && valid(period.latency)
                && period.latency < 3600.0
        };
        if let Some(index) = periods.iter().position(|period| !is_valid(period)) {
            return Err(TraceError::InvalidPeriod { index });
        }
        periods.retain(|period| period.seconds > 0.0);
        let seconds: f64 = periods.iter().map(|period| period.seconds).sum();
        let bits: f64 = periods.iter().map(|period| period.seconds * period.bandwidth).sum();
        if !(seconds.is_finite() && bits.is_finite() && bits >= seconds && bits > 0.0) {
            return Err(TraceError::NoBandwidth);
        }
        Ok(Self { periods })
    }

    /// The trace with every bandwidth multiplied.
    ///
    /// # Errors
    /// [`TraceError`]: the result is invalid or carries nothing.
    pub fn scaled(&self, factor: f64) -> Result<Self, TraceError> {
        let scale = |period: &Period| Period { bandwidth: period.bandwidth * factor, ..*period };
        Self::new(self.periods.iter().map(scale).collect())
    }

    /// Its periods.
    #[must_use]
    pub fn periods(&self) -> &[Period] {
        &self.periods
    }

    /// Mean bandwidth in bits per second.
    #[must_use]
    pub fn mean_bandwidth(&self) -> f64 {
        let seconds: f64 = self.periods.iter().map(|period| period.seconds).sum();
        let bits: f64 = self.periods.iter().map(|period| period.seconds * period.bandwidth).sum();
        bits / seconds
    }

    /// Bandwidth in bits per second `seconds` after the start.
    #[must_use]
    pub fn bandwidth_at(&self, seconds: f64) -> f64 {
        let total: f64 = self.periods.iter().map(|period| period.seconds).sum();
        let mut at = seconds.max(0.0) % total;
        for period in &self.periods {
            if at < period.seconds {
                return period.bandwidth;
            }
            at -= period.seconds;
        }
        self.periods.last().map_or(0.0, |period| period.bandwidth)
    }
}

/// A presentation as the model sees it: a ladder and the sizes of its segments.
#[derive(Debug, Clone, PartialEq)]
pub struct Segments {
    seconds: f64,
    ladder: Vec<f64>,
    /// Bits, by segment and variant; repeated to `count`.
    sizes: Vec<f64>,
    count: usize,
}

impl Segments {
    /// `count` segments of `segment`, each as large as its bitrate (bits per second) says.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn constant(ladder: &[f64], segment: Duration, count: usize) -> Result<Self, TraceError> {
        let seconds = segment.as_secs_f64();
        let row: Vec<f64> = ladder.iter().map(|bitrate| bitrate * seconds).collect();
        Self::with_sizes(ladder, segment, &[row], Some(count))
    }

    /// Segments of these sizes in bits, one row per segment with one size per bitrate. `count` repeats or cuts the rows.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn with_sizes(
        ladder: &[f64],
        segment: Duration,
        rows: &[Vec<f64>],
        count: Option<usize>,
    ) -> Result<Self, TraceError> {
        let valid = |value: f64| value.is_finite() && value > 0.0;
        let ascends = ladder.windows(2).all(|pair| pair[0] < pair[1]);
        if ladder.is_empty() || !ascends || !ladder.iter().all(|bitrate| valid(*bitrate)) {
            return Err(TraceError::InvalidLadder);
        }
        let count = count.unwrap_or(rows.len());
        let durations = Duration::from_millis(1)..=Duration::from_secs(3600);
        if !(1..=1_000_000).contains(&count) || rows.is_empty() || !durations.contains(&segment) {
            return Err(TraceError::InvalidSegments);
        }
        let is_bad = |row: &Vec<f64>| row.len() != ladder.len() || !row.iter().all(|size| valid(*size));
        if let Some(index) = rows.iter().position(is_bad) {
            return Err(TraceError::InvalidSizes { index });
        }
        let (seconds, ladder) = (segment.as_secs_f64(), ladder.to_vec());
        Ok(Self { seconds, ladder, sizes: rows.concat(), count })
    }

    /// Seconds of each segment.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bits per second of each variant.
    #[must_use]
    pub fn ladder(&self) -> &[f64] {
        &self.ladder
    }

    /// How many segments there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bits of a segment.
    #[must_use]
    pub fn bits(&self, segment: usize, variant: usize) -> f64 {
        let at = (segment * self.ladder.len() + variant) % self.sizes.len().max(1);
        self.sizes.get(at).copied().unwrap_or(0.0)
    }
}
