//! [`Reader`]: a streaming resource as a [`Source`].

use std::ops::Range;

use kithara_storage::{StorageError, Streaming, WaitOutcome};

use crate::{MediaInfo, Source};

/// Reads one streaming resource while somebody else writes it.
///
/// It never asks for bytes: it waits until they are written. Its length is the final one once the resource is
/// committed, and what the writer expects it to be before that.
#[derive(Clone, Debug)]
pub struct Reader<R> {
    resource: R,
    info: MediaInfo,
}

impl<R: Streaming> Reader<R> {
    /// A reader of `resource`, whose bytes are said to be what `info` tells.
    pub fn new(resource: R, info: MediaInfo) -> Self {
        Self { resource, info }
    }

    /// The resource.
    pub fn resource(&self) -> &R {
        &self.resource
    }
}

#[deny(clippy::missing_trait_methods)]
impl<R: Streaming> Source for Reader<R> {
    type Error = StorageError;

    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        self.resource.wait_range(range).await
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            match self.resource.read_at(offset, buf).await {
                Err(StorageError::NotAvailable { .. }) => {}
                done => return done,
            }
            if self.resource.wait_range(offset..offset.saturating_add(1)).await? == WaitOutcome::Eof {
                return Ok(0);
            }
        }
    }

    fn len(&self) -> Option<u64> {
        self.resource.len().or_else(|| self.resource.expected_len())
    }

    fn is_empty(&self) -> bool {
        Source::len(self) == Some(0)
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn available_at(&self, offset: u64) -> u64 {
        self.resource.available_at(offset)
    }

    fn generation(&self) -> u64 {
        self.resource.generation()
    }

    fn media_info(&self) -> MediaInfo {
        self.info.clone()
    }

    fn error_kind(_: &StorageError) -> std::io::ErrorKind {
        std::io::ErrorKind::Other
    }
}
