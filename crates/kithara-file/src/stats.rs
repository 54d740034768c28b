//! Counters of a stream, and when waiting is a stall.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What a stream has done so far. Counts of the download are shared by the streams that share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStats {
    /// Requests sent.
    pub requests: u64,
    /// Bytes received.
    pub bytes_downloaded: u64,
    /// Bytes stored now.
    pub bytes_stored: u64,
    /// Length of the file, if known.
    pub total_bytes: Option<u64>,
    /// 1 if the whole file was in the store when it was opened.
    pub cache_hits: u64,
    /// Bytes that were in the store when it was opened.
    pub bytes_cached: u64,
    /// Transfers that were tried again after a failure.
    pub retries: u64,
    /// Times that whoever pulls PCM waited because bytes were missing, after the first PCM.
    pub stalls: u64,
    /// How long in all.
    pub stall_time: Duration,
}

/// Counters of a download.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) retries: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// A stall is while PCM is pulled and bytes are waited for at once. A reader that waits for bytes while PCM is still at
/// hand is none, nor is a decoder that takes its time.
#[derive(Debug, Default)]
pub(crate) struct StallMeter {
    state: Mutex<Stall>,
}

#[derive(Debug, Default)]
struct Stall {
    armed: bool,
    pulling: bool,
    lacking: bool,
    since: Option<Instant>,
    count: u64,
    time: Duration,
}

/// How a change moved the meter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    Stalled,
    Resumed(Duration),
}

impl StallMeter {
    /// The first PCM is out: from now on waiting counts. A seek disarms until its first PCM.
    pub(crate) fn arm(&self, armed: bool) -> Change {
        self.change(|stall| stall.armed = armed)
    }

    /// Somebody waits for PCM, or does not any more.
    pub(crate) fn pulling(&self, pulling: bool) -> Change {
        self.change(|stall| stall.pulling = pulling)
    }

    /// The decoder waits for bytes, or does not any more.
    pub(crate) fn lacking(&self, lacking: bool) -> Change {
        self.change(|stall| stall.lacking = lacking)
    }

    /// Stalls and their time so far, a current one included.
    pub(crate) fn read(&self) -> (u64, Duration) {
        let stall = self.state.lock();
        let current = stall.since.map_or(Duration::ZERO, |since| since.elapsed());
        (stall.count, stall.time + current)
    }

    fn change(&self, change: impl FnOnce(&mut Stall)) -> Change {
        let mut stall = self.state.lock();
        change(&mut stall);
        match (stall.armed && stall.pulling && stall.lacking, stall.since) {
            (true, None) => {
                stall.since = Some(Instant::now());
                stall.count += 1;
                Change::Stalled
            }
            (false, Some(since)) => {
                let waited = since.elapsed();
                stall.since = None;
                stall.time += waited;
                Change::Resumed(waited)
            }
            _ => Change::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, StallMeter};

    #[test]
    fn only_both_at_once_after_the_first_pcm_is_a_stall() {
        let meter = StallMeter::default();
        assert_eq!(meter.pulling(true), Change::Nothing);
        assert_eq!(meter.lacking(true), Change::Nothing, "before the first PCM");
        meter.lacking(false);
        meter.arm(true);
        meter.pulling(false);
        assert_eq!(meter.lacking(true), Change::Nothing, "PCM is at hand");
        assert_eq!(meter.pulling(true), Change::Stalled);
        assert_eq!(meter.pulling(true), Change::Nothing);
        assert!(matches!(meter.lacking(false), Change::Resumed(_)));
        assert_eq!(meter.read().0, 1);
    }
}
