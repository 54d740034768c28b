//! Choosing the container.

use super::super::{Codec, Container, Sniff, sniff, sniff_at_end};
use super::Random;
use super::build::*;

fn ts() -> Vec<u8> {
    let mut ts = TsWriter::aac();
    for n in 0..5 {
        ts.audio(n * 2090, &[adts(&body(n as u32, 300))]);
    }
    ts.out
}

fn samples() -> Vec<(Container, Vec<u8>)> {
    let tag = id3(Some(5));
    let adts: Vec<u8> = (0..9).flat_map(|n| adts(&body(n, 90))).collect();
    let mp3: Vec<u8> = (0..9).flat_map(mp3).collect();
    let m2ts: Vec<u8> = ts().chunks(188).flat_map(|packet| [&[0, 1, 2, 3], packet].concat()).collect();
    let parity: Vec<u8> = ts().chunks(188).flat_map(|packet| [packet, &[9; 16]].concat()).collect();
    vec![
        (Container::Fmp4, Movie::default().init()),
        (Container::Fmp4, [atom(b"styp", &[b"msdh"]), fragment(&[Traf::default()], &[1; 40])].concat()),
        (Container::MpegTs, ts()),
        (Container::MpegTs, m2ts),
        (Container::MpegTs, parity),
        (Container::Adts, adts.clone()),
        (Container::Adts, [tag.clone(), tag.clone(), adts].concat()),
        (Container::MpegAudio, mp3.clone()),
        (Container::MpegAudio, [tag, mp3].concat()),
    ]
}

#[test]
fn every_prefix_says_more_or_the_truth() {
    for (container, data) in samples() {
        let mut found = false;
        for len in 0..=data.len() {
            match sniff(&data[..len]) {
                Sniff::NeedMore => assert!(!found, "{container} at {len}"),
                answer => {
                    assert_eq!(answer, Sniff::Found(container), "at {len}");
                    found = true;
                }
            }
        }
        assert!(found);
        assert_eq!(sniff_at_end(&data), Sniff::Found(container));
    }
}

#[test]
fn behind_garbage() {
    let mut random = Random(3);
    let garbage: Vec<u8> = (0..3000).map(|_| random.next() as u8).collect();
    for (container, data) in samples().into_iter().filter(|(container, _)| *container != Container::Fmp4) {
        let data = data.repeat(4);
        assert_eq!(sniff(&[garbage.clone(), data].concat()), Sniff::Found(container));
    }
}

#[test]
fn what_is_no_media() {
    for text in [
        &b"<!DOCTYPE html><html><head><title>Not found</title>"[..],
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"\xEF\xBB\xBFWEBVTT\n\n00:00.000",
    ] {
        assert_eq!(sniff(text), Sniff::Unknown);
    }
    assert_eq!(sniff(b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0"), Sniff::Unknown);
    assert_eq!(sniff(&[]), Sniff::NeedMore);
    assert_eq!(sniff_at_end(&[]), Sniff::Unknown);
    let noise: Vec<u8> =
        (0..70_000u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
    assert_eq!(sniff(&noise[..1000]), Sniff::NeedMore);
    assert_eq!(sniff(&noise), Sniff::Unknown);
    assert_eq!(sniff_at_end(&noise[..1000]), Sniff::Unknown);
}

#[test]
fn audio_without_a_demuxer_is_named() {
    let ac3 = [vec![0x0B, 0x77, 1, 2, 3, 8 << 3], vec![0; 50]].concat();
    let eac3 = [vec![0x0B, 0x77, 1, 2, 3, 16 << 3], vec![0; 50]].concat();
    assert_eq!(sniff(&ac3), Sniff::Unsupported(Codec::Ac3));
    assert_eq!(sniff(&[id3(Some(1)), eac3].concat()), Sniff::Unsupported(Codec::Eac3));
    let loas = [vec![0x56, 0xE0, 20], vec![1; 20]].concat().repeat(3);
    assert_eq!(sniff(&loas), Sniff::Unsupported(Codec::Latm));
}

#[test]
fn short_segments_at_their_end() {
    assert_eq!(sniff_at_end(&adts(&body(1, 20))), Sniff::Found(Container::Adts));
    assert_eq!(sniff_at_end(&mp3(1)), Sniff::Found(Container::MpegAudio));
    assert_eq!(sniff_at_end(&TsWriter::aac().out), Sniff::Found(Container::MpegTs));
}
