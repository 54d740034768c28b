#![doc = include_str!("../README.md")]

pub mod demux;

/// The table of containers, and what is needed to add one of your own to [`DecodeOptions::formats`].
pub mod formats {
    pub use crate::media::{
        Event, FormatDescriptor, FormatReader, FormatTable, Open, OpenContext, Opened, Packet, Probe, Search,
        Stream, Window,
    };
}

mod ahead;
mod channels;
mod codecs;
mod error;
mod headers;
mod media;
mod output;
mod pcm;
mod pipeline;
mod reader;
mod resample;
mod rescale;
mod segment;
mod source;

pub use ahead::{DecodeAhead, DecodeAheadSettings, PCM_CHANNEL_CAPACITY};
pub use channels::{ChannelLayout, Mixer as ChannelMixer};
pub use codecs::{
    CodecDecoder, CodecDescriptor, CodecParameters, CodecTable, Decoded, PacketDecoder, PacketError, Preroll,
    interleave_f32, interleave_f32_scalar,
};
pub use error::DecodeError;
pub use media::{
    ByteSource, Chapter, DecodeOptions, Gains, Interrupter, MediaDecoder, MediaDetails, MediaEvent, Picture,
    Tags,
};
pub use output::OutputOptions;
pub use pcm::{AudioSpec, PcmChunk};
pub use reader::{BlockingError, PcmReader};
pub use resample::{ResampleQuality, ResamplerProcessor};
pub use segment::{Anchor, Expected, SegmentDecoder, SegmentDecoderSettings, SegmentPosition, SegmentStart};
pub use source::PcmSource;

/// Whether this build decodes Opus: the feature `opus`.
pub const DECODES_OPUS: bool = cfg!(feature = "opus");

/// Whether this build decodes HE-AAC: every build does.
pub const DECODES_HE_AAC: bool = true;
