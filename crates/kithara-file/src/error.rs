//! What can go wrong with one progressive file.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kithara_assets::AssetsError;
use kithara_decode::DecodeError;
use kithara_net::NetError;
use kithara_storage::StorageError;

/// Why a file cannot be opened, read or moved about in. Cheap to clone: one failure may reach many readers.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Not a URL that a file can be read from.
    #[error("cannot open {url}: {reason}")]
    InvalidUrl {
        /// What was given, redacted.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A local file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// The network failed, and trying again did not help.
    #[error("cannot download the file")]
    Net(#[from] NetError),
    /// The downloaded bytes cannot be stored or read back.
    #[error("cannot store or read the file's bytes")]
    Storage(#[from] StorageError),
    /// The asset store failed.
    #[error("the asset store failed")]
    Assets(#[from] AssetsError),
    /// The bytes did not become PCM.
    #[error("cannot decode the file")]
    Decode(#[source] Arc<DecodeError>),
    /// The server has another version of the file than the one whose bytes were already played. What was stored is
    /// gone; opening the URL again plays the new version.
    #[error("{url} changed on the server while it was played")]
    EntityChanged {
        /// The file, redacted.
        url: String,
    },
    /// Bytes are missing and the options forbid requests.
    #[error("byte {offset} of {url} is not stored, and the network must not be used")]
    Offline {
        /// The file, redacted.
        url: String,
        /// First missing byte.
        offset: u64,
    },
    /// The server sent bytes that contradict each other or HTTP, again and again.
    #[error("the server of {url} answers nonsense: {what}")]
    Server {
        /// The file, redacted.
        url: String,
        /// What it did.
        what: &'static str,
    },
    /// An endless stream has only what comes next: what was played is not kept, and a wait for more than is kept ahead of
    /// the reader would not end.
    #[error("byte {offset} of an endless stream is not kept")]
    Gone {
        /// The offset that was asked for.
        offset: u64,
    },
    /// The download has ended without a word: the runtime it ran in was shut down.
    #[error("the download was stopped from outside")]
    Stopped,
    /// Called outside of a tokio runtime.
    #[error("a file is opened inside a tokio runtime")]
    NoRuntime,
}

impl FileError {
    /// Whether the same call may succeed later with nothing changed but the state of the network or disk.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Net(error) => error.is_retryable(),
            Self::Storage(error) => error.is_retryable(),
            Self::Assets(error) => error.is_retryable(),
            Self::Decode(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Whether this build can never play it, however often it is tried.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Decode(error) if error.is_unsupported())
    }

    /// The HTTP status behind this error, if a server's answer is the reason.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Net(error) => error.status().map(|status| status.as_u16()),
            _ => None,
        }
    }

    /// The kind that this error has as an [`io::Error`].
    pub(crate) fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::Net(NetError::Timeout { .. }) => io::ErrorKind::TimedOut,
            Self::Net(error) if error.is_retryable() => io::ErrorKind::ConnectionReset,
            Self::Gone { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        }
    }
}

/// The file's own error comes back out of the decoder as itself; everything else is the decoder's.
impl From<DecodeError> for FileError {
    fn from(error: DecodeError) -> Self {
        if let DecodeError::Io(io) = &error
            && let Some(own) = io.get_ref().and_then(|inner| inner.downcast_ref::<Self>())
        {
            return own.clone();
        }
        Self::Decode(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use kithara_decode::DecodeError;
    use kithara_decode::demux::{Codec, Container, DemuxError};
    use kithara_net::{NetError, StatusCode};

    use super::FileError;

    #[test]
    fn an_error_tells_what_may_be_done_about_it() {
        let codec = DemuxError::UnsupportedCodec { container: Container::MpegTs, codec: Codec::Ac3 };
        for never in [DecodeError::Unsupported("HE-AAC".into()), codec.into()] {
            assert!(FileError::from(never).is_unsupported());
        }
        assert!(!FileError::from(DecodeError::Malformed("x".into())).is_unsupported());
        let url = "http://h/x".into();
        let gone = FileError::from(NetError::Status { url, status: StatusCode::GONE, retry_after: None });
        assert_eq!((gone.status(), gone.is_unsupported()), (Some(410), false));
        assert_eq!(FileError::Stopped.status(), None);
    }

    #[test]
    fn an_error_of_the_source_survives_the_decoder() {
        let own = FileError::Gone { offset: 7 };
        let through = FileError::from(DecodeError::Io(io::Error::new(own.io_kind(), own)));
        assert!(matches!(through, FileError::Gone { offset: 7 }));
        let other = FileError::from(DecodeError::Malformed("x".into()));
        assert!(matches!(other, FileError::Decode(_)) && !other.is_retryable());
    }
}
