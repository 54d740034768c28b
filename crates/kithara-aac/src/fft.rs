//! Fourier transforms over eight lanes at once: eight short transforms, or the parts of one long transform.

use std::f64::consts::TAU;

use crate::simd::{Lanes, add, rotate, scale, sub};

/// The most points of a transform over lanes.
pub(crate) const MAX_POINTS: usize = 64;

/// Real and imaginary parts of up to 64 points in eight lanes.
#[derive(Clone)]
pub(crate) struct Buffer {
    pub(crate) re: [Lanes; MAX_POINTS],
    pub(crate) im: [Lanes; MAX_POINTS],
}

impl Buffer {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { re: [[0.0; 8]; MAX_POINTS], im: [[0.0; 8]; MAX_POINTS] }
    }
}

/// The factors of a transform of `points` points.
#[derive(Debug)]
pub(crate) struct LaneFft {
    pub(crate) points: usize,
    radices: Vec<usize>,
    twiddles: Vec<(f32, f32)>,
}

/// `exp(-2πi · numerator / denominator)`.
pub(crate) fn unit(numerator: f64, denominator: f64) -> (f32, f32) {
    let (sin, cos) = (-TAU * numerator / denominator).sin_cos();
    (cos as f32, sin as f32)
}

impl LaneFft {
    pub(crate) fn new(points: usize) -> Self {
        debug_assert!(points <= MAX_POINTS);
        let mut radices = Vec::new();
        let mut rest = points;
        for radix in [4, 2, 3, 5] {
            while rest.is_multiple_of(radix) {
                radices.push(radix);
                rest /= radix;
            }
        }
        let mut twiddles = Vec::new();
        let mut length = points;
        for &radix in &radices {
            for p in 0..length / radix {
                for j in 1..radix {
                    twiddles.push(unit((p * j) as f64, length as f64));
                }
            }
            length /= radix;
        }
        Self { points, radices, twiddles }
    }

    /// Transforms the first `points` rows of `x`. `work` is overwritten.
    #[inline(always)]
    pub(crate) fn run(&self, x: &mut Buffer, work: &mut Buffer) {
        let (mut from, mut to) = (x, work);
        let mut twiddles = self.twiddles.as_slice();
        let (mut length, mut stride) = (self.points, 1);
        for &radix in &self.radices {
            let rows = length / radix;
            let (stage, rest) = twiddles.split_at(rows * (radix - 1));
            match radix {
                4 => stage4(from, to, stage, rows, stride),
                2 => stage2(from, to, stage, rows, stride),
                3 => stage3(from, to, stage, rows, stride),
                _ => stage5(from, to, stage, rows, stride),
            }
            twiddles = rest;
            length = rows;
            stride *= radix;
            std::mem::swap(&mut from, &mut to);
        }
        if self.radices.len() % 2 == 1 {
            to.re[..self.points].copy_from_slice(&from.re[..self.points]);
            to.im[..self.points].copy_from_slice(&from.im[..self.points]);
        }
    }
}

#[inline(always)]
fn stage2(x: &Buffer, y: &mut Buffer, w: &[(f32, f32)], rows: usize, stride: usize) {
    for p in 0..rows {
        for q in 0..stride {
            let (i, k) = (q + stride * p, q + stride * (p + rows));
            let o = q + stride * 2 * p;
            y.re[o] = add(&x.re[i], &x.re[k]);
            y.im[o] = add(&x.im[i], &x.im[k]);
            let (re, im) = (sub(&x.re[i], &x.re[k]), sub(&x.im[i], &x.im[k]));
            (y.re[o + stride], y.im[o + stride]) = if p == 0 { (re, im) } else { rotate(&re, &im, w[p]) };
        }
    }
}

#[inline(always)]
fn stage4(x: &Buffer, y: &mut Buffer, w: &[(f32, f32)], rows: usize, stride: usize) {
    for p in 0..rows {
        for q in 0..stride {
            let at = |k: usize| q + stride * (p + rows * k);
            let (a, b, c, d) = (at(0), at(1), at(2), at(3));
            let (sr, si) = (add(&x.re[a], &x.re[c]), add(&x.im[a], &x.im[c]));
            let (dr, di) = (sub(&x.re[a], &x.re[c]), sub(&x.im[a], &x.im[c]));
            let (tr, ti) = (add(&x.re[b], &x.re[d]), add(&x.im[b], &x.im[d]));
            let (er, ei) = (sub(&x.re[b], &x.re[d]), sub(&x.im[b], &x.im[d]));
            let o = q + stride * 4 * p;
            y.re[o] = add(&sr, &tr);
            y.im[o] = add(&si, &ti);
            let one = (add(&dr, &ei), sub(&di, &er));
            let two = (sub(&sr, &tr), sub(&si, &ti));
            let three = (sub(&dr, &ei), add(&di, &er));
            for (j, (re, im)) in [one, two, three].into_iter().enumerate() {
                let o = o + stride * (j + 1);
                (y.re[o], y.im[o]) = if p == 0 { (re, im) } else { rotate(&re, &im, w[3 * p + j]) };
            }
        }
    }
}

#[inline(always)]
fn stage3(x: &Buffer, y: &mut Buffer, w: &[(f32, f32)], rows: usize, stride: usize) {
    const SIN: f32 = 0.866_025_4;
    for p in 0..rows {
        for q in 0..stride {
            let at = |k: usize| q + stride * (p + rows * k);
            let (a, b, c) = (at(0), at(1), at(2));
            let (sr, si) = (add(&x.re[b], &x.re[c]), add(&x.im[b], &x.im[c]));
            let dr = scale(&sub(&x.re[b], &x.re[c]), SIN);
            let di = scale(&sub(&x.im[b], &x.im[c]), SIN);
            let (mr, mi) = (sub(&x.re[a], &scale(&sr, 0.5)), sub(&x.im[a], &scale(&si, 0.5)));
            let o = q + stride * 3 * p;
            y.re[o] = add(&x.re[a], &sr);
            y.im[o] = add(&x.im[a], &si);
            let one = (add(&mr, &di), sub(&mi, &dr));
            let two = (sub(&mr, &di), add(&mi, &dr));
            for (j, (re, im)) in [one, two].into_iter().enumerate() {
                let o = o + stride * (j + 1);
                (y.re[o], y.im[o]) = if p == 0 { (re, im) } else { rotate(&re, &im, w[2 * p + j]) };
            }
        }
    }
}

#[inline(always)]
fn stage5(x: &Buffer, y: &mut Buffer, w: &[(f32, f32)], rows: usize, stride: usize) {
    const C1: f32 = 0.309_017;
    const C2: f32 = -0.809_017;
    const S1: f32 = 0.951_056_5;
    const S2: f32 = 0.587_785_25;
    for p in 0..rows {
        for q in 0..stride {
            let at = |k: usize| q + stride * (p + rows * k);
            let row = |k: usize| (&x.re[at(k)], &x.im[at(k)]);
            let ((ar, ai), (br, bi), (cr, ci), (dr, di), (er, ei)) = (row(0), row(1), row(2), row(3), row(4));
            let (s1r, s1i, d1r, d1i) = (add(br, er), add(bi, ei), sub(br, er), sub(bi, ei));
            let (s2r, s2i, d2r, d2i) = (add(cr, dr), add(ci, di), sub(cr, dr), sub(ci, di));
            let mix = |a: &Lanes, s: &Lanes, t: &Lanes, k: f32, l: f32| -> Lanes {
                std::array::from_fn(|i| a[i] + s[i] * k + t[i] * l)
            };
            let turn = |s: &Lanes, t: &Lanes, k: f32, l: f32| -> Lanes {
                std::array::from_fn(|i| s[i] * k + t[i] * l)
            };
            let o = q + stride * 5 * p;
            y.re[o] = add(ar, &add(&s1r, &s2r));
            y.im[o] = add(ai, &add(&s1i, &s2i));
            let (m1r, m1i) = (mix(ar, &s1r, &s2r, C1, C2), mix(ai, &s1i, &s2i, C1, C2));
            let (m2r, m2i) = (mix(ar, &s1r, &s2r, C2, C1), mix(ai, &s1i, &s2i, C2, C1));
            let (n1r, n1i) = (turn(&d1r, &d2r, S1, S2), turn(&d1i, &d2i, S1, S2));
            let (n2r, n2i) = (turn(&d1r, &d2r, S2, -S1), turn(&d1i, &d2i, S2, -S1));
            let rows_out = [
                (add(&m1r, &n1i), sub(&m1i, &n1r)),
                (add(&m2r, &n2i), sub(&m2i, &n2r)),
                (sub(&m2r, &n2i), add(&m2i, &n2r)),
                (sub(&m1r, &n1i), add(&m1i, &n1r)),
            ];
            for (j, (re, im)) in rows_out.into_iter().enumerate() {
                let o = o + stride * (j + 1);
                (y.re[o], y.im[o]) = if p == 0 { (re, im) } else { rotate(&re, &im, w[4 * p + j]) };
            }
        }
    }
}

#[inline(always)]
fn four(re: [&Lanes; 4], im: [&Lanes; 4]) -> ([Lanes; 4], [Lanes; 4]) {
    let (sr, si) = (add(re[0], re[2]), add(im[0], im[2]));
    let (dr, di) = (sub(re[0], re[2]), sub(im[0], im[2]));
    let (tr, ti) = (add(re[1], re[3]), add(im[1], im[3]));
    let (er, ei) = (sub(re[1], re[3]), sub(im[1], im[3]));
    (
        [add(&sr, &tr), add(&dr, &ei), sub(&sr, &tr), sub(&dr, &ei)],
        [add(&si, &ti), sub(&di, &er), sub(&si, &ti), add(&di, &er)],
    )
}

/// The transform of eight rows, lane by lane, in place.
#[inline(always)]
pub(crate) fn eight(re: &mut [Lanes; 8], im: &mut [Lanes; 8]) {
    const R: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let (er, ei) = four([&re[0], &re[2], &re[4], &re[6]], [&im[0], &im[2], &im[4], &im[6]]);
    let (or, oi) = four([&re[1], &re[3], &re[5], &re[7]], [&im[1], &im[3], &im[5], &im[7]]);
    let odd = [
        (or[0], oi[0]),
        rotate(&or[1], &oi[1], (R, -R)),
        (oi[2], scale(&or[2], -1.0)),
        rotate(&or[3], &oi[3], (-R, -R)),
    ];
    for k in 0..4 {
        re[k] = add(&er[k], &odd[k].0);
        im[k] = add(&ei[k], &odd[k].1);
        re[k + 4] = sub(&er[k], &odd[k].0);
        im[k + 4] = sub(&ei[k], &odd[k].1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: &mut u32) -> f32 {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    #[test]
    fn every_size_equals_the_sum_of_the_definition() {
        for points in [16, 32, 60, 64, 15, 8] {
            let plan = LaneFft::new(points);
            let (mut x, mut work, mut seed) = (Buffer::new(), Buffer::new(), 1);
            for row in 0..points {
                for lane in 0..8 {
                    x.re[row][lane] = noise(&mut seed);
                    x.im[row][lane] = noise(&mut seed);
                }
            }
            let input = x.clone();
            plan.run(&mut x, &mut work);
            for k in 0..points {
                for lane in 0..8 {
                    let (mut re, mut im) = (0.0, 0.0);
                    for n in 0..points {
                        let (s, c) = (-TAU * (k * n) as f64 / points as f64).sin_cos();
                        let (a, b) = (f64::from(input.re[n][lane]), f64::from(input.im[n][lane]));
                        re += a * c - b * s;
                        im += a * s + b * c;
                    }
                    assert!((f64::from(x.re[k][lane]) - re).abs() < 1e-4, "{points} points, {k}");
                    assert!((f64::from(x.im[k][lane]) - im).abs() < 1e-4, "{points} points, {k}");
                }
            }
        }
    }
}
