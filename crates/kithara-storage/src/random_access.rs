//! Any storage behind the `RandomAccess` trait as a backend.

use std::io;
use std::path::Path;

use random_access_storage::{RandomAccess, RandomAccessError};
use tokio::sync::Mutex;

use crate::StorageError;

/// random-access-disk 3 and 4 return zeros past this many bytes of one read.
const MAX_READ: u64 = 2 * 1024 * 1024;

pub(crate) type DynRandomAccess = Box<dyn RandomAccess + Send>;

/// The trait asks for `&mut` throughout: so all I/O stands in one line.
pub(crate) struct RandomAccessBackend {
    storage: Mutex<DynRandomAccess>,
}

impl RandomAccessBackend {
    pub(crate) fn new(storage: DynRandomAccess) -> Self {
        Self { storage: Mutex::new(storage) }
    }

    /// Reads up to 2 MiB at once. Zero: the storage is shorter than that.
    pub(crate) async fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        let want = (buf.len() as u64).min(MAX_READ);
        let mut storage = self.storage.lock().await;
        let len = storage.len().await.map_err(|e| error("measure", e))?;
        let want = want.min(len.saturating_sub(offset));
        if want == 0 {
            return Ok(0);
        }
        let bytes = storage.read(offset, want).await.map_err(|e| error("read", e))?;
        let read = bytes.len().min(buf.len());
        buf[..read].copy_from_slice(&bytes[..read]);
        Ok(read)
    }

    pub(crate) async fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.storage.lock().await.write(offset, data).await.map_err(|e| error("write", e))
    }

    pub(crate) async fn truncate(&self, len: u64) -> Result<(), StorageError> {
        self.storage.lock().await.truncate(len).await.map_err(|e| error("truncate", e))
    }

    pub(crate) async fn commit(&self, len: u64) -> Result<(), StorageError> {
        let mut storage = self.storage.lock().await;
        if storage.len().await.map_err(|e| error("measure", e))? != len {
            storage.truncate(len).await.map_err(|e| error("truncate", e))?;
        }
        storage.sync_all().await.map_err(|e| error("sync", e))
    }

    pub(crate) async fn sync(&self) -> Result<(), StorageError> {
        self.storage.lock().await.sync_all().await.map_err(|e| error("sync", e))
    }
}

fn error(action: &'static str, error: RandomAccessError) -> StorageError {
    let source = match error {
        RandomAccessError::IO { source, .. } => source,
        other => io::Error::other(other),
    };
    StorageError::io(action, Path::new(""), source)
}
