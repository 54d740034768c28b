//! The state that both ends of a worker share: the bounded queue, the epoch, and two notifications.
//!
//! Of kanal only the `try_` calls are used: its asynchronous `recv` loses the message when it is cancelled. The side that
//! finds the queue empty or full waits for a `Notify`, which remembers one notification: one between the look and the wait
//! is not lost, and either wait may be dropped at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use kanal::{Receiver, Sender};
use tokio::sync::Notify;

use crate::fetched::Fetched;

/// What travels through the queue, in order.
#[derive(Debug)]
pub(crate) enum Message<T, E> {
    Item(Fetched<T>),
    /// The end of this epoch, after so many handled commands.
    End {
        epoch: u64,
        commands: u64,
    },
    Failed {
        epoch: u64,
        commands: u64,
        error: E,
    },
}

impl<T, E> Message<T, E> {
    fn epoch(&self) -> u64 {
        match self {
            Self::Item(Fetched { epoch, .. }) | Self::End { epoch, .. } | Self::Failed { epoch, .. } => {
                *epoch
            }
        }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finish {
    Stopped,
    Panicked(String),
    NotSpawned(String),
}

/// Everything shared that knows no types.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Notified when an item was queued, or the worker has ended.
    pub(crate) filled: Notify,
    /// Notified when there is room again.
    pub(crate) drained: Notify,
    /// The epoch that the consumer wants to see.
    epoch: AtomicU64,
    /// Commands sent so far.
    pub(crate) sent: AtomicU64,
    /// The worker has ended, and queues no item any more.
    closed: AtomicBool,
    /// The handle was dropped.
    stopping: AtomicBool,
    finish: OnceLock<Finish>,
}

impl Signals {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes everything before stale, and gives the new epoch.
    pub(crate) fn begin_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Every command that is still queued ends the worker instead of being handled.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// How the worker ended; `None`: it was torn away.
    pub(crate) fn finish(&self) -> Option<&Finish> {
        self.finish.get()
    }

    /// The first word counts.
    pub(crate) fn set_finish(&self, finish: Finish) {
        let _ = self.finish.set(finish);
    }

    pub(crate) fn set_closed(&self) {
        self.closed.store(true, Ordering::Release);
        self.filled.notify_one();
    }
}

/// Marks the worker as ended, however it ends.
pub(crate) struct CloseOnDrop(pub(crate) Arc<Signals>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.set_closed();
    }
}

/// The worker's end of the queue.
pub(crate) struct Producer<T, E> {
    sender: Sender<Message<T, E>>,
    receiver: Receiver<Message<T, E>>,
    pub(crate) signals: Arc<Signals>,
}

/// The consumer's end of the queue.
pub(crate) struct Consumer<T, E> {
    receiver: Receiver<Message<T, E>>,
    pub(crate) signals: Arc<Signals>,
}

/// A queue for `capacity` messages, at least one.
pub(crate) fn queue<T, E>(capacity: usize) -> (Producer<T, E>, Consumer<T, E>) {
    let (sender, receiver) = kanal::bounded(capacity.max(1));
    let signals = Arc::new(Signals::default());
    let consumer = Consumer { receiver: receiver.clone(), signals: Arc::clone(&signals) };
    (Producer { sender, receiver, signals }, consumer)
}

impl<T, E> Producer<T, E> {
    /// Queues the message if there is room, and leaves `None`.
    pub(crate) fn try_push(&self, message: &mut Option<Message<T, E>>) -> bool {
        // The producer holds a receiver as well, so that the queue is never closed beneath it.
        let pushed = message.is_none() || matches!(self.sender.try_send_option(message), Ok(true));
        if pushed {
            self.signals.filled.notify_one();
        }
        pushed
    }

    /// Drops all that was queued before a new epoch: its memory is free, and there is room at once.
    pub(crate) fn drop_queued(&self) {
        while let Ok(Some(_)) = self.receiver.try_recv() {}
    }
}

impl<T, E> Consumer<T, E> {
    /// The next message that is not stale. Drops the stale ones.
    pub(crate) fn try_pop(&self) -> Option<Message<T, E>> {
        while let Ok(Some(message)) = self.receiver.try_recv() {
            self.signals.drained.notify_one();
            if message.epoch() >= self.signals.epoch() {
                return Some(message);
            }
        }
        None
    }
}
