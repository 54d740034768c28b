//! The error of [`open`](crate::open) and of what it gives.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use kithara_file::FileError;
use kithara_hls::HlsError;

/// Why something cannot be opened or goes no further. Its text is one line that ends with the innermost cause; URLs in
/// it have lost query values and credentials.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// An HLS presentation failed.
    Hls(HlsError),
    /// A file or a station failed.
    File(FileError),
    /// This is neither a URL with the scheme `http`, `https` or `file` nor a path.
    Target {
        /// What was given.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Opening took longer than [`Options::with_open_timeout`](crate::Options::with_open_timeout) allows.
    Timeout {
        /// What was being opened.
        target: String,
        /// The time that it had.
        after: Duration,
    },
    /// A station list names nothing that can be opened.
    EmptyList {
        /// The list.
        target: String,
        /// Why its last entry failed.
        last: Option<Box<Error>>,
    },
    /// A cache folder cannot be used.
    Store(kithara_assets::AssetsError),
    /// The read was ended by [`StreamHandle::cancel`](crate::StreamHandle::cancel).
    Cancelled,
    /// A blocking call on a thread that drives an async runtime, which it would block.
    InsideRuntime,
    /// [`blocking::open`](crate::blocking::open) could not start its runtime.
    Runtime(io::Error),
}

impl Error {
    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Hls(error) => error.is_retryable(),
            Self::File(error) => error.is_retryable(),
            Self::Timeout { .. } | Self::Cancelled => true,
            Self::EmptyList { last, .. } => last.as_ref().is_some_and(|last| last.is_retryable()),
            Self::Store(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// The HTTP status behind it, if a server's answer is the reason.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Hls(error) => error.status(),
            Self::File(error) => error.status(),
            Self::EmptyList { last, .. } => last.as_ref().and_then(|last| last.status()),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hls(error) => write_chain(f, error),
            Self::File(error) => write_chain(f, error),
            Self::Target { target, reason } => write!(f, "{target:?} cannot be opened: {reason}"),
            Self::Timeout { target, after } => {
                write!(f, "opening {target} took longer than {:.1} s", after.as_secs_f64())
            }
            Self::EmptyList { target, last: None } => {
                write!(f, "the list {target} names no http or https URL")
            }
            Self::EmptyList { target, last: Some(last) } => {
                write!(f, "no entry of the list {target} can be opened, the last one because: {last}")
            }
            Self::Store(error) => write_chain(f, error),
            Self::Cancelled => f.write_str("the read was cancelled by a handle of the stream"),
            Self::InsideRuntime => f.write_str(
                "a blocking call inside an async runtime would block it: use kithara::open(…).await there, or call from a \
                 plain thread or spawn_blocking",
            ),
            Self::Runtime(error) => write!(f, "the runtime of a blocking stream cannot start: {error}"),
        }
    }
}

/// The error with its causes, each once.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &(dyn StdError + 'static)) -> fmt::Result {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    f.write_str(&line)
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The text holds the chain: a reporter that prints sources prints nothing twice.
        None
    }
}

impl From<HlsError> for Error {
    fn from(error: HlsError) -> Self {
        Self::Hls(error)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl From<kithara_assets::AssetsError> for Error {
    fn from(error: kithara_assets::AssetsError) -> Self {
        Self::Store(error)
    }
}
