//! Waiting for a future on a parked thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = Arc::new(Unpark(thread::current())).into();
}

/// Calls `run` with the waker that unparks this thread. Allocates once per thread.
pub fn with_thread_waker<T>(run: impl FnOnce(&Waker) -> T) -> T {
    // A copy, so that `run` may itself wait.
    run(&WAKER.with(Waker::clone))
}

/// Runs a future to its end on this thread, parked while it waits. Not for the inside of async code, which a
/// [`Bridge`](crate::Bridge) refuses: it would block the runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    with_thread_waker(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            thread::park();
        }
    })
}
