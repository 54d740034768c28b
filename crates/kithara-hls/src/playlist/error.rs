//! What can be wrong with a playlist.

use std::borrow::Cow;

/// A playlist that cannot be used, and the line that says so.
///
/// Holds no URL and no key: it may be logged as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct PlaylistError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: PlaylistErrorKind,
}

/// What is wrong with a playlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaylistErrorKind {
    /// There is no `#EXTM3U` where it must be: this is something else.
    #[error("not an HLS playlist: {found} instead of #EXTM3U{}", cure(found))]
    NotAPlaylist {
        /// The kind of content that stands there.
        found: &'static str,
    },
    /// An M3U list of stations or files, which has the header of an HLS playlist and none of its tags.
    #[error(
        "this is an M3U list of stations, not HLS: open one of the addresses in it, or the list with `kithara::open`"
    )]
    StationList,
    /// No tag says whether it is a multivariant or a media playlist.
    #[error("the playlist is empty: it lists neither variants nor segments")]
    Empty,
    /// Tags of a multivariant playlist and tags of a media playlist stand in one file.
    #[error("{tag} belongs in a {expected} playlist, and this is a {actual} playlist")]
    MixedTags {
        /// The tag that does not belong.
        tag: &'static str,
        /// The kind of playlist where it belongs.
        expected: &'static str,
        /// The kind of this playlist, by the tags before.
        actual: &'static str,
    },
    /// The specification is violated so that the playlist cannot be understood.
    #[error("malformed {tag}: {reason}")]
    Malformed {
        /// The tag, or what else the line is.
        tag: &'static str,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// Well-formed, and Kithara does not do it.
    #[error("unsupported: {what}")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
    /// A bound of [`Limits`](super::Limits) is exceeded.
    #[error("too large: more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
}

/// The way to what the application wants.
fn cure(found: &str) -> &'static str {
    match found {
        "an HTML document" => {
            "; this is a web page: open the address of the stream itself (a portal that wants a login answers with a page, too)"
        }
        "a DASH manifest (MPD)" | "a Smooth Streaming manifest" => {
            ", which is not supported: ask the provider for the HLS address (it mostly ends in .m3u8)"
        }
        "a PLS list of stations" | "an M3U list of addresses" => {
            "; open one of the addresses in it, or the list with `kithara::open`"
        }
        "an audio file or a station" | "binary data" => {
            "; a file or a station's address is opened with `kithara::open` or `kithara-file`"
        }
        _ => "",
    }
}

impl PlaylistError {
    /// Whether the playlist is well formed and needs something that Kithara does not do.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self.kind, PlaylistErrorKind::Unsupported { .. })
    }

    /// Whether the same text may parse another time: it never does.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        false
    }
}

/// A violation of the specification that was tolerated, as players do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong, and what was done about it.
    pub text: Cow<'static, str>,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}
