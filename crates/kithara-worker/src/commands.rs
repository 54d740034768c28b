use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::SendCommandError;
use crate::channel::Signals;

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
pub struct Commander<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    /// Locked from the beginning of an epoch until its command is queued, so that epochs arrive in order.
    sender: Mutex<UnboundedSender<Envelope<C>>>,
    starts_epoch: fn(&C) -> bool,
    signals: Arc<Signals>,
    interrupter: Option<Box<dyn Fn() + Send + Sync>>,
}

impl<C> Commander<C> {
    pub(crate) fn new(
        signals: Arc<Signals>,
        starts_epoch: fn(&C) -> bool,
        interrupter: Option<Box<dyn Fn() + Send + Sync>>,
    ) -> (Self, UnboundedReceiver<Envelope<C>>) {
        let (sender, receiver) = unbounded_channel();
        let shared = Shared { sender: Mutex::new(sender), starts_epoch, signals, interrupter };
        (Self { shared: Arc::new(shared) }, receiver)
    }

    /// Sends a command. Never blocks, and a command is never lost: commands are obeyed in order.
    ///
    /// If the source says that the command starts an epoch, no item that was fetched before is delivered once this returned.
    ///
    /// # Errors
    /// Gives the command back when the worker has ended.
    pub fn send_command(&self, command: C) -> Result<(), SendCommandError<C>> {
        let shared = &*self.shared;
        let sender = shared.sender.lock();
        if sender.is_closed() {
            return Err(SendCommandError(command));
        }
        let epoch = (shared.starts_epoch)(&command).then(|| shared.signals.begin_epoch());
        let sent = sender.send(Envelope::Command { command, epoch });
        if sent.is_ok() {
            shared.signals.sent.fetch_add(1, Ordering::AcqRel);
        }
        drop(sender);
        self.interrupt();
        match sent {
            Err(SendError(Envelope::Command { command, .. })) => Err(SendCommandError(command)),
            _ => Ok(()),
        }
    }

    pub(crate) fn stop(&self) {
        let _ = self.shared.sender.lock().send(Envelope::Stop);
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

impl<C> Clone for Commander<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<C> fmt::Debug for Commander<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commander").field("epoch", &self.shared.signals.epoch()).finish_non_exhaustive()
    }
}
