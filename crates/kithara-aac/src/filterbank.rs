//! From spectra to sound (ISO/IEC 14496-3, 4.6.11): inverse transform, windows, overlap.

use std::f64::consts::PI;
use std::sync::OnceLock;

use crate::fft::Buffer;
use crate::ics::WindowSequence;
use crate::mdct::{LaneDct, LongDct, MAX_LONG};
use crate::simd::{Lanes, dispatch};

/// Transforms and windows of one frame length. One copy serves every decoder of the process.
#[derive(Debug)]
pub(crate) struct FilterBank {
    pub(crate) frame: usize,
    pub(crate) long: LongDct,
    pub(crate) short: LaneDct,
    /// Rising halves, by window shape: sine, Kaiser-Bessel derived.
    pub(crate) long_windows: [Vec<f32>; 2],
    pub(crate) short_windows: [Vec<f32>; 2],
}

fn sine(length: usize) -> Vec<f32> {
    (0..length).map(|n| (PI / (2 * length) as f64 * (n as f64 + 0.5)).sin() as f32).collect()
}

/// The modified Bessel function of the first kind and order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > sum * 1e-18 {
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
        k += 1.0;
    }
    sum
}

fn kaiser_bessel(length: usize, alpha: f64) -> Vec<f32> {
    let kernel = |n: usize| {
        let x = 2.0 * n as f64 / length as f64 - 1.0;
        bessel(PI * alpha * (1.0 - x * x).max(0.0).sqrt())
    };
    let total: f64 = (0..=length).map(kernel).sum();
    let mut sum = 0.0;
    (0..length)
        .map(|n| {
            sum += kernel(n);
            (sum / total).sqrt() as f32
        })
        .collect()
}

impl FilterBank {
    fn new(frame: usize) -> Self {
        let short = frame / 8;
        Self {
            frame,
            long: LongDct::new(frame),
            short: LaneDct::new(short),
            long_windows: [sine(frame), kaiser_bessel(frame, 4.0)],
            short_windows: [sine(short), kaiser_bessel(short, 6.0)],
        }
    }

    /// The filter bank of frames of 1,024 or 960.
    pub(crate) fn of(frame: usize) -> &'static Self {
        static LONG: OnceLock<FilterBank> = OnceLock::new();
        static SMALL: OnceLock<FilterBank> = OnceLock::new();
        if frame == 960 { SMALL.get_or_init(|| Self::new(960)) } else { LONG.get_or_init(|| Self::new(1024)) }
    }

    /// Transforms `spectrum` and adds the overlap of the previous frame: `out` is one frame of sound.
    pub(crate) fn synthesize(
        &self,
        spectrum: &[f32],
        sequence: WindowSequence,
        shapes: (usize, usize),
        overlap: &mut [f32],
        out: &mut [f32],
    ) {
        match sequence {
            WindowSequence::Short => short_frame(self, spectrum, shapes, overlap, out),
            _ => long_frame(self, spectrum, sequence, shapes, overlap, out),
        }
    }
}

/// Full scale of a spectrum is that of 16 bits.
const FULL_SCALE: f32 = 32768.0;

dispatch! {
    fn long_frame(
        bank: &FilterBank,
        spectrum: &[f32],
        sequence: WindowSequence,
        shapes: (usize, usize),
        overlap: &mut [f32],
        out: &mut [f32],
    ) {
        let (frame, half) = (bank.frame, bank.frame / 2);
        let mut u = [0.0; MAX_LONG];
        bank.long.run(spectrum, 1.0 / (frame as f32 * FULL_SCALE), &mut u);
        let (head, tail) = u[..frame].split_at(half);
        let flat = (frame - frame / 8) / 2;
        let (overlap, out) = (&mut overlap[..frame], &mut out[..frame]);

        if sequence == WindowSequence::Stop {
            // Flat, then the rising half of a short window, then flat: mirrored by `tail`.
            let window = &bank.short_windows[shapes.0];
            out[..flat].copy_from_slice(&overlap[..flat]);
            for n in flat..half {
                out[n] = overlap[n] + window[n - flat] * tail[n];
            }
            for n in half..frame - flat {
                out[n] = overlap[n] - window[n - flat] * tail[frame - 1 - n];
            }
            for n in frame - flat..frame {
                out[n] = overlap[n] - tail[frame - 1 - n];
            }
        } else {
            let (rise, fall) = bank.long_windows[shapes.0][..frame].split_at(half);
            let (left, right) = overlap.split_at(half);
            let (first, second) = out.split_at_mut(half);
            for (((out, left), rise), tail) in first.iter_mut().zip(left).zip(rise).zip(tail) {
                *out = left + rise * tail;
            }
            for (((out, right), fall), tail) in second.iter_mut().zip(right).zip(fall).zip(tail.iter().rev()) {
                *out = *right - fall * tail;
            }
        }

        if sequence == WindowSequence::Start {
            let window = &bank.short_windows[shapes.1];
            for n in 0..flat {
                overlap[n] = -head[half - 1 - n];
            }
            for n in flat..half {
                overlap[n] = -window[frame - flat - 1 - n] * head[half - 1 - n];
            }
            for n in half..frame - flat {
                overlap[n] = -window[frame - flat - 1 - n] * head[n - half];
            }
            overlap[frame - flat..].fill(0.0);
        } else {
            let (low, high) = bank.long_windows[shapes.1][..frame].split_at(half);
            let (left, right) = overlap.split_at_mut(half);
            for ((left, high), head) in left.iter_mut().zip(high.iter().rev()).zip(head.iter().rev()) {
                *left = -high * head;
            }
            for ((right, low), head) in right.iter_mut().zip(low.iter().rev()).zip(head) {
                *right = -low * head;
            }
        }
    }
}

dispatch! {
    fn short_frame(
        bank: &FilterBank,
        spectrum: &[f32],
        shapes: (usize, usize),
        overlap: &mut [f32],
        out: &mut [f32],
    ) {
        let frame = bank.frame;
        let short = frame / 8;
        let half = short / 2;
        let scale = 1.0 / (short as f32 * FULL_SCALE);
        let mut rows: [Lanes; 128] = [[0.0; 8]; 128];
        for (k, row) in rows[..short].iter_mut().enumerate() {
            *row = std::array::from_fn(|w| spectrum[w * short + k] * scale);
        }
        bank.short.run(&mut rows, &mut Buffer::new(), &mut Buffer::new());

        // Nine stretches of sound: each holds one window's rise and the previous window's fall.
        let mut sound = [0.0; 9 * 128];
        let current = &bank.short_windows[shapes.1][..short];
        for w in 0..8 {
            let window = if w == 0 { &bank.short_windows[shapes.0][..short] } else { current };
            let (rise, fall) = sound[w * short..(w + 2) * short].split_at_mut(short);
            for n in 0..half {
                rise[n] += window[n] * rows[half + n][w];
                rise[short - 1 - n] -= window[short - 1 - n] * rows[half + n][w];
                fall[n] = -current[short - 1 - n] * rows[half - 1 - n][w];
                fall[short - 1 - n] = -current[n] * rows[half - 1 - n][w];
            }
        }
        let flat = (frame - short) / 2;
        let (overlap, out) = (&mut overlap[..frame], &mut out[..frame]);
        out.copy_from_slice(overlap);
        for (to, from) in out[flat..].iter_mut().zip(&sound) {
            *to += from;
        }
        let rest = &sound[frame - flat..9 * short];
        overlap[..rest.len()].copy_from_slice(rest);
        overlap[rest.len()..].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_power_complementary() {
        for frame in [1024, 960] {
            let bank = FilterBank::of(frame);
            for window in bank.long_windows.iter().chain(&bank.short_windows) {
                for (a, b) in window.iter().zip(window.iter().rev()) {
                    assert!((a * a + b * b - 1.0).abs() < 1e-6);
                }
            }
        }
    }
}
