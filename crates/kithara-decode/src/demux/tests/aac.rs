//! ADTS headers and configurations.

use super::super::aac::AacConfig;
use super::super::{AdtsHeader, Codec};
use super::build;

#[test]
fn an_adts_header_becomes_a_configuration() {
    let frame = build::adts_of(&[0; 100], 3, 1);
    let header = AdtsHeader::parse(&frame).unwrap();
    assert_eq!((header.frame_len, header.sample_rate(), header.channel_config), (107, 48_000, 1));
    let config = AacConfig::parse(&header.audio_specific_config()).unwrap();
    assert_eq!(config.codec(), Codec::AacLc);
    assert_eq!((config.core_sample_rate, config.channels()), (48_000, 1));
}

#[test]
fn what_is_no_adts_header() {
    let good = build::adts(&[1; 10]);
    assert!(AdtsHeader::parse(&good).is_some());
    for (at, value) in [(0, 0xFE), (1, 0xE1), (1, 0xF3), (2, 0x40 | 13 << 2), (4, 0)] {
        let mut bad = good.clone();
        bad[at] = value;
        if at == 4 {
            bad[5] &= 0x1F;
        }
        assert_eq!(AdtsHeader::parse(&bad), None, "byte {at}");
    }
}

#[test]
fn a_program_config_element_gives_the_channels() {
    // Object type 2, 44.1 kHz, channel configuration 0; then a PCE: one front pair, one front single, one LFE.
    let mut bits = String::from("00010") + "0100" + "0000" + "0" + "0" + "0";
    bits += "0000"; // tag
    bits += "01"; // object type
    bits += "0100"; // rate
    bits += "0010"; // front
    bits += "0000"; // side
    bits += "0000"; // back
    bits += "01"; // lfe
    bits += "000"; // data
    bits += "0000"; // coupling
    bits += "000"; // mixdowns
    bits += "00000"; // front: single
    bits += "10000"; // front: pair
    bits += "0000"; // lfe
    while !bits.len().is_multiple_of(8) {
        bits += "0";
    }
    bits += "00000000"; // comment
    let bytes: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap())
        .collect();
    assert_eq!(AacConfig::parse(&bytes).unwrap().channels(), 4);
}
