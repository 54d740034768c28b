//! What happens to a stream, as it happens.

use std::sync::Arc;
use std::time::Duration;

use kithara_decode::{MediaEvent, Tags};

use crate::FileError;

impl FileEvent {
    /// The event for one of the decoder's; `None` for those that are not passed on.
    pub(crate) fn of_media(event: MediaEvent) -> Option<Self> {
        Some(match event {
            MediaEvent::Truncated => Self::Truncated,
            MediaEvent::LengthCorrected(length) => Self::LengthCorrected { length },
            MediaEvent::TagsChanged(tags) => Self::TagsChanged { tags: Arc::new(*tags) },
            _ => return None,
        })
    }
}

/// An event of a [`FileStream`](crate::FileStream).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FileEvent {
    /// The whole file was in the store: nothing is asked of the server.
    CacheHit {
        /// Length in bytes.
        len: u64,
    },
    /// A part of the file was in the store.
    Continued {
        /// Bytes that were there.
        stored: u64,
    },
    /// The store cannot be used; the file is kept in memory as long as it plays.
    CacheUnavailable {
        /// Why.
        error: FileError,
    },
    /// The server could not be asked whether the stored file is still current; it plays as it is.
    NotValidated {
        /// Why.
        error: FileError,
    },
    /// A request goes out.
    Request {
        /// First byte asked for.
        offset: u64,
    },
    /// The head of a response is there.
    Response {
        /// First byte that the body holds.
        offset: u64,
        /// Length of the whole file, if the server tells.
        total: Option<u64>,
        /// From the request to here.
        latency: Duration,
    },
    /// The server sends whole files only: what lies ahead comes in order.
    NoRanges,
    /// More bytes are stored. Sent once per 256 KiB, and at the end.
    Progress {
        /// Bytes stored.
        stored: u64,
        /// Length of the file, if known.
        total: Option<u64>,
    },
    /// The transfer failed and is tried again.
    Retry {
        /// Why it failed.
        error: FileError,
        /// How long until the next try.
        pause: Duration,
    },
    /// The file ends before audio that its index names: playback ends with the last of it that is there.
    Truncated,
    /// The end was reached, and the length is another than was stated or estimated.
    LengthCorrected {
        /// The length.
        length: Duration,
    },
    /// Other metadata holds from here on: another stream begins in the file.
    TagsChanged {
        /// The metadata.
        tags: Arc<Tags>,
    },
    /// Whoever pulls PCM waits because bytes are missing.
    Stalled {
        /// The byte that is waited for.
        offset: u64,
    },
    /// The bytes that were waited for are there.
    Resumed {
        /// How long PCM was waited for.
        waited: Duration,
    },
    /// Playback moved.
    Seek {
        /// The frame that comes next.
        frame: u64,
    },
    /// The server has another version than the one stored; that was dropped before any of it was used.
    EntityChanged,
    /// An endless stream says what it is.
    Station {
        /// Name (`icy-name`).
        name: Option<String>,
        /// Genre (`icy-genre`).
        genre: Option<String>,
        /// Bitrate in kbit/s (`icy-br`).
        bitrate: Option<u32>,
    },
    /// An endless stream says what is playing.
    Title {
        /// `StreamTitle`.
        title: Option<String>,
        /// `StreamUrl`.
        url: Option<String>,
    },
    /// The whole file is stored and will be found complete the next time.
    Complete {
        /// Length in bytes.
        len: u64,
    },
    /// The download gave up. It tries again when somebody needs bytes, if the error says that this may help.
    Failed {
        /// Why.
        error: FileError,
    },
}
