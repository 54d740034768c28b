//! Waiting for a future on a plain thread, and knowing when a thread is not plain.

use std::cell::OnceCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::task::coop;

/// Budget that tokio gives a task before it makes it yield, with room to grow.
const MOST_BUDGET: u32 = 512;

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

/// Whether this thread is polling a future of a tokio runtime right now.
///
/// A `spawn_blocking` thread is in a runtime's context too, and may block. What tells the two apart is the cooperative
/// budget, which only polled futures are under: it is spent here, and given back.
fn drives_a_runtime() -> bool {
    Handle::try_current().is_ok() && budget_ends(MOST_BUDGET)
}

fn budget_ends(tries: u32) -> bool {
    match coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => true,
        // The guard gives the unit back when it is dropped: after the deeper ones.
        Poll::Ready(_guard) => tries > 0 && budget_ends(tries - 1),
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

    #[test]
    fn the_budget_is_given_back() {
        let [runtime, _] = runtimes();
        runtime.block_on(async {
            assert!(drives_a_runtime());
            assert!(coop::has_budget_remaining());
        });
    }
}
