//! Disk I/O on a blocking thread.

use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::StorageError;
use crate::disk::DataFile;

/// The longest read that goes to a blocking thread at once, in bytes.
const MAX_COLD_READ: usize = 256 * 1024;

/// Reads from the disk on a blocking thread.
pub(crate) async fn read_cold(
    file: Arc<DataFile>,
    offset: u64,
    buf: &mut [u8],
) -> Result<std::io::Result<usize>, StorageError> {
    let want = buf.len().min(MAX_COLD_READ);
    if Handle::try_current().is_err() {
        return Ok(file.read(&mut buf[..want], offset));
    }
    let read = spawn_blocking_or_inline(move || {
        let mut bytes = vec![0; want];
        file.read(&mut bytes, offset).map(|read| (bytes, read))
    })
    .await?;
    Ok(read.map(|(bytes, read)| {
        buf[..read].copy_from_slice(&bytes[..read]);
        read
    }))
}

/// Runs `work` on a blocking thread of the runtime; without a runtime, on this thread.
pub(crate) async fn spawn_blocking_or_inline<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StorageError> {
    let Ok(runtime) = Handle::try_current() else { return Ok(work()) };
    runtime.spawn_blocking(work).await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => {
            StorageError::io("run on a blocking thread", Path::new(""), std::io::Error::other(error))
        }
    })
}
