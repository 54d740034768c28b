//! A segment's body: a window of a stored resource that may still be arriving.

use kithara_bufpool::BytePool;
use kithara_storage::{StorageError, Streaming, WaitOutcome};

use bytes::Bytes;
use tokio::sync::watch;

use crate::fetch::Window;

/// What the readers of one segment are told of its download. A file of many segments has one status for all of them, and
/// the next download clears it: each segment's readers are told by themselves.
pub(crate) type Fate = watch::Receiver<Option<Ending>>;

/// How a download ended where the store itself does not tell.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// It failed.
    Failed(StorageError),
    /// The body ended after so many bytes, but the protocol does not prove that this is all: it is played, and not kept
    /// as complete.
    Unproven(u64),
}

/// Bytes that are handed to the demuxer at once, at most.
///
/// A stream holds up to three; half a second of AAC is enough: larger ones made no bench faster.
const READ_SIZE: u64 = 8 * 1024;

/// A handle on `[offset, offset + len)` of a resource, or on all of it.
///
/// It costs a reference count: the bytes stay in the store until they are read.
#[derive(Debug, Clone)]
pub struct SegmentBody<R> {
    resource: R,
    offset: u64,
    len: Option<u64>,
    /// `None`: nothing is being downloaded.
    fate: Option<Fate>,
    /// Of the resource when its first bytes were read: what comes after a reset belongs to something else.
    generation: Option<u64>,
}

impl<R: Streaming> SegmentBody<R> {
    /// A window of `resource`, or all of it, and what tells of its download.
    pub(crate) fn new(resource: R, window: Option<Window>, fate: Option<Fate>) -> Self {
        let (offset, len) = window.map_or((0, None), |window| (window.offset, Some(window.len)));
        Self { resource, offset, len, fate, generation: None }
    }

    /// The resource behind the window.
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// Length of the body in bytes, once it is known.
    #[allow(clippy::len_without_is_empty, reason = "the length of a body that arrives is unknown, not zero")]
    pub fn len(&self) -> Option<u64> {
        self.len
            .or_else(|| self.unproven_end())
            .or_else(|| self.resource.len())
            .or_else(|| self.resource.expected_len())
    }

    /// Where the body ended without proof.
    fn unproven_end(&self) -> Option<u64> {
        match &*self.fate.as_ref()?.borrow() {
            Some(Ending::Unproven(len)) => Some(*len),
            _ => None,
        }
    }

    /// What its download failed with, if bytes are missing for it.
    pub(crate) fn failure(&self) -> Option<StorageError> {
        match &*self.fate.as_ref()?.borrow() {
            Some(Ending::Failed(error)) if !self.is_complete() => Some(error.clone()),
            _ => None,
        }
    }

    /// Whether there is something to read at `position`, or nothing will ever be.
    pub(crate) fn has(&self, position: u64) -> bool {
        self.resource.available_at(self.offset + position) > 0 || self.is_complete()
    }

    /// Bytes that are there, from the beginning of the body on.
    pub(crate) fn received(&self) -> u64 {
        let received = self.resource.available_at(self.offset);
        self.len.map_or(received, |len| received.min(len))
    }

    /// Whether every byte is in the store.
    pub fn is_complete(&self) -> bool {
        match self.len.or_else(|| self.unproven_end()) {
            Some(len) => self.resource.available_at(self.offset) >= len,
            None => self.resource.len().is_some(),
        }
    }

    /// How much of the body is there from its beginning on, between 0 and 1.
    pub fn fraction(&self) -> f64 {
        if self.is_complete() {
            return 1.0;
        }
        match self.len() {
            Some(len) if len > 0 => (self.received().min(len) as f64) / len as f64,
            _ => 0.0,
        }
    }

    /// Waits for bytes at `position` of the body and reads what is there, up to 8 KiB; `None` at its end.
    ///
    /// Cancel-safe. The buffer returns to `pool` when the last clone of the bytes is dropped.
    ///
    /// # Errors
    /// What the download or the store failed with; [`StorageError::Truncated`] where the resource was thrown away and
    /// begun anew since position 0 was read.
    pub async fn read(&mut self, position: u64, pool: &BytePool) -> Result<Option<Bytes>, StorageError> {
        let limit = match self.len {
            Some(len) if position >= len => return Ok(None),
            Some(len) => len - position,
            None => u64::MAX,
        };
        let at = self.offset + position;
        let outcome = self.wait_at(at).await?;
        let generation = self.resource.generation();
        if position == 0 {
            self.generation = Some(generation);
        } else if self.generation.is_some_and(|begun| begun != generation) {
            return Err(StorageError::Truncated { expected: at, actual: 0, committed: false });
        }
        if outcome == WaitOutcome::Eof {
            return match self.len {
                Some(_) => Err(StorageError::NotAvailable { offset: at }),
                None => Ok(None),
            };
        }
        let wanted = self.resource.available_at(at).clamp(1, READ_SIZE).min(limit) as usize;
        let mut buffer = pool.get_with(|buffer| {
            // At once to its final size: a buffer that grows doubles.
            buffer.reserve_exact(READ_SIZE as usize);
            buffer.resize(wanted, 0);
        });
        let read = self.resource.read_at(at, &mut buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        buffer.truncate(read);
        Ok(Some(buffer.freeze()))
    }

    /// Waits for the byte at `at` of the resource, or for the news that it will not come.
    async fn wait_at(&mut self, at: u64) -> Result<WaitOutcome, StorageError> {
        if let Some(fate) = &mut self.fate {
            let ending =
                async { fate.wait_for(Option::is_some).await.ok().and_then(|ending| ending.clone()) };
            tokio::select! {
                biased;
                outcome = self.resource.wait_range(at..at + 1) => return outcome,
                ending = ending => match ending {
                    Some(Ending::Failed(error)) => return Err(error),
                    Some(Ending::Unproven(len)) if at >= len => return Ok(WaitOutcome::Eof),
                    // The bytes are there; or the download has ended well, and there is no more news of it.
                    Some(Ending::Unproven(_)) => {}
                    None => self.fate = None,
                },
            }
        }
        self.resource.wait_range(at..at + 1).await
    }
}
