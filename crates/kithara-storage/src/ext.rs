use std::future::Future;
use std::ops::Range;

use bytes::Bytes;

use crate::block_on::block_on_plain;
use crate::{StorageError, Streaming, WaitOutcome};

/// Conveniences over [`Streaming`], for every implementation of it.
pub trait StreamingExt: Streaming {
    /// Waits for the byte at `offset` and reads what is there from it on. `Ok(0)`: the end.
    ///
    /// # Errors
    /// As `wait_range` and `read_at`.
    fn read_ready(
        &self,
        offset: u64,
        buf: &mut [u8],
    ) -> impl Future<Output = Result<usize, StorageError>> + Send {
        async move {
            loop {
                match self.read_at(offset, buf).await {
                    Err(StorageError::NotAvailable { .. }) => {}
                    done => return done,
                }
                if self.wait_range(offset..offset.saturating_add(1)).await? == WaitOutcome::Eof {
                    return Ok(0);
                }
            }
        }
    }

    /// Waits for the whole resource and returns it.
    ///
    /// # Errors
    /// [`StorageError::TooLarge`] above `limit` bytes, else as [`read_ready`](Self::read_ready).
    fn read_to_end(&self, limit: usize) -> impl Future<Output = Result<Bytes, StorageError>> + Send {
        async move {
            let hint = self.expected_len().unwrap_or(0).min(1024 * 1024);
            let mut all = Vec::with_capacity(usize::try_from(hint).unwrap_or(0).min(limit));
            let mut buf = vec![0; 64 * 1024];
            loop {
                let read = self.read_ready(all.len() as u64, &mut buf).await?;
                if read == 0 {
                    return Ok(all.into());
                }
                if all.len() + read > limit {
                    let size = self.expected_len().unwrap_or(0).max((all.len() + read) as u64);
                    return Err(StorageError::TooLarge { size, limit: limit as u64 });
                }
                all.extend_from_slice(&buf[..read]);
            }
        }
    }

    /// [`Streaming::wait_range`] for plain threads and `spawn_blocking`: parks the thread.
    ///
    /// # Errors
    /// As `wait_range`, and [`StorageError::WouldBlockRuntime`] where it would have to wait on a thread that drives a runtime.
    fn wait_range_blocking(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        block_on_plain(self.wait_range(range))
    }

    /// [`Streaming::read_at`] for plain threads and `spawn_blocking`.
    ///
    /// # Errors
    /// As `read_at`, and [`StorageError::WouldBlockRuntime`] where it would have to wait on a thread that drives a runtime.
    fn read_at_blocking(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        block_on_plain(self.read_at(offset, buf))
    }
}

impl<S: Streaming> StreamingExt for S {}
