//! The complex filter banks of SBR (ISO/IEC 14496-3, 4.6.18.4), eight time slots at once.

use std::f64::consts::PI;
use std::sync::OnceLock;

use crate::fft::Buffer;
use crate::mdct::{LaneDct, transpose};
use crate::simd::{Lanes, dispatch, scale};
use crate::tables::sbr_numbers::PROTOTYPE;

/// Time slots that are worked on together.
pub(crate) const CHUNK: usize = 8;
/// Slots that a filter looks back: the prototype is ten slots long.
const HISTORY: usize = 10;
const ROW: usize = HISTORY + CHUNK;
/// Full scale of the core's sound in SBR's units.
const FULL_SCALE: f32 = 32768.0;

/// Transforms, windows and phases. One copy serves every decoder of the process.
#[derive(Debug)]
pub(crate) struct QmfTables {
    dct32: LaneDct,
    dct64: LaneDct,
    /// The prototype of 640 taps, with the signs of the specification's table.
    window: [f32; 640],
    /// Every second tap.
    half_window: [f32; 320],
    /// `exp(-iπ(k + ½) 3/128)`: what the analysis is turned by in band k.
    phases: [(f32, f32); 32],
    /// `exp(-iπ(k + ½)/128)`: what band k is turned by before it is joined at the core's rate.
    half_phases: [(f32, f32); 32],
}

/// `exp(-iπ(k + ½) numerator / 128)` of each band.
fn phases(numerator: f64) -> [(f32, f32); 32] {
    std::array::from_fn(|k| {
        let (s, c) = (-PI * (k as f64 + 0.5) * numerator / 128.0).sin_cos();
        (c as f32, s as f32)
    })
}

impl QmfTables {
    pub(crate) fn get() -> &'static Self {
        static TABLES: OnceLock<QmfTables> = OnceLock::new();
        TABLES.get_or_init(|| {
            // Symmetric about its centre but for the sign, which turns every 128 taps.
            let tap = |n: usize| match n {
                0..=320 => PROTOTYPE[n],
                _ if n.is_multiple_of(128) => -PROTOTYPE[640 - n],
                _ => PROTOTYPE[640 - n],
            };
            let window: [f32; 640] = std::array::from_fn(tap);
            Self {
                dct32: LaneDct::new(32),
                dct64: LaneDct::new(64),
                window,
                half_window: std::array::from_fn(|n| window[2 * n]),
                phases: phases(3.0),
                half_phases: phases(1.0),
            }
        })
    }
}

#[inline(always)]
fn load(row: &[f32; ROW], at: usize) -> &Lanes {
    match row[at..].first_chunk::<8>() {
        Some(lanes) => lanes,
        None => &[0.0; 8],
    }
}

/// Moves the last slots to the front.
#[inline(always)]
fn keep(row: &mut [f32; ROW], slots: usize) {
    let mut last = [0.0; HISTORY];
    last.copy_from_slice(&row[slots..slots + HISTORY]);
    row[..HISTORY].copy_from_slice(&last);
}

#[inline(always)]
fn accumulate(sum: &mut Lanes, x: &Lanes, k: f32) {
    for i in 0..8 {
        sum[i] += x[i] * k;
    }
}

/// Splits sound into 32 bands.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// By position within a slot, then by slot.
    rows: Box<[[f32; ROW]; 32]>,
}

impl Analysis {
    pub(crate) fn new() -> Self {
        Self { rows: Box::new([[0.0; ROW]; 32]) }
    }

    pub(crate) fn reset(&mut self) {
        self.rows.as_flattened_mut().fill(0.0);
    }

    /// Takes up to eight slots of 32 samples. `out` has the bands' samples of these slots.
    pub(crate) fn run(&mut self, sound: &[f32], out: &mut Buffer) {
        analyze(&mut self.rows, sound, out);
    }
}

dispatch! {
    fn analyze(rows: &mut [[f32; ROW]; 32], sound: &[f32], out: &mut Buffer) {
        let tables = QmfTables::get();
        let slots = sound.len() / 32;
        for (slot, samples) in sound.chunks_exact(32).enumerate() {
            for (row, &sample) in rows.iter_mut().zip(samples) {
                row[HISTORY + slot] = sample * FULL_SCALE;
            }
        }
        let mut u: [Lanes; 64] = [[0.0; 8]; 64];
        for (n, u) in u.iter_mut().enumerate() {
            let row = &rows[31 - n % 32];
            for j in 0..5 {
                accumulate(u, load(row, HISTORY - n / 32 - 2 * j), tables.half_window[n + 64 * j]);
            }
        }
        for row in rows.iter_mut() {
            keep(row, slots);
        }
        let (mut cos, mut sin) = ([[0.0; 8]; 32], [[0.0; 8]; 32]);
        for j in 0..32 {
            cos[j] = std::array::from_fn(|i| u[j][i] - u[63 - j][i]);
            sin[31 - j] = std::array::from_fn(|i| u[j][i] + u[63 - j][i]);
        }
        let (mut a, mut b) = (Buffer::new(), Buffer::new());
        tables.dct32.run(&mut cos, &mut a, &mut b);
        tables.dct32.run(&mut sin, &mut a, &mut b);
        for k in 0..32 {
            let (c, s) = tables.phases[k];
            let sign = if k % 2 == 0 { 2.0 } else { -2.0 };
            let (re, im) = (scale(&cos[k], 2.0), scale(&sin[k], sign));
            (out.re[k], out.im[k]) = crate::simd::rotate(&re, &im, (c, s));
        }
    }
}

/// Joins 64 bands (or 32, at the core's rate) to sound.
#[derive(Debug)]
pub(crate) struct Synthesis {
    rows: Box<[[f32; ROW]; 128]>,
    bands: usize,
}

impl Synthesis {
    pub(crate) fn new(bands: usize) -> Self {
        Self { rows: Box::new([[0.0; ROW]; 128]), bands }
    }

    pub(crate) fn reset(&mut self) {
        self.rows.as_flattened_mut().fill(0.0);
    }

    /// Takes the bands of as many slots as `out` has room for, eight at most.
    pub(crate) fn run(&mut self, bands: &Buffer, out: &mut [f32]) {
        if self.bands == 64 {
            join64(&mut self.rows, bands, out);
        } else {
            join32(&mut self.rows, bands, out);
        }
    }
}

dispatch! {
    fn join64(rows: &mut [[f32; ROW]; 128], x: &Buffer, out: &mut [f32]) {
        let tables = QmfTables::get();
        join::<64>(rows, x, out, &tables.dct64, &tables.window);
    }
}

dispatch! {
    fn join32(rows: &mut [[f32; ROW]; 128], x: &Buffer, out: &mut [f32]) {
        let tables = QmfTables::get();
        let mut turned = Buffer::new();
        for (k, &phase) in tables.half_phases.iter().enumerate() {
            (turned.re[k], turned.im[k]) = crate::simd::rotate(&x.re[k], &x.im[k], phase);
        }
        join::<32>(rows, &turned, out, &tables.dct32, &tables.half_window);
    }
}

#[inline(always)]
fn join<const BANDS: usize>(
    rows: &mut [[f32; ROW]; 128],
    x: &Buffer,
    out: &mut [f32],
    dct: &LaneDct,
    window: &[f32],
) {
    let (mut cos, mut sin) = ([[0.0; 8]; BANDS], [[0.0; 8]; BANDS]);
    let gain = 1.0 / (64.0 * FULL_SCALE);
    for k in 0..BANDS {
        cos[k] = scale(&x.re[k], gain);
        sin[BANDS - 1 - k] = scale(&x.im[k], gain);
    }
    let (mut a, mut b) = (Buffer::new(), Buffer::new());
    dct.run(&mut cos, &mut a, &mut b);
    dct.run(&mut sin, &mut a, &mut b);
    for m in 0..BANDS {
        let sign = if m % 2 == 0 { 1.0 } else { -1.0 };
        for i in 0..8 {
            rows[m][HISTORY + i] = sign * sin[m][i] - cos[m][i];
            rows[2 * BANDS - 1 - m][HISTORY + i] = sign * sin[m][i] + cos[m][i];
        }
    }
    let slots = out.len() / BANDS;
    for first in (0..BANDS).step_by(8) {
        let mut sums: [Lanes; 8] = [[0.0; 8]; 8];
        for (i, sum) in sums.iter_mut().enumerate() {
            let k = first + i;
            for n in 0..5 {
                accumulate(sum, load(&rows[k], HISTORY - 2 * n), window[2 * BANDS * n + k]);
                let at = 2 * BANDS * n + BANDS + k;
                accumulate(sum, load(&rows[BANDS + k], HISTORY - 2 * n - 1), window[at]);
            }
        }
        transpose(&mut sums);
        for (slot, sum) in sums.iter().enumerate().take(slots) {
            out[slot * BANDS + first..][..8].copy_from_slice(sum);
        }
    }
    for row in rows[..2 * BANDS].iter_mut() {
        keep(row, slots);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Analysis and synthesis as the specification writes them, one slot at a time.
    fn definition(sound: &[f32], bands: usize) -> Vec<f64> {
        let tables = QmfTables::get();
        let (mut x, mut v) = (vec![0.0; 320], vec![0.0; 20 * bands]);
        let window: Vec<f64> = (0..10 * bands).map(|n| f64::from(tables.window[n * 64 / bands])).collect();
        let mut out = Vec::new();
        for slot in sound.chunks_exact(32) {
            x.rotate_right(32);
            for (n, &sample) in slot.iter().enumerate() {
                x[31 - n] = f64::from(sample);
            }
            let u = |n: usize| -> f64 {
                (0..5).map(|j| x[n + 64 * j] * f64::from(tables.half_window[n + 64 * j])).sum()
            };
            let u: Vec<f64> = (0..64).map(u).collect();
            let w: Vec<(f64, f64)> = (0..32)
                .map(|k| {
                    let angle = |n: usize| PI / 64.0 * (k as f64 + 0.5) * (2.0 * n as f64 - 0.5);
                    let re = (0..64).map(|n| 2.0 * u[n] * angle(n).cos()).sum();
                    (re, (0..64).map(|n| 2.0 * u[n] * angle(n).sin()).sum())
                })
                .collect();
            v.rotate_right(2 * bands);
            for (n, v) in v[..2 * bands].iter_mut().enumerate() {
                let turn = 2.0 * n as f64 - if bands == 64 { 255.0 } else { 127.5 };
                *v = w
                    .iter()
                    .enumerate()
                    .map(|(k, (re, im))| {
                        let angle = PI / (2 * bands) as f64 * (k as f64 + 0.5) * turn;
                        (re * angle.cos() - im * angle.sin()) / 64.0
                    })
                    .sum();
            }
            for k in 0..bands {
                out.push(
                    (0..5)
                        .map(|n| {
                            v[4 * bands * n + k] * window[2 * bands * n + k]
                                + v[4 * bands * n + 3 * bands + k] * window[2 * bands * n + bands + k]
                        })
                        .sum(),
                );
            }
        }
        out
    }

    #[test]
    fn both_banks_equal_the_definition() {
        let sound: Vec<f32> = (0..32 * 30).map(|n| ((n * n + 3 * n) % 101) as f32 / 50.0 - 1.0).collect();
        for bands in [64, 32] {
            let (mut analysis, mut synthesis) = (Analysis::new(), Synthesis::new(bands));
            let mut out = vec![0.0; sound.len() / 32 * bands];
            for (from, to) in sound.chunks(256).zip(out.chunks_mut(8 * bands)) {
                let mut x = Buffer::new();
                analysis.run(from, &mut x);
                synthesis.run(&x, to);
            }
            for (n, (a, b)) in out.iter().zip(definition(&sound, bands)).enumerate() {
                assert!((f64::from(*a) - b).abs() < 1e-5, "{bands} bands, {n}: {a} {b}");
            }
        }
    }
}
