//! Long term prediction (ISO/IEC 14496-3, 4.6.8).

use crate::filterbank::FilterBank;
use crate::ics::{Ics, WindowSequence};
use crate::tables::Bands;
use crate::tns::{self, Direction};

const COEFFICIENTS: [f32; 8] =
    [0.570_829, 0.696_616, 0.813_004, 0.911_304, 0.984_9, 1.067_894, 1.194_601, 1.369_533];

/// The sound of the last two frames, and the half-finished one behind them.
#[derive(Debug)]
pub(crate) struct LtpState {
    history: Vec<f32>,
    estimate: Vec<f32>,
    folded: Vec<f32>,
    prediction: Vec<f32>,
}

impl LtpState {
    pub(crate) fn new(frame: usize) -> Self {
        Self {
            history: vec![0.0; 3 * frame],
            estimate: vec![0.0; 2 * frame],
            folded: vec![0.0; frame],
            prediction: vec![0.0; frame],
        }
    }

    pub(crate) fn reset(&mut self) {
        self.history.fill(0.0);
    }

    /// Remembers a frame of sound, and the overlap that the next one will be added to.
    pub(crate) fn update(&mut self, sound: &[f32], overlap: &[f32]) {
        let frame = sound.len();
        self.history.copy_within(frame..2 * frame, 0);
        self.history[frame..2 * frame].copy_from_slice(sound);
        self.history[2 * frame..].copy_from_slice(overlap);
    }

    /// Adds the prediction to the bands that use it.
    pub(crate) fn apply(
        &mut self,
        ics: &Ics,
        bands: &Bands,
        bank: &FilterBank,
        shapes: (usize, usize),
        spectrum: &mut [f32],
    ) {
        let Some(ltp) = ics.info.ltp else { return };
        if ics.info.is_short() {
            return;
        }
        let frame = bank.frame;
        let gain = COEFFICIENTS[ltp.coefficient & 7];
        let known = (ltp.lag + frame).min(2 * frame);
        let first = 2 * frame - ltp.lag.min(2 * frame);
        for (i, value) in self.estimate.iter_mut().enumerate() {
            *value = if i < known { gain * self.history.get(first + i).copied().unwrap_or(0.0) } else { 0.0 };
        }
        window(bank, ics.info.sequence, shapes, &mut self.estimate);
        fold(&self.estimate, &mut self.folded);
        // The forward transform is the inverse one's transpose: twice the sum, in the spectrum's scale.
        bank.long.run(&self.folded, 2.0 * 32768.0, &mut self.prediction);
        tns::apply(ics, bands, frame, Direction::Analysis, &mut self.prediction);
        for sfb in (0..ics.info.max_sfb.min(40)).filter(|sfb| ltp.used >> sfb & 1 == 1) {
            let lines = usize::from(bands.long[sfb])..usize::from(bands.long[sfb + 1]);
            for (to, from) in spectrum[lines.clone()].iter_mut().zip(&self.prediction[lines]) {
                *to += from;
            }
        }
    }
}

/// Windows two frames of sound as the sequence demands.
fn window(bank: &FilterBank, sequence: WindowSequence, shapes: (usize, usize), sound: &mut [f32]) {
    let frame = bank.frame;
    let flat = (frame - frame / 8) / 2;
    let (rise, fall) = sound.split_at_mut(frame);
    if sequence == WindowSequence::Stop {
        rise[..flat].fill(0.0);
        for (x, w) in rise[flat..frame - flat].iter_mut().zip(&bank.short_windows[shapes.0]) {
            *x *= w;
        }
    } else {
        for (x, w) in rise.iter_mut().zip(&bank.long_windows[shapes.0]) {
            *x *= w;
        }
    }
    if sequence == WindowSequence::Start {
        for (x, w) in fall[flat..frame - flat].iter_mut().zip(bank.short_windows[shapes.1].iter().rev()) {
            *x *= w;
        }
        fall[frame - flat..].fill(0.0);
    } else {
        for (x, w) in fall.iter_mut().zip(bank.long_windows[shapes.1].iter().rev()) {
            *x *= w;
        }
    }
}

/// Folds two frames into one, whose cosine transform is the lapped transform.
fn fold(sound: &[f32], out: &mut [f32]) {
    let frame = out.len();
    let half = frame / 2;
    for n in 0..half {
        out[half + n] = sound[n] - sound[frame - 1 - n];
        out[half - 1 - n] = -(sound[frame + n] + sound[2 * frame - 1 - n]);
    }
}
