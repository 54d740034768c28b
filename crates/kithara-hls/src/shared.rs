//! What the planner, the fetches and the reader of one stream know together.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use crate::abr::VariantMode;
use crate::events::HlsEvent;
use crate::meter::ThroughputMeter;

/// Shared state of one stream. All of it is counters: nothing here is locked across an await.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) events: broadcast::Sender<HlsEvent>,
    pub(crate) meter: ThroughputMeter,
    pub(crate) counters: Counters,
    /// The driver waits here for news of transfers.
    pub(crate) moved: Arc<Notify>,
    /// How things stand, as the planner's driver last said.
    state: Mutex<StreamState>,
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
            state: Mutex::default(),
            variant: AtomicUsize::new(usize::MAX),
        }
    }

    /// Tells the application. Nobody listening is fine.
    pub(crate) fn emit(&self, event: HlsEvent) {
        let _ = self.events.send(event);
    }

    /// Says how things stand.
    pub(crate) fn publish(&self, state: StreamState) {
        *self.state.lock() = state;
    }

    /// How things stand.
    pub(crate) fn state(&self) -> StreamState {
        self.state.lock().clone()
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

/// How a stream stands: what is buffered, and what of a live presentation can be played.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamState {
    pub(crate) mode: VariantMode,
    /// Stretches of audio that are there, ascending.
    pub(crate) buffered: Vec<Range<Duration>>,
    /// What a live list shows; `None` for a complete one.
    pub(crate) window: Option<Range<Duration>>,
    /// Where a live list is joined at its end.
    pub(crate) live_edge: Option<Duration>,
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
