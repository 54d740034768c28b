//! Which container a file is in, by its bytes.

use std::io;

use kithara_stream::MediaInfo;

use super::ape;
use super::details::Tags;
use super::framed::confirm;
use super::header::{Header, Kind};
use super::source::Window;
use super::wav;
use crate::DecodeError;
use crate::demux::{PACKET_LAYOUTS, SYNC, id3};

/// Bytes of an ID3 tag that are looked at for text.
const ID3_TEXT: usize = 16 * 1024;
/// Bytes of a tag that are read through rather than skipped by a seek.
const ID3_READ_THROUGH: u64 = 128 * 1024;
/// Bytes that show whether this is a transport stream: some packets of the longest layout.
const TS_PROOF: usize = 204 * 4 + 1;
/// Tags in a row that are believed.
const MAX_TAGS: usize = 16;

/// A container and where it begins (the window's position).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Framed(Kind, Header),
    Mp4,
    Flac,
    Ogg,
    Wav,
    Aiff,
    Caf,
    Au,
    Matroska,
    MpegTs,
}

/// Finds the format, and moves the window to its beginning. Skips tags, and up to `budget` bytes of garbage.
pub(super) fn find(
    window: &mut Window,
    hint: &MediaInfo,
    budget: u64,
    tags: &mut Tags,
) -> Result<Format, DecodeError> {
    skip_tags(window, tags)?;
    let start = window.offset();
    let head = describe(window.peek(64)?);
    if let Some(format) = at_start(window, hint)? {
        return Ok(format);
    }
    while window.offset() - start < budget {
        let data = window.peek(4096)?;
        if data.len() < 8 {
            break;
        }
        let Some(at) = data.iter().position(|&byte| matches!(byte, 0xFF | b'f' | b'O' | b'I' | b'A' | SYNC))
        else {
            let len = data.len();
            window.consume(len);
            continue;
        };
        window.consume(at);
        if let Some(format) = behind_garbage(window, hint)? {
            return Ok(format);
        }
        if tag_len(window)?.is_some() {
            skip_tags(window, tags)?;
        } else {
            window.consume(1);
        }
    }
    Err(DecodeError::NotMedia(head))
}

fn skip_tags(window: &mut Window, tags: &mut Tags) -> io::Result<()> {
    for _ in 0..MAX_TAGS {
        let Some(len) = tag_len(window)? else { return Ok(()) };
        let text = window.peek(usize::try_from(len).unwrap_or(usize::MAX).min(ID3_TEXT))?;
        let mut found = Tags::default();
        found.take_id3(text);
        tags.fill_from(found);
        let end = window.offset() + len;
        if len < ID3_READ_THROUGH {
            window.peek(len as usize)?;
        }
        window.move_to(end)?;
    }
    Ok(())
}

/// Bytes of the tag that stands at the window's position.
fn tag_len(window: &mut Window) -> io::Result<Option<u64>> {
    let data = window.peek(ape::HEADER_LEN)?;
    Ok(id3::tag_len(data).or_else(|| ape::tag_len(data)))
}

fn at_start(window: &mut Window, hint: &MediaInfo) -> io::Result<Option<Format>> {
    let head = window.peek(16)?;
    let head = &head[..head.len().min(16)];
    let word = |at: usize| head.get(at..at + 4).unwrap_or_default();
    let format = match (word(0), word(4), word(8)) {
        (b"fLaC", ..) => Some(Format::Flac),
        (b"OggS", ..) => Some(Format::Ogg),
        (b"RIFF" | b"RF64" | b"BW64", _, b"WAVE") => Some(Format::Wav),
        (b"FORM", _, b"AIFF" | b"AIFC") => Some(Format::Aiff),
        (b"caff", ..) => Some(Format::Caf),
        (b".snd", ..) => Some(Format::Au),
        _ if head == wav::RIFF_GUID => Some(Format::Wav),
        ([0x1A, 0x45, 0xDF, 0xA3], ..) => Some(Format::Matroska),
        (_, b"ftyp" | b"moov" | b"styp" | b"wide" | b"pnot", _) => Some(Format::Mp4),
        (_, b"mdat" | b"free" | b"skip", _) if !word(0).starts_with(&[0xFF]) => Some(Format::Mp4),
        _ => None,
    };
    if format.is_some() {
        return Ok(format);
    }
    if is_transport_stream(window.peek(TS_PROOF)?) {
        return Ok(Some(Format::MpegTs));
    }
    framed(window, |kind| if hints_at(hint, kind) { 1 } else { 3 })
}

fn behind_garbage(window: &mut Window, hint: &MediaInfo) -> io::Result<Option<Format>> {
    let head = window.peek(6)?;
    if head.starts_with(b"fLaC\0\0") {
        return Ok(Some(Format::Flac));
    }
    if head.starts_with(b"OggS\0\x02") {
        return Ok(Some(Format::Ogg));
    }
    if head.first() == Some(&SYNC) && is_transport_stream(window.peek(TS_PROOF)?) {
        return Ok(Some(Format::MpegTs));
    }
    framed(window, |kind| if hints_at(hint, kind) { 3 } else { 5 })
}

fn framed(window: &mut Window, needed: impl Fn(Kind) -> usize) -> io::Result<Option<Format>> {
    for kind in [Kind::MpegAudio, Kind::Adts] {
        if let Some(header) = confirm(window, kind, needed(kind))? {
            return Ok(Some(Format::Framed(kind, header)));
        }
    }
    Ok(None)
}

/// Whether packets stand at the start, in any of their layouts.
fn is_transport_stream(data: &[u8]) -> bool {
    let head = &data[..data.len().min(TS_PROOF)];
    PACKET_LAYOUTS.iter().any(|&(size, offset)| {
        let mut syncs = head.iter().skip(offset).step_by(size);
        syncs.clone().count() > 2 && syncs.all(|&byte| byte == SYNC)
    })
}

fn hints_at(hint: &MediaInfo, kind: Kind) -> bool {
    let (extensions, types): (&[&str], &[&str]) = match kind {
        Kind::MpegAudio => (&["mp3", "mp2", "mpga"], &["audio/mpeg", "audio/mp3"]),
        Kind::Adts => (&["aac", "adts"], &["audio/aac", "audio/aacp", "audio/x-aac"]),
    };
    hint.extension.as_deref().is_some_and(|extension| extensions.contains(&extension))
        || hint.content_type.as_deref().is_some_and(|content_type| types.contains(&content_type))
}

fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "no bytes at all".into();
    }
    let text: String =
        String::from_utf8_lossy(&head[..head.len().min(32)]).chars().filter(|c| !c.is_control()).collect();
    format!("begins with {text:?}")
}
