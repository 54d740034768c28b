//! What the two ends of a worker share: the bounded queue, the epoch, and the two bells.
//!
//! Of kanal only the `try_` calls are used: its asynchronous `recv` loses the message when it is cancelled. Whoever finds the
//! queue empty or full waits for a bell (`Notify`), which remembers one ring: a ring between the look and the wait is not
//! lost, and either wait may be dropped at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use kanal::{Receiver, Sender};
use tokio::sync::Notify;

use crate::Fetch;

/// What travels through the queue, in order.
#[derive(Debug)]
pub(crate) enum Message<T, E> {
    Item(Fetch<T>),
    /// The source has nothing more in this epoch, as far as these many commands tell it.
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
            Self::Item(Fetch { epoch, .. }) | Self::End { epoch, .. } | Self::Failed { epoch, .. } => *epoch,
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
    /// Rings when something was queued, or the worker has gone.
    pub(crate) filled: Notify,
    /// Rings when there is room again.
    pub(crate) drained: Notify,
    /// The epoch that the consumer wants to see.
    epoch: AtomicU64,
    /// Commands sent so far.
    pub(crate) sent: AtomicU64,
    /// The worker has gone, and queues nothing any more.
    gone: AtomicBool,
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

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// How the worker ended; `None`: it was torn away.
    pub(crate) fn finish(&self) -> Option<&Finish> {
        self.finish.get()
    }

    /// The first word counts.
    pub(crate) fn set_finish(&self, finish: Finish) {
        let _ = self.finish.set(finish);
    }

    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
        self.filled.notify_one();
    }
}

/// Says that the worker has gone, however it goes.
pub(crate) struct GoneOnDrop(pub(crate) Arc<Signals>);

impl Drop for GoneOnDrop {
    fn drop(&mut self) {
        self.0.set_gone();
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
