//! What happens from packet to packet: damage, resets, changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kithara_aac::{AdtsFrames, Decoder, Error};
use support::{append, decode, packets, read, snr};

#[test]
fn a_damaged_packet_is_told_and_the_sound_recovers_behind_it() {
    for name in ["lc_stereo.aac", "he_v1_stereo.aac", "he_v2_44100.aac"] {
        let bytes = read(name);
        let (whole, _) = decode(name);
        let mut decoder = Decoder::adts();
        let mut planes = Vec::new();
        let all = packets(name, &bytes);
        let damaged = all.len() / 2;
        for (index, packet) in all.iter().enumerate() {
            let mut packet = packet.to_vec();
            if index == damaged {
                packet.truncate(packet.len() / 8);
            }
            let frame = decoder.decode(&packet).unwrap();
            // Behind it, SBR may refer to values that have been lost, and says so too.
            if index <= damaged || name.starts_with("lc") {
                assert_eq!(frame.damage().is_some(), index == damaged, "{name}");
            }
            append(&mut planes, &frame);
        }
        let frame = whole[0].len() / all.len();
        for (ours, whole) in planes.iter().zip(&whole) {
            assert_eq!(ours.len(), whole.len(), "{name}: the concealed packet has its full length");
            let before = damaged * frame;
            assert_eq!(ours[..before], whole[..before], "{name}: the packets before are untouched");
            let peak = whole.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
            assert!(ours.iter().all(|x| x.abs() <= 1.5 * peak), "{name}: no click");
            if name.starts_with("lc") {
                let after = (damaged + 2) * frame;
                assert!(snr(&whole[after..], &ours[after..]) > 100.0, "{name}");
            }
        }
    }
}

#[test]
fn after_a_reset_the_stream_sounds_as_from_the_start() {
    for name in ["lc_stereo.aac", "main.aac", "ltp.aac", "lc_noise.aac", "he_v2_44100.aac"] {
        let bytes = read(name);
        let (whole, _) = decode(name);
        let mut decoder = Decoder::adts();
        for packet in packets(name, &bytes) {
            decoder.decode(packet).unwrap();
        }
        decoder.reset();
        let mut again = Vec::new();
        for packet in packets(name, &bytes) {
            append(&mut again, &decoder.decode(packet).unwrap());
        }
        assert_eq!(whole, again, "{name}");
    }
}

#[test]
fn a_seek_meets_the_same_noise() {
    for name in ["lc_noise.aac", "he_v1_stereo.aac", "he_v2_44100.aac"] {
        let bytes = read(name);
        let (whole, _) = decode(name);
        let all = packets(name, &bytes);
        let frame = whole[0].len() / all.len();
        let first = 2;
        let mut decoder = Decoder::adts();
        // The stream's shape is known, as it is where a player seeks.
        decoder.decode(all[0]).unwrap();
        decoder.reset();
        let mut planes = Vec::new();
        for (index, packet) in all.iter().enumerate().skip(first) {
            append(&mut planes, &decoder.decode_at(packet, index as u64).unwrap());
        }
        let settle = if name.starts_with("lc") { 1 } else { 3 };
        for (ours, whole) in planes.iter().zip(&whole) {
            let (ours, whole) = (&ours[settle * frame..], &whole[(first + settle) * frame..]);
            let least = if name.starts_with("lc") { 140.0 } else { 30.0 };
            let snr = snr(whole, ours);
            assert!(snr > least, "{name}: {snr:.1} dB");
        }
    }
}

#[test]
fn a_changed_header_is_followed() {
    let (mono, stereo, surround) = (read("lc_48000.aac"), read("he_v1_stereo.aac"), read("lc_6ch.aac"));
    let mut decoder = Decoder::adts();
    let mut seen = Vec::new();
    for bytes in [&mono, &stereo, &surround, &mono] {
        for packet in AdtsFrames::new(bytes) {
            let frame = decoder.decode(packet).unwrap();
            assert_eq!(frame.damage(), None);
            let shape = (frame.sample_rate(), frame.channels().len(), frame.frames());
            if seen.last() != Some(&shape) {
                seen.push(shape);
            }
        }
    }
    assert_eq!(seen, [(48000, 1, 1024), (44100, 2, 2048), (48000, 6, 1024), (48000, 1, 1024)]);
}

#[test]
fn a_lost_start_is_an_error_that_passes() {
    let bytes = read("lc.loas");
    let mut element = packets("lc.loas", &bytes)[0].to_vec();
    // The flag says that the configuration is the one before, and there is none.
    element[3] |= 0x80;
    let mut decoder = Decoder::latm();
    let error = decoder.decode(&element).unwrap_err();
    assert_eq!(error, Error::NotConfigured);
    assert!(error.is_retryable());
    assert!(Decoder::adts().decode(&[]).is_err());
    assert!(decoder.decode(packets("lc.loas", &bytes)[0]).is_ok());
}

#[test]
fn several_raw_data_blocks_in_one_adts_frame_are_all_decoded() {
    let bytes = read("lc_48000.aac");
    let all = packets("lc_48000.aac", &bytes);
    let (whole, _) = decode("lc_48000.aac");
    let (first, second) = (all[2], all[3]);
    let length = first.len() + second.len() - 7;
    let mut joined = first.to_vec();
    joined.extend_from_slice(&second[7..]);
    joined[3] = joined[3] & !3 | (length >> 11) as u8;
    joined[4] = (length >> 3) as u8;
    joined[5] = joined[5] & 0x1f | (length << 5) as u8;
    joined[6] = joined[6] & !3 | 1;
    let mut decoder = Decoder::adts();
    decoder.decode(all[0]).unwrap();
    decoder.decode(all[1]).unwrap();
    let frame = decoder.decode(&joined).unwrap();
    assert_eq!((frame.frames(), frame.damage()), (2048, None));
    assert_eq!(frame.plane(0), &whole[0][2048..4096]);
}
