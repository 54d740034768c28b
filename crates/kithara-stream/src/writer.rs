//! [`Writer`]: the body of a response into a streaming resource.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use kithara_net::{Body, NetError};
use kithara_storage::{StorageError, Streaming};

use crate::poll::poll_once;

/// Bytes gathered before they are written even though more are ready.
const BATCH_BYTES: usize = 64 * 1024;

/// Chunks below this are put together before they are written; longer ones are written as they are, without a copy.
const SMALL_CHUNK_BYTES: usize = 8 * 1024;

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
}

impl WriteError {
    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Net(error) => error.is_retryable(),
            Self::Storage(error) => error.is_retryable(),
        }
    }
}

/// Writes a body at its offset in a resource, in as few writes as cost no waiting.
///
/// What the network has ready is gathered up to 64 KiB and small chunks are put together; nothing is held back to wait
/// for more, so the first bytes are readable at once.
#[derive(Debug)]
pub struct Writer<R> {
    resource: R,
    offset: u64,
    pending: VecDeque<Bytes>,
    pending_len: usize,
    end: Option<Result<(), NetError>>,
}

impl<R: Streaming> Writer<R> {
    /// A writer into `resource` whose first byte goes to `offset`.
    pub fn new(resource: R, offset: u64) -> Self {
        Self { resource, offset, pending: VecDeque::new(), pending_len: 0, end: None }
    }

    /// Offset of the next byte to be written.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The resource.
    #[must_use]
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// Waits for bytes of `body` and writes what is ready. Returns how many bytes were written, or `None` at the
    /// proven end of the body.
    ///
    /// Cancel-safe: bytes taken from the body but not yet written are written by the next call.
    ///
    /// # Errors
    /// The body's, once everything before it is written; or the resource's.
    pub async fn step<B: Body>(&mut self, body: &mut B) -> Result<Option<u64>, WriteError> {
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
        Ok(Some(self.flush().await?))
    }

    /// Writes all of `body`; returns the offset behind its last byte.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn copy<B: Body>(&mut self, body: &mut B) -> Result<u64, WriteError> {
        while self.step(body).await?.is_some() {}
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
    async fn flush(&mut self) -> Result<u64, StorageError> {
        let before = self.offset;
        while let Some(bytes) = self.join_small() {
            self.resource.write_at(self.offset, &bytes).await?;
            self.offset += bytes.len() as u64;
            self.pending_len -= bytes.len();
            self.pending.pop_front();
        }
        Ok(self.offset - before)
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
