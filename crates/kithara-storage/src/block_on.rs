use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;
use tokio::task::coop;

use crate::StorageError;

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

thread_local! {
    static WAKER: Waker = Arc::new(Unpark(thread::current())).into();
}

/// Runs a future to its end on this thread, parked while it waits. Not for the inside of async code: it would block the
/// runtime. Allocates once per thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = WAKER.with(Waker::clone);
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// [`block_on`], unless it would have to wait on a thread that drives a runtime.
pub(crate) fn block_on_plain<T>(
    future: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let mut future = pin!(future);
    let waker = WAKER.with(Waker::clone);
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(output) => output,
        Poll::Pending if drives_a_runtime() => Err(StorageError::InAsync),
        Poll::Pending => block_on(future),
    }
}

/// Whether this thread is polling a future of a tokio runtime right now: such a future is under a cooperative budget, which
/// is spent here, and given back. A future inside of `tokio::task::unconstrained` is not noticed.
pub(crate) fn drives_a_runtime() -> bool {
    Handle::try_current().is_ok() && budget_ends(MOST_BUDGET)
}

fn budget_ends(tries: u32) -> bool {
    match coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => true,
        Poll::Ready(_guard) => tries > 0 && budget_ends(tries - 1),
    }
}
