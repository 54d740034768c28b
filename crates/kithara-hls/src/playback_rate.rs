//! How fast the application takes the PCM.

use std::time::Duration;

use tokio::time::Instant;

/// Audio after which the pace is known.
const KNOWN_AFTER: f64 = 2.0;

/// Audio after which older audio begins to count less.
const WINDOW: f64 = 8.0;

/// Beyond this multiple of playback speed nobody listens: PCM is taken as fast as it comes, and has no pace.
const MAX_PACE: f64 = 16.0;

/// What one wait of the application may count for, beyond the audio that it was given: a pause is no pace.
const MAX_IDLE: f64 = 1.0;

/// Compares the audio given out with the time that the application spent away with it. The time that it waited for PCM
/// does not count: a player is no slower for having stalled.
#[derive(Debug, Default)]
pub(crate) struct PlaybackRate {
    given: Option<(Instant, f64)>,
    audio: f64,
    away: f64,
}

impl PlaybackRate {
    /// The application asks for PCM.
    pub(crate) fn asked(&mut self) {
        let Some((at, audio)) = self.given.take() else { return };
        if self.audio >= WINDOW {
            self.audio /= 2.0;
            self.away /= 2.0;
        }
        self.audio += audio;
        self.away += at.elapsed().as_secs_f64().min(audio + MAX_IDLE);
    }

    /// The application gets `audio`.
    pub(crate) fn given(&mut self, audio: Duration) {
        self.given = Some((Instant::now(), audio.as_secs_f64()));
    }

    /// A seek: what is asked for next is not what was given before.
    pub(crate) fn interrupt(&mut self) {
        self.given = None;
    }

    /// Multiple of playback speed; `None` until it is known, or where there is none.
    pub(crate) fn speed(&self) -> Option<f64> {
        let is_known = self.audio >= KNOWN_AFTER && self.away * MAX_PACE > self.audio;
        is_known.then(|| self.audio / self.away)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: Duration = Duration::from_millis(20);

    /// Takes `seconds` of audio at `speed`, waiting for each chunk for `wait`.
    async fn take(pace: &mut PlaybackRate, seconds: u32, speed: f64, wait: Duration) {
        for _ in 0..seconds * 50 {
            pace.asked();
            tokio::time::advance(wait).await;
            pace.given(CHUNK);
            tokio::time::advance(CHUNK.div_f64(speed)).await;
        }
    }

    fn near(pace: &PlaybackRate, speed: f64) -> bool {
        pace.speed().is_some_and(|found| (found / speed - 1.0).abs() < 0.05)
    }

    #[tokio::test(start_paused = true)]
    async fn the_speed_of_playback_is_found_whatever_the_waits() {
        let mut pace = PlaybackRate::default();
        take(&mut pace, 1, 1.0, Duration::ZERO).await;
        assert_eq!(pace.speed(), None);
        take(&mut pace, 5, 1.0, Duration::from_millis(100)).await;
        assert!(near(&pace, 1.0), "{pace:?}");
        take(&mut pace, 60, 4.0, Duration::ZERO).await;
        assert!(near(&pace, 4.0), "{pace:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_everything_at_once_has_no_pace() {
        let mut pace = PlaybackRate::default();
        take(&mut pace, 60, 1000.0, Duration::from_millis(5)).await;
        assert_eq!(pace.speed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_forgotten_soon() {
        let mut pace = PlaybackRate::default();
        take(&mut pace, 20, 4.0, Duration::ZERO).await;
        tokio::time::advance(Duration::from_secs(3600)).await;
        take(&mut pace, 40, 4.0, Duration::ZERO).await;
        assert!(near(&pace, 4.0), "{pace:?}");
    }
}
