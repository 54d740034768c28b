use std::time::Duration;

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

/// A line of limited bandwidth, shared by everything that is sent over it.
///
/// Counted on tokio's clock, so that a paused clock makes it exact and instant.
#[derive(Debug, Default)]
pub(crate) struct Link {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes per second; `None` is unlimited, 0 stands still.
    rate: Option<u64>,
    /// When the line has sent all that was put on it.
    free_at: Option<Instant>,
}

impl Link {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self { state: Mutex::new(State { rate, free_at: None }), changed: Notify::new() }
    }

    /// Changes the bandwidth for what is sent from now on, also for those who wait.
    pub(crate) fn set_rate(&self, rate: Option<u64>) {
        *self.state.lock() = State { rate, free_at: None };
        self.changed.notify_waiters();
    }

    /// How many bytes to send at once for a smooth flow: what the line carries in 20 ms.
    pub(crate) fn portion(&self, wanted: usize) -> usize {
        match self.state.lock().rate {
            None => wanted,
            Some(rate) => wanted.min(usize::try_from(rate / 50).unwrap_or(usize::MAX).max(64)),
        }
    }

    /// Waits until the line has carried `bytes` more.
    pub(crate) async fn carry(&self, bytes: usize) {
        loop {
            // Registered before the rate is read: a change in between is not lost.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.book(bytes) {
                Booking::Free => return,
                Booking::Until(done) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(done) => return,
                        () = changed => {}
                    }
                }
                Booking::Blocked => changed.await,
            }
        }
    }

    fn book(&self, bytes: usize) -> Booking {
        let mut state = self.state.lock();
        let Some(rate) = state.rate else { return Booking::Free };
        if rate == 0 {
            return Booking::Blocked;
        }
        let nanos = (bytes as u128 * 1_000_000_000 / u128::from(rate)).min(u128::from(u64::MAX));
        let now = Instant::now();
        let start = state.free_at.map_or(now, |free| free.max(now));
        let done = start + Duration::from_nanos(nanos as u64);
        state.free_at = Some(done);
        Booking::Until(done)
    }
}

enum Booking {
    Free,
    Until(Instant),
    Blocked,
}
