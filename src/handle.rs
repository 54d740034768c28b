//! [`StreamHandle`]: control and state of a stream from other threads.

use std::sync::Arc;
use std::time::Duration;

use kithara_hls::VariantMode;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::events::{StreamEvent, StreamState};

/// What handles asked for and the stream has not yet done. A later wish replaces an earlier one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) seek: Option<Duration>,
    pub(crate) variant: Option<VariantMode>,
    pub(crate) cancel: bool,
}

/// What a stream and its handles share.
#[derive(Debug, Default)]
pub(crate) struct Control {
    wishes: Mutex<Wishes>,
    changed: Notify,
    state: watch::Sender<StreamState>,
}

impl Control {
    /// Takes the wishes.
    pub(crate) fn wishes(&self) -> Wishes {
        std::mem::take(&mut *self.wishes.lock())
    }

    /// Waits for a wish.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Wishes for the seek again unless it is [`done`](Seeking::done).
    pub(crate) fn seeking(&self, to: Duration) -> Seeking<'_> {
        Seeking { control: self, to, is_done: false }
    }

    pub(crate) fn note(&self, event: &StreamEvent) {
        match event {
            StreamEvent::Stalled => self.publish(|state| state.stalled = true),
            StreamEvent::Resumed { .. } => self.publish(|state| state.stalled = false),
            StreamEvent::Title { title, .. } => self.publish(|state| state.title.clone_from(title)),
            _ => {}
        }
    }

    pub(crate) fn publish(&self, change: impl FnOnce(&mut StreamState)) {
        self.state.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }

    fn wish(&self, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut self.wishes.lock());
        self.changed.notify_one();
    }
}

/// A seek that is under way.
pub(crate) struct Seeking<'a> {
    control: &'a Control,
    to: Duration,
    is_done: bool,
}

impl Seeking<'_> {
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.control.wishes.lock().seek.get_or_insert(self.to);
        }
    }
}

/// Controls a stream and shows its state, from any thread. Cheap to clone. It takes effect while the stream is read,
/// and has none once the stream is dropped.
#[derive(Clone, Debug)]
pub struct StreamHandle {
    control: Arc<Control>,
}

impl StreamHandle {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control }
    }

    /// Moves to `to`, also while a read waits for the network. Of several seeks the last one counts.
    pub fn seek(&self, to: Duration) {
        self.control.wish(|wishes| wishes.seek = Some(to));
    }

    /// Sets the variant mode of an HLS presentation. A mode that names no variant ends the next read with an error.
    pub fn set_variant(&self, mode: VariantMode) {
        self.control.wish(|wishes| wishes.variant = Some(mode));
    }

    /// Ends the read that waits, or the next one, with [`Error::Cancelled`](crate::Error::Cancelled); the stream can
    /// be read again afterwards.
    pub fn cancel(&self) {
        self.control.wish(|wishes| wishes.cancel = true);
    }

    /// The state, and each change of it.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<StreamState> {
        self.control.state.subscribe()
    }
}
