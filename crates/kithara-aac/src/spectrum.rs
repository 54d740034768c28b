//! From codewords to spectral lines (ISO/IEC 14496-3, 4.6.3 and 4.6.6 to 4.6.8, 4.6.13).

use crate::bits::BitReader;
use crate::huffman::{Book, Books, MAX_QUANTISED, Quad};
use crate::ics::{ESCAPE, INTENSITY_IN, INTENSITY_OUT, Ics, NOISE, ZERO};
use crate::noise::Noise;
use crate::tables::Bands;
use crate::{Error, Result};

/// Calls `f(index of band, first line, lines)` for each window's part of each band, in the order of the bitstream.
#[inline(always)]
fn for_bands<E>(
    ics: &Ics,
    bands: &Bands,
    window: usize,
    mut f: impl FnMut(usize, usize, usize) -> Result<(), E>,
) -> Result<(), E> {
    let offsets = ics.info.offsets(bands);
    let mut first = 0;
    for group in 0..ics.info.groups {
        let length = usize::from(ics.info.group_lengths[group]);
        for sfb in 0..ics.info.max_sfb {
            let (start, end) = (usize::from(offsets[sfb]), usize::from(offsets[sfb + 1]));
            for w in first..first + length {
                f(group * ics.info.max_sfb + sfb, w * window + start, end - start)?;
            }
        }
        first += length;
    }
    Ok(())
}

/// Reads the spectral data of a channel: scaled lines. Bands of noise and of intensity stay 0.
pub(crate) fn read(
    reader: &mut BitReader<'_>,
    ics: &Ics,
    bands: &Bands,
    frame: usize,
    spectrum: &mut [f32],
) -> Result<()> {
    let books = Books::get();
    spectrum.fill(0.0);
    for_bands(ics, bands, frame / 8, |index, first, width| {
        let book = ics.books[index];
        if book == ZERO || book > ESCAPE {
            return Ok(());
        }
        let gain = books.gain(i32::from(ics.factors[index]) - 100);
        let lines = &mut spectrum[first..first + width];
        let codes = &books.spectral[usize::from(book) - 1];
        match book {
            1 | 2 => read_quads::<false>(reader, codes, &books.quads[0], gain, lines),
            3 | 4 => read_quads::<true>(reader, codes, &books.quads[1], gain, lines),
            5 | 6 => read_pairs::<false>(reader, codes, &books.pairs[0], gain, lines),
            7 | 8 => read_pairs::<true>(reader, codes, &books.pairs[1], gain, lines),
            9 | 10 => read_pairs::<true>(reader, codes, &books.pairs[2], gain, lines),
            _ => read_escaped(reader, codes, &books.pairs[3], &books.power, gain, lines)?,
        }
        reader.check("packet")
    })?;
    if ics.pulse.count > 0 {
        add_pulses(ics, bands, books, spectrum);
    }
    Ok(())
}

/// The value with the sign bit at the top of `window`, which is then shifted out where there is one.
#[inline(always)]
fn signed(value: f32, present: u8, window: &mut u64) -> f32 {
    let sign = (*window >> 63) as u32 & u32::from(present);
    *window <<= present;
    f32::from_bits(value.to_bits() ^ sign << 31)
}

#[inline(always)]
fn read_quads<const SIGNS: bool>(
    reader: &mut BitReader<'_>,
    book: &Book,
    table: &[Quad],
    gain: f32,
    lines: &mut [f32],
) {
    for four in lines.chunks_exact_mut(4) {
        let mut window = reader.window();
        let (value, length) = book.look_up(window);
        let quad = &table[value];
        let mut used = length;
        if SIGNS {
            window <<= length;
            for i in 0..4 {
                four[i] = signed(quad.values[i], quad.signs[i], &mut window) * gain;
                used += usize::from(quad.signs[i]);
            }
        } else {
            for i in 0..4 {
                four[i] = quad.values[i] * gain;
            }
        }
        reader.skip(used);
    }
}

#[inline(always)]
fn read_pairs<const SIGNS: bool>(
    reader: &mut BitReader<'_>,
    book: &Book,
    table: &[Quad],
    gain: f32,
    lines: &mut [f32],
) {
    for two in lines.chunks_exact_mut(2) {
        let mut window = reader.window();
        let (value, length) = book.look_up(window);
        let pair = &table[value];
        let mut used = length;
        if SIGNS {
            window <<= length;
            for i in 0..2 {
                two[i] = signed(pair.values[i], pair.signs[i], &mut window) * gain;
                used += usize::from(pair.signs[i]);
            }
        } else {
            two[0] = pair.values[0] * gain;
            two[1] = pair.values[1] * gain;
        }
        reader.skip(used);
    }
}

#[inline(always)]
fn read_escaped(
    reader: &mut BitReader<'_>,
    book: &Book,
    table: &[Quad],
    power: &[f32],
    gain: f32,
    lines: &mut [f32],
) -> Result<()> {
    for two in lines.chunks_exact_mut(2) {
        let mut window = reader.window();
        let (value, length) = book.look_up(window);
        let pair = &table[value];
        window <<= length;
        let mut used = length;
        for i in 0..2 {
            two[i] = signed(pair.values[i], pair.signs[i], &mut window) * gain;
            used += usize::from(pair.signs[i]);
        }
        reader.skip(used);
        let escaped = [value / 17 == 16, value % 17 == 16];
        for i in 0..2 {
            if escaped[i] {
                let window = reader.window();
                let ones = window.leading_ones();
                if ones > 8 {
                    return Err(Error::packet("an escape sequence is too long"));
                }
                let word = (window << (ones + 1)) >> (64 - (ones + 4));
                reader.skip(2 * ones as usize + 5);
                let magnitude = power[(1 << (ones + 4)) + word as usize];
                two[i] = (magnitude * gain).copysign(two[i]);
            }
        }
    }
    Ok(())
}

/// Adds pulses to quantised values, which are found again from the scaled ones.
fn add_pulses(ics: &Ics, bands: &Bands, books: &Books, spectrum: &mut [f32]) {
    for i in 0..ics.pulse.count {
        let line = usize::from(ics.pulse.lines[i]);
        let sfb = bands.long.partition_point(|&offset| usize::from(offset) <= line) - 1;
        if sfb >= ics.info.max_sfb || ics.books[sfb] == ZERO || ics.books[sfb] > ESCAPE {
            continue;
        }
        let gain = books.gain(i32::from(ics.factors[sfb]) - 100);
        let value = spectrum[line];
        let quantised = (value.abs() / gain).powf(0.75).round() as usize;
        let amplitude = usize::from(ics.pulse.amplitudes[i]);
        // A positive value grows; a negative one, and zero, goes down.
        let sign = if value > 0.0 { 1.0 } else { -1.0 };
        spectrum[line] = sign * books.power[(quantised + amplitude).min(MAX_QUANTISED)] * gain;
    }
}

/// Fills bands of noise. `same` takes over the generator's values of the first channel of a pair where
/// both have noise and the band is marked as correlated.
pub(crate) fn substitute_noise(
    ics: &Ics,
    bands: &Bands,
    frame: usize,
    noise: &Noise,
    spectrum: &mut [f32],
    correlated: impl Fn(usize) -> bool,
) {
    let books = Books::get();
    let fill = for_bands(ics, bands, frame / 8, |index, first, width| {
        if ics.books[index] != NOISE {
            return Ok::<_, Error>(());
        }
        let lines = &mut spectrum[first..first + width];
        noise.fill(first, correlated(index), lines);
        let energy: f32 = lines.iter().map(|x| x * x).sum();
        let gain = books.gain(i32::from(ics.factors[index]).clamp(-100, 155)) / energy.sqrt();
        for line in lines {
            *line *= gain;
        }
        Ok(())
    });
    debug_assert!(fill.is_ok());
}

/// Bands of a channel pair that are coded as sum and difference.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StereoMask {
    pub(crate) used: u128,
    /// The mask was sent band by band: it turns the phase of intensity.
    pub(crate) by_band: bool,
}

impl StereoMask {
    /// `ms_mask_present` and `ms_used`.
    pub(crate) fn read(reader: &mut BitReader<'_>, bands: usize) -> Result<Self> {
        Ok(match reader.read(2) {
            0 => Self::default(),
            1 => {
                let mut used = 0;
                for band in 0..bands {
                    used |= u128::from(reader.flag()) << band;
                }
                Self { used, by_band: true }
            }
            2 => Self { used: u128::MAX, by_band: false },
            _ => return Err(Error::packet("the reserved mask of sum and difference")),
        })
    }

    #[inline(always)]
    pub(crate) fn is_set(&self, band: usize) -> bool {
        self.used >> (band & 127) & 1 == 1
    }
}

/// Turns sum and difference into left and right.
pub(crate) fn sum_and_difference(
    ics: [&Ics; 2],
    mask: &StereoMask,
    bands: &Bands,
    frame: usize,
    left: &mut [f32],
    right: &mut [f32],
) {
    if mask.used == 0 {
        return;
    }
    let _ = for_bands(ics[0], bands, frame / 8, |index, first, width| {
        if mask.is_set(index) && ics[0].books[index] <= ESCAPE && ics[1].books[index] <= ESCAPE {
            for (l, r) in left[first..first + width].iter_mut().zip(&mut right[first..first + width]) {
                (*l, *r) = (*l + *r, *l - *r);
            }
        }
        Ok::<_, Error>(())
    });
}

/// Makes the right channel of intensity bands from the left one.
pub(crate) fn intensity(
    right_ics: &Ics,
    mask: &StereoMask,
    bands: &Bands,
    frame: usize,
    left: &[f32],
    right: &mut [f32],
) {
    let books = Books::get();
    let _ = for_bands(right_ics, bands, frame / 8, |index, first, width| {
        let book = right_ics.books[index];
        if book == INTENSITY_IN || book == INTENSITY_OUT {
            let mut gain = books.gain(-i32::from(right_ics.factors[index]).clamp(-155, 100));
            if (book == INTENSITY_OUT) != (mask.by_band && mask.is_set(index)) {
                gain = -gain;
            }
            for (r, l) in right[first..first + width].iter_mut().zip(&left[first..first + width]) {
                *r = l * gain;
            }
        }
        Ok::<_, Error>(())
    });
}
