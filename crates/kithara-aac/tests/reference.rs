//! Every profile, rate and layout against ffmpeg's decode of the same packets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use kithara_aac::{Channel, Decoder};
use support::{decode, reference, snr};

/// Decodes a fixture, and demands `least` decibels of it in every channel.
fn check(name: &str, rate: u32, channels: usize, least: f64) {
    let (planes, decoded_rate) = decode(name);
    assert_eq!((decoded_rate, planes.len()), (rate, channels), "{name}");
    for (channel, (ours, reference)) in planes.iter().zip(reference(name, channels)).enumerate() {
        assert_eq!(ours.len(), reference.len(), "{name}: frames of channel {channel}");
        let snr = snr(&reference, ours);
        println!("{name} {channel}: {snr:.1} dB");
        assert!(snr >= least, "{name}: {snr:.1} dB in channel {channel}");
    }
}

const LC: f64 = 120.0;
const SBR: f64 = 80.0;
const PS: f64 = 60.0;

#[test]
fn lc_of_every_rate_equals_the_reference() {
    for rate in [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000] {
        check(&format!("lc_{rate}.aac"), rate, 1, LC);
    }
}

#[test]
fn lc_of_every_channel_configuration_equals_the_reference() {
    check("lc_stereo.aac", 44100, 2, LC);
    for channels in [3, 4, 5, 6, 8] {
        check(&format!("lc_{channels}ch.aac"), 48000, channels, LC);
    }
}

#[test]
fn noise_shaping_sum_and_difference_and_intensity_equal_the_reference() {
    check("lc_tools.aac", 44100, 2, LC);
    check("lc_intensity.aac", 44100, 2, LC);
}

#[test]
fn prediction_of_main_and_of_ltp_equals_the_reference() {
    check("main.aac", 44100, 2, LC);
    check("ltp.aac", 44100, 2, LC);
}

#[test]
fn latm_of_both_versions_equals_the_reference() {
    check("lc.loas", 48000, 2, LC);
    check("lc_v1.loas", 48000, 2, LC);
}

#[test]
fn frames_of_960_equal_the_reference() {
    check("lc_960.loas", 48000, 2, LC);
}

#[test]
fn he_of_frames_of_960_equals_the_second_opinion() {
    // ffmpeg has no SBR in such frames. The reference has 16 bits, and lacks the last packet.
    for name in ["he_v1_960.loas", "he_v2_960.loas"] {
        let (planes, rate) = decode(name);
        assert_eq!(rate, 48000);
        for (ours, reference) in planes.iter().zip(reference(name, 2)) {
            assert_eq!(ours.len(), reference.len() + 1920, "{name}");
            let snr = snr(&reference, ours);
            assert!(snr >= PS, "{name}: {snr:.1} dB");
        }
    }
}

#[test]
fn he_v1_of_every_rate_equals_the_reference() {
    // Mono without a configuration that denies parametric stereo is put out as stereo.
    for rate in [16000, 24000, 32000, 44100, 48000, 96000] {
        check(&format!("he_v1_{rate}.aac"), rate, 2, SBR);
    }
    check("he_v1_stereo.aac", 44100, 2, SBR);
    check("he_v1_6ch.aac", 44100, 6, SBR);
}

#[test]
fn he_v1_with_explicit_signalling_equals_the_reference() {
    check("he_v1.loas", 44100, 2, SBR);
    check("he_v1_downsampled.loas", 44100, 2, SBR);
}

#[test]
fn he_v2_equals_the_reference() {
    check("he_v2_44100.aac", 44100, 2, PS);
    check("he_v2_32000.aac", 32000, 2, PS);
    check("he_v2.loas", 48000, 2, PS);
}

#[test]
fn substituted_noise_has_the_energy_of_the_reference() {
    let (planes, _) = decode("lc_noise.aac");
    for (ours, reference) in planes.iter().zip(reference("lc_noise.aac", 2)) {
        assert_eq!(ours.len(), reference.len());
        let energy = |x: &[f32]| x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let ratio = 10.0 * (energy(ours) / energy(&reference)).log10();
        assert!(ratio.abs() < 0.2, "{ratio:.2} dB");
        // Everything but the noise is the same.
        let snr = snr(&reference, ours);
        assert!(snr > 20.0, "{snr:.1} dB");
    }
}

#[test]
fn channels_stand_in_the_order_of_wave() {
    use Channel as C;
    let expected: [(&str, &[Channel]); 3] = [
        ("lc_4ch.aac", &[C::FrontLeft, C::FrontRight, C::FrontCenter, C::BackCenter]),
        (
            "lc_6ch.aac",
            &[C::FrontLeft, C::FrontRight, C::FrontCenter, C::LowFrequency, C::BackLeft, C::BackRight],
        ),
        (
            "lc_8ch.aac",
            &[
                C::FrontLeft,
                C::FrontRight,
                C::FrontCenter,
                C::LowFrequency,
                C::BackLeft,
                C::BackRight,
                C::SideLeft,
                C::SideRight,
            ],
        ),
    ];
    for (name, channels) in expected {
        let bytes = support::read(name);
        let mut decoder = Decoder::adts();
        decoder.decode(support::packets(name, &bytes)[0]).unwrap();
        assert_eq!(decoder.channels(), channels, "{name}");
    }
}
