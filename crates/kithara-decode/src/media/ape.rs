//! Tags that stand in the way of MP3 and ADTS frames: APEv2 in front, and any at the end of the file.

use std::io;

use super::source::Window;
use super::tags::Tags;

/// Bytes of an APE tag's header, and of its footer.
pub(super) const HEADER_LEN: usize = 32;
/// Tags at the end that are looked for.
const MAX_TAGS: usize = 8;
/// Longest tag at the end that is read, in bytes.
const MAX_TAG: u64 = 16 << 20;
const ID3V1_LEN: u64 = 128;
const ID3_FOOTER_LEN: u64 = 10;
/// Bytes of "LYRICS200", and of the length in front of it.
const LYRICS_LEN: u64 = 9;
const LYRICS_SIZE_LEN: u64 = 6;
/// Longest Lyrics3 v1 tag, in bytes.
const MAX_LYRICS_V1: u64 = 5100 + 20;

/// Bytes of the APE tag that `data` begins with, if its header says so. (A tag may have a footer alone.)
pub(super) fn tag_len(data: &[u8]) -> Option<u64> {
    let fields = fields(data)?;
    let is_header = fields.flags >> 29 & 1 == 1;
    // The length counts the bytes behind the header: items and footer.
    is_header.then(|| HEADER_LEN as u64 + u64::from(fields.len))
}

struct Fields {
    len: u32,
    flags: u32,
}

fn fields(data: &[u8]) -> Option<Fields> {
    let fields = data.strip_prefix(b"APETAGEX")?.first_chunk::<16>()?;
    let word = |at: usize| u32::from_le_bytes([fields[at], fields[at + 1], fields[at + 2], fields[at + 3]]);
    Some(Fields { len: word(4), flags: word(12) })
}

/// Ends the window before the tags at the end of the file (ID3v1, Lyrics3, APE, ID3v2 with a footer), if that
/// end is at hand. The window stays where it is.
pub(super) fn end_before_tags(window: &mut Window, tags: &mut Tags) -> io::Result<()> {
    let source = window.source();
    if !source.is_end_at_hand() || !source.is_seekable() {
        return Ok(());
    }
    let Some(len) = window.byte_len() else { return Ok(()) };
    let start = window.offset();
    let mut end = len;
    for _ in 0..MAX_TAGS {
        match trailing_tag(window, start, end)? {
            Some(tag) if tag > 0 && end - start > tag => {
                take(window, end - tag, tag, tags)?;
                end -= tag;
            }
            _ => break,
        }
    }
    window.move_to(start)?;
    if end < len {
        window.end_at(end);
    }
    window.peek(1)?;
    Ok(())
}

/// Reads the tag of `len` bytes at `offset` into `tags`, for fields that are still empty.
fn take(window: &mut Window, offset: u64, len: u64, tags: &mut Tags) -> io::Result<()> {
    if len > MAX_TAG {
        return Ok(());
    }
    window.move_to(offset)?;
    let tag = window.peek(len as usize)?;
    let tag = &tag[..tag.len().min(len as usize)];
    let mut found = Tags::default();
    let is_ape = tag.len().checked_sub(HEADER_LEN).is_some_and(|at| tag[at..].starts_with(b"APETAGEX"));
    if tag.starts_with(b"ID3") {
        found.take_id3(tag);
    } else if tag.starts_with(b"TAG") {
        found.take_id3v1(tag);
    } else if is_ape {
        let items = if tag.starts_with(b"APETAGEX") { HEADER_LEN } else { 0 };
        found.take_ape_items(tag.get(items..tag.len() - HEADER_LEN).unwrap_or_default());
    }
    tags.fill_from(found);
    Ok(())
}

/// Bytes of the tag that ends at `end`.
fn trailing_tag(window: &mut Window, start: u64, end: u64) -> io::Result<Option<u64>> {
    let mut tail = |len: u64| -> io::Result<Vec<u8>> {
        let Some(from) = end.checked_sub(len).filter(|&from| from >= start) else { return Ok(Vec::new()) };
        window.move_to(from)?;
        let data = window.peek(len as usize)?;
        Ok(data.get(..len as usize).unwrap_or_default().to_vec())
    };
    if tail(ID3V1_LEN)?.starts_with(b"TAG") {
        return Ok(Some(ID3V1_LEN));
    }
    if let Some(footer) = fields(&tail(HEADER_LEN as u64)?).filter(|fields| fields.flags >> 29 & 1 == 0) {
        let header = if footer.flags >> 31 == 1 { HEADER_LEN as u64 } else { 0 };
        return Ok(Some(u64::from(footer.len) + header));
    }
    let footer = tail(ID3_FOOTER_LEN)?;
    if let Some(&[a, b, c, d]) =
        footer.strip_prefix(b"3DI").and_then(|rest| rest.get(3..7)?.first_chunk::<4>())
        && (a | b | c | d) & 0x80 == 0
    {
        let len = [a, b, c, d].iter().fold(0, |len, &byte| len << 7 | u64::from(byte));
        return Ok(Some(len + 2 * ID3_FOOTER_LEN));
    }
    let lyrics = tail(LYRICS_SIZE_LEN + LYRICS_LEN)?;
    if let Some(size) = lyrics.strip_suffix(b"LYRICS200") {
        let size = std::str::from_utf8(size).ok().and_then(|size| size.parse::<u64>().ok());
        return Ok(size.map(|size| size + LYRICS_SIZE_LEN + LYRICS_LEN));
    }
    if lyrics.ends_with(b"LYRICSEND") {
        let data = tail(MAX_LYRICS_V1.min(end - start))?;
        let begin = data.windows(11).rposition(|word| word == b"LYRICSBEGIN");
        return Ok(begin.map(|begin| (data.len() - begin) as u64));
    }
    Ok(None)
}
