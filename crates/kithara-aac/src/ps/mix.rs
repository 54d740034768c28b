//! The work of parametric stereo: splitting, decorrelating, mixing.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::f64::consts::PI;
use std::sync::OnceLock;

use crate::ps::params::Params;
use crate::ps::{BANDS, LOW, SAMPLES, SPLIT, parameter_band};
use crate::sbr::{Plane, SPAN};
use crate::simd::dispatch;

type LowBands = [[[f32; SAMPLES]; 2]; LOW];

/// Taps of a splitting filter, and the samples that it looks back and ahead.
const TAPS: usize = 13;
const SIDE: usize = 6;
/// Samples of the longest plain delay.
const DELAY: usize = 14;
/// Bands that go through all-pass filters, and the first of those with the short delay.
const ALL_PASS: usize = 30;
const SHORT_DELAY: usize = 42;
const LINKS: usize = 3;
/// Samples of the longest all-pass delay.
const LINK_DELAY: usize = 5;
const LINK_GAINS: [f32; LINKS] = [0.651_439_05, 0.564_718_1, 0.489_541_65];

#[derive(Debug)]
struct Tables {
    /// Filters of the lowest band's eight parts: complex taps.
    eight: [[(f32, f32); TAPS]; 8],
    /// By band: the turn of the input, then those of the links.
    turns: [[(f32, f32); 1 + LINKS]; ALL_PASS],
    decay: [f32; ALL_PASS],
    /// By level difference (coarse, then fine) and correlation; the two ways of mixing.
    coarse: [[[[f32; 4]; 8]; 15]; 2],
    fine: [[[[f32; 4]; 8]; 31]; 2],
}

const EIGHT: [f64; 7] = [
    0.00746082949812,
    0.02270420949825,
    0.04546865930473,
    0.07266113929591,
    0.09885108575264,
    0.11793710567217,
    0.125,
];
const TWO: [f32; 7] = [0.0, 0.018_994_875, 0.0, -0.072_931_39, 0.0, 0.305_966_3, 0.5];

const CORRELATIONS: [f64; 8] = [1.0, 0.937, 0.84118, 0.60092, 0.36764, 0.0, -0.589, -1.0];
const COARSE: [f64; 8] = [0.0, 2.0, 4.0, 7.0, 10.0, 14.0, 18.0, 25.0];
const FINE: [f64; 16] =
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 13.0, 16.0, 19.0, 22.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0];

/// The centre of a split band, in bands of the filter bank.
fn center(k: usize) -> f64 {
    const LOWEST: [f64; LOW] = [-3.0, -1.0, 1.0, 3.0, 5.0, 7.0, 10.0, 14.0, 18.0, 22.0];
    if k < LOW { LOWEST[k] / 8.0 } else { k as f64 - 6.5 }
}

/// How sum and copy make left and right (8.6.4.6.2): sum to left, sum to right, copy to left, copy to right.
fn matrix(level: f64, correlation: f64, rotate: bool) -> [f32; 4] {
    let c = 10_f64.powf(level / 20.0);
    let sqrt2 = f64::from(SQRT_2);
    let h = if rotate {
        let rho = correlation.max(0.05);
        let mut alpha = 0.5 * (2.0 * c * rho).atan2(c * c - 1.0);
        let mu = c + 1.0 / c;
        let mu = (1.0 + (4.0 * rho * rho - 4.0) / (mu * mu)).max(0.0).sqrt();
        let gamma = ((1.0 - mu) / (1.0 + mu)).max(0.0).sqrt().atan();
        if alpha < 0.0 {
            alpha += PI / 2.0;
        }
        [
            sqrt2 * alpha.cos() * gamma.cos(),
            sqrt2 * alpha.sin() * gamma.cos(),
            -sqrt2 * alpha.sin() * gamma.sin(),
            sqrt2 * alpha.cos() * gamma.sin(),
        ]
    } else {
        let c1 = sqrt2 / (1.0 + c * c).sqrt();
        let c2 = c * c1;
        let alpha = 0.5 * correlation.acos();
        let beta = alpha * (c1 - c2) * f64::from(FRAC_1_SQRT_2);
        [
            c2 * (beta + alpha).cos(),
            c1 * (beta - alpha).cos(),
            c2 * (beta + alpha).sin(),
            c1 * (beta - alpha).sin(),
        ]
    };
    h.map(|x| x as f32)
}

impl Tables {
    fn get() -> &'static Self {
        static TABLES: OnceLock<Box<Tables>> = OnceLock::new();
        TABLES.get_or_init(|| Box::new(Self::new()))
    }

    fn new() -> Self {
        let turn = |angle: f64| {
            let (s, c) = angle.sin_cos();
            (c as f32, s as f32)
        };
        let level = |steps: &[f64], i: usize| {
            let middle = steps.len() - 1;
            if i < middle { -steps[middle - i] } else { steps[i - middle] }
        };
        let row = |level: f64, rotate: bool| CORRELATIONS.map(|c| matrix(level, c, rotate));
        Self {
            eight: std::array::from_fn(|q| {
                std::array::from_fn(|n| {
                    let tap = EIGHT[n.min(12 - n)];
                    let (c, s) = turn(2.0 * PI / 8.0 * (q as f64 + 0.5) * (n as f64 - 6.0));
                    ((tap * f64::from(c)) as f32, (tap * f64::from(s)) as f32)
                })
            }),
            turns: std::array::from_fn(|k| {
                [0.39, 0.43, 0.75, 0.347].map(|fraction| turn(-PI * fraction * center(k)))
            }),
            decay: std::array::from_fn(|k| 1.0 - 0.05 * k.saturating_sub(10) as f32),
            coarse: [false, true].map(|rotate| std::array::from_fn(|i| row(level(&COARSE, i), rotate))),
            fine: [false, true].map(|rotate| std::array::from_fn(|i| row(level(&FINE, i), rotate))),
        }
    }
}

/// Splits the lowest three bands into ten.
#[derive(Debug)]
pub(crate) struct Hybrid {
    history: [[[f32; SIDE]; 2]; 3],
}

impl Hybrid {
    pub(crate) fn new() -> Self {
        Self { history: [[[0.0; SIDE]; 2]; 3] }
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn split(&mut self, x: &Plane<64>, low: &mut LowBands, samples: usize) {
        let mut rows = [[[0.0; SPAN + SIDE]; 2]; 3];
        for (band, row) in rows.iter_mut().enumerate() {
            for (part, source) in [&x.re[band], &x.im[band]].into_iter().enumerate() {
                row[part][..SIDE].copy_from_slice(&self.history[band][part]);
                row[part][SIDE..].copy_from_slice(source);
                self.history[band][part].copy_from_slice(&source[samples - SIDE..samples]);
            }
        }
        split_eight(&rows[0], low, samples);
        // The second band lies upside down: its upper half is the lower one in frequency.
        split_two(&rows[1], low, (7, 6), samples);
        split_two(&rows[2], low, (8, 9), samples);
    }
}

dispatch! {
    fn split_eight(row: &[[f32; SPAN + SIDE]; 2], low: &mut LowBands, samples: usize) {
        let filters = &Tables::get().eight;
        let mut parts = [[[0.0_f32; SAMPLES]; 2]; 8];
        let samples = samples.min(SAMPLES);
        for (part, filter) in parts.iter_mut().zip(filters) {
            let [out_re, out_im] = part;
            for (n, &(c, s)) in filter.iter().enumerate() {
                // The filter runs backwards over the samples.
                let (re, im) = (&row[0][TAPS - 1 - n..][..SAMPLES], &row[1][TAPS - 1 - n..][..SAMPLES]);
                for i in 0..SAMPLES {
                    out_re[i] += c * re[i] - s * im[i];
                    out_im[i] += c * im[i] + s * re[i];
                }
            }
        }
        let sum = |a: usize, b: usize, part: usize, i: usize| parts[a][part][i] + parts[b][part][i];
        for part in 0..2 {
            for i in 0..samples {
                low[0][part][i] = parts[6][part][i];
                low[1][part][i] = parts[7][part][i];
                low[2][part][i] = parts[0][part][i];
                low[3][part][i] = parts[1][part][i];
                low[4][part][i] = sum(2, 5, part, i);
                low[5][part][i] = sum(3, 4, part, i);
            }
        }
    }
}

fn split_two(
    row: &[[f32; SPAN + SIDE]; 2],
    low: &mut LowBands,
    (sum, difference): (usize, usize),
    samples: usize,
) {
    for part in 0..2 {
        for i in 0..samples {
            let window = &row[part][i..i + TAPS];
            let middle = TWO[6] * window[6];
            let sides: f32 = [1, 3, 5].iter().map(|&n| TWO[n] * (window[n] + window[12 - n])).sum();
            low[sum][part][i] = middle + sides;
            low[difference][part][i] = middle - sides;
        }
    }
}

/// How loud the copy is, and the copy's memory.
#[derive(Debug)]
pub(crate) struct Decorrelator {
    peak: [f32; BANDS],
    power: [f32; BANDS],
    difference: [f32; BANDS],
    gains: [[f32; SAMPLES]; BANDS],
    delays: Box<[[[f32; DELAY]; 2]; SPLIT]>,
    links: Box<[[[[f32; LINK_DELAY]; 2]; LINKS]; ALL_PASS]>,
}

impl Decorrelator {
    pub(crate) fn new() -> Self {
        Self {
            peak: [0.0; BANDS],
            power: [0.0; BANDS],
            difference: [0.0; BANDS],
            gains: [[0.0; SAMPLES]; BANDS],
            delays: Box::new([[[0.0; DELAY]; 2]; SPLIT]),
            links: Box::new([[[[0.0; LINK_DELAY]; 2]; LINKS]; ALL_PASS]),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.peak.fill(0.0);
        self.power.fill(0.0);
        self.difference.fill(0.0);
        self.delays.as_flattened_mut().as_flattened_mut().fill(0.0);
        self.links.as_flattened_mut().as_flattened_mut().as_flattened_mut().fill(0.0);
    }

    /// Finds attacks, which must not sound twice (8.6.4.5.2).
    pub(crate) fn listen(&mut self, x: &Plane<64>, low: &LowBands, samples: usize) {
        let mut powers = [[0.0_f32; SAMPLES]; BANDS];
        for k in 0..SPLIT {
            let sums = &mut powers[parameter_band(k)];
            let (re, im): (&[f32], &[f32]) =
                if k < LOW { (&low[k][0], &low[k][1]) } else { (&x.re[k - 7][..], &x.im[k - 7][..]) };
            for ((sum, re), im) in sums.iter_mut().zip(&re[..SAMPLES]).zip(&im[..SAMPLES]) {
                *sum += re * re + im * im;
            }
        }
        for (band, powers) in powers.iter().enumerate() {
            for (n, &power) in powers[..samples].iter().enumerate() {
                self.peak[band] = (0.765_928_35 * self.peak[band]).max(power);
                self.power[band] += 0.25 * (power - self.power[band]);
                self.difference[band] += 0.25 * (self.peak[band] - power - self.difference[band]);
                let limit = 1.5 * self.difference[band];
                self.gains[band][n] = if limit > self.power[band] { self.power[band] / limit } else { 1.0 };
            }
        }
    }

    /// The copy of one band.
    #[inline(always)]
    fn copy(&mut self, k: usize, re: &[f32], im: &[f32], out: &mut [[f32; SAMPLES]; 2], samples: usize) {
        let mut line = [[0.0_f32; DELAY + SAMPLES]; 2];
        for (part, source) in [re, im].into_iter().enumerate() {
            line[part][..DELAY].copy_from_slice(&self.delays[k][part]);
            line[part][DELAY..DELAY + samples].copy_from_slice(&source[..samples]);
            self.delays[k][part].copy_from_slice(&line[part][samples..samples + DELAY]);
        }
        let gains = &self.gains[parameter_band(k)];
        if k >= ALL_PASS {
            let delay = if k < SHORT_DELAY { DELAY } else { 1 };
            for part in 0..2 {
                let source = &line[part][DELAY - delay..][..SAMPLES];
                for n in 0..SAMPLES {
                    out[part][n] = gains[n] * source[n];
                }
            }
            return;
        }
        let tables = Tables::get();
        let turns = &tables.turns[k];
        let (c, s) = turns[0];
        let mut now = [[0.0_f32; SAMPLES]; 2];
        for n in 0..SAMPLES {
            let (re, im) = (line[0][DELAY - 2 + n], line[1][DELAY - 2 + n]);
            now[0][n] = re * c - im * s;
            now[1][n] = re * s + im * c;
        }
        for link in 0..LINKS {
            let (c, s) = turns[1 + link];
            let gain = LINK_GAINS[link] * tables.decay[k];
            let delay = 3 + link;
            let memory = &mut self.links[k][link];
            let mut line = [[0.0_f32; LINK_DELAY + SAMPLES]; 2];
            line[0][..LINK_DELAY].copy_from_slice(&memory[0]);
            line[1][..LINK_DELAY].copy_from_slice(&memory[1]);
            for n in 0..samples {
                let at = LINK_DELAY + n;
                let (wr, wi) = (line[0][at - delay], line[1][at - delay]);
                let (xr, xi) = (now[0][n], now[1][n]);
                let yr = wr * c - wi * s - gain * xr;
                let yi = wr * s + wi * c - gain * xi;
                line[0][at] = xr + gain * yr;
                line[1][at] = xi + gain * yi;
                (now[0][n], now[1][n]) = (yr, yi);
            }
            memory[0].copy_from_slice(&line[0][samples..samples + LINK_DELAY]);
            memory[1].copy_from_slice(&line[1][samples..samples + LINK_DELAY]);
        }
        for part in 0..2 {
            for n in 0..SAMPLES {
                out[part][n] = gains[n] * now[part][n];
            }
        }
    }
}

/// The mixing matrix of each parameter band and sample.
#[derive(Debug)]
pub(crate) struct Matrices {
    last: [[f32; 4]; BANDS],
    values: Box<[[[f32; SAMPLES]; 4]; BANDS]>,
}

impl Matrices {
    pub(crate) fn new() -> Self {
        Self { last: [[0.0; 4]; BANDS], values: Box::new([[[0.0; SAMPLES]; 4]; BANDS]) }
    }

    pub(crate) fn reset(&mut self) {
        self.last = [[0.0; 4]; BANDS];
    }

    /// From each envelope's end to the next one's, in a straight line.
    pub(crate) fn interpolate(&mut self, params: &Params, samples: usize) {
        let tables = Tables::get();
        let way = usize::from(params.rotates());
        for band in 0..BANDS {
            let mut start = 0;
            for envelope in 0..params.envelopes {
                let (level, correlation) = params.get(envelope, band);
                let correlation = usize::from(correlation & 7);
                let target = if params.fine_levels() {
                    tables.fine[way][(i32::from(level) + 15).clamp(0, 30) as usize][correlation]
                } else {
                    tables.coarse[way][(i32::from(level) + 7).clamp(0, 14) as usize][correlation]
                };
                let end = (params.ends[envelope] + 1).min(samples).max(start + 1).min(SAMPLES);
                for i in 0..4 {
                    let step = (target[i] - self.last[band][i]) / (end - start).max(1) as f32;
                    let mut value = self.last[band][i];
                    for slot in &mut self.values[band][i][start.min(end)..end] {
                        value += step;
                        *slot = value;
                    }
                }
                self.last[band] = target;
                start = end;
            }
        }
    }
}

dispatch! {
    /// Mixes every band, and joins the split ones.
    pub(crate) fn run(
        decorrelator: &mut Decorrelator,
        matrices: &Matrices,
        left: &mut Plane<64>,
        right: &mut Plane<64>,
        low: &mut LowBands,
        samples: usize,
    ) {
        let samples = samples.min(SAMPLES);
        let mut copy = [[0.0_f32; SAMPLES]; 2];
        let mut joined = [[[[0.0_f32; SAMPLES]; 2]; 3]; 2];
        for k in 0..SPLIT {
            let h = &matrices.values[parameter_band(k)];
            if k < LOW {
                let [re, im] = &low[k];
                decorrelator.copy(k, re, im, &mut copy, samples);
                let band = [0, 0, 0, 0, 0, 0, 1, 1, 2, 2][k];
                for part in 0..2 {
                    for n in 0..SAMPLES {
                        let (sum, other) = (low[k][part][n], copy[part][n]);
                        joined[0][band][part][n] += h[0][n] * sum + h[2][n] * other;
                        joined[1][band][part][n] += h[1][n] * sum + h[3][n] * other;
                    }
                }
                continue;
            }
            let band = k - 7;
            decorrelator.copy(k, &left.re[band], &left.im[band], &mut copy, samples);
            let sides = [
                (&mut left.re[band], &mut right.re[band]),
                (&mut left.im[band], &mut right.im[band]),
            ];
            for ((l, r), copy) in sides.into_iter().zip(&copy) {
                for n in 0..SAMPLES {
                    let (sum, other) = (l[n], copy[n]);
                    l[n] = h[0][n] * sum + h[2][n] * other;
                    r[n] = h[1][n] * sum + h[3][n] * other;
                }
            }
        }
        for band in 0..3 {
            left.re[band][..SAMPLES].copy_from_slice(&joined[0][band][0]);
            left.im[band][..SAMPLES].copy_from_slice(&joined[0][band][1]);
            right.re[band][..SAMPLES].copy_from_slice(&joined[1][band][0]);
            right.im[band][..SAMPLES].copy_from_slice(&joined[1][band][1]);
        }
    }
}
