//! A thousand random seeks in every format give what straight playback gives.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::file::{joined, open, read_all};
use common::{Pcm, numbers};
use kithara_testkit::media;

const SEEKS: usize = 1000;

fn check(name: &str, bytes: &[u8]) {
    let mut decoder = open(bytes).unwrap();
    let whole = read_all(&mut decoder).unwrap();
    for target in numbers(11).map(|number| number % whole.end()).take(SEEKS) {
        assert_eq!(decoder.seek(target).unwrap(), target, "{name}");
        let chunk = decoder.next_chunk().unwrap().unwrap_or_else(|| panic!("{name}: nothing at {target}"));
        let mut part = Pcm { start: target, ..Pcm::default() };
        part.add(&chunk);
        assert_eq!(part.start, target, "{name}");
        part.assert_part_of(&whole);
    }
}

macro_rules! checks {
    ($($test:ident: $bytes:expr;)*) => {
        $(#[test]
        fn $test() {
            check(stringify!($test), $bytes);
        })*
    };
}

fn file(name: &str) -> &'static [u8] {
    media::find(name).unwrap().bytes()
}

checks! {
    mp3_of_constant_bit_rate: file("cbr.mp3");
    mp3_of_variable_bit_rate: file("vbr.mp3");
    m4a: file("faststart.m4a");
    m4a_with_its_index_behind: file("tail.m4a");
    adts: file("adts.aac");
    vorbis: file("vorbis.ogg");
    flac: file("lossless.flac");
    wav: file("pcm16.wav");
    transport_stream: &joined("ts-aac").1;
    mp3_in_matroska: include_bytes!("media/mp3.mka");
    vorbis_in_matroska: include_bytes!("media/vorbis.mka");
    zlib_in_matroska: include_bytes!("media/odd/k-zlib.mka");
    aiff: include_bytes!("media/odd/tagged/aiff");
    caf: include_bytes!("media/odd/tagged/caf");
    ima_in_quicktime: include_bytes!("media/odd/ima4.mov");
    pcm_in_quicktime: include_bytes!("media/odd/s24le.mov");
    alac: include_bytes!("media/odd/album/1.alac.m4a");
}
