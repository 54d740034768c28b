//! Huffman decoding by table look-up.

use std::sync::OnceLock;

use crate::bits::BitReader;
use crate::tables::{ps_books as ps, sbr_books as sbr, spectral_books as spectral};
use crate::{Error, Result};

/// Bits that the first look-up sees. Longer codewords take a second one.
const FIRST: u32 = 9;

/// One codebook: the index of a codeword in the specification's table is its value.
#[derive(Debug)]
pub(crate) struct Book {
    /// `value << 8 | length`; a link to a second table has `LINK | offset << 8 | bits`.
    entries: Vec<u32>,
}

const LINK: u32 = 1 << 31;

impl Book {
    fn new(codes: &[(u32, u8)]) -> Self {
        let mut entries = vec![0; 1 << FIRST];
        let lengths = codes.iter().map(|c| u32::from(c.1));
        for (index, (&(code, _), length)) in codes.iter().zip(lengths.clone()).enumerate() {
            if length <= FIRST {
                let first = (code << (FIRST - length)) as usize;
                let count = 1 << (FIRST - length);
                entries[first..first + count].fill((index as u32) << 8 | length);
            }
        }
        for prefix in 0..1 << FIRST {
            let under = |&(&(code, _), length): &(&(u32, u8), u32)| {
                length > FIRST && code >> (length - FIRST) == prefix
            };
            let long: Vec<_> =
                codes.iter().zip(lengths.clone()).enumerate().filter(|(_, code)| under(code)).collect();
            let Some(bits) = long.iter().map(|(_, (_, length))| length - FIRST).max() else { continue };
            let offset = entries.len();
            entries[prefix as usize] = LINK | (offset as u32) << 8 | bits;
            entries.resize(offset + (1 << bits), 0);
            for (index, (&(code, _), length)) in long {
                let rest = length - FIRST;
                let first = ((code & ((1 << rest) - 1)) << (bits - rest)) as usize;
                let count = 1 << (bits - rest);
                entries[offset + first..offset + first + count].fill((index as u32) << 8 | length);
            }
        }
        Self { entries }
    }

    /// The value and the length of the codeword at the top of `window`. A length of 0: no such codeword.
    #[inline(always)]
    pub(crate) fn look_up(&self, window: u64) -> (usize, usize) {
        let mut entry = self.entries[(window >> (64 - FIRST)) as usize];
        if entry & LINK != 0 {
            let offset = ((entry & !LINK) >> 8) as usize;
            let index = (window << FIRST) >> (64 - (entry & 0xff));
            entry = self.entries[offset + index as usize];
        }
        ((entry >> 8) as usize, (entry & 0xff) as usize)
    }

    #[inline(always)]
    pub(crate) fn read(&self, reader: &mut BitReader<'_>) -> Result<usize> {
        let (value, length) = self.look_up(reader.window());
        if length == 0 {
            return Err(Error::packet("a codeword is in no codebook"));
        }
        reader.skip(length);
        Ok(value)
    }

    /// Reads a value whose table is centred: index `offset` stands for 0.
    #[inline(always)]
    pub(crate) fn read_signed(&self, reader: &mut BitReader<'_>, offset: i32) -> Result<i32> {
        Ok(self.read(reader)? as i32 - offset)
    }
}

/// Values of a spectral codeword, already raised to the power of 4/3, and the count of sign bits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quad {
    pub(crate) values: [f32; 4],
    /// 1 where a sign bit follows.
    pub(crate) signs: [u8; 4],
}

/// Everything that the bitstream is decoded with. One copy serves every decoder of the process.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) scale_factor: Book,
    pub(crate) spectral: [Book; 11],
    /// By index of a codeword: values of books of four lines (1 and 2; 3 and 4).
    pub(crate) quads: [Vec<Quad>; 2],
    /// By index of a codeword: values of books of two lines (5 and 6; 7 and 8; 9 and 10; 11).
    pub(crate) pairs: [Vec<Quad>; 4],
    /// `n^(4/3)` up to the largest quantised value.
    pub(crate) power: Vec<f32>,
    /// `2^(n/4)`, from -`GAIN_ZERO`.
    pub(crate) gains: Vec<f32>,
    pub(crate) sbr: SbrBooks,
    pub(crate) ps: PsBooks,
}

/// Books of SBR: level, then balance.
#[derive(Debug)]
pub(crate) struct SbrBooks {
    pub(crate) env_1_5_time: [Book; 2],
    pub(crate) env_1_5_freq: [Book; 2],
    pub(crate) env_3_0_time: [Book; 2],
    pub(crate) env_3_0_freq: [Book; 2],
    pub(crate) noise_time: [Book; 2],
}

/// Books of parametric stereo: differences over frequency, then over time.
#[derive(Debug)]
pub(crate) struct PsBooks {
    pub(crate) iid: [Book; 2],
    pub(crate) iid_fine: [Book; 2],
    pub(crate) icc: [Book; 2],
}

/// The largest quantised value.
pub(crate) const MAX_QUANTISED: usize = 8191;
/// Index of the gain 1 in [`Books::gains`].
pub(crate) const GAIN_ZERO: i32 = 400;

fn values(index: usize, base: usize, count: usize, offset: i32, power: &[f32]) -> Quad {
    let mut quad = Quad::default();
    let mut rest = index;
    for i in (0..count).rev() {
        let value = (rest % base) as i32 - offset;
        rest /= base;
        let magnitude = power[value.unsigned_abs() as usize];
        quad.values[i] = if value < 0 { -magnitude } else { magnitude };
        quad.signs[i] = u8::from(offset == 0 && value != 0);
    }
    quad
}

impl Books {
    /// The one copy.
    pub(crate) fn get() -> &'static Self {
        static BOOKS: OnceLock<Books> = OnceLock::new();
        BOOKS.get_or_init(Self::new)
    }

    fn new() -> Self {
        let power: Vec<f32> = (0..=MAX_QUANTISED).map(|n| (n as f64).powf(4.0 / 3.0) as f32).collect();
        let table = |codes: usize, base, count, offset| -> Vec<Quad> {
            (0..codes).map(|i| values(i, base, count, offset, &power)).collect()
        };
        Self {
            scale_factor: Book::new(&spectral::SCALE_FACTOR),
            spectral: [
                Book::new(&spectral::SPECTRUM_1),
                Book::new(&spectral::SPECTRUM_2),
                Book::new(&spectral::SPECTRUM_3),
                Book::new(&spectral::SPECTRUM_4),
                Book::new(&spectral::SPECTRUM_5),
                Book::new(&spectral::SPECTRUM_6),
                Book::new(&spectral::SPECTRUM_7),
                Book::new(&spectral::SPECTRUM_8),
                Book::new(&spectral::SPECTRUM_9),
                Book::new(&spectral::SPECTRUM_10),
                Book::new(&spectral::SPECTRUM_11),
            ],
            quads: [table(81, 3, 4, 1), table(81, 3, 4, 0)],
            pairs: [table(81, 9, 2, 4), table(64, 8, 2, 0), table(169, 13, 2, 0), table(289, 17, 2, 0)],
            gains: (-GAIN_ZERO..=GAIN_ZERO).map(|n| (f64::from(n) / 4.0).exp2() as f32).collect(),
            power,
            sbr: SbrBooks {
                env_1_5_time: [Book::new(&sbr::ENV_1_5_TIME), Book::new(&sbr::BALANCE_1_5_TIME)],
                env_1_5_freq: [Book::new(&sbr::ENV_1_5_FREQ), Book::new(&sbr::BALANCE_1_5_FREQ)],
                env_3_0_time: [Book::new(&sbr::ENV_3_0_TIME), Book::new(&sbr::BALANCE_3_0_TIME)],
                env_3_0_freq: [Book::new(&sbr::ENV_3_0_FREQ), Book::new(&sbr::BALANCE_3_0_FREQ)],
                noise_time: [Book::new(&sbr::NOISE_TIME), Book::new(&sbr::NOISE_BALANCE_TIME)],
            },
            ps: PsBooks {
                iid: [Book::new(&ps::IID_FREQ), Book::new(&ps::IID_TIME)],
                iid_fine: [Book::new(&ps::IID_FINE_FREQ), Book::new(&ps::IID_FINE_TIME)],
                icc: [Book::new(&ps::ICC_FREQ), Book::new(&ps::ICC_TIME)],
            },
        }
    }

    /// `2^(n/4)`.
    #[inline(always)]
    pub(crate) fn gain(&self, n: i32) -> f32 {
        self.gains[(n.clamp(-GAIN_ZERO, GAIN_ZERO) + GAIN_ZERO) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codeword_is_found_by_look_up() {
        let all: [&[(u32, u8)]; 5] = [
            &spectral::SCALE_FACTOR,
            &spectral::SPECTRUM_1,
            &spectral::SPECTRUM_11,
            &sbr::ENV_1_5_TIME,
            &ps::IID_TIME,
        ];
        for codes in all {
            let book = Book::new(codes);
            for (index, &(code, length)) in codes.iter().enumerate() {
                let window = u64::from(code) << (64 - u32::from(length)) | 0x15;
                assert_eq!(book.look_up(window), (index, usize::from(length)));
            }
        }
    }
}
