//! Waiting for a future on a plain thread, until it is done or somebody wants the thread back.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::{self, Thread};

use kithara_blocking::{Bridge, WouldBlock, with_thread_waker};
use parking_lot::Mutex;

/// The typed error inside the [`io::Error`] of a read that was called off (`error.get_ref()`, then downcast).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadStopped {
    /// The reader was cancelled for good.
    #[error("reading was cancelled")]
    Cancelled,
    /// The thread is wanted for something else; reads work again after [`CancelHandle::resume`].
    #[error("reading was interrupted")]
    Interrupted,
    /// The bytes are not there yet, and waiting for them would block an async runtime: read on a plain thread.
    #[error("a blocking read in a thread that drives an async runtime")]
    InAsync,
    /// The bytes are not there yet, and this thread drives the current-thread runtime that would bring them: read on another
    /// thread.
    #[error("a blocking read on the thread of a current-thread runtime, which would stand still")]
    OwnThread,
}

impl From<ReadStopped> for io::Error {
    /// Of kind `ConnectionAborted` (`Interrupted` would make callers of `read` try again at once), or `Unsupported` in
    /// async code.
    fn from(stopped: ReadStopped) -> Self {
        let kind = match stopped {
            ReadStopped::InAsync | ReadStopped::OwnThread => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::ConnectionAborted,
        };
        Self::new(kind, stopped)
    }
}

/// Ends the blocked read of a [`SyncReader`](crate::SyncReader), from any thread.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle {
    state: Arc<CancelState>,
}

#[derive(Debug, Default)]
struct CancelState {
    cancelled: AtomicBool,
    interrupted: AtomicBool,
    blocked: Mutex<Option<Thread>>,
}

impl CancelHandle {
    /// Cancels for good: a blocked read returns at once with an error, and so does every later one. Never blocks; may be
    /// called often.
    pub fn cancel(&self) {
        self.state.cancelled.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Calls the reading thread back: a blocked read, and each one until [`resume`](Self::resume), returns at once with
    /// an error. For a seek that must not wait for bytes that nobody wants any more. Never blocks.
    pub fn interrupt(&self) {
        self.state.interrupted.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Ends an interruption: reads work again. Called by the reading thread once it has come back.
    pub fn resume(&self) {
        self.state.interrupted.store(false, Ordering::SeqCst);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.state.cancelled.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        let blocked = self.state.blocked.lock().clone();
        if let Some(thread) = blocked {
            thread.unpark();
        }
    }

    pub(crate) fn check(&self) -> Result<(), ReadStopped> {
        if self.is_cancelled() {
            return Err(ReadStopped::Cancelled);
        }
        if self.state.interrupted.load(Ordering::SeqCst) {
            return Err(ReadStopped::Interrupted);
        }
        Ok(())
    }

    /// Runs `future` on this thread until it is done or called off. A future that is ready at once costs neither a lock nor
    /// an allocation.
    ///
    /// The thread announces itself before it looks at the flags, and a caller that sets a flag does so before it looks for a
    /// thread: one of the two sees the other.
    pub(crate) fn block_on<F: Future>(&self, bridge: &Bridge, future: F) -> Result<F::Output, ReadStopped> {
        let mut future = pin!(future);
        with_thread_waker(|waker| {
            let mut context = Context::from_waker(waker);
            self.check()?;
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            bridge.check().map_err(|refused| match refused {
                WouldBlock::OwnThread => ReadStopped::OwnThread,
                _ => ReadStopped::InAsync,
            })?;
            let _blocked = Blocked::announce(&self.state, thread::current());
            loop {
                self.check()?;
                if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                    return Ok(output);
                }
                thread::park();
            }
        })
    }
}

struct Blocked<'a>(&'a CancelState);

impl<'a> Blocked<'a> {
    fn announce(state: &'a CancelState, thread: Thread) -> Self {
        *state.blocked.lock() = Some(thread);
        Self(state)
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        *self.0.blocked.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::thread;

    use super::{Bridge, CancelHandle, ReadStopped};

    #[test]
    fn a_future_that_never_ends_ends_by_cancel() {
        let handle = CancelHandle::default();
        let waiting = handle.clone();
        let thread = thread::spawn(move || waiting.block_on(&Bridge::default(), future::pending::<()>()));
        handle.cancel();
        assert_eq!(thread.join().unwrap(), Err(ReadStopped::Cancelled));
        assert_eq!(
            handle.block_on(&Bridge::default(), future::ready(1)),
            Err(ReadStopped::Cancelled),
            "cancelled stays cancelled"
        );
    }

    #[test]
    fn an_interruption_lasts_until_it_is_resumed() {
        let handle = CancelHandle::default();
        let waiting = handle.clone();
        let thread = thread::spawn(move || waiting.block_on(&Bridge::default(), future::pending::<()>()));
        handle.interrupt();
        assert_eq!(thread.join().unwrap(), Err(ReadStopped::Interrupted));
        assert_eq!(handle.block_on(&Bridge::default(), future::ready(1)), Err(ReadStopped::Interrupted));
        handle.resume();
        assert_eq!(handle.block_on(&Bridge::default(), future::ready(1)), Ok(1));
    }

    #[tokio::test]
    async fn async_code_is_not_blocked() {
        let handle = CancelHandle::default();
        assert_eq!(
            handle.block_on(&Bridge::default(), future::ready(1)),
            Ok(1),
            "what is there needs no waiting"
        );
        assert_eq!(handle.block_on(&Bridge::default(), future::pending::<()>()), Err(ReadStopped::InAsync));
    }

    #[test]
    fn a_future_woken_from_another_thread_ends() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let thread = thread::spawn(move || CancelHandle::default().block_on(&Bridge::default(), receiver));
        sender.send(7).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(Ok(7)));
    }
}
