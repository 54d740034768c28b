//! Mutated packets: no panic, no hang, no value that is not finite.
//!
//! `KITHARA_AAC_MUTATIONS=1000000 cargo test -p kithara-aac --test mutation` tries more of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kithara_aac::{Config, Decoder};
use support::{decoder, packets, read};

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below.max(1)
    }
}

fn mutate(packet: &mut Vec<u8>, from: usize, random: &mut Random) {
    for _ in 0..=random.next(6) {
        let length = packet.len();
        let at = from + random.next(length - from);
        match random.next(5) {
            0 => packet[at] ^= 1 << random.next(8),
            1 => packet[at] = random.next(256) as u8,
            2 if length > from + 2 => packet.truncate(at.max(from + 1)),
            3 => packet.extend((0..random.next(64)).map(|_| random.next(256) as u8)),
            _ => {
                let end = (at + random.next(16)).min(length);
                packet[at..end].fill(random.next(256) as u8);
            }
        }
    }
}

fn decode(decoder: &mut Decoder, packet: &[u8], name: &str) {
    if let Ok(frame) = decoder.decode(packet) {
        // Four blocks of ADTS or 64 subframes of LATM.
        assert!(frame.frames() <= 64 * 2048 && frame.channels().len() <= 16, "{name}");
        for plane in frame.planes() {
            assert!(plane.iter().all(|x| x.is_finite()), "{name}: a value is not finite");
        }
    }
}

#[test]
fn mutated_packets_are_decoded_or_refused() {
    let count = std::env::var("KITHARA_AAC_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let names = [
        "lc_stereo.aac",
        "lc_tools.aac",
        "lc_intensity.aac",
        "main.aac",
        "ltp.aac",
        "lc_noise.aac",
        "lc_8ch.aac",
        "lc_v1.loas",
        "lc_960.loas",
        "he_v1_stereo.aac",
        "he_v1_16000.aac",
        "he_v1_6ch.aac",
        "he_v1.loas",
        "he_v1_downsampled.loas",
        "he_v2_44100.aac",
        "he_v2.loas",
        "he_v2_960.loas",
    ];
    let mut random = Random(1);
    let each = count / names.len();
    for name in names {
        let bytes = read(name);
        let all = packets(name, &bytes);
        let mut kept = decoder(name);
        for n in 0..each {
            let mut packet = all[random.next(all.len())].to_vec();
            // Most keep their header, so that the damage reaches the payload.
            let header = if name.ends_with(".aac") { 7 } else { 3 };
            mutate(&mut packet, if n % 8 == 0 { 0 } else { header }, &mut random);
            decode(&mut kept, &packet, name);
            if n % 64 == 63 {
                // A stream that is whole again, so that the state is a real one.
                kept = decoder(name);
                for packet in &all {
                    decode(&mut kept, packet, name);
                }
            }
        }
    }
}

#[test]
fn random_bytes_are_decoded_or_refused() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..random.next(400)).map(|_| random.next(256) as u8).collect();
        decode(&mut Decoder::latm(), &bytes, "random LATM");
        let config: Vec<u8> = (0..8).map(|_| random.next(256) as u8).collect();
        if let Ok(config) = Config::from_audio_specific_config(&config) {
            decode(&mut Decoder::new(config).unwrap(), &bytes, "random packet");
        }
    }
}
