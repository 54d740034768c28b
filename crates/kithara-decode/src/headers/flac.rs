//! FLAC: the STREAMINFO block and frame headers (RFC 9639, 8.2 and 9.1).

/// Bytes of a STREAMINFO block.
pub(crate) const STREAM_INFO_LEN: usize = 34;

/// What STREAMINFO declares; frames may contradict it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    pub(crate) min_block: u32,
    pub(crate) max_block: u32,
    /// Bytes of the shortest frame; 0: unknown.
    pub(crate) min_frame: u32,
    /// Hz; 0 in a stream that is no audio.
    pub(crate) sample_rate: u32,
    pub(crate) channels: u16,
    pub(crate) bits: u32,
    /// Samples per channel; `None` when unknown.
    pub(crate) total: Option<u64>,
}

impl StreamInfo {
    /// Reads the 34 bytes of a STREAMINFO block.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        let block = block.first_chunk::<STREAM_INFO_LEN>()?;
        let packed = u64::from_be_bytes(*block[10..18].first_chunk::<8>()?);
        let total = packed & 0xF_FFFF_FFFF;
        Some(Self {
            min_block: u32::from(u16::from_be_bytes([block[0], block[1]])),
            max_block: u32::from(u16::from_be_bytes([block[2], block[3]])),
            min_frame: u32::from_be_bytes([0, block[4], block[5], block[6]]),
            sample_rate: (packed >> 44) as u32,
            channels: (packed >> 41 & 7) as u16 + 1,
            bits: (packed >> 36 & 31) as u32 + 1,
            total: (total > 0).then_some(total),
        })
    }
}

/// A frame header whose checksum holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Number of the frame, or of its first sample where `is_variable`.
    pub(crate) number: u64,
    /// Blocks differ in length, and `number` counts samples.
    pub(crate) is_variable: bool,
    /// Samples per channel.
    pub(crate) block: u32,
    /// Hz; `None`: as STREAMINFO says.
    pub(crate) sample_rate: Option<u32>,
    pub(crate) channels: u16,
    /// Bits per sample; `None`: as STREAMINFO says.
    pub(crate) bits: Option<u32>,
    /// Bytes of the header, checksum included.
    pub(crate) len: usize,
}

/// Longest frame header, in bytes.
pub(crate) const FRAME_HEADER_MAX: usize = 16;

const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

impl FrameHeader {
    /// Reads the header that `data` begins with; `None` for other bytes or a wrong checksum.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let &[0xFF, sync @ (0xF8 | 0xF9), sizes, shape, first, ..] = data else { return None };
        let channels = match shape >> 4 {
            independent @ 0..=7 => u16::from(independent) + 1,
            8..=10 => 2,
            _ => return None,
        };
        let bits = match (shape & 1, shape >> 1 & 7) {
            (0, 0) => None,
            (0, 1) => Some(8),
            (0, 2) => Some(12),
            (0, code @ 4..=6) => Some(4 * u32::from(code)),
            (0, 7) => Some(32),
            _ => return None,
        };
        let extra = match first.leading_ones() {
            0 => 0,
            ones @ 2..=7 => ones as usize - 1,
            _ => return None,
        };
        let mut number = u64::from(first) & (0x7F >> extra);
        for &byte in data.get(5..5 + extra)? {
            if byte & 0xC0 != 0x80 {
                return None;
            }
            number = number << 6 | u64::from(byte & 0x3F);
        }
        let mut at = 5 + extra;
        let mut take = |count: usize| {
            let bytes = data.get(at..at + count)?;
            at += count;
            Some(bytes.iter().fold(0u32, |value, &byte| value << 8 | u32::from(byte)))
        };
        let block = match sizes >> 4 {
            0 => return None,
            1 => 192,
            code @ 2..=5 => 576 << (code - 2),
            6 => take(1)? + 1,
            7 => take(2)? + 1,
            code => 256 << (code - 8),
        };
        let sample_rate = match sizes & 15 {
            0 => None,
            code @ 1..=11 => Some(RATES[usize::from(code) - 1]),
            12 => Some(take(1)? * 1000),
            13 => Some(take(2)?),
            14 => Some(take(2)? * 10),
            _ => return None,
        };
        if crc8(data.get(..at)?) != *data.get(at)? {
            return None;
        }
        Some(Self { number, is_variable: sync == 0xF9, block, sample_rate, channels, bits, len: at + 1 })
    }
}

fn crc8(data: &[u8]) -> u8 {
    data.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
}
