use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::{RangeSet, ResourceStatus, StorageError, StorageSettings, Streaming, WaitOutcome, WriteClaim};

/// A resource on disk or in memory. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct StreamingResource {
    _inner: Arc<()>,
}

#[allow(clippy::todo, unused_variables)]
impl StreamingResource {
    /// Opens the resource `path` on disk.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn disk(path: impl AsRef<Path>, settings: StorageSettings) -> Result<Self, StorageError> {
        todo!()
    }

    /// A new, empty resource in memory.
    #[must_use]
    pub fn memory() -> Self {
        todo!()
    }
}

#[allow(clippy::todo, unused_variables)]
impl Streaming for StreamingResource {
    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        todo!()
    }
    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        todo!()
    }
    async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        todo!()
    }
    fn available(&self) -> RangeSet {
        todo!()
    }
    fn available_at(&self, offset: u64) -> u64 {
        todo!()
    }
    fn status(&self) -> ResourceStatus {
        todo!()
    }
    fn len(&self) -> Option<u64> {
        todo!()
    }
    fn expected_len(&self) -> Option<u64> {
        todo!()
    }
    fn set_expected_len(&self, len: u64) {
        todo!()
    }
    fn tag(&self) -> Option<Bytes> {
        todo!()
    }
    fn set_tag(&self, tag: Option<Bytes>) {
        todo!()
    }
    fn generation(&self) -> u64 {
        todo!()
    }
    async fn commit(&self, len: u64) -> Result<(), StorageError> {
        todo!()
    }
    fn fail(&self, error: StorageError) {
        todo!()
    }
    async fn reset(&self) -> Result<(), StorageError> {
        todo!()
    }
    async fn flush(&self) -> Result<(), StorageError> {
        todo!()
    }
    async fn claim(&self) -> Result<WriteClaim, StorageError> {
        todo!()
    }
    fn try_claim(&self) -> Result<Option<WriteClaim>, StorageError> {
        todo!()
    }
}
