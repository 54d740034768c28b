#![doc = include_str!("../README.md")]

mod async_worker;
mod block_on;
mod blocking_worker;
mod channel;
mod commands;
mod core;
mod error;
mod handle;
mod source;
#[cfg(test)]
mod wakes;

pub use async_worker::{spawn_async, spawn_async_on};
pub use block_on::drives_a_runtime;
pub use blocking_worker::spawn_blocking;
pub use commands::Commander;
pub use error::{SendCommandError, WorkerError};
pub use handle::{Fetch, TryRecv, WorkerHandle};
pub use source::{AsyncWorkerSource, BlockingWorkerSource, CommandOutcome};
