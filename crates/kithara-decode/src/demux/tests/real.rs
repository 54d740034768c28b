//! What ffmpeg writes, against what ffprobe reads (`media/make.sh`).

use std::io::Cursor;

use super::super::mp4_file::Mp4File;
use super::super::{Codec, Container};
use super::*;

macro_rules! media {
    ($name:literal) => {
        include_bytes!(concat!("media/", $name)).to_vec()
    };
}

pub(super) fn segments() -> Vec<(Container, Vec<Vec<u8>>)> {
    vec![
        (Container::Fmp4, aac_fmp4()),
        (Container::Fmp4, vec![media!("aac-absolute.mp4")]),
        (Container::MpegTs, aac_ts()),
        (Container::MpegTs, mp3_ts()),
        (Container::MpegAudio, vec![media!("tone.mp3")]),
    ]
}

fn aac_fmp4() -> Vec<Vec<u8>> {
    vec![media!("aac-init.mp4"), media!("aac-0.m4s"), media!("aac-1.m4s"), media!("aac-2.m4s")]
}

fn aac_ts() -> Vec<Vec<u8>> {
    vec![media!("aac-0.ts"), media!("aac-1.ts"), media!("aac-2.ts")]
}

fn mp3_ts() -> Vec<Vec<u8>> {
    vec![media!("mp3-0.ts"), media!("mp3-1.ts"), media!("mp3-2.ts")]
}

/// Time, size and checksum of each packet.
fn listed(csv: &str) -> Vec<(i64, usize, u32)> {
    csv.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (
                fields[0].parse().unwrap(),
                fields[1].parse().unwrap(),
                u32::from_str_radix(fields[2], 16).unwrap(),
            )
        })
        .collect()
}

fn adler32(data: &[u8]) -> u32 {
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    b << 16 | a
}

fn summary(packets: &[Packet]) -> Vec<(i64, usize, u32)> {
    packets.iter().map(|packet| (packet.pts, packet.data.len(), adler32(&packet.data))).collect()
}

fn contents(list: &[(i64, usize, u32)]) -> Vec<(usize, u32)> {
    list.iter().map(|&(_, size, hash)| (size, hash)).collect()
}

#[test]
fn fragmented_mp4() {
    let got = packets(&run_every_cut(|| Container::Fmp4.demuxer(), &aac_fmp4()));
    assert_eq!(summary(&got), listed(include_str!("media/aac.csv")));
    let whole = media!("aac-absolute.mp4");
    let got = packets(&run_every_cut(|| Container::Fmp4.demuxer(), std::slice::from_ref(&whole)));
    let expected = listed(include_str!("media/aac-absolute.csv"));
    assert_eq!(summary(&got), expected);
    let mut file = Mp4File::open(Cursor::new(whole)).unwrap();
    assert_eq!(file_summary(&mut file), expected);
}

fn file_summary(file: &mut Mp4File<Cursor<Vec<u8>>>) -> Vec<(i64, usize, u32)> {
    let mut out = Vec::new();
    while let Some(packet) = file.next_packet().unwrap() {
        out.push((packet.pts, packet.data.len(), adler32(packet.data)));
    }
    out
}

#[test]
fn progressive_mp4_with_its_index_at_the_end() {
    let whole = media!("aac-end.m4a");
    let expected = listed(include_str!("media/aac-end.csv"));
    let mut file = Mp4File::open(Cursor::new(whole.clone())).unwrap();
    assert_eq!(file_summary(&mut file), expected);
    let track = file.track();
    assert_eq!((track.codec, track.sample_rate, track.channels), (Codec::AacLc, 44_100, 1));
    let edit = track.edit.unwrap();
    assert_eq!((edit.media_time, edit.duration_in(44_100)), (1024, Some(44_100)));
    // Pushed in order it waits for the index, and then gives the same.
    let got = packets(&run_every_cut(|| Container::Fmp4.demuxer(), &[whole]));
    assert_eq!(summary(&got), expected);
}

#[test]
fn aac_in_transport_stream() {
    let got = packets(&run_every_cut(|| Container::MpegTs.demuxer(), &aac_ts()));
    // The same encoder made both, and ffprobe lists AAC in MPEG-TS with its ADTS headers.
    assert_eq!(contents(&summary(&got)), contents(&listed(include_str!("media/aac.csv"))));
    for (index, packet) in got.iter().enumerate() {
        let expected = 126_000 + index as i64 * 1024 * 90_000 / 44_100;
        assert!((packet.pts - expected).abs() <= 1, "packet {index} at {}", packet.pts);
    }
}

#[test]
fn mp3_in_transport_stream() {
    let got = packets(&run_every_cut(|| Container::MpegTs.demuxer(), &mp3_ts()));
    assert_eq!(summary(&got), listed(include_str!("media/mp3-ts.csv")));
}

#[test]
fn mp3_file() {
    let got = packets(&run_every_cut(|| Container::MpegAudio.demuxer(), &[media!("tone.mp3")]));
    // ffprobe counts in units of 14,112,000.
    let expected = listed(include_str!("media/tone.csv"));
    assert_eq!(contents(&summary(&got)), contents(&expected));
    for (packet, (pts, ..)) in got.iter().zip(expected) {
        assert!((packet.pts * 14_112 - pts * 90).abs() <= 14_112);
    }
}

#[test]
fn every_segment_is_sniffed_for_what_it_is() {
    for (container, segments) in segments() {
        for segment in segments {
            assert_eq!(super::super::sniff_at_end(&segment), super::super::Sniff::Found(container));
        }
    }
}
