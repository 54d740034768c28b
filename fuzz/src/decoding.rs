//! AAC packets: whatever they hold, the samples are finite and the memory is bounded.

use kithara_aac::{AdtsFrames, Config, Decoder, LoasFrames};

/// The first byte chooses the framing. Of raw packets, the next eight are the configuration, and each packet's
/// first byte is its length.
pub fn aac(data: &[u8]) {
    let Some((&framing, data)) = data.split_first() else { return };
    match framing % 3 {
        0 => AdtsFrames::new(data).for_each({
            let mut decoder = Decoder::adts();
            move |packet| decode(&mut decoder, packet)
        }),
        1 => LoasFrames::new(data).for_each({
            let mut decoder = Decoder::latm();
            move |packet| decode(&mut decoder, packet)
        }),
        _ => raw(data),
    }
}

fn raw(data: &[u8]) {
    let Some((config, mut data)) = data.split_at_checked(8) else { return };
    let Ok(config) = Config::from_audio_specific_config(config) else { return };
    let Ok(mut decoder) = Decoder::new(config) else { return };
    while let Some((&length, rest)) = data.split_first() {
        let (packet, rest) = rest.split_at(usize::from(length).min(rest.len()));
        decode(&mut decoder, packet);
        data = rest;
    }
}

fn decode(decoder: &mut Decoder, packet: &[u8]) {
    if let Ok(frame) = decoder.decode(packet) {
        // 64 subframes of LATM at most.
        assert!(frame.frames() <= 64 * 2048 && frame.channels().len() <= 16);
        assert!(frame.planes().all(|plane| plane.iter().all(|sample| sample.is_finite())));
    }
}
