//! Files that end too early, or have something behind them: MP4, AIFF, CAF.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::file::{assert_seeks, decode, joined, open};
use kithara_decode::DecodeError;
use kithara_decode::demux::{Demuxer, Fmp4Demuxer};
use kithara_testkit::media;

/// Something behind a file that is no part of it.
const RUBBISH: [u8; 700] = [0x93; 700];

#[test]
fn fragmented_mp4_with_rubbish_behind_plays_to_its_last_fragment() {
    let fixture = media::find("aac4/128k").unwrap();
    let (_, segments) = joined("aac4/128k");
    let init = fixture.folder().files().find(|(name, _)| name.starts_with("init")).unwrap().1;
    let bytes = [init, &segments].concat();
    let whole = decode(&bytes);
    // No kind of box; no length of one; a box longer than the file; less than a header.
    for rubbish in
        [&RUBBISH[..], &[0, 0, 0, 3, b'f', b'r', b'e', b'e', 1], b"Read me", b"some text behind it all"]
    {
        let pcm = assert_seeks(&[&bytes[..], rubbish].concat(), "fragmented MP4 before rubbish");
        assert_eq!(pcm.frames(), fixture.frames);
        pcm.assert_part_of(&whole);
    }
}

/// 16-bit stereo AIFF; its length as `frames` says, and a chunk behind the sound.
fn aiff(samples: &[u8], frames: u32) -> Vec<u8> {
    let sound = frames * 4 + 8;
    let mut out = b"FORM".to_vec();
    out.extend_from_slice(&(4 + 26 + 8 + sound + 12).to_be_bytes());
    out.extend_from_slice(b"AIFFCOMM\0\0\0\x12\0\x02");
    out.extend_from_slice(&frames.to_be_bytes());
    // 44,100 as an extended float.
    out.extend_from_slice(&[0, 16, 0x40, 0x0E, 0xAC, 0x44, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(b"SSND");
    out.extend_from_slice(&sound.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(samples);
    out.extend_from_slice(b"ANNO\0\0\0\x04note");
    out
}

#[test]
fn aiff_that_was_cut_short_gives_what_is_there() {
    let samples: Vec<u8> = (0..40_000 * 4u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as u8).collect();
    let whole = decode(&aiff(&samples, 40_000));
    assert_eq!(whole.frames(), 40_000);
    let cut = &aiff(&samples, 40_000)[..80_000];
    let pcm = assert_seeks(cut, "cut AIFF");
    assert!((19_900..20_000).contains(&pcm.frames()), "{}", pcm.frames());
    pcm.assert_part_of(&whole);
}

fn caf_chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [kind, &(body.len() as u64).to_be_bytes()[..], body].concat()
}

/// The beginning of a CAF file of 44.1 kHz in stereo.
fn caf_head(codec: &[u8; 4], bytes_per_packet: u32, frames_per_packet: u32) -> Vec<u8> {
    let words = [0, bytes_per_packet, frames_per_packet, 2, 16].map(u32::to_be_bytes);
    let desc = [&44_100_f64.to_be_bytes()[..], codec, &words.concat()].concat();
    [&b"caff\0\x01\0\0"[..], &caf_chunk(b"desc", &desc), &caf_chunk(b"free", &[0; 100])].concat()
}

#[test]
fn caf_that_was_cut_short_or_has_rubbish_behind_gives_what_is_there() {
    let samples: Vec<u8> = (0..40_000 * 4u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as u8).collect();
    let audio = [&[0; 4], &samples[..]].concat();
    let head = caf_head(b"lpcm", 4, 1);
    let file = [&head[..], &caf_chunk(b"data", &audio)].concat();
    let whole = decode(&file);
    assert_eq!(whole.frames(), 40_000);
    let mut endless = file.clone();
    endless[head.len() + 4..head.len() + 12].fill(0xFF);
    let strings = caf_chunk(b"info", &[0; 30]);
    for (bytes, frames) in [
        ([&file[..], &RUBBISH].concat(), 40_000),
        ([&file[..], &strings, &RUBBISH[..3]].concat(), 40_000),
        (endless, 40_000),
        (file[..80_001].to_vec(), (80_001 - head.len() as u64 - 16) / 4),
    ] {
        assert_eq!(open(&bytes).unwrap().details().total_frames, Some(frames));
        let pcm = assert_seeks(&bytes, "CAF");
        assert_eq!(pcm.frames(), frames);
        pcm.assert_part_of(&whole);
    }
}

#[test]
fn caf_of_packets_plays_as_far_as_their_table_and_the_file_go() {
    let (fixture, segments) = joined("alac");
    let init = fixture.folder().files().find(|(name, _)| name.starts_with("init")).unwrap().1;
    let mut demuxer = Fmp4Demuxer::new();
    demuxer.push([init, &segments].concat().into()).unwrap();
    let (mut audio, mut sizes, mut count) = (vec![0; 4], Vec::new(), 0_u64);
    while let Some(packet) = demuxer.next_packet().unwrap() {
        audio.extend_from_slice(packet.data);
        let len = packet.data.len();
        sizes.extend([0x80 | (len >> 14) as u8, 0x80 | (len >> 7 & 0x7F) as u8, (len & 0x7F) as u8]);
        count += 1;
    }
    let table = [&count.to_be_bytes()[..], &fixture.frames.to_be_bytes(), &[0; 8], &sizes].concat();
    let table = caf_chunk(b"pakt", &table);
    let cookie = demuxer.track().unwrap().extra_data.clone().unwrap();
    let head = [caf_head(b"alac", 0, 4096), caf_chunk(b"kuki", &cookie)].concat();
    let audio = caf_chunk(b"data", &audio);
    let behind = [&head[..], &audio, &table].concat();
    let whole = assert_seeks(&behind, "ALAC in CAF");
    assert_eq!(whole.frames(), fixture.frames);
    fixture.reference.check(&whole.samples).unwrap();
    let pcm = assert_seeks(&[&behind[..], &RUBBISH].concat(), "ALAC in CAF before rubbish");
    assert_eq!(pcm.frames(), whole.frames());
    let cut = [&head[..], &table, &audio[..audio.len() / 2]].concat();
    let pcm = decode(&cut);
    let share = pcm.frames() as f64 / whole.frames() as f64;
    assert!((0.3..0.7).contains(&share), "{share}");
    // But for the packet that was cut through.
    let sound = pcm.frames() as usize - 4096;
    assert_eq!(pcm.samples[..sound * 2], whole.samples[..sound * 2]);
    let error = open(&[&head[..], &audio[..audio.len() / 2]].concat()).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed(_)), "{error}");
}
