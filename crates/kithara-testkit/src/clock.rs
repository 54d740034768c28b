//! Sleeping for as long as was said, and a clock that stands still.

use std::{sync::mpsc, time::Duration};

use tokio::time::{self, Instant};

/// Sleeps without the millisecond that tokio's timer adds by rounding up: in a simulated round trip it counts twice.
pub(crate) async fn sleep_until(deadline: Instant) {
    const ROUNDING: Duration = Duration::from_millis(1);
    if let Some(early) = deadline.checked_sub(ROUNDING).filter(|early| *early > Instant::now()) {
        time::sleep_until(early).await;
    }
    // A paused clock does not round.
    if deadline.saturating_duration_since(Instant::now()) >= ROUNDING.mul_f32(0.9) {
        time::sleep_until(deadline).await;
    }
}

/// Holds tokio's paused clock until it is dropped.
///
/// A paused clock goes on by itself once every task waits, and it takes waiting for a socket or for another thread for that.
/// Held, it moves by `tokio::time::advance` alone: over real connections nothing is ever late, however busy the machine is. A test
/// that is stuck is let go after a minute of real time, so that its time-outs end it.
///
/// In a `#[tokio::test(start_paused = true)]` (a current-thread runtime).
#[derive(Debug)]
pub struct HeldClock {
    _end: mpsc::Sender<()>,
}

impl HeldClock {
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Holds the clock of the current runtime.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[allow(clippy::new_without_default, reason = "it begins something")]
    pub fn new() -> Self {
        let (end, held) = mpsc::channel::<()>();
        // While a blocking task runs, tokio does not move a paused clock by itself.
        drop(tokio::task::spawn_blocking(move || held.recv_timeout(Self::PATIENCE)));
        Self { _end: end }
    }
}
