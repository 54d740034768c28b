use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::SendCommandError;
use crate::channel::Signals;

/// Commands that wait for a worker at most. A worker handles them between two polls of its source, so that only one that is
/// blocked has so many.
pub(crate) const MAX_COMMANDS: usize = 256;

pub(crate) enum Envelope<C> {
    Command {
        command: C,
        /// The epoch that the sender began with it.
        epoch: Option<u64>,
    },
    /// The handle is gone.
    Stop,
}

/// Sends commands to a worker from anywhere, also while somebody waits in `recv`. Clones send to the same worker. Does not
/// keep the worker alive.
pub struct CommandSender<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    /// Locked from the beginning of an epoch until its command is queued, so that epochs arrive in order.
    sender: Mutex<Sender<Envelope<C>>>,
    starts_epoch: fn(&C) -> bool,
    signals: Arc<Signals>,
    interrupter: Option<Box<dyn Fn() + Send + Sync>>,
}

impl<C> CommandSender<C> {
    pub(crate) fn new(
        signals: Arc<Signals>,
        starts_epoch: fn(&C) -> bool,
        interrupter: Option<Box<dyn Fn() + Send + Sync>>,
    ) -> (Self, Receiver<Envelope<C>>) {
        let (sender, receiver) = channel(MAX_COMMANDS);
        let shared = Shared { sender: Mutex::new(sender), starts_epoch, signals, interrupter };
        (Self { shared: Arc::new(shared) }, receiver)
    }

    /// Sends a command. Never blocks; commands are handled in order.
    ///
    /// If the source says that the command starts an epoch, no item that was fetched before is delivered once this returned.
    ///
    /// # Errors
    /// Gives the command back when the worker has ended, or when it is blocked and 256 commands wait for it.
    pub fn send_command(&self, command: C) -> Result<(), SendCommandError<C>> {
        let shared = &*self.shared;
        let sender = shared.sender.lock();
        let permit = match sender.try_reserve() {
            Ok(permit) => permit,
            Err(TrySendError::Full(())) => return Err(SendCommandError::Full(command)),
            Err(TrySendError::Closed(())) => return Err(SendCommandError::Closed(command)),
        };
        let epoch = (shared.starts_epoch)(&command).then(|| shared.signals.begin_epoch());
        permit.send(Envelope::Command { command, epoch });
        shared.signals.sent.fetch_add(1, Ordering::AcqRel);
        drop(sender);
        self.interrupt();
        Ok(())
    }

    pub(crate) fn stop(&self) {
        self.shared.signals.set_stopping();
        // A full queue wakes the worker as well.
        let _ = self.shared.sender.lock().try_send(Envelope::Stop);
        self.interrupt();
    }

    pub(crate) fn has_interrupter(&self) -> bool {
        self.shared.interrupter.is_some()
    }

    fn interrupt(&self) {
        if let Some(interrupt) = &self.shared.interrupter {
            interrupt();
        }
    }
}

impl<C> Clone for CommandSender<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for CommandSender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSender").field("epoch", &self.shared.signals.epoch()).finish_non_exhaustive()
    }
}
