//! The reader's end of the chunk channel.

use std::collections::VecDeque;
use std::time::Duration;

use kithara_storage::Streaming;
use kithara_worker::{WorkerError, WorkerHandle};

use crate::abr::VariantMode;
use crate::error::HlsError;
use crate::message::{Failure, HlsCommand, HlsMessage};

/// Messages that the adapter keeps: the segment being read and those read before it.
pub const MAX_BUFFERED_CHUNKS: usize = 5;

/// Hands the worker's messages to the decoder one by one, and keeps the last few for a step back.
///
/// A kept message is a handle on the store, not a copy of a segment; dropping the oldest loses no audio, because a
/// seek there opens its body again from the store.
pub struct HlsSourceAdapter<R> {
    worker: WorkerHandle<HlsMessage<R>, HlsCommand, HlsError>,
    buffered_chunks: VecDeque<HlsMessage<R>>,
    /// Messages at the end of the buffer that are to be read again, after a step back.
    unread: usize,
}

impl<R: Streaming> HlsSourceAdapter<R> {
    /// The adapter of `worker`.
    pub(crate) fn new(worker: WorkerHandle<HlsMessage<R>, HlsCommand, HlsError>) -> Self {
        Self { worker, buffered_chunks: VecDeque::with_capacity(MAX_BUFFERED_CHUNKS), unread: 0 }
    }

    /// The next message; `None` at the end of the presentation. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the worker gave up with.
    pub async fn next(&mut self) -> Result<Option<HlsMessage<R>>, HlsError> {
        if self.unread > 0 {
            let index = self.buffered_chunks.len() - self.unread;
            self.unread -= 1;
            return Ok(self.buffered_chunks.get(index).cloned());
        }
        match self.worker.recv().await {
            Ok(Some(fetch)) => {
                self.keep(fetch.data.clone());
                Ok(Some(fetch.data))
            }
            Ok(None) => Ok(None),
            Err(WorkerError::Source(error)) => Err(error),
            Err(error) => Err(HlsError::Worker { reason: error.to_string() }),
        }
    }

    fn keep(&mut self, message: HlsMessage<R>) {
        while self.buffered_chunks.len() >= MAX_BUFFERED_CHUNKS {
            self.buffered_chunks.pop_front();
        }
        self.buffered_chunks.push_back(message);
    }

    /// Makes the segment that holds `to` the next one: from the kept messages, or by the worker.
    pub fn seek(&mut self, to: Duration) {
        let kept = self.buffered_chunks.iter().position(|m| m.start <= to && to < m.start + m.duration);
        match kept {
            Some(index) => self.unread = self.buffered_chunks.len() - index,
            None => self.restart(HlsCommand::Seek { to }),
        }
    }

    /// Asks the worker for another source of a segment that failed.
    pub(crate) fn failed(&mut self, segment: usize, variant: usize, resume_at: Duration, failure: Failure) {
        self.restart(HlsCommand::Failed { segment, variant, resume_at, failure });
    }

    /// Changes the variant mode from the segment at `from` on.
    pub(crate) fn set_mode(&mut self, mode: VariantMode, from: Duration) {
        self.buffered_chunks.retain(|message| message.start < from);
        self.unread = self.unread.min(self.buffered_chunks.len());
        self.send(HlsCommand::SetMode { mode, from });
    }

    fn restart(&mut self, command: HlsCommand) {
        self.buffered_chunks.clear();
        self.unread = 0;
        self.send(command);
    }

    fn send(&self, command: HlsCommand) {
        // A worker that has ended says so to the next `recv`.
        let _ = self.worker.send_command(command);
    }

    /// How many messages are kept.
    pub fn buffered(&self) -> usize {
        self.buffered_chunks.len()
    }
}
