//! Progressive files through `MediaDecoder`: against the reference decode, from any place, from any kind of source.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::file::{assert_seeks, decode, open, options, read_all};
use common::{Pcm, numbers};
use kithara_decode::{ByteSource, DecodeError, MediaDecoder};
use kithara_stream::MediaInfo;
use kithara_testkit::media::{self, Fixture, Kind};

fn fixtures() -> impl Iterator<Item = &'static Fixture> {
    media::all().iter().filter(|fixture| fixture.kind == Kind::File)
}

#[test]
fn every_fixture_gives_the_frames_of_the_reference() {
    for fixture in fixtures() {
        let mut decoder = open(fixture.bytes()).unwrap();
        let details = decoder.details().clone();
        let pcm = read_all(&mut decoder).unwrap();
        assert_eq!((pcm.start, pcm.frames()), (0, fixture.frames), "{}", fixture.name);
        fixture
            .reference
            .check(&pcm.samples)
            .unwrap_or_else(|mismatch| panic!("{}: {mismatch}", fixture.name));
        assert_eq!(
            (details.container, details.sample_rate, details.channels),
            (fixture.container, fixture.sample_rate, fixture.channels)
        );
        assert!(fixture.codec.starts_with(details.codec), "{} is {}", fixture.name, details.codec);
        if fixture.container != "adts" {
            assert_eq!(details.total_frames, Some(fixture.frames), "{}", fixture.name);
        }
        assert!(details.duration.is_some(), "{}", fixture.name);
        assert!(decoder.next_chunk().unwrap().is_none(), "the end stays the end");
    }
}

#[test]
fn a_seek_gives_what_straight_playback_gives() {
    for fixture in fixtures() {
        assert_seeks(fixture.bytes(), fixture.name);
    }
}

#[test]
fn a_fresh_decoder_seeks_as_well_as_one_that_has_played() {
    for fixture in fixtures() {
        let whole = decode(fixture.bytes());
        for target in numbers(9).map(|number| number % whole.end()).take(4) {
            let mut decoder = open(fixture.bytes()).unwrap();
            decoder.seek(target).unwrap();
            let part = read_all(&mut decoder).unwrap();
            assert_eq!((part.start, part.end()), (target, whole.end()), "{}", fixture.name);
            part.assert_part_of(&whole);
        }
    }
}

/// Without a tag, one frame looks like a constant bit rate; that it is none shows where the seek lands.
#[test]
fn a_seek_in_variable_mp3_without_a_tag_counts_every_packet_once() {
    let bytes = media::find("vbr.mp3").unwrap().bytes();
    let tag = bytes.windows(4).position(|word| word == b"Xing").unwrap() - 36;
    let audio = (tag + 4..).find(|&at| bytes[at..at + 2] == bytes[tag..tag + 2]).unwrap();
    let bare = &bytes[audio..];
    let whole = decode(bare);
    for played in 0..4 {
        for target in numbers(3).map(|number| number % (whole.end() - 8000)).take(6) {
            let mut decoder = open(bare).unwrap();
            for _ in 0..played {
                decoder.next_chunk().unwrap().unwrap();
            }
            decoder.seek(target).unwrap();
            let mut part = Pcm { start: target, ..Pcm::default() };
            while part.frames() < 4000 {
                part.add(&decoder.next_chunk().unwrap().unwrap());
            }
            part.assert_part_of(&whole);
        }
    }
}

#[test]
fn a_seek_behind_the_end_is_the_end() {
    for fixture in fixtures() {
        let mut decoder = open(fixture.bytes()).unwrap();
        decoder.seek(u64::MAX / 4).unwrap();
        assert!(decoder.next_chunk().unwrap().is_none(), "{}", fixture.name);
        decoder.seek(0).unwrap();
        assert_eq!(read_all(&mut decoder).unwrap().frames(), fixture.frames, "{}", fixture.name);
    }
}

#[test]
fn resampling_has_the_exact_length_and_is_the_same_after_a_seek() {
    for (fixture, rate) in fixtures().zip([48_000, 22_050, 96_000, 8000].into_iter().cycle()) {
        let mut options = options();
        options.output.rate = Some(rate);
        let source = Cursor::new(fixture.bytes());
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options).unwrap();
        let whole = read_all(&mut decoder).unwrap();
        let from = u64::from(fixture.sample_rate);
        assert_eq!(whole.frames(), (fixture.frames * u64::from(rate) + from / 2) / from, "{}", fixture.name);
        for target in numbers(3).map(|number| number % whole.end()).take(6) {
            decoder.seek(target).unwrap();
            let mut part = Pcm { start: target, ..Pcm::default() };
            part.add(&decoder.next_chunk().unwrap().unwrap());
            part.assert_part_of(&whole);
        }
    }
}

/// What was read of a source, and how it behaves.
#[derive(Clone, Default)]
struct Log {
    highest: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

struct Watched {
    inner: Cursor<&'static [u8]>,
    log: Log,
    length: bool,
    seekable: bool,
    /// At most this many bytes per read.
    dribble: usize,
}

impl Watched {
    fn new(bytes: &'static [u8]) -> Self {
        Self {
            inner: Cursor::new(bytes),
            log: Log::default(),
            length: true,
            seekable: true,
            dribble: usize::MAX,
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(self.dribble);
        let read = self.inner.read(&mut buf[..len])?;
        self.log.highest.fetch_max(self.inner.position(), Ordering::Relaxed);
        self.log.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Seek for Watched {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if !self.seekable {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        self.inner.seek(to)
    }
}

impl ByteSource for Watched {
    fn byte_len(&self) -> Option<u64> {
        self.length.then(|| self.inner.get_ref().len() as u64)
    }

    fn is_seekable(&self) -> bool {
        self.seekable
    }
}

#[test]
fn the_first_chunk_needs_only_the_beginning_and_nothing_at_the_end() {
    for fixture in fixtures().filter(|fixture| fixture.name != "tail.m4a") {
        let source = Watched::new(fixture.bytes());
        let log = source.log.clone();
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        decoder.next_chunk().unwrap().unwrap();
        let highest = log.highest.load(Ordering::Relaxed);
        assert!(highest <= 70_000, "{}: read up to {highest} of {}", fixture.name, fixture.bytes().len());
    }
}

#[test]
fn a_source_without_length_or_seeking_plays_to_the_end() {
    for fixture in fixtures().filter(|fixture| fixture.name != "tail.m4a") {
        for (length, seekable) in [(false, true), (true, false), (false, false)] {
            let source = Watched { length, seekable, ..Watched::new(fixture.bytes()) };
            let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
            let pcm = read_all(&mut decoder).unwrap();
            assert_eq!(pcm.frames(), fixture.frames, "{} length {length} seekable {seekable}", fixture.name);
            fixture.reference.check(&pcm.samples).unwrap();
        }
    }
}

#[test]
fn a_source_of_unknown_length_can_be_sought_in() {
    for fixture in fixtures().filter(|fixture| fixture.name != "tail.m4a") {
        let whole = decode(fixture.bytes());
        let source = Watched { length: false, ..Watched::new(fixture.bytes()) };
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        for target in [whole.end() / 2, whole.end() / 4, whole.end() - 10] {
            decoder.seek(target).unwrap();
            let mut part = Pcm { start: target, ..Pcm::default() };
            part.add(&decoder.next_chunk().unwrap().unwrap());
            part.assert_part_of(&whole);
        }
    }
}

#[test]
fn reads_of_a_byte_at_a_time_change_nothing() {
    for fixture in fixtures().filter(|fixture| fixture.bytes().len() < 300_000) {
        let source = Watched { dribble: 1, ..Watched::new(fixture.bytes()) };
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        read_all(&mut decoder).unwrap().assert_part_of(&decode(fixture.bytes()));
    }
}

#[test]
fn a_seek_in_flac_reads_little() {
    let bytes = media::file("file/lossless.flac").unwrap();
    let source = Watched::new(bytes);
    let log = source.log.clone();
    let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
    let before = log.bytes.load(Ordering::Relaxed);
    decoder.seek(250_000).unwrap();
    decoder.next_chunk().unwrap().unwrap();
    let read = log.bytes.load(Ordering::Relaxed) - before;
    assert!(read < 450_000, "{read} of {}", bytes.len());
}

/// A file with something in front of it, or behind it.
fn around(before: &[u8], bytes: &[u8], after: &[u8]) -> Vec<u8> {
    [before, bytes, after].concat()
}

#[test]
fn tags_and_garbage_around_a_file_do_not_matter() {
    let id3 = kithara_testkit::odd::id3::tag(3, &kithara_testkit::odd::id3::frame(b"TIT2", b"\0A title"));
    let picture =
        kithara_testkit::odd::id3::tag(4, &kithara_testkit::odd::id3::frame(b"APIC", &[0xFF; 500_000]));
    let id3v1 = around(b"TAG", &[b' '; 125], b"");
    for name in ["file/cbr.mp3", "file/vbr.mp3", "file/adts.aac", "file/lossless.flac"] {
        let bytes = media::file(name).unwrap();
        let whole = decode(bytes);
        for (before, after) in
            [(&id3, &id3v1), (&picture, &Vec::new()), (&around(&id3, &picture, b""), &id3v1)]
        {
            let mut decoder = open(&around(before, bytes, after)).unwrap();
            if before.starts_with(&id3) {
                assert_eq!(decoder.details().tags.title.as_deref(), Some("A title"), "{name}");
            }
            let pcm = read_all(&mut decoder).unwrap();
            assert_eq!(pcm.frames(), whole.frames(), "{name}");
            pcm.assert_part_of(&whole);
        }
        let noise: Vec<u8> = numbers(1).map(|number| number as u8).take(3000).collect();
        assert_eq!(decode(&around(&noise, bytes, b"")).frames(), whole.frames(), "{name} behind noise");
    }
}

#[test]
fn a_large_picture_is_stepped_over_not_read() {
    let picture =
        kithara_testkit::odd::id3::tag(4, &kithara_testkit::odd::id3::frame(b"APIC", &vec![0x55; 3_000_000]));
    let file: &'static [u8] = around(&picture, media::file("file/cbr.mp3").unwrap(), b"").leak();
    let source = Watched::new(file);
    let log = source.log.clone();
    let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
    decoder.next_chunk().unwrap().unwrap();
    assert!(log.bytes.load(Ordering::Relaxed) < 200_000);
}

#[test]
fn a_wrong_hint_changes_nothing() {
    for fixture in fixtures() {
        for hint in [("audio/flac", "a.wav"), ("audio/mpeg", "a.mp3"), ("text/html", "a.aac")] {
            let hint = MediaInfo::new(Some(hint.0), Some(hint.1));
            let decoder = MediaDecoder::open(Cursor::new(fixture.bytes()), &hint, options()).unwrap();
            assert_eq!(decoder.details().container, fixture.container);
        }
    }
}

#[test]
fn what_is_no_media_is_a_typed_error() {
    let zeros = vec![0; 3_000_000];
    let noise: Vec<u8> = numbers(2).map(|number| number as u8).take(2_000_000).collect();
    for bytes in [
        &b""[..],
        b"a",
        b"<html>nothing here</html>",
        &zeros,
        &noise,
        b"ID3\x04\0\0\x7F\x7F\x7F\x7F",
        &[0xFF; 100_000],
    ] {
        let error = open(bytes).unwrap_err();
        assert!(matches!(error, DecodeError::NotMedia(_)), "{error:?}");
        assert!(!error.is_retryable());
    }
    for bytes in [
        &b"fLaC"[..],
        b"OggS",
        b"RIFF\0\0\0\0WAVE",
        b"\0\0\0\x18ftypM4A \0\0\0\0",
        b"FORM\0\0\0\0AIFF",
        b"caff\0\x01\0\0",
        b"\x1A\x45\xDF\xA3",
    ] {
        let error = open(bytes).unwrap_err();
        assert!(
            !matches!(error, DecodeError::NotMedia(_) | DecodeError::Io(_)),
            "{:?}: {error:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[test]
fn implicit_he_aac_is_never_played_at_half_the_rate() {
    let pcm = read_all(&mut open(include_bytes!("media/he-aac.adts")).unwrap()).unwrap();
    assert_eq!(pcm.spec.unwrap().sample_rate, 44_100);
}

#[test]
fn a_file_that_is_cut_short_gives_what_is_there() {
    for fixture in fixtures().filter(|fixture| fixture.name != "tail.m4a" && fixture.container != "mp4") {
        let whole = decode(fixture.bytes());
        let half = fixture.bytes().len() / 2;
        let mut decoder = open(&fixture.bytes()[..half]).unwrap();
        let pcm = read_all(&mut decoder).unwrap();
        let share = pcm.frames() as f64 / whole.frames() as f64;
        assert!((0.4..0.6).contains(&share), "{}: {share}", fixture.name);
    }
}

/// Reads that fail once, at an offset.
struct Failing {
    inner: Cursor<&'static [u8]>,
    at: u64,
    left: u32,
}

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.inner.position() >= self.at && self.left > 0 {
            self.left -= 1;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the network is gone"));
        }
        let len = buf.len().min(2048);
        self.inner.read(&mut buf[..len])
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl ByteSource for Failing {
    fn byte_len(&self) -> Option<u64> {
        Some(self.inner.get_ref().len() as u64)
    }
}

#[test]
fn the_error_of_the_source_arrives_as_it_was_and_a_seek_goes_on() {
    for fixture in fixtures() {
        let whole = decode(fixture.bytes());
        let source =
            Failing { inner: Cursor::new(fixture.bytes()), at: fixture.bytes().len() as u64 / 2, left: 0 };
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        assert_eq!(read_all(&mut decoder).unwrap().frames(), whole.frames());

        let mut source =
            Failing { inner: Cursor::new(fixture.bytes()), at: fixture.bytes().len() as u64 / 2, left: 1 };
        if fixture.name == "tail.m4a" {
            source.at = fixture.bytes().len() as u64 * 99 / 100;
        }
        let opened = MediaDecoder::open(source, &MediaInfo::default(), options());
        let Ok(mut decoder) = opened else {
            assert_eq!(fixture.name, "tail.m4a");
            continue;
        };
        let mut pcm = Pcm::default();
        let error = loop {
            match decoder.next_chunk() {
                Ok(Some(chunk)) => pcm.add(&chunk),
                Ok(None) => panic!("{}: the error was swallowed", fixture.name),
                Err(error) => break error,
            }
        };
        assert!(error.is_retryable(), "{error:?}");
        assert!(
            matches!(&error, DecodeError::Io(error) if error.to_string().contains("network")),
            "{error:?}"
        );
        decoder.seek(pcm.end()).unwrap();
        let rest = read_all(&mut decoder).unwrap();
        assert_eq!((rest.start, rest.end()), (pcm.end(), whole.end()), "{}", fixture.name);
        rest.assert_part_of(&whole);
    }
}

/// A seek that fails on its way (or is called off by the next one) leaves no wrong idea of the place behind.
#[test]
fn a_seek_after_a_failed_seek_is_exact() {
    for name in
        ["cbr.mp3", "vbr.mp3", "adts.aac", "lossless.flac", "vorbis.ogg", "pcm16.wav", "faststart.m4a"]
    {
        let fixture = media::find(name).unwrap();
        let whole = decode(fixture.bytes());
        // Beyond what the first reads bring, so that only the seek comes there.
        let at = fixture.bytes().len() as u64 * 3 / 5;
        let source = Failing { inner: Cursor::new(fixture.bytes()), at, left: 1 };
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap();
        let first = decoder.next_chunk().unwrap().unwrap();
        // In some containers the way there succeeds, and the first read fails.
        let failed = decoder.seek(whole.end() * 4 / 5).is_err() || decoder.next_chunk().is_err();
        assert!(failed, "{name}");
        let target = first.frames() as u64 + 20_000;
        decoder.seek(target).unwrap();
        let rest = read_all(&mut decoder).unwrap();
        assert_eq!((rest.start, rest.end()), (target, whole.end()), "{name}");
        rest.assert_part_of(&whole);
    }
}
