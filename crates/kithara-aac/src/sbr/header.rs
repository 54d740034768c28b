//! The header of SBR and the frequency bands that follow from it (ISO/IEC 14496-3, 4.6.18.3.2).

use crate::bits::BitReader;
use crate::{Error, Result};

/// `sbr_header()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fine_amplitudes: bool,
    start: u8,
    stop: u8,
    crossover: u8,
    frequency_scale: u8,
    alter_scale: bool,
    noise_bands: u8,
    limiter_bands: u8,
    pub(crate) limiter_gains: u8,
    pub(crate) interpolate: bool,
    pub(crate) smooth: bool,
}

impl Header {
    pub(crate) fn read(reader: &mut BitReader<'_>) -> Self {
        let mut header = Self {
            fine_amplitudes: !reader.flag(),
            start: reader.read(4) as u8,
            stop: reader.read(4) as u8,
            crossover: reader.read(3) as u8,
            frequency_scale: 2,
            alter_scale: true,
            noise_bands: 2,
            limiter_bands: 2,
            limiter_gains: 2,
            interpolate: true,
            smooth: false,
        };
        reader.skip(2);
        let (first, second) = (reader.flag(), reader.flag());
        if first {
            header.frequency_scale = reader.read(2) as u8;
            header.alter_scale = reader.flag();
            header.noise_bands = reader.read(2) as u8;
        }
        if second {
            header.limiter_bands = reader.read(2) as u8;
            header.limiter_gains = reader.read(2) as u8;
            header.interpolate = reader.flag();
            header.smooth = !reader.flag();
        }
        header
    }

    /// Whether both headers lead to the same bands.
    pub(crate) fn has_same_bands(&self, other: &Self) -> bool {
        self.start == other.start
            && self.stop == other.stop
            && self.crossover == other.crossover
            && self.frequency_scale == other.frequency_scale
            && self.alter_scale == other.alter_scale
            && self.noise_bands == other.noise_bands
    }

    /// Whether both headers lead to the same limiter bands, given the same bands.
    pub(crate) fn has_same_limiter(&self, other: &Self) -> bool {
        self.limiter_bands == other.limiter_bands
    }
}

/// The most bands of the high range.
pub(crate) const MAX_HIGH: usize = 48;
pub(crate) const MAX_NOISE: usize = 5;
pub(crate) const MAX_PATCHES: usize = 6;

/// Borders of bands: one more than there are bands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Borders<const N: usize> {
    values: [u8; N],
    count: usize,
}

impl<const N: usize> Borders<N> {
    const fn new() -> Self {
        Self { values: [0; N], count: 0 }
    }

    fn push(&mut self, value: usize) -> Result<()> {
        let slot = self.values.get_mut(self.count).ok_or(INVALID)?;
        *slot = value as u8;
        self.count += 1;
        Ok(())
    }

    pub(crate) fn bands(&self) -> usize {
        self.count.saturating_sub(1)
    }

    pub(crate) fn get(&self, i: usize) -> usize {
        usize::from(self.values[i])
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.values[..self.count]
    }

    /// The band that a border or a position within it belongs to.
    pub(crate) fn find(&self, position: usize) -> usize {
        let at = self.as_slice().partition_point(|&b| usize::from(b) <= position);
        at.saturating_sub(1).min(self.bands().saturating_sub(1))
    }
}

const INVALID: Error = Error::malformed("SBR header", "its frequency bands are impossible");

/// A range of low bands that is copied up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patch {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) bands: usize,
}

/// The bands of a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bands {
    /// The first band of the high range, and its number of bands of the filter bank.
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) high: Borders<{ MAX_HIGH + 1 }>,
    pub(crate) low: Borders<{ MAX_HIGH / 2 + 2 }>,
    pub(crate) noise: Borders<{ MAX_NOISE + 1 }>,
    pub(crate) limiter: Borders<40>,
    pub(crate) patches: [Patch; MAX_PATCHES],
    pub(crate) patch_count: usize,
}

fn round(x: f64) -> usize {
    (x + 0.5).floor() as usize
}

impl Bands {
    /// `rate`: of SBR's output, not of the core.
    pub(crate) fn new(header: &Header, rate: u32) -> Result<Self> {
        let k0 = start_band(header.start, rate)?;
        let k2 = stop_band(header.stop, k0, rate);
        let limit = match rate {
            0..=32_000 => 48,
            44_100 => 35,
            48_000.. => 32,
            _ => 48,
        };
        if k2 <= k0 || k2 - k0 > limit {
            return Err(INVALID);
        }
        let master = if header.frequency_scale == 0 {
            linear_master(k0, k2, header.alter_scale)?
        } else {
            scaled_master(k0, k2, header)?
        };
        let crossover = usize::from(header.crossover);
        if crossover >= master.bands() {
            return Err(INVALID);
        }
        let mut bands = Self {
            first: master.get(crossover),
            count: 0,
            high: Borders::new(),
            low: Borders::new(),
            noise: Borders::new(),
            limiter: Borders::new(),
            patches: [Patch::default(); MAX_PATCHES],
            patch_count: 0,
        };
        for &border in &master.as_slice()[crossover..] {
            bands.high.push(usize::from(border))?;
        }
        let high = bands.high.bands();
        bands.count = bands.high.get(high) - bands.first;
        if bands.first > 32 || bands.count > MAX_HIGH {
            return Err(INVALID);
        }
        bands.low.push(bands.first)?;
        for k in (2 - high % 2..=high).step_by(2) {
            bands.low.push(bands.high.get(k))?;
        }
        bands.set_noise(header, k2)?;
        bands.set_patches(k0, rate, &master)?;
        bands.set_limiter(header)?;
        Ok(bands)
    }

    fn set_noise(&mut self, header: &Header, k2: usize) -> Result<()> {
        let octaves = (k2 as f64 / self.first as f64).log2();
        let count = round(f64::from(header.noise_bands) * octaves).max(1);
        let low = self.low.bands();
        if count > MAX_NOISE || count > low {
            return Err(INVALID);
        }
        let mut at = 0;
        self.noise.push(self.low.get(0))?;
        for k in 1..=count {
            at += (low - at) / (count + 1 - k);
            self.noise.push(self.low.get(at))?;
        }
        Ok(())
    }

    fn set_patches(&mut self, k0: usize, rate: u32, master: &Borders<{ MAX_HIGH + 2 }>) -> Result<()> {
        let (mut msb, mut usb) = (k0, self.first);
        let end = self.first + self.count;
        let goal = round(2.048e6 / f64::from(rate));
        let mut k = if goal < end {
            master.as_slice().partition_point(|&border| usize::from(border) < goal)
        } else {
            master.bands()
        };
        // Each round ends a patch or moves `k` or `msb`: more rounds than this repeat themselves.
        for _ in 0..64 {
            let mut j = k;
            let (mut sb, mut odd);
            loop {
                sb = master.get(j);
                odd = (sb + k0) % 2;
                if sb < k0 + msb - odd {
                    break;
                }
                j = j.checked_sub(1).ok_or(INVALID)?;
            }
            let bands = sb.saturating_sub(usb);
            if bands > 0 {
                let slot = self.patches.get_mut(self.patch_count).ok_or(INVALID)?;
                let from = k0.checked_sub(odd + bands).ok_or(INVALID)?;
                *slot = Patch { from, to: usb, bands };
                (usb, msb) = (sb, sb);
                self.patch_count += 1;
            } else {
                msb = self.first;
            }
            if master.get(k).saturating_sub(sb) < 3 {
                k = master.bands();
            }
            if sb == end {
                if self.patch_count > 1 && self.patches[self.patch_count - 1].bands < 3 {
                    self.patch_count -= 1;
                }
                return Ok(());
            }
        }
        Err(INVALID)
    }

    /// The bands in which gains are limited together.
    pub(crate) fn set_limiter(&mut self, header: &Header) -> Result<()> {
        self.limiter = Borders::new();
        let (first, end) = (self.low.get(0), self.low.get(self.low.bands()));
        if header.limiter_bands == 0 {
            self.limiter.push(first)?;
            return self.limiter.push(end);
        }
        let per_octave = [0.0, 1.2, 2.0, 3.0][usize::from(header.limiter_bands)];
        let mut borders = self.low.as_slice().to_vec();
        let mut of_patches: Vec<u8> = vec![first as u8];
        for patch in &self.patches[..self.patch_count] {
            of_patches.push((patch.to + patch.bands) as u8);
        }
        borders.extend_from_slice(&of_patches[1..self.patch_count]);
        borders.sort_unstable();
        let mut k = 1;
        while k < borders.len() {
            let octaves = (f64::from(borders[k]) / f64::from(borders[k - 1])).log2();
            if octaves * per_octave >= 0.49 {
                k += 1;
            } else if borders[k] == borders[k - 1] || !of_patches.contains(&borders[k]) {
                borders.remove(k);
            } else if !of_patches.contains(&borders[k - 1]) {
                borders.remove(k - 1);
            } else {
                k += 1;
            }
        }
        for border in borders {
            self.limiter.push(usize::from(border))?;
        }
        Ok(())
    }
}

fn start_band(index: u8, rate: u32) -> Result<usize> {
    const OFFSETS: [[i8; 16]; 6] = [
        [-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7],
        [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13],
        [-5, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16],
        [-6, -4, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16],
        [-4, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16, 20],
        [-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16, 20, 24],
    ];
    let row = match rate {
        0..=16_000 => 0,
        16_001..=22_050 => 1,
        22_051..=24_000 => 2,
        24_001..=32_000 => 3,
        32_001..=64_000 => 4,
        _ => 5,
    };
    let start = least(rate, [3000.0, 4000.0, 5000.0]) as i32 + i32::from(OFFSETS[row][usize::from(index)]);
    usize::try_from(start).ok().filter(|&k0| k0 > 0).ok_or(INVALID)
}

fn least(rate: u32, hertz: [f64; 3]) -> usize {
    let hertz = match rate {
        0..32_000 => hertz[0],
        32_000..64_000 => hertz[1],
        _ => hertz[2],
    };
    round(hertz * 128.0 / f64::from(rate))
}

fn stop_band(index: u8, k0: usize, rate: u32) -> usize {
    let stop = match index {
        14 => 2 * k0,
        15 => 3 * k0,
        _ => {
            let least = least(rate, [6000.0, 8000.0, 10000.0]);
            let border = |p: usize| round(least as f64 * (64.0 / least as f64).powf(p as f64 / 13.0));
            let mut steps: Vec<usize> = (0..13).map(|p| border(p + 1).saturating_sub(border(p))).collect();
            steps.sort_unstable();
            least + steps[..usize::from(index)].iter().sum::<usize>()
        }
    };
    stop.min(64)
}

type Master = Borders<{ MAX_HIGH + 2 }>;

fn linear_master(k0: usize, k2: usize, alter: bool) -> Result<Master> {
    let width = if alter { 2 } else { 1 };
    let count = if alter { (k2 - k0 + 2) / 4 * 2 } else { (k2 - k0) / 2 * 2 };
    if count == 0 {
        return Err(INVALID);
    }
    let mut steps = vec![width as i32; count];
    let mut difference = k2 as i32 - (k0 + count * width) as i32;
    let mut k = if difference < 0 { 0 } else { count - 1 };
    while difference != 0 {
        if difference < 0 {
            steps[k] -= 1;
            difference += 1;
            k += 1;
        } else {
            steps[k] += 1;
            difference -= 1;
            k = k.saturating_sub(1);
        }
        if k >= count {
            break;
        }
    }
    sum_up(k0, &steps)
}

fn sum_up(first: usize, steps: &[i32]) -> Result<Master> {
    let mut borders = Master::new();
    let mut at = first as i32;
    borders.push(first)?;
    for &step in steps {
        if step <= 0 {
            return Err(INVALID);
        }
        at += step;
        if at > 64 {
            return Err(INVALID);
        }
        borders.push(at as usize)?;
    }
    Ok(borders)
}

/// Steps of a geometric division of `from..to`, smallest first.
fn geometric(from: usize, to: usize, count: usize) -> Vec<i32> {
    let ratio = to as f64 / from as f64;
    let border = |k: usize| round(from as f64 * ratio.powf(k as f64 / count as f64)) as i32;
    let mut steps: Vec<i32> = (0..count).map(|k| border(k + 1) - border(k)).collect();
    steps.sort_unstable();
    steps
}

fn scaled_master(k0: usize, k2: usize, header: &Header) -> Result<Master> {
    let per_octave = [12.0, 10.0, 8.0][usize::from(header.frequency_scale) - 1];
    let two_regions = k2 as f64 / k0 as f64 > 2.2449;
    let k1 = if two_regions { 2 * k0 } else { k2 };
    let count = |from: usize, to: usize, warp: f64| {
        2 * round(per_octave * (to as f64 / from as f64).log2() / (2.0 * warp))
    };
    let count0 = count(k0, k1, 1.0);
    if count0 == 0 {
        return Err(INVALID);
    }
    let mut steps = geometric(k0, k1, count0);
    if two_regions {
        let count1 = count(k1, k2, if header.alter_scale { 1.3 } else { 1.0 });
        let mut upper = if count1 == 0 { Vec::new() } else { geometric(k1, k2, count1) };
        let widest = *steps.last().ok_or(INVALID)?;
        if let [first, .., last] = &mut upper[..]
            && *first < widest
        {
            let change = (widest - *first).min((*last - *first) / 2);
            *first += change;
            *last -= change;
            upper.sort_unstable();
        }
        steps.extend(upper);
    }
    if steps.len() > MAX_HIGH {
        return Err(INVALID);
    }
    sum_up(k0, &steps)
}
