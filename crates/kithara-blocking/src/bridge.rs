//! [`Bridge`]: a blocking face's way to its futures.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::park::with_thread_waker;
use crate::runtime::drives_a_runtime;

/// Why a blocking call does not wait here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WouldBlock {
    /// The thread is driving an async runtime.
    InAsync,
    /// The thread drives the current-thread runtime that the awaited work runs in: parked, it would wait for ever.
    OwnThread,
}

impl fmt::Display for WouldBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InAsync => {
                "a blocking call in a thread that drives an async runtime: use the async call, or a plain thread"
            }
            Self::OwnThread => {
                "a blocking call on the thread of a current-thread runtime, which would stand still: use the async call, \
                 another thread, or a multi-thread runtime"
            }
        })
    }
}

impl Error for WouldBlock {}

/// Where a blocking face was made, and so where it may wait.
#[derive(Clone, Debug, Default)]
pub struct Bridge {
    runtime: Option<Handle>,
    /// The thread that drives `runtime`, if that is a current-thread one.
    own_thread: Option<ThreadId>,
}

impl Bridge {
    /// A bridge into the runtime of the caller, if there is one.
    #[must_use]
    pub fn here() -> Self {
        let runtime = Handle::try_current().ok();
        let is_single =
            runtime.as_ref().is_some_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::CurrentThread);
        let own_thread = (is_single && drives_a_runtime()).then(|| thread::current().id());
        Self { runtime, own_thread }
    }

    /// The runtime, in whose context futures are run.
    #[must_use]
    pub fn runtime(&self) -> Option<&Handle> {
        self.runtime.as_ref()
    }

    /// Whether this thread may be parked until work of the runtime is done.
    ///
    /// # Errors
    /// [`WouldBlock`].
    pub fn check(&self) -> Result<(), WouldBlock> {
        if drives_a_runtime() {
            return Err(WouldBlock::InAsync);
        }
        if self.own_thread == Some(thread::current().id()) {
            return Err(WouldBlock::OwnThread);
        }
        Ok(())
    }

    /// Runs `future` to its end on this thread, in the context of the runtime, parked while it waits.
    ///
    /// # Errors
    /// [`WouldBlock::InAsync`] inside of async code; [`WouldBlock::OwnThread`] where the future is not ready at once and
    /// nobody would drive the runtime.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, WouldBlock> {
        if drives_a_runtime() {
            return Err(WouldBlock::InAsync);
        }
        let _context = self.runtime.as_ref().map(Handle::enter);
        let mut future = pin!(future);
        with_thread_waker(|waker| {
            let mut context = Context::from_waker(waker);
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                    return Ok(output);
                }
                if self.own_thread == Some(thread::current().id()) {
                    return Err(WouldBlock::OwnThread);
                }
                thread::park();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::sync::Arc;

    use tokio::runtime::Builder;
    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn the_own_thread_of_a_current_thread_runtime_is_refused_and_others_wait() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let bridge = runtime.block_on(async { Bridge::here() });
        assert_eq!(bridge.block_on(future::pending::<()>()), Err(WouldBlock::OwnThread));
        assert_eq!(bridge.block_on(async { 7 }), Ok(7));
        let notify = Arc::new(Notify::new());
        let waited = Arc::clone(&notify);
        let elsewhere = thread::spawn(move || bridge.block_on(waited.notified()));
        runtime.block_on(async { notify.notify_one() });
        assert_eq!(elsewhere.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_multi_thread_runtime_is_driven_by_its_own_threads() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let bridge = runtime.block_on(async { Bridge::here() });
        let task = runtime.spawn(async { 7 });
        assert_eq!(bridge.block_on(task).unwrap().unwrap(), 7);
        assert_eq!(runtime.block_on(async { bridge.block_on(async { 7 }) }), Err(WouldBlock::InAsync));
    }

    #[test]
    fn without_a_runtime_it_waits() {
        assert_eq!(Bridge::here().block_on(async { 7 }), Ok(7));
    }
}
