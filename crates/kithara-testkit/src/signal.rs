//! Measurements on decoded sound: interleaved `f32` samples, full scale 1.0.
//!
//! Nothing here allocates by what it is given beyond a few copies of it, and nothing panics on odd input: an empty
//! or ragged slice is measured as far as it goes.

/// The largest difference of two sounds, and the index of the sample where it is; they are compared as far as both go.
pub fn max_error(a: &[f32], b: &[f32]) -> (f32, usize) {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.enumerate().fold((0.0, 0), |(max, at), (i, difference)| {
        // A NaN is the worst of all.
        if difference > max || difference.is_nan() && !max.is_nan() { (difference, i) } else { (max, at) }
    })
}

/// How far `noisy` is from `clean`, in decibels of signal over error: infinite when they are equal.
pub fn snr(clean: &[f32], noisy: &[f32]) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (&clean, &noisy) in clean.iter().zip(noisy) {
        signal += f64::from(clean).powi(2);
        noise += (f64::from(clean) - f64::from(noisy)).powi(2);
    }
    if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() }
}

/// Root mean square.
pub fn rms(samples: &[f32]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    (sum / samples.len() as f64).sqrt()
}

/// One channel of interleaved sound.
pub fn channel(samples: &[f32], channels: usize, index: usize) -> Vec<f32> {
    samples.iter().skip(index).step_by(channels.max(1)).copied().collect()
}

/// Where a sound was found in another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// Samples of the reference that come before the first one of the sound; negative when the sound begins earlier.
    pub offset: i64,
    /// 1.0 for the same sound (up to loudness), about 0 for another one.
    pub similarity: f64,
}

/// Finds `sound` in `reference` by normalised cross-correlation, at offsets from `-max_shift` to `max_shift` samples
/// around `expected`. One channel each; frames of several channels are told apart by [`channel`].
///
/// The first 8192 samples of the sound that overlap decide. Costs their number times the offsets: for a search over
/// seconds, find the neighbourhood first by a coarser means.
pub fn align(reference: &[f32], sound: &[f32], expected: i64, max_shift: u32) -> Option<Alignment> {
    let shifts = expected.saturating_sub(max_shift.into())..=expected.saturating_add(max_shift.into());
    let best = shifts.filter_map(|offset| {
        let (reference, sound) = overlap(reference, sound, offset)?;
        Some(Alignment { offset, similarity: similarity(reference, sound)? })
    });
    best.max_by(|a, b| a.similarity.total_cmp(&b.similarity))
}

fn overlap<'a>(reference: &'a [f32], sound: &'a [f32], offset: i64) -> Option<(&'a [f32], &'a [f32])> {
    let (skip_reference, skip_sound) =
        (usize::try_from(offset).unwrap_or(0), usize::try_from(-offset).unwrap_or(0));
    let (reference, sound) = (reference.get(skip_reference..)?, sound.get(skip_sound..)?);
    let count = reference.len().min(sound.len()).min(8192);
    Some((reference.get(..count)?, sound.get(..count)?))
}

/// Normalised correlation of two equally long pieces; none where either is silent or shorter than 64 samples.
fn similarity(a: &[f32], b: &[f32]) -> Option<f64> {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    (a.len() >= 64 && aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

/// Something that a listener would hear as a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// All channels are exactly zero for longer than allowed.
    Gap {
        /// First silent frame.
        frame: u64,
        /// Silent frames.
        frames: u64,
    },
    /// The sound jumps as no sound around it does.
    Click {
        /// The frame after the jump.
        frame: u64,
        /// Size of the second difference over the largest one in its neighbourhood.
        ratio: f32,
    },
    /// A sample that is no number, or infinite.
    NotFinite {
        /// The frame.
        frame: u64,
    },
}

/// Looks for gaps of at least `min_gap` frames and for clicks.
///
/// A click is a second difference of more than 4 times any other within 256 frames on either side, and above 0.004
/// of full scale: a splice of two sounds makes one, a drum does not. Of random splices in the fixtures' music it
/// finds seven in ten (the others happen to fit) without a false alarm; what must not escape is compared with a
/// reference instead. Square waves and silence with pulses are full of clicks by this measure.
pub fn faults(samples: &[f32], channels: usize, min_gap: u64) -> Vec<Fault> {
    let channels = channels.max(1);
    let mut found = gaps(samples, channels, min_gap.max(1));
    found.extend(
        samples
            .iter()
            .position(|s| !s.is_finite())
            .map(|at| Fault::NotFinite { frame: (at / channels) as u64 }),
    );
    for index in 0..channels {
        clicks(&channel(samples, channels, index), &mut found);
    }
    found
}

fn gaps(samples: &[f32], channels: usize, min_gap: u64) -> Vec<Fault> {
    let (mut found, mut run) = (Vec::new(), 0_u64);
    let frames = samples.chunks(channels).map(|frame| frame.iter().all(|s| *s == 0.0));
    for (frame, silent) in frames.chain([false]).enumerate() {
        if silent {
            run += 1;
            continue;
        }
        if run >= min_gap {
            found.push(Fault::Gap { frame: frame as u64 - run, frames: run });
        }
        run = 0;
    }
    found
}

fn clicks(samples: &[f32], found: &mut Vec<Fault>) {
    const AROUND: usize = 256;
    let jumps: Vec<f32> = samples.windows(3).map(|w| (w[2] - 2.0 * w[1] + w[0]).abs()).collect();
    let mut at = 0;
    while at < jumps.len() {
        let jump = jumps[at];
        if jump <= 0.004 {
            at += 1;
            continue;
        }
        // A jump shows in two or three neighbouring second differences.
        let peak =
            (at..(at + 3).min(jumps.len())).max_by(|&a, &b| jumps[a].total_cmp(&jumps[b])).unwrap_or(at);
        let before = &jumps[peak.saturating_sub(AROUND)..peak.saturating_sub(2)];
        let after = &jumps[(peak + 3).min(jumps.len())..(peak + AROUND).min(jumps.len())];
        // Nearest first: in music the answer is mostly next door.
        let limit = jumps[peak] / 4.0;
        let is_alone =
            !before.iter().rev().any(|jump| *jump >= limit) && !after.iter().any(|jump| *jump >= limit);
        if !before.is_empty() && !after.is_empty() && is_alone {
            let around = before.iter().chain(after).fold(1e-9_f32, |max, jump| max.max(*jump));
            found.push(Fault::Click { frame: peak as u64 + 1, ratio: jumps[peak] / around });
            at = peak + 3;
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn music(frames: usize) -> Vec<f32> {
        let tone = |i: usize, k: f32| (i as f32 * k + 0.3 * (i as f32 * 0.0007).sin() * 40.0).sin();
        (0..frames).map(|i| 0.2 * tone(i, 0.05) + 0.1 * tone(i, 0.171) + 0.05 * tone(i, 0.013)).collect()
    }

    #[test]
    fn errors_and_noise() {
        assert_eq!(max_error(&[0.0, 1.0, 2.0], &[0.0, 0.5, 2.25]), (0.5, 1));
        assert!(max_error(&[0.0, f32::NAN], &[1.0, 0.0]).0.is_nan());
        assert_eq!(max_error(&[], &[1.0]), (0.0, 0));
        let clean = music(1000);
        assert_eq!(snr(&clean, &clean), f64::INFINITY);
        let half: Vec<f32> = clean.iter().map(|s| s * 0.9).collect();
        assert!((snr(&clean, &half) - 20.0).abs() < 0.01);
        assert!((rms(&[0.5, -0.5]) - 0.5).abs() < 1e-12);
        assert_eq!(channel(&[1.0, 2.0, 3.0, 4.0], 2, 1), [2.0, 4.0]);
    }

    #[test]
    fn alignment_is_exact_to_the_sample() {
        let reference = music(40_000);
        for offset in [-700_i64, 0, 1, 1024, 5000] {
            let sound: Vec<f32> = if offset < 0 {
                std::iter::repeat_n(0.0, 700).chain(reference.iter().copied()).collect()
            } else {
                reference[offset as usize..].iter().map(|s| 0.7 * s).collect()
            };
            let found = align(&reference, &sound, offset + 37, 100).unwrap();
            assert_eq!(found.offset, offset);
            assert!(found.similarity > 0.999);
        }
        assert_eq!(align(&reference, &[0.0; 100], 0, 10), None);
        assert_eq!(align(&[], &reference, 0, 10), None);
    }

    #[test]
    fn gaps_and_clicks_are_found_and_music_is_left_alone() {
        let clean = music(40_000);
        let stereo: Vec<f32> = clean.iter().flat_map(|s| [*s, -0.5 * s]).collect();
        assert_eq!(faults(&stereo, 2, 8), []);
        let mut gap = stereo.clone();
        gap[2 * 10_000..2 * 10_050].fill(0.0);
        assert!(faults(&gap, 2, 8).contains(&Fault::Gap { frame: 10_000, frames: 50 }));
        // Thirty frames are missing.
        let splice: Vec<f32> = [&clean[..20_000], &clean[20_030..]].concat();
        let found = faults(&splice, 1, 8);
        assert!(matches!(found[..], [Fault::Click { frame: 19_999..=20_001, .. }]), "{found:?}");
        assert_eq!(faults(&[0.1, f32::INFINITY], 1, 8), [Fault::NotFinite { frame: 1 }]);
        assert_eq!(faults(&[], 2, 8), []);
    }
}
