use thiserror::Error;

/// Why a configuration, a header or a packet cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The bits contradict ISO/IEC 14496-3. The next packet may be whole: go on with it.
    #[error("The AAC {part} is malformed: {reason}.")]
    Malformed {
        /// The syntactic element that was being read, for example `packet` or `ADTS header`.
        part: &'static str,
        /// What contradicts the specification.
        reason: &'static str,
    },
    /// The packet ends within the named element. The next packet may be whole: go on with it.
    #[error("The AAC {part} is cut off: its bits end too early.")]
    Truncated {
        /// The syntactic element that was being read.
        part: &'static str,
    },
    /// A tool or an object type of MPEG-4 that this decoder does not have. Another decoder is needed.
    #[error("{feature} is not supported by this AAC decoder. Choose another variant or another decoder.")]
    Unsupported {
        /// The specification's name of it.
        feature: &'static str,
    },
    /// A LATM packet refers to a configuration that has not been received yet. Go on with the next packet.
    #[error("The AAC stream's configuration has not been received yet. It is repeated within the stream.")]
    NotConfigured,
}

impl Error {
    pub(crate) const fn malformed(part: &'static str, reason: &'static str) -> Self {
        Self::Malformed { part, reason }
    }

    pub(crate) const fn packet(reason: &'static str) -> Self {
        Self::Malformed { part: "packet", reason }
    }

    /// Whether a later packet of the same stream can be decoded.
    pub fn is_retryable(&self) -> bool {
        !matches!(self, Self::Unsupported { .. })
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
