//! A consumer that takes PCM at the speed at which it would be heard, and notices when it comes too late.

use std::time::Duration;

use tokio::time::Instant;

/// PCM is asked for this long before it is due, as a player's output buffer does: later than due is a stall.
const OUTPUT_BUFFER: Duration = Duration::from_millis(200);

/// Paces a consumer, and counts its stalls.
#[derive(Debug)]
pub(crate) struct Pacer {
    speed: Option<f64>,
    /// When the PCM that is being asked for is due; `None` until the first PCM starts the clock.
    due: Option<Instant>,
    pub(crate) stalls: u64,
    pub(crate) stalled: Duration,
    /// When each stall ended, and how long it was.
    pub(crate) waits: Vec<(Instant, Duration)>,
}

impl Pacer {
    /// `speed` as a multiple of playback speed; `None` does not pace.
    pub(crate) fn new(speed: Option<f64>) -> Self {
        Self { speed, due: None, stalls: 0, stalled: Duration::ZERO, waits: Vec::new() }
    }

    /// A seek: waiting for the PCM at the new place is no stall.
    pub(crate) fn restart(&mut self) {
        self.due = None;
    }

    /// `audio` worth of PCM has just arrived: waits until a player would ask for what follows it.
    pub(crate) async fn arrived(&mut self, audio: Duration) {
        let Some(speed) = self.speed else { return };
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        let late = now.saturating_duration_since(due);
        if !late.is_zero() {
            self.stalls += 1;
            self.stalled += late;
            self.waits.push((now, late));
        }
        let next = due.max(now) + audio.div_f64(speed);
        self.due = Some(next);
        if let Some(ask) = next.checked_sub(OUTPUT_BUFFER) {
            tokio::time::sleep_until(ask).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn on_time_is_no_stall_and_late_is_one() {
        let mut pacer = Pacer::new(Some(2.0));
        let start = Instant::now();
        for _ in 0..10 {
            pacer.arrived(Duration::from_secs(1)).await;
        }
        assert_eq!((start.elapsed(), pacer.stalls), (Duration::from_secs(5) - OUTPUT_BUFFER, 0));
        tokio::time::advance(OUTPUT_BUFFER + Duration::from_millis(300)).await;
        pacer.arrived(Duration::from_secs(1)).await;
        assert_eq!((pacer.stalls, pacer.stalled), (1, Duration::from_millis(300)));
    }
}
