//! The error of this crate.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use kithara_assets::AssetsError;
use kithara_decode::DecodeError;
use kithara_decode::demux::DemuxError;
use kithara_net::{NetError, RedactedUrl};
use kithara_storage::StorageError;
use url::Url;

use crate::playlist::PlaylistError;

/// What was being fetched when an error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetching {
    /// The playlist that was opened.
    Playlist,
    /// A variant's media playlist.
    MediaPlaylist,
    /// An initialization section (`EXT-X-MAP`).
    Init,
    /// A decryption key (`EXT-X-KEY`).
    Key,
    /// A media segment, by its index in the media playlist.
    Segment(usize),
}

impl Fetching {
    /// What a request is for, as observers of the network see it.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Playlist | Self::MediaPlaylist => "playlist",
            Self::Init => "init",
            Self::Key => "key",
            Self::Segment(_) => "segment",
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

impl fmt::Display for Fetching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Playlist => write!(f, "the playlist"),
            Self::MediaPlaylist => write!(f, "the media playlist"),
            Self::Init => write!(f, "the initialization section"),
            Self::Key => write!(f, "the key"),
            Self::Segment(index) => write!(f, "segment {index}"),
        }
    }
}

/// Why an HLS stream cannot be opened or goes no further.
///
/// URLs are shown without query values and credentials, in `Debug` too; keys are never shown.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HlsError {
    /// The network did not deliver.
    #[error("fetching {what} {}", RedactedUrl(url))]
    Net {
        /// What was being fetched.
        what: Fetching,
        /// From where.
        url: Url,
        /// Why it failed.
        source: NetError,
    },
    /// The body at this URL is not a playlist that can be played.
    #[error("reading the playlist {}", RedactedUrl(url))]
    Playlist {
        /// The playlist.
        url: Url,
        /// Where and why.
        source: PlaylistError,
    },
    /// The playlist is well formed and holds nothing to play.
    #[error("the playlist {} {reason}", RedactedUrl(url))]
    Empty {
        /// The playlist.
        url: Url,
        /// What is missing.
        reason: &'static str,
    },
    /// The stream is offline (see [`HlsOptions::offline`](crate::HlsOptions::offline)) and the store does not have this.
    #[error("offline, and {what} {} is not in the cache", RedactedUrl(url))]
    Offline {
        /// What was wanted.
        what: Fetching,
        /// Its URL.
        url: Url,
    },
    /// The asset store failed.
    #[error("storing {what} {}", RedactedUrl(url))]
    Assets {
        /// What was being stored or read.
        what: Fetching,
        /// Its URL.
        url: Url,
        /// Why it failed.
        source: AssetsError,
    },
    /// A stored body could not be read.
    #[error("reading {what} {}", RedactedUrl(url))]
    Storage {
        /// What was being read.
        what: Fetching,
        /// Its URL.
        url: Url,
        /// Why it failed.
        source: StorageError,
    },
    /// A segment could not be decoded.
    #[error("decoding {what} {}", RedactedUrl(url))]
    Decode {
        /// What was being decoded.
        what: Fetching,
        /// Its URL.
        url: Url,
        /// Why it failed.
        source: Arc<DecodeError>,
    },
    /// The key does not have the length that the method needs.
    #[error("the key {} has {len} bytes instead of {expected}", RedactedUrl(url))]
    BadKey {
        /// Where the key came from.
        url: Url,
        /// Its length in bytes.
        len: usize,
        /// The right length in bytes.
        expected: usize,
    },
    /// A `data:` URI of the playlist is not well formed. It is not shown: it may be a key.
    #[error("{what} stands in the playlist as a `data:` URI that is malformed")]
    BadDataUri {
        /// What it should be.
        what: Fetching,
    },
    /// The presentation needs something that Kithara does not do.
    #[error("unsupported: {what}")]
    Unsupported {
        /// The codec, encryption method or feature.
        what: String,
    },
    /// Every variant left the ladder; the source says why the last one did.
    #[error("no variant of {} can be played ({})", RedactedUrl(url), reasons.join("; "))]
    NoPlayableVariant {
        /// The opened playlist.
        url: Url,
        /// Why each variant left the ladder.
        reasons: Vec<String>,
        /// Why the last one did.
        source: Option<Arc<HlsError>>,
    },
    /// No such variant.
    #[error("variant {index} does not exist: the presentation has {count}")]
    NoSuchVariant {
        /// What was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The stream's worker ended before its time, which is a defect of this library.
    #[error("the stream's worker stopped: {reason}")]
    Worker {
        /// Its last words.
        reason: String,
    },
    /// Called outside of a tokio runtime.
    #[error("a presentation is opened inside a tokio runtime")]
    NoRuntime,
}

impl fmt::Debug for HlsError {
    /// What a program prints whose `main` fails: derived, it would show URLs with their passwords and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Net { .. } => "Net",
            Self::Playlist { .. } => "Playlist",
            Self::Empty { .. } => "Empty",
            Self::Offline { .. } => "Offline",
            Self::Assets { .. } => "Assets",
            Self::Storage { .. } => "Storage",
            Self::Decode { .. } => "Decode",
            Self::BadKey { .. } => "BadKey",
            Self::BadDataUri { .. } => "BadDataUri",
            Self::Unsupported { .. } => "Unsupported",
            Self::NoPlayableVariant { .. } => "NoPlayableVariant",
            Self::NoSuchVariant { .. } => "NoSuchVariant",
            Self::Worker { .. } => "Worker",
            Self::NoRuntime => "NoRuntime",
        };
        let mut text = f.debug_tuple(name);
        text.field(&format_args!("{self}"));
        if let Some(source) = self.source() {
            text.field(&source);
        }
        text.finish()
    }
}

impl HlsError {
    /// Whether the same call may succeed later without any change on the caller's side.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Net { source, .. } => source.is_retryable(),
            Self::Assets { source, .. } => source.is_retryable(),
            Self::Storage { source, .. } => source.is_retryable(),
            Self::NoPlayableVariant { source, .. } => {
                source.as_ref().is_some_and(|source| source.is_retryable())
            }
            _ => false,
        }
    }

    /// Whether this build can never play it: another variant may do, another try will not.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Decode { source, .. } => source.is_unsupported(),
            Self::Unsupported { .. } => true,
            _ => false,
        }
    }

    /// Whether the media is sound and holds no audio.
    pub(crate) fn is_without_audio(&self) -> bool {
        let Self::Decode { source, .. } = self else { return false };
        matches!(**source, DecodeError::Demux(DemuxError::NoAudio { .. }))
    }

    /// Whether the bytes changed or vanished while they were read: asked for again, the segment may be whole.
    pub(crate) fn is_of_other_bytes(&self) -> bool {
        match self {
            Self::Net { source, .. } => matches!(source, NetError::EntityChanged { .. }),
            Self::Storage { source, .. } => {
                source.is_damage()
                    || matches!(source, StorageError::Truncated { .. } | StorageError::NotAvailable { .. })
            }
            _ => false,
        }
    }

    /// Whether a segment arrived and its bytes are not what they should be: an error page, nothing at all, garbage.
    pub(crate) fn is_damaged(&self) -> bool {
        let Self::Decode { source, .. } = self else { return false };
        // What is sound and not supported does not get better.
        !self.is_unsupported()
            && matches!(
                **source,
                DecodeError::NotMedia(_)
                    | DecodeError::Malformed(_)
                    | DecodeError::Demux(_)
                    | DecodeError::TooManyBadPackets { .. }
            )
    }

    /// Whether an init section is what is wrong, not the segment that needs it.
    pub(crate) fn is_of_init(&self) -> bool {
        matches!(self, Self::Decode { what: Fetching::Init, .. })
    }

    /// An error that was read from the store; one that a failed fetch left there comes back as what it was.
    pub(crate) fn from_storage(what: Fetching, url: Url, source: StorageError) -> Self {
        if let StorageError::Source { source, .. } = &source
            && let Some(net) = source.downcast_ref::<NetError>()
        {
            return Self::Net { what, url, source: net.clone() };
        }
        Self::Storage { what, url, source }
    }

    /// Whether a server refused it, as it does once a URL has expired.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.status(), Some(401 | 403 | 410))
    }

    /// The HTTP status behind this error, if a server's answer is the reason.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Net { source, .. } => source.status().map(|status| status.as_u16()),
            Self::NoPlayableVariant { source, .. } => source.as_ref().and_then(|source| source.status()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use kithara_decode::demux::{Codec, Container};

    use super::*;

    #[test]
    fn a_program_whose_main_fails_prints_no_secret() {
        let url = || Url::parse("https://me:hunter2@example.com/a.m3u8?token=hunter2").unwrap();
        let last = HlsError::Decode {
            what: Fetching::Segment(3),
            url: url(),
            source: Arc::new(DecodeError::NotMedia("text".into())),
        };
        let all = HlsError::NoPlayableVariant {
            url: url(),
            reasons: vec![last.to_string()],
            source: Some(Arc::new(last)),
        };
        for text in [format!("{all:?}"), format!("{all:#?}")] {
            assert!(!text.contains("hunter2"), "{text}");
            for word in ["NoPlayableVariant", "Decode", "NotMedia", "example.com/a.m3u8?token=…"] {
                assert!(text.contains(word), "no {word} in {text}");
            }
        }
    }

    #[test]
    fn what_is_sound_and_not_supported_is_not_damaged() {
        let container = Container::MpegTs;
        let of = |source: DemuxError| HlsError::Decode {
            what: Fetching::Segment(0),
            url: Url::parse("https://example.com/0.ts").unwrap(),
            source: Arc::new(source.into()),
        };
        for sound in [
            DemuxError::UnsupportedCodec { container, codec: Codec::Ac3 },
            DemuxError::Unsupported { container, what: "scrambling" },
            DemuxError::NoAudio { container },
        ] {
            let error = of(sound);
            assert!(error.is_unsupported() && !error.is_damaged(), "{error:?}");
        }
        for broken in [
            DemuxError::Malformed { container, what: "a rule", offset: 0 },
            DemuxError::Truncated { container, missing: 1 },
        ] {
            let error = of(broken);
            assert!(!error.is_unsupported() && error.is_damaged(), "{error:?}");
        }
    }
}
