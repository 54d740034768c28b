//! A segment's body: a window of a stored resource that may still be arriving.

use kithara_bufpool::BytePool;
use kithara_storage::{StorageError, Streaming, WaitOutcome};

use bytes::Bytes;

use crate::fetch::Window;

/// Bytes that are handed to the demuxer at once, at most.
const READ_SIZE: u64 = 32 * 1024;

/// A handle on `[offset, offset + len)` of a resource, or on all of it.
///
/// It costs a reference count: the bytes stay in the store until they are read.
#[derive(Debug, Clone)]
pub struct SegmentBody<R> {
    resource: R,
    offset: u64,
    len: Option<u64>,
}

impl<R: Streaming> SegmentBody<R> {
    /// A window of `resource`, or all of it.
    pub(crate) fn new(resource: R, window: Option<Window>) -> Self {
        match window {
            None => Self { resource, offset: 0, len: None },
            Some(Window { offset, len }) => Self { resource, offset, len: Some(len) },
        }
    }

    /// The resource behind the window.
    pub fn resource(&self) -> &R {
        &self.resource
    }

    /// Length of the body in bytes, once it is known.
    pub fn len(&self) -> Option<u64> {
        self.len.or_else(|| self.resource.len()).or_else(|| self.resource.expected_len())
    }

    /// Whether every byte is in the store.
    pub fn is_complete(&self) -> bool {
        match self.len {
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
            Some(len) if len > 0 => {
                (self.resource.available_at(self.offset).min(len) as f64) / len as f64
            }
            _ => 0.0,
        }
    }

    /// Waits for bytes at `position` of the body and reads what is there, up to 32 KiB; `None` at its end.
    ///
    /// Cancel-safe. The buffer returns to `pool` when the last clone of the bytes is dropped.
    pub async fn read(&self, position: u64, pool: &BytePool) -> Result<Option<Bytes>, StorageError> {
        let limit = match self.len {
            Some(len) if position >= len => return Ok(None),
            Some(len) => len - position,
            None => u64::MAX,
        };
        let at = self.offset + position;
        if self.resource.wait_range(at..at + 1).await? == WaitOutcome::Eof {
            return match self.len {
                Some(_) => Err(StorageError::NotAvailable { offset: at }),
                None => Ok(None),
            };
        }
        let wanted = self.resource.available_at(at).clamp(1, READ_SIZE).min(limit) as usize;
        let mut buffer = pool.get_with(|buffer| buffer.resize(wanted, 0));
        let read = self.resource.read_at(at, &mut buffer).await?;
        if read == 0 {
            return Ok(None);
        }
        buffer.truncate(read);
        Ok(Some(buffer.freeze()))
    }
}
