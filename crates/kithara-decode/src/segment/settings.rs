//! What a [`SegmentDecoder`](super::SegmentDecoder) is told.

use std::time::Duration;

use bytes::Bytes;
use kithara_bufpool::SamplePool;

use crate::{CodecTable, OutputOptions};

/// How a [`SegmentDecoder`](super::SegmentDecoder) is to decode.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SegmentDecoderSettings {
    /// Where the sample buffers of the chunks come from.
    pub pool: SamplePool,
    /// Rate and channels of the output. Default: those of the first segment decoded.
    pub output: OutputOptions,
    /// Which decoder decodes which codec. Default: those of this build.
    pub codecs: CodecTable,
    /// Give out each format as it is instead of converting all to the first: the chunks tell their rate and channels
    /// ([`PcmChunk::spec`](crate::PcmChunk::spec)), and their positions count frames of their own rate. Then
    /// `output` means nothing. Default `false`.
    pub native: bool,
    /// Hide the encoder delay that the edit list of fragmented MP4 tells of. Default `false`: the reference decoder plays
    /// it. (The delay that a LAME tag tells of is always hidden, as the reference decoder does.)
    pub edit_lists: bool,
    /// Packets in a row that may fail to decode (each is replaced by silence) before it is an error. Default 64.
    pub max_bad_packets: u32,
}

impl SegmentDecoderSettings {
    /// Settings with `pool` and the defaults for everything else.
    #[must_use]
    pub fn new(pool: SamplePool) -> Self {
        Self {
            pool,
            output: OutputOptions::default(),
            codecs: CodecTable::default(),
            native: false,
            edit_lists: false,
            max_bad_packets: 64,
        }
    }
}

/// Where a segment stands; given to [`SegmentDecoder::begin_segment`](super::SegmentDecoder::begin_segment).
#[derive(Clone, Debug, Default)]
pub struct SegmentStart {
    /// The init section (EXT-X-MAP) of this segment. The same `Bytes` means the same init: the compare is cheap.
    pub init: Option<Bytes>,
    /// Where the segment begins by the playlist: the sum of EXTINF before it.
    pub timeline_start: Duration,
    /// Its EXTINF.
    pub duration: Duration,
    /// Whether it is the first segment of the presentation: then its first presented frame is frame 0.
    pub is_first: bool,
    /// EXT-X-DISCONTINUITY before it: timestamps restart, and the codec may change.
    pub discontinuity: bool,
    /// Which variant it belongs to. A change means another demuxer; the codec continues when its parameters are equal.
    pub variant: usize,
    /// Number of its discontinuity domain (EXT-X-DISCONTINUITY-SEQUENCE and the tags up to it): timestamps of one domain are
    /// never compared with those of another. Default 0.
    pub domain: u64,
    /// Where its first packet is expected, for a segment that does not follow the last one fed. Default `None`:
    /// `timeline_start` is all that is known.
    pub expected: Option<Expected>,
}

/// Where the first packet of a segment is expected, in frames of the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// Frames from the presentation's start, at `rate`. Negative where an encoder delay is hidden.
    pub frame: i64,
    /// Frames per second.
    pub rate: u32,
    /// The playlist's durations are whole numbers of packets: timestamps that disagree are wrong. Otherwise `frame` is
    /// rough, and timestamps near it are believed.
    pub is_exact: bool,
}

impl Expected {
    /// Frame `frame` at `rate`, exact or rough.
    #[must_use]
    pub fn new(frame: i64, rate: u32, is_exact: bool) -> Self {
        Self { frame, rate: rate.max(1), is_exact }
    }
}

/// Where the first packet of a segment was placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentPosition {
    /// Frames from the presentation's start, at `rate`. Negative where an encoder delay is hidden.
    pub frame: i64,
    /// Frames per second of the packet as it decodes.
    pub rate: u32,
    /// It was counted from, or has timestamps of, a known place, or the playlist is exact. False: it may be off by as much as
    /// the playlist's durations are.
    pub is_certain: bool,
    /// The segment was read by a demuxer of its own: its first packet begins in it.
    pub is_whole: bool,
}

/// The media time that is frame 0 of the presentation. Opaque: learn it from one decoder, set it in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Anchor {
    /// Media time, after the track's own edit list, in ticks of `timescale`.
    pub media_time: i64,
    /// Ticks per second. Never 0.
    pub timescale: u32,
    /// Frames of encoder delay that stand before frame 0, at the rate of the track.
    pub lead: u32,
}
