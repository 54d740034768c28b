//! Keeps what the decisions need: ladder, mode, exclusions, throughput.

use std::time::{Duration, Instant};

use super::{AbrPolicy, AbrSettings, TransferProgress};

/// Which variant is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VariantMode {
    /// The throughput decides. The default.
    #[default]
    Auto,
    /// Always this one, an index of the ladder by ascending bandwidth, unless it fails.
    Manual(usize),
}

/// Why a variant was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SwitchReason {
    /// It is the first.
    Initial,
    /// The network gives enough for more.
    ThroughputUp,
    /// The network does not give enough.
    ThroughputDown,
    /// Playback is about to run dry, or did.
    BufferLow,
    /// The application chose it.
    Manual,
    /// The variant before failed.
    Failover,
    /// A bandwidth cap changed.
    Cap,
}

impl SwitchReason {
    /// A word for logs and reports, such as `throughput-up`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::ThroughputUp => "throughput-up",
            Self::ThroughputDown => "throughput-down",
            Self::BufferLow => "buffer-low",
            Self::Manual => "manual",
            Self::Failover => "failover",
            Self::Cap => "cap",
        }
    }
}

impl std::fmt::Display for SwitchReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The variant for the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Index in the ladder.
    pub variant: usize,
    /// Why this variant was chosen, now or when it was.
    pub reason: SwitchReason,
    /// It differs from the decision before.
    pub switched: bool,
}

/// Chooses the variant of each segment.
#[derive(Debug)]
pub struct AbrController {
    policy: Box<dyn AbrPolicy>,
}

impl AbrController {
    /// A controller of a ladder with the default policy. `bandwidths` are bits per second, ascending, 0 for unknown.
    #[must_use]
    pub fn new(settings: AbrSettings, bandwidths: &[u64], mode: VariantMode) -> Self {
        let policy = Box::new(super::ThroughputPolicy::new(settings.clone()));
        Self::with_policy(settings, bandwidths, mode, policy)
    }

    /// A controller with a policy of the application's own.
    #[must_use]
    pub fn with_policy(settings: AbrSettings, bandwidths: &[u64], mode: VariantMode, policy: Box<dyn AbrPolicy>) -> Self {
        let _ = (settings, bandwidths, mode);
        Self { policy }
    }

    /// `bytes` came over the network in `elapsed` of transfer. Do not tell what came out of a cache.
    pub fn record(&mut self, bytes: u64, elapsed: Duration) {
        let _ = (bytes, elapsed);
        todo!()
    }

    /// A segment of `variant` turned out to have `bytes` for `duration` of audio.
    pub fn observe_segment(&mut self, variant: usize, bytes: u64, duration: Duration) {
        let _ = (variant, bytes, duration);
        todo!()
    }

    /// Playback ran dry.
    pub fn stalled(&mut self) {
        todo!()
    }

    /// The variant for the next segment, with `buffered` audio fetched and not yet played; `None` while every variant
    /// is excluded.
    pub fn choose(&mut self, now: Instant, buffered: Duration) -> Option<Decision> {
        let _ = (now, buffered);
        todo!()
    }

    /// Whether to give up a segment that is arriving too slowly: its lower variant, if so. Nothing changes until
    /// the next [`choose`](Self::choose).
    pub fn should_abandon(&mut self, now: Instant, buffered: Duration, transfer: &TransferProgress) -> bool {
        let _ = (now, buffered, transfer, &mut self.policy);
        todo!()
    }

    /// Leaves a variant alone for `penalty`, or for good with `None`.
    pub fn exclude(&mut self, variant: usize, now: Instant, penalty: Option<Duration>) {
        let _ = (variant, now, penalty);
        todo!()
    }

    /// Whether a variant may be chosen at `now`.
    #[must_use]
    pub fn is_excluded(&self, variant: usize, now: Instant) -> bool {
        let _ = (variant, now);
        todo!()
    }

    /// Changes the mode; the next decision obeys.
    pub fn set_mode(&mut self, mode: VariantMode) {
        let _ = mode;
        todo!()
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> VariantMode {
        todo!()
    }

    /// Changes the upper bound of bandwidth, bits per second; the next decision obeys.
    pub fn set_max_bandwidth(&mut self, bandwidth: Option<u64>) {
        let _ = bandwidth;
        todo!()
    }

    /// The last decision.
    #[must_use]
    pub fn current(&self) -> Option<Decision> {
        todo!()
    }

    /// Measured throughput, bits per second.
    #[must_use]
    pub fn throughput(&self) -> Option<u64> {
        todo!()
    }

    /// The default penalty of the settings.
    #[must_use]
    pub fn penalty(&self) -> Duration {
        todo!()
    }
}
