//! Headers of the frames that MP3 and ADTS files are made of.

use crate::demux::aac::SAMPLE_RATES;

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

const BITRATES: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

fn parse_mpeg(data: &[u8]) -> Option<Header> {
    let &[0xFF, b1, b2, b3, ..] = data else { return None };
    if b1 & 0xE0 != 0xE0 || b3 & 3 == 2 {
        return None;
    }
    let halvings = match b1 >> 3 & 3 {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return None,
    };
    let layer = 4 - (b1 >> 1 & 3);
    if layer == 4 {
        return None;
    }
    let is_lsf = halvings > 0;
    let row = match (is_lsf, layer) {
        (false, layer) => usize::from(layer) - 1,
        (true, 1) => 3,
        (true, _) => 4,
    };
    let bitrate = u32::from(*BITRATES[row].get(usize::from(b2 >> 4).checked_sub(1)?)?) * 1000;
    let sample_rate = [44_100, 48_000, 32_000].get(usize::from(b2 >> 2 & 3))? >> halvings;
    let padding = u32::from(b2 >> 1 & 1);
    let (frames, len) = match (layer, is_lsf) {
        (1, _) => (384, (12 * bitrate / sample_rate + padding) * 4),
        (3, true) => (576, 72 * bitrate / sample_rate + padding),
        _ => (1152, 144 * bitrate / sample_rate + padding),
    };
    let is_mono = b3 >> 6 == 3;
    let side_info = match (layer, is_lsf, is_mono) {
        (3, false, false) => 32,
        (3, false, true) | (3, true, false) => 17,
        (3, true, true) => 9,
        _ => 0,
    };
    let channels = if is_mono { 1 } else { 2 };
    let len = len as usize;
    (len > HEADER_LEN).then_some(Header {
        len,
        skip: 0,
        frames,
        sample_rate,
        channels,
        layer,
        bitrate,
        side_info,
        is_lsf,
    })
}

fn parse_adts(data: &[u8]) -> Option<Header> {
    let &[0xFF, b1, b2, b3, b4, b5, b6, ..] = data else { return None };
    if b1 & 0xF6 != 0xF0 {
        return None;
    }
    let skip = if b1 & 1 == 1 { 7 } else { 9 };
    let sample_rate = *SAMPLE_RATES.get(usize::from(b2 >> 2 & 15))?;
    let channels = match (b2 & 1) << 2 | b3 >> 6 {
        7 => 8,
        count => u16::from(count),
    };
    let len = usize::from(b3 & 3) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
    let frames = 1024 * (u32::from(b6 & 3) + 1);
    let layer = (b2 >> 6) + 1;
    (len > skip).then_some(Header {
        len,
        skip,
        frames,
        sample_rate,
        channels,
        layer,
        bitrate: 0,
        side_info: 0,
        is_lsf: false,
    })
}
