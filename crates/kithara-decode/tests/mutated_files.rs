//! Damaged files of every container: no panic, no endless loop, no memory beyond bounds. The seeds are fixed, so that each
//! run tests the same bytes; the fuzz targets in `fuzz/` go further from the same entry.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Cursor;
use std::sync::Arc;

use common::file::{Far, open, options};
use common::numbers;
use kithara_decode::MediaDecoder;
use kithara_stream::MediaInfo;

/// Mutations of each file.
const ROUNDS: u64 = 400;

/// Changes, cuts, repeats or moves some bytes.
fn mutate(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut random = numbers(seed);
    let mut next = |below: usize| random.next().unwrap() as usize % below.max(1);
    // Headers matter most.
    let near = |at: usize, len: usize| if at.is_multiple_of(3) { at % len.min(600) } else { at % len };
    for _ in 0..=next(4) {
        let len = out.len().max(1);
        let at = near(next(usize::MAX >> 1), len);
        match next(6) {
            0 | 1 => out[at] = next(256) as u8,
            2 => out[at..(at + 4).min(len)].fill(if next(2) == 0 { 0xFF } else { 0 }),
            3 => out.truncate(at.max(1)),
            4 => {
                let piece = out[at..(at + 1 + next(64)).min(len)].to_vec();
                let to = next(len);
                out.splice(to..to, piece);
            }
            _ => drop(out.drain(at..(at + next(64)).min(len))),
        }
        if out.is_empty() {
            out.push(0);
        }
    }
    out
}

fn play(mut decoder: MediaDecoder, seed: u64) {
    let mut chunks = 0;
    while chunks < 60
        && let Ok(Some(chunk)) = decoder.next_chunk()
    {
        assert!(chunk.frames() > 0);
        chunks += 1;
    }
    for target in [seed * 37 % 40_000, u64::MAX >> 20, 0] {
        if decoder.seek(target).is_ok() {
            decoder.next_chunk().ok();
        }
    }
    assert!(decoder.details().tags.raw.len() <= 512);
}

macro_rules! mutations {
    ($($test:ident: $file:literal;)*) => {
        $(#[test]
        fn $test() {
            let bytes = include_bytes!(concat!("media/", $file));
            for seed in 0..ROUNDS {
                let odd = mutate(bytes, seed);
                if let Ok(decoder) = open(&odd) {
                    play(decoder, seed);
                }
                let source = Far(Cursor::new(odd), Arc::default());
                if seed % 4 == 0
                    && let Ok(decoder) = MediaDecoder::open(source, &MediaInfo::default(), options())
                {
                    play(decoder, seed);
                }
            }
        })*
    };
}

mutations! {
    flac: "odd/tagged/flac";
    ogg: "odd/tagged/ogg";
    ogg_of_one_page: "odd/t1000.ogg";
    wav: "odd/tagged/wav";
    wav_of_another_codec: "odd/wma.wav";
    aiff: "odd/tagged/aiff";
    aifc: "odd/ima4.aiff";
    au: "raw/mulaw.au";
    caf: "odd/tagged/caf";
    matroska: "odd/tagged/mka";
    matroska_of_two_tracks: "odd/two-ac3-aac.mka";
    mp3_with_its_tag: "odd/tagged/mp3";
    mp4: "odd/tagged/m4a";
    quicktime: "odd/f64le.mov";
}
