//! Async and blocking workers that feed a bounded channel.

mod handle;
mod source;

pub use handle::{Fetch, SendCommandError, TryRecv, WorkerError, WorkerHandle, spawn_async, spawn_blocking};
pub use source::{AsyncWorkerSource, BlockingWorkerSource, CommandOutcome};
