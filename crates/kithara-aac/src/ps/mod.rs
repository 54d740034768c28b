//! Parametric stereo (ISO/IEC 14496-3, 8.6.4): two channels from one, its echo-like copy, and parameters.

mod mix;
mod params;

use crate::Result;
use crate::bits::BitReader;
use crate::sbr::Plane;

use mix::{Decorrelator, Hybrid, Matrices};
use params::{BANDS, Params};

/// Bands after the lowest three have been split.
const SPLIT: usize = 71;
/// Bands that the lowest three are split into.
const LOW: usize = 10;
/// The most samples of a band in a packet.
const SAMPLES: usize = 32;

/// The parameter band of a split band.
fn parameter_band(k: usize) -> usize {
    const LOWEST: [u8; LOW] = [1, 0, 0, 1, 2, 3, 4, 5, 6, 7];
    match k {
        0..LOW => usize::from(LOWEST[k]),
        10..=15 => k - 2,
        16..=17 => 14,
        18..=20 => 15,
        21..=24 => 16,
        25..=29 => 17,
        30..=41 => 18,
        _ => 19,
    }
}

/// Parametric stereo of one stream.
#[derive(Debug)]
pub(crate) struct Stereo {
    params: Params,
    fresh: bool,
    hybrid: Hybrid,
    decorrelator: Decorrelator,
    matrices: Matrices,
    low: Box<[[[f32; SAMPLES]; 2]; LOW]>,
}

impl Stereo {
    pub(crate) fn new() -> Self {
        Self {
            params: Params::new(),
            fresh: false,
            hybrid: Hybrid::new(),
            decorrelator: Decorrelator::new(),
            matrices: Matrices::new(),
            low: Box::new([[[0.0; SAMPLES]; 2]; LOW]),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.fresh = false;
        self.hybrid.reset();
        self.decorrelator.reset();
        self.matrices.reset();
    }

    pub(crate) fn begin(&mut self) {
        self.fresh = false;
    }

    /// Reads `ps_data()`.
    pub(crate) fn read(&mut self, reader: &mut BitReader<'_>, samples: usize) -> Result<()> {
        self.params.read(reader, samples)?;
        self.fresh = true;
        Ok(())
    }

    /// Makes `left` and `right` of the sum in `left`, which has six samples more in its lowest bands.
    pub(crate) fn run(&mut self, left: &mut Plane<64>, right: &mut Plane<64>, samples: usize) {
        if !self.params.is_started() {
            right.re.copy_from_slice(&left.re[..]);
            right.im.copy_from_slice(&left.im[..]);
            return;
        }
        if !self.fresh {
            self.params.keep(samples);
        }
        self.hybrid.split(left, &mut self.low, samples);
        self.matrices.interpolate(&self.params, samples);
        self.decorrelator.listen(left, &self.low, samples);
        mix::run(&mut self.decorrelator, &self.matrices, left, right, &mut self.low, samples);
    }
}
