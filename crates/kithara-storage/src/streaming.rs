use std::future::Future;
use std::ops::Range;

use bytes::Bytes;

use crate::{RangeSet, StorageError, WriteClaim};

/// How a wait for bytes ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitOutcome {
    /// Every byte of the range that lies before the final length can be read.
    Ready,
    /// The resource is committed and ends at or before the start of the range.
    Eof,
}

/// Where a resource stands.
#[derive(Debug, Clone)]
pub enum ResourceStatus {
    /// Being filled, or waiting for somebody to fill it.
    Open,
    /// Complete: it has this length and will not change, short of a `reset`.
    Committed {
        /// Its length in bytes.
        len: u64,
    },
    /// Its last download failed. Stored bytes can be read; the next claim makes it open again.
    Failed(StorageError),
}

/// Bytes that arrive at any offset and in any order, read while they arrive.
///
/// Implemented by [`StreamingResource`](crate::StreamingResource) and by decorators. Handles are cheap clones of one
/// underlying resource. No method needs `&mut`; readers wait neither for each other nor for the writer.
///
/// Every future may be dropped at any await. Dropping `wait_range` or `claim` leaves no trace; dropping `read_at` discards
/// what it would have read; dropping `commit`, `reset` or `flush` does not stop what is already under way.
///
/// The trait has no default methods, so that a decorator has to decide about each of them.
#[allow(clippy::len_without_is_empty, reason = "an open resource of length zero is not empty but unknown")]
pub trait Streaming: Clone + Send + Sync + 'static {
    /// Waits until every byte of `range` is readable ([`WaitOutcome::Ready`]), or the resource is known to end before.
    ///
    /// Stored bytes count whatever the status is. `Ready` too when the resource is committed inside of the range: it then
    /// holds for the part before the end. An empty range is ready at once unless it begins at or after the end.
    ///
    /// # Errors
    /// The error that `fail` was given, if bytes of the range are missing; [`StorageError::InvalidRange`].
    fn wait_range(&self, range: Range<u64>)
    -> impl Future<Output = Result<WaitOutcome, StorageError>> + Send;

    /// Reads bytes that are there: `n > 0` of them, contiguous from `offset`, at most `buf.len()`.
    ///
    /// `Ok(0)` means the end of a *committed* resource and nothing else (or an empty `buf`).
    ///
    /// # Errors
    /// [`StorageError::NotAvailable`] when the byte at `offset` is not stored (yet), or the failure when there is one;
    /// [`StorageError::Truncated`] when stored bytes vanished beneath us; [`StorageError::Io`].
    fn read_at(
        &self,
        offset: u64,
        buf: &mut [u8],
    ) -> impl Future<Output = Result<usize, StorageError>> + Send;

    /// Stores `data` at `offset` and announces the range once a read of it returns the bytes.
    ///
    /// Whoever downloads holds the [`claim`](Self::claim) meanwhile; a write without one takes the lock against other
    /// processes by itself and keeps it while the resource is open. Bytes that are stored already should not be written
    /// again with other contents.
    ///
    /// # Errors
    /// [`StorageError::AlreadyCommitted`], [`StorageError::LockedElsewhere`], [`StorageError::InvalidRange`],
    /// [`StorageError::Io`]. Nothing is announced on an error.
    fn write_at(&self, offset: u64, data: &[u8]) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The ranges that can be read now.
    fn available(&self) -> RangeSet;

    /// How many bytes can be read from `offset` on without a gap. Allocates nothing.
    fn available_at(&self, offset: u64) -> u64;

    /// Where the resource stands.
    fn status(&self) -> ResourceStatus;

    /// The final length in bytes, once committed.
    fn len(&self) -> Option<u64>;

    /// The length that somebody announced (`Content-Length`), in bytes; the final one once committed. A hint: servers lie.
    fn expected_len(&self) -> Option<u64>;

    /// Announces the length that the resource will probably have, in bytes. No effect once committed.
    fn set_expected_len(&self, len: u64);

    /// A small note that belongs to the stored bytes of an unfinished resource: the validator (ETag, date) of the entity
    /// that they are part of. Kept with them over a restart, forgotten by `reset`; a committed resource that is opened anew
    /// has none.
    fn tag(&self) -> Option<Bytes>;

    /// Replaces the note. At most 4 KiB are kept; a longer one is no note.
    fn set_tag(&self, tag: Option<Bytes>);

    /// How often the resource was reset since it was opened. Bytes read under two generations are of two entities.
    fn generation(&self) -> u64;

    /// Ends the resource with `len` bytes. Readers see the end at once; returns when the bytes are safely stored under the
    /// final name. Bytes beyond `len` are dropped. Committing twice with one length is fine.
    ///
    /// # Errors
    /// [`StorageError::Incomplete`] when bytes below `len` are missing (the resource stays open);
    /// [`StorageError::AlreadyCommitted`] with another length; [`StorageError::Io`] when the bytes could not be made
    /// durable: they can be read as long as a handle lives, and the next process finds the resource unfinished.
    fn commit(&self, len: u64) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Reports that whoever fills the resource gave up. Wakes everybody who waits for a missing byte with `error`. What is
    /// stored stays. No effect once committed.
    fn fail(&self, error: StorageError);

    /// Drops everything stored, the note and the expected length: the entity has changed. Also undoes a commit. Those who
    /// wait go on waiting.
    ///
    /// # Errors
    /// [`StorageError::NotClaimed`] when the claim is not held; [`StorageError::Io`].
    fn reset(&self) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Gives back the space of `range` of an unfinished resource: those bytes are no longer available. For bodies without an
    /// end, which nobody can keep. Memory and disk give back whole pages or blocks. No effect once committed.
    ///
    /// # Errors
    /// [`StorageError::Io`]. The bytes are unavailable in any case.
    fn discard(&self, range: Range<u64>) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Makes durable what is stored: after that, even a power failure does not lose it. (A crash of the process loses at
    /// most the last few hundred KiB without this.)
    ///
    /// # Errors
    /// [`StorageError::Io`].
    fn flush(&self) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Waits for the exclusive right to fill the resource. Dropping the claim passes it on. Clears an earlier failure.
    ///
    /// Check `status` first: the previous holder may have completed the resource.
    ///
    /// # Errors
    /// [`StorageError::LockedElsewhere`] at once when another process fills it; [`StorageError::Io`].
    fn claim(&self) -> impl Future<Output = Result<WriteClaim, StorageError>> + Send;

    /// As [`claim`](Self::claim), but `None` instead of waiting when someone in this process holds it.
    ///
    /// # Errors
    /// As [`claim`](Self::claim).
    fn try_claim(&self) -> Result<Option<WriteClaim>, StorageError>;
}
