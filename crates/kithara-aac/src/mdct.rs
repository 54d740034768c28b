//! The type IV cosine transform, which is all that the filter banks of AAC and SBR need.

use crate::fft::{Buffer, LaneFft, eight, unit};
use crate::simd::{Lanes, rotate};

/// Eight cosine transforms of up to 128 points, one in each lane.
#[derive(Debug)]
pub(crate) struct LaneDct {
    fft: LaneFft,
    twiddles: Vec<(f32, f32)>,
}

/// `exp(-iπ(n + ⅛) / points)` for the first half of the points.
fn dct_twiddles(points: usize) -> Vec<(f32, f32)> {
    (0..points / 2).map(|n| unit((8 * n + 1) as f64, (16 * points) as f64)).collect()
}

impl LaneDct {
    pub(crate) fn new(points: usize) -> Self {
        Self { fft: LaneFft::new(points / 2), twiddles: dct_twiddles(points) }
    }

    /// `out[n] = Σ x[k] cos(π/points (n + ½)(k + ½))` in each lane, in place.
    #[inline(always)]
    pub(crate) fn run(&self, x: &mut [Lanes], a: &mut Buffer, b: &mut Buffer) {
        let half = self.fft.points;
        let x = &mut x[..2 * half];
        for (k, &w) in self.twiddles.iter().enumerate() {
            (a.re[k], a.im[k]) = rotate(&x[2 * k], &x[2 * half - 1 - 2 * k], w);
        }
        self.fft.run(a, b);
        for (n, &w) in self.twiddles.iter().enumerate() {
            let (re, im) = rotate(&a.re[n], &a.im[n], w);
            x[2 * n] = re;
            x[2 * half - 1 - 2 * n] = std::array::from_fn(|i| -im[i]);
        }
    }
}

/// One cosine transform of sixteen times as many points as its inner transform has.
#[derive(Debug)]
pub(crate) struct LongDct {
    fft: LaneFft,
    twiddles_re: Vec<f32>,
    twiddles_im: Vec<f32>,
    /// Between the inner transforms and those across the lanes.
    inner: Vec<(Lanes, Lanes)>,
}

/// The most points of a [`LongDct`].
pub(crate) const MAX_LONG: usize = 1024;

impl LongDct {
    /// `points`: 1024 or 960.
    pub(crate) fn new(points: usize) -> Self {
        let rows = points / 16;
        let twiddles = dct_twiddles(points);
        let lanes = |k: usize| -> (Lanes, Lanes) {
            let at = |lane: usize| unit((k * lane) as f64, (8 * rows) as f64);
            (std::array::from_fn(|i| at(i).0), std::array::from_fn(|i| at(i).1))
        };
        Self {
            fft: LaneFft::new(rows),
            twiddles_re: twiddles.iter().map(|w| w.0).collect(),
            twiddles_im: twiddles.iter().map(|w| w.1).collect(),
            inner: (0..rows).map(lanes).collect(),
        }
    }

    /// `out[n] = scale · Σ x[k] cos(π/points (n + ½)(k + ½))`.
    #[inline(always)]
    pub(crate) fn run(&self, x: &[f32], scale: f32, out: &mut [f32]) {
        let rows = self.fft.points;
        let points = 16 * rows;
        let (x, out) = (&x[..points], &mut out[..points]);
        let (mut a, mut b) = (Buffer::new(), Buffer::new());
        self.turn_in(x, scale, &mut a);
        self.fft.run(&mut a, &mut b);
        self.across(&a, &mut b);
        let (re, im) = (b.re.as_flattened(), b.im.as_flattened());
        let (re, im) = (&re[..points / 2], &im[..points / 2]);
        let (wr, wi) = (&self.twiddles_re[..points / 2], &self.twiddles_im[..points / 2]);
        // The even outputs rise, the odd ones fall: both are computed in place of the inner transform's.
        let (even, odd) = (a.re.as_flattened_mut(), a.im.as_flattened_mut());
        let (even, odd) = (&mut even[..points / 2], &mut odd[..points / 2]);
        for n in 0..points / 2 {
            even[n] = re[n] * wr[n] - im[n] * wi[n];
            odd[n] = -(re[n] * wi[n] + im[n] * wr[n]);
        }
        let blocks = out.as_chunks_mut::<16>().0.iter_mut();
        for ((out, even), odd) in blocks.zip(even.as_chunks::<8>().0).zip(odd.as_chunks::<8>().0.iter().rev())
        {
            *out = std::array::from_fn(|i| if i % 2 == 0 { even[i / 2] } else { odd[7 - i / 2] });
        }
    }

    #[inline(always)]
    fn turn_in(&self, x: &[f32], scale: f32, a: &mut Buffer) {
        let (wr, wi) = (self.twiddles_re.as_chunks::<8>().0, self.twiddles_im.as_chunks::<8>().0);
        let (rising, falling) = (x.as_chunks::<16>().0.iter(), x.as_chunks::<16>().0.iter().rev());
        let rows = a.re.iter_mut().zip(a.im.iter_mut()).zip(wr.iter().zip(wi));
        for (((re, im), (wr, wi)), (up, down)) in rows.zip(rising.zip(falling)) {
            let p: Lanes = std::array::from_fn(|i| up[2 * i] * scale);
            let q: Lanes = std::array::from_fn(|i| down[15 - 2 * i] * scale);
            *re = std::array::from_fn(|i| p[i] * wr[i] - q[i] * wi[i]);
            *im = std::array::from_fn(|i| p[i] * wi[i] + q[i] * wr[i]);
        }
    }

    /// The transforms of eight points across the lanes, and the order of the definition.
    #[inline(always)]
    fn across(&self, a: &Buffer, b: &mut Buffer) {
        let rows = self.fft.points;
        for first in (0..rows).step_by(8) {
            let count = (rows - first).min(8);
            let (mut re, mut im) = ([[0.0; 8]; 8], [[0.0; 8]; 8]);
            for (i, row) in (first..first + count).enumerate() {
                let (wr, wi) = &self.inner[row];
                for lane in 0..8 {
                    let (x, y) = (a.re[row][lane], a.im[row][lane]);
                    re[i][lane] = x * wr[lane] - y * wi[lane];
                    im[i][lane] = x * wi[lane] + y * wr[lane];
                }
            }
            transpose(&mut re);
            transpose(&mut im);
            eight(&mut re, &mut im);
            for k in 0..8 {
                let at = rows * k + first;
                b.re.as_flattened_mut()[at..at + count].copy_from_slice(&re[k][..count]);
                b.im.as_flattened_mut()[at..at + count].copy_from_slice(&im[k][..count]);
            }
        }
    }
}

/// Swaps rows and lanes.
#[inline(always)]
pub(crate) fn transpose(x: &mut [Lanes; 8]) {
    // Three rounds of interleaving: each is a pair of shuffles on whole registers.
    for _ in 0..3 {
        let y = *x;
        for i in 0..4 {
            x[2 * i] = std::array::from_fn(|l| if l % 2 == 0 { y[i][l / 2] } else { y[i + 4][l / 2] });
            x[2 * i + 1] =
                std::array::from_fn(|l| if l % 2 == 0 { y[i][4 + l / 2] } else { y[i + 4][4 + l / 2] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(x: &[f32]) -> Vec<f64> {
        let points = x.len();
        let angle =
            |n: usize, k: usize| std::f64::consts::PI / points as f64 * (n as f64 + 0.5) * (k as f64 + 0.5);
        (0..points)
            .map(|n| x.iter().enumerate().map(|(k, &v)| f64::from(v) * angle(n, k).cos()).sum())
            .collect()
    }

    fn signal(points: usize) -> Vec<f32> {
        (0..points).map(|k| ((k * k + 7 * k) % 97) as f32 / 48.0 - 1.0).collect()
    }

    #[test]
    fn rows_and_lanes_are_swapped() {
        let mut x: [Lanes; 8] = std::array::from_fn(|i| std::array::from_fn(|l| (8 * i + l) as f32));
        transpose(&mut x);
        for (i, row) in x.iter().enumerate() {
            for (l, &value) in row.iter().enumerate() {
                assert_eq!(value, (8 * l + i) as f32);
            }
        }
    }

    #[test]
    fn long_transforms_equal_the_definition() {
        for points in [1024, 960] {
            let x = signal(points);
            let mut out = vec![0.0; points];
            LongDct::new(points).run(&x, 2.0, &mut out);
            for (a, b) in out.iter().zip(definition(&x)) {
                assert!((f64::from(*a) - 2.0 * b).abs() < 1e-3, "{points}: {a} {b}");
            }
        }
    }

    #[test]
    fn short_transforms_equal_the_definition_in_each_lane() {
        for points in [32, 64, 120, 128] {
            let x = signal(points);
            let mut rows: Vec<Lanes> = x.iter().map(|&v| std::array::from_fn(|l| v * l as f32)).collect();
            LaneDct::new(points).run(&mut rows, &mut Buffer::new(), &mut Buffer::new());
            for (row, b) in rows.iter().zip(definition(&x)) {
                for (l, a) in row.iter().enumerate() {
                    assert!((f64::from(*a) - l as f64 * b).abs() < 1e-3, "{points}: {a} {b}");
                }
            }
        }
    }
}
