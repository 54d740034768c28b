//! Files as they are met: in another container, with something behind them, cut out, joined, or with a piece missing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Cursor;

use common::Pcm;
use common::file::{Endless, assert_seeks, decode, far, joined, open, options, read_all};
use kithara_decode::MediaDecoder;
use kithara_decode::demux::{Demuxer, Fmp4Demuxer};
use kithara_stream::MediaInfo;
use kithara_testkit::media;
use kithara_testkit::media::Fixture;
use kithara_testkit::signal;

#[test]
fn fragmented_mp4_of_unknown_length_is_played_and_sought_in() {
    for name in ["aac4/128k", "wild-fmp4-dash"] {
        let fixture = media::find(name).unwrap();
        let (_, segments) = joined(name);
        let init = fixture.folder().files().find(|(name, _)| name.starts_with("init")).unwrap().1;
        let bytes = [init, &segments].concat();
        let whole = assert_seeks(&bytes, name);
        assert_eq!(whole.frames(), fixture.frames, "{name}");
        let source = Endless(Cursor::new(bytes));
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        read_all(&mut decoder).unwrap().assert_part_of(&whole);
        for target in [whole.end() * 3 / 4, 0, 50_000] {
            decoder.seek(target).unwrap();
            let part = read_all(&mut decoder).unwrap();
            assert_eq!((part.start, part.end()), (target, whole.end()), "{name}");
            part.assert_part_of(&whole);
        }
    }
}

#[test]
fn mpeg_audio_in_wav_is_cut_as_in_a_bare_file() {
    let mp3 = media::file("file/cbr.mp3").unwrap();
    let bare = decode(mp3);
    let mut wav = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x1E\0\0\0".to_vec();
    wav.extend_from_slice(&[0x55, 0, 2, 0]);
    wav.extend_from_slice(&44_100u32.to_le_bytes());
    wav.extend_from_slice(&[0; 22]);
    wav.extend_from_slice(b"data");
    wav.extend_from_slice(&(mp3.len() as u32).to_le_bytes());
    wav.extend_from_slice(mp3);
    // What follows the data looks like more of it.
    wav.extend_from_slice(b"LIST");
    wav.extend_from_slice(&mp3[..20_000]);
    assert_eq!(open(&wav).unwrap().details().container, "wav");
    let pcm = assert_seeks(&wav, "MP3 in WAV");
    assert_eq!(pcm.frames(), bare.frames());
    pcm.assert_part_of(&bare);
}

/// An APEv2 tag with `value` in it.
fn ape_tag(value: &[u8]) -> Vec<u8> {
    let item = [&(value.len() as u32).to_le_bytes()[..], &[0; 4], b"Cover Art (Front)\0", value].concat();
    let frame = |flags: u32| {
        let len = (item.len() as u32 + 32).to_le_bytes();
        [&b"APETAGEX"[..], &2000u32.to_le_bytes(), &len, &1u32.to_le_bytes(), &flags.to_le_bytes(), &[0; 8]]
            .concat()
    };
    [frame(0xA000_0000), item.clone(), frame(0x8000_0000)].concat()
}

#[test]
fn the_last_frame_of_flac_is_heard_in_front_of_a_tag() {
    let fixture = media::find("lossless.flac").unwrap();
    let whole = decode(fixture.bytes());
    for tag in [ape_tag(&[0x55; 400_000]), [&b"TAG"[..], &[b' '; 125]].concat(), vec![0; 300_000]] {
        let pcm = decode(&[fixture.bytes(), &tag].concat());
        assert_eq!(pcm.frames(), fixture.frames, "in front of {} bytes", tag.len());
        pcm.assert_part_of(&whole);
    }
}

#[test]
fn a_tag_behind_mp3_is_not_played() {
    let mp3 = media::file("file/vbr.mp3").unwrap();
    let tag = mp3.windows(4).position(|word| word == b"Xing").unwrap() - 36;
    let audio = (tag + 4..).find(|&at| mp3[at..at + 2] == mp3[tag..tag + 2]).unwrap();
    let whole = decode(&mp3[audio..]);
    // A picture that holds what looks like frames.
    let pcm = decode(&[&mp3[audio..], &ape_tag(&mp3[audio + 5..60_000])].concat());
    assert_eq!(pcm.frames(), whole.frames());
}

#[test]
fn what_stands_in_front_is_passed_over() {
    let mp3 = media::file("file/cbr.mp3").unwrap();
    let picture = &mp3[5000..60_000];
    let flac = media::file("file/lossless.flac").unwrap();
    let ts = joined("ts-aac").1;
    let page = b"<html>Greetings from the GATEWAY of the portal</html>".repeat(31);
    let fronts = [
        (mp3, ape_tag(picture)),
        (flac, ape_tag(picture)),
        (mp3, [&page[..], &ape_tag(picture)].concat()),
        (&ts, page.clone()),
        (&ts, ts[..100].repeat(9)),
    ];
    for (number, (bytes, front)) in fronts.into_iter().enumerate() {
        let whole = decode(bytes);
        let pcm = assert_seeks(&[&front, bytes].concat(), "with something in front");
        assert_eq!(pcm.frames(), whole.frames(), "{number}");
        pcm.assert_part_of(&whole);
    }
}

#[test]
fn mp3_that_goes_on_behind_the_count_of_its_tag_is_heard_to_its_end() {
    for name in ["vbr.mp3", "cbr.mp3"] {
        let fixture = media::find(name).unwrap();
        let whole = decode(fixture.bytes());
        let tag = |bytes: &[u8]| bytes.windows(4).position(|word| matches!(word, b"Xing" | b"Info")).unwrap();
        for told in [0u32, 1, 3, 30, 200] {
            let mut bytes = fixture.bytes().to_vec();
            let at = tag(&bytes) + 8;
            bytes[at..at + 4].copy_from_slice(&told.to_be_bytes());
            let pcm = assert_seeks(&bytes, name);
            assert!(pcm.frames() >= fixture.frames, "{name}, told {told}: {}", pcm.frames());
            whole.assert_part_of(&pcm);
            let mut decoder = open(&bytes).unwrap();
            while decoder.next_chunk().unwrap().is_some() {}
            let seconds = pcm.frames() as f64 / f64::from(fixture.sample_rate);
            assert!((decoder.duration().unwrap().as_secs_f64() - seconds).abs() < 1e-3);
        }
        let mut bytes = fixture.bytes().to_vec();
        let at = tag(&bytes) + 8;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let told = open(&bytes).unwrap().details().duration.unwrap().as_secs_f64();
        assert!(told < 60.0, "{name}: {told} s that so few bytes cannot be");
    }
}

#[test]
fn what_follows_a_hole_in_flac_keeps_its_place() {
    let fixture = media::find("lossless.flac").unwrap();
    let whole = decode(fixture.bytes());
    let half = fixture.bytes().len() / 2;
    let bytes = [&fixture.bytes()[..half], &fixture.bytes()[half + 5000..]].concat();
    let pcm = assert_seeks(&bytes, "FLAC with a hole");
    assert_eq!(pcm.frames(), fixture.frames);
    let channels = whole.channels();
    assert_eq!(pcm.samples[300_000 * channels..], whole.samples[300_000 * channels..]);
}

/// A station that changes its encoder, or files that were joined.
#[test]
fn frames_of_another_rate_behind_those_of_a_file_are_played_too() {
    let mp3 = media::file("file/vbr.mp3").unwrap();
    let (low, segments) = joined("wild-bare-mp3");
    assert_ne!((low.sample_rate, low.channels), (44_100, 2));
    let (first, second) = (decode(mp3), decode(&segments));
    let id3 = kithara_testkit::odd::id3::tag(3, &kithara_testkit::odd::id3::frame(b"TIT2", b"\0Next"));
    for between in [&b""[..], &id3] {
        let bytes = [mp3, between, &segments].concat();
        let mut decoder = open(&bytes).unwrap();
        let pcm = read_all(&mut decoder).unwrap();
        // Ahead of what was played as well.
        for decoder in [&mut decoder, &mut open(&bytes).unwrap()] {
            for target in [first.end() + 40_000, 60_000, pcm.end() - 30_000] {
                decoder.seek(target).unwrap();
                let part = read_all(decoder).unwrap();
                assert_eq!((part.start, part.end()), (target, pcm.end()));
                let (whole, part) =
                    (signal::channel(&pcm.samples, 2, 0), signal::channel(&part.samples, 2, 0));
                let at = signal::align(&whole, &part[..2048], target as i64, 300).unwrap();
                // The place in the second rate is rounded.
                assert!(
                    (at.offset - target as i64).abs() <= 1 && at.similarity > 0.99,
                    "{at:?} for {target}"
                );
            }
        }
        let seconds = |pcm: &common::Pcm| pcm.frames() as f64 / f64::from(pcm.spec.unwrap().sample_rate);
        let wanted = seconds(&first) + seconds(&second);
        assert!((seconds(&pcm) - wanted).abs() < 0.1, "{} of {wanted}", seconds(&pcm));
    }
}

/// The pages of an Ogg file.
fn pages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pages = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let segments = usize::from(rest[26]);
        let len = 27 + segments + rest[27..27 + segments].iter().map(|&len| usize::from(len)).sum::<usize>();
        pages.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    pages
}

/// Makes the checksum of a page right.
fn seal(page: &mut [u8]) {
    page[22..26].fill(0);
    let crc = page.iter().fold(0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 }
        })
    });
    page[22..26].copy_from_slice(&crc.to_le_bytes());
}

fn granule(page: &[u8]) -> i64 {
    i64::from_le_bytes(page[6..14].try_into().unwrap())
}

#[test]
fn what_follows_a_lost_page_of_ogg_keeps_its_place() {
    let fixture = media::find("vorbis.ogg").unwrap();
    let whole = decode(fixture.bytes());
    let mut pages = pages(fixture.bytes());
    let at = pages.len() / 2;
    pages.remove(at);
    let after = granule(&pages[at]) as usize * whole.channels();
    let bytes = pages.concat();
    let pcm = assert_seeks(&bytes, "Ogg with a hole");
    assert_eq!(pcm.frames(), fixture.frames);
    assert_eq!(pcm.samples[after..], whole.samples[after..]);
}

/// Pieces of one recording, joined without headers between them: granule positions go back.
#[test]
fn what_was_cut_out_of_an_earlier_part_of_ogg_follows_at_once() {
    let fixture = media::find("vorbis.ogg").unwrap();
    let pages = pages(fixture.bytes());
    let first = pages.iter().position(|page| granule(page) > 0).unwrap();
    let half = (first + pages.len()) / 2;
    let late = &pages[half..pages.len() - 1];
    let wanted = granule(late.last().unwrap()) - granule(&pages[half]);
    let early = &pages[first + 2..half - 1];
    let wanted = wanted + granule(early.last().unwrap()) - granule(&early[0]);
    let page_frames = granule(&early[1]) - granule(&early[0]);
    let bytes = [&pages[..first], late, early].concat().concat();
    let pcm = assert_seeks(&bytes, "joined pieces of Ogg");
    let missing = wanted - pcm.frames() as i64;
    assert!(missing.abs() < 3 * page_frames, "{missing} of {wanted}");
    // And by a decoder that has not come by.
    for target in [pcm.end() / 3, pcm.end() * 3 / 4, pcm.end() - 2000] {
        let mut decoder = open(&bytes).unwrap();
        decoder.seek(target).unwrap();
        let part = read_all(&mut decoder).unwrap();
        assert_eq!((part.start, part.end()), (target, pcm.end()));
        part.assert_part_of(&pcm);
    }
}

#[test]
fn granule_positions_at_the_end_of_their_range_are_survived() {
    let pages = pages(media::find("vorbis.ogg").unwrap().bytes());
    let first = pages.iter().position(|page| granule(page) > 0).unwrap();
    for at in [first, first + 1, pages.len() / 2, pages.len() - 1] {
        for value in [i64::MAX, i64::MAX - 70_000, 0, 1] {
            let mut pages = pages.clone();
            pages[at][6..14].copy_from_slice(&value.to_le_bytes());
            if at > first {
                // Its packets begin before 0, as far as the first page tells.
                pages[first][6..14].copy_from_slice(&1_i64.to_le_bytes());
                seal(&mut pages[first]);
                pages.remove(at - 1);
            }
            seal(&mut pages[at.saturating_sub(usize::from(at > first))]);
            let mut decoder = open(&pages.concat()).unwrap();
            for target in [0, 100_000, u64::MAX] {
                decoder.seek(target).unwrap();
                for _ in 0..300 {
                    if decoder.next_chunk().unwrap().is_none() {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn pages_of_another_stream_between_are_no_loss() {
    let fixture = media::find("vorbis.ogg").unwrap();
    let mut pages = pages(fixture.bytes());
    let mut other = pages[0].clone();
    other[14] ^= 0xFF;
    seal(&mut other);
    let mut mixed = vec![pages.remove(0), other.clone()];
    for (number, page) in pages.into_iter().enumerate() {
        mixed.push(page);
        other[5] = 0;
        other[18..22].copy_from_slice(&(number as u32 + 77).to_le_bytes());
        seal(&mut other);
        mixed.push(other.clone());
    }
    assert_seeks(&mixed.concat(), "two streams").assert_part_of(&decode(fixture.bytes()));
}

/// `ffmpeg -ss … -c copy` writes such files: the first packets lie before time 0.
#[test]
fn ogg_that_begins_before_its_time_plays_from_its_first_packet() {
    let fixture = media::find("vorbis.ogg").unwrap();
    let whole = decode(fixture.bytes());
    let mut pages = pages(fixture.bytes());
    for page in pages.iter_mut().filter(|page| granule(page) > 0) {
        let moved = granule(page) - 900;
        page[6..14].copy_from_slice(&moved.to_le_bytes());
        seal(page);
    }
    let pcm = assert_seeks(&pages.concat(), "Ogg before its time");
    assert_eq!(pcm.frames(), fixture.frames);
    pcm.assert_part_of(&whole);
}

#[test]
fn a_chain_of_two_rates_can_be_sought_in() {
    let bytes = include_bytes!("media/chain.ogg");
    // Two seconds of 16 kHz, two of 11.025 kHz.
    assert_eq!(open(bytes).unwrap().spec().sample_rate, 16_000);
    let pcm = assert_seeks(bytes, "a chain");
    assert_eq!(pcm.frames(), 64_000);
}

#[test]
fn seeks_in_matroska_are_exact() {
    for (name, bytes, frames) in [
        ("Vorbis", &include_bytes!("media/vorbis.mka")[..], 88_576),
        ("MP2", &include_bytes!("media/mp2.mka")[..], 66_816),
    ] {
        assert_eq!(assert_seeks(bytes, name).frames(), frames, "{name}");
    }
}

/// The encoder's padding stands behind the last packet alone.
#[test]
fn the_padding_of_the_last_packet_in_matroska_is_not_heard() {
    let pcm = assert_seeks(include_bytes!("media/mp3.mka"), "MP3 with DiscardPadding");
    assert_eq!(pcm.frames(), 45_205);
}

#[test]
fn matroska_that_was_cut_short_gives_what_is_there() {
    let bytes = include_bytes!("media/vorbis.mka");
    let whole = decode(bytes);
    let pcm = decode(&bytes[..bytes.len() / 2]);
    let share = pcm.frames() as f64 / whole.frames() as f64;
    assert!((0.3..0.6).contains(&share), "{share}");
    pcm.assert_part_of(&whole);
}

#[test]
fn a_seek_in_vorbis_in_matroska_does_not_begin_at_the_start() {
    let mut decoder = open(include_bytes!("media/vorbis.mka")).unwrap();
    let whole = read_all(&mut decoder).unwrap();
    // A damaged cluster near the start: who reads on from there does not come by.
    let mut bytes = include_bytes!("media/vorbis.mka").to_vec();
    let cluster = bytes.windows(4).position(|word| word == [0x1F, 0x43, 0xB6, 0x75]).unwrap();
    bytes[cluster + 1500..cluster + 1600].fill(0);
    let mut decoder = open(&bytes).unwrap();
    decoder.seek(70_000).unwrap();
    let part = read_all(&mut decoder).unwrap();
    assert_eq!((part.start, part.end()), (70_000, whole.end()));
    part.assert_part_of(&whole);
}

/// The HE-AAC fixtures as files: fragmented MP4, and bare ADTS frames.
fn he_aac_files() -> Vec<(&'static Fixture, Vec<u8>)> {
    let mut files = Vec::new();
    for name in ["wild-fmp4-he-aac", "wild-fmp4-he-aac-v2"] {
        let fixture = media::find(name).unwrap();
        let folder = fixture.folder();
        let parts = ["init.mp4", "seg0.m4s", "seg1.m4s", "seg2.m4s"].map(|part| folder.get(part).unwrap());
        files.push((fixture, parts.concat()));
        let mut adts = Vec::new();
        let mut demuxer = Fmp4Demuxer::new();
        for part in parts {
            demuxer.push(bytes::Bytes::from_static(part)).unwrap();
            while let Some(packet) = demuxer.next_packet().unwrap() {
                let len = packet.data.len() as u32 + 7;
                // AAC-LC of 22.05 kHz: the bands and the stereo are told by the packets alone.
                let channels = if name.ends_with("v2") { 1 } else { 2 };
                let head =
                    0xFFF1_u64 << 40 | 1 << 38 | 7 << 34 | channels << 30 | u64::from(len) << 13 | 0x7FF << 2;
                adts.extend_from_slice(&head.to_be_bytes()[1..]);
                adts.extend_from_slice(packet.data);
            }
        }
        files.push((fixture, adts));
    }
    files
}

#[test]
fn he_aac_files_stand_where_the_reference_decoder_puts_them() {
    for (fixture, file) in he_aac_files() {
        let mut decoder = open(&file).unwrap();
        let pcm = read_all(&mut decoder).unwrap();
        assert_eq!((pcm.start, pcm.frames()), (0, fixture.frames), "{}", fixture.name);
        fixture
            .reference
            .check(&pcm.samples)
            .unwrap_or_else(|mismatch| panic!("{}: {mismatch}", fixture.name));
        for target in [0, 60_001] {
            assert_eq!(decoder.seek(target).unwrap(), target);
            let mut part = Pcm { start: target, ..Pcm::default() };
            while part.frames() < 12_000
                && let Some(chunk) = decoder.next_chunk().unwrap()
            {
                part.add(&chunk);
            }
            let (whole, part) = (signal::channel(&pcm.samples, 2, 0), signal::channel(&part.samples, 2, 0));
            let at = signal::align(&whole, &part[8192..10_240], target as i64 + 8192, 3000).unwrap();
            assert_eq!(at.offset, target as i64 + 8192, "{} from {target}", fixture.name);
        }
    }
}

#[test]
fn tags_behind_mp3_do_not_keep_its_padding() {
    let tags: [(&str, Vec<u8>); 6] = [
        ("APE", ape_tag(&[0x55; 400_000])),
        ("APE and ID3v1", [ape_tag(&[0x55; 400_000]), [&b"TAG"[..], &[b' '; 125]].concat()].concat()),
        ("ID3v1", [&b"TAG"[..], &[b' '; 125]].concat()),
        ("Lyrics3 v2", {
            let text = [&b"LYRICSBEGIN"[..], &b"LYR06000"[..], &[b'a'; 60_000]].concat();
            [&text, format!("{:06}", text.len()).as_bytes(), b"LYRICS200", b"TAG", &[b' '; 125]].concat()
        }),
        ("Lyrics3 v1", [&b"LYRICSBEGIN"[..], &[b'a'; 5000], b"LYRICSEND", b"TAG", &[b' '; 125]].concat()),
        ("ID3v2 with a footer", {
            let size = [0, 8, 0, 0];
            let body = vec![0x55; 8 << 14];
            [&b"ID3\x04\0\x10"[..], &size, &body, b"3DI\x04\0\x10", &size].concat()
        }),
    ];
    for name in ["cbr.mp3", "vbr.mp3"] {
        let fixture = media::find(name).unwrap();
        let whole = decode(fixture.bytes());
        assert_eq!(whole.frames(), fixture.frames);
        for (kind, tag) in &tags {
            let bytes = [fixture.bytes(), tag].concat();
            let mut decoder = open(&bytes).unwrap();
            assert_eq!(decoder.details().total_frames, Some(fixture.frames), "{kind} behind {name}");
            let pcm = read_all(&mut decoder).unwrap();
            assert_eq!(pcm.frames(), fixture.frames, "{kind} behind {name}");
            pcm.assert_part_of(&whole);
            // The end is far away, and so are the tags.
            let pcm = read_all(&mut far(bytes).0).unwrap();
            assert_eq!(pcm.frames(), fixture.frames, "{kind} behind {name}, far");
            pcm.assert_part_of(&whole);
        }
    }
}

#[test]
fn tags_between_adts_frames_cost_none() {
    let adts = media::file("file/adts.aac").unwrap();
    let whole = decode(adts);
    let starts = |from: usize| {
        let mut at = from;
        std::iter::from_fn(move || {
            let len = adts
                .get(at..at + 6)
                .map(|h| usize::from(h[3] & 3) << 11 | usize::from(h[4]) << 3 | usize::from(h[5] >> 5))?;
            at += len;
            Some(at)
        })
    };
    let id3 = |len: usize| {
        let size = [0, (len >> 14) as u8, (len >> 7 & 127) as u8, (len & 127) as u8];
        [&b"ID3\x04\0\0"[..], &size, &vec![0xFF; len]].concat()
    };
    for (every, len) in [(40, 60), (1, 20), (7, 100_000), (100, 0)] {
        let mut bytes = Vec::new();
        let mut from = 0;
        for (number, at) in starts(0).enumerate() {
            bytes.extend_from_slice(&adts[from..at]);
            if number % every == every - 1 {
                bytes.extend_from_slice(&id3(len));
            }
            from = at;
        }
        let pcm = assert_seeks(&bytes, "ADTS with tags between");
        assert_eq!(pcm.frames(), whole.frames(), "every {every}, {len} bytes");
        pcm.assert_part_of(&whole);
    }
}

#[test]
fn rf64_without_sizes_plays_to_its_end() {
    let wav = media::file("file/pcm16.wav").unwrap();
    let whole = decode(wav);
    let data = wav.windows(4).position(|word| word == b"data").unwrap() + 8;
    for size in [0, u64::MAX] {
        let ds64 = [&b"ds64\x1C\0\0\0"[..], &size.to_le_bytes(), &size.to_le_bytes(), &[0; 12]].concat();
        let head = [b"RF64\xFF\xFF\xFF\xFFWAVE", &ds64[..], &wav[12..data - 4], &[0xFF; 4]].concat();
        let pcm = assert_seeks(&[&head, &wav[data..]].concat(), "RF64");
        assert_eq!(pcm.frames(), whole.frames(), "{size}");
        pcm.assert_part_of(&whole);
    }
}

#[test]
fn last_page_of_vorbis_trims_as_oggdec_does() {
    for (name, bytes, frames) in [
        ("t1000", &include_bytes!("media/odd/t1000.ogg")[..], 1000),
        ("sil", &include_bytes!("media/odd/sil.ogg")[..], 132_300),
    ] {
        let mut decoder = open(bytes).unwrap();
        assert_eq!(decoder.details().total_frames, Some(frames), "{name}");
        assert_eq!(read_all(&mut decoder).unwrap().frames(), frames, "{name}");
        let mut decoder = far(bytes.to_vec()).0;
        assert_eq!(read_all(&mut decoder).unwrap().frames(), frames, "{name}, far");
        assert_eq!(decoder.duration(), Some(decoder.spec().position_of(frames)), "{name}, far");
        for target in [0, frames / 2, frames - 1] {
            decoder.seek(target).unwrap();
            assert_eq!(read_all(&mut decoder).unwrap().end(), frames, "{name} from {target}");
        }
    }
}

#[test]
fn length_of_vorbis_counts_what_was_trimmed() {
    let fixture = media::find("vorbis.ogg").unwrap();
    let mut decoder = far(fixture.bytes().to_vec()).0;
    assert_eq!(read_all(&mut decoder).unwrap().frames(), fixture.frames);
    assert_eq!(decoder.duration(), Some(decoder.spec().position_of(fixture.frames)));
}
