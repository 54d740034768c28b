//! Keeps what the decisions need (ladder, mode, exclusions, the network's rate) and asks the policy.

use std::time::{Duration, Instant};

use super::ladder::Ladder;
use super::options::AbrPolicyKind;
use super::rate::RateMeter;
use super::view::Finished;
use super::{AbrControl, AbrOptions, AbrPolicy, Candidate, Choice, PlanView, RateEstimate, TransferProgress};

/// More than anybody buffers.
const UNLIMITED: Duration = Duration::from_secs(3600);

/// Duration of a segment while the planner has not told any.
const USUAL_SEGMENT: Duration = Duration::from_secs(6);

/// Which variant is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VariantMode {
    /// The policy decides. The default.
    #[default]
    Auto,
    /// Always this one, an index of the ladder by ascending bandwidth, unless it fails.
    Manual(usize),
    /// Always the highest variant that does not fail and is within the bandwidth limits.
    Highest,
    /// Always the lowest variant that does not fail and is within the bandwidth limits.
    Lowest,
}

/// Why a variant was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SwitchReason {
    /// It is the first.
    Initial,
    /// Up: the network gives enough for more.
    ThroughputUp,
    /// Down: the network does not give enough.
    ThroughputDown,
    /// Up: so much is buffered that a higher variant can be tried.
    BufferUp,
    /// Down: playback is about to run dry, or did.
    BufferLow,
    /// The application chose it.
    Manual,
    /// The variant before failed.
    Failover,
    /// A bandwidth limit changed.
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
            Self::BufferUp => "buffer-up",
            Self::BufferLow => "buffer-low",
            Self::Manual => "manual",
            Self::Failover => "failover",
            Self::Cap => "cap",
        }
    }

    /// The reason with its direction set right: a switch down is never reported as one up, nor the reverse.
    fn in_direction(self, up: bool) -> Self {
        match (self, up) {
            (Self::ThroughputUp, false) => Self::ThroughputDown,
            (Self::BufferUp, false) => Self::BufferLow,
            (Self::ThroughputDown, true) => Self::ThroughputUp,
            (Self::BufferLow, true) => Self::BufferUp,
            (reason, _) => reason,
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
#[non_exhaustive]
pub struct Decision {
    /// Index in the ladder.
    pub variant: usize,
    /// Why this variant was chosen, now or when it was.
    pub reason: SwitchReason,
    /// It differs from the decision before.
    pub switched: bool,
}

/// What a decision was based on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DecisionInputs {
    /// Audio that was fetched and not yet played.
    pub buffered: Duration,
    /// What the network gave; `None` before the first measurement.
    pub rate: Option<RateEstimate>,
    /// How fast the audio is consumed, as a multiple of playback speed.
    pub speed: f64,
}

/// Chooses the variant of each segment.
#[derive(Debug)]
pub struct AbrController {
    policy: Box<dyn AbrPolicy>,
    options: AbrOptions,
    meter: RateMeter,
    ladder: Ladder,
    mode: VariantMode,
    current: Option<Decision>,
    /// A bandwidth limit changed since the last decision.
    cap_changed: bool,
    /// The application chose the mode since the last decision.
    mode_changed: bool,
    /// How fast the audio is consumed, as a multiple of playback speed.
    speed: f64,
    /// The most audio that may be buffered.
    capacity: Duration,
    upcoming: Upcoming,
    /// The variant that the policy wants instead of an arriving segment, and the audio buffered then.
    abandon_for: Option<(usize, Duration)>,
    /// Segments chosen since the start or the last move.
    index: usize,
    control: AbrControl,
    observer: Observer,
    /// The last decision with its inputs.
    told: Option<(Decision, DecisionInputs)>,
    /// Reused by each decision.
    candidates: Vec<Candidate>,
    sizes: Vec<u64>,
}

/// The segments to come, as far as the planner knows them.
#[derive(Debug, Clone, Default)]
struct Upcoming {
    segment: Option<Duration>,
    remaining: Option<usize>,
    /// Bytes by segment and variant of the whole ladder; 0 for unknown.
    bytes: Vec<u64>,
}

/// Called with each decision.
type Observe = dyn FnMut(&Decision, &DecisionInputs) + Send + Sync;

/// Told of each decision.
#[derive(Default)]
struct Observer(Option<Box<Observe>>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}

impl AbrController {
    /// A controller of a ladder. `bandwidths` are bits per second, ascending, 0 for unknown.
    #[must_use]
    pub fn new(options: AbrOptions, bandwidths: &[u64], mode: VariantMode) -> Self {
        Self {
            policy: options.policy.build(),
            meter: RateMeter::new(options.initial_throughput, options.min_sample_bytes),
            options,
            ladder: Ladder::new(bandwidths),
            mode,
            current: None,
            cap_changed: false,
            mode_changed: false,
            speed: 1.0,
            capacity: UNLIMITED,
            upcoming: Upcoming::default(),
            abandon_for: None,
            index: 0,
            control: AbrControl::default(),
            observer: Observer::default(),
            told: None,
            candidates: Vec::new(),
            sizes: Vec::new(),
        }
    }

    /// `bytes` came over the network in `elapsed`, in which at least one transfer was receiving; several transfers at the
    /// same time are one measurement. Bytes out of a cache must not be recorded.
    pub fn record(&mut self, bytes: u64, elapsed: Duration) {
        // Half of a segment tells as much as a whole one.
        let bandwidth = self.current.map_or(0, |current| self.bandwidth(current.variant));
        let segment = self.upcoming.segment.unwrap_or(USUAL_SEGMENT);
        let enough = bandwidth.saturating_mul(segment.as_millis() as u64) / 8000 / 2;
        self.meter.add(bytes, elapsed, enough);
    }

    /// The first byte of a request came after `elapsed`.
    pub fn record_first_byte(&mut self, elapsed: Duration) {
        self.meter.add_first_byte(elapsed);
    }

    /// A segment of `variant` turned out to have `bytes` for `duration` of audio.
    pub fn observe_segment(&mut self, variant: usize, bytes: u64, duration: Duration) {
        self.ladder.observe(variant, bytes, duration);
    }

    /// A segment has arrived, `elapsed` after its request, and `buffered` audio is there with it.
    pub fn segment_arrived(&mut self, now: Instant, buffered: Duration, variant: usize, elapsed: Duration) {
        self.meter.transfer_ended();
        self.tell_finished(now, buffered, Finished::new(variant, elapsed, None));
    }

    /// The segments to come: duration of the next one, how many are left with it (`None` if more may be added), and
    /// their sizes in bytes, one group with a size for each variant of the ladder per segment, 0 for unknown.
    pub fn set_upcoming(&mut self, segment: Duration, remaining: Option<usize>, bytes: &[u64]) {
        self.upcoming.segment = Some(segment).filter(|segment| !segment.is_zero());
        self.upcoming.remaining = remaining;
        self.upcoming.bytes.clear();
        self.upcoming.bytes.extend_from_slice(bytes);
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

    /// At most `audio` is ever buffered. Default no limit.
    pub fn set_capacity(&mut self, audio: Duration) {
        self.capacity = audio.min(UNLIMITED);
    }

    /// Nothing was requested for `time` because the look-ahead was full.
    pub fn idled(&mut self, time: Duration) {
        self.policy.idled(time);
    }

    /// Playback goes on at another position: what was buffered is gone.
    pub fn moved(&mut self) {
        self.index = 0;
        self.policy.moved();
    }

    /// The variant for the next segment, with `buffered` audio fetched and not yet played; `None` while every variant
    /// is excluded.
    pub fn choose(&mut self, now: Instant, buffered: Duration) -> Option<Decision> {
        self.apply_changes();
        self.prepare(now);
        let lost = self.current.is_some_and(|current| self.is_excluded(current.variant, now));
        let (variant, reason) = match self.mode {
            VariantMode::Manual(wanted) => self.choose_manual(now, wanted, lost)?,
            VariantMode::Highest => self.choose_end(self.candidates.last().copied()?, lost),
            VariantMode::Lowest => self.choose_end(self.candidates.first().copied()?, lost),
            VariantMode::Auto => self.choose_auto(buffered, lost)?,
        };
        self.cap_changed = false;
        self.mode_changed = false;
        self.index += 1;
        let decision = self.settle(variant, reason);
        let inputs = self.inputs(buffered);
        // A planner that has to wait asks again: the same answer for the same reasons is told once.
        let is_news = self.told.replace((decision, inputs)) != Some((decision, inputs));
        if let Some(observer) = self.observer.0.as_mut().filter(|_| is_news) {
            observer(&decision, &inputs);
        }
        Some(decision)
    }

    /// A handle that changes policy and limits from elsewhere.
    #[must_use]
    pub fn control(&self) -> AbrControl {
        self.control.clone()
    }

    /// Tells `observer` of each decision and of what it was based on.
    pub fn observe(&mut self, observer: impl FnMut(&Decision, &DecisionInputs) + Send + Sync + 'static) {
        self.observer = Observer(Some(Box::new(observer)));
    }

    fn apply_changes(&mut self) {
        let changes = self.control.take();
        if let Some(policy) = changes.policy {
            self.set_policy(policy);
        }
        if let Some(bandwidth) = changes.max_bandwidth {
            self.set_max_bandwidth(bandwidth);
        }
        if let Some(data_saver) = changes.data_saver {
            self.set_data_saver(data_saver);
        }
    }

    fn choose_auto(&mut self, buffered: Duration, lost: bool) -> Option<(usize, SwitchReason)> {
        self.candidates.first()?;
        let previous = self.current.map(|current| current.variant);
        let is_candidate = |variant| self.candidates.iter().any(|candidate| candidate.variant == variant);
        let capped_out = previous.is_some_and(|previous| !is_candidate(previous)) && !lost;
        let was_manual = self.mode_changed;
        let choice = self.with_view(buffered, |policy, view| policy.choose(view));
        let (variant, reason) = match (choice, previous) {
            (Choice::Stay, Some(previous)) => (previous, SwitchReason::Initial),
            (Choice::Stay, None) => (self.candidates.first()?.variant, SwitchReason::Initial),
            (Choice::Switch(variant, reason), _) => (variant, reason),
        };
        let up = previous.is_some_and(|previous| variant > previous);
        let reason = match (reason, previous) {
            _ if lost => SwitchReason::Failover,
            (_, Some(_)) if capped_out || (self.cap_changed && !up) => SwitchReason::Cap,
            (SwitchReason::Initial, Some(_)) if was_manual => SwitchReason::Manual,
            (SwitchReason::Initial, Some(_)) => SwitchReason::ThroughputUp.in_direction(up),
            (reason, _) => reason.in_direction(up),
        };
        Some((variant, if previous.is_none() { SwitchReason::Initial } else { reason }))
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

    fn choose_end(&self, candidate: Candidate, lost: bool) -> (usize, SwitchReason) {
        (candidate.variant, if lost { SwitchReason::Failover } else { SwitchReason::Manual })
    }

    fn settle(&mut self, variant: usize, reason: SwitchReason) -> Decision {
        let decision = match self.current {
            Some(current) if current.variant == variant => Decision { switched: false, ..current },
            Some(_) => Decision { variant, reason, switched: true },
            None => Decision { variant, reason, switched: false },
        };
        self.current = Some(decision);
        decision
    }

    /// Collects what may be chosen at `now`, and the sizes of its segments.
    fn prepare(&mut self, now: Instant) {
        let (min, max) = (self.options.min_bandwidth.unwrap_or(0), self.options.limit());
        self.ladder.candidates(now, min, max, &mut self.candidates);
        self.sizes.clear();
        for group in self.upcoming.bytes.chunks_exact(self.ladder.len().max(1)) {
            let bits = |candidate: &Candidate| group[candidate.variant].saturating_mul(8);
            self.sizes.extend(self.candidates.iter().map(bits));
        }
    }

    fn with_view<R>(
        &mut self,
        buffered: Duration,
        ask: impl FnOnce(&mut dyn AbrPolicy, &PlanView<'_>) -> R,
    ) -> R {
        let current = self.current.map(|decision| decision.variant);
        let view = PlanView {
            candidates: &self.candidates,
            current: self.candidates.iter().position(|candidate| Some(candidate.variant) == current),
            buffered,
            capacity: self.capacity,
            segment: self.upcoming.segment.unwrap_or(USUAL_SEGMENT),
            index: self.index,
            remaining: self.upcoming.remaining,
            rate: self.meter.estimate(),
            sizes: &self.sizes,
            speed: self.speed,
        };
        ask(&mut *self.policy, &view)
    }

    /// How long the policy wants to wait before the segment just chosen is requested.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.mode == VariantMode::Auto { self.policy.pause() } else { Duration::ZERO }
    }

    /// Whether to give up a segment that would arrive too late, so that the next [`choose`](Self::choose) takes a lower
    /// variant for it. Only in automatic mode.
    pub fn should_abandon(&mut self, now: Instant, buffered: Duration, transfer: &TransferProgress) -> bool {
        if self.mode != VariantMode::Auto {
            return false;
        }
        self.prepare(now);
        !self.candidates.is_empty()
            && self.with_view(buffered, |policy, view| policy.abandon(view, transfer)).is_some_and(|lower| {
                self.abandon_for = Some((lower, buffered));
                true
            })
    }

    /// A segment was given up after [`should_abandon`](Self::should_abandon) said so.
    pub fn abandoned(&mut self, now: Instant, transfer: &TransferProgress) {
        self.meter.transfer_ended();
        let below = (transfer.variant.saturating_sub(1), Duration::ZERO);
        let (lower, buffered) = self.abandon_for.take().unwrap_or(below);
        self.tell_finished(now, buffered, Finished::new(transfer.variant, transfer.elapsed, Some(lower)));
    }

    fn tell_finished(&mut self, now: Instant, buffered: Duration, segment: Finished) {
        self.prepare(now);
        if !self.candidates.is_empty() {
            self.with_view(buffered, |policy, view| policy.finished(view, segment));
        }
    }

    /// Leaves a variant alone for `penalty`, or for good with `None`.
    pub fn exclude(&mut self, variant: usize, now: Instant, penalty: Option<Duration>) {
        self.ladder.exclude(variant, now, penalty);
    }

    /// Lets variants be chosen again that were left alone for a while.
    pub fn forgive(&mut self) {
        self.ladder.clear_exclusions();
    }

    /// Whether a variant may not be chosen at `now`: it is excluded, or there is no such variant.
    #[must_use]
    pub fn is_excluded(&self, variant: usize, now: Instant) -> bool {
        self.ladder.is_excluded(variant, now)
    }

    /// When the first excluded variant may be chosen again; `None` if none is excluded for a while.
    #[must_use]
    pub fn next_return(&self, now: Instant) -> Option<Instant> {
        self.ladder.next_return(now)
    }

    /// Changes the mode; the next decision obeys.
    pub fn set_mode(&mut self, mode: VariantMode) {
        self.mode_changed |= self.mode != mode;
        self.mode = mode;
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> VariantMode {
        self.mode
    }

    /// Changes the policy; the next decision is made by it. What was measured stays.
    pub fn set_policy(&mut self, policy: AbrPolicyKind) {
        self.policy = policy.build();
        self.options.policy = policy;
    }

    /// Changes the upper bound of bandwidth, bits per second; the next decision obeys.
    pub fn set_max_bandwidth(&mut self, bandwidth: Option<u64>) {
        self.cap_changed |= self.options.max_bandwidth != bandwidth;
        self.options.max_bandwidth = bandwidth;
    }

    /// Turns the data saver on or off; the next decision obeys.
    pub fn set_data_saver(&mut self, data_saver: bool) {
        self.cap_changed |= self.options.data_saver != data_saver;
        self.options.data_saver = data_saver;
    }

    /// The last decision.
    #[must_use]
    pub fn current(&self) -> Option<Decision> {
        self.current
    }

    /// What a decision with `buffered` audio would be based on.
    #[must_use]
    pub fn inputs(&self, buffered: Duration) -> DecisionInputs {
        DecisionInputs { buffered, rate: self.meter.estimate(), speed: self.speed }
    }

    /// Measured throughput, bits per second.
    #[must_use]
    pub fn throughput(&self) -> Option<u64> {
        self.meter.estimate().map(|rate| rate.throughput.round() as u64)
    }

    /// Whether several transfers agree about the network, so that a decision made now will hold.
    #[must_use]
    pub fn is_firm(&self) -> bool {
        self.meter.estimate().is_some_and(|rate| rate.samples >= FIRM_SAMPLES)
    }

    /// What a variant needs, bits per second: declared, corrected by what its segments were seen to have; 0 for
    /// unknown.
    #[must_use]
    pub fn bandwidth(&self, variant: usize) -> u64 {
        self.ladder.bandwidth(variant)
    }

    /// The default penalty of the options.
    #[must_use]
    pub fn penalty(&self) -> Duration {
        self.options.penalty
    }
}

/// Measurements after which the estimate is firm.
const FIRM_SAMPLES: u32 = 3;

#[cfg(test)]
mod tests;
