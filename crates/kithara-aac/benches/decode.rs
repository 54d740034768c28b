//! Time to decode one second of sound, against Symphonia on the same packets where it can decode them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kithara_aac::Decoder;
use support::{decoder, packets, read};
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration as Ticks, Timestamp};

fn symphonia(rate: u32) -> Box<dyn AudioDecoder> {
    let mut params = AudioCodecParameters::new();
    params.for_codec(CODEC_ID_AAC).with_sample_rate(rate);
    // AAC LC of 44.1 kHz in stereo.
    params.with_extra_data(vec![0x12, 0x10].into());
    symphonia::default::get_codecs()
        .make_audio_decoder(&params, &AudioDecoderOptions::default())
        .expect("Symphonia decodes AAC LC")
}

fn of_symphonia(bytes: &[u8]) -> Vec<Packet> {
    packets("lc.aac", bytes)
        .into_iter()
        .map(|p| Packet::new(0, Timestamp::new(0), Ticks::new(1024), p[7..].to_vec()))
        .collect()
}

fn run(decoder: &mut Decoder, packets: &[&[u8]]) {
    for packet in packets {
        black_box(decoder.decode(packet).unwrap().plane(0)[0]);
    }
}

fn run_symphonia(decoder: &mut dyn AudioDecoder, packets: &[Packet]) {
    for packet in packets {
        black_box(decoder.decode(packet).unwrap().frames());
    }
}

/// The shortest times of many rounds, in which both take turns.
fn in_turns(rounds: usize, mut a: impl FnMut(), mut b: impl FnMut()) -> (Duration, Duration) {
    let time = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..rounds)
        .fold((Duration::MAX, Duration::MAX), |best, _| (best.0.min(time(&mut a)), best.1.min(time(&mut b))))
}

fn decode(criterion: &mut Criterion) {
    let names = ["lc_stereo.aac", "lc_tools.aac", "he_v1_stereo.aac", "he_v2_44100.aac", "lc_8ch.aac"];
    let mut group = criterion.benchmark_group("decode");
    for name in names {
        let bytes = read(name);
        let packets = packets(name, &bytes);
        let mut decoder = decoder(name);
        let frames: usize = packets.iter().map(|p| decoder.decode(p).unwrap().frames()).sum();
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(BenchmarkId::new("kithara-aac", name), |b| {
            b.iter(|| run(&mut decoder, &packets));
        });
        if name.starts_with("lc_stereo") || name.starts_with("lc_tools") {
            let packets = of_symphonia(&bytes);
            let mut decoder = symphonia(44100);
            group.bench_function(BenchmarkId::new("symphonia", name), |b| {
                b.iter(|| run_symphonia(&mut *decoder, &packets));
            });
        }
    }
    group.finish();

    let lc = read("lc_stereo.aac");
    let lc_packets = packets("lc_stereo.aac", &lc);
    for name in ["lc_stereo.aac", "lc_tools.aac"] {
        let bytes = read(name);
        let (ours, theirs) = (packets(name, &bytes), of_symphonia(&bytes));
        let (mut a, mut b) = (Decoder::adts(), symphonia(44100));
        let times = in_turns(2000, || run(&mut a, &ours), || run_symphonia(&mut *b, &theirs));
        println!("{name}: {:.2} of Symphonia's time", times.0.as_secs_f64() / times.1.as_secs_f64());
    }
    for name in ["he_v1_stereo.aac", "he_v2_44100.aac"] {
        let bytes = read(name);
        let packets = packets(name, &bytes);
        let (mut a, mut b) = (Decoder::adts(), Decoder::adts());
        let times = in_turns(2000, || run(&mut a, &packets), || run(&mut b, &lc_packets));
        let second = |time: Duration, frames: usize| time.as_secs_f64() / frames as f64;
        let ratio = second(times.0, packets.len() * 2048) / second(times.1, lc_packets.len() * 1024);
        println!("{name}: {ratio:.2} of the time of AAC LC for as much sound");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = decode
}
criterion_main!(benches);
