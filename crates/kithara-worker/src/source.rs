use std::future::Future;

/// What a command means for the worker, as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandOutcome {
    /// Everything produced so far is stale (a seek): what is queued is thrown away, and items carry a new epoch from now on.
    NewEpoch,
    /// Go on. An item that waits for room in the channel stays.
    Continue,
    /// Fetch nothing until `Resume` or `NewEpoch`. A paused worker does not wake up.
    Pause,
    /// Fetch again.
    Resume,
    /// End the worker.
    Stop,
}

/// What an async worker pulls from.
pub trait AsyncWorkerSource: Send + 'static {
    /// What is fetched.
    type Item: Send + 'static;
    /// What the consumer tells the source.
    type Command: Send + 'static;
    /// Why a fetch failed.
    type Error: Send + 'static;

    /// The next item. `None`: the end for now; the worker parks until the next command.
    ///
    /// The future is dropped when a command arrives, and the method called again afterwards: it must be cancel-safe, that is,
    /// keep its progress in `self`. An error parks the worker as an end does.
    fn fetch_next(&mut self) -> impl Future<Output = Result<Option<Self::Item>, Self::Error>> + Send;

    /// Obeys a command. Must not block.
    fn handle_command(&mut self, command: Self::Command) -> CommandOutcome;

    /// Whether the command makes everything stale that was fetched before. When it does, the consumer sees no older item
    /// from the moment that it sent the command, rather than from the moment that the source obeys it. Default: never.
    fn starts_epoch(command: &Self::Command) -> bool {
        let _ = command;
        false
    }

    /// Whether the item that was fetched last is known to be the last one: a hint, passed on in [`Fetched::is_eof`]. Default:
    /// not known.
    ///
    /// [`Fetched::is_eof`]: crate::Fetched::is_eof
    fn is_eof(&self) -> bool {
        false
    }
}

/// What a blocking worker, with a thread of its own, pulls from. As [`AsyncWorkerSource`] without futures.
pub trait BlockingWorkerSource: Send + 'static {
    /// What is fetched.
    type Item: Send + 'static;
    /// What the consumer tells the source.
    type Command: Send + 'static;
    /// Why a fetch failed.
    type Error: Send + 'static;

    /// The next item; may block. `None`: the end for now; the worker parks until the next command.
    fn fetch_next(&mut self) -> Result<Option<Self::Item>, Self::Error>;

    /// Obeys a command. Runs between two fetches.
    fn handle_command(&mut self, command: Self::Command) -> CommandOutcome;

    /// See [`AsyncWorkerSource::starts_epoch`].
    fn starts_epoch(command: &Self::Command) -> bool {
        let _ = command;
        false
    }

    /// See [`AsyncWorkerSource::is_eof`].
    fn is_eof(&self) -> bool {
        false
    }

    /// A function that makes a blocked [`fetch_next`](Self::fetch_next) return soon, from another thread; asked for once,
    /// before the first fetch. It is called when a command arrives or the handle is dropped, also when no fetch is under
    /// way. Default: none.
    fn interrupter(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        None
    }
}
