//! How far the reader is: one watch, written by the reader alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// What the planner knows of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct ReaderState {
    /// Start of the segment that is being read.
    pub segment: Duration,
    /// Position up to which PCM was given out.
    pub played: Duration,
    /// How fast PCM is taken, as a multiple of playback speed; `None` while that is not known, or where PCM is taken as
    /// fast as it is decoded.
    pub speed: Option<f64>,
    /// Messages received since the stream was opened.
    pub taken: u64,
    /// The reader waits for the next message.
    pub is_waiting: bool,
    /// How often a reader with a speed found nothing to decode.
    pub stalls: u64,
    /// PCM was given out at least once.
    pub has_played: bool,
}

/// The writing end. Clones belong to parts of one reader.
#[derive(Debug, Clone)]
pub(crate) struct ReaderSender(Arc<watch::Sender<ReaderState>>);

/// A reader's state at its beginning, and the planner's end of it.
pub(crate) fn reader_state() -> (ReaderSender, watch::Receiver<ReaderState>) {
    let (sender, receiver) = watch::channel(ReaderState::default());
    (ReaderSender(Arc::new(sender)), receiver)
}

impl ReaderSender {
    /// Decoding of the segment that starts at `start` begins.
    pub(crate) fn enter(&self, start: Duration) {
        self.0.send_modify(|state| state.segment = start);
    }

    /// PCM was given out up to `position`, and is taken at `speed`. Wakes nobody: it happens with each chunk.
    pub(crate) fn played(&self, position: Duration, speed: Option<f64>) {
        self.0.send_if_modified(|state| {
            state.played = position;
            state.speed = speed;
            state.has_played = true;
            false
        });
    }

    /// The next PCM begins at `position`: after a seek.
    pub(crate) fn moved(&self, position: Duration, speed: Option<f64>) {
        self.0.send_if_modified(|state| {
            (state.played, state.speed) = (position, speed);
            false
        });
    }

    /// The reader waits for the next message. Told once for each message.
    pub(crate) fn wait(&self) {
        self.0.send_if_modified(|state| !std::mem::replace(&mut state.is_waiting, true));
    }

    /// A message was received.
    pub(crate) fn received(&self) {
        self.0.send_if_modified(|state| {
            state.taken += 1;
            state.is_waiting = false;
            // The next one is wanted once this one is decoded.
            false
        });
    }

    /// What was waited for is out of date: a command follows.
    pub(crate) fn restart(&self, at: Duration) {
        self.0.send_if_modified(|state| {
            state.segment = at;
            state.is_waiting = false;
            false
        });
    }

    /// A reader with a speed finds nothing to decode.
    pub(crate) fn run_dry(&self) {
        self.0.send_modify(|state| state.stalls += 1);
    }
}
