//! Damaged and made-up input: no panic, no hang, no memory without bound, and frames that are in order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Cursor;
use std::sync::OnceLock;

use bytes::Bytes;
use common::{Pcm, Segment, decoder, feed, segments};
use kithara_bufpool::SamplePool;
use kithara_decode::{DecodeError, DecodeOptions, MediaDecoder, SegmentStart};
use kithara_stream::MediaInfo;
use kithara_testkit::media::{self, Kind};
use proptest::prelude::*;

/// Frames that an input of so many bytes may decode to at most, and then some: FLAC of silence is the densest.
const MOST_FRAMES: u64 = 200_000_000;

fn play_file(bytes: Vec<u8>, seeks: &[u64]) {
    let options = DecodeOptions::new(SamplePool::default());
    let Ok(mut decoder) = MediaDecoder::open(Cursor::new(bytes), &MediaInfo::default(), options) else {
        return;
    };
    let mut position = 0;
    for _ in 0..200 {
        match decoder.next_chunk() {
            Ok(Some(chunk)) => {
                assert!(chunk.position() >= position && chunk.frames() > 0);
                position = chunk.position() + chunk.frames() as u64;
            }
            _ => break,
        }
    }
    for &target in seeks {
        // A damaged header may say that the file ends before it does: then the seek goes there.
        if let Ok(at) = decoder.seek(target)
            && let Ok(Some(chunk)) = decoder.next_chunk()
        {
            assert!(at <= target);
            assert_eq!(chunk.position(), at);
        }
    }
    assert!(position < MOST_FRAMES);
}

/// The first part of every file fixture: enough for several packets.
fn files() -> &'static Vec<Vec<u8>> {
    static FILES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    FILES.get_or_init(|| {
        let files = media::all().iter().filter(|fixture| fixture.kind == Kind::File);
        let files = files.map(|fixture| fixture.bytes().to_vec());
        let streams = ["ts-aac", "ts-mp3"].map(|name| {
            segments(media::find(name).unwrap()).iter().flat_map(|segment| segment.body.to_vec()).collect()
        });
        let others = [
            &include_bytes!("media/vorbis.mka")[..],
            include_bytes!("media/mp3.mka"),
            include_bytes!("media/chain.ogg"),
            include_bytes!("media/raw/s24be.au"),
            include_bytes!("media/raw/s16le.w64"),
            include_bytes!("media/raw/s16le.aiff"),
        ];
        let others = others.into_iter().map(<[u8]>::to_vec);
        let all = files.chain(streams).chain(others);
        all.map(|bytes: Vec<u8>| bytes[..bytes.len().min(60_000)].to_vec()).collect()
    })
}

fn presentations() -> &'static Vec<Vec<Segment>> {
    static SEGMENTS: OnceLock<Vec<Vec<Segment>>> = OnceLock::new();
    SEGMENTS.get_or_init(|| {
        ["ts-aac", "ts-mp3", "packed-aac", "packed-mp3", "byterange", "codec-change", "alac"]
            .map(|name| segments(media::find(name).unwrap()))
            .into()
    })
}

/// Changes to a file: bytes set, a piece cut out, the end cut off.
fn damage(mut bytes: Vec<u8>, hits: &[(u16, u8)], hole: (u16, u16), end: u16) -> Vec<u8> {
    let len = bytes.len().max(1);
    for &(at, value) in hits {
        let at = usize::from(at) * 7919 % len;
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    let from = usize::from(hole.0) % len;
    let to = (from + usize::from(hole.1 % 600)).min(bytes.len());
    bytes.drain(from.min(bytes.len())..to);
    bytes.truncate(bytes.len() - bytes.len() * usize::from(end % 50) / 100);
    bytes
}

/// Runs the ignored tests below in a process of its own whose heap and stacks may not exceed 300 MB: a larger allocation
/// aborts it.
#[test]
#[cfg(target_os = "linux")]
fn properties_hold_in_300_mb() {
    let limited = "ulimit -d 307200 && exec \"$0\" --ignored --test-threads=1";
    let tests = std::env::current_exe().unwrap();
    let status = std::process::Command::new("sh").args(["-c", limited]).arg(tests).status().unwrap();
    assert!(status.success(), "{status}");
}

/// A WAV file of 16-bit samples: 2 KB that claim any rate and any number of channels.
fn wav(sample_rate: u32, channels: u16) -> Vec<u8> {
    let mut bytes = b"RIFF\0\x08\0\0WAVEfmt \x10\0\0\0\x01\0".to_vec();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(sample_rate.to_le_bytes());
    bytes.extend(sample_rate.wrapping_mul(2).to_le_bytes());
    bytes.extend(channels.wrapping_mul(2).to_le_bytes());
    bytes.extend(*b"\x10\0data\0\x08\0\0");
    bytes.resize(44 + 2048, 1);
    bytes
}

/// The error of opening or playing a file at 48 kHz.
fn refusal(bytes: Vec<u8>) -> DecodeError {
    let mut options = DecodeOptions::new(SamplePool::default());
    options.output.rate = Some(48_000);
    let mut decoder = match MediaDecoder::open(Cursor::new(bytes), &MediaInfo::default(), options) {
        Ok(decoder) => decoder,
        Err(error) => return error,
    };
    loop {
        match decoder.next_chunk() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("played to the end"),
            Err(error) => return error,
        }
    }
}

#[test]
#[cfg_attr(target_os = "linux", ignore = "run by properties_hold_in_300_mb")]
fn headers_that_size_buffers_are_refused_by_name() {
    for rate in [1, 50, 3999, 768_001, 4_000_000, u32::MAX] {
        let error = refusal(wav(rate, 1));
        let is_named = matches!(&error, DecodeError::Unsupported(by) if by.contains(&format!("{rate} Hz")));
        assert!(is_named, "{rate}: {error}");
    }
    assert!(matches!(refusal(wav(0, 1)), DecodeError::Malformed(_)));
    assert!(
        matches!(refusal(wav(48_000, 1000)), DecodeError::Unsupported(by) if by.contains("1000 channels"))
    );
    // Rates without a common divisor, in many channels.
    assert!(matches!(refusal(wav(767_999, 255)), DecodeError::Resample { from: 767_999, .. }));
    let mut alac = include_bytes!("media/odd/order.m4a").to_vec();
    let cookie = alac.windows(4).rposition(|kind| kind == b"alac").unwrap() + 8;
    alac[cookie..cookie + 4].copy_from_slice(&[0xFF; 4]);
    assert!(matches!(refusal(alac), DecodeError::Unsupported(by) if by.starts_with("ALAC")));
}

#[test]
fn an_init_section_without_fragments_is_an_error() {
    let init = presentations().iter().find_map(|segments| segments[0].start.init.clone()).unwrap();
    let error = refusal(init.to_vec());
    assert!(matches!(error, DecodeError::Malformed(_) | DecodeError::Demux(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(target_os = "linux", ignore = "run by properties_hold_in_300_mb")]
    fn damaged_files(
        index in 0usize..16,
        hits in proptest::collection::vec(any::<(u16, u8)>(), 0..40),
        head in proptest::collection::vec((0u16..400, any::<u8>()), 0..4),
        hole: (u16, u16),
        end: u16,
        seeks in proptest::collection::vec(0u64..2_000_000, 0..4),
    ) {
        let files = files();
        let mut bytes = files[index % files.len()].clone();
        for (at, value) in head {
            bytes[usize::from(at)] = value;
        }
        play_file(damage(bytes, &hits, hole, end), &seeks);
    }

    #[test]
    #[cfg_attr(target_os = "linux", ignore = "run by properties_hold_in_300_mb")]
    fn made_up_files(
        magic in prop::sample::select(vec![
            &b"fLaC\0\0\0\x22"[..], b"OggS\0\x02", b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \x10\0\0\0", b"\0\0\0\x10ftypM4A ",
            b"FORM\0\0\xFF\xFFAIFF", b"caff\0\x01\0\0desc", b"\x1A\x45\xDF\xA3\x80", b"ID3\x04\0\0\0\0\0\x0A",
            b"\xFF\xFB\x90\x00", b"\xFF\xF1\x50\x80", b"",
        ]),
        body in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        play_file([magic, &body].concat(), &[0, 1000]);
    }

    #[test]
    #[cfg_attr(target_os = "linux", ignore = "run by properties_hold_in_300_mb")]
    fn damaged_segments(
        which in 0usize..7,
        index in 0usize..3,
        hits in proptest::collection::vec(any::<(u16, u8)>(), 0..30),
        hole: (u16, u16),
        end: u16,
        cut in 1usize..5000,
        flags: [bool; 3],
    ) {
        let all = presentations();
        let segments = &all[which % all.len()];
        let mut reader = decoder();
        let mut pcm = Pcm::default();
        for (number, segment) in segments.iter().enumerate() {
            let mut segment = segment.clone();
            if number == index % segments.len() {
                segment.body = Bytes::from(damage(segment.body.to_vec(), &hits, hole, end));
                segment.start.discontinuity |= flags[0];
                segment.start.variant = usize::from(flags[1]);
                if let Some(init) = segment.start.init.clone().filter(|_| flags[2]) {
                    segment.start.init = Some(Bytes::from(damage(init.to_vec(), &hits, (0, 0), 0)));
                }
            }
            let _ = feed(&mut reader, &segment, cut, &mut pcm);
        }
        prop_assert!(pcm.end() < MOST_FRAMES);
    }

    #[test]
    #[cfg_attr(target_os = "linux", ignore = "run by properties_hold_in_300_mb")]
    fn made_up_segments(body in proptest::collection::vec(any::<u8>(), 0..3000), init: bool) {
        let mut start = SegmentStart { is_first: true, ..SegmentStart::default() };
        if init {
            start.init = presentations()[4][0].start.init.clone();
        }
        let _ = feed(&mut decoder(), &Segment { start, body: Bytes::from(body) }, 500, &mut Pcm::default());
    }
}
