//! What can go wrong between bytes and PCM.

use std::io;

use crate::demux::DemuxError;

/// Why bytes did not become PCM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The media is sound but uses something this build cannot decode, named here ("HE-AAC", "AAC with 6 channels").
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// The bytes claim to be media but break its rules.
    #[error("malformed media: {0}")]
    Malformed(String),
    /// Nothing in the first bytes looks like any container or codec we know.
    #[error("not audio in any known format ({0})")]
    NotMedia(String),
    /// A transport stream without a packet of audio as far as one is looked for.
    #[error("no audio in the first {budget} bytes of a transport stream")]
    NoAudioFound {
        /// Bytes that are searched: see [`DecodeOptions::probe_budget`](crate::DecodeOptions::probe_budget).
        budget: u64,
    },
    /// A demuxer gave up.
    #[error("cannot read the container")]
    Demux(#[source] DemuxError),
    /// Too many packets in a row could not be decoded.
    #[error("{count} packets in a row could not be decoded: {last}")]
    TooManyBadPackets {
        /// Packets that failed without a good one between them.
        count: u32,
        /// What the codec said about the last of them.
        last: String,
    },
    /// The source of the bytes failed.
    #[error("cannot read the source")]
    Io(#[source] io::Error),
    /// The resampler refused the pair of rates.
    #[error("cannot resample from {from} Hz to {to} Hz: {reason}")]
    Resample {
        /// Input rate in Hz.
        from: u32,
        /// Output rate in Hz.
        to: u32,
        /// What the resampler said.
        reason: String,
    },
    /// The decoding thread panicked or ended without a word.
    #[error("the decoding worker failed: {0}")]
    Worker(String),
}

impl DecodeError {
    /// Whether the same call may succeed later with nothing changed but the state of the network or disk.
    ///
    /// Only a failing source is retryable; the bytes themselves do not get better.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Io(error) => matches!(
                error.kind(),
                io::ErrorKind::TimedOut
                    | io::ErrorKind::WouldBlock
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::HostUnreachable
            ),
            _ => false,
        }
    }

    /// Whether the media is sound and this build can never play it: another encoding may do, another try will not.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Unsupported(_)
                | Self::Demux(
                    DemuxError::UnsupportedCodec { .. }
                        | DemuxError::Unsupported { .. }
                        | DemuxError::Encrypted { .. }
                        | DemuxError::NoAudio { .. }
                        | DemuxError::NoPlayableTrack { .. }
                        | DemuxError::Refused { .. }
                )
        )
    }
}

impl From<DemuxError> for DecodeError {
    fn from(error: DemuxError) -> Self {
        Self::Demux(error)
    }
}

impl From<io::Error> for DecodeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
