//! FLAC metadata blocks (RFC 9639, 8).

use super::frame::StreamInfo;
use crate::DecodeError;
use crate::media::details::Tags;
use crate::media::source::Window;

const STREAMINFO: u8 = 0;
const SEEKTABLE: u8 = 3;
const VORBIS_COMMENT: u8 = 4;
const PICTURE: u8 = 6;
/// Longest picture that is kept although it is not at hand, in bytes: such blocks are read through anyway.
const MAX_PASSED: usize = 64 * 1024;
/// Longest seek table and comment block that are read, in bytes.
const MAX_KEPT: usize = 1 << 20;
/// Blocks that are read.
const MAX_BLOCKS: usize = 1024;

/// The metadata before the frames.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) info: StreamInfo,
    /// Sample numbers, and offsets from the first frame on, in order.
    pub(super) points: Vec<(u64, u64)>,
    pub(super) tags: Tags,
}

/// Reads the metadata of the stream that begins at the window's position, and moves to its first frame.
pub(super) fn read(window: &mut Window) -> Result<Metadata, DecodeError> {
    window.consume(4);
    let mut info = None;
    let mut points = Vec::new();
    let mut tags = Tags::default();
    for _ in 0..MAX_BLOCKS {
        let Some(&[kind, a, b, c]) = window.peek(4)?.first_chunk::<4>() else { return Err(cut_off()) };
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        window.consume(4);
        match kind & 0x7F {
            STREAMINFO if info.is_none() => info = StreamInfo::parse(&take(window, len)?),
            SEEKTABLE if points.is_empty() && len <= MAX_KEPT => points = read_points(&take(window, len)?),
            VORBIS_COMMENT if len <= MAX_KEPT => tags.take_comments(&take(window, len)?),
            PICTURE if len <= MAX_PASSED || is_at_hand(window, len) => {
                tags.take_flac_picture(&take(window, len)?)
            }
            _ => window.skip(len as u64)?,
        }
        if kind & 0x80 != 0 {
            let info = info.ok_or_else(|| DecodeError::Malformed("FLAC without STREAMINFO".into()))?;
            return Ok(Metadata { info, points, tags });
        }
    }
    Err(DecodeError::Malformed("FLAC metadata without an end".into()))
}

fn is_at_hand(window: &Window, len: usize) -> bool {
    window.source().at_hand(window.offset()) >= len as u64
}

fn cut_off() -> DecodeError {
    DecodeError::Malformed("FLAC metadata is cut off".into())
}

fn take(window: &mut Window, len: usize) -> Result<Vec<u8>, DecodeError> {
    let block = window.peek(len)?.get(..len).ok_or_else(cut_off)?.to_vec();
    window.consume(len);
    Ok(block)
}

fn read_points(block: &[u8]) -> Vec<(u64, u64)> {
    let word =
        |point: &[u8], at: usize| point[at..].first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
    let points = block.chunks_exact(18).filter_map(|point| Some((word(point, 0)?, word(point, 8)?)));
    let mut points: Vec<_> = points.filter(|&(sample, _)| sample != u64::MAX).collect();
    // A table out of order is of no use.
    if !points.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1) {
        points.clear();
    }
    points
}
