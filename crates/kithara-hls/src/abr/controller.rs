//! Keeps what the decisions need: ladder, mode, exclusions, throughput.

use std::time::{Duration, Instant};

use super::{
    AbrPolicy, AbrSettings, AbrView, Candidate, ThroughputEstimator, ThroughputPolicy, TransferProgress,
};

/// A segment shorter than this tells nothing of its variant's bandwidth: its headers weigh too much.
const MIN_OBSERVED: Duration = Duration::from_secs(1);

/// More than anybody buffers.
const UNLIMITED: Duration = Duration::from_secs(1 << 32);

/// Which variant is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
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
    settings: AbrSettings,
    estimator: ThroughputEstimator,
    ladder: Vec<Rung>,
    mode: VariantMode,
    current: Option<Decision>,
    last_switch: Option<Instant>,
    stalled: bool,
    /// The bandwidth cap changed since the last decision.
    cap_changed: bool,
    /// How fast the audio is consumed, as a multiple of playback speed.
    speed: f64,
    /// The most audio that may be buffered.
    capacity: Duration,
}

/// A variant of the ladder.
#[derive(Debug, Clone, Copy)]
struct Rung {
    declared: u64,
    /// The most that a segment was seen to need, bits per second.
    seen: u64,
    exclusion: Exclusion,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exclusion {
    None,
    Until(Instant),
    ForGood,
}

impl Rung {
    /// What the variant needs. A declaration far above what is seen counts video that is not fetched, or is a
    /// careless one: then a quarter above the seen peak is believed.
    fn bandwidth(&self) -> u64 {
        match (self.declared, self.seen) {
            (declared, 0) => declared,
            (declared, seen) if seen >= declared => seen,
            (declared, seen) if seen < declared / 2 => seen.saturating_add(seen / 4),
            (declared, _) => declared,
        }
    }

    fn is_excluded(&self, now: Instant) -> bool {
        match self.exclusion {
            Exclusion::None => false,
            Exclusion::Until(until) => now < until,
            Exclusion::ForGood => true,
        }
    }
}

impl AbrController {
    /// A controller of a ladder with the default policy. `bandwidths` are bits per second, ascending, 0 for unknown.
    #[must_use]
    pub fn new(settings: AbrSettings, bandwidths: &[u64], mode: VariantMode) -> Self {
        let policy = Box::new(ThroughputPolicy::new(settings.clone()));
        Self::with_policy(settings, bandwidths, mode, policy)
    }

    /// A controller with a policy of the application's own.
    #[must_use]
    pub fn with_policy(
        settings: AbrSettings,
        bandwidths: &[u64],
        mode: VariantMode,
        policy: Box<dyn AbrPolicy>,
    ) -> Self {
        let rung = |declared: &u64| Rung { declared: *declared, seen: 0, exclusion: Exclusion::None };
        Self {
            policy,
            estimator: ThroughputEstimator::new(&settings),
            settings,
            ladder: bandwidths.iter().map(rung).collect(),
            mode,
            current: None,
            last_switch: None,
            stalled: false,
            cap_changed: false,
            speed: 1.0,
            capacity: UNLIMITED,
        }
    }

    /// `bytes` came over the network in `elapsed` of transfer. Do not tell what came out of a cache.
    pub fn record(&mut self, bytes: u64, elapsed: Duration) {
        self.estimator.add(bytes, elapsed);
    }

    /// A segment of `variant` turned out to have `bytes` for `duration` of audio.
    pub fn observe_segment(&mut self, variant: usize, bytes: u64, duration: Duration) {
        if let Some(rung) = self.ladder.get_mut(variant).filter(|_| duration >= MIN_OBSERVED) {
            let bits = (bytes as f64 * 8.0 / duration.as_secs_f64()) as u64;
            rung.seen = rung.seen.max(bits);
        }
    }

    /// The audio is consumed at `speed` times playback speed: a variant then needs as much more throughput, and a buffer
    /// lasts as much shorter. Default 1; what is slower counts as 1, because a pause may end at any time.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = if speed.is_finite() { speed.max(1.0) } else { 1.0 };
    }

    /// The speed of consumption; at least 1.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// At most `audio` is ever buffered: the settings' marks mean shares of it where they lie beyond. Default no limit.
    pub fn set_capacity(&mut self, audio: Duration) {
        self.capacity = audio.min(UNLIMITED);
    }

    /// Playback ran dry.
    pub fn stalled(&mut self) {
        self.stalled = true;
    }

    /// The variant for the next segment, with `buffered` audio fetched and not yet played; `None` while every variant
    /// is excluded.
    pub fn choose(&mut self, now: Instant, buffered: Duration) -> Option<Decision> {
        let candidates = self.candidates(now);
        let previous = self.current;
        let lost = previous.is_some_and(|decision| self.is_excluded(decision.variant, now));
        let (variant, reason) = match self.mode {
            VariantMode::Manual(wanted) => self.choose_manual(now, wanted, lost)?,
            VariantMode::Auto => {
                let view = self.view(now, buffered, &candidates);
                if candidates.is_empty() {
                    return None;
                }
                let capped_out = previous.is_some() && view.current.is_none() && !lost;
                let (variant, reason) = self.policy.choose(&view);
                let reason = match reason {
                    _ if lost => SwitchReason::Failover,
                    _ if capped_out || (self.cap_changed && reason == SwitchReason::ThroughputDown) => {
                        SwitchReason::Cap
                    }
                    reason => reason,
                };
                (variant, reason)
            }
        };
        self.stalled = false;
        self.cap_changed = false;
        Some(self.settle(now, variant, reason))
    }

    /// The wanted variant, or the nearest one that is not excluded, rather below than above.
    fn choose_manual(&self, now: Instant, wanted: usize, lost: bool) -> Option<(usize, SwitchReason)> {
        let last = self.ladder.len().checked_sub(1)?;
        let wanted = wanted.min(last);
        let below = (0..=wanted).rev();
        let variant = below.chain(wanted + 1..=last).find(|variant| !self.is_excluded(*variant, now))?;
        let is_failover = lost || variant != wanted;
        Some((variant, if is_failover { SwitchReason::Failover } else { SwitchReason::Manual }))
    }

    fn settle(&mut self, now: Instant, variant: usize, reason: SwitchReason) -> Decision {
        let decision = match self.current {
            Some(current) if current.variant == variant => Decision { switched: false, ..current },
            Some(_) => Decision { variant, reason, switched: true },
            None => Decision { variant, reason, switched: false },
        };
        if decision.switched {
            self.last_switch = Some(now);
        }
        self.current = Some(decision);
        decision
    }

    /// What may be chosen at `now`: neither excluded nor beyond the caps, if anything is.
    fn candidates(&self, now: Instant) -> Vec<Candidate> {
        let all = self.ladder.iter().enumerate().filter(|(_, rung)| !rung.is_excluded(now));
        let mut candidates: Vec<_> =
            all.map(|(variant, _)| Candidate { variant, bandwidth: self.bandwidth(variant) }).collect();
        let max = self.settings.max_bandwidth.unwrap_or(u64::MAX);
        keep_if_any(
            &mut candidates,
            |candidate| candidate.bandwidth <= max,
            |list| list.iter().map(|candidate| candidate.bandwidth).min(),
        );
        let min = self.settings.min_bandwidth.unwrap_or(0);
        keep_if_any(
            &mut candidates,
            |candidate| candidate.bandwidth >= min,
            |list| list.iter().map(|candidate| candidate.bandwidth).max(),
        );
        candidates
    }

    fn view<'a>(&self, now: Instant, buffered: Duration, candidates: &'a [Candidate]) -> AbrView<'a> {
        let current = self.current.map(|decision| decision.variant);
        AbrView {
            now,
            buffered: buffered.div_f64(self.speed),
            throughput: self.estimator.estimate().map(|bits| (bits as f64 / self.speed) as u64),
            candidates,
            current: candidates.iter().find(|candidate| Some(candidate.variant) == current).copied(),
            last_switch: self.last_switch,
            stalled: self.stalled,
            speed: self.speed,
            capacity: self.capacity.div_f64(self.speed),
        }
    }

    /// Whether to give up a segment that is arriving too slowly, so that the next [`choose`](Self::choose) may take
    /// a lower variant for it. Never in manual mode. Nothing changes by asking.
    pub fn should_abandon(&mut self, now: Instant, buffered: Duration, transfer: &TransferProgress) -> bool {
        let candidates = self.candidates(now);
        let view = self.view(now, buffered, &candidates);
        self.mode == VariantMode::Auto && self.policy.abandon(&view, transfer)
    }

    /// A segment was given up: the next [`choose`](Self::choose) takes what the transfer's own throughput allows.
    pub fn abandoned(&mut self, transfer: &TransferProgress) {
        self.estimator.fall_to(transfer.bits_per_second() as u64);
        self.stalled = true;
    }

    /// Leaves a variant alone for `penalty`, or for good with `None`.
    pub fn exclude(&mut self, variant: usize, now: Instant, penalty: Option<Duration>) {
        if let Some(rung) = self.ladder.get_mut(variant) {
            rung.exclusion = match penalty.and_then(|penalty| now.checked_add(penalty)) {
                _ if rung.exclusion == Exclusion::ForGood => Exclusion::ForGood,
                Some(until) => Exclusion::Until(until),
                None => Exclusion::ForGood,
            };
        }
    }

    /// Lets variants be chosen again that were left alone for a while.
    pub fn forgive(&mut self) {
        for rung in &mut self.ladder {
            if let Exclusion::Until(_) = rung.exclusion {
                rung.exclusion = Exclusion::None;
            }
        }
    }

    /// Whether a variant may not be chosen at `now`: it is excluded, or there is no such variant.
    #[must_use]
    pub fn is_excluded(&self, variant: usize, now: Instant) -> bool {
        self.ladder.get(variant).is_none_or(|rung| rung.is_excluded(now))
    }

    /// When the first excluded variant may be chosen again; `None` if none is excluded for a while.
    #[must_use]
    pub fn next_return(&self, now: Instant) -> Option<Instant> {
        let until = self.ladder.iter().filter_map(|rung| match rung.exclusion {
            Exclusion::Until(until) => Some(until),
            _ => None,
        });
        until.filter(|until| *until > now).min()
    }

    /// Changes the mode; the next decision obeys.
    pub fn set_mode(&mut self, mode: VariantMode) {
        self.mode = mode;
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> VariantMode {
        self.mode
    }

    /// Changes the upper bound of bandwidth, bits per second; the next decision obeys.
    pub fn set_max_bandwidth(&mut self, bandwidth: Option<u64>) {
        self.cap_changed |= self.settings.max_bandwidth != bandwidth;
        self.settings.max_bandwidth = bandwidth;
    }

    /// The last decision.
    #[must_use]
    pub fn current(&self) -> Option<Decision> {
        self.current
    }

    /// Measured throughput, bits per second.
    #[must_use]
    pub fn throughput(&self) -> Option<u64> {
        self.estimator.estimate()
    }

    /// What a variant needs, bits per second: declared, corrected by what its segments were seen to have; 0 for
    /// unknown.
    #[must_use]
    pub fn bandwidth(&self, variant: usize) -> u64 {
        let Some(rung) = self.ladder.get(variant) else { return 0 };
        if rung.seen > 0 {
            return rung.bandwidth();
        }
        // Not seen: at most what a higher one was seen to need.
        let seen_above =
            self.ladder[variant..].iter().filter(|above| above.seen > 0).map(Rung::bandwidth).min();
        rung.declared.min(seen_above.unwrap_or(u64::MAX))
    }

    /// The default penalty of the settings.
    #[must_use]
    pub fn penalty(&self) -> Duration {
        self.settings.penalty
    }
}

/// Keeps what passes; where nothing does, what has the bandwidth that `otherwise` picks.
fn keep_if_any(
    candidates: &mut Vec<Candidate>,
    passes: impl Fn(&Candidate) -> bool,
    otherwise: impl Fn(&[Candidate]) -> Option<u64>,
) {
    if candidates.iter().any(&passes) {
        candidates.retain(passes);
    } else if let Some(bandwidth) = otherwise(candidates) {
        candidates.retain(|candidate| candidate.bandwidth == bandwidth);
    }
}

#[cfg(test)]
mod tests;
