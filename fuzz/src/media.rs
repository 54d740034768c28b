//! Whole files of every container, as an application opens them: what is opened plays and seeks without a panic, and its
//! metadata stays within bounds.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use kithara_decode::{ByteSource, DecodeOptions, MediaDecoder};

/// Chunks that are decoded, after the open and after each seek.
const CHUNKS: usize = 40;

/// A file whose end is far away, as over HTTP: opened by another path than a local one.
struct Far(Cursor<Vec<u8>>);

impl Read for Far {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Seek for Far {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl ByteSource for Far {
    fn byte_len(&self) -> Option<u64> {
        Some(self.0.get_ref().len() as u64)
    }
}

/// Opens `data` behind `magic` (so that every input reaches the container's parser), plays and seeks. The last byte of
/// `data` says where to seek to, and whether the end of the file is at hand.
pub fn media(magic: &[u8], data: &[u8]) {
    let Some((&last, body)) = data.split_last() else { return };
    let bytes = if body.starts_with(magic) { body.to_vec() } else { [magic, body].concat() };
    let len = bytes.len();
    let options = || DecodeOptions::new(Default::default());
    let opened = if last & 1 == 0 {
        MediaDecoder::open(Cursor::new(bytes), &Default::default(), options())
    } else {
        MediaDecoder::open(Far(Cursor::new(bytes)), &Default::default(), options())
    };
    let Ok(mut decoder) = opened else { return };
    play(&mut decoder);
    for target in [u64::from(last) * 997, u64::MAX >> 16, 0] {
        if decoder.seek(target).is_ok() {
            play(&mut decoder);
        }
    }
    let tags = &decoder.details().tags;
    let pictures: usize = tags.pictures.iter().map(|picture| picture.data.len()).sum();
    assert!(tags.raw.len() <= 512 && tags.chapters.len() <= 4096 && pictures <= len);
    while decoder.take_event().is_some() {}
}

fn play(decoder: &mut MediaDecoder) {
    for _ in 0..CHUNKS {
        match decoder.next_chunk() {
            Ok(Some(chunk)) => assert!(chunk.frames() > 0),
            Ok(None) | Err(_) => break,
        }
    }
}
