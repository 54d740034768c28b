use std::marker::PhantomData;

use crate::{AsyncWorkerSource, BlockingWorkerSource};

/// An item and the epoch that it was fetched in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch<T> {
    /// Counts the commands that made everything before them stale. Starts at 0.
    pub epoch: u64,
    /// The item.
    pub data: T,
    /// The source knows that nothing follows (a hint; the end itself is `None` from `recv`).
    pub is_eof: bool,
}

/// Why a worker delivers nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError<E> {
    /// The source failed. The worker is parked; a command (a seek, a resume) makes it try again.
    #[error("the source of the worker failed")]
    Source(#[source] E),
    /// The failure was reported before, and no command was sent since.
    #[error("the source of the worker failed before")]
    AlreadyFailed,
    /// The source panicked. The worker has ended.
    #[error("the source of the worker panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The worker has gone without an end: its runtime was shut down.
    #[error("the worker was cancelled")]
    Cancelled,
    /// The operating system gave no thread.
    #[error("cannot start the thread of the worker")]
    Spawn(#[source] std::io::Error),
}

impl<E> WorkerError<E> {
    /// Whether a command to the same worker may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Source(_) | Self::AlreadyFailed)
    }
}

/// The worker has ended; here is the command back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker has ended")]
pub struct SendCommandError<C>(pub C);

/// The consumer's end of a worker. Dropping it ends the worker.
pub struct WorkerHandle<T, C, E> {
    _marker: PhantomData<fn(C) -> (T, E)>,
}

#[allow(clippy::todo, unused_variables, clippy::unused_async)]
impl<T: Send + 'static, C: Send + 'static, E: Send + 'static> WorkerHandle<T, C, E> {
    /// The next item of the current epoch; `None` at the end (again and again, until a command changes that). Cancel-safe.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub async fn recv(&mut self) -> Result<Option<Fetch<T>>, WorkerError<E>> {
        todo!()
    }

    /// As [`recv`](Self::recv), for plain threads.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn recv_blocking(&mut self) -> Result<Option<Fetch<T>>, WorkerError<E>> {
        todo!()
    }

    /// What is there now.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn try_recv(&mut self) -> Result<TryRecv<T>, WorkerError<E>> {
        todo!()
    }

    /// Sends a command. Never blocks; a command is never lost.
    ///
    /// # Errors
    /// Gives the command back when the worker has ended.
    pub fn send_command(&self, command: C) -> Result<(), SendCommandError<C>> {
        todo!()
    }

    /// The epoch of the items that `recv` delivers.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        todo!()
    }

    /// Whether the worker has ended (what it queued before can still be received).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        todo!()
    }
}

/// What [`WorkerHandle::try_recv`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryRecv<T> {
    /// An item.
    Item(Fetch<T>),
    /// Nothing yet.
    Pending,
    /// The end.
    End,
}

/// Runs `source` in a task of the current tokio runtime, at most `capacity` items ahead.
#[allow(clippy::todo, unused_variables)]
pub fn spawn_async<S: AsyncWorkerSource>(
    source: S,
    capacity: usize,
) -> WorkerHandle<S::Item, S::Command, S::Error> {
    todo!()
}

/// Runs `source` in a thread of its own, at most `capacity` items ahead.
#[allow(clippy::todo, unused_variables)]
pub fn spawn_blocking<S: BlockingWorkerSource>(
    source: S,
    capacity: usize,
) -> WorkerHandle<S::Item, S::Command, S::Error> {
    todo!()
}
