//! Knowing when a thread must not be blocked.

use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::task::coop;

/// Budget that tokio gives a task before it makes it yield, with room to grow.
const MAX_BUDGET: u32 = 512;

/// Whether this thread is polling a future of a tokio runtime right now, so that parking it would block the runtime.
///
/// A `spawn_blocking` thread, and one that has entered a runtime's context, may block. The cooperative budget tells them
/// apart, which only polled futures are under: it is spent here, and given back. Costs a few microseconds inside of a
/// runtime's context and a thread-local look outside of one.
#[must_use]
pub fn drives_a_runtime() -> bool {
    Handle::try_current().is_ok() && budget_ends(MAX_BUDGET)
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
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::coop;

    use super::drives_a_runtime;

    fn runtimes() -> [Runtime; 2] {
        [
            Builder::new_current_thread().build().unwrap(),
            Builder::new_multi_thread().worker_threads(1).build().unwrap(),
        ]
    }

    #[test]
    fn plain_and_blocking_threads_may_block() {
        assert!(!drives_a_runtime());
        for runtime in runtimes() {
            let inside = runtime.spawn_blocking(drives_a_runtime);
            assert!(!runtime.block_on(inside).unwrap());
            let _context = runtime.enter();
            assert!(!drives_a_runtime());
        }
    }

    #[test]
    fn tasks_and_the_main_future_may_not() {
        for runtime in runtimes() {
            assert!(runtime.block_on(async { drives_a_runtime() }));
            let task = runtime.spawn(async { drives_a_runtime() });
            assert!(runtime.block_on(task).unwrap());
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
