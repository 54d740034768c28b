//! What reads a container: packets with positions, and seeking.

use std::time::Duration;

use super::details::Tags;
use crate::codecs::CodecParameters;
use crate::{ChannelLayout, DecodeError};

/// A hole that positions tell of behind a loss is believed up to this length, in seconds.
pub(super) const MAX_HOLE_SECONDS: i64 = 3600;

/// One packet of a [`FormatReader`].
#[derive(Debug)]
pub struct Packet<'a> {
    /// What the codec decodes.
    pub data: &'a [u8],
    /// Where its first decoded frame stands, in frames at the rate of the media; frame 0 is the first one presented.
    /// Looked at after an open, a seek and a stream's start; behind that, frames are counted. `None`: nobody can tell, and
    /// the packet is only there to prepare the codec.
    pub position: Option<i64>,
    /// Frames it should decode to (at least 1), in case that it does not decode: at the rate of the media, as positions are.
    pub frames: u64,
    /// Frames of its end that are not to be heard, at the rate that it decodes to.
    pub trim_end: u64,
    /// Set when the packet needs a codec of other parameters than the one before.
    pub change: Option<CodecParameters>,
    /// Packets before it were lost: what the codec remembers does not belong to it, and its position is looked at.
    pub is_discontinuity: bool,
}

/// What comes next in a container.
#[derive(Debug)]
pub enum Event<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// Silence up to a frame, at the rate of the media. The packet behind it does not follow the one before it.
    Silence {
        /// The frame behind the silence.
        until: u64,
    },
    /// Another stream follows (chained Ogg): its parameters.
    NewStream(CodecParameters),
    /// The stream is over.
    End,
}

/// An opened container.
pub struct Opened {
    /// Reads its packets.
    pub reader: Box<dyn FormatReader>,
    /// What the packets' decoder must be made for.
    pub codec: CodecParameters,
    /// The audio stream, as the container describes it.
    pub stream: Stream,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("codec", &self.codec)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The audio stream, as its container describes it.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Name of the container, as in [`MediaDetails::container`](crate::MediaDetails::container).
    pub container: &'static str,
    /// Frames per second; never 0.
    pub sample_rate: u32,
    /// Channels; never 0.
    pub channels: u16,
    /// Bits per sample of lossless media.
    pub bits_per_sample: Option<u32>,
    /// Frames presented in all, at `sample_rate`; what comes behind is dropped.
    pub end: Option<u64>,
    /// Frames presented in all, where nothing has to be dropped for it.
    pub total: Option<u64>,
    /// A guess at the length where the frames are not known.
    pub estimate: Option<Duration>,
    /// Frames that every packet decodes to, at `sample_rate`, where they are all alike.
    pub frames_per_packet: Option<u32>,
    /// Tags that stood before the audio.
    pub tags: Tags,
}

impl Stream {
    pub(super) fn spec(&self, layout: ChannelLayout) -> crate::AudioSpec {
        if layout.channels() == self.channels {
            crate::AudioSpec::with_layout(self.sample_rate, layout)
        } else {
            crate::AudioSpec::new(self.sample_rate, self.channels)
        }
    }
}

/// Reads the packets of one audio stream in a container.
pub trait FormatReader: Send + Sync {
    /// The next packet.
    ///
    /// # Errors
    /// The source cannot be read, or the container is damaged beyond what can be skipped.
    fn next(&mut self) -> Result<Event<'_>, DecodeError>;

    /// Moves so that the next packet begins at or before `frame` (negative: at the very start), as near as the container
    /// allows. `false` when the stream ends before `frame`.
    ///
    /// # Errors
    /// The source cannot be read or moved.
    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError>;

    /// Whether the position of the next packet is an estimate since the last seek. Default: never.
    fn is_estimated(&self) -> bool {
        false
    }

    /// Whether more follows than was declared when the file was opened. Default: never.
    fn exceeds_declared_length(&self) -> bool {
        false
    }

    /// What the length turned out to be about, where that is not what was declared when the file was opened. Default: `None`.
    fn length(&self) -> Option<Duration> {
        None
    }

    /// Metadata of a stream that has begun since the last call. Default: none.
    fn take_tags(&mut self) -> Option<Tags> {
        None
    }

    /// Whether the file ended before audio that its index names. Default: never.
    fn is_truncated(&self) -> bool {
        false
    }

    /// Ends an interruption of the source.
    fn resume(&mut self);
}
