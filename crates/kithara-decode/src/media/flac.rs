//! Native FLAC: its metadata is read here, so that pictures are skipped instead of read.

use std::io;

use super::backend::Opened;
use super::decoder::opened_by_symphonia;
use super::details::Tags;
use super::format::Format;
use super::source::Window;
use super::symphonia_file::SymphoniaFile;
use crate::DecodeError;

const STREAMINFO: u8 = 0;
const SEEKTABLE: u8 = 3;
const VORBIS_COMMENT: u8 = 4;
/// Longest seek table and comment block that are read, in bytes.
const MAX_KEPT: usize = 1 << 20;
/// Blocks that are believed.
const MAX_BLOCKS: usize = 1024;
/// Longest block that is read through rather than skipped by a seek.
const READ_THROUGH: usize = 64 * 1024;

/// Opens the FLAC stream that begins at the window's position.
pub(super) fn open(mut window: Window, tags: Tags) -> Result<Opened, DecodeError> {
    let (head, own_tags) = read_metadata(&mut window)?;
    let tail = window.offset();
    let (file, mut track) = SymphoniaFile::open(Format::Flac, window, head, tail, false)?;
    track.tags = own_tags;
    track.tags.fill_from(tags);
    opened_by_symphonia("flac", file, track)
}

/// The stream's head with nothing in it but what decoding needs; the window moves to the first frame.
fn read_metadata(window: &mut Window) -> Result<(Vec<u8>, Tags), DecodeError> {
    window.consume(4);
    let mut info = None;
    let mut table = None;
    let mut tags = Tags::default();
    for _ in 0..MAX_BLOCKS {
        let Some(&[kind, a, b, c]) = window.peek(4)?.first_chunk::<4>() else { return Err(cut_off()) };
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        window.consume(4);
        match kind & 0x7F {
            STREAMINFO if info.is_none() => info = Some(take(window, len)?),
            SEEKTABLE if table.is_none() && len <= MAX_KEPT => table = Some(take(window, len)?),
            VORBIS_COMMENT if len <= MAX_KEPT => tags.take_comments(&take(window, len)?),
            _ => skip(window, len)?,
        }
        if kind & 0x80 != 0 {
            let info = info.ok_or_else(|| DecodeError::Malformed("FLAC without STREAMINFO".into()))?;
            return Ok((rebuild(&info, table.as_deref()), tags));
        }
    }
    Err(DecodeError::Malformed("FLAC metadata without an end".into()))
}

fn cut_off() -> DecodeError {
    DecodeError::Malformed("FLAC metadata is cut off".into())
}

fn take(window: &mut Window, len: usize) -> Result<Vec<u8>, DecodeError> {
    let block = window.peek(len)?.get(..len).ok_or_else(cut_off)?.to_vec();
    window.consume(len);
    Ok(block)
}

fn skip(window: &mut Window, len: usize) -> io::Result<()> {
    if len <= READ_THROUGH {
        window.peek(len)?;
    }
    window.move_to(window.offset() + len as u64)
}

fn rebuild(info: &[u8], table: Option<&[u8]>) -> Vec<u8> {
    let mut head = b"fLaC".to_vec();
    let mut block = |kind: u8, data: &[u8]| {
        head.push(kind);
        head.extend_from_slice(&(data.len() as u32).to_be_bytes()[1..]);
        head.extend_from_slice(data);
    };
    block(if table.is_some() { STREAMINFO } else { STREAMINFO | 0x80 }, info);
    if let Some(table) = table {
        block(SEEKTABLE | 0x80, table);
    }
    head
}
