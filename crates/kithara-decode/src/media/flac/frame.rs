//! FLAC frames: their headers, and where they end.

/// What STREAMINFO says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Info {
    pub(super) max_block: u32,
    /// Bytes of the shortest frame; 0: unknown.
    pub(super) min_frame: u32,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) bits: u32,
    pub(super) total: Option<u64>,
}

impl Info {
    pub(super) fn parse(block: &[u8]) -> Option<Self> {
        let block = block.first_chunk::<34>()?;
        let packed = u64::from_be_bytes(*block[10..18].first_chunk::<8>()?);
        let total = packed & 0xF_FFFF_FFFF;
        Some(Self {
            max_block: u32::from(u16::from_be_bytes([block[2], block[3]])),
            min_frame: u32::from_be_bytes([0, block[4], block[5], block[6]]),
            sample_rate: (packed >> 44) as u32,
            channels: (packed >> 41 & 7) as u16 + 1,
            bits: (packed >> 36 & 31) as u32 + 1,
            total: (total > 0).then_some(total),
        })
    }

    /// Bytes that no frame exceeds: all samples verbatim, and what stands around them.
    pub(super) fn longest_frame(&self) -> usize {
        let samples = self.max_block.max(16) as usize * usize::from(self.channels);
        samples * (self.bits as usize + 1) / 8 + 16 * usize::from(self.channels) + 64
    }
}

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Number of the first sample.
    pub(super) sample: u64,
    /// Samples per channel.
    pub(super) block: u32,
    /// Bytes of the header.
    pub(super) len: usize,
}

/// Longest header in bytes.
pub(super) const HEADER_MAX: usize = 16;

/// Reads the header that `data` begins with, if it is one of the stream that `info` describes.
pub(super) fn parse(data: &[u8], info: &Info) -> Option<Header> {
    let &[0xFF, sync @ (0xF8 | 0xF9), sizes, shape, first, ..] = data else { return None };
    if shape & 1 != 0 || !fits(shape, info) {
        return None;
    }
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
    let rate = match sizes & 15 {
        0 => info.sample_rate,
        code @ 1..=11 => RATES[usize::from(code) - 1],
        12 => take(1)? * 1000,
        13 => take(2)?,
        14 => take(2)? * 10,
        _ => return None,
    };
    if rate != info.sample_rate || block > info.max_block || crc8(data.get(..at)?) != *data.get(at)? {
        return None;
    }
    let sample = if sync == 0xF8 { number.checked_mul(u64::from(info.max_block))? } else { number };
    Some(Header { sample, block, len: at + 1 })
}

const RATES: [u32; 11] =
    [88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

fn fits(shape: u8, info: &Info) -> bool {
    let channels = match shape >> 4 {
        independent @ 0..=7 => u16::from(independent) + 1,
        8..=10 => 2,
        _ => return false,
    };
    let bits = match shape >> 1 & 7 {
        0 => info.bits,
        1 => 8,
        2 => 12,
        4 => 16,
        5 => 20,
        6 => 24,
        7 => 32,
        _ => return false,
    };
    channels == info.channels && bits == info.bits
}

/// Length of the frame that `data` begins with: up to the next frame's header if `data` holds it, or, if it is the last
/// one and `is_all` that comes of it, up to where its checksum holds. `from` bytes were searched before.
pub(super) fn length(data: &[u8], header: &Header, info: &Info, from: usize, is_all: bool) -> Option<usize> {
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

fn crc8(data: &[u8]) -> u8 {
    data.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ byte, |crc, _| if crc & 0x80 != 0 { crc << 1 ^ 0x07 } else { crc << 1 })
    })
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
