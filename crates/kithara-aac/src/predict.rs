//! Backward prediction of the Main profile (ISO/IEC 14496-3, 4.6.7).

use crate::ics::Ics;
use crate::tables::Bands;

/// The lattice of one spectral line.
#[derive(Debug, Clone, Copy)]
struct Line {
    correlation: [f32; 2],
    variance: [f32; 2],
    register: [f32; 2],
}

const START: Line = Line { correlation: [0.0; 2], variance: [1.0; 2], register: [0.0; 2] };

/// The most lines that are predicted, of any sampling frequency.
const LINES: usize = 672;
const ATTENUATION: f32 = 61.0 / 64.0;
const ADAPTATION: f32 = 29.0 / 32.0;

/// The predictors of one channel.
#[derive(Debug)]
pub(crate) struct Predictor {
    lines: [Line; LINES],
}

impl Default for Predictor {
    fn default() -> Self {
        Self { lines: [START; LINES] }
    }
}

/// The value in 16 bits of a float: rounded to nearest, halves up in magnitude.
fn round(x: f32) -> f32 {
    f32::from_bits(x.to_bits().wrapping_add(0x8000) & 0xffff_0000)
}

/// Rounded to nearest, halves to even.
fn even(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// Cut off.
fn cut(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & 0xffff_0000)
}

impl Line {
    fn is_finite(&self) -> bool {
        let values = self.correlation.iter().chain(&self.variance).chain(&self.register);
        values.fold(true, |finite, value| finite & value.is_finite())
    }

    fn run(&mut self, value: &mut f32, used: bool) {
        let gain = |i: usize| {
            let variance = self.variance[i];
            if variance > 1.0 { self.correlation[i] * even(ATTENUATION / variance) } else { 0.0 }
        };
        let (k1, k2) = (gain(0), gain(1));
        let [r0, r1] = self.register;
        let predicted = round(k1 * r0 + k2 * r1);
        if used {
            *value += predicted;
        }
        let e0 = *value;
        let e1 = e0 - k1 * r0;
        let [c0, c1] = self.correlation;
        let [v0, v1] = self.variance;
        self.correlation = [cut(ADAPTATION * c0 + r0 * e0), cut(ADAPTATION * c1 + r1 * e1)];
        self.variance = [
            cut(ADAPTATION * v0 + 0.5 * (r0 * r0 + e0 * e0)),
            cut(ADAPTATION * v1 + 0.5 * (r1 * r1 + e1 * e1)),
        ];
        self.register = [cut(ATTENUATION * e0), cut(ATTENUATION * (r0 - k1 * e0))];
    }
}

impl Predictor {
    pub(crate) fn reset(&mut self) {
        self.lines = [START; LINES];
    }

    /// Adds the prediction where it is used, and adapts every line.
    pub(crate) fn apply(&mut self, ics: &Ics, bands: &Bands, spectrum: &mut [f32]) {
        if ics.info.is_short() {
            self.reset();
            return;
        }
        let used = ics.info.prediction.map_or(0, |prediction| prediction.used);
        let last = bands.prediction_limit.min(bands.long.len() - 1);
        for sfb in 0..last {
            let (start, end) = (usize::from(bands.long[sfb]), usize::from(bands.long[sfb + 1]).min(LINES));
            for line in start..end {
                self.lines[line].run(&mut spectrum[line], used >> sfb & 1 == 1);
            }
        }
        if let Some(group) = ics.info.prediction.and_then(|prediction| prediction.reset_group) {
            for line in self.lines.iter_mut().skip(group as usize - 1).step_by(30) {
                *line = START;
            }
        }
        // A stream that diverges starts anew instead of sounding for ever.
        if !self.lines.iter().all(Line::is_finite) {
            self.reset();
        }
    }
}
