//! How fast the network delivers, measured over all transfers together.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A sample is handed out once it stands for this much busy time, or at the end of a transfer.
const SAMPLE_TIME: Duration = Duration::from_millis(200);

/// Counts the bytes of all transfers over the time in which at least one was receiving.
///
/// Transfers that share the link would each see a part of it: measured together they show the whole. A transfer counts
/// from its first bytes on, and without them: they waited for a round trip, and a server, before they came. One that comes
/// in one piece counts with its wait.
#[derive(Debug)]
pub(crate) struct ThroughputMeter {
    state: Mutex<State>,
    /// Told when there is a sample to take.
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    /// Transfers that are receiving.
    active: u32,
    since: Option<Instant>,
    busy: Duration,
    bytes: u64,
    transfer_ended: bool,
    /// The sample under way was announced.
    announced: bool,
    /// Time from the last request whose first byte came to that byte, until it is taken.
    first_byte: Option<Duration>,
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

    /// A request is sent; its transfer ends when the guard is dropped.
    pub(crate) fn begin(&self) -> Transfer<'_> {
        Transfer { meter: self, requested: Instant::now(), came: Cell::default() }
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

    /// How long the last request waited for its first byte; once for each request.
    pub(crate) fn take_first_byte(&self) -> Option<Duration> {
        self.state.lock().first_byte.take()
    }
}

/// One transfer under way.
#[derive(Debug)]
pub(crate) struct Transfer<'m> {
    meter: &'m ThroughputMeter,
    requested: Instant,
    came: Cell<Came>,
}

/// What has come of a transfer.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    /// Bytes that came first, and the wait for them.
    first: u64,
    wait: Duration,
    /// Bytes after them.
    rest: u64,
}

impl Transfer<'_> {
    /// `bytes` more arrived.
    pub(crate) fn received(&self, bytes: usize) {
        let mut came = self.came.get();
        let mut state = self.meter.state.lock();
        let now = Instant::now();
        state.settle(now);
        if came.first > 0 {
            came.rest += bytes as u64;
            state.bytes += bytes as u64;
            if state.busy >= SAMPLE_TIME && !std::mem::replace(&mut state.announced, true) {
                self.meter.news.notify_one();
            }
        } else if bytes > 0 {
            (came.first, came.wait) = (bytes as u64, now.saturating_duration_since(self.requested));
            state.active += 1;
            state.since = Some(now);
            state.first_byte = Some(came.wait);
        }
        self.came.set(came);
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        let mut state = self.meter.state.lock();
        state.settle(Instant::now());
        let Came { first, wait, rest } = self.came.get();
        if first > 0 {
            state.active = state.active.saturating_sub(1);
            state.since = state.since.filter(|_| state.active > 0);
            if rest < first {
                // It came in about one piece: without its wait there is too little to measure.
                state.bytes += first;
                state.busy += wait;
            }
        }
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
        first.received(100);
        second.received(100);
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
    async fn long_transfer_gives_samples_before_its_end() {
        let meter = ThroughputMeter::new(Arc::default());
        let transfer = meter.begin();
        transfer.received(10);
        assert_eq!(meter.take_sample(), None);
        tokio::time::advance(Duration::from_millis(300)).await;
        transfer.received(20);
        assert_eq!(meter.take_sample(), Some((20, Duration::from_millis(300))));
    }

    #[tokio::test(start_paused = true)]
    async fn wait_for_the_first_byte_is_told_apart() {
        let meter = ThroughputMeter::new(Arc::default());
        let transfer = meter.begin();
        tokio::time::advance(Duration::from_millis(1500)).await;
        transfer.received(1000);
        tokio::time::advance(Duration::from_millis(500)).await;
        transfer.received(4000);
        drop(transfer);
        assert_eq!(meter.take_sample(), Some((4000, Duration::from_millis(500))));
        assert_eq!(meter.take_first_byte(), Some(Duration::from_millis(1500)));
        assert_eq!(meter.take_first_byte(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn transfer_in_one_piece_counts_with_its_wait() {
        let meter = ThroughputMeter::new(Arc::default());
        let transfer = meter.begin();
        tokio::time::advance(Duration::from_millis(20)).await;
        transfer.received(4000);
        drop(transfer);
        assert_eq!(meter.take_sample(), Some((4000, Duration::from_millis(20))));
    }

    #[tokio::test(start_paused = true)]
    async fn request_without_an_answer_is_no_time_of_transfer() {
        let meter = ThroughputMeter::new(Arc::default());
        let silent = meter.begin();
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(silent);
        assert_eq!((meter.take_sample(), meter.take_first_byte()), (None, None));
    }
}
