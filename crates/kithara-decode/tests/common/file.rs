//! Whole decodes of files, and seeks in them.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kithara_bufpool::SamplePool;
use kithara_decode::{ByteSource, DecodeError, DecodeOptions, MediaDecoder};
use kithara_stream::MediaInfo;
use kithara_testkit::media::{self, Fixture};

use super::{Pcm, numbers};

pub fn options() -> DecodeOptions {
    DecodeOptions::new(SamplePool::default())
}

pub fn open(bytes: &[u8]) -> Result<MediaDecoder, DecodeError> {
    MediaDecoder::open(Cursor::new(bytes.to_vec()), &MediaInfo::default(), options())
}

pub fn read_all(decoder: &mut MediaDecoder) -> Result<Pcm, DecodeError> {
    let mut pcm = Pcm::default();
    while let Some(chunk) = decoder.next_chunk()? {
        pcm.add(&chunk);
    }
    Ok(pcm)
}

pub fn decode(bytes: &[u8]) -> Pcm {
    read_all(&mut open(bytes).unwrap()).unwrap()
}

/// Asserts that seeks to many places give what straight playback gives. Returns that.
pub fn assert_seeks(bytes: &[u8], name: &str) -> Pcm {
    let mut decoder = open(bytes).unwrap();
    let whole = read_all(&mut decoder).unwrap();
    let targets = numbers(5).map(|number| number % whole.end()).take(20).chain([0, 1, whole.end() - 1]);
    for target in targets {
        assert_eq!(decoder.seek(target).unwrap(), target);
        let mut part = Pcm { start: target, ..Pcm::default() };
        while part.frames() < 4000
            && let Some(chunk) = decoder.next_chunk().unwrap()
        {
            part.add(&chunk);
        }
        assert!(part.end() >= (target + 4000).min(whole.end()), "{name} from {target}");
        part.assert_part_of(&whole);
    }
    whole
}

/// The segments of an HLS fixture as one file.
pub fn joined(name: &str) -> (&'static Fixture, Vec<u8>) {
    let fixture = media::find(name).unwrap();
    let folder = fixture.folder();
    let text = std::str::from_utf8(fixture.bytes()).unwrap();
    let names = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    (fixture, names.flat_map(|name| folder.get(name).unwrap()).copied().collect())
}

/// A file whose reads are counted, and whose end is far away.
pub struct Far(pub Cursor<Vec<u8>>, pub Arc<AtomicU64>);

impl Read for Far {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buf)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
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

/// A decoder of a far file, and the bytes it has read.
pub fn far(bytes: Vec<u8>) -> (MediaDecoder, Arc<AtomicU64>) {
    let read = Arc::new(AtomicU64::new(0));
    let source = Far(Cursor::new(bytes), Arc::clone(&read));
    (MediaDecoder::open(source, &MediaInfo::default(), options()).unwrap(), read)
}

/// A file of unknown length, as one that is sent in chunks.
pub struct Endless(pub Cursor<Vec<u8>>);

impl Read for Endless {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::End(_) => Err(io::ErrorKind::Unsupported.into()),
            to => self.0.seek(to),
        }
    }
}

impl ByteSource for Endless {
    fn byte_len(&self) -> Option<u64> {
        None
    }
}
