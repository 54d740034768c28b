//! [`Download`]: a download task and those who share it, and [`Downloads`], where they find each other.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use kithara_assets::ResourceKey;
use kithara_storage::Streaming;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::shared::Shared;
use crate::{FileError, FileStats};

/// A download: alive as long as somebody holds it, and no longer.
#[derive(Debug)]
pub(crate) struct Download<R> {
    shared: Arc<Shared<R>>,
    task: JoinHandle<()>,
}

impl<R: Streaming> Download<R> {
    /// Runs `engine` in a task of the current runtime.
    pub(crate) fn start(
        shared: Arc<Shared<R>>,
        engine: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, FileError> {
        let runtime = Handle::try_current().map_err(|_| FileError::NoRuntime)?;
        let guard = StopGuard(Arc::clone(&shared));
        // What a future is moved within has room in a task twice.
        let engine = Box::pin(engine);
        let span = tracing::debug_span!("download", url = %shared.url, bytes = Empty);
        let work = async move {
            let _guard = guard;
            engine.await;
        };
        let task = runtime.spawn(work.instrument(span));
        Ok(Self { shared, task })
    }

    pub(crate) fn shared(&self) -> &Shared<R> {
        &self.shared
    }

    /// Fills in what the download knows.
    pub(crate) fn add_to(&self, stats: &mut FileStats) {
        let shared = &self.shared;
        stats.requests = shared.counters.requests.load(Ordering::Relaxed);
        stats.bytes_downloaded = shared.counters.bytes.load(Ordering::Relaxed);
        stats.retries = shared.counters.retries.load(Ordering::Relaxed);
        stats.bytes_stored = shared.resource.available().covered();
        stats.total_bytes = shared.end();
    }
}

impl<R> Drop for Download<R> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A task that ends, however it ends (a panic, the end of its runtime), leaves nobody waiting.
struct StopGuard<R: Streaming>(Arc<Shared<R>>);

impl<R: Streaming> Drop for StopGuard<R> {
    fn drop(&mut self) {
        Span::current().record("bytes", self.0.counters.bytes.load(Ordering::Relaxed));
        self.0.fail(FileError::Stopped, true);
    }
}

/// The downloads that are under way, by key: streams of one URL share one. Clones are the same register.
#[derive(Clone, Default)]
pub struct Downloads {
    running: Arc<Mutex<Running>>,
}

type Running = HashMap<ResourceKey, Weak<dyn Any + Send + Sync>>;

impl Downloads {
    /// An empty register.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The download of `key`, started by `start` if there is none.
    pub(crate) fn share<R: Streaming>(
        &self,
        key: &ResourceKey,
        start: impl FnOnce() -> Result<Download<R>, FileError>,
    ) -> Result<Arc<Download<R>>, FileError> {
        let mut running = self.running.lock();
        let found =
            running.get(key).and_then(Weak::upgrade).and_then(|any| any.downcast::<Download<R>>().ok());
        // An endless stream is nobody else's, and what has failed for good or was stopped helps nobody.
        if let Some(download) = found.filter(|download| download.shared.can_be_shared()) {
            return Ok(download);
        }
        let download = Arc::new(start()?);
        let any: Arc<dyn Any + Send + Sync> = Arc::<Download<R>>::clone(&download);
        running.retain(|_, other| other.strong_count() > 0);
        running.insert(key.clone(), Arc::downgrade(&any));
        Ok(download)
    }
}

impl fmt::Debug for Downloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running.lock().values().filter(|download| download.strong_count() > 0).count();
        f.debug_struct("Downloads").field("running", &running).finish()
    }
}
