//! CAF: its chunks are read here, and given to Symphonia's reader in order and as long as they are. That reader wants the file to
//! end with a chunk, as one that was cut short or has something behind it does not.

use super::backend::Opened;
use super::decoder::opened_by_symphonia;
use super::format::Format;
use super::source::Window;
use super::symphonia_file::SymphoniaFile;
use crate::DecodeError;
use crate::codec::codec_name;

/// Longest chunk that is kept, in bytes: a table of packets has two bytes for each, or three.
const MAX_CHUNK: i64 = 64 << 20;
/// Chunks that are believed.
const MAX_CHUNKS: usize = 4096;
/// Bytes of a chunk's header, and of the audio chunk's count of edits.
const HEADER: usize = 12;
const EDITS: u64 = 4;

/// Opens the CAF file that begins at the window's position.
pub(super) fn open(mut window: Window) -> Result<Opened, DecodeError> {
    let mut head = window.peek(8)?.get(..8).unwrap_or_default().to_vec();
    window.consume(8);
    let chunks = Chunks::read(&mut window)?;
    let (tail, claimed) = chunks.data.ok_or_else(|| malformed("CAF without audio"))?;
    let packet = chunks.packet_len().ok_or_else(|| malformed("CAF without a description of its audio"))?;
    let len = window.byte_len().map(|len| len.saturating_sub(tail));
    let Some(len) = claimed.or(len).map(|claimed| len.map_or(claimed, |len| len.min(claimed))) else {
        return Err(DecodeError::Unsupported("CAF of unknown length".into()));
    };
    let len = match u64::from(packet) {
        0 if !chunks.has_table => return Err(malformed("CAF without the table of its packets")),
        0 => len,
        packet => len - len % packet,
    };
    head.extend(chunks.kept);
    head.extend_from_slice(b"data");
    head.extend_from_slice(&len.saturating_add(EDITS).to_be_bytes());
    head.extend_from_slice(&[0; EDITS as usize]);
    window.move_to(tail)?;
    window.end_at(tail.saturating_add(len));
    let (file, mut track) = SymphoniaFile::open(Format::Caf, window, head, tail, true)?;
    if codec_name(track.params.codec) != "pcm" {
        // The packet table counts the padding of the last packet.
        track.frames = None;
    }
    opened_by_symphonia("caf", file, track)
}

fn malformed(what: &str) -> DecodeError {
    DecodeError::Malformed(what.into())
}

/// What the chunks say.
#[derive(Default)]
struct Chunks {
    /// Those that the reader needs, but for the audio; the description first.
    kept: Vec<u8>,
    has_table: bool,
    /// Where the audio begins, and how long it claims to be (`None`: up to the end of the file).
    data: Option<(u64, Option<u64>)>,
}

impl Chunks {
    /// Reads the chunks before the audio, and those behind it if there are any.
    fn read(window: &mut Window) -> Result<Self, DecodeError> {
        let mut chunks = Self::default();
        for _ in 0..MAX_CHUNKS {
            let Some((kind, len)) = header(window)? else { break };
            let start = window.offset();
            let end = start.saturating_add(len.unsigned_abs());
            if &kind == b"data" {
                let audio = u64::try_from(len).ok().and_then(|len| len.checked_sub(EDITS));
                chunks.data.get_or_insert((start + EDITS, audio));
                let is_whole = window.byte_len().is_some_and(|file| end < file);
                if audio.is_none() || !is_whole || !window.source().is_seekable() {
                    break;
                }
            } else if len < 0 || chunks.data.is_some() && !kind.iter().all(u8::is_ascii_graphic) {
                break;
            } else if matches!(&kind, b"desc" | b"chan" | b"kuki" | b"pakt") && len <= MAX_CHUNK {
                let len = len.unsigned_abs() as usize;
                let Some(body) = window.peek(len)?.get(..len) else { break };
                chunks.keep(&kind, body);
            }
            window.skip(len.unsigned_abs())?;
        }
        Ok(chunks)
    }

    fn keep(&mut self, kind: &[u8; 4], body: &[u8]) {
        // What comes first must be the description, and there is one.
        if self.kept.is_empty() != (kind == b"desc") {
            return;
        }
        self.has_table |= kind == b"pakt";
        self.kept.extend_from_slice(kind);
        self.kept.extend_from_slice(&(body.len() as u64).to_be_bytes());
        self.kept.extend_from_slice(body);
    }

    /// Bytes of a packet; 0 where they differ, or hold different numbers of frames.
    fn packet_len(&self) -> Option<u32> {
        let word = |at: usize| {
            let bytes = self.kept.get(HEADER + at..)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        let (bytes, frames) = (word(16)?, word(20)?);
        Some(if frames == 0 { 0 } else { bytes })
    }
}

/// Kind and length of the chunk at the window's position, stepped over. `None` at the end of the file.
fn header(window: &mut Window) -> Result<Option<([u8; 4], i64)>, DecodeError> {
    let Some(&[a, b, c, d, len @ ..]) = window.peek(HEADER)?.first_chunk::<HEADER>() else { return Ok(None) };
    window.consume(HEADER);
    Ok(Some(([a, b, c, d], i64::from_be_bytes(len))))
}
