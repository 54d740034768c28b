//! [`Writer`]: the body of a response into a streaming resource.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kithara_net::{Body, NetError};
use kithara_storage::{StorageError, Streaming};

use tokio::time::Instant;

use crate::EntityWriter;
use crate::poll::poll_once;

/// Bytes gathered before they are written even though more are ready.
const BATCH_BYTES: usize = 64 * 1024;

/// Chunks below this are put together before they are written; longer ones are written as they are, without a copy.
const SMALL_CHUNK_BYTES: usize = 8 * 1024;

/// A slow download is made durable this long after its first byte, and as often again: a killed process loses no more.
const FLUSH_EVERY: Duration = Duration::from_secs(2);

/// Why a body did not become stored bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The body failed. What came before the failure is written.
    #[error("the body ended in an error")]
    Net(#[from] NetError),
    /// The resource could not be written.
    #[error("cannot store the body")]
    Storage(#[from] StorageError),
    /// The body holds other bytes than those that are stored: it is of another version.
    #[error("the body differs from the stored bytes at offset {offset}: the file has changed")]
    Differs {
        /// Where the compared bytes begin.
        offset: u64,
    },
    /// The body is larger than it may be.
    #[error("the body is larger than {limit} bytes, the bound of its kind")]
    TooLarge {
        /// The bound in bytes.
        limit: u64,
    },
    /// The body took longer than it may.
    #[error("the body was not complete after {after:?}")]
    TooSlow {
        /// The limit.
        after: Duration,
    },
}

impl WriteError {
    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Net(error) => error.is_retryable(),
            Self::Storage(error) => error.is_retryable(),
            Self::Differs { .. } | Self::TooLarge { .. } => false,
            Self::TooSlow { .. } => true,
        }
    }
}

/// Writes a body at its offset into an [`EntityWriter`], in as few writes as cost no waiting.
///
/// Bytes that the network has ready are gathered up to 64 KiB and small chunks are put together; no byte is held back to
/// wait for more, so the first bytes are readable at once.
#[derive(Debug)]
pub struct Writer {
    offset: u64,
    pending: VecDeque<Bytes>,
    pending_len: usize,
    end: Option<Result<(), NetError>>,
    compares: bool,
    flush_at: Option<Instant>,
}

impl Writer {
    /// A writer whose first byte goes to `offset`.
    #[must_use]
    pub fn new(offset: u64) -> Self {
        Self { offset, pending: VecDeque::new(), pending_len: 0, end: None, compares: false, flush_at: None }
    }

    /// Compares bytes that are stored already instead of writing them again: no validator says that they are the same.
    /// Other bytes are [`WriteError::Differs`].
    #[must_use]
    pub fn comparing(mut self, compares: bool) -> Self {
        self.compares = compares;
        self
    }

    /// Offset of the next byte to be written.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that were taken from the body and are not written.
    #[must_use]
    pub fn into_pending(self) -> Vec<Bytes> {
        self.pending.into()
    }

    /// Waits for bytes of `body` and writes what is ready. Returns how many bytes were written, or `None` at the end of
    /// the body.
    ///
    /// Cancel-safe: bytes taken from the body but not yet written are written by the next call.
    ///
    /// # Errors
    /// The body's, once everything before it is written; or the resource's.
    pub async fn step<B: Body, R: Streaming>(
        &mut self,
        body: &mut B,
        into: &EntityWriter<R>,
    ) -> Result<Option<u64>, WriteError> {
        if self.pending.is_empty() && self.end.is_none() {
            let chunk = body.next_chunk().await;
            self.take(chunk);
        }
        while self.pending_len < BATCH_BYTES && self.end.is_none() {
            match poll_once(body.next_chunk()) {
                Some(chunk) => self.take(chunk),
                None => break,
            }
        }
        if self.pending.is_empty() {
            return match self.end.take() {
                Some(Err(error)) => Err(error.into()),
                _ => {
                    self.end = Some(Ok(()));
                    Ok(None)
                }
            };
        }
        let written = self.write(into).await?;
        self.flush_if_due(into).await?;
        Ok(Some(written))
    }

    /// Writes all of `body`; returns the offset behind its last byte.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn copy<B: Body, R: Streaming>(
        &mut self,
        body: &mut B,
        into: &EntityWriter<R>,
    ) -> Result<u64, WriteError> {
        while self.step(body, into).await?.is_some() {}
        Ok(self.offset)
    }

    fn take(&mut self, chunk: Result<Option<Bytes>, NetError>) {
        match chunk {
            Ok(Some(bytes)) if bytes.is_empty() => {}
            Ok(Some(bytes)) => {
                self.pending_len += bytes.len();
                self.pending.push_back(bytes);
            }
            Ok(None) => self.end = Some(Ok(())),
            Err(error) => self.end = Some(Err(error)),
        }
    }

    /// Cancel-safe: a chunk leaves the queue only once it is written; writing it twice changes nothing.
    async fn write<R: Streaming>(&mut self, into: &EntityWriter<R>) -> Result<u64, WriteError> {
        let before = self.offset;
        while let Some(bytes) = self.join_small() {
            if self.compares && !into.agrees(self.offset, &bytes).await? {
                return Err(WriteError::Differs { offset: self.offset });
            }
            into.write_at(self.offset, &bytes).await?;
            self.offset += bytes.len() as u64;
            self.pending_len -= bytes.len();
            self.pending.pop_front();
        }
        Ok(self.offset - before)
    }

    async fn flush_if_due<R: Streaming>(&mut self, into: &EntityWriter<R>) -> Result<(), StorageError> {
        let now = Instant::now();
        let due = *self.flush_at.get_or_insert(now + FLUSH_EVERY);
        if now >= due {
            into.flush().await?;
            self.flush_at = Some(Instant::now() + FLUSH_EVERY);
        }
        Ok(())
    }

    /// Puts the run of small chunks at the front of the queue together; returns the front (a cheap clone).
    fn join_small(&mut self) -> Option<Bytes> {
        let small = self.pending.iter().take_while(|bytes| bytes.len() < SMALL_CHUNK_BYTES).count();
        if small > 1 {
            let run: BytesMut = self.pending.drain(..small).fold(BytesMut::new(), |mut run, bytes| {
                run.extend_from_slice(&bytes);
                run
            });
            self.pending.push_front(run.freeze());
        }
        self.pending.front().cloned()
    }
}
