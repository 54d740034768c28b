//! Decoding against its bare floor in the same run: Symphonia's codec on the same packets.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kithara_bufpool::SamplePool;
use kithara_decode::demux::{self, Sniff};
use kithara_decode::{
    DecodeOptions, MediaDecoder, ResamplerProcessor, SegmentDecoder, SegmentDecoderSettings, SegmentStart,
    interleave_f32, interleave_f32_scalar,
};
use kithara_stream::MediaInfo;
use kithara_testkit::media::{self, Fixture};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known};
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration as Ticks, Timestamp};

fn bodies(fixture: &Fixture) -> (Option<Bytes>, Vec<Bytes>) {
    let folder = fixture.folder();
    let get = |name: &str| folder.get(name).map(Bytes::from_static);
    let text = std::str::from_utf8(fixture.bytes()).unwrap();
    let names = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    (get("init.mp4"), names.filter_map(get).collect())
}

/// Packets of a presentation, and the bare codec for them.
fn packets(init: Option<&Bytes>, bodies: &[Bytes]) -> (AudioCodecParameters, Vec<Vec<u8>>) {
    let Sniff::Found(container) = demux::sniff(init.unwrap_or(&bodies[0])) else { panic!("no media") };
    let mut demuxer = container.demuxer();
    let mut packets = Vec::new();
    for piece in init.into_iter().chain(bodies) {
        demuxer.push(piece.clone()).unwrap();
        while let Some(packet) = demuxer.next_packet().unwrap() {
            packets.push(packet.data.to_vec());
        }
    }
    let track = demuxer.track().unwrap();
    let id = match track.codec {
        demux::Codec::Flac => well_known::CODEC_ID_FLAC,
        demux::Codec::Mp3 => well_known::CODEC_ID_MP3,
        _ => well_known::CODEC_ID_AAC,
    };
    let mut params = AudioCodecParameters::new();
    params.for_codec(id).with_sample_rate(track.sample_rate);
    if let Some(extra) = &track.extra_data {
        params.with_extra_data(extra.clone());
    }
    (params, packets)
}

fn bare(params: &AudioCodecParameters) -> Box<dyn AudioDecoder> {
    symphonia::default::get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default()).unwrap()
}

fn segments(c: &mut Criterion) {
    let mut group = c.benchmark_group("segments");
    group.measurement_time(Duration::from_secs(4)).sample_size(20);
    for name in ["aac4/128k", "aac4/flac", "ts-mp3"] {
        let fixture = media::find(name).unwrap();
        let (init, bodies) = bodies(fixture);
        group.throughput(Throughput::Elements(fixture.frames));
        let (params, packets) = packets(init.as_ref(), &bodies);
        group.bench_function(BenchmarkId::new("bare codec", name), |b| {
            let mut decoder = bare(&params);
            b.iter(|| {
                for packet in &packets {
                    let packet = PacketRef::new(0, Timestamp::new(0), Ticks::ZERO, packet);
                    black_box(decoder.decode_ref(&packet).unwrap().frames());
                }
            });
        });
        let pool = SamplePool::default();
        group.bench_function(BenchmarkId::new("SegmentDecoder", name), |b| {
            b.iter(|| {
                let mut decoder = SegmentDecoder::new(SegmentDecoderSettings::new(pool.clone()));
                let mut start =
                    SegmentStart { init: init.clone(), is_first: true, ..SegmentStart::default() };
                for body in &bodies {
                    decoder.begin_segment(start.clone()).unwrap();
                    decoder.push(body.clone()).unwrap();
                    decoder.end_segment().unwrap();
                    while let Some(chunk) = decoder.next_chunk().unwrap() {
                        black_box(chunk.samples());
                    }
                    start.is_first = false;
                }
            });
        });
    }
    group.finish();
}

fn bare_file(bytes: &'static [u8]) -> usize {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let (options, tags) = (FormatOptions::default(), MetadataOptions::default());
    let mut format = symphonia::default::get_probe().probe(&Hint::new(), stream, options, tags).unwrap();
    let track = format.default_track(TrackType::Audio).unwrap();
    let Some(CodecParameters::Audio(params)) = track.codec_params.clone() else { panic!("no audio") };
    let mut decoder = bare(&params);
    let (mut samples, mut frames) = (Vec::<f32>::new(), 0);
    while let Some(packet) = format.next_packet().unwrap() {
        let decoded = decoder.decode(&packet).unwrap();
        decoded.copy_to_vec_interleaved(&mut samples);
        frames += black_box(&samples).len();
    }
    frames
}

fn files(c: &mut Criterion) {
    let mut group = c.benchmark_group("files");
    group.measurement_time(Duration::from_secs(4)).sample_size(20);
    for name in ["cbr.mp3", "faststart.m4a", "lossless.flac", "vorbis.ogg", "pcm16.wav"] {
        let fixture = media::find(name).unwrap();
        group.throughput(Throughput::Elements(fixture.frames));
        group.bench_function(BenchmarkId::new("bare Symphonia", name), |b| {
            b.iter(|| bare_file(fixture.bytes()))
        });
        let pool = SamplePool::default();
        group.bench_function(BenchmarkId::new("MediaDecoder", name), |b| {
            b.iter(|| {
                let options = DecodeOptions::new(pool.clone());
                let source = Cursor::new(fixture.bytes());
                let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options).unwrap();
                while let Some(chunk) = decoder.next_chunk().unwrap() {
                    black_box(chunk.samples());
                }
            });
        });
    }
    group.finish();
}

fn interleave(c: &mut Criterion) {
    let mut group = c.benchmark_group("interleave");
    let (left, right) = (vec![0.25f32; 1024], vec![-0.25f32; 1024]);
    let mut out = vec![0.0f32; 2048];
    group.throughput(Throughput::Elements(1024));
    group.bench_function("chosen at run time", |b| {
        b.iter(|| interleave_f32(black_box(&left), black_box(&right), black_box(&mut out)));
    });
    group.bench_function("baseline", |b| {
        b.iter(|| interleave_f32_scalar(black_box(&left), black_box(&right), black_box(&mut out)));
    });
    group.finish();
}

fn resample(c: &mut Criterion) {
    let mut group = c.benchmark_group("resample a second of stereo");
    for (from, to) in [(44_100, 48_000), (48_000, 44_100), (44_100, 96_000), (48_000, 48_000)] {
        let input: Vec<f32> = (0..from * 2).map(|n| (n as f32 * 0.01).sin()).collect();
        let mut processor = ResamplerProcessor::new(from, to, 2).unwrap();
        let mut output = Vec::new();
        group.throughput(Throughput::Elements(u64::from(from)));
        group.bench_function(BenchmarkId::from_parameter(format!("{from} to {to}")), |b| {
            b.iter(|| {
                output.clear();
                for piece in input.chunks(2048) {
                    processor.process(piece, &mut output).unwrap();
                }
                black_box(&output);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, segments, files, interleave, resample);
criterion_main!(benches);
