//! Headers of the frames that MP3 and ADTS files are made of.

use crate::headers::adts::AdtsHeader;
use crate::headers::mpa::MpaHeader;

/// Which kind of frames a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    MpegAudio,
    Adts,
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the frame with its header; more than 7.
    pub(super) len: usize,
    /// Bytes before what the codec gets.
    pub(super) skip: usize,
    /// Frames of PCM.
    pub(super) frames: u32,
    pub(super) sample_rate: u32,
    /// 0: told inside the frame.
    pub(super) channels: u16,
    /// MPEG layer, or AAC object type.
    pub(super) layer: u8,
    /// Bits per second; 0 for ADTS.
    pub(super) bitrate: u32,
    /// Bytes of side information of an MPEG layer III frame.
    pub(super) side_info: usize,
    pub(super) is_lsf: bool,
}

/// Bytes that a header is read from.
pub(super) const HEADER_LEN: usize = 7;

impl Kind {
    /// Reads the header that `data` begins with.
    pub(super) fn parse(self, data: &[u8]) -> Option<Header> {
        match self {
            Self::MpegAudio => parse_mpeg(data),
            Self::Adts => parse_adts(data),
        }
    }
}

impl Header {
    /// Whether both can be frames of one stream.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        (self.sample_rate, self.layer, self.frames) == (other.sample_rate, other.layer, other.frames)
            && (self.channels == other.channels || self.layer == 3 && self.side_info > 0)
    }
}

fn parse_mpeg(data: &[u8]) -> Option<Header> {
    let header = MpaHeader::parse(data)?;
    (header.frame_len > HEADER_LEN).then(|| Header {
        len: header.frame_len,
        skip: 0,
        frames: header.frames(),
        sample_rate: header.sample_rate,
        channels: header.channels(),
        layer: header.layer,
        bitrate: header.bitrate,
        side_info: header.side_info_len(),
        is_lsf: header.is_low_rate(),
    })
}

fn parse_adts(data: &[u8]) -> Option<Header> {
    let header = AdtsHeader::parse(data)?;
    let (len, skip) = (usize::from(header.frame_len), header.header_len());
    (len > skip).then(|| Header {
        len,
        skip,
        frames: 1024 * u32::from(header.blocks),
        sample_rate: header.sample_rate(),
        channels: header.channels(),
        layer: header.object_type,
        bitrate: 0,
        side_info: 0,
        is_lsf: false,
    })
}
