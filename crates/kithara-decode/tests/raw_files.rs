//! AU, WAV, W64 and AIFF: samples behind a header.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{self, Cursor, Read};

use common::file::{assert_seeks, decode, open, options};
use kithara_decode::{ByteSource, DecodeError, MediaDecoder};
use kithara_stream::MediaInfo;
use kithara_testkit::media;

/// Bits of a sample, the file, and what ffmpeg makes of it.
type File = (u32, &'static [u8], &'static [u8]);

macro_rules! files {
    ($($bits:literal $name:literal),*) => {
        [$((
            $bits,
            include_bytes!(concat!("media/raw/", $name)),
            include_bytes!(concat!("media/raw/", $name, ".f32")),
        )),*]
    };
}

const AU: [File; 8] = files!(8 "s8.au", 16 "s16be.au", 24 "s24be.au", 32 "s32be.au", 32 "f32be.au", 64 "f64be.au", 8 "alaw.au", 8 "mulaw.au");
const W64: [File; 8] = files!(8 "u8.w64", 16 "s16le.w64", 24 "s24le.w64", 32 "s32le.w64", 32 "f32le.w64", 64 "f64le.w64", 8 "alaw.w64", 8 "mulaw.w64");
const AIFF: [File; 9] = files!(
    8 "s8.aiff", 16 "s16be.aiff", 16 "s16le.aiff", 24 "s24be.aiff", 32 "s32be.aiff", 32 "f32be.aiff", 64 "f64be.aiff",
    8 "alaw.aiff", 8 "mulaw.aiff"
);
const FRAMES: u64 = 248;

fn reference(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|sample| f32::from_le_bytes(sample.try_into().unwrap())).collect()
}

#[test]
fn every_coding_gives_the_samples_of_the_reference() {
    for (container, files) in [("au", &AU[..]), ("w64", &W64), ("aiff", &AIFF)] {
        for &(bits, file, expected) in files {
            let details = open(file).unwrap().details().clone();
            assert_eq!(
                (details.container, details.codec, details.sample_rate, details.channels),
                (container, "pcm", 22_050, 2)
            );
            assert_eq!(details.total_frames, Some(FRAMES), "{container}, {bits} bits");
            let pcm = decode(file);
            assert_eq!(pcm.samples, reference(expected), "{container}, {bits} bits");
        }
    }
}

/// A file with its samples often enough that there are several packets.
fn longer(file: &[u8], data: usize) -> Vec<u8> {
    [&file[..data], &file[data..].repeat(40)].concat()
}

const AU_DATA: usize = 32;
const W64_DATA: usize = 104;

#[test]
fn a_length_that_was_never_filled_in_is_that_of_the_file() {
    for len in [0, u32::MAX, 0x7000_0000] {
        let mut bytes = longer(AU[1].1, AU_DATA);
        bytes[8..12].copy_from_slice(&len.to_be_bytes());
        assert_eq!(open(&bytes).unwrap().details().total_frames, Some(40 * FRAMES));
        let pcm = assert_seeks(&bytes, "AU");
        assert_eq!(pcm.frames(), 40 * FRAMES);
    }
    for len in [0, 24, u64::MAX, 1 << 40] {
        let mut bytes = longer(W64[1].1, W64_DATA);
        bytes[W64_DATA - 8..W64_DATA].copy_from_slice(&len.to_le_bytes());
        assert_eq!(assert_seeks(&bytes, "W64").frames(), 40 * FRAMES, "{len}");
    }
}

#[test]
fn what_stands_around_the_samples_is_not_played() {
    let (_, au, expected) = AU[2];
    let mut bytes = au[..24].to_vec();
    bytes[4..8].copy_from_slice(&(100_000u32 + 24).to_be_bytes());
    bytes.extend(vec![0x55; 100_000]);
    bytes.extend_from_slice(&au[AU_DATA..]);
    bytes.extend_from_slice(&[0x55; 999]);
    assert_eq!(decode(&bytes).samples, reference(expected));

    let (_, w64, expected) = W64[1];
    let tail = &w64[16 + 24 + 4..16 + 24 + 16];
    let chunk = [b"junk", tail, &(24u64 + 13).to_le_bytes(), &[b'd'; 13], &[0; 3]].concat();
    let stranger = [&[0xAB; 16][..], &32u64.to_le_bytes(), b"fmt data"].concat();
    let bytes = [&w64[..40], &chunk, &stranger, &w64[40..], &chunk].concat();
    assert_eq!(decode(&bytes).samples, reference(expected));
}

#[test]
fn a_broken_header_is_an_error() {
    let au = |at: usize, word: u32| {
        let mut bytes = AU[1].1.to_vec();
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        open(&bytes).unwrap_err()
    };
    assert!(matches!(au(4, 7), DecodeError::Malformed(_)));
    assert!(matches!(au(4, u32::MAX), DecodeError::Malformed(_)));
    assert!(matches!(au(12, 23), DecodeError::Unsupported(_)));
    assert!(matches!(au(16, 0), DecodeError::Malformed(_)));
    assert!(matches!(au(20, 0), DecodeError::Malformed(_)));
    assert!(matches!(au(20, 256), DecodeError::Unsupported(_)));
    assert!(matches!(au(20, 70_000), DecodeError::Malformed(_)));
    for cut in [5, 20, 30] {
        let error = open(&AU[1].1[..cut]).and_then(|mut decoder| decoder.next_chunk()).unwrap_err();
        assert!(matches!(error, DecodeError::Malformed(_)), "{cut}: {error}");
    }
    let mut w64 = W64[1].1.to_vec();
    w64[56] = 3;
    assert!(matches!(open(&w64).unwrap_err(), DecodeError::Malformed(_)));
    for cut in 16..W64_DATA {
        assert!(matches!(open(&w64[..cut]).unwrap_err(), DecodeError::Malformed(_)), "{cut}");
    }
}

#[test]
fn a_wav_file_that_claims_more_than_it_has_tells_its_true_length() {
    let fixture = media::find("pcm16.wav").unwrap();
    let mut bytes = fixture.bytes().to_vec();
    let data = bytes.windows(4).position(|word| word == b"data").unwrap();
    bytes[data + 4..data + 8].copy_from_slice(&0x7FFF_FFF0_u32.to_le_bytes());
    assert_eq!(open(&bytes).unwrap().details().total_frames, Some(fixture.frames));
    assert_eq!(assert_seeks(&bytes, "WAV").frames(), fixture.frames);
}

/// A chunk of AIFF.
fn chunk(name: &[u8; 4], len: u32, body: &[u8]) -> Vec<u8> {
    [name, &len.to_be_bytes(), body, &[0][..body.len() % 2]].concat()
}

fn aiff(form: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    [b"FORM", &form.to_be_bytes()[..], b"AIFF", &chunks.concat()].concat()
}

#[test]
fn aiff_is_played_whatever_stands_around_its_samples() {
    let (_, file, expected) = AIFF[1];
    let find = |name: &[u8; 4]| {
        let at = file.windows(4).position(|word| word == name).unwrap();
        let len = u32::from_be_bytes(file[at + 4..at + 8].try_into().unwrap());
        &file[at + 8..][..len as usize]
    };
    let (common, sound) = (find(b"COMM"), find(b"SSND"));
    let comm = chunk(b"COMM", 18, &common[..18]);
    let ssnd = chunk(b"SSND", sound.len() as u32, sound);
    let junk = chunk(b"ID3 ", 3001, &[0x55; 3001]);
    let set_off = [&100u32.to_be_bytes(), &sound[4..8], &[0x55; 100], &sound[8..]].concat();
    let zero = [&common[..2], &[0; 4], &common[6..18]].concat();
    let files = [
        // Written to a pipe, by those who write nothing, and by those who write the most.
        aiff(0, &[chunk(b"COMM", 18, &zero), chunk(b"SSND", 0, sound)]),
        aiff(u32::MAX, &[comm.clone(), chunk(b"SSND", u32::MAX, sound)]),
        aiff(0, &[comm.clone(), chunk(b"SSND", 0x7FFF_FFF0, sound)]),
        aiff(9, &[junk.clone(), comm.clone(), ssnd.clone(), junk.clone()]),
        aiff(9, &[ssnd.clone(), junk.clone(), comm.clone()]),
        aiff(9, &[comm.clone(), chunk(b"SSND", set_off.len() as u32, &set_off)]),
    ];
    for (number, bytes) in files.into_iter().enumerate() {
        assert_eq!(open(&bytes).unwrap().details().total_frames, Some(FRAMES), "{number}");
        assert_eq!(decode(&bytes).samples, reference(expected), "{number}");
    }
    let seeks = [
        &aiff(9, std::slice::from_ref(&comm))[..],
        &chunk(b"SSND", 0, &[&sound[..8], &sound[8..].repeat(40)].concat()),
    ];
    assert_eq!(assert_seeks(&seeks.concat(), "AIFF").frames(), 40 * FRAMES);
    let tag = b"ID3\x03\0\0\0\0\0\x10TIT2\0\0\0\x06\0\0\0Hello";
    let tagged = open(&aiff(9, &[chunk(b"ID3 ", 26, tag), comm.clone(), ssnd.clone()])).unwrap();
    assert_eq!(tagged.details().tags.title.as_deref(), Some("Hello"));
    for chunks in
        [vec![comm.clone()], vec![ssnd.clone()], vec![chunk(b"COMM", 10, &common[..10]), ssnd], vec![]]
    {
        assert!(matches!(open(&aiff(9, &chunks)).unwrap_err(), DecodeError::Malformed(_)));
    }
    let no_rate = [&common[..8], &[0; 10]].concat();
    let sound = chunk(b"SSND", sound.len() as u32, sound);
    assert!(matches!(open(&aiff(9, &[chunk(b"COMM", 18, &no_rate), sound])), Err(DecodeError::Malformed(_))));
}

/// Samples as they come: of unknown length, a few bytes at a time, from a source that cannot seek.
struct Pipe(Cursor<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = buf.len().min(701);
        self.0.read(&mut buf[..len])
    }
}

impl io::Seek for Pipe {
    fn seek(&mut self, _: io::SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl ByteSource for Pipe {
    fn byte_len(&self) -> Option<u64> {
        None
    }

    fn is_seekable(&self) -> bool {
        false
    }
}

#[test]
fn a_pipe_plays_to_its_end() {
    let mut au = longer(AU[1].1, AU_DATA);
    au[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut w64 = longer(W64[1].1, W64_DATA);
    w64[W64_DATA - 8..W64_DATA].copy_from_slice(&0u64.to_le_bytes());
    for bytes in [au, w64] {
        let whole = decode(&bytes);
        let pipe = Pipe(Cursor::new(bytes));
        let mut decoder = MediaDecoder::open(pipe, &MediaInfo::default(), options()).unwrap();
        let pcm = common::file::read_all(&mut decoder).unwrap();
        assert_eq!((pcm.samples == whole.samples, pcm.frames()), (true, 40 * FRAMES));
    }
}

/// CAF with a description of `codec`, and `data`.
fn caf(codec: &[u8; 4], rate: f64, numbers: [u32; 5], data: &[u8]) -> Vec<u8> {
    let mut desc = [&rate.to_be_bytes()[..], codec].concat();
    desc.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    let len = (data.len() as u64 + 4).to_be_bytes();
    [b"caff\0\x01\0\0desc", &32u64.to_be_bytes()[..], &desc, b"data", &len, &[0; 4], data].concat()
}

#[test]
fn g711_in_caf_decodes_as_in_au() {
    for (codec, name) in [(b"ulaw", "mulaw.au"), (b"alaw", "alaw.au")] {
        let au = std::fs::read(format!("{}/tests/media/raw/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let whole = decode(&au);
        let offset = u32::from_be_bytes(*au[4..].first_chunk::<4>().unwrap()) as usize;
        // Flags, bytes and frames of a packet, channels, bits: ffmpeg leaves the bits open.
        for bits in [0, 8, 16] {
            let bytes = caf(codec, 22_050.0, [0, 2, 1, 2, bits], &au[offset..]);
            let pcm = assert_seeks(&bytes, name);
            assert_eq!(pcm.frames(), whole.frames());
            pcm.assert_part_of(&whole);
        }
    }
}

/// QuickTime's IMA ADPCM. The block headers leave out the low seven bits of the predictor, which ffmpeg carries over
/// from the block before and a decoder that can begin anywhere cannot.
#[test]
fn ima_adpcm_in_aiff_and_caf_is_near_the_reference() {
    let folder = format!("{}/tests/media/odd", env!("CARGO_MANIFEST_DIR"));
    let reference = std::fs::read(format!("{folder}/ima4.f32")).unwrap();
    let reference: Vec<f32> = reference.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    for name in ["ima4.aiff", "ima4.caf"] {
        let bytes = std::fs::read(format!("{folder}/{name}")).unwrap();
        let pcm = assert_seeks(&bytes, name);
        assert!(pcm.samples.len() >= reference.len(), "{name}: {}", pcm.samples.len());
        let worst = pcm.samples.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 0.006, "{name}: {worst}");
    }
}
