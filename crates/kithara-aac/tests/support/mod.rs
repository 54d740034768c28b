//! Fixtures, and how they are decoded and compared.
#![allow(dead_code)]

use std::path::PathBuf;

use kithara_aac::{AdtsFrames, Decoder, LoasFrames};

pub fn read(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn packets<'a>(name: &str, bytes: &'a [u8]) -> Vec<&'a [u8]> {
    if name.ends_with(".loas") { LoasFrames::new(bytes).collect() } else { AdtsFrames::new(bytes).collect() }
}

pub fn decoder(name: &str) -> Decoder {
    if name.ends_with(".loas") { Decoder::latm() } else { Decoder::adts() }
}

/// Appends a frame to planes.
pub fn append(planes: &mut Vec<Vec<f32>>, frame: &kithara_aac::Frame<'_>) {
    planes.resize(frame.channels().len(), Vec::new());
    for (to, from) in planes.iter_mut().zip(frame.planes()) {
        to.extend_from_slice(from);
    }
}

/// Decodes a fixture, in which no packet is damaged.
pub fn decode(name: &str) -> (Vec<Vec<f32>>, u32) {
    let bytes = read(name);
    let mut decoder = decoder(name);
    let (mut planes, mut rate) = (Vec::new(), 0);
    for packet in packets(name, &bytes) {
        let frame = decoder.decode(packet).unwrap();
        assert_eq!(frame.damage(), None, "{name}");
        assert_eq!(frame.skipped(), None, "{name}");
        append(&mut planes, &frame);
        rate = frame.sample_rate();
    }
    (planes, rate)
}

/// The committed reference: one plane for each channel.
pub fn reference(name: &str, channels: usize) -> Vec<Vec<f32>> {
    let bytes = read(&format!("{name}.s24"));
    let mut planes = vec![Vec::new(); channels];
    for (i, sample) in bytes.chunks_exact(3).enumerate() {
        let value = i32::from_le_bytes([0, sample[0], sample[1], sample[2]]) >> 8;
        planes[i % channels].push(value as f32 / (1 << 23) as f32);
    }
    planes
}

/// Signal to noise ratio in decibels.
pub fn snr(reference: &[f32], ours: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let signal: f64 = reference.iter().map(|&x| square(x)).sum();
    let error: f64 = reference.iter().zip(ours).map(|(&a, &b)| square(a - b)).sum();
    10.0 * (signal / error.max(1e-30)).log10()
}
