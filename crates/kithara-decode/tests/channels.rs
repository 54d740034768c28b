//! Channels: streams in which they change, layouts, downmix and upmix.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Cursor;

use common::Pcm;
use common::file::{decode, options, read_all};
use kithara_decode::{ChannelLayout, MediaDecoder, OutputOptions};
use kithara_stream::MediaInfo;

fn decode_as(bytes: &[u8], output: OutputOptions) -> Pcm {
    let mut options = options();
    options.output = output;
    let source = Cursor::new(bytes.to_vec());
    read_all(&mut MediaDecoder::open(source, &MediaInfo::default(), options).unwrap()).unwrap()
}

/// Root mean square of one channel over a range of frames.
fn rms(pcm: &Pcm, channel: usize, frames: std::ops::Range<u64>) -> f32 {
    let channels = pcm.channels();
    let samples = &pcm.samples[frames.start as usize * channels..frames.end as usize * channels];
    let sum: f32 = samples.iter().skip(channel).step_by(channels).map(|sample| sample * sample).sum();
    (sum / (frames.end - frames.start) as f32).sqrt()
}

/// Seconds of each part that are compared: not where one part goes over into the next.
const SECOND: u64 = 44_100;
const MARGIN: u64 = 5_000;

#[track_caller]
fn assert_part(pcm: &Pcm, part: u64, expected: &[f32]) {
    let frames = part * SECOND + MARGIN..(part + 1) * SECOND - MARGIN;
    for (channel, &expected) in expected.iter().enumerate() {
        let rms = rms(pcm, channel, frames.clone());
        assert!((rms - expected).abs() < 0.02, "part {part}, channel {channel}: {rms}, {expected} expected");
    }
}

/// Of a sine with amplitude 0.4, one with 0.3, and the mean of both.
const MONO: f32 = 0.4 * std::f32::consts::FRAC_1_SQRT_2;
const RIGHT: f32 = 0.3 * std::f32::consts::FRAC_1_SQRT_2;
const MEAN: f32 = 0.25 * std::f32::consts::FRAC_1_SQRT_2;

#[test]
fn mp3_that_changes_its_channels_is_played_in_the_first_format() {
    let pcm = decode(include_bytes!("media/odd/m2s.mp3"));
    assert_eq!(pcm.channels(), 1);
    assert!((88_200..95_000).contains(&pcm.frames()), "{}", pcm.frames());
    assert_part(&pcm, 0, &[MONO]);
    assert_part(&pcm, 1, &[MEAN]);
    let pcm = decode(include_bytes!("media/odd/s2m2s.mp3"));
    assert_eq!(pcm.channels(), 2);
    assert_part(&pcm, 0, &[MONO, RIGHT]);
    assert_part(&pcm, 1, &[MONO, MONO]);
    assert_part(&pcm, 2, &[MONO, RIGHT]);
}

#[test]
fn aac_that_changes_its_channels_under_one_description_is_played() {
    let pcm = decode(include_bytes!("media/odd/mono-stereo.m4a"));
    assert_eq!(pcm.channels(), 1);
    assert_part(&pcm, 0, &[MONO]);
    assert_part(&pcm, 1, &[MEAN]);
    let pcm = decode(include_bytes!("media/odd/stereo-mono.m4a"));
    assert_eq!(pcm.channels(), 2);
    assert_part(&pcm, 0, &[MONO, RIGHT]);
    assert_part(&pcm, 1, &[MONO, MONO]);
}

#[test]
fn seeks_land_behind_a_change_of_channels() {
    let mut decoder = common::file::open(include_bytes!("media/odd/s2m2s.mp3")).unwrap();
    let whole = read_all(&mut decoder).unwrap();
    for target in [60_000, 120_000, 80_000, 10_000, 100_001] {
        assert_eq!(decoder.seek(target).unwrap(), target);
        let mut part = Pcm { start: target, ..Pcm::default() };
        while part.frames() < 3000
            && let Some(chunk) = decoder.next_chunk().unwrap()
        {
            part.add(&chunk);
        }
        part.assert_part_of(&whole);
    }
}

#[test]
fn centre_is_heard_in_stereo_and_mono() {
    for bytes in [&include_bytes!("media/odd/centre.flac")[..], include_bytes!("media/odd/centre-side.wav")] {
        let whole = decode(bytes);
        assert_eq!(whole.channels(), 6);
        let centre = 0.5 * std::f32::consts::FRAC_1_SQRT_2;
        assert!((rms(&whole, 2, 0..8000) - centre).abs() < 0.01);
        let stereo = decode_as(bytes, OutputOptions::default().with_channels(2));
        assert_eq!(stereo.spec.unwrap().layout, ChannelLayout::STEREO);
        for channel in 0..2 {
            // −3 dB.
            let level = rms(&stereo, channel, 0..8000);
            assert!((level - centre * std::f32::consts::FRAC_1_SQRT_2).abs() < 0.01, "{level}");
        }
        let mono = decode_as(bytes, OutputOptions::default().with_layout(ChannelLayout::MONO));
        assert!(rms(&mono, 0, 0..8000) > 0.2);
    }
}

#[test]
fn layouts_come_from_the_file() {
    let layout = |bytes: &[u8]| decode(bytes).spec.unwrap().layout;
    assert_eq!(layout(include_bytes!("media/odd/centre.flac")), ChannelLayout::SURROUND_5_1);
    assert_eq!(layout(include_bytes!("media/odd/centre-side.wav")).mask(), 0x60F);
    assert_eq!(layout(include_bytes!("media/odd/order.m4a")), ChannelLayout::SURROUND_5_1);
}

/// ALAC stores the centre first; PCM has the order of the mask.
#[test]
fn alac_channels_are_in_the_order_of_the_mask() {
    let pcm = decode(include_bytes!("media/odd/order.m4a"));
    for channel in 0..6 {
        let step = 0.01 * (channel + 1) as f32;
        for frame in (0..10_000).step_by(77) {
            let expected = 0.1 * (frame as f32 * step).sin();
            let sample = pcm.samples[frame * 6 + channel];
            assert!(
                (sample - expected).abs() < 1e-3,
                "channel {channel}, frame {frame}: {sample}, {expected}"
            );
        }
    }
}
