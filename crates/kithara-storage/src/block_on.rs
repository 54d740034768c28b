use std::future::Future;

use kithara_blocking::Bridge;

use crate::StorageError;

/// Runs a future to its end on this thread, unless it would have to wait on a thread that drives a runtime.
pub(crate) fn block_on_plain<T>(
    future: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let mut future = std::pin::pin!(future);
    let polled = kithara_blocking::with_thread_waker(|waker| {
        future.as_mut().poll(&mut std::task::Context::from_waker(waker))
    });
    match polled {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => {
            Bridge::default().block_on(future).unwrap_or(Err(StorageError::WouldBlockRuntime))
        }
    }
}
