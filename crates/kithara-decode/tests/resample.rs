//! `ResamplerProcessor`: length, place, quality, and independence of how it is fed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::f64::consts::TAU;

use kithara_decode::{ResampleQuality, ResamplerProcessor};
use proptest::prelude::*;

fn sine(rate: u32, frequency: f64, frames: usize) -> Vec<f32> {
    (0..frames).map(|n| (TAU * frequency * n as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
}

fn resample(from: u32, to: u32, channels: u16, input: &[f32], step: usize) -> Vec<f32> {
    let mut processor = ResamplerProcessor::new(from, to, channels).unwrap();
    let mut output = Vec::new();
    for piece in input.chunks(step * usize::from(channels)) {
        processor.process(piece, &mut output).unwrap();
    }
    processor.flush(&mut output).unwrap();
    output
}

fn exact(frames: u64, from: u32, to: u32) -> u64 {
    (frames * u64::from(to) + u64::from(from / 2)) / u64::from(from)
}

const PAIRS: [(u32, u32); 10] = [
    (44_100, 48_000),
    (48_000, 44_100),
    (22_050, 44_100),
    (44_100, 22_050),
    (32_000, 48_000),
    (96_000, 44_100),
    (8000, 48_000),
    (48_000, 8000),
    (11_025, 96_000),
    (44_100, 44_101),
];

#[test]
fn a_sine_comes_out_at_its_place_and_height() {
    for (from, to) in PAIRS {
        let frequency = f64::from(from.min(to)) / 10.0;
        let input = sine(from, frequency, from as usize);
        let output = resample(from, to, 1, &input, 1000);
        let expected = sine(to, frequency, output.len());
        // Away from the ends, where silence on the other side of the filter is part of the sound.
        let margin = output.len() / 4;
        let worst =
            (margin..output.len() - margin).map(|n| (output[n] - expected[n]).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-5, "{from} to {to}: off by {worst}");
    }
}

#[test]
fn what_cannot_be_kept_is_gone_and_what_can_is_not() {
    // Above half the new rate: suppressed by 100 dB.
    let output = resample(48_000, 22_050, 1, &sine(48_000, 15_000.0, 48_000), 512);
    let middle = &output[4000..output.len() - 4000];
    assert!(middle.iter().all(|sample| sample.abs() < 5e-6));
    // At 0.9 of half the rate: nothing lost.
    let output = resample(44_100, 48_000, 1, &sine(44_100, 19_800.0, 44_100), 512);
    let height = output[4000..40_000].iter().fold(0.0f32, |max, sample| max.max(sample.abs()));
    assert!((height - 0.5).abs() < 1e-3, "{height}");
}

#[test]
fn channels_do_not_mix() {
    let left = sine(44_100, 1000.0, 10_000);
    let input: Vec<f32> = left.iter().flat_map(|&sample| [sample, 0.0, 1.0]).collect();
    let output = resample(44_100, 48_000, 3, &input, 777);
    let alone = resample(44_100, 48_000, 1, &left, 777);
    let (frames, _) = output.as_chunks::<3>();
    assert_eq!(frames.len(), alone.len());
    assert!(frames.iter().zip(&alone).all(|(frame, sample)| frame[0] == *sample && frame[1] == 0.0));
}

#[test]
fn equal_rates_pass_through_untouched() {
    let input: Vec<f32> = vec![f32::MIN_POSITIVE, -0.0, 1.5, f32::MAX, 0.1];
    let mut processor = ResamplerProcessor::new(44_100, 44_100, 1).unwrap();
    assert!(processor.is_bypass());
    let mut output = Vec::new();
    processor.process(&input, &mut output).unwrap();
    processor.flush(&mut output).unwrap();
    assert_eq!(output, input);
}

#[test]
fn impossible_settings_are_refused() {
    let pairs = [(0, 48_000, 2), (48_000, 0, 2), (48_000, 44_100, 0), (4_000_000, 48_000, 2), (1, 48_000, 2)];
    for (from, to, channels) in pairs.into_iter().chain([(48_000, 3999, 2), (767_999, 48_000, 255)]) {
        assert!(ResamplerProcessor::new(from, to, channels).is_err());
    }
}

/// The largest share of an impulse's energy, in dB, that lies more than `frames` output frames from its peak.
fn ringing(quality: ResampleQuality, frames: usize) -> f64 {
    let mut input = vec![0.0; 8192];
    input[4096] = 1.0;
    let mut processor = ResamplerProcessor::with_quality(44_100, 48_000, 1, quality).unwrap();
    let mut output = Vec::new();
    processor.process(&input, &mut output).unwrap();
    processor.flush(&mut output).unwrap();
    let peak = exact(4096, 44_100, 48_000) as usize;
    let energy = |samples: &[f32]| samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
    let far = energy(&output[..peak - frames]) + energy(&output[peak + frames..]);
    10.0 * (far / energy(&output)).log10()
}

/// Gain of a sine of `frequency` Hz from 44.1 to 48 kHz, in dB.
fn gain(quality: ResampleQuality, frequency: f64) -> f64 {
    let input = sine(44_100, frequency, 44_100);
    let mut processor = ResamplerProcessor::with_quality(44_100, 48_000, 1, quality).unwrap();
    let mut output = Vec::new();
    processor.process(&input, &mut output).unwrap();
    processor.flush(&mut output).unwrap();
    let level = |samples: &[f32]| {
        let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        sum / samples.len() as f64
    };
    10.0 * (level(&output[9600..38_400]) / level(&input[8820..35_280])).log10()
}

#[test]
fn low_latency_filter_rings_for_less_and_is_flat_to_15_khz() {
    // 4 ms.
    let (best, low) = (ringing(ResampleQuality::Best, 192), ringing(ResampleQuality::LowLatency, 192));
    assert!(low < -80.0 && low < best - 20.0, "{best} dB, {low} dB");
    for frequency in [100.0, 5000.0, 15_000.0] {
        assert!(gain(ResampleQuality::LowLatency, frequency).abs() < 0.1, "{frequency} Hz");
    }
    for frequency in [100.0, 15_000.0, 20_000.0] {
        assert!(gain(ResampleQuality::Best, frequency).abs() < 0.1, "{frequency} Hz");
    }
    let warm_up = |quality| ResamplerProcessor::with_quality(44_100, 48_000, 2, quality).unwrap().warm_up();
    assert!(warm_up(ResampleQuality::LowLatency) * 3 < warm_up(ResampleQuality::Best));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_length_is_exact_and_the_steps_do_not_matter(
        pair in 0..PAIRS.len() - 1,
        frames in 0usize..6000,
        step in 1usize..3000,
    ) {
        let (from, to) = PAIRS[pair];
        let input = sine(from, 440.0, frames);
        let output = resample(from, to, 1, &input, step);
        prop_assert_eq!(output.len() as u64, exact(frames as u64, from, to));
        prop_assert_eq!(output, resample(from, to, 1, &input, 6000));
    }

    #[test]
    fn a_later_start_gives_the_same_after_its_warm_up(pair in 0..PAIRS.len() - 1, start in 0u64..9000) {
        let (from, to) = PAIRS[pair];
        let input = sine(from, 440.0, 20_000);
        let whole = resample(from, to, 1, &input, 1000);
        let mut processor = ResamplerProcessor::new(from, to, 1).unwrap();
        processor.start(start);
        let first = processor.next_output();
        prop_assert_eq!(first, exact(start, from, to));
        let mut output = Vec::new();
        processor.process(&input[start as usize..], &mut output).unwrap();
        processor.flush(&mut output).unwrap();
        prop_assert_eq!(first as usize + output.len(), whole.len());
        let warm = exact(start + processor.warm_up(), from, to) as usize;
        if warm < whole.len() {
            prop_assert_eq!(&output[warm - first as usize..], &whole[warm..]);
        }
    }
}
