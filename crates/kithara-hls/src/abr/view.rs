//! What a policy sees and what it answers.

use std::time::Duration;

use super::{RateEstimate, SwitchReason};

/// A variant that may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Index in the ladder.
    pub variant: usize,
    /// Bits per second: declared, corrected by the sizes of its segments that are known.
    pub bandwidth: u64,
}

/// The state of playback before the next segment is requested.
#[derive(Debug, Clone, Copy)]
pub struct PlanView<'a> {
    /// The variants that may be chosen, by ascending bandwidth; never empty.
    pub candidates: &'a [Candidate],
    /// Index in `candidates` of the variant that was fetched last; `None` at the start, or if that variant may no
    /// longer be chosen.
    pub current: Option<usize>,
    /// Audio that is fetched and not yet played.
    pub buffered: Duration,
    /// The most audio that may be buffered.
    pub capacity: Duration,
    /// Duration of the next segment.
    pub segment: Duration,
    /// Segments requested since playback started or was moved.
    pub index: usize,
    /// Segments left to request, the next one included; `None` while the presentation may grow.
    pub remaining: Option<usize>,
    /// What the network gives; `None` before the first measurement.
    pub rate: Option<RateEstimate>,
    /// Bits of the next segments, one group of `candidates.len()` per segment, in the order of `candidates`. 0
    /// stands for an unknown size; segments beyond the end of the slice are unknown too.
    pub sizes: &'a [u64],
    /// How fast the audio is consumed, as a multiple of playback speed; at least 1.
    pub speed: f64,
}

impl PlanView<'_> {
    /// Bits of the segment `ahead` (0 is the next one) in the candidate with index `candidate`: known, or by bandwidth.
    #[must_use]
    pub fn bits(&self, ahead: usize, candidate: usize) -> f64 {
        let known = self.sizes.get(ahead * self.candidates.len() + candidate).copied().unwrap_or(0);
        if known > 0 {
            return known as f64;
        }
        self.candidates
            .get(candidate)
            .map_or(0.0, |candidate| candidate.bandwidth as f64 * self.segment.as_secs_f64())
    }

    /// Bandwidth of a candidate in bits per second, at least 1.
    pub(crate) fn bandwidth(&self, candidate: usize) -> f64 {
        self.candidates.get(candidate).map_or(1.0, |candidate| candidate.bandwidth.max(1) as f64)
    }

    /// Index in `candidates` of the best variant that is not above `variant` in the ladder.
    pub(crate) fn at_or_below(&self, variant: usize) -> usize {
        self.candidates.iter().rposition(|candidate| candidate.variant <= variant).unwrap_or(0)
    }

    /// [`Choice::Stay`] if `candidate` is the current one, otherwise a switch with `up` or `down` as its reason.
    pub(crate) fn choice(&self, candidate: usize, up: SwitchReason, down: SwitchReason) -> Choice {
        let variant = self.candidates.get(candidate).map_or(0, |candidate| candidate.variant);
        match self.current {
            None => Choice::Switch(variant, SwitchReason::Initial),
            Some(current) if current == candidate => Choice::Stay,
            Some(current) if candidate > current => Choice::Switch(variant, up),
            Some(_) => Choice::Switch(variant, down),
        }
    }

    /// The highest candidate whose segments arrive in the time that they play, at `rate` bits per second and with the
    /// measured time to the first byte.
    pub(crate) fn sustainable(&self, rate: f64) -> usize {
        let latency = self.rate.map_or(0.0, |rate| rate.latency.as_secs_f64());
        let play_time = self.segment.as_secs_f64() / self.speed;
        let fits = |candidate: usize| {
            latency + self.segment.as_secs_f64() * self.bandwidth(candidate) / rate <= play_time
        };
        (1..self.candidates.len()).take_while(|candidate| fits(*candidate)).last().unwrap_or(0)
    }
}

/// What a policy decided for the next segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The current variant.
    Stay,
    /// The variant with this index in the ladder, and why.
    Switch(usize, SwitchReason),
}

/// A segment that is arriving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// Index of its variant in the ladder.
    pub variant: usize,
    /// Bytes received.
    pub received: u64,
    /// Bytes in all, known or estimated.
    pub total: u64,
    /// Time since the request.
    pub elapsed: Duration,
    /// Time from the request to the first byte; `None` before it came.
    pub first_byte: Option<Duration>,
    /// Duration of the segment's audio.
    pub duration: Duration,
}

impl TransferProgress {
    /// A transfer that was requested and of which no byte has come.
    #[must_use]
    pub fn new(variant: usize, total: u64, duration: Duration) -> Self {
        Self { variant, received: 0, total, elapsed: Duration::ZERO, first_byte: None, duration }
    }

    /// What has come after `elapsed`, the first byte after `first_byte`.
    #[must_use]
    pub fn with_received(mut self, received: u64, elapsed: Duration, first_byte: Option<Duration>) -> Self {
        (self.received, self.elapsed, self.first_byte) = (received, elapsed, first_byte);
        self
    }

    /// Bits per second since the first byte; `None` before there is anything to measure.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let elapsed = self.elapsed.checked_sub(self.first_byte?)?.as_secs_f64();
        (self.received > 0 && elapsed > 0.0).then(|| self.received as f64 * 8.0 / elapsed)
    }

    /// Bits that have not come yet.
    pub(crate) fn bits_left(&self) -> f64 {
        self.total.saturating_sub(self.received) as f64 * 8.0
    }
}

/// A segment that has arrived, or was abandoned on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Index of its variant in the ladder.
    pub variant: usize,
    /// Time from the request to the end.
    pub elapsed: Duration,
    /// The variant that was to be fetched instead; `None` for a complete segment.
    pub abandoned_for: Option<usize>,
}

impl Finished {
    /// A segment that took `elapsed` from the request on.
    #[must_use]
    pub fn new(variant: usize, elapsed: Duration, abandoned_for: Option<usize>) -> Self {
        Self { variant, elapsed, abandoned_for }
    }
}

/// A rule that chooses the variant of each segment.
///
/// Pure: it sees what it is given, and neither reads a clock nor does I/O.
pub trait AbrPolicy: Send + Sync + std::fmt::Debug {
    /// A short name for reports.
    fn name(&self) -> &'static str;

    /// The variant of the next segment, out of `view.candidates`.
    fn choose(&mut self, view: &PlanView<'_>) -> Choice;

    /// How long to wait before the segment just chosen is requested. Default: request it at once.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether to give up an arriving segment, and for which lower variant. Default: never.
    fn abandon(&mut self, view: &PlanView<'_>, transfer: &TransferProgress) -> Option<usize> {
        let _ = (view, transfer);
        None
    }

    /// A segment arrived or was given up. `view` is as of now, the segment counted as buffered if it is complete.
    fn finished(&mut self, view: &PlanView<'_>, segment: Finished) {
        let _ = (view, segment);
    }

    /// Nothing was requested for so long because the buffer was full.
    fn idled(&mut self, time: Duration) {
        let _ = time;
    }

    /// Playback starts at another position: what was buffered is gone.
    fn moved(&mut self) {}
}
