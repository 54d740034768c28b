//! Why bytes could not be demuxed.

use super::{Codec, Container, FourCc};

/// A failure of a demuxer. The demuxer stays usable: after [`Demuxer::reset`](super::Demuxer::reset) it takes a new
/// stream, whatever happened before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemuxError {
    /// The bytes break the rules of their container.
    #[error("malformed {container} at byte {offset}: {what}")]
    Malformed {
        /// The container whose rules are broken.
        container: Container,
        /// Which rule.
        what: &'static str,
        /// Bytes since the demuxer was made or reset.
        offset: u64,
    },
    /// Well-formed audio of a codec that the demuxer can name but not cut into packets.
    #[error("{container} carries {codec}, which is not supported")]
    UnsupportedCodec {
        /// The container that names the codec.
        container: Container,
        /// The codec.
        codec: Codec,
    },
    /// Audio under a protection scheme (Common Encryption and the like).
    #[error("{container} audio is encrypted with scheme '{scheme}', which is not supported")]
    Encrypted {
        /// The container.
        container: Container,
        /// The scheme of the `schm` box (`cenc`, `cbcs`, …), or the sample entry (`enca`) when there is none.
        scheme: FourCc,
    },
    /// A feature of the container or codec that we do not implement.
    #[error("{container} uses {what}, which is not supported")]
    Unsupported {
        /// The container.
        container: Container,
        /// The feature.
        what: &'static str,
    },
    /// The container is complete and has no audio track.
    #[error("{container} has no audio track")]
    NoAudio {
        /// The container.
        container: Container,
    },
    /// Audio that this build cannot decode.
    #[error("{container} carries {what}, which is not supported")]
    Refused {
        /// The container.
        container: Container,
        /// The codec, and what about it cannot be decoded.
        what: String,
    },
    /// Several audio tracks, none of which can be played.
    #[error("none of the audio tracks of {container} can be played: {found}")]
    NoPlayableTrack {
        /// The container.
        container: Container,
        /// The tracks, and why each cannot be played.
        found: String,
    },
    /// A size or count beyond the bounds in [`limits`](super::limits).
    #[error("{what} of {size} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// The declared value.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// The segment ended inside a packet or box. What was complete has been given out, and the demuxer is ready for the
    /// next segment.
    #[error("{container} ends {missing} bytes early")]
    Truncated {
        /// The container.
        container: Container,
        /// Bytes that the structure still called for (at least).
        missing: u64,
    },
}

impl DemuxError {
    /// The track that the error is about, without the container.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::UnsupportedCodec { codec, .. } => codec.to_string(),
            Self::Encrypted { scheme, .. } => format!("audio encrypted with scheme '{scheme}'"),
            Self::Unsupported { what, .. } => (*what).to_owned(),
            Self::Refused { what, .. } => what.clone(),
            Self::NoPlayableTrack { found, .. } => found.clone(),
            other => other.to_string(),
        }
    }

    /// True when fetching the same bytes again may help: only [`DemuxError::Truncated`].
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}
