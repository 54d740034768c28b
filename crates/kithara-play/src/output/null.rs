//! An output that nobody hears, at the pace of playback.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::Renderer;

/// How often it takes sound.
const PERIOD: Duration = Duration::from_millis(10);

/// Takes sound at the pace of playback and throws it away: for tests, and for machines without a sound device.
/// Dropping it drops its renderer.
#[derive(Debug)]
pub struct Null {
    task: JoinHandle<()>,
}

impl Null {
    /// Begins to take sound, in a task of the current tokio runtime.
    #[must_use]
    pub fn start(mut renderer: Renderer) -> Self {
        let spec = renderer.spec();
        let task = tokio::spawn(async move {
            let mut ticks = interval(PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (mut elapsed, mut taken) = (Duration::ZERO, 0);
            let mut buffer = Vec::new();
            loop {
                ticks.tick().await;
                elapsed += PERIOD;
                // Counted from the start, so that rates which no period divides keep pace.
                let due = spec.frame_at(elapsed);
                buffer.resize((due - taken) as usize * usize::from(spec.channels), 0.0);
                renderer.fill(&mut buffer);
                taken = due;
            }
        });
        Self { task }
    }
}

impl Drop for Null {
    fn drop(&mut self) {
        self.task.abort();
    }
}
