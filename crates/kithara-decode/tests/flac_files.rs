//! FLAC files whose headers, seek tables or joints do not fit their frames.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Cursor;

use common::file::{Endless, assert_seeks, decode, far, open, options, read_all};
use kithara_decode::{DecodeError, MediaDecoder};
use kithara_stream::MediaInfo;
use kithara_testkit::media;

/// 310,211 frames at 44.1 kHz in blocks of 4,096.
fn lossless() -> (Vec<u8>, u64) {
    let fixture = media::find("lossless.flac").unwrap();
    (fixture.bytes().to_vec(), fixture.frames)
}

/// 12,000 frames at 24 kHz.
const OTHER: &[u8] = include_bytes!("media/odd/24k.flac");

/// Offset of the STREAMINFO block's content.
const INFO: usize = 8;

/// Rate, channels, bits per sample and total, as STREAMINFO packs them.
fn packed(rate: u64, channels: u64, bits: u64, total: u64) -> [u8; 8] {
    (rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | total).to_be_bytes()
}

fn with_info(bytes: &[u8], at: usize, patch: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[INFO + at..][..patch.len()].copy_from_slice(patch);
    bytes
}

/// Offset behind the metadata blocks.
fn first_frame(bytes: &[u8]) -> usize {
    let mut at = 4;
    loop {
        let &[kind, a, b, c] = bytes[at..].first_chunk::<4>().unwrap();
        at += 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if kind & 0x80 != 0 {
            return at;
        }
    }
}

#[test]
fn frames_rule_over_stream_info() {
    let (bytes, frames) = lossless();
    let whole = decode(&bytes);
    let odd: [(&str, usize, Vec<u8>); 9] = [
        ("blocks of 16 to 65,535", 0, vec![0, 16, 0xFF, 0xFF]),
        ("blocks of 4,096 to 8,192", 0, vec![0x10, 0, 0x20, 0]),
        ("blocks of 1,152", 0, vec![0x04, 0x80, 0x04, 0x80]),
        ("no block size", 0, vec![0, 0, 0, 0]),
        ("a shortest frame that is longer than all", 4, vec![0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF]),
        ("another rate", 10, packed(48_000, 2, 16, frames).to_vec()),
        ("no rate", 10, packed(0, 2, 16, frames).to_vec()),
        ("other channels", 10, packed(44_100, 6, 16, frames).to_vec()),
        ("another sample size", 10, packed(44_100, 2, 24, frames).to_vec()),
    ];
    for (name, at, patch) in odd {
        let odd = with_info(&bytes, at, &patch);
        let mut decoder = open(&odd).unwrap();
        assert_eq!(decoder.details().total_frames, Some(frames), "{name}");
        let pcm = read_all(&mut decoder).unwrap();
        assert_eq!(pcm.frames(), frames, "{name}");
        assert_seeks(&odd, name).assert_part_of(&whole);
        let (mut decoder, _) = far(odd);
        decoder.seek(frames / 2).unwrap();
        let tail = read_all(&mut decoder).unwrap();
        assert_eq!((tail.start, tail.end()), (frames / 2, frames), "{name}");
        tail.assert_part_of(&whole);
    }
}

#[test]
fn stated_length_is_corrected_by_the_last_frame() {
    let (bytes, frames) = lossless();
    let whole = decode(&bytes);
    let cut = &bytes[..bytes.len() * 6 / 10];
    for (name, stated) in [("unknown", 0), ("too short", frames / 2), ("too long", frames * 2)] {
        let odd = with_info(&bytes, 10, &packed(44_100, 2, 16, stated));
        let mut decoder = open(&odd).unwrap();
        assert_eq!(decoder.details().total_frames, Some(frames), "{name}");
        assert_eq!(read_all(&mut decoder).unwrap().frames(), frames, "{name}");
        assert_seeks(&odd, name).assert_part_of(&whole);
        // Where the end is far away, it is found when it is reached.
        let (mut decoder, _) = far(odd);
        assert_eq!(read_all(&mut decoder).unwrap().frames(), frames, "{name}");
        assert_eq!(decoder.duration(), Some(decoder.spec().position_of(frames)), "{name}");
    }
    let there = decode(cut).frames();
    assert!((150_000..frames).contains(&there) && there.is_multiple_of(4096), "{there}");
    assert_eq!(open(cut).unwrap().details().total_frames, Some(there));
    assert_seeks(cut, "cut").assert_part_of(&whole);
    let (mut decoder, _) = far(cut.to_vec());
    assert_eq!(decoder.details().total_frames, Some(frames));
    assert_eq!(read_all(&mut decoder).unwrap().frames(), there);
    assert_eq!(decoder.duration(), Some(decoder.spec().position_of(there)));
}

#[test]
fn seek_table_that_points_elsewhere_is_not_followed() {
    let (bytes, frames) = lossless();
    let whole = decode(&bytes);
    let start = first_frame(&bytes);
    let table = |points: &[(u64, u64)]| {
        let points = points.iter().flat_map(|&(sample, offset)| {
            [&sample.to_be_bytes()[..], &offset.to_be_bytes(), &4096u16.to_be_bytes()].concat()
        });
        let points: Vec<u8> = points.collect();
        let head = [&[3, 0][..], &(points.len() as u16).to_be_bytes()].concat();
        let info = &bytes[4..INFO + 34];
        [b"fLaC", info, &head, &points, &[0x81, 0, 0, 0], &bytes[start..]].concat()
    };
    let tables: [(&str, Vec<(u64, u64)>); 5] = [
        ("behind the end", vec![(0, 1 << 40), (100_000, 1 << 41), (200_000, 1 << 62)]),
        ("all at the end", (1..60).map(|n| (n * 4096, 270_000 + n)).collect()),
        ("far too early", (1..70).map(|n| (n * 4096, n * 40)).collect()),
        ("a little too late", (1..70).map(|n| (n * 4096, n * 4000)).collect()),
        ("numbers beyond the end", vec![(1 << 35, 1000), (1 << 36, 2000)]),
    ];
    for (name, points) in tables {
        let odd = table(&points);
        assert_eq!(assert_seeks(&odd, name).frames(), frames, "{name}");
        let (mut decoder, _) = far(odd);
        for target in [frames - 10, 250_000, 4096, 0] {
            decoder.seek(target).unwrap();
            let part = read_all(&mut decoder).unwrap();
            assert_eq!((part.start, part.end()), (target, frames), "{name}");
            part.assert_part_of(&whole);
        }
    }
}

#[test]
fn joined_files_play_to_the_end() {
    let (bytes, frames) = lossless();
    let whole = decode(&bytes);
    let tag = [&b"ID3\x04\0\0\0\0\x07\x00"[..], &[0x55; 7 << 7]].concat();
    // 12,000 frames at 24 kHz are 22,050 at 44.1 kHz.
    let joins: [(&str, Vec<&[u8]>, u64); 5] = [
        ("alike", vec![&bytes, &bytes], 2 * frames),
        ("another rate", vec![&bytes, OTHER], frames + 22_050),
        ("another rate, a tag between", vec![&bytes, &tag, OTHER], frames + 22_050),
        ("three", vec![&bytes, OTHER, &bytes], 2 * frames + 22_050),
        ("without a second header", vec![&bytes, &bytes[first_frame(&bytes)..]], 2 * frames),
    ];
    for (name, parts, total) in joins {
        let joined = parts.concat();
        // Where the second rate is resampled, a seek rounds the place in it.
        let is_exact = total == 2 * frames;
        let pcm = if is_exact { assert_seeks(&joined, name) } else { decode(&joined) };
        let wanted = if is_exact { total..=total } else { total - 1..=total + 1 };
        assert!(wanted.contains(&pcm.frames()), "{name}: {} of {total}", pcm.frames());
        let total = pcm.frames();
        let (mut decoder, _) = far(joined.clone());
        let played = read_all(&mut decoder).unwrap();
        assert_eq!(played.frames(), total, "{name}");
        assert_eq!(decoder.duration().unwrap().as_millis(), u128::from(total * 1000 / 44_100), "{name}");
        played.assert_part_of(&pcm);
        // Heard once, the second part can be reached.
        for target in [frames + 10_000, frames - 10_000] {
            decoder.seek(target).unwrap();
            let part = read_all(&mut decoder).unwrap();
            assert_eq!((part.start, part.end()), (target, total), "{name}");
            if is_exact {
                part.assert_part_of(&pcm);
            }
        }
        let source = Endless(Cursor::new(joined));
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        assert_eq!(read_all(&mut decoder).unwrap().frames(), total, "{name}");
        let mut first = pcm;
        first.samples.truncate(2 * frames as usize);
        first.assert_part_of(&whole);
    }
}

#[test]
fn headers_without_a_frame_are_an_error() {
    let (bytes, _) = lossless();
    let start = first_frame(&bytes);
    for odd in
        [bytes[..start].to_vec(), [&bytes[..start], &[0x5A; 5000]].concat(), bytes[..start + 900].to_vec()]
    {
        let error = open(&odd).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed(_)), "{error}");
    }
}
