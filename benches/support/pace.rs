//! A consumer that takes PCM at the speed at which it would be heard.

use std::time::Duration;

use tokio::time::Instant;

/// What the output buffers: PCM is asked for this long before it is due, and later than due is a stall.
const OUTPUT_BUFFER: Duration = Duration::from_millis(200);

/// Paces a consumer and counts its stalls.
#[derive(Debug)]
pub struct Pacer {
    speed: f64,
    due: Option<Instant>,
    stalls: u64,
}

impl Pacer {
    pub fn new(speed: f64) -> Self {
        Self { speed, due: None, stalls: 0 }
    }

    pub fn stalls(&self) -> u64 {
        self.stalls
    }

    /// `audio` has arrived: waits until a player would ask for what follows.
    pub async fn arrived(&mut self, audio: Duration) {
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        if now > due {
            self.stalls += 1;
        }
        let next = due.max(now) + audio.div_f64(self.speed);
        self.due = Some(next);
        if let Some(ask) = next.checked_sub(OUTPUT_BUFFER) {
            tokio::time::sleep_until(ask).await;
        }
    }
}
