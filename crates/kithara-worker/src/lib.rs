#![doc = include_str!("../README.md")]

mod async_worker;
mod blocking_worker;
mod channel;
mod commands;
mod core;
mod error;
mod fetched;
mod handle;
mod source;
mod thread;
#[cfg(test)]
mod wakes;

pub use async_worker::{spawn_async, spawn_async_on};
pub use blocking_worker::spawn_blocking;
pub use commands::CommandSender;
pub use error::{SendCommandError, WorkerError};
pub use fetched::Fetched;
pub use handle::{TryRecv, WorkerHandle};
pub use source::{AsyncWorkerSource, BlockingWorkerSource, CommandOutcome};
