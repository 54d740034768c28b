//! Options of the bitrate decisions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::published::{Bola, BolaE, Throughput};
use super::{AbrPolicy, Hybrid};

/// What [`AbrOptions::data_saver`] allows, bits per second: speech and 128 kbit/s music with their container.
pub(crate) const DATA_SAVER_BANDWIDTH: u64 = 160_000;

/// The rule that chooses variants.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum AbrPolicyKind {
    /// Plans the next segments for the best expected experience. The default.
    #[default]
    Hybrid,
    /// The highest variant that 90 % of the throughput carries.
    Throughput,
    /// BOLA: by the buffer.
    Bola,
    /// BOLA-E: by the buffer, and by throughput while the buffer is filled.
    BolaE,
    /// A policy of the application's; called once per stream.
    Custom(Arc<dyn Fn() -> Box<dyn AbrPolicy> + Send + Sync>),
}

impl AbrPolicyKind {
    /// The names that [`by_name`](Self::by_name) knows.
    pub const NAMES: [&'static str; 4] = ["hybrid", "throughput", "bola", "bola-e"];

    /// A built-in policy by its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "hybrid" => Some(Self::Hybrid),
            "throughput" => Some(Self::Throughput),
            "bola" => Some(Self::Bola),
            "bola-e" => Some(Self::BolaE),
            _ => None,
        }
    }

    /// A new policy of this kind.
    #[must_use]
    pub fn build(&self) -> Box<dyn AbrPolicy> {
        match self {
            Self::Hybrid => Box::new(Hybrid::default()),
            Self::Throughput => Box::new(Throughput::default()),
            Self::Bola => Box::new(Bola::default()),
            Self::BolaE => Box::new(BolaE::default()),
            Self::Custom(build) => build(),
        }
    }
}

impl fmt::Debug for AbrPolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hybrid => "Hybrid",
            Self::Throughput => "Throughput",
            Self::Bola => "Bola",
            Self::BolaE => "BolaE",
            Self::Custom(_) => "Custom",
        })
    }
}

/// Options of [`AbrController`](super::AbrController).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AbrOptions {
    /// The rule that chooses variants. Default [`AbrPolicyKind::Hybrid`].
    pub policy: AbrPolicyKind,
    /// Throughput to start from, bits per second: what an earlier stream measured. Default `None`: start with the
    /// lowest variant.
    pub initial_throughput: Option<u64>,
    /// Never choose a variant above this many bits per second, unless there is none below. Default `None`.
    pub max_bandwidth: Option<u64>,
    /// Never choose a variant below this many bits per second, unless there is none above. Default `None`.
    pub min_bandwidth: Option<u64>,
    /// Never choose a variant above 160 kbit/s, unless there is none below: about 70 MB per hour. Default `false`.
    pub data_saver: bool,
    /// How long a variant that failed is left alone. Default 60 s.
    pub penalty: Duration,
    /// Bytes that make a measurement: smaller transfers are added up, because round trips rule them. Default 16 KiB.
    pub min_sample_bytes: u64,
}

impl Default for AbrOptions {
    fn default() -> Self {
        Self {
            policy: AbrPolicyKind::default(),
            initial_throughput: None,
            max_bandwidth: None,
            min_bandwidth: None,
            data_saver: false,
            penalty: Duration::from_secs(60),
            min_sample_bytes: 16 << 10,
        }
    }
}

impl AbrOptions {
    /// Sets [`policy`](Self::policy).
    #[must_use]
    pub fn with_policy(mut self, policy: AbrPolicyKind) -> Self {
        self.policy = policy;
        self
    }

    /// Sets [`initial_throughput`](Self::initial_throughput).
    #[must_use]
    pub fn with_initial_throughput(mut self, throughput: Option<u64>) -> Self {
        self.initial_throughput = throughput;
        self
    }

    /// Sets [`max_bandwidth`](Self::max_bandwidth).
    #[must_use]
    pub fn with_max_bandwidth(mut self, bandwidth: Option<u64>) -> Self {
        self.max_bandwidth = bandwidth;
        self
    }

    /// Sets [`min_bandwidth`](Self::min_bandwidth).
    #[must_use]
    pub fn with_min_bandwidth(mut self, bandwidth: Option<u64>) -> Self {
        self.min_bandwidth = bandwidth;
        self
    }

    /// Sets [`data_saver`](Self::data_saver).
    #[must_use]
    pub fn with_data_saver(mut self, data_saver: bool) -> Self {
        self.data_saver = data_saver;
        self
    }

    /// Sets [`penalty`](Self::penalty).
    #[must_use]
    pub fn with_penalty(mut self, penalty: Duration) -> Self {
        self.penalty = penalty;
        self
    }

    /// The bandwidth that no variant should exceed.
    pub(crate) fn limit(&self) -> u64 {
        let saver = if self.data_saver { DATA_SAVER_BANDWIDTH } else { u64::MAX };
        self.max_bandwidth.unwrap_or(u64::MAX).min(saver)
    }
}
