//! Instructions, counted by callgrind: the same number again on the same build, whatever else the machine is doing.
//!
//! A bench of ours stands beside one of bare Symphonia on the same bytes. Needs valgrind and the runner of gungraun:
//!
//! ```sh
//! cargo install gungraun-runner --version 0.20.0
//! cargo bench --features callgrind --bench instructions
//! ```
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group, main};
use kithara::bufpool::{PoolSettings, SamplePool};
use kithara::decode::{ResamplerProcessor, SegmentDecoder, SegmentDecoderSettings, SegmentStart};
use kithara::hls::playlist;
use kithara::net::Url;
use kithara_testkit::media;
use support::{floor, long};

/// Segments that are decoded, of four seconds each.
const SEGMENTS: usize = 4;

struct Segments {
    decoder: SegmentDecoder,
    init: Bytes,
    bodies: Vec<Bytes>,
}

fn segments(variant: &str) -> Segments {
    let (init, bodies) = long::fragments(variant);
    Segments {
        decoder: SegmentDecoder::new(SegmentDecoderSettings::new(SamplePool::new(PoolSettings::default()))),
        init: Bytes::from_static(init),
        bodies: bodies.take(SEGMENTS).collect(),
    }
}

#[library_benchmark]
#[bench::aac(args = ("128k"), setup = segments)]
#[bench::flac(args = ("flac"), setup = segments)]
fn decode_segments(mut segments: Segments) -> u64 {
    let mut frames = 0;
    for (n, body) in segments.bodies.drain(..).enumerate() {
        let start = SegmentStart {
            init: Some(segments.init.clone()),
            timeline_start: Duration::from_secs(4 * n as u64),
            duration: Duration::from_secs(4),
            is_first: n == 0,
            discontinuity: false,
            variant: 0,
            ..SegmentStart::default()
        };
        segments.decoder.begin_segment(start).unwrap();
        segments.decoder.push(body).unwrap();
        segments.decoder.end_segment().unwrap();
        while let Some(chunk) = segments.decoder.next_chunk().unwrap() {
            frames += black_box(chunk).frames() as u64;
        }
    }
    frames
}

fn whole(variant: &str) -> Vec<u8> {
    let (init, bodies) = long::fragments(variant);
    [Bytes::from_static(init)].into_iter().chain(bodies.take(SEGMENTS)).flatten().collect()
}

#[library_benchmark]
#[bench::aac(args = ("128k"), setup = whole)]
#[bench::flac(args = ("flac"), setup = whole)]
fn decode_by_bare_symphonia(bytes: Vec<u8>) -> u64 {
    floor::decode(bytes)
}

fn a_second() -> (ResamplerProcessor, Vec<f32>) {
    let samples = (0..88_200).map(|n| (n as f32 * 0.01).sin()).collect();
    (ResamplerProcessor::new(44_100, 48_000, 2).unwrap(), samples)
}

#[library_benchmark]
#[bench::stereo_44_to_48(setup = a_second)]
fn resample_a_second((mut resampler, samples): (ResamplerProcessor, Vec<f32>)) -> Vec<f32> {
    let mut out = Vec::with_capacity(100_000);
    resampler.process(&samples, &mut out).unwrap();
    out
}

fn a_playlist() -> (Vec<u8>, Url) {
    let list = media::file("hls/aac4/128k/index.m3u8").unwrap().to_vec();
    (list, "http://127.0.0.1/128k/index.m3u8".parse().unwrap())
}

#[library_benchmark]
#[bench::media(setup = a_playlist)]
fn parse_a_playlist((list, url): (Vec<u8>, Url)) -> playlist::Playlist {
    playlist::parse(&list, &url).unwrap()
}

library_benchmark_group!(
    name = all,
    benchmarks = [decode_segments, decode_by_bare_symphonia, resample_a_second, parse_a_playlist]
);

main!(library_benchmark_groups = all);
