//! FLAC frames: their headers, and where they end.

pub(super) use crate::headers::flac::FRAME_HEADER_MAX as HEADER_MAX;
use crate::headers::flac::{FrameHeader, StreamInfo};

impl StreamInfo {
    /// Bytes that no frame exceeds: all samples verbatim, and what stands around them.
    pub(super) fn longest_frame(&self) -> usize {
        let samples = self.max_block.max(16) as usize * usize::from(self.channels);
        samples * (self.bits as usize + 1) / 8 + 16 * usize::from(self.channels) + 64
    }
}

/// A frame of the stream that STREAMINFO describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of the first sample.
    pub(super) sample: u64,
    /// Samples per channel.
    pub(super) block: u32,
    /// Bytes of the header.
    pub(super) len: usize,
}

/// Reads the header that `data` begins with, if it is one of the stream that `info` describes.
pub(super) fn parse(data: &[u8], info: &StreamInfo) -> Option<Header> {
    let FrameHeader { number, is_variable, block, sample_rate, channels, bits, len } =
        FrameHeader::parse(data)?;
    let is_of_stream = sample_rate.is_none_or(|rate| rate == info.sample_rate)
        && block <= info.max_block
        && channels == info.channels
        && bits.is_none_or(|bits| bits == info.bits);
    if !is_of_stream {
        return None;
    }
    let sample = if is_variable { number } else { number.checked_mul(u64::from(info.max_block))? };
    Some(Header { sample, block, len })
}

/// Length of the frame that `data` begins with: up to the next frame's header if `data` holds it, or, if it is the last
/// one and `is_all` that comes of it, up to where its checksum holds. `from` bytes were searched before.
pub(super) fn length(
    data: &[u8],
    header: &Header,
    info: &StreamInfo,
    from: usize,
    is_all: bool,
) -> Option<usize> {
    let start = (header.len + 2).max(info.min_frame as usize).max(from);
    let mut sum = Sum::default();
    let mut at = start;
    while let Some(found) = data.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)) {
        at += found;
        let is_next = parse(&data[at..], info)
            .is_some_and(|next| next.sample == header.sample + u64::from(header.block));
        if is_next && sum.up_to(data, at) == 0 {
            return Some(at);
        }
        at += 1;
    }
    if !is_all {
        return None;
    }
    if sum.up_to(data, data.len()) == 0 {
        return Some(data.len());
    }
    // Something else stands behind the last frame: most likely a tag.
    let mut sum = Sum::default();
    let mut ends = (header.len + 2..data.len()).filter(|&end| sum.up_to(data, end) == 0);
    let first = ends.next()?;
    let is_tag = |end: &usize| TAGS.iter().any(|tag| data[*end..].starts_with(tag));
    std::iter::once(first).chain(ends).find(is_tag).or(Some(first))
}

/// What writers of tags put behind any file, and what begins the next one where files are joined.
const TAGS: [&[u8]; 4] = [b"TAG", b"APETAGEX", b"ID3", b"fLaC"];

/// The checksum of a growing piece of data.
#[derive(Default)]
struct Sum {
    crc: u16,
    done: usize,
}

impl Sum {
    /// 0 when the last two bytes before `end` are the checksum of those before them.
    fn up_to(&mut self, data: &[u8], end: usize) -> u16 {
        let (eights, rest) = data[self.done..end].as_chunks::<8>();
        let mut crc = self.crc;
        for eight in eights {
            let [a, b, c, d, e, f, g, h] = eight.map(usize::from);
            let (high, low) = (usize::from(crc >> 8), usize::from(crc & 0xFF));
            crc = CRC16[7][a ^ high] ^ CRC16[6][b ^ low] ^ CRC16[5][c] ^ CRC16[4][d];
            crc ^= CRC16[3][e] ^ CRC16[2][f] ^ CRC16[1][g] ^ CRC16[0][h];
        }
        self.crc = rest
            .iter()
            .fold(crc, |crc, &byte| crc << 8 ^ CRC16[0][usize::from(crc >> 8) ^ usize::from(byte)]);
        self.done = end;
        self.crc
    }
}

const CRC16: [[u16; 256]; 8] = crc16_tables();

const fn crc16_tables() -> [[u16; 256]; 8] {
    let mut tables = [[0u16; 256]; 8];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { crc << 1 ^ 0x8005 } else { crc << 1 };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut index = 0;
        while index < 256 {
            let crc = tables[table - 1][index];
            tables[table][index] = crc << 8 ^ tables[0][(crc >> 8) as usize];
            index += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_does_not_depend_on_the_steps() {
        let data: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
        let whole = Sum::default().up_to(&data, 1000);
        let mut sum = Sum::default();
        for end in (0..=1000).step_by(7) {
            sum.up_to(&data, end);
        }
        assert_eq!(sum.up_to(&data, 1000), whole);
        assert_eq!(Sum::default().up_to(b"123456789", 9), 0xFEE8);
    }
}
