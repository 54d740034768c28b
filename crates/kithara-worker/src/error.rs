/// Why a worker delivers nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError<E> {
    /// The source failed. The worker is parked; the next command (a seek, a resume) makes it try again.
    #[error("the source of the worker failed")]
    Source(#[source] E),
    /// The source failed, that was reported before, and no command was sent since.
    #[error("the source of the worker failed before")]
    AlreadyFailed,
    /// The source panicked. The worker has ended.
    #[error("the source of the worker panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The worker has gone without reaching an end: its runtime was shut down.
    #[error("the worker was cancelled")]
    Cancelled,
    /// A blocking call inside of async code: it would block the runtime. Nothing was received.
    #[error("a blocking call in a thread that drives an async runtime")]
    InAsync,
    /// The operating system gave no thread.
    #[error("cannot start the thread of the worker: {message}")]
    Spawn {
        /// Why not.
        message: String,
    },
}

impl<E> WorkerError<E> {
    /// Whether a command to the same worker may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Source(_) | Self::AlreadyFailed)
    }
}

/// The worker has ended; here is the command back.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker has ended")]
pub struct SendCommandError<C>(pub C);

impl<C> std::fmt::Debug for SendCommandError<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SendCommandError")
    }
}
