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
    #[error(
        "a blocking call in a thread that drives an async runtime: use the async call, or a plain thread"
    )]
    InAsync,
    /// A blocking call on the thread of the current-thread runtime in which the worker was started, which would stand still.
    /// Nothing was received.
    #[error(
        "a blocking call on the thread of a current-thread runtime: use the async call, or another thread"
    )]
    OwnThread,
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

/// A command that was not sent, with the command.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendCommandError<C> {
    /// The worker has ended.
    #[error("the command was not sent: the worker has ended")]
    Closed(C),
    /// The worker is blocked, and as many commands as it may have wait for it.
    #[error("the command was not sent: the worker is blocked and its commands pile up; try again")]
    Full(C),
}

impl<C> SendCommandError<C> {
    /// The command.
    pub fn into_command(self) -> C {
        match self {
            Self::Closed(command) | Self::Full(command) => command,
        }
    }

    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl<C> std::fmt::Debug for SendCommandError<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed(_) => "Closed",
            Self::Full(_) => "Full",
        })
    }
}
