//! The frame around every record of an index file: magic, version, kind, length and CRC-32.
//!
//! ```text
//! offset 0  4 bytes  magic "KTHX"
//!        4  u16      version of the payload, 1
//!        6  u16      kind of the payload
//!        8  u32      length of the payload
//!       12  u32      CRC-32 (IEEE) of bytes 4..12 and the payload
//!       16           payload (bincode), little endian like everything above
//! ```
//! A file is one frame after another, so that changes can be appended.

use std::io::{self, Read};

use bytes::Bytes;
use kithara_storage::fs::FilePath;

const MAGIC: [u8; 4] = *b"KTHX";
const VERSION: u16 = 1;
pub(crate) const HEADER: usize = 16;

/// The kind of a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    /// The whole catalog.
    Snapshot = 1,
    /// Changes since the frame before.
    Changes = 2,
    /// The pins.
    Pins = 3,
    /// The name of an asset that this session is changing.
    Session = 4,
    /// The content of a small object: the only frame of its file.
    Object = 5,
    /// The manifest of a presentation, as the content of a small object.
    Manifest = 6,
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("it ends in the middle of a frame")]
    Truncated,
    #[error("it has no frame where one should start")]
    Magic,
    #[error("a frame has the unknown version {0}")]
    Version(u16),
    #[error("a frame has the unknown kind {0}")]
    Kind(u16),
    #[error("a checksum does not match")]
    Checksum,
    #[error("a payload does not decode")]
    Payload,
    #[error("it is larger than an index can be")]
    TooLarge,
}

/// Whether bytes start like a frame: tells an index from the JSON of old.
pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Whether the file, which has `len` bytes, is a small object in its frame, by the frame's header.
pub(crate) fn is_object(file: &FilePath, len: u64) -> io::Result<bool> {
    let Some(open) = file.open()? else { return Ok(false) };
    let mut header = Vec::with_capacity(HEADER);
    open.take(HEADER as u64).read_to_end(&mut header)?;
    let field = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let kind = u32::from(VERSION) | (Kind::Object as u32) << 16;
    Ok(has_magic(&header)
        && field(4) == Some(kind)
        && field(8).is_some_and(|payload| u64::from(payload) + HEADER as u64 == len))
}

/// The content of a small object: `Ok(None)` for a file without a frame, which was written before there was one.
pub(crate) fn object(bytes: &Bytes) -> Result<Option<Bytes>, FrameError> {
    if !has_magic(bytes) {
        return Ok(None);
    }
    let mut frames = Frames::new(bytes);
    match (frames.next().ok_or(FrameError::Truncated)??, frames.next()) {
        ((Kind::Object, payload), None) => Ok(Some(bytes.slice_ref(payload))),
        _ => Err(FrameError::Payload),
    }
}

/// Appends one frame to `out`; `encode` appends the payload. `None`, and `out` as before, when it cannot be encoded.
pub(crate) fn append(
    out: &mut Vec<u8>,
    kind: Kind,
    encode: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let encoded = encode(out).and_then(|()| u32::try_from(out.len() - start - HEADER).ok());
    let Some(len) = encoded else {
        out.truncate(start);
        return None;
    };
    let frame = &mut out[start..];
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..6].copy_from_slice(&VERSION.to_le_bytes());
    frame[6..8].copy_from_slice(&(kind as u16).to_le_bytes());
    frame[8..12].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(&frame[4..12], &frame[HEADER..]);
    frame[12..16].copy_from_slice(&crc.to_le_bytes());
    Some(())
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

/// The frames of a file, up to its end or the first one that is damaged.
pub(crate) struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn split(&self) -> Result<(Kind, &'a [u8], &'a [u8]), FrameError> {
        let (header, body) = self.rest.split_at_checked(HEADER).ok_or(FrameError::Truncated)?;
        if !has_magic(header) {
            return Err(FrameError::Magic);
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        let kind = u16::from_le_bytes([header[6], header[7]]);
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        let crc = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let len = usize::try_from(len).map_err(|_| FrameError::TooLarge)?;
        let (payload, rest) = body.split_at_checked(len).ok_or(FrameError::Truncated)?;
        if checksum(&header[4..12], payload) != crc {
            return Err(FrameError::Checksum);
        }
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = match kind {
            1 => Kind::Snapshot,
            2 => Kind::Changes,
            3 => Kind::Pins,
            4 => Kind::Session,
            5 => Kind::Object,
            6 => Kind::Manifest,
            other => return Err(FrameError::Kind(other)),
        };
        Ok((kind, payload, rest))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<(Kind, &'a [u8]), FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.split() {
            Ok((kind, payload, rest)) => {
                self.rest = rest;
                Some(Ok((kind, payload)))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_frames() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, payload) in [(Kind::Snapshot, &b"first"[..]), (Kind::Changes, b"second payload")] {
            append(&mut bytes, kind, |out| {
                out.extend_from_slice(payload);
                Some(())
            })
            .unwrap();
        }
        bytes
    }

    #[test]
    fn frames_come_back_in_order() {
        let bytes = two_frames();
        let frames: Vec<_> = Frames::new(&bytes).collect();
        assert_eq!(frames, [Ok((Kind::Snapshot, &b"first"[..])), Ok((Kind::Changes, b"second payload"))]);
        assert_eq!(Frames::new(&[]).count(), 0);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let bytes = two_frames();
        let first = HEADER + 5;
        for cut in 0..bytes.len() {
            let frames: Vec<_> = Frames::new(&bytes[..cut]).collect();
            let whole = usize::from(cut >= first);
            assert_eq!(frames.iter().filter(|frame| frame.is_ok()).count(), whole, "cut at {cut}");
            assert_eq!(frames.iter().any(Result::is_err), cut != 0 && cut != first, "cut at {cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Frames::new(&damaged).any(|frame| frame.is_err()), "bit {bit}");
        }
    }

    #[test]
    fn a_payload_that_fails_leaves_nothing_behind() {
        let mut bytes = two_frames();
        let before = bytes.clone();
        let failed = append(&mut bytes, Kind::Pins, |out| {
            out.extend_from_slice(b"half");
            None
        });
        assert_eq!((failed, bytes), (None, before));
    }
}
