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
    /// Audio that is fetched and not yet played, in the time that playing it takes.
    pub buffered: Duration,
    /// Measured throughput, bits per second of playback at normal speed: half of the network's where the audio is consumed
    /// at twice the speed.
    pub throughput: Option<u64>,
    /// What may be chosen, in the order of the ladder; never empty.
    pub candidates: &'a [Candidate],
    /// What is being fetched, if anything was chosen before and it is still a candidate.
    pub current: Option<Candidate>,
    /// When the variant last changed.
    pub last_switch: Option<Instant>,
    /// Playback ran dry since the last decision.
    pub stalled: bool,
    /// The most that may be buffered, in the time that playing it takes.
    pub capacity: Duration,
    /// How fast the audio is consumed, as a multiple of playback speed; at least 1.
    pub speed: f64,
}

impl AbrView<'_> {
    /// The best candidate that needs no more than `fraction` of the throughput; the least demanding one if none
    /// does, or while the throughput is not known.
    #[must_use]
    pub fn sustainable(&self, fraction: f64) -> Option<Candidate> {
        let budget = self.throughput.map_or(0.0, |throughput| throughput as f64 * fraction);
        let affordable = self.candidates.iter().filter(|candidate| candidate.bandwidth as f64 <= budget);
        let lowest = || self.candidates.iter().min_by_key(|candidate| candidate.bandwidth);
        affordable.max_by_key(|candidate| candidate.bandwidth).or_else(lowest).copied()
    }
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

impl TransferProgress {
    /// What the transfer gets.
    #[must_use]
    pub fn bits_per_second(&self) -> f64 {
        self.received as f64 * 8.0 / self.elapsed.as_secs_f64().max(1e-3)
    }
}

/// A rule that chooses variants.
pub trait AbrPolicy: Send + Sync + std::fmt::Debug {
    /// The variant for the next segment, out of `view.candidates`, and why it differs from the current one. Where
    /// it is the current one, the reason is not used.
    fn choose(&mut self, view: &AbrView<'_>) -> (usize, SwitchReason);

    /// Whether to give up a segment that is arriving too slowly, and to ask for a lower variant's instead.
    fn abandon(&mut self, view: &AbrView<'_>, transfer: &TransferProgress) -> bool;
}

/// The default policy: throughput with hysteresis, tempered by the buffer.
///
/// - Begin with the least demanding variant, or with what [`AbrSettings::initial_throughput`] carries.
/// - Go up to the best variant that needs at most [`AbrSettings::up_fraction`] of the throughput, once
///   [`AbrSettings::up_buffer`] is buffered and [`AbrSettings::up_interval`] has passed since the last switch. Where the
///   throughput is [`AbrSettings::ample_factor`] times what the variant needs, nothing has to be buffered.
/// - Go down when the variant needs more than [`AbrSettings::down_fraction`] of the throughput, unless
///   [`AbrSettings::comfort_buffer`] is buffered.
/// - When playback ran dry, or is about to with too little throughput, go down at once.
#[derive(Debug, Clone)]
pub struct ThroughputPolicy {
    settings: AbrSettings,
}

/// A transfer is watched for this long before it may be given up.
const MIN_WATCH: Duration = Duration::from_millis(500);

impl ThroughputPolicy {
    /// The policy with these settings.
    #[must_use]
    pub fn new(settings: AbrSettings) -> Self {
        Self { settings }
    }

    /// The best variant to go up to, if any is better than the current one.
    fn better(&self, view: &AbrView<'_>, current: Candidate) -> Option<Candidate> {
        let settings = &self.settings;
        let fraction = if view.buffered >= settings.up_buffer.min(view.capacity / 2) {
            settings.up_fraction
        } else {
            settings.up_fraction.min(1.0 / settings.ample_factor.max(1.0))
        };
        let is_better = |best: &Candidate| best.bandwidth > current.bandwidth && self.may_go_up(view);
        view.sustainable(fraction).filter(is_better)
    }

    fn may_go_up(&self, view: &AbrView<'_>) -> bool {
        let since = view.last_switch.map(|at| view.now.saturating_duration_since(at));
        !view.stalled && since.is_none_or(|since| since >= self.settings.up_interval)
    }
}

impl AbrPolicy for ThroughputPolicy {
    fn choose(&mut self, view: &AbrView<'_>) -> (usize, SwitchReason) {
        let settings = &self.settings;
        let lowest = view.candidates.first().map_or(0, |candidate| candidate.variant);
        let Some(careful) = view.sustainable(settings.up_fraction) else {
            return (lowest, SwitchReason::Initial);
        };
        let Some(current) = view.current else { return (careful.variant, SwitchReason::Initial) };
        let is_too_much = view
            .throughput
            .is_some_and(|throughput| current.bandwidth as f64 > throughput as f64 * settings.down_fraction);
        let is_lower = careful.bandwidth < current.bandwidth;
        if is_lower
            && (view.stalled || (is_too_much && view.buffered < settings.low_buffer.min(view.capacity / 4)))
        {
            (careful.variant, SwitchReason::BufferLow)
        } else if is_lower
            && is_too_much
            && view.buffered < settings.comfort_buffer.min(view.capacity / 4 * 3)
        {
            (careful.variant, SwitchReason::ThroughputDown)
        } else if let Some(better) = self.better(view, current) {
            (better.variant, SwitchReason::ThroughputUp)
        } else {
            (current.variant, SwitchReason::Initial)
        }
    }

    /// Gives up when the segment arrives more slowly than it is played, its rest would come after the buffer has run
    /// dry, and a whole lower segment would be here sooner.
    fn abandon(&mut self, view: &AbrView<'_>, transfer: &TransferProgress) -> bool {
        let is_current = |candidate: &&Candidate| candidate.variant == transfer.variant;
        let Some(current) = view.candidates.iter().find(is_current) else { return false };
        if transfer.elapsed < MIN_WATCH || transfer.received >= transfer.total {
            return false;
        }
        let speed = transfer.bits_per_second();
        if transfer.total as f64 * 8.0 <= speed / view.speed * transfer.duration.as_secs_f64() {
            return false;
        }
        let rest = (transfer.total - transfer.received) as f64 * 8.0;
        let rest_seconds = rest / speed.max(1.0);
        let lower = AbrView { throughput: Some((speed / view.speed) as u64), ..*view }
            .sustainable(self.settings.up_fraction);
        let Some(lower) = lower.filter(|lower| lower.bandwidth < current.bandwidth) else { return false };
        let lower_seconds = lower.bandwidth as f64 * transfer.duration.as_secs_f64() / speed.max(1.0);
        rest_seconds > view.buffered.as_secs_f64() && lower_seconds < rest_seconds
    }
}
