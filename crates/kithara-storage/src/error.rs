use std::error::Error;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Errors of a resource. Cheap to clone: one failure may reach many waiters.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The operation: "open", "read", "write", "sync", "rename", ...
        action: &'static str,
        /// To which file. Empty for a backend without files.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// No byte is stored at this offset yet: wait for it.
    #[error("no byte is stored at offset {offset} yet")]
    NotAvailable {
        /// The offset that was asked for.
        offset: u64,
    },
    /// The operation needs the write claim, which is not held.
    #[error("the resource is not claimed for writing")]
    NotClaimed,
    /// Another process, or another handle that was opened separately, writes this resource.
    #[error("{} is being written elsewhere", path.display())]
    LockedElsewhere {
        /// The unfinished file.
        path: PathBuf,
    },
    /// The stored bytes became fewer than were written: someone else shortened the file.
    ///
    /// An unfinished resource forgets what is missing, so that it can be downloaded again; of a committed one the rest is
    /// lost, and it should be removed.
    #[error("stored bytes have vanished: {expected} expected, {actual} found")]
    Truncated {
        /// Offset up to which bytes had been stored.
        expected: u64,
        /// Offset up to which there are any.
        actual: u64,
        /// Whether the resource was committed.
        committed: bool,
    },
    /// Stored bytes of a committed resource do not match their checksum: the disk, or another program, changed them. None of
    /// them was read. The resource should be removed and downloaded again.
    #[error("bytes {}..{} of {} do not match their checksum: the file is damaged", range.start, range.end, path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The bytes.
        range: Range<u64>,
    },
    /// A commit of a length whose bytes are not all there.
    #[error("cannot commit {len} bytes: {}..{} are missing", gap.start, gap.end)]
    Incomplete {
        /// The length of the attempted commit.
        len: u64,
        /// The first gap.
        gap: Range<u64>,
    },
    /// A write to a resource that is already committed, or a commit with another length.
    #[error("the resource is already committed with {len} bytes")]
    AlreadyCommitted {
        /// Its length.
        len: u64,
    },
    /// An offset that no file can have, or a range whose end lies before its start.
    #[error("bytes {}..{} cannot be addressed", range.start, range.end)]
    InvalidRange {
        /// The range.
        range: Range<u64>,
    },
    /// A blocking call on a thread that drives an async runtime, which it would block.
    #[error("a blocking call in a thread that drives an async runtime")]
    WouldBlockRuntime,
    /// A size above a limit.
    #[error("{size} bytes exceed the limit of {limit}")]
    TooLarge {
        /// The size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The failure that the writer reported by `fail`, or an error of a decorator (decryption).
    #[error("{source}")]
    Source {
        /// The cause.
        source: Arc<dyn Error + Send + Sync>,
        /// Whether another attempt may succeed.
        retryable: bool,
    },
}

impl StorageError {
    /// Wraps the failure of a writer, for [`Streaming::fail`](crate::Streaming::fail).
    pub fn source(source: impl Into<Box<dyn Error + Send + Sync>>, retryable: bool) -> Self {
        Self::Source { source: Arc::from(source.into()), retryable }
    }

    /// Wraps an error of the operating system.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether the same call may succeed later without anybody repairing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotAvailable { .. } | Self::LockedElsewhere { .. } => true,
            Self::Truncated { committed, .. } => !committed,
            Self::Source { retryable, .. } => *retryable,
            Self::Io { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::ResourceBusy
                )
            }
            _ => false,
        }
    }

    /// Whether a committed resource has lost or changed bytes, so that it has to be downloaded again.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Truncated { committed: true, .. })
    }

    /// Whether the disk is full or the quota used up.
    #[must_use]
    pub fn is_storage_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}
