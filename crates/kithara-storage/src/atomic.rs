use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::StorageError;

/// A small object that is read and replaced as a whole.
pub trait Atomic: Clone + Send + Sync + 'static {
    /// The content, or `None` if there is none. Cancel-safe.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], [`StorageError::Io`].
    fn read(&self) -> impl Future<Output = Result<Option<Bytes>, StorageError>> + Send;

    /// Replaces the content. A crash at any moment, of the process or of the power, leaves the old or the new content. Once
    /// under way it completes even if the future is dropped.
    ///
    /// # Errors
    /// [`StorageError::Io`]: the old content is still there.
    fn write(&self, content: &[u8]) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes the content. Fine if there is none.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    fn remove(&self) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// An atomic object on disk or in memory.
#[derive(Clone, Debug)]
pub struct AtomicResource {
    _inner: Arc<()>,
}

#[allow(clippy::todo, unused_variables)]
impl AtomicResource {
    /// The object at `path`. Touches nothing.
    #[must_use]
    pub fn disk(path: impl AsRef<Path>) -> Self {
        todo!()
    }

    /// A new object in memory, without content.
    #[must_use]
    pub fn memory() -> Self {
        todo!()
    }

    /// [`Atomic::read`] for plain threads.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_blocking(&self) -> Result<Option<Bytes>, StorageError> {
        todo!()
    }

    /// [`Atomic::write`] for plain threads.
    ///
    /// # Errors
    /// As `write`.
    pub fn write_blocking(&self, content: &[u8]) -> Result<(), StorageError> {
        todo!()
    }

    /// [`Atomic::remove`] for plain threads.
    ///
    /// # Errors
    /// As `remove`.
    pub fn remove_blocking(&self) -> Result<(), StorageError> {
        todo!()
    }
}

#[allow(clippy::todo, unused_variables)]
impl Atomic for AtomicResource {
    async fn read(&self) -> Result<Option<Bytes>, StorageError> {
        todo!()
    }
    async fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        todo!()
    }
    async fn remove(&self) -> Result<(), StorageError> {
        todo!()
    }
}
