use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kithara_blocking::drives_a_runtime;
use parking_lot::Mutex;

use crate::StorageError;
use crate::fs::FilePath;
use crate::replace::{Step, read_limited, remove, replace};
use crate::spawn_blocking::spawn_blocking_or_inline;

/// A small object that is read and replaced as a whole.
pub trait Atomic: Clone + Send + Sync + 'static {
    /// The content, or `None` if there is none. Cancel-safe.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`], [`StorageError::Io`].
    fn read(&self) -> impl Future<Output = Result<Option<Bytes>, StorageError>> + Send;

    /// Replaces the content. A crash at any moment, of the process or of the power, leaves the old or the new content, and
    /// once this returned the new one. Once under way it completes even if the future is dropped.
    ///
    /// # Errors
    /// [`StorageError::Io`]: the old content is still there, unless it was the very last step that failed.
    fn write(&self, content: &[u8]) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes the content. Fine if there is none.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    fn remove(&self) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// An atomic object on disk or in memory. Cloning gives another handle on it.
///
/// On disk a write goes to `NAME.new` in the same folder, which is locked meanwhile, synchronised, renamed to `NAME`, and the
/// folder synchronised. What a crash leaves of it blocks nobody and is used up by the next write. Two processes may write one
/// object: one after the other.
#[derive(Clone)]
pub struct AtomicResource {
    place: Place,
    limit: usize,
}

#[derive(Clone)]
enum Place {
    Disk(Arc<FilePath>),
    Memory(Arc<Mutex<Option<Bytes>>>),
}

impl AtomicResource {
    /// The most bytes that are read or written unless [`with_limit`](Self::with_limit) says otherwise: 64 MiB.
    pub const DEFAULT_LIMIT: usize = 64 * 1024 * 1024;

    /// The object at `path`. Touches nothing.
    #[must_use]
    pub fn disk(path: impl AsRef<Path>) -> Self {
        Self::at(FilePath::new(path.as_ref()))
    }

    /// The object at a path of which only a part is trusted. Touches nothing.
    #[must_use]
    pub fn at(path: FilePath) -> Self {
        Self { place: Place::Disk(Arc::new(path)), limit: Self::DEFAULT_LIMIT }
    }

    /// A new object in memory, without content.
    #[must_use]
    pub fn memory() -> Self {
        Self { place: Place::Memory(Arc::default()), limit: Self::DEFAULT_LIMIT }
    }

    /// Refuses contents above `limit` bytes, in both directions.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The path of the file, for an object on disk.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Disk(path) => Some(path.path()),
            Place::Memory(_) => None,
        }
    }

    /// [`Atomic::read`] for plain threads and `spawn_blocking`.
    ///
    /// # Errors
    /// As `read`, and [`StorageError::WouldBlockRuntime`] for a file on a thread that drives a runtime.
    pub fn read_blocking(&self) -> Result<Option<Bytes>, StorageError> {
        self.check_thread()?;
        self.read_now()
    }

    fn read_now(&self) -> Result<Option<Bytes>, StorageError> {
        match &self.place {
            Place::Disk(path) => read_limited(path, self.limit),
            Place::Memory(content) => Ok(content.lock().clone()),
        }
    }

    /// [`Atomic::write`] for plain threads and `spawn_blocking`.
    ///
    /// # Errors
    /// As `write`, and [`StorageError::WouldBlockRuntime`] for a file on a thread that drives a runtime.
    pub fn write_blocking(&self, content: &[u8]) -> Result<(), StorageError> {
        self.check_thread()?;
        self.write_now(content)
    }

    fn write_now(&self, content: &[u8]) -> Result<(), StorageError> {
        if content.len() > self.limit {
            return Err(StorageError::TooLarge { size: content.len() as u64, limit: self.limit as u64 });
        }
        match &self.place {
            Place::Disk(path) => replace(path, content, |_: Step| true)
                .map_err(|e| StorageError::io("replace", path.path(), e)),
            Place::Memory(place) => {
                *place.lock() = Some(Bytes::copy_from_slice(content));
                Ok(())
            }
        }
    }

    /// [`Atomic::remove`] for plain threads and `spawn_blocking`.
    ///
    /// # Errors
    /// As `remove`, and [`StorageError::WouldBlockRuntime`] for a file on a thread that drives a runtime.
    pub fn remove_blocking(&self) -> Result<(), StorageError> {
        self.check_thread()?;
        self.remove_now()
    }

    fn remove_now(&self) -> Result<(), StorageError> {
        match &self.place {
            Place::Disk(path) => remove(path).map_err(|e| StorageError::io("remove", path.path(), e)),
            Place::Memory(place) => {
                place.lock().take();
                Ok(())
            }
        }
    }

    fn check_thread(&self) -> Result<(), StorageError> {
        let is_file = matches!(self.place, Place::Disk(_));
        if is_file && drives_a_runtime() { Err(StorageError::WouldBlockRuntime) } else { Ok(()) }
    }

    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let this = self.clone();
        match &self.place {
            Place::Disk(_) => spawn_blocking_or_inline(move || work(this)).await?,
            Place::Memory(_) => work(this),
        }
    }
}

impl Atomic for AtomicResource {
    async fn read(&self) -> Result<Option<Bytes>, StorageError> {
        self.elsewhere(|this| this.read_now()).await
    }

    async fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        match &self.place {
            Place::Disk(_) => {
                let content = content.to_vec();
                self.elsewhere(move |this| this.write_now(&content)).await
            }
            Place::Memory(_) => self.write_now(content),
        }
    }

    async fn remove(&self) -> Result<(), StorageError> {
        self.elsewhere(|this| this.remove_now()).await
    }
}

impl fmt::Debug for AtomicResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Disk(path) => write!(f, "AtomicResource({})", path.path().display()),
            Place::Memory(_) => f.write_str("AtomicResource(memory)"),
        }
    }
}
