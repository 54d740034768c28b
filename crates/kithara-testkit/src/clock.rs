//! Sleeping for as long as was said.

use std::time::Duration;

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
