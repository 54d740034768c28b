//! How fast the network delivers, measured over all transfers together.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A sample is handed out once it stands for this much busy time, or at the end of a transfer.
const SAMPLE_TIME: Duration = Duration::from_millis(200);

/// Counts the bytes of all transfers over the time in which at least one was under way.
///
/// Transfers that share the link would each see a part of it: measured together they show the whole.
#[derive(Debug)]
pub(crate) struct ThroughputMeter {
    state: Mutex<State>,
    /// Told when there is a sample to take.
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    active: u32,
    since: Option<Instant>,
    busy: Duration,
    bytes: u64,
    transfer_ended: bool,
    /// The sample under way was announced.
    announced: bool,
}

impl State {
    fn settle(&mut self, now: Instant) {
        if let Some(since) = self.since {
            self.busy += now.saturating_duration_since(since);
        }
        self.since = (self.active > 0).then_some(now);
    }
}

impl ThroughputMeter {
    /// A meter that tells `news` of each sample.
    pub(crate) fn new(news: Arc<Notify>) -> Self {
        Self { state: Mutex::default(), news }
    }

    /// A transfer begins; it ends when the guard is dropped.
    pub(crate) fn begin(&self) -> Transfer<'_> {
        let mut state = self.state.lock();
        state.settle(Instant::now());
        state.active += 1;
        state.since = Some(Instant::now());
        Transfer { meter: self }
    }

    /// What was measured since the last sample, if it is enough to tell something.
    pub(crate) fn take_sample(&self) -> Option<(u64, Duration)> {
        let mut state = self.state.lock();
        state.settle(Instant::now());
        let enough = state.transfer_ended || state.busy >= SAMPLE_TIME;
        if !enough || state.bytes == 0 {
            return None;
        }
        state.transfer_ended = false;
        state.announced = false;
        Some((std::mem::take(&mut state.bytes), std::mem::take(&mut state.busy)))
    }
}

/// One transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer<'m> {
    meter: &'m ThroughputMeter,
}

impl Transfer<'_> {
    /// `bytes` more arrived.
    pub(crate) fn received(&self, bytes: usize) {
        let mut state = self.meter.state.lock();
        state.bytes += bytes as u64;
        state.settle(Instant::now());
        if state.busy >= SAMPLE_TIME && !std::mem::replace(&mut state.announced, true) {
            self.meter.news.notify_one();
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        let mut state = self.meter.state.lock();
        state.active = state.active.saturating_sub(1);
        state.settle(Instant::now());
        state.transfer_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn parallel_transfers_are_measured_together_and_idle_time_is_not() {
        let meter = ThroughputMeter::new(Arc::default());
        let first = meter.begin();
        let second = meter.begin();
        tokio::time::advance(Duration::from_secs(1)).await;
        first.received(1000);
        second.received(1000);
        drop(first);
        drop(second);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(meter.take_sample(), Some((2000, Duration::from_secs(1))));
        assert_eq!(meter.take_sample(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_transfer_gives_samples_before_its_end() {
        let meter = ThroughputMeter::new(Arc::default());
        let transfer = meter.begin();
        transfer.received(10);
        assert_eq!(meter.take_sample(), None);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(meter.take_sample(), Some((10, Duration::from_millis(300))));
    }
}
