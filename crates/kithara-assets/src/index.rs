//! The indexes below `_index/`, and the thread that writes them in batches.

pub(crate) mod file;
pub(crate) mod frame;
pub(crate) mod load;
pub(crate) mod record;
pub(crate) mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use self::file::IndexFiles;
use crate::AssetsError;
use crate::catalog::{Catalog, FLUSH_CHANGES};

/// A change is written at the latest after this time.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// Time between attempts while the folder cannot be written.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// A flush needs little: the records are on the heap.
const STACK: usize = 128 << 10;

/// Owns the flushing thread of a store. The thread sleeps without a wake-up as long as there is nothing to write.
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    catalog: Arc<Catalog>,
    files: Mutex<IndexFiles>,
    stop: AtomicBool,
}

impl Flusher {
    pub(crate) fn start(catalog: Arc<Catalog>, files: IndexFiles) -> Self {
        let shared = Arc::new(Shared { catalog, files: Mutex::new(files), stop: false.into() });
        let run = shared.clone();
        let spawned = Builder::new().name("kithara-index".into()).stack_size(STACK).spawn(move || run.run());
        if let Err(error) = &spawned {
            tracing::warn!(%error, "no thread for the indexes: they are written at the end only");
        }
        Self { shared, thread: Mutex::new(spawned.ok()) }
    }

    /// Writes the pending changes, on this thread.
    pub(crate) fn flush(&self) -> Result<(), AssetsError> {
        self.shared.flush()
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        {
            // Under the lock that the thread sleeps with: it cannot miss this.
            let _state = self.shared.catalog.state.lock();
            self.shared.stop.store(true, Ordering::Release);
        }
        self.shared.catalog.wake.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the indexes panicked");
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut not_before = None::<Instant>;
        while self.sleep(not_before) {
            not_before = match self.flush() {
                Ok(()) => None,
                Err(error) => {
                    self.catalog.note_trouble(&error);
                    Some(Instant::now() + RETRY_AFTER)
                }
            };
        }
    }

    /// Sleeps until a flush is due; `false` to stop.
    fn sleep(&self, not_before: Option<Instant>) -> bool {
        let mut state = self.catalog.state.lock();
        let mut latest = None::<Instant>;
        loop {
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            let changes = state.unsaved.changes;
            if changes == 0 {
                // No change is pending: no time limit, no wake-up.
                latest = None;
                self.catalog.wake.wait(&mut state);
                continue;
            }
            let now = Instant::now();
            let by_time = *latest.get_or_insert(now + FLUSH_AFTER);
            let due = if changes >= FLUSH_CHANGES { now } else { by_time };
            let due = not_before.map_or(due, |earliest| due.max(earliest));
            if due <= now {
                return true;
            }
            self.catalog.wake.wait_until(&mut state, due);
        }
    }

    fn flush(&self) -> Result<(), AssetsError> {
        self.files.lock().flush(&self.catalog)
    }
}
