//! WAV: its chunks are read here, so that RF64, odd sizes and large tags are no matter, and so that frames of MPEG audio or
//! ADTS in it are cut as those of a bare file are.

use super::backend::Opened;
use super::decoder::opened_by_symphonia;
use super::details::Tags;
use super::format::Format;
use super::framed::{FramedFile, confirm};
use super::header::Kind;
use super::source::Window;
use super::symphonia_file::SymphoniaFile;
use crate::DecodeError;

/// Longest `fmt ` chunk that is read, in bytes.
const MAX_FMT: usize = 4096;
/// Chunks before the audio that are believed.
const MAX_CHUNKS: usize = 4096;
/// Longest chunk that is read through rather than skipped by a seek.
const READ_THROUGH: u64 = 64 * 1024;

/// Bytes in front of the first frame that are passed over.
const MAX_LEAD: u64 = 64 * 1024;

/// Opens the WAV file that begins at the window's position.
pub(super) fn open(mut window: Window, may_estimate: bool) -> Result<Opened, DecodeError> {
    let chunks = read_chunks(&mut window)?;
    let tail = window.offset();
    if let Some(kind) = framed_kind(&chunks.format) {
        if let Some(len) = chunks.data_len {
            window.end_at(tail.saturating_add(len));
        }
        return open_framed(window, kind, may_estimate);
    }
    let block = u64::from(block_align(&chunks.format).max(1));
    let head = rebuild(&chunks);
    let window_len = window.byte_len();
    let (file, mut track) = SymphoniaFile::open(Format::Wav, window, head, tail, false)?;
    let is_pcm = crate::codec::codec_name(track.params.codec) == "pcm";
    // The chunk may claim more than the file has.
    let left = window_len.map(|len| len.saturating_sub(tail));
    let data_len = chunks.data_len.map(|len| left.map_or(len, |left| len.min(left)));
    let frames = data_len.map(|len| len / block);
    if is_pcm {
        track.frames = frames;
    }
    let mut opened = opened_by_symphonia("wav", file, track)?;
    opened.stream.end = frames.filter(|_| is_pcm);
    Ok(opened)
}

/// What the format tag says of frames that tell their own length.
fn framed_kind(format: &[u8]) -> Option<Kind> {
    match *format.first_chunk::<2>()? {
        [0x50 | 0x55, 0] => Some(Kind::MpegAudio),
        [0x00, 0x16] => Some(Kind::Adts),
        _ => None,
    }
}

/// Opens the frames that begin at the window's position or a little behind it.
fn open_framed(mut window: Window, kind: Kind, may_estimate: bool) -> Result<Opened, DecodeError> {
    let start = window.offset();
    while window.offset() - start < MAX_LEAD && !window.peek(1)?.is_empty() {
        if let Some(first) = confirm(&mut window, kind, 3)? {
            let mut opened = FramedFile::open(window, kind, first, Tags::default(), may_estimate)?;
            opened.stream.container = "wav";
            return Ok(opened);
        }
        window.consume(1);
    }
    Err(DecodeError::Malformed("WAV without a frame of the kind that it names".into()))
}

struct Chunks {
    format: Vec<u8>,
    fact: Option<[u8; 4]>,
    /// `None`: up to the end of the file.
    data_len: Option<u64>,
}

/// Reads up to the audio, where the window then stands.
fn read_chunks(window: &mut Window) -> Result<Chunks, DecodeError> {
    let is_large = !window.peek(4)?.starts_with(b"RIFF");
    window.consume(12);
    let (mut format, mut fact, mut large_len) = (None, None, None);
    for _ in 0..MAX_CHUNKS {
        let Some(&[i0, i1, i2, i3, l0, l1, l2, l3]) = window.peek(8)?.first_chunk::<8>() else {
            return Err(DecodeError::Malformed("WAV without a data chunk".into()));
        };
        let id = [i0, i1, i2, i3];
        let len = u32::from_le_bytes([l0, l1, l2, l3]);
        window.consume(8);
        let start = window.offset();
        match &id {
            b"data" => {
                let format = format.ok_or_else(|| {
                    DecodeError::Malformed("WAV without a fmt chunk before its data".into())
                })?;
                let data_len = match (len, large_len) {
                    (u32::MAX, Some(large)) if is_large => Some(large),
                    // Written by an encoder that could not go back and fill it in.
                    (0 | u32::MAX, _) => None,
                    (len, _) => Some(u64::from(len)),
                };
                return Ok(Chunks { format, fact, data_len });
            }
            b"fmt " => {
                let len = (len as usize).min(MAX_FMT);
                format = Some(window.peek(len)?.get(..len).unwrap_or_default().to_vec());
            }
            b"fact" => fact = window.peek(4)?.first_chunk::<4>().copied(),
            b"ds64" => {
                large_len = window
                    .peek(16)?
                    .get(8..)
                    .and_then(|rest| rest.first_chunk::<8>())
                    .map(|len| u64::from_le_bytes(*len))
            }
            _ => {}
        }
        let len = u64::from(len);
        if len <= READ_THROUGH {
            window.peek(len as usize)?;
        }
        // Chunks begin at even offsets; some writers forget it.
        window.move_to(start + len)?;
        if len % 2 == 1 && window.peek(1)?.first() == Some(&0) {
            window.consume(1);
        }
    }
    Err(DecodeError::Malformed("WAV with too many chunks before its data".into()))
}

fn block_align(format: &[u8]) -> u16 {
    format.get(12..14).map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn rebuild(chunks: &Chunks) -> Vec<u8> {
    let data_len = chunks.data_len.and_then(|len| u32::try_from(len).ok()).unwrap_or(u32::MAX);
    let mut head = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ".to_vec();
    head.extend_from_slice(&(chunks.format.len() as u32).to_le_bytes());
    head.extend_from_slice(&chunks.format);
    if chunks.format.len() % 2 == 1 {
        head.push(0);
    }
    if let Some(fact) = chunks.fact {
        head.extend_from_slice(b"fact\x04\0\0\0");
        head.extend_from_slice(&fact);
    }
    head.extend_from_slice(b"data");
    head.extend_from_slice(&data_len.to_le_bytes());
    head
}
