//! MP4 and QuickTime files: edit lists, holes, a file cut short, PCM.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::file::{assert_seeks, decode, far, joined, open, read_all};
use common::{Pcm, numbers};
use kithara_testkit::media;

fn found(bytes: &[u8], kind: &[u8; 4]) -> usize {
    bytes.windows(4).position(|word| word == kind).unwrap() - 4
}

fn size(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(*bytes[at..].first_chunk::<4>().unwrap()) as usize
}

/// 441,301 frames behind a delay of 1,024, with the index at the end, and with other edits: durations in ms, media
/// times in frames, rates.
fn with_edits(edits: &[(u32, i32, u16)]) -> Vec<u8> {
    let mut bytes = media::file("file/tail.m4a").unwrap().to_vec();
    let (moov, trak, edts) = (found(&bytes, b"moov"), found(&bytes, b"trak"), found(&bytes, b"edts"));
    let mut elst = vec![0; 4];
    elst.extend_from_slice(&(edits.len() as u32).to_be_bytes());
    for (duration, media, rate) in edits {
        elst.extend_from_slice(&duration.to_be_bytes());
        elst.extend_from_slice(&media.to_be_bytes());
        elst.extend_from_slice(&rate.to_be_bytes());
        elst.extend_from_slice(&[0, 0]);
    }
    let elst = [&(elst.len() as u32 + 8).to_be_bytes()[..], b"elst", &elst].concat();
    let new = [&(elst.len() as u32 + 8).to_be_bytes()[..], b"edts", &elst].concat();
    let old = size(&bytes, edts);
    for at in [moov, trak] {
        let size = (size(&bytes, at) + new.len() - old) as u32;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes.splice(edts..edts + old, new);
    bytes
}

fn at(pcm: &Pcm, frames: std::ops::Range<u64>) -> &[f32] {
    &pcm.samples[frames.start as usize * pcm.channels()..frames.end as usize * pcm.channels()]
}

#[track_caller]
fn assert_near(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn edits_are_played_in_order() {
    let whole = decode(media::file("file/tail.m4a").unwrap());
    assert_eq!(whole.frames(), 441_301);
    // A second from the middle, one of silence, the start, a dwell, and the start again.
    let edits = [(1000, 221_524, 1), (1000, -1, 1), (500, 1024, 1), (200, 5000, 0), (1000, 1024, 1)];
    let bytes = with_edits(&edits);
    let mut decoder = open(&bytes).unwrap();
    assert_eq!(decoder.details().total_frames, Some(163_170));
    let pcm = read_all(&mut decoder).unwrap();
    assert_eq!(pcm.frames(), 163_170);
    assert_near(at(&pcm, 0..44_100), at(&whole, 220_500..264_600));
    assert!(at(&pcm, 44_100..88_200).iter().all(|&sample| sample == 0.0));
    assert_near(at(&pcm, 88_200..110_250), at(&whole, 0..22_050));
    assert!(at(&pcm, 110_250..119_070).iter().all(|&sample| sample == 0.0));
    assert_near(at(&pcm, 119_070..163_170), at(&whole, 0..44_100));
    for target in [44_099, 44_100, 60_000, 88_199, 88_200, 110_249, 119_070, 119_071, 163_169] {
        decoder.seek(target).unwrap();
        let part = read_all(&mut decoder).unwrap();
        assert_eq!((part.start, part.end()), (target, 163_170));
        part.assert_part_of(&pcm);
    }
    assert_seeks(&bytes, "edits");
    read_all(&mut far(bytes).0).unwrap().assert_part_of(&pcm);
}

#[test]
fn single_edit_ends_to_the_frame() {
    let whole = decode(media::file("file/tail.m4a").unwrap());
    for (edits, frames, silence) in [
        // As the file has it, and with silence in front.
        (vec![(10_007, 1024, 1)], 441_301, 0),
        (vec![(250, -1, 1), (10_007, 1024, 1)], 452_326, 11_025),
        (vec![(10_000, 1024, 1)], 441_000, 0),
        // A part of it, open to the end.
        (vec![(0, 221_524, 1)], 220_801, 0),
        (vec![(3000, 221_524, 1)], 132_300, 0),
        // Longer than the media; no edit at all.
        (vec![(60_000, 1024, 1)], 441_301, 0),
        (vec![], 442_325, 0),
    ] {
        let bytes = with_edits(&edits);
        assert_eq!(open(&bytes).unwrap().details().total_frames, Some(frames), "{edits:?}");
        let pcm = assert_seeks(&bytes, "one edit");
        assert_eq!(pcm.frames(), frames, "{edits:?}");
        assert!(at(&pcm, 0..silence).iter().all(|&sample| sample == 0.0));
        if let Some(&(_, start @ 1024.., 1)) = edits.last() {
            let start = start as u64 - 1024;
            assert_near(at(&pcm, silence..frames), at(&whole, start..start + frames - silence));
        }
    }
    // Trailing silence is heard out.
    let pcm = assert_seeks(&with_edits(&[(1000, 1024, 1), (500, -1, 1)]), "silence at the end");
    assert_eq!(pcm.frames(), 66_150);
    assert!(at(&pcm, 44_100..66_150).iter().all(|&sample| sample == 0.0));
}

#[test]
fn lost_fragments_are_silence_of_their_length() {
    let (_, whole_segments) = joined("aac4/128k");
    let fixture = media::find("aac4/128k").unwrap();
    let init = fixture.folder().files().find(|(name, _)| name.starts_with("init")).unwrap().1;
    let whole = decode(&[init, &whole_segments].concat());
    let starts: Vec<_> = whole_segments
        .windows(4)
        .enumerate()
        .filter(|(_, word)| word == b"moof")
        .map(|(at, _)| at - 4)
        .collect();
    // Of the middle, or of several places.
    for lost in [vec![3], vec![2, 3, 5]] {
        let mut bytes = init.to_vec();
        bytes.extend_from_slice(&whole_segments[..starts[0]]);
        for (number, &start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(whole_segments.len());
            if !lost.contains(&number) {
                bytes.extend_from_slice(&whole_segments[start..end]);
            }
        }
        let pcm = assert_seeks(&bytes, "lost fragments");
        assert_eq!(pcm.frames(), whole.frames(), "{lost:?}");
        let last = 150_000;
        let end = whole.frames();
        assert_near(at(&pcm, end - last..end), at(&whole, end - last..end));
        let silent = pcm.samples.chunks(2048).filter(|part| part.iter().all(|&sample| sample == 0.0)).count();
        assert!(silent > 50, "{silent}");
    }
}

#[test]
fn file_that_was_cut_plays_to_the_cut() {
    let bytes = media::file("file/faststart.m4a").unwrap();
    let whole = decode(bytes);
    let cut = &bytes[..bytes.len() * 6 / 10];
    for mut decoder in [open(cut).unwrap(), far(cut.to_vec()).0] {
        assert_eq!(decoder.details().total_frames, Some(441_309));
        let pcm = read_all(&mut decoder).unwrap();
        assert!((200_000..300_000).contains(&pcm.frames()), "{}", pcm.frames());
        pcm.assert_part_of(&whole);
        assert_eq!(decoder.duration(), Some(decoder.spec().position_of(pcm.frames())));
        decoder.seek(100_000).unwrap();
        let part = read_all(&mut decoder).unwrap();
        assert_eq!(part.end(), pcm.end());
        decoder.seek(400_000).unwrap();
        assert!(decoder.next_chunk().unwrap().is_none());
    }
}

macro_rules! movies {
    ($($name:literal),*) => {
        [$(($name, &include_bytes!(concat!("media/odd/", $name, ".mov"))[..],
            &include_bytes!(concat!("media/odd/", $name, ".mov.f32"))[..])),*]
    };
}

#[test]
fn pcm_in_quicktime_is_that_of_the_reference() {
    let movies = movies!(
        "u8", "s16be", "s16le", "s24be", "s24le", "s32be", "s32le", "f32be", "f32le", "f64be", "f64le",
        "alaw", "mulaw"
    );
    for (name, bytes, reference) in movies {
        let reference: Vec<f32> =
            reference.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        let mut decoder = open(bytes).unwrap();
        assert_eq!(
            (decoder.details().container, decoder.details().total_frames),
            ("mp4", Some(248)),
            "{name}"
        );
        let pcm = read_all(&mut decoder).unwrap();
        assert_eq!(pcm.frames(), 248, "{name}");
        let worst = pcm.samples.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 2.0f32.powi(-23), "{name}: {worst}");
        assert_seeks(bytes, name);
    }
}

#[test]
fn old_tables_of_quicktime_count_frames() {
    let bytes = include_bytes!("media/odd/ima4.mov");
    let whole = assert_seeks(bytes, "IMA ADPCM");
    let aiff = decode(include_bytes!("media/odd/ima4.aiff"));
    assert_eq!(whole.frames(), aiff.frames());
    whole.assert_part_of(&aiff);
    // The same with a size of 1 byte for each frame.
    let mut old = bytes.to_vec();
    let mut set = |kind: &[u8; 4], at: usize, value: u32| {
        let place = found(&old, kind) + at;
        let before = u32::from_be_bytes(*old[place..].first_chunk::<4>().unwrap());
        old[place..place + 4].copy_from_slice(&value.to_be_bytes());
        before
    };
    let count = set(b"stsz", 16, 0) * 64;
    set(b"stsz", 16, count);
    set(b"stsz", 12, 1);
    set(b"stts", 16, count);
    set(b"stts", 20, 1);
    set(b"stsc", 20, count);
    let pcm = assert_seeks(&old, "IMA ADPCM by frames");
    assert_eq!(pcm.frames(), whole.frames());
    pcm.assert_part_of(&whole);
}

#[test]
fn index_of_random_bytes_is_survived() {
    let bytes = include_bytes!("media/odd/plain.m4a");
    let moov = found(bytes, b"moov");
    for seed in 0..2000 {
        let mut odd = bytes.to_vec();
        for number in numbers(seed).take(3) {
            let at = moov + 8 + number as usize % (odd.len() - moov - 8);
            odd[at] = (number >> 32) as u8;
        }
        if let Ok(mut decoder) = open(&odd) {
            for _ in 0..20 {
                if !matches!(decoder.next_chunk(), Ok(Some(_))) {
                    break;
                }
            }
            decoder.seek(seed * 7).unwrap_or_default();
            decoder.next_chunk().ok();
        }
    }
}
