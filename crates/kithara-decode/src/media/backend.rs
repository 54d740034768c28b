//! What every container gives: packets with positions, and seeking.

use std::time::Duration;

use symphonia::core::codecs::audio::AudioCodecParameters;

use super::details::Tags;
use crate::DecodeError;
use crate::codec::CodecDecoder;

/// A hole that positions tell of behind a loss is believed up to this length, in seconds.
pub(super) const MAX_HOLE_SECONDS: i64 = 3600;

/// One packet of the stream.
pub(super) struct Packet<'a> {
    pub(super) data: &'a [u8],
    /// Where its first decoded frame stands, in frames at the rate of the media; frame 0 is the first one presented.
    /// Looked at after an open, a seek and a stream's start; behind that, frames are counted. `None`: nobody can tell, and
    /// the packet is only there to prepare the codec.
    pub(super) position: Option<i64>,
    /// Frames it should decode to (at least 1), in case that it does not decode: at the rate of the media, as positions are.
    pub(super) frames: u64,
    /// Frames of its end that are not to be heard, at the rate that it decodes to.
    pub(super) trim_end: u64,
    /// Set when the packet needs a codec of other parameters than the one before.
    pub(super) change: Option<AudioCodecParameters>,
    /// Packets before it were lost: what the codec remembers does not belong to it, and its position is looked at.
    pub(super) is_discontinuity: bool,
}

pub(super) enum Event<'a> {
    Packet(Packet<'a>),
    /// Another stream follows (chained Ogg): its parameters.
    NewStream(AudioCodecParameters),
    End,
}

/// What a container says when it is opened.
pub(super) struct Opened {
    pub(super) backend: Box<dyn Backend>,
    pub(super) codec: CodecDecoder,
    pub(super) stream: Stream,
}

/// The audio stream, as the container describes it.
pub(super) struct Stream {
    pub(super) container: &'static str,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) bits_per_sample: Option<u32>,
    /// Frames presented in all, at `sample_rate`; what comes behind is dropped.
    pub(super) end: Option<u64>,
    /// Frames presented in all, where nothing has to be dropped for it.
    pub(super) total: Option<u64>,
    /// A guess at the length where the frames are not known.
    pub(super) estimate: Option<Duration>,
    /// Frames before a target that the codec must have decoded.
    pub(super) preroll: u64,
    pub(super) tags: Tags,
}

pub(super) trait Backend: Send {
    /// The next packet.
    fn next(&mut self) -> Result<Event<'_>, DecodeError>;

    /// Moves so that the next packet begins at or before `frame` (negative: at the very start), as near as the container
    /// allows. `false` when the stream ends before `frame`.
    fn seek(&mut self, frame: i64) -> Result<bool, DecodeError>;

    /// Whether the position of the next packet is an estimate since the last seek. Default: never.
    fn is_estimated(&self) -> bool {
        false
    }

    /// Whether more follows than was told when the file was opened. Default: never.
    fn goes_on(&self) -> bool {
        false
    }

    /// What the length turned out to be about, where that is not what was told when the file was opened. Default: nothing.
    fn length(&self) -> Option<Duration> {
        None
    }

    /// Ends an interruption of the source.
    fn resume(&mut self);
}
