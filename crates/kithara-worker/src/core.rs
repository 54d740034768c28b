//! What a worker is doing, whether it runs in a task or in a thread. No waiting here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::channel::{Finish, Message, Producer, Signals};
use crate::commands::Envelope;
use crate::{CommandOutcome, Fetched};

pub(crate) struct Core<T, E> {
    pub(crate) queue: Producer<T, E>,
    /// What waits for room in the queue.
    pending: Option<Message<T, E>>,
    epoch: u64,
    /// Commands obeyed.
    commands: u64,
    /// Told to fetch nothing.
    paused: bool,
    /// At an end or at an error: nothing to fetch until the next command.
    parked: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Fetch, unless a command comes.
    Fetch,
    /// Wait for room, or a command.
    WaitForRoom,
    /// Wait for a command.
    WaitForCommand,
}

/// The worker ends.
pub(crate) struct Ended;

impl<T, E> Core<T, E> {
    pub(crate) fn new(queue: Producer<T, E>) -> Self {
        Self { queue, pending: None, epoch: 0, commands: 0, paused: false, parked: false }
    }

    pub(crate) fn next(&mut self) -> Next {
        if !self.queue.try_push(&mut self.pending) {
            Next::WaitForRoom
        } else if self.paused || self.parked {
            Next::WaitForCommand
        } else {
            Next::Fetch
        }
    }

    /// Passes a command to the source.
    pub(crate) fn handle_command<C>(
        &mut self,
        envelope: Envelope<C>,
        handle: impl FnOnce(C) -> CommandOutcome,
    ) -> Result<(), Ended> {
        let Envelope::Command { command, epoch } = envelope else { return Err(Ended) };
        if self.queue.signals.is_stopping() {
            return Err(Ended);
        }
        let outcome = guard(&self.queue.signals, || handle(command))?;
        self.commands += 1;
        self.parked = false;
        if let Some(Message::End { .. }) = self.pending {
            self.pending = None;
        }
        if let Some(Message::Failed { commands, .. }) = &mut self.pending {
            *commands = self.commands;
            self.parked = true;
        }
        if epoch.is_some() || outcome == CommandOutcome::NewEpoch {
            self.begin(epoch);
        }
        match outcome {
            CommandOutcome::NewEpoch | CommandOutcome::Resume => self.paused = false,
            CommandOutcome::Pause => self.paused = true,
            CommandOutcome::Continue => {}
            CommandOutcome::Stop => {
                self.queue.signals.set_finish(Finish::Stopped);
                return Err(Ended);
            }
        }
        Ok(())
    }

    /// Begins the epoch that the sender of the command announced, or one of our own.
    fn begin(&mut self, announced: Option<u64>) {
        self.epoch = match announced {
            // Ours may have overtaken it: then it needs another one, later than both.
            Some(epoch) if epoch > self.epoch => epoch,
            _ => self.queue.signals.begin_epoch(),
        };
        self.pending = None;
        self.parked = false;
        self.queue.drop_queued();
    }

    /// What the source gave.
    pub(crate) fn fetched(&mut self, result: Result<Option<T>, E>, is_eof: bool) {
        let (epoch, commands) = (self.epoch, self.commands);
        self.parked = !matches!(result, Ok(Some(_)));
        self.pending = Some(match result {
            Ok(Some(data)) => Message::Item(Fetched { epoch, data, is_eof }),
            Ok(None) => Message::End { epoch, commands },
            Err(error) => Message::Failed { epoch, commands, error },
        });
    }
}

/// Runs a piece of the source; its panic ends the worker, and reaches the consumer.
pub(crate) fn guard<R>(signals: &Signals, run: impl FnOnce() -> R) -> Result<R, Ended> {
    // After a panic the source is only dropped.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        signals.set_finish(Finish::Panicked(message_of(panic.as_ref())));
        Ended
    })
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}
