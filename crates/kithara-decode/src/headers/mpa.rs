//! Frame headers of MPEG audio, layers I to III of MPEG-1, -2 and -2.5 (ISO/IEC 11172-3, 2.4.1.3; 13818-3).

use crate::demux::Codec;

/// The version of the standard that a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Mpeg1,
    Mpeg2,
    /// The extension to 8, 11.025 and 12 kHz.
    Mpeg25,
}

/// The header of an MPEG audio frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MpaHeader {
    pub(crate) version: Version,
    /// 1 to 3.
    pub(crate) layer: u8,
    pub(crate) sample_rate: u32,
    /// Bits per second.
    pub(crate) bitrate: u32,
    /// Bytes of the frame, header included.
    pub(crate) frame_len: usize,
    pub(crate) is_mono: bool,
    pub(crate) has_crc: bool,
}

/// Bytes that [`MpaHeader::parse`] reads.
pub(crate) const LEN: usize = 4;

/// Kilobits per second by index (0 is free format): MPEG-1 layers I to III, MPEG-2 layer I, MPEG-2 layers II and III.
const BITRATES: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

impl MpaHeader {
    /// Reads the header that `data` begins with. `None` for other bytes, and for free format, whose frames tell no length.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let &[0xFF, b1, b2, b3, ..] = data else { return None };
        if b1 & 0xE0 != 0xE0 {
            return None;
        }
        let (version, halvings) = match b1 >> 3 & 3 {
            0 => (Version::Mpeg25, 2),
            2 => (Version::Mpeg2, 1),
            3 => (Version::Mpeg1, 0),
            _ => return None,
        };
        let layer = 4 - (b1 >> 1 & 3);
        // Layer 4 and emphasis 2 are reserved.
        if layer == 4 || b3 & 3 == 2 {
            return None;
        }
        let row = match (version, layer) {
            (Version::Mpeg1, layer) => usize::from(layer) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let bitrate = u32::from(*BITRATES[row].get(usize::from(b2 >> 4).checked_sub(1)?)?) * 1000;
        let sample_rate = [44_100, 48_000, 32_000].get(usize::from(b2 >> 2 & 3))? >> halvings;
        let (is_mono, has_crc) = (b3 >> 6 == 3, b1 & 1 == 0);
        let mut header = Self { version, layer, sample_rate, bitrate, frame_len: 0, is_mono, has_crc };
        let padding = u32::from(b2 >> 1 & 1);
        let slots = |bits_per_slot: u32| bits_per_slot * bitrate / sample_rate + padding;
        header.frame_len = match (layer, header.is_low_rate()) {
            (1, _) => slots(12) * 4,
            (3, true) => slots(72),
            _ => slots(144),
        } as usize;
        Some(header)
    }

    /// Whether `data` begins with a valid header of free format.
    pub(crate) fn is_free_format(data: &[u8]) -> bool {
        let &[b0, b1, b2, b3, ..] = data else { return false };
        b2 & 0xF0 == 0 && Self::parse(&[b0, b1, b2 | 0x10, b3]).is_some()
    }

    /// MPEG-2 and -2.5: half the frames per packet in layer III, less side information.
    pub(crate) fn is_low_rate(&self) -> bool {
        self.version != Version::Mpeg1
    }

    /// PCM frames of one packet.
    pub(crate) fn frames(&self) -> u32 {
        match (self.layer, self.is_low_rate()) {
            (1, _) => 384,
            (3, true) => 576,
            _ => 1152,
        }
    }

    pub(crate) fn channels(&self) -> u16 {
        if self.is_mono { 1 } else { 2 }
    }

    pub(crate) fn codec(&self) -> Codec {
        match self.layer {
            1 => Codec::Mp1,
            2 => Codec::Mp2,
            _ => Codec::Mp3,
        }
    }

    /// Bytes of side information between the header and the main data; 0 for layers I and II.
    pub(crate) fn side_info_len(&self) -> usize {
        match (self.layer, self.is_low_rate(), self.is_mono) {
            (1 | 2, ..) => 0,
            (_, false, false) => 32,
            (_, false, true) | (_, true, false) => 17,
            (_, true, true) => 9,
        }
    }
}
