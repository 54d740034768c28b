//! The model listener: takes what it is given at its speed, as the crate's reader does.

use std::time::Duration;

use crate::reader_state::ReaderState;
use crate::segment::SegmentPlace;

/// Audio after which the speed of a reader is known, as in the crate's own.
const KNOWN_AFTER: Duration = Duration::from_secs(2);

/// What the listener is in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading<K> {
    /// The next message is wanted.
    Between,
    /// A segment.
    Segment { key: K, place: SegmentPlace },
    /// Silence up to this position.
    Silence { until: Duration },
}

/// The listener's state.
#[derive(Debug)]
pub(super) struct ListenerState<K> {
    pub(super) speed: Option<f64>,
    pub(super) reading: Reading<K>,
    /// Up to where audio was heard.
    pub(super) position: Duration,
    /// Audio that may still be taken at this moment.
    pub(super) budget: Duration,
    pub(super) heard: Duration,
    pub(super) told: ReaderState,
    pub(super) dry_since: Option<Duration>,
}

impl<K: Copy> ListenerState<K> {
    pub(super) fn new(speed: Option<f64>, position: Duration) -> Self {
        Self {
            speed,
            reading: Reading::Between,
            position,
            budget: Duration::ZERO,
            heard: Duration::ZERO,
            told: ReaderState::default(),
            dry_since: None,
        }
    }

    /// Time passes.
    pub(super) fn pass(&mut self, time: Duration, is_paused: bool) {
        match self.speed {
            None => self.budget = Duration::MAX,
            Some(_) if is_paused => {}
            Some(speed) => self.budget = self.budget.saturating_add(time.mul_f64(speed)),
        }
    }

    /// Takes up to `available` more audio from the position on; what was heard before is only decoded again.
    pub(super) fn take(&mut self, available: Duration) -> Duration {
        let taken = available.min(self.budget);
        if self.budget != Duration::MAX {
            self.budget -= taken;
        }
        self.position += taken;
        self.heard += taken;
        if !taken.is_zero() {
            self.told.has_played = true;
        }
        self.told.played = self.position;
        self.told.speed = self.speed.filter(|_| self.heard >= KNOWN_AFTER);
        taken
    }
}
