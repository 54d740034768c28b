//! What SBR sends for each packet (ISO/IEC 14496-3, 4.4.2.8): time grid, envelopes, noise floors, sinusoids.

use crate::bits::BitReader;
use crate::huffman::{Book, Books};
use crate::sbr::header::{Bands, Header, MAX_HIGH, MAX_NOISE};
use crate::{Error, Result};

pub(crate) const MAX_ENVELOPES: usize = 5;

/// The stretches of time in which envelopes and noise floors hold, in slots of two samples of a band.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Grid {
    pub(crate) envelopes: usize,
    /// One more border than there are envelopes.
    pub(crate) borders: [usize; MAX_ENVELOPES + 1],
    /// Whether an envelope has the high frequency resolution.
    pub(crate) fine: [bool; MAX_ENVELOPES],
    pub(crate) noises: usize,
    pub(crate) noise_borders: [usize; 3],
    /// The envelope that starts with a transient.
    pub(crate) transient: Option<usize>,
    /// A single envelope of the fixed class halves the amplitude's step.
    single: bool,
}

const fn bad(reason: &'static str) -> Error {
    Error::malformed("SBR data", reason)
}

impl Grid {
    /// `slots`: time slots of a packet, 16 or 15.
    fn read(reader: &mut BitReader<'_>, slots: usize) -> Result<Self> {
        let mut grid = Self::default();
        let class = reader.read(2);
        let (mut lead, mut trail) = (0, slots);
        let (mut leading, mut trailing) = ([0; 4], [0; 4]);
        let (mut leads, mut trails) = (0, 0);
        if class == 0 {
            grid.envelopes = 1 << reader.read(2);
            if grid.envelopes > 4 {
                return Err(bad("more than four envelopes of equal length"));
            }
            grid.single = grid.envelopes == 1;
            grid.fine = [reader.flag(); MAX_ENVELOPES];
        } else {
            let (left, right) = (class & 2 != 0, class & 1 != 0);
            if left {
                lead = reader.read(2) as usize;
            }
            if right {
                trail = slots + reader.read(2) as usize;
            }
            if left {
                leads = reader.read(2) as usize;
            }
            if right && class == 3 {
                trails = reader.read(2) as usize;
            }
            if class == 1 {
                trails = reader.read(2) as usize;
            }
            for border in &mut leading[..leads] {
                *border = 2 * reader.read(2) as usize + 2;
            }
            for border in &mut trailing[..trails] {
                *border = 2 * reader.read(2) as usize + 2;
            }
            grid.envelopes = leads + trails + 1;
            if grid.envelopes > MAX_ENVELOPES {
                return Err(bad("more than five envelopes"));
            }
        }

        let mut pointer = 0;
        if class != 0 {
            let bits = usize::BITS - grid.envelopes.leading_zeros();
            pointer = reader.read(bits) as usize;
            if pointer > grid.envelopes + 1 {
                return Err(bad("a transient outside of the packet"));
            }
            for i in 0..grid.envelopes {
                // From the end on where only the trailing borders are variable.
                let at = if class == 1 { grid.envelopes - 1 - i } else { i };
                grid.fine[at] = reader.flag();
            }
        }

        let count = grid.envelopes;
        grid.borders[0] = lead;
        grid.borders[count] = trail;
        if class == 0 {
            let width = (2 * slots + count) / (2 * count);
            for i in 1..count {
                grid.borders[i] = i * width;
            }
        } else {
            for i in 0..leads {
                grid.borders[i + 1] = grid.borders[i] + leading[i];
            }
            for i in 0..trails {
                let next = grid.borders[count - i];
                grid.borders[count - 1 - i] =
                    next.checked_sub(trailing[i]).ok_or(bad("an envelope that starts before the packet"))?;
            }
        }
        if grid.borders[..=count].windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(bad("an envelope without length"));
        }
        grid.place_noise(class, pointer);
        grid.transient = match (class, pointer) {
            (0, _) | (_, 0) => None,
            (2, 1) => None,
            (2, pointer) => Some(pointer - 1),
            (_, pointer) => Some(count + 1 - pointer),
        };
        Ok(grid)
    }

    fn place_noise(&mut self, class: u32, pointer: usize) {
        let count = self.envelopes;
        self.noises = if count > 1 { 2 } else { 1 };
        self.noise_borders[0] = self.borders[0];
        self.noise_borders[self.noises] = self.borders[count];
        if count > 1 {
            let middle = match (class, pointer) {
                (0, _) => count / 2,
                (2, 0) => 1,
                (2, 1) => count - 1,
                (2, pointer) => pointer - 1,
                (_, 0 | 1) => count - 1,
                (_, pointer) => count + 1 - pointer,
            };
            // A pointer at either end would leave a noise floor without length.
            self.noise_borders[1] = self.borders[middle.clamp(0, count)];
        }
    }

    /// The end of the last envelope.
    pub(crate) fn end(&self) -> usize {
        self.borders[self.envelopes]
    }

    /// The noise floor that holds during an envelope.
    pub(crate) fn noise_of(&self, envelope: usize) -> usize {
        usize::from(self.noises > 1 && self.borders[envelope] >= self.noise_borders[1])
    }
}

/// One channel's data of one packet, and what the next packet's differences refer to.
#[derive(Debug, Clone)]
pub(crate) struct ChannelData {
    pub(crate) grid: Grid,
    /// Whether each envelope's, and each noise floor's, differences run over time.
    env_over_time: [bool; MAX_ENVELOPES],
    noise_over_time: [bool; 2],
    pub(crate) inverse: [u8; MAX_NOISE],
    pub(crate) inverse_before: [u8; MAX_NOISE],
    envelopes: [[u8; MAX_HIGH]; MAX_ENVELOPES],
    noises: [[u8; MAX_NOISE]; 2],
    pub(crate) sinusoids: u64,
    pub(crate) fine_amplitudes: bool,
    /// The previous packet's last envelope and noise floor.
    last_envelope: [u8; MAX_HIGH],
    last_fine: bool,
    last_noise: [u8; MAX_NOISE],
    /// Linear energies of the envelopes, and noise to signal ratios.
    pub(crate) energy: [[f32; MAX_HIGH]; MAX_ENVELOPES],
    pub(crate) noise: [[f32; MAX_NOISE]; 2],
}

impl ChannelData {
    pub(crate) fn new() -> Self {
        Self {
            grid: Grid::default(),
            env_over_time: [false; MAX_ENVELOPES],
            noise_over_time: [false; 2],
            inverse: [0; MAX_NOISE],
            inverse_before: [0; MAX_NOISE],
            envelopes: [[0; MAX_HIGH]; MAX_ENVELOPES],
            noises: [[0; MAX_NOISE]; 2],
            sinusoids: 0,
            fine_amplitudes: false,
            last_envelope: [0; MAX_HIGH],
            last_fine: false,
            last_noise: [0; MAX_NOISE],
            energy: [[0.0; MAX_HIGH]; MAX_ENVELOPES],
            noise: [[0.0; MAX_NOISE]; 2],
        }
    }

    pub(crate) fn read_grid(
        &mut self,
        reader: &mut BitReader<'_>,
        header: &Header,
        slots: usize,
    ) -> Result<()> {
        self.grid = Grid::read(reader, slots)?;
        self.fine_amplitudes = header.fine_amplitudes || self.grid.single;
        Ok(())
    }

    /// The second channel of a coupled pair has the first one's grid.
    pub(crate) fn share_grid(&mut self, first: &Self) {
        self.grid = first.grid;
        self.fine_amplitudes = first.fine_amplitudes;
    }

    pub(crate) fn read_directions(&mut self, reader: &mut BitReader<'_>) {
        for over_time in &mut self.env_over_time[..self.grid.envelopes] {
            *over_time = reader.flag();
        }
        for over_time in &mut self.noise_over_time[..self.grid.noises] {
            *over_time = reader.flag();
        }
    }

    pub(crate) fn read_inverse(&mut self, reader: &mut BitReader<'_>, bands: &Bands) {
        self.inverse_before = self.inverse;
        for mode in &mut self.inverse[..bands.noise.bands()] {
            *mode = reader.read(2) as u8;
        }
    }

    pub(crate) fn share_inverse(&mut self, first: &Self) {
        self.inverse_before = self.inverse;
        self.inverse = first.inverse;
    }

    pub(crate) fn read_envelopes(
        &mut self,
        reader: &mut BitReader<'_>,
        bands: &Bands,
        balance: bool,
    ) -> Result<()> {
        let books = &Books::get().sbr;
        let kind = usize::from(balance);
        let (time, frequency, bits, zero): (&Book, &Book, u32, i32) = match (self.fine_amplitudes, balance) {
            (true, false) => (&books.env_1_5_time[0], &books.env_1_5_freq[0], 7, 60),
            (true, true) => (&books.env_1_5_time[1], &books.env_1_5_freq[1], 6, 24),
            (false, false) => (&books.env_3_0_time[kind], &books.env_3_0_freq[kind], 6, 31),
            (false, true) => (&books.env_3_0_time[kind], &books.env_3_0_freq[kind], 5, 12),
        };
        let step = if balance { 2 } else { 1 };
        let (mut before, mut before_fine) = (self.last_envelope, self.last_fine);
        for envelope in 0..self.grid.envelopes {
            let fine = self.grid.fine[envelope];
            let count = if fine { bands.high.bands() } else { bands.low.bands() };
            let values = &mut self.envelopes[envelope];
            if self.env_over_time[envelope] {
                for (k, value) in values[..count].iter_mut().enumerate() {
                    let from = match (fine, before_fine) {
                        (true, false) => bands.low.find(bands.high.get(k)),
                        (false, true) => bands.high.find(bands.low.get(k)),
                        _ => k,
                    };
                    let difference = step * time.read_signed(reader, zero)?;
                    *value = level(i32::from(before[from]) + difference)?;
                }
            } else {
                let mut level_now = step * reader.read(bits) as i32;
                values[0] = level(level_now)?;
                for value in &mut values[1..count] {
                    level_now += step * frequency.read_signed(reader, zero)?;
                    *value = level(level_now)?;
                }
            }
            (before, before_fine) = (*values, fine);
        }
        (self.last_envelope, self.last_fine) = (before, before_fine);
        reader.check("SBR data")
    }

    pub(crate) fn read_noises(
        &mut self,
        reader: &mut BitReader<'_>,
        bands: &Bands,
        balance: bool,
    ) -> Result<()> {
        let books = &Books::get().sbr;
        let kind = usize::from(balance);
        let (step, zero) = if balance { (2, 12) } else { (1, 31) };
        let count = bands.noise.bands();
        let mut before = self.last_noise;
        for noise in 0..self.grid.noises {
            let values = &mut self.noises[noise];
            if self.noise_over_time[noise] {
                for (value, before) in values[..count].iter_mut().zip(before) {
                    let difference = step * books.noise_time[kind].read_signed(reader, zero)?;
                    *value = level(i32::from(before) + difference)?;
                }
            } else {
                let mut now = step * reader.read(5) as i32;
                values[0] = level(now)?;
                for value in &mut values[1..count] {
                    now += step * books.env_3_0_freq[kind].read_signed(reader, zero)?;
                    *value = level(now)?;
                }
            }
            before = *values;
        }
        self.last_noise = before;
        reader.check("SBR data")
    }

    pub(crate) fn read_sinusoids(&mut self, reader: &mut BitReader<'_>, bands: &Bands) {
        self.sinusoids = 0;
        if reader.flag() {
            for band in 0..bands.high.bands() {
                self.sinusoids |= u64::from(reader.flag()) << band;
            }
        }
    }

    fn amplitude(&self, value: u8) -> f32 {
        let value = f32::from(value);
        // The largest value of either step is 2^64: only damage, summed over packets, goes beyond.
        if self.fine_amplitudes { value * 0.5 } else { value.min(64.0) }
    }

    /// Turns levels into energies.
    pub(crate) fn dequantise(&mut self) {
        for envelope in 0..self.grid.envelopes {
            for k in 0..MAX_HIGH {
                self.energy[envelope][k] = (self.amplitude(self.envelopes[envelope][k]) + 6.0).exp2();
            }
        }
        for noise in 0..self.grid.noises {
            for k in 0..MAX_NOISE {
                self.noise[noise][k] = (6.0 - f32::from(self.noises[noise][k])).exp2();
            }
        }
    }

    /// Turns the level of a coupled pair, and the balance of its second channel, into energies of both.
    pub(crate) fn dequantise_coupled(left: &mut Self, right: &mut Self) {
        let center = if left.fine_amplitudes { 24.0 } else { 12.0 };
        let half = if left.fine_amplitudes { 0.5 } else { 1.0 };
        for envelope in 0..left.grid.envelopes {
            for k in 0..MAX_HIGH {
                let level = (left.amplitude(left.envelopes[envelope][k]) + 7.0).exp2();
                let balance = ((center - f32::from(right.envelopes[envelope][k])) * half).exp2();
                left.energy[envelope][k] = level / (1.0 + balance);
                right.energy[envelope][k] = level / (1.0 + balance) * balance;
            }
        }
        for noise in 0..left.grid.noises {
            for k in 0..MAX_NOISE {
                let level = (7.0 - f32::from(left.noises[noise][k])).exp2();
                let balance = (12.0 - f32::from(right.noises[noise][k])).exp2();
                left.noise[noise][k] = level / (1.0 + balance);
                right.noise[noise][k] = level / (1.0 + balance) * balance;
            }
        }
    }

    /// Forgets what differences refer to.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }
}

fn level(value: i32) -> Result<u8> {
    if (0..128).contains(&value) { Ok(value as u8) } else { Err(bad("a level is out of range")) }
}
