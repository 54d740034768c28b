//! Whole decodes of files, and seeks in them.

use std::io::Cursor;

use kithara_bufpool::SamplePool;
use kithara_decode::{DecodeError, DecodeOptions, MediaDecoder};
use kithara_stream::MediaInfo;

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
