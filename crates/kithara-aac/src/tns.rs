//! Temporal noise shaping (ISO/IEC 14496-3, 4.6.9).

use std::f32::consts::FRAC_PI_2;

use crate::ics::{Ics, TnsFilter};
use crate::tables::Bands;

/// The highest order of any object type.
const MAX_ORDER: usize = 20;

/// The filter's coefficients `a[1..]`, from the quantised reflection coefficients.
fn prediction(filter: &TnsFilter, order: usize) -> [f32; MAX_ORDER] {
    let levels = (1 << (filter.resolution - 1)) as f32;
    let mut a = [0.0; MAX_ORDER];
    for m in 0..order {
        let quantised = f32::from(filter.coefficients[m]);
        let step = if quantised >= 0.0 { levels - 0.5 } else { levels + 0.5 };
        let reflection = (quantised * FRAC_PI_2 / step).sin();
        let before = a;
        for i in 0..m {
            a[i] = before[i] + reflection * before[m - 1 - i];
        }
        a[m] = reflection;
    }
    a
}

/// Whether the filters shape the spectrum, or undo the shape, as long term prediction needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Synthesis,
    Analysis,
}

/// Filters the spectrum over frequency, in place.
pub(crate) fn apply(ics: &Ics, bands: &Bands, frame: usize, direction: Direction, spectrum: &mut [f32]) {
    if !ics.tns.present {
        return;
    }
    let short = ics.info.is_short();
    let offsets = ics.info.offsets(bands);
    let limit = bands.tns_limits[usize::from(short)].min(ics.info.max_sfb);
    for window in 0..if short { 8 } else { 1 } {
        let lines = if short {
            &mut spectrum[window * frame / 8..(window + 1) * frame / 8]
        } else {
            &mut spectrum[..frame]
        };
        let mut top = offsets.len() - 1;
        for filter in &ics.tns.filters[window..window + usize::from(ics.tns.counts[window])] {
            let bottom = top.saturating_sub(usize::from(filter.length));
            let (start, end) =
                (usize::from(offsets[bottom.min(limit)]), usize::from(offsets[top.min(limit)]));
            top = bottom;
            let order = usize::from(filter.order).min(MAX_ORDER);
            if order == 0 || start >= end {
                continue;
            }
            let a = prediction(filter, order);
            let region = &mut lines[start..end];
            match (direction, filter.downwards) {
                (Direction::Synthesis, false) => synthesize(region.iter_mut(), &a, order),
                (Direction::Synthesis, true) => synthesize(region.iter_mut().rev(), &a, order),
                (Direction::Analysis, false) => analyze(region.iter_mut(), &a, order),
                (Direction::Analysis, true) => analyze(region.iter_mut().rev(), &a, order),
            }
        }
    }
}

/// `y[n] = x[n] - Σ a[i] y[n - i]`.
#[inline(always)]
fn synthesize<'a>(lines: impl Iterator<Item = &'a mut f32>, a: &[f32; MAX_ORDER], order: usize) {
    filter(lines, a, order, |x, sum| (x - sum, x - sum));
}

/// `y[n] = x[n] + Σ a[i] x[n - i]`.
#[inline(always)]
fn analyze<'a>(lines: impl Iterator<Item = &'a mut f32>, a: &[f32; MAX_ORDER], order: usize) {
    filter(lines, a, order, |x, sum| (x + sum, x));
}

/// `step` gives the output and the value to remember.
#[inline(always)]
fn filter<'a>(
    lines: impl Iterator<Item = &'a mut f32>,
    a: &[f32; MAX_ORDER],
    order: usize,
    step: impl Fn(f32, f32) -> (f32, f32),
) {
    // Each value is written twice, so that the last `order` ones always stand side by side.
    let mut memory = [0.0; 2 * MAX_ORDER];
    let mut at = 0;
    for line in lines {
        let recent = &memory[at..at + order];
        let sum: f32 = a[..order].iter().zip(recent).map(|(a, y)| a * y).sum();
        let (out, remember) = step(*line, sum);
        *line = out;
        at = if at == 0 { order - 1 } else { at - 1 };
        memory[at] = remember;
        memory[at + order] = remember;
    }
}
