//! FLAC frames: their headers, and where they end.

pub(super) use crate::headers::flac::FRAME_HEADER_MAX as HEADER_MAX;
pub(super) use crate::headers::flac::{FrameHeader as Header, StreamInfo};

/// Parameters that the frames of one stream share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) bits: u32,
}

impl StreamInfo {
    pub(super) fn shape(&self) -> Shape {
        Shape { sample_rate: self.sample_rate, channels: self.channels, bits: self.bits }
    }

    /// STREAMINFO of a stream of `shape` that states nothing else.
    pub(super) fn unknown(shape: Shape) -> Self {
        let Shape { sample_rate, channels, bits } = shape;
        Self { min_block: 0, max_block: 0, min_frame: 0, sample_rate, channels, bits, total: None }
    }

    /// The block size of a stream whose blocks are stated to be all alike.
    pub(super) fn fixed_block(&self) -> Option<u32> {
        (self.min_block == self.max_block && self.min_block >= u32::from(MIN_BLOCK)).then_some(self.min_block)
    }
}

/// Smallest block size that STREAMINFO may state.
const MIN_BLOCK: u16 = 16;

/// A STREAMINFO block for a codec: frames of `shape` with at most `block` samples per channel.
pub(super) fn stream_info(shape: Shape, block: u32) -> Box<[u8]> {
    let block = u16::try_from(block).unwrap_or(u16::MAX).max(MIN_BLOCK);
    let packed = u64::from(shape.sample_rate & 0xF_FFFF) << 44
        | u64::from((shape.channels - 1) & 7) << 41
        | u64::from((shape.bits - 1) & 31) << 36;
    let mut out = vec![0; 34];
    out[..2].copy_from_slice(&MIN_BLOCK.to_be_bytes());
    out[2..4].copy_from_slice(&block.to_be_bytes());
    out[10..18].copy_from_slice(&packed.to_be_bytes());
    out.into_boxed_slice()
}

/// Largest block, in samples, that STREAMINFO can state and a decoder therefore has room for.
const MAX_BLOCK: u32 = 65_535;

/// Reads the header that `data` begins with.
pub(super) fn parse(data: &[u8]) -> Option<Header> {
    Header::parse(data).filter(|header| header.block <= MAX_BLOCK && header.sample_rate != Some(0))
}

impl Header {
    /// The parameters of the frame. `None` where neither it nor `stated` gives a valid rate or sample size.
    pub(super) fn shape(&self, stated: Shape) -> Option<Shape> {
        let sample_rate = self.sample_rate.unwrap_or(stated.sample_rate);
        let bits = self.bits.unwrap_or(stated.bits);
        (sample_rate > 0 && (4..=32).contains(&bits)).then_some(Shape {
            sample_rate,
            channels: self.channels,
            bits,
        })
    }

    /// Bytes that the frame does not exceed: all samples verbatim, and headers around them.
    pub(super) fn longest(&self) -> usize {
        let channels = usize::from(self.channels);
        let bits = self.bits.unwrap_or(32) as usize + 1;
        self.block as usize * channels * bits / 8 + 16 * channels + 64
    }

    /// Whether `next` is the header of the frame behind this one.
    fn precedes(&self, next: &Self) -> bool {
        let step = if self.is_variable { u64::from(self.block) } else { 1 };
        next.is_variable == self.is_variable && next.number == self.number.wrapping_add(step)
    }
}

/// Length of the frame that `data` begins with, if the header of the frame with the next number is
/// in `data`, behind `from` bytes or more.
pub(super) fn length_to_next(data: &[u8], header: &Header, from: usize) -> Option<usize> {
    let mut sum = Sum::default();
    candidates(data, (header.len + 2).max(from))
        .find(|&at| parse(&data[at..]).is_some_and(|next| header.precedes(&next)) && sum.up_to(data, at) == 0)
}

/// Length of the frame that `data` begins with where the next frame is missing or has another number: up
/// to the first frame or tag in front of which the checksum holds, or to the end of `data` if it
/// `is_all` that comes. A frame that `is_last` may also be followed by unknown bytes.
pub(super) fn length_alone(data: &[u8], header: &Header, is_all: bool, is_last: bool) -> Option<usize> {
    let mut sum = Sum::default();
    let start = header.len + 2;
    let next = candidates(data, start).find(|&at| parse(&data[at..]).is_some() && sum.up_to(data, at) == 0);
    if next.is_some() {
        return next;
    }
    if is_all && data.len() >= start && Sum::default().up_to(data, data.len()) == 0 {
        return Some(data.len());
    }
    let mut sum = Sum::default();
    let mut ends = (start..data.len()).filter(|&end| sum.up_to(data, end) == 0);
    let first = ends.next()?;
    let is_tag = |end: &usize| TAGS.iter().any(|tag| data[*end..].starts_with(tag));
    std::iter::once(first).chain(ends).find(is_tag).or(is_last.then_some(first))
}

/// Offsets, from `start` on, of bytes that a header may begin with.
fn candidates(data: &[u8], start: usize) -> impl Iterator<Item = usize> + '_ {
    let mut at = start;
    std::iter::from_fn(move || {
        loop {
            at += data.get(at..)?.iter().position(|&byte| byte == 0xFF)?;
            let found = at;
            at += 1;
            if data.get(at).is_some_and(|byte| byte & 0xFE == 0xF8) {
                return Some(found);
            }
        }
    })
}

/// The first bytes of tags behind a file, and of the next file where files are joined.
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
    fn checksum_is_the_same_in_any_steps() {
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
