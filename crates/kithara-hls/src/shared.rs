//! What the planner, the fetches and the reader of one stream know together.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, broadcast};

use crate::events::HlsEvent;
use crate::meter::ThroughputMeter;

/// Shared state of one stream. All of it is counters: nothing here is locked across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: broadcast::Sender<HlsEvent>,
    pub(crate) meter: ThroughputMeter,
    pub(crate) counters: Counters,
    /// The planner waits here for the reader to move on.
    pub(crate) moved: Notify,
    /// Start of the segment that the reader is in, in nanoseconds of the timeline.
    reader: AtomicU64,
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
        Self {
            events: broadcast::Sender::new(event_capacity.max(1)),
            meter: ThroughputMeter::default(),
            counters: Counters::default(),
            moved: Notify::new(),
            reader: AtomicU64::new(0),
            variant: AtomicUsize::new(usize::MAX),
        }
    }

    /// Tells the application. Nobody listening is fine.
    pub(crate) fn emit(&self, event: HlsEvent) {
        let _ = self.events.send(event);
    }

    /// The reader is now in the segment that starts at `start`.
    pub(crate) fn set_reader(&self, start: std::time::Duration) {
        self.reader.store(u64::try_from(start.as_nanos()).unwrap_or(u64::MAX), Ordering::Release);
        self.moved.notify_one();
    }

    /// Start of the segment that the reader is in.
    pub(crate) fn reader(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.reader.load(Ordering::Acquire))
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
