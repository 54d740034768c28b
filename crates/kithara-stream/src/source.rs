//! [`Source`]: random access to bytes, some of which are still to come.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use kithara_storage::WaitOutcome;

use crate::MediaInfo;

/// Bytes with random access that may still be on their way: a read waits for them.
///
/// Both futures are cancel-safe: dropping them takes nothing away.
pub trait Source: Send + Sync + 'static {
    /// Why bytes could not be had.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until all bytes of `range` that exist can be read, or the source is known to end before `range`.
    fn wait_range(&self, range: Range<u64>) -> impl Future<Output = Result<WaitOutcome, Self::Error>> + Send;

    /// Reads bytes at `offset` into `buf`, waiting until there is at least one. Returns how many were read: as many as
    /// are there without waiting, at most `buf.len()`. `Ok(0)` means the true end (or an empty `buf`), nothing else.
    fn read_at(&self, offset: u64, buf: &mut [u8])
    -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Total length in bytes, if it is known by now.
    fn len(&self) -> Option<u64>;

    /// Whether the source is known to hold nothing.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Whether any offset can be read, or only the ones that follow the last read.
    fn is_seekable(&self) -> bool {
        true
    }

    /// How many bytes can be read from `offset` on without waiting for somebody to bring them. Default: none that are
    /// known of.
    fn available_at(&self, offset: u64) -> u64 {
        let _ = offset;
        0
    }

    /// Another number once the bytes that were read before are void, because the source began anew: who keeps some looks
    /// here before it uses them. Default: they never are.
    fn generation(&self) -> u64 {
        0
    }

    /// What is known about the format without looking at the bytes.
    fn media_info(&self) -> MediaInfo;

    /// The [`io::ErrorKind`] that `error` has as an [`io::Error`]. Never `WouldBlock`, `Interrupted` or `UnexpectedEof`,
    /// which callers of `Read` take for something other than a failure.
    fn error_kind(error: &Self::Error) -> io::ErrorKind {
        let _ = error;
        io::ErrorKind::Other
    }
}

/// A shared source is a source.
#[deny(clippy::missing_trait_methods)]
impl<S: Source> Source for Arc<S> {
    type Error = S::Error;

    fn wait_range(&self, range: Range<u64>) -> impl Future<Output = Result<WaitOutcome, Self::Error>> + Send {
        S::wait_range(self, range)
    }

    fn read_at(
        &self,
        offset: u64,
        buf: &mut [u8],
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send {
        S::read_at(self, offset, buf)
    }

    fn len(&self) -> Option<u64> {
        S::len(self)
    }

    fn is_empty(&self) -> bool {
        S::is_empty(self)
    }

    fn is_seekable(&self) -> bool {
        S::is_seekable(self)
    }

    fn available_at(&self, offset: u64) -> u64 {
        S::available_at(self, offset)
    }

    fn generation(&self) -> u64 {
        S::generation(self)
    }

    fn media_info(&self) -> MediaInfo {
        S::media_info(self)
    }

    fn error_kind(error: &Self::Error) -> io::ErrorKind {
        S::error_kind(error)
    }
}

/// A failure of the source as an [`io::Error`] that holds it.
pub(crate) fn source_error<S: Source>(error: S::Error) -> io::Error {
    io::Error::new(S::error_kind(&error), error)
}
