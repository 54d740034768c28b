//! How a variant is chosen.

use std::time::{Duration, Instant};

use super::{AbrSettings, SwitchReason};

/// A variant that may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Index in the ladder.
    pub variant: usize,
    /// What it needs, bits per second: declared, corrected by what its segments were seen to have.
    pub bandwidth: u64,
}

/// What a policy decides by.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct AbrView<'a> {
    /// Now.
    pub now: Instant,
    /// Audio that is fetched and not yet played.
    pub buffered: Duration,
    /// Measured throughput, bits per second.
    pub throughput: Option<u64>,
    /// What may be chosen, by ascending bandwidth; never empty.
    pub candidates: &'a [Candidate],
    /// What is being fetched, if anything was chosen before and it is still a candidate.
    pub current: Option<Candidate>,
    /// When the variant last changed.
    pub last_switch: Option<Instant>,
    /// Playback ran dry since the last decision.
    pub stalled: bool,
}

/// A segment that is arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferProgress {
    /// The variant that it is of.
    pub variant: usize,
    /// Bytes here.
    pub received: u64,
    /// Bytes in all, known or estimated.
    pub total: u64,
    /// Since the request.
    pub elapsed: Duration,
    /// Its duration.
    pub duration: Duration,
}

/// A rule that chooses variants.
pub trait AbrPolicy: Send + Sync + std::fmt::Debug {
    /// The variant for the next segment, out of `view.candidates`, and why it differs from the current one.
    fn choose(&mut self, view: &AbrView<'_>) -> (usize, SwitchReason);

    /// Whether to give up a segment that is arriving too slowly, and to ask for a lower variant's instead.
    fn abandon(&mut self, view: &AbrView<'_>, transfer: &TransferProgress) -> bool;
}

/// The default policy: throughput with hysteresis, tempered by the buffer.
#[derive(Debug, Clone)]
pub struct ThroughputPolicy {
    settings: AbrSettings,
}

impl ThroughputPolicy {
    /// The policy with these settings.
    #[must_use]
    pub fn new(settings: AbrSettings) -> Self {
        Self { settings }
    }
}

impl AbrPolicy for ThroughputPolicy {
    fn choose(&mut self, view: &AbrView<'_>) -> (usize, SwitchReason) {
        let _ = (view, &self.settings);
        todo!()
    }

    fn abandon(&mut self, view: &AbrView<'_>, transfer: &TransferProgress) -> bool {
        let _ = (view, transfer);
        todo!()
    }
}
