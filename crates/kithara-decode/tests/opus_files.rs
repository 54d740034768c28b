//! Opus against libopus, in every mode and container.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(feature = "opus")]

mod common;

use common::file::{decode, open};
use common::{Segment, decoder, feed, segments};
use kithara_testkit::media;
use proptest::prelude::*;

/// Distance from the reference below its level, in dB.
fn distance(samples: &[f32], reference: &[u8]) -> f64 {
    let (reference, _) = reference.as_chunks::<4>();
    // How much of its last packet an MP4 file presents is another matter.
    assert!(samples.len() <= reference.len() && samples.len() + 1500 > reference.len(), "{}", samples.len());
    let (mut signal, mut noise) = (0.0, 0.0);
    for (sample, reference) in samples.iter().zip(reference) {
        let reference = f64::from(f32::from_le_bytes(*reference));
        signal += reference * reference;
        noise += (f64::from(*sample) - reference).powi(2);
    }
    10.0 * (signal / noise.max(1e-30)).log10()
}

macro_rules! check {
    ($($name:literal, $file:literal, $channels:literal;)*) => {$({
        let pcm = decode(include_bytes!(concat!("media/opus/", $file)));
        assert_eq!((pcm.channels(), pcm.spec.unwrap().sample_rate), ($channels, 48_000), $file);
        let distance = distance(&pcm.samples, include_bytes!(concat!("media/opus/", $name, ".f32")));
        assert!(distance >= 95.0, "{}: {distance} dB", $file);
    })*};
}

#[test]
fn every_mode_is_what_libopus_gives() {
    check! {
        "silk", "silk.opus", 1;
        "hybrid", "hybrid.opus", 1;
        "celt", "celt.opus", 2;
        "long", "long.opus", 1;
    }
}

#[test]
fn six_channels_are_in_the_order_of_the_mask() {
    check! { "51", "51.opus", 6; }
}

#[test]
fn webm_and_mp4_are_what_libopus_gives() {
    check! {
        "web", "web.webm", 2;
        "mp4", "mp4.mp4", 2;
    }
}

/// The gain of the identification header, in 1/256 dB, and full scale.
#[test]
fn gain_is_applied_and_samples_are_clamped() {
    let file = include_bytes!("media/opus/mp4.mp4");
    let plain = decode(file);
    let with_gain = |gain: i16| {
        let mut file = file.to_vec();
        let head = file.windows(4).position(|kind| kind == b"dOps").unwrap() + 4;
        file[head + 8..head + 10].copy_from_slice(&gain.to_be_bytes());
        decode(&file)
    };
    let half = with_gain(-6 * 256);
    let factor = 10.0_f32.powf(-6.0 / 20.0);
    for (sample, plain) in half.samples.iter().zip(&plain.samples) {
        assert!((sample - plain * factor).abs() < 1e-5);
    }
    let loud = with_gain(40 * 256);
    assert!(loud.samples.iter().all(|sample| sample.abs() <= 1.0) && loud.samples.contains(&1.0));
}

#[test]
fn seeks_come_near_straight_playback() {
    let file = include_bytes!("media/opus/silk.opus");
    let whole = decode(file);
    let mut decoder = open(file).unwrap();
    for target in [9_600, 4_000, 15_000] {
        assert_eq!(decoder.seek(target).unwrap(), target);
        let chunk = decoder.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.position(), target);
        let straight = &whole.samples[target as usize..][..chunk.frames()];
        let off = chunk.samples().iter().zip(straight).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-3, "{off} at {target}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn mutated_packets_give_finite_samples_or_silence(
        hits in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..40),
    ) {
        let mut all: Vec<Segment> = segments(media::find("opus").unwrap());
        for segment in &mut all {
            let mut body = segment.body.to_vec();
            // Behind the boxes, where packets are.
            let start = body.windows(4).position(|kind| kind == b"mdat").unwrap() + 4;
            for (at, value) in &hits {
                let at = start + at.index(body.len() - start);
                body[at] = *value;
            }
            segment.body = body.into();
        }
        let mut decoder = decoder();
        let mut pcm = common::Pcm::default();
        for segment in &all {
            let _ = feed(&mut decoder, segment, usize::MAX, &mut pcm);
        }
        prop_assert!(pcm.samples.iter().all(|sample| sample.abs() <= 1.0));
    }
}
