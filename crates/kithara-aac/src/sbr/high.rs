//! The high range: copied from the low one (ISO/IEC 14496-3, 4.6.18.6) and shaped (4.6.18.7).

use crate::sbr::data::{ChannelData, MAX_ENVELOPES};
use crate::sbr::header::{Bands, Header, MAX_HIGH, MAX_NOISE};
use crate::simd::dispatch;
use crate::tables::sbr_numbers::NOISE;

/// Samples of a band that one packet can hold: 32 of its own, and eight that were kept.
pub(crate) const SPAN: usize = 40;
/// The low range is this many samples ahead of the high one.
pub(crate) const AHEAD: usize = 2;

/// Samples of bands: real and imaginary parts, by band and time.
#[derive(Debug)]
pub(crate) struct Plane<const N: usize> {
    pub(crate) re: Box<[[f32; SPAN]; N]>,
    pub(crate) im: Box<[[f32; SPAN]; N]>,
}

impl<const N: usize> Plane<N> {
    pub(crate) fn new() -> Self {
        Self { re: Box::new([[0.0; SPAN]; N]), im: Box::new([[0.0; SPAN]; N]) }
    }

    pub(crate) fn clear(&mut self) {
        self.re.as_flattened_mut().fill(0.0);
        self.im.as_flattened_mut().fill(0.0);
    }

    /// Keeps `COUNT` samples from `from` on as the first ones.
    pub(crate) fn shift<const COUNT: usize>(&mut self, from: usize) {
        for row in self.re.iter_mut().chain(self.im.iter_mut()) {
            let mut last = [0.0; COUNT];
            last.copy_from_slice(&row[from..from + COUNT]);
            row[..COUNT].copy_from_slice(&last);
        }
    }
}

/// What the shaping of one channel keeps from packet to packet.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    chirp: [f32; MAX_NOISE],
    /// Gains and noise levels of the last four samples, oldest first.
    gains: [[f32; MAX_HIGH]; 4],
    noises: [[f32; MAX_HIGH]; 4],
    /// Sinusoids of the last envelope, by band of the filter bank from 0 on.
    sinusoids: u64,
    /// The last packet ended with a transient: this one's first envelope starts with it.
    transient: bool,
    started: bool,
}

impl Shape {
    pub(crate) fn new() -> Self {
        Self {
            chirp: [0.0; MAX_NOISE],
            gains: [[0.0; MAX_HIGH]; 4],
            noises: [[0.0; MAX_HIGH]; 4],
            sinusoids: 0,
            transient: false,
            started: false,
        }
    }

    /// The next packet has other bands.
    pub(crate) fn restart(&mut self) {
        self.started = false;
    }

    fn adapt_chirp(&mut self, data: &ChannelData, bands: &Bands) {
        for i in 0..bands.noise.bands() {
            let target = match (data.inverse[i], data.inverse_before[i]) {
                (0, 1) | (1, 0) => 0.6,
                (0, _) => 0.0,
                (1, _) => 0.75,
                (2, _) => 0.9,
                _ => 0.98,
            };
            let before = self.chirp[i];
            let next = if target < before {
                0.75 * target + 0.25 * before
            } else {
                0.90625 * target + 0.09375 * before
            };
            self.chirp[i] = if next < 0.015625 { 0.0 } else { next.min(0.99609375) };
        }
    }
}

/// Two complex coefficients that predict a band from its past.
type Prediction = [(f32, f32); 2];

#[inline(always)]
fn predict(re: &[f32; SPAN], im: &[f32; SPAN], count: usize) -> Prediction {
    // Correlations of the samples at distance 0, 1 and 2, over `count` samples.
    let mut r1 = ([0.0_f32; 8], [0.0_f32; 8]);
    let mut r2 = ([0.0_f32; 8], [0.0_f32; 8]);
    let mut r0 = [0.0_f32; 8];
    let (mut sums, mut n) = ([0.0_f32; 5], 0);
    while n + 8 <= count {
        for i in 0..8 {
            let (ar, ai) = (re[n + i + 2], im[n + i + 2]);
            let (br, bi) = (re[n + i + 1], im[n + i + 1]);
            let (cr, ci) = (re[n + i], im[n + i]);
            r0[i] += br * br + bi * bi;
            r1.0[i] += ar * br + ai * bi;
            r1.1[i] += ai * br - ar * bi;
            r2.0[i] += ar * cr + ai * ci;
            r2.1[i] += ai * cr - ar * ci;
        }
        n += 8;
    }
    while n < count {
        let (ar, ai, br, bi, cr, ci) = (re[n + 2], im[n + 2], re[n + 1], im[n + 1], re[n], im[n]);
        sums[0] += br * br + bi * bi;
        sums[1] += ar * br + ai * bi;
        sums[2] += ai * br - ar * bi;
        sums[3] += ar * cr + ai * ci;
        sums[4] += ai * cr - ar * ci;
        n += 1;
    }
    for (sum, lanes) in sums.iter_mut().zip([&r0, &r1.0, &r1.1, &r2.0, &r2.1]) {
        *sum += lanes.iter().sum::<f32>();
    }
    let [p11, p01r, p01i, p02r, p02i] = sums;
    // The sums one sample earlier differ by their ends.
    let p22 = p11 + re[0] * re[0] + im[0] * im[0] - re[count] * re[count] - im[count] * im[count];
    let (e, l) = (count + 1, count);
    let p12r = p01r + re[1] * re[0] + im[1] * im[0] - re[e] * re[l] - im[e] * im[l];
    let p12i = p01i + im[1] * re[0] - re[1] * im[0] - im[e] * re[l] + re[e] * im[l];

    let d = p22 * p11 - (p12r * p12r + p12i * p12i) / (1.0 + 1e-6);
    let a1 = if d == 0.0 {
        (0.0, 0.0)
    } else {
        ((p01r * p12r - p01i * p12i - p02r * p11) / d, (p01r * p12i + p01i * p12r - p02i * p11) / d)
    };
    let a0 = if p11 == 0.0 {
        (0.0, 0.0)
    } else {
        (-(p01r + a1.0 * p12r + a1.1 * p12i) / p11, -(p01i + a1.1 * p12r - a1.0 * p12i) / p11)
    };
    let power = |a: (f32, f32)| a.0 * a.0 + a.1 * a.1;
    // Not `>=`: a value that is not a number is as bad as one that is too large.
    if power(a0) < 16.0 && power(a1) < 16.0 { [a0, a1] } else { [(0.0, 0.0); 2] }
}

dispatch! {
    /// Makes the high range of the packet's envelopes.
    pub(crate) fn generate(
        low: &Plane<32>,
        high: &mut Plane<64>,
        shape: &mut Shape,
        data: &ChannelData,
        bands: &Bands,
        samples: usize,
    ) {
        shape.adapt_chirp(data, bands);
        let mut known: [Option<Prediction>; 32] = [None; 32];
        let (start, end) = (2 * data.grid.borders[0], 2 * data.grid.end());
        for patch in &bands.patches[..bands.patch_count] {
            for i in 0..patch.bands {
                let (p, k) = (patch.from + i, patch.to + i);
                if p >= 32 || k >= 64 {
                    continue;
                }
                let (re, im) = (&low.re[p], &low.im[p]);
                let [a0, a1] = match known[p] {
                    Some(prediction) => prediction,
                    None => predict(re, im, samples + 6),
                };
                known[p] = Some([a0, a1]);
                let chirp = shape.chirp[bands.noise.find(k)];
                let (b0r, b0i) = (a0.0 * chirp, a0.1 * chirp);
                let (b1r, b1i) = (a1.0 * chirp * chirp, a1.1 * chirp * chirp);
                let (out_re, out_im) = (&mut high.re[k], &mut high.im[k]);
                for l in start..end.min(SPAN - AHEAD) {
                    let (xr, xi) = (re[l + 2], im[l + 2]);
                    let (yr, yi) = (re[l + 1], im[l + 1]);
                    let (zr, zi) = (re[l], im[l]);
                    out_re[l] = xr + b0r * yr - b0i * yi + b1r * zr - b1i * zi;
                    out_im[l] = xi + b0r * yi + b0i * yr + b1r * zi + b1i * zr;
                }
            }
        }
    }
}

/// The targets of one envelope, by band of the filter bank from the first high one on.
struct Targets {
    energy: [f32; MAX_HIGH],
    noise: [f32; MAX_HIGH],
    /// A sinusoid lies in this band, and in this band's scale factor band.
    sine: u64,
    sine_near: u64,
}

fn targets(data: &ChannelData, bands: &Bands, envelope: usize, sines: u64) -> Targets {
    let mut t = Targets { energy: [0.0; MAX_HIGH], noise: [0.0; MAX_HIGH], sine: 0, sine_near: 0 };
    let borders = if data.grid.fine[envelope] { bands.high.as_slice() } else { bands.low.as_slice() };
    for (band, pair) in borders.windows(2).enumerate() {
        let range = usize::from(pair[0]) - bands.first..usize::from(pair[1]) - bands.first;
        t.energy[range.clone()].fill(data.energy[envelope][band]);
        let mask = (u64::MAX >> (64 - range.len())) << range.start;
        if sines & mask != 0 {
            t.sine_near |= mask;
        }
    }
    t.sine = sines;
    let noise = &data.noise[data.grid.noise_of(envelope)];
    for (band, pair) in bands.noise.as_slice().windows(2).enumerate() {
        t.noise[usize::from(pair[0]) - bands.first..usize::from(pair[1]) - bands.first].fill(noise[band]);
    }
    t
}

/// Gains of one envelope.
#[derive(Clone, Copy)]
struct Gains {
    gain: [f32; MAX_HIGH],
    noise: [f32; MAX_HIGH],
    sine: [f32; MAX_HIGH],
}

const LIMITS: [f32; 4] = [0.707_95, 1.0, 1.412_54, 1e10];

#[inline(always)]
fn measure(
    high: &Plane<64>,
    data: &ChannelData,
    header: &Header,
    bands: &Bands,
    envelope: usize,
) -> [f32; MAX_HIGH] {
    let (start, end) = (2 * data.grid.borders[envelope], 2 * data.grid.borders[envelope + 1]);
    let mut energy = [0.0; MAX_HIGH];
    for (m, energy) in energy[..bands.count].iter_mut().enumerate() {
        let (re, im) = (&high.re[bands.first + m][start..end], &high.im[bands.first + m][start..end]);
        let mut sum = [0.0_f32; 2];
        for (re, im) in re.chunks_exact(2).zip(im.chunks_exact(2)) {
            sum[0] += re[0] * re[0] + im[0] * im[0];
            sum[1] += re[1] * re[1] + im[1] * im[1];
        }
        *energy = (sum[0] + sum[1]) / (end - start) as f32;
    }
    if !header.interpolate {
        let borders = if data.grid.fine[envelope] { bands.high.as_slice() } else { bands.low.as_slice() };
        for pair in borders.windows(2) {
            let range = usize::from(pair[0]) - bands.first..usize::from(pair[1]) - bands.first;
            let mean = energy[range.clone()].iter().sum::<f32>() / range.len() as f32;
            energy[range].fill(mean);
        }
    }
    energy
}

fn gains(t: &Targets, now: &[f32; MAX_HIGH], header: &Header, bands: &Bands, transient: bool) -> Gains {
    let mut g = Gains { gain: [0.0; MAX_HIGH], noise: [0.0; MAX_HIGH], sine: [0.0; MAX_HIGH] };
    for m in 0..bands.count {
        let (energy, noise) = (t.energy[m], t.noise[m]);
        g.noise[m] = (energy * noise / (1.0 + noise)).sqrt();
        if t.sine >> m & 1 == 1 {
            g.sine[m] = (energy / (1.0 + noise)).sqrt();
        }
        let target = if t.sine_near >> m & 1 == 1 {
            energy * noise / (1.0 + noise)
        } else if transient {
            energy
        } else {
            energy / (1.0 + noise)
        };
        g.gain[m] = (target / (now[m] + 1.0)).sqrt();
    }
    for pair in bands.limiter.as_slice().windows(2) {
        let range = usize::from(pair[0]) - bands.first..usize::from(pair[1]) - bands.first;
        let wanted: f32 = t.energy[range.clone()].iter().sum();
        let present: f32 = now[range.clone()].iter().sum();
        let limit = LIMITS[usize::from(header.limiter_gains & 3)];
        let most = (limit * ((1e-12 + wanted) / (1e-12 + present)).sqrt()).min(1e5);
        let mut reached = 0.0;
        for m in range.clone() {
            if g.gain[m] > most {
                g.noise[m] *= most / g.gain[m];
                g.gain[m] = most;
            }
            reached += now[m] * g.gain[m] * g.gain[m] + g.sine[m] * g.sine[m];
            if g.sine[m] == 0.0 && !transient {
                reached += g.noise[m] * g.noise[m];
            }
        }
        let boost = ((1e-12 + wanted) / (1e-12 + reached)).sqrt().min(1.584_893_2);
        for m in range {
            g.gain[m] *= boost;
            g.noise[m] *= boost;
            g.sine[m] *= boost;
        }
    }
    g
}

const SMOOTHING: [f32; 5] = [0.333_333_34, 0.301_502_83, 0.218_169_5, 0.115_163_83, 0.031_830_5];

/// Shapes the high range of the packet. `first`: the samples of a band that stand before the packet.
pub(crate) fn adjust(
    high: &mut Plane<64>,
    shape: &mut Shape,
    data: &ChannelData,
    header: &Header,
    bands: &Bands,
    first: u64,
) {
    let grid = &data.grid;
    // Places of sinusoids: the middle of their scale factor bands.
    let mut announced = 0_u64;
    for band in (0..bands.high.bands()).filter(|band| data.sinusoids >> band & 1 == 1) {
        announced |= 1 << ((bands.high.get(band) + bands.high.get(band + 1)) / 2 - bands.first);
    }
    let before = shape.sinusoids >> bands.first;
    let mut all =
        [Gains { gain: [0.0; MAX_HIGH], noise: [0.0; MAX_HIGH], sine: [0.0; MAX_HIGH] }; MAX_ENVELOPES];
    let mut last_sines = 0;
    for envelope in 0..grid.envelopes {
        let started = grid.transient.is_some_and(|transient| envelope >= transient);
        // Without a transient, a sinusoid starts at the first envelope.
        let sines = if started || grid.transient.is_none() { announced } else { announced & before };
        last_sines = sines;
        let transient = is_transient(grid.transient, shape.transient, envelope);
        let t = targets(data, bands, envelope, sines);
        let now = measure(high, data, header, bands, envelope);
        all[envelope] = gains(&t, &now, header, bands, transient);
    }

    if !shape.started {
        shape.started = true;
        shape.gains = [all[0].gain; 4];
        shape.noises = [all[0].noise; 4];
    }
    for envelope in 0..grid.envelopes {
        let transient = is_transient(grid.transient, shape.transient, envelope);
        let range = 2 * grid.borders[envelope]..2 * grid.borders[envelope + 1];
        let smooth = header.smooth && !transient;
        apply(high, shape, &all[envelope], bands, range.clone(), first, transient, smooth);
        let fresh = range.len().min(4);
        shape.gains.rotate_left(fresh);
        shape.noises.rotate_left(fresh);
        shape.gains[4 - fresh..].fill(all[envelope].gain);
        shape.noises[4 - fresh..].fill(all[envelope].noise);
    }
    shape.sinusoids = last_sines << bands.first;
    shape.transient = grid.transient == Some(grid.envelopes);
}

fn is_transient(own: Option<usize>, before: bool, envelope: usize) -> bool {
    own == Some(envelope) || (before && envelope == 0)
}

dispatch! {
    fn apply(
        high: &mut Plane<64>,
        shape: &Shape,
        gains: &Gains,
        bands: &Bands,
        range: std::ops::Range<usize>,
        first: u64,
        transient: bool,
        smooth: bool,
    ) {
        for m in 0..bands.count {
            let k = bands.first + m;
            let (re, im) = (&mut high.re[k][range.clone()], &mut high.im[k][range.clone()]);
            let (gain, noise, sine) = (gains.gain[m], gains.noise[m], gains.sine[m]);
            // The levels of each sample: only the first four differ from the envelope's own.
            let mut slopes = [(gain, noise); 4];
            if smooth {
                for (i, slope) in slopes.iter_mut().enumerate() {
                    let at = |n: usize, own: f32, before: &[[f32; MAX_HIGH]; 4]| {
                        if n <= i { own } else { before[4 + i - n][m] }
                    };
                    *slope = (0.0, 0.0);
                    for (n, weight) in SMOOTHING.iter().enumerate() {
                        slope.0 += weight * at(n, gain, &shape.gains);
                        slope.1 += weight * at(n, noise, &shape.noises);
                    }
                }
            }
            let head = re.len().min(4);
            for i in 0..head {
                re[i] *= slopes[i].0;
                im[i] *= slopes[i].0;
            }
            for value in re[head..].iter_mut().chain(&mut im[head..]) {
                *value *= gain;
            }
            let time = first as usize + range.start;
            if sine != 0.0 {
                // A quarter turn for each sample; the imaginary part changes its sign from band to band.
                let odd = if k.is_multiple_of(2) { sine } else { -sine };
                for i in 0..re.len() {
                    match (time + i) & 3 {
                        0 => re[i] += sine,
                        1 => im[i] += odd,
                        2 => re[i] -= sine,
                        _ => im[i] -= odd,
                    }
                }
            } else if !transient {
                let mut index = (time.wrapping_mul(bands.count) + m + 1) & 511;
                for i in 0..re.len() {
                    let level = if i < head { slopes[i].1 } else { noise };
                    re[i] += level * NOISE[index].0;
                    im[i] += level * NOISE[index].1;
                    index = (index + bands.count) & 511;
                }
            }
        }
    }
}
