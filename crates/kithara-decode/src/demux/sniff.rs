//! Which container bytes are in, by the bytes alone.

use std::fmt;

use super::{AdtsDemuxer, Codec, Demuxer, Fmp4Demuxer, MpegAudioDemuxer, TsDemuxer};

/// A container that has an incremental demuxer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// ISO base media: fragmented MP4 (CMAF), or a progressive file with its index in front.
    Fmp4,
    /// MPEG-2 transport stream.
    MpegTs,
    /// AAC in ADTS frames ("packed audio"), with or without ID3 tags.
    Adts,
    /// MPEG audio layers I to III ("packed audio"), with or without ID3 tags.
    MpegAudio,
}

impl Container {
    /// A demuxer for this container.
    pub fn demuxer(self) -> Box<dyn Demuxer> {
        match self {
            Self::Fmp4 => Box::new(Fmp4Demuxer::new()),
            Self::MpegTs => Box::new(TsDemuxer::new()),
            Self::Adts => Box::new(AdtsDemuxer::new()),
            Self::MpegAudio => Box::new(MpegAudioDemuxer::new()),
        }
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fmp4 => "MP4",
            Self::MpegTs => "MPEG-TS",
            Self::Adts => "ADTS",
            Self::MpegAudio => "MPEG audio",
        })
    }
}

/// What the first bytes of a segment say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sniff {
    /// It is this.
    Found(Container),
    /// Nothing contradicts, nothing is sure: ask again with more bytes, from the same start.
    NeedMore,
    /// Audio that we can name and have no demuxer for.
    Unsupported(Codec),
    /// Not media that we know.
    Unknown,
}

/// Chooses the container from the first bytes of a stream or segment.
///
/// Leading ID3 tags are skipped. MPEG-TS and framed audio are found behind some garbage as well, by several frames in a
/// row.
pub fn sniff(data: &[u8]) -> Sniff {
    let _ = data;
    todo!()
}

/// Like [`sniff`], when no more bytes will come: never [`Sniff::NeedMore`].
pub fn sniff_at_end(data: &[u8]) -> Sniff {
    match sniff(data) {
        Sniff::NeedMore => Sniff::Unknown,
        other => other,
    }
}
