//! Published algorithms, as their authors' simulator Sabre runs them: K. Spiteri, R. Sitaraman, D. Sparacio, *From
//! theory to practice: improving bitrate adaptation in the DASH reference player*, MMSys 2018.

mod bola;
mod bola_e;
mod throughput;

pub use bola::Bola;
pub use bola_e::BolaE;
pub use throughput::Throughput;

use std::time::Duration;

use super::view::PlanView;

/// Share of the throughput times the buffered time that a segment may have, first and at last (the "insufficient buffer
/// rule" of dash.js).
const BUFFER_SAFETY: [f64; 2] = [0.9, 0.5];

/// Lowers a choice whose segment would not arrive before the buffer runs out. The margin grows with each decision.
#[derive(Debug, Clone)]
struct InsufficientBuffer {
    safety: f64,
}

impl Default for InsufficientBuffer {
    fn default() -> Self {
        Self { safety: BUFFER_SAFETY[0] }
    }
}

impl InsufficientBuffer {
    /// The highest candidate up to `candidate` that is safe.
    fn limit(&mut self, view: &PlanView<'_>, candidate: usize) -> usize {
        let Some(rate) = view.rate else { return candidate };
        let play_time = (view.buffered.as_secs_f64() - rate.latency.as_secs_f64()) / view.speed;
        let safe_bits = self.safety * play_time * rate.throughput;
        self.safety = (self.safety * BUFFER_SAFETY[0]).max(BUFFER_SAFETY[1]);
        let segment = view.segment.as_secs_f64();
        (0..candidate).find(|below| view.bandwidth(below + 1) * segment > safe_bits).unwrap_or(candidate)
    }
}

/// A duration of `seconds`; zero for what is none.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
