//! Settings of the bitrate decisions.

use std::time::Duration;

/// Settings of [`AbrController`](super::AbrController) and its default policy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AbrSettings {
    /// Throughput to start from, bits per second: what an earlier stream measured. Default `None`: start with the
    /// lowest variant.
    pub initial_throughput: Option<u64>,
    /// Never choose a variant above this many bits per second, unless there is none below. Default `None`.
    pub max_bandwidth: Option<u64>,
    /// Never choose a variant below this many bits per second, unless there is none above. Default `None`.
    pub min_bandwidth: Option<u64>,
    /// Share of the measured throughput that a variant may need for a switch up. Default 0.7.
    pub up_fraction: f64,
    /// Share of the measured throughput above which a variant is too much. Default 0.95: the room between this and
    /// `up_fraction` keeps the choice from swinging.
    pub down_fraction: f64,
    /// Audio that must be buffered for a switch up. Default 8 s, two segments of the usual length; never more than half of
    /// what the look-ahead holds.
    pub up_buffer: Duration,
    /// So many times a variant's bandwidth is ample throughput for it: a switch up to it then needs no
    /// [`up_buffer`](Self::up_buffer). A reader that takes everything at once never has a buffer, and one that has just
    /// begun should not hear the lowest variant for the whole of its look-ahead. Default 6.
    pub ample_factor: f64,
    /// Audio buffered beyond which a drop of throughput is waited out. Default 20 s; never more than three quarters of
    /// what the look-ahead holds.
    pub comfort_buffer: Duration,
    /// Audio buffered below which the lowest sustainable variant is taken at once. Default 4 s; never more than a quarter of
    /// what the look-ahead holds.
    pub low_buffer: Duration,
    /// Least time between a switch and a switch up. Default 8 s.
    pub up_interval: Duration,
    /// How long a variant that failed is left alone. Default 60 s.
    pub penalty: Duration,
    /// Half-life of the fast average of throughput, in time of transfer. Default 2 s.
    pub fast_half_life: Duration,
    /// Half-life of the slow average of throughput. Default 8 s.
    pub slow_half_life: Duration,
    /// Bytes that make a measurement: smaller transfers are added up, because round trips rule them. Default 16 KiB.
    pub min_sample_bytes: u64,
}

impl Default for AbrSettings {
    fn default() -> Self {
        Self {
            initial_throughput: None,
            max_bandwidth: None,
            min_bandwidth: None,
            up_fraction: 0.7,
            down_fraction: 0.95,
            up_buffer: Duration::from_secs(8),
            ample_factor: 6.0,
            comfort_buffer: Duration::from_secs(20),
            low_buffer: Duration::from_secs(4),
            up_interval: Duration::from_secs(8),
            penalty: Duration::from_secs(60),
            fast_half_life: Duration::from_secs(2),
            slow_half_life: Duration::from_secs(8),
            min_sample_bytes: 16 << 10,
        }
    }
}
