//! What the planner, the fetches and the reader of one stream know together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::events::HlsEvent;
use crate::meter::ThroughputMeter;

/// Places of the timeline that are no further apart are one: variants round their durations.
pub(crate) const SAME_PLACE: Duration = Duration::from_millis(10);

/// Shared state of one stream. All of it is counters: nothing here is locked across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: broadcast::Sender<HlsEvent>,
    pub(crate) meter: ThroughputMeter,
    pub(crate) counters: Counters,
    /// The planner waits here for news: the reader moves on or runs dry, or a transfer has something to tell.
    pub(crate) moved: Arc<Notify>,
    /// Start of the segment that the reader is in, in nanoseconds of the timeline.
    reader: AtomicU64,
    /// Up to where PCM was given out, in nanoseconds of the timeline.
    played: AtomicU64,
    /// Bits of the `f32` speed of consumption, as a multiple of playback speed; 0 where it has none.
    speed: AtomicU32,
    /// A paced reader found nothing to decode.
    ran_dry: AtomicBool,
    /// What is planned has changed from this place on, in nanoseconds of the timeline: the reader is to ask for it anew when
    /// it gets there. `u64::MAX`: nothing has.
    plan_changed: AtomicU64,
    /// The variant that is heard.
    pub(crate) variant: AtomicUsize,
}

/// Counters behind [`HlsStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) cache_hits: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) switches: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) frames: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn new(event_capacity: usize) -> Self {
        let moved = Arc::new(Notify::new());
        Self {
            events: broadcast::Sender::new(event_capacity.max(1)),
            meter: ThroughputMeter::new(Arc::clone(&moved)),
            counters: Counters::default(),
            moved,
            reader: AtomicU64::new(0),
            played: AtomicU64::new(0),
            speed: AtomicU32::new(0),
            ran_dry: AtomicBool::new(false),
            plan_changed: AtomicU64::new(u64::MAX),
            variant: AtomicUsize::new(usize::MAX),
        }
    }

    /// Tells the application. Nobody listening is fine.
    pub(crate) fn emit(&self, event: HlsEvent) {
        let _ = self.events.send(event);
    }

    /// The reader is now in the segment that starts at `start`.
    pub(crate) fn set_reader(&self, start: Duration) {
        self.reader.store(nanos(start), Ordering::Release);
        self.moved.notify_one();
    }

    /// Start of the segment that the reader is in.
    pub(crate) fn reader(&self) -> Duration {
        Duration::from_nanos(self.reader.load(Ordering::Acquire))
    }

    /// PCM was given out up to `position`, and is taken at `speed`. Wakes nobody: it happens with each chunk.
    pub(crate) fn set_played(&self, position: Duration, speed: Option<f64>) {
        self.played.store(nanos(position), Ordering::Relaxed);
        self.speed.store(speed.map_or(0, |speed| (speed as f32).to_bits()), Ordering::Relaxed);
    }

    /// Up to where PCM was given out.
    pub(crate) fn played(&self) -> Duration {
        Duration::from_nanos(self.played.load(Ordering::Relaxed))
    }

    /// How fast PCM is taken, as a multiple of playback speed; `None` while that is not known, or as fast as it comes.
    pub(crate) fn speed(&self) -> Option<f64> {
        Some(f64::from(f32::from_bits(self.speed.load(Ordering::Relaxed)))).filter(|speed| *speed > 0.0)
    }

    /// Messages under way are out of date from this place on.
    pub(crate) fn change_plan(&self, from: Duration) {
        self.plan_changed.fetch_min(nanos(from), Ordering::AcqRel);
    }

    /// Whether messages under way are out of date for one who goes on at `next`.
    pub(crate) fn take_plan_changed(&self, next: Duration) -> bool {
        let is_due = self.plan_changed.load(Ordering::Acquire) <= nanos(next.saturating_add(SAME_PLACE));
        is_due && self.plan_changed.swap(u64::MAX, Ordering::AcqRel) != u64::MAX
    }

    /// A paced reader finds nothing to decode.
    pub(crate) fn run_dry(&self) {
        if !self.ran_dry.swap(true, Ordering::Relaxed) {
            self.moved.notify_one();
        }
    }

    /// Whether a paced reader has found nothing to decode since the last look.
    pub(crate) fn take_ran_dry(&self) -> bool {
        self.ran_dry.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn stats(&self) -> HlsStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let variant = self.variant.load(Ordering::Relaxed);
        HlsStats {
            requests: read(&self.counters.requests),
            bytes_downloaded: read(&self.counters.bytes),
            cache_hits: read(&self.counters.cache_hits),
            segments: read(&self.counters.segments),
            switches: read(&self.counters.switches),
            gaps: read(&self.counters.gaps),
            frames: read(&self.counters.frames),
            variant: (variant != usize::MAX).then_some(variant),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A snapshot of what a stream has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HlsStats {
    /// Transfers that were begun (a retried or resumed transfer counts once; the network stack's own counters,
    /// [`TransferStats`](kithara_net::TransferStats), count every attempt).
    pub requests: u64,
    /// Body bytes that came over the network.
    pub bytes_downloaded: u64,
    /// Playlists, keys, init sections and segments that came from the store without a request.
    pub cache_hits: u64,
    /// Segments whose decoding began.
    pub segments: u64,
    /// Changes of variant that were heard.
    pub switches: u64,
    /// Segments that were replaced by silence.
    pub gaps: u64,
    /// Frames given out.
    pub frames: u64,
    /// The variant that is heard, an index of the ladder; `None` before the first segment.
    pub variant: Option<usize>,
}
