//! The thread of a blocking worker, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Whether the thread is inside of the source, and whether it is to end. Sequentially consistent: either the thread sees `stop` before it enters the
/// source, or whoever sets `stop` sees that it is inside.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) stop: AtomicBool,
    pub(crate) in_source: AtomicBool,
}

/// The thread of a blocking worker.
pub(crate) struct Thread {
    pub(crate) state: Arc<State>,
    pub(crate) join: JoinHandle<()>,
}

impl Thread {
    /// Called after the worker was told to stop.
    pub(crate) fn end(self, interruptible: bool) {
        self.state.stop.store(true, Ordering::SeqCst);
        let inside = self.state.in_source.load(Ordering::SeqCst);
        let own = self.join.thread().id() == std::thread::current().id();
        if (interruptible || !inside) && !own {
            // The worker catches panics of the source; what is left has no result.
            let _ = self.join.join();
        }
    }
}
