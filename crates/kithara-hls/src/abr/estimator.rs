//! How fast the network is.

use std::time::Duration;

/// Estimates throughput by two exponentially weighted averages, a fast and a slow one, of which the lower counts.
#[derive(Debug, Clone)]
pub struct ThroughputEstimator {}

impl ThroughputEstimator {
    /// An estimator without a measurement.
    #[must_use]
    pub fn new(settings: &super::AbrSettings) -> Self {
        let _ = settings;
        todo!()
    }

    /// `bytes` came over the network in `elapsed` of transfer. Do not tell what came out of a cache.
    pub fn add(&mut self, bytes: u64, elapsed: Duration) {
        let _ = (bytes, elapsed);
        todo!()
    }

    /// Bits per second; `None` before the first measurement, unless an initial one was given.
    #[must_use]
    pub fn estimate(&self) -> Option<u64> {
        todo!()
    }
}
