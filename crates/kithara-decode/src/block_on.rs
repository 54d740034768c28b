//! Waiting for a future on a plain thread.

use std::cell::OnceCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use kithara_worker::drives_a_runtime;
use tokio::runtime::Handle;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Drives `future` to its end on this thread, in the context of `runtime`. `None` where that would block a runtime.
pub(crate) fn block_on<F: Future>(runtime: Option<&Handle>, future: F) -> Option<F::Output> {
    if drives_a_runtime() {
        return None;
    }
    thread_local! { static WAKER: OnceCell<Waker> = const { OnceCell::new() } }
    let waker =
        WAKER.with(|cell| cell.get_or_init(|| Waker::from(Arc::new(Unpark(thread::current())))).clone());
    let _context = runtime.map(Handle::enter);
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtimes() -> [tokio::runtime::Runtime; 2] {
        [
            tokio::runtime::Builder::new_current_thread().build().unwrap(),
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap(),
        ]
    }

    #[test]
    fn plain_and_blocking_threads_may_block() {
        assert_eq!(block_on(None, async { 7 }), Some(7));
        for runtime in runtimes() {
            let inside = runtime.spawn_blocking(|| block_on(None, async { 7 }));
            assert_eq!(runtime.block_on(inside).unwrap(), Some(7));
            let _context = runtime.enter();
            assert_eq!(block_on(None, async { 7 }), Some(7));
        }
    }

    #[test]
    fn tasks_and_the_main_future_may_not() {
        for runtime in runtimes() {
            assert_eq!(runtime.block_on(async { block_on(None, async { 7 }) }), None);
            let task = runtime.spawn(async { block_on(None, async { 7 }) });
            assert_eq!(runtime.block_on(task).unwrap(), None);
        }
    }
}
