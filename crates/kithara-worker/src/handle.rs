use std::fmt;
use std::sync::atomic::Ordering;

use kithara_blocking::{Bridge, WouldBlock};

use crate::channel::{Consumer, Finish, Message};
use crate::commands::CommandSender;
use crate::fetched::Fetched;
use crate::{SendCommandError, WorkerError};

/// What [`WorkerHandle::try_recv`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryRecv<T> {
    /// An item.
    Item(Fetched<T>),
    /// Nothing yet.
    Pending,
    /// The end.
    End,
}

/// The consumer's end of a worker. Dropping it ends the worker: see [`spawn_async`](crate::spawn_async) and
/// [`spawn_blocking`](crate::spawn_blocking).
pub struct WorkerHandle<T, C, E> {
    queue: Consumer<T, E>,
    command_sender: CommandSender<C>,
    rest: Option<Rest>,
    bridge: Bridge,
    /// Ends the worker when dropped.
    pub(crate) ending: Ending,
}

/// The worker rests for want of commands: it has obeyed this many.
#[derive(Debug, Clone, Copy)]
enum Rest {
    AtEnd { commands: u64 },
    AtError { commands: u64 },
}

/// How to end the worker.
pub(crate) enum Ending {
    Task(tokio::task::JoinHandle<()>),
    Thread(crate::thread::Thread),
    Nothing,
}

impl<T, C, E> WorkerHandle<T, C, E> {
    pub(crate) fn new(queue: Consumer<T, E>, command_sender: CommandSender<C>, ending: Ending) -> Self {
        Self { queue, command_sender, rest: None, bridge: Bridge::here(), ending }
    }

    /// The next item of the current epoch; `None` at the end, again and again until a command changes that.
    ///
    /// Cancel-safe: dropping the future loses nothing.
    ///
    /// # Errors
    /// [`WorkerError`]: what the source failed with comes once, in its place among the items.
    pub async fn recv(&mut self) -> Result<Option<Fetched<T>>, WorkerError<E>> {
        loop {
            match self.try_recv()? {
                TryRecv::Item(item) => return Ok(Some(item)),
                TryRecv::End => return Ok(None),
                TryRecv::Pending => self.queue.signals.filled.notified().await,
            }
        }
    }

    /// As [`recv`](Self::recv), for plain threads: parks the thread.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); [`WorkerError::InAsync`] and [`WorkerError::OwnThread`] where no item is ready and
    /// waiting would block a runtime.
    pub fn recv_blocking(&mut self) -> Result<Option<Fetched<T>>, WorkerError<E>> {
        match self.try_recv()? {
            TryRecv::Item(item) => Ok(Some(item)),
            TryRecv::End => Ok(None),
            TryRecv::Pending => self.bridge.clone().block_on(self.recv()).unwrap_or_else(|refused| {
                Err(match refused {
                    WouldBlock::OwnThread => WorkerError::OwnThread,
                    _ => WorkerError::InAsync,
                })
            }),
        }
    }

    /// What is there now.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<TryRecv<T>, WorkerError<E>> {
        // Looked at first: what was queued before the worker went is found below.
        let gone = self.queue.signals.is_closed();
        while let Some(message) = self.queue.try_pop() {
            self.rest = None;
            match message {
                Message::Item(item) => return Ok(TryRecv::Item(item)),
                Message::End { commands, .. } => self.rest = Some(Rest::AtEnd { commands }),
                Message::Failed { commands, error, .. } => {
                    self.rest = Some(Rest::AtError { commands });
                    return Err(WorkerError::Source(error));
                }
            }
        }
        let sent = self.queue.signals.sent.load(Ordering::Acquire);
        match self.rest {
            Some(Rest::AtEnd { commands }) if commands >= sent => return Ok(TryRecv::End),
            Some(Rest::AtError { commands }) if commands >= sent => return Err(WorkerError::AlreadyFailed),
            _ if gone => {}
            _ => return Ok(TryRecv::Pending),
        }
        match self.queue.signals.finish().cloned() {
            Some(Finish::Stopped) => Ok(TryRecv::End),
            Some(Finish::Panicked(message)) => Err(WorkerError::Panicked { message }),
            Some(Finish::NotSpawned(message)) => Err(WorkerError::Spawn { message }),
            None => Err(WorkerError::Cancelled),
        }
    }

    /// Sends a command: see [`CommandSender::send_command`].
    ///
    /// # Errors
    /// Gives the command back when the worker has ended.
    pub fn send_command(&self, command: C) -> Result<(), SendCommandError<C>> {
        self.command_sender.send_command(command)
    }

    /// Another sender of commands.
    #[must_use]
    pub fn command_sender(&self) -> CommandSender<C> {
        self.command_sender.clone()
    }

    /// The epoch of the items that `recv` delivers.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.queue.signals.epoch()
    }

    /// Whether the worker has ended. What it queued before can still be received.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.queue.signals.is_closed()
    }

    /// Ends the worker and waits until it has gone and its source is dropped. If the future is dropped, so is the handle.
    pub async fn shutdown(self) {
        self.command_sender.stop();
        while !self.queue.signals.is_closed() {
            self.queue.signals.filled.notified().await;
        }
    }
}

impl<T, C, E> Drop for WorkerHandle<T, C, E> {
    fn drop(&mut self) {
        self.command_sender.stop();
        match std::mem::replace(&mut self.ending, Ending::Nothing) {
            Ending::Task(task) => task.abort(),
            Ending::Thread(thread) => thread.end(self.command_sender.has_interrupter()),
            Ending::Nothing => {}
        }
    }
}

impl<T, C, E> fmt::Debug for WorkerHandle<T, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("WorkerHandle");
        out.field("epoch", &self.epoch()).field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
