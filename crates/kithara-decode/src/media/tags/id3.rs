//! ID3v2 (2.2, 2.3, 2.4) and ID3v1.

use std::time::Duration;

use super::{Field, Tags, values};

/// Frames of a tag that are read.
const MAX_FRAMES: usize = 4096;

impl Tags {
    /// Takes the frames of an ID3v2 tag, or of its beginning.
    pub(in crate::media) fn take_id3(&mut self, tag: &[u8]) {
        let Some((header, body)) = tag.split_at_checked(10) else { return };
        let (major, flags) = (header[3], header[5]);
        if !header.starts_with(b"ID3") || !(2..=4).contains(&major) {
            return;
        }
        let len = header[6..].first_chunk::<4>().map_or(0, |size| synchsafe(*size) as usize);
        let body = &body[..body.len().min(len)];
        // Of version 2.4 each frame says whether it is unsynchronised.
        let plain;
        let mut body = if flags & 0x80 != 0 && major < 4 {
            plain = resynchronised(body);
            &plain[..]
        } else {
            body
        };
        if flags & 0x40 != 0 && major > 2 {
            let Some(extended) = body.first_chunk::<4>() else { return };
            let skip = if major == 4 {
                synchsafe(*extended)
            } else {
                u32::from_be_bytes(*extended).saturating_add(4)
            };
            body = body.get(skip as usize..).unwrap_or_default();
        }
        self.take_frames(body, major, flags & 0x80 != 0, true);
    }

    fn take_frames(&mut self, mut body: &[u8], major: u8, is_unsynchronised: bool, is_top: bool) {
        for _ in 0..MAX_FRAMES {
            let Some((name, flags, value, rest)) = frame(body, major) else { break };
            let encoded = major == 4 && flags & 0x0F != 0 || major == 3 && flags & 0xE0 != 0;
            let plain;
            let value = match encoded {
                false if major == 4 && is_unsynchronised => {
                    plain = resynchronised(value);
                    &plain[..]
                }
                false => value,
                true => match decoded(value, major, flags) {
                    Some(found) => {
                        plain = found;
                        &plain[..]
                    }
                    None => &[],
                },
            };
            self.take_frame(name, value, major, is_top);
            body = rest;
        }
    }

    fn take_frame(&mut self, name: &[u8], value: &[u8], major: u8, is_top: bool) {
        match name {
            b"APIC" => self.take_apic(value, false),
            b"PIC" => self.take_apic(value, true),
            b"TXXX" | b"TXX" => {
                if let Some((description, text)) = pair(value) {
                    self.take(&description, &text);
                }
            }
            b"COMM" | b"COM" => {
                // Encoding, language, description, text. iTunes keeps its own numbers under descriptions.
                let joined =
                    value.first().map(|&encoding| [&[encoding], value.get(4..).unwrap_or_default()].concat());
                if let Some((description, text)) = joined.as_deref().and_then(pair) {
                    let field = description.is_empty().then_some(Field::Comment);
                    let name =
                        if description.is_empty() { "COMM".into() } else { format!("COMM:{description}") };
                    self.take_as(field, &name, &text);
                }
            }
            b"CHAP" if is_top => self.take_chap(value, major),
            [b'T', ..] => {
                let name = String::from_utf8_lossy(name);
                let Some(text) = text(value) else { return };
                let field = field_of(&name);
                let text = if field == Some(Field::Genre) { values::genre_text(&text) } else { text };
                self.take_as(field, &name, &text);
            }
            _ => {}
        }
    }

    /// `CHAP` (ID3v2 Chapter Frame Addendum): its name, four numbers, and frames of its own.
    fn take_chap(&mut self, value: &[u8], major: u8) {
        let Some(at) = value.iter().position(|&byte| byte == 0) else { return };
        let Some((times, frames)) = value[at + 1..].split_at_checked(16) else { return };
        let millis = |at: usize| {
            let word = times
                .get(at..)
                .and_then(|rest| rest.first_chunk::<4>())
                .map(|word| u32::from_be_bytes(*word));
            word.map(|millis| Duration::from_millis(millis.into()))
        };
        let mut inner = Self::default();
        inner.take_frames(frames, major, false, false);
        if let Some(start) = millis(0) {
            self.take_chapter(start, millis(4), inner.title);
        }
    }

    fn take_apic(&mut self, value: &[u8], is_old: bool) {
        let parse = || {
            let (&encoding, rest) = value.split_first()?;
            let (mime, rest) = if is_old {
                let (format, rest) = rest.split_at_checked(3)?;
                (String::from_utf8_lossy(format).into_owned(), rest)
            } else {
                let end = rest.iter().position(|&byte| byte == 0)?;
                (String::from_utf8_lossy(&rest[..end]).into_owned(), &rest[end + 1..])
            };
            let (&kind, rest) = rest.split_first()?;
            let (description, data) = terminated(encoding, rest)?;
            Some((mime, kind, string(encoding, description), data))
        };
        if let Some((mime, kind, description, data)) = parse() {
            self.take_picture(&mime, kind, &description, data);
        }
    }

    /// Takes the 128 bytes of an ID3v1 tag.
    pub(in crate::media) fn take_id3v1(&mut self, tag: &[u8]) {
        let Some(body) = tag.strip_prefix(b"TAG").and_then(|body| body.first_chunk::<125>()) else { return };
        let part = |range: std::ops::Range<usize>| -> String {
            body[range].iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
        };
        for (name, value) in [
            ("TITLE", part(0..30)),
            ("ARTIST", part(30..60)),
            ("ALBUM", part(60..90)),
            ("YEAR", part(90..94)),
        ] {
            self.take(name, &value);
        }
        if body[122] == 0 && body[123] != 0 {
            self.take("TRACK", &body[123].to_string());
        }
        if let Some(genre) = values::genre(body[124].into()) {
            self.take("GENRE", genre);
        }
    }
}

fn field_of(name: &str) -> Option<Field> {
    Some(match name {
        "TIT2" | "TT2" => Field::Title,
        "TPE1" | "TP1" => Field::Artist,
        "TALB" | "TAL" => Field::Album,
        "TPE2" | "TP2" => Field::AlbumArtist,
        "TCOM" | "TCM" => Field::Composer,
        "TCON" | "TCO" => Field::Genre,
        "TDRC" | "TYER" | "TYE" | "TDRL" => Field::Date,
        "TRCK" | "TRK" => Field::Track,
        "TPOS" | "TPA" => Field::Disc,
        _ => return None,
    })
}

fn synchsafe(bytes: [u8; 4]) -> u32 {
    bytes.iter().fold(0, |size, &byte| size << 7 | u32::from(byte & 0x7F))
}

/// Name, flags, content and rest of the frame that `body` begins with.
#[allow(clippy::type_complexity)]
fn frame(body: &[u8], major: u8) -> Option<(&[u8], u8, &[u8], &[u8])> {
    let (name_len, header_len) = if major == 2 { (3, 6) } else { (4, 10) };
    let (header, rest) = body.split_at_checked(header_len)?;
    let name = &header[..name_len];
    if !name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return None;
    }
    let size = match (major, &header[name_len..]) {
        (2, &[a, b, c, ..]) => u32::from_be_bytes([0, a, b, c]),
        (3, &[a, b, c, d, ..]) => u32::from_be_bytes([a, b, c, d]),
        (_, &[a, b, c, d, ..]) => size_of_frame([a, b, c, d], rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(size as usize)?;
    Some((name, header.get(9).copied().unwrap_or(0), value, rest))
}

/// The size of a frame of version 2.4. Some writers (old iTunes) do not write it synchsafe: then the next frame shows it.
fn size_of_frame(bytes: [u8; 4], rest: &[u8]) -> u32 {
    let (safe, plain) = (synchsafe(bytes), u32::from_be_bytes(bytes));
    let ends_well = |size: u32| match rest.get(size as usize..) {
        Some([]) => true,
        Some(next) => next[0] == 0 || next[0].is_ascii_uppercase(),
        None => false,
    };
    if safe != plain && !ends_well(safe) && ends_well(plain) { plain } else { safe }
}

/// The content of a frame that is unsynchronised or has a length in front. `None` for a compressed or encrypted one.
fn decoded(value: &[u8], major: u8, flags: u8) -> Option<Vec<u8>> {
    if major == 3 {
        // Only grouping, which puts a byte in front.
        return (flags & 0xC0 == 0).then(|| value.get(1..).unwrap_or_default().to_vec());
    }
    if flags & 0x0C != 0 {
        return None;
    }
    let value = if flags & 0x01 != 0 { value.get(4..).unwrap_or_default() } else { value };
    Some(if flags & 0x02 != 0 { resynchronised(value) } else { value.to_vec() })
}

/// Undoes unsynchronisation: the zero behind each 0xFF goes.
fn resynchronised(data: &[u8]) -> Vec<u8> {
    let mut last = 0;
    let keep = |&byte: &u8| {
        let is_stuffing = last == 0xFF && byte == 0;
        last = byte;
        !is_stuffing
    };
    data.iter().copied().filter(keep).collect()
}

/// The first of the texts in a text frame; of several artists, all of them.
fn text(value: &[u8]) -> Option<String> {
    let (&encoding, text) = value.split_first()?;
    let text = string(encoding, text);
    let mut parts = text.split('\0').filter(|part| !part.is_empty());
    let first = parts.next()?.to_owned();
    Some(parts.fold(first, |all, part| format!("{all}; {part}")))
}

/// Two strings behind their encoding.
fn pair(value: &[u8]) -> Option<(String, String)> {
    let (&encoding, rest) = value.split_first()?;
    let (first, second) = terminated(encoding, rest)?;
    Some((string(encoding, first), string(encoding, second)))
}

/// A string up to its terminator, and what follows that.
fn terminated(encoding: u8, data: &[u8]) -> Option<(&[u8], &[u8])> {
    if matches!(encoding, 1 | 2) {
        let at = 2 * data.as_chunks::<2>().0.iter().position(|pair| *pair == [0, 0])?;
        return Some((&data[..at], &data[at + 2..]));
    }
    let at = data.iter().position(|&byte| byte == 0)?;
    Some((&data[..at], &data[at + 1..]))
}

fn string(encoding: u8, text: &[u8]) -> String {
    let units = |is_big: bool, text: &[u8]| -> String {
        let (pairs, _) = text.as_chunks::<2>();
        let units = pairs
            .iter()
            .map(|&pair| if is_big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
        let text: String =
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        text.replace('\u{FEFF}', "")
    };
    let text = match encoding {
        0 => text.iter().map(|&byte| char::from(byte)).collect(),
        1 if text.starts_with(&[0xFE, 0xFF]) => units(true, &text[2..]),
        1 => units(false, text),
        2 => units(true, text),
        _ => String::from_utf8_lossy(text).into_owned(),
    };
    text.trim_end_matches('\0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &[u8; 4], value: &[u8]) -> Vec<u8> {
        let len = value.len();
        let size = [0, 0, (len >> 7) as u8, (len & 127) as u8];
        [&name[..], &size, &[0, 0], value].concat()
    }

    fn tag(frames: &[u8]) -> Vec<u8> {
        let len = frames.len();
        let size = [0, (len >> 14) as u8 & 127, (len >> 7) as u8 & 127, (len & 127) as u8];
        [b"ID3\x04\0\0", &size[..], frames].concat()
    }

    #[test]
    fn frames_become_fields() {
        let chapter = [
            b"ch1\0",
            &1000u32.to_be_bytes()[..],
            &2500u32.to_be_bytes(),
            &[0xFF; 8],
            &frame(b"TIT2", b"\x03Start"),
        ]
        .concat();
        let frames = [
            frame(b"TIT2", b"\x01\xFF\xFEH\0i\0"),
            frame(b"TPE1", b"\x03One\0Two"),
            frame(b"TRCK", b"\x003/9"),
            frame(b"TCON", b"\x03(17)"),
            frame(b"TXXX", b"\x03replaygain_album_gain\0-1.5 dB"),
            frame(b"COMM", b"\x03eng\0Nice"),
            frame(b"APIC", b"\0image/png\0\x03cover\0\x89PNG..."),
            frame(b"CHAP", &chapter),
        ]
        .concat();
        let mut tags = Tags::default();
        let bytes = tag(&frames);
        tags.take_id3(&bytes);
        assert_eq!((tags.title.as_deref(), tags.artist.as_deref()), (Some("Hi"), Some("One; Two")));
        assert_eq!((tags.track, tags.track_total, tags.genre.as_deref()), (Some(3), Some(9), Some("Rock")));
        assert_eq!((tags.replay_gain.album_gain, tags.comment.as_deref()), (Some(-1.5), Some("Nice")));
        let cover = tags.cover().unwrap();
        assert_eq!((&*cover.mime, cover.kind, &cover.data[..]), ("image/png", 3, &b"\x89PNG..."[..]));
        let chapter = &tags.chapters[0];
        assert_eq!((chapter.start.as_millis(), chapter.end.unwrap().as_millis()), (1000, 2500));
        assert_eq!(chapter.title.as_deref(), Some("Start"));
        for cut in 0..bytes.len() {
            Tags::default().take_id3(&bytes[..cut]);
        }
    }

    #[test]
    fn id3v1_is_read() {
        let mut tag = b"TAGSong".to_vec();
        tag.resize(33, 0);
        tag.extend_from_slice(b"Artist");
        tag.resize(126, 0);
        tag.extend_from_slice(&[7, 8]);
        let mut tags = Tags::default();
        tags.take_id3v1(&tag);
        assert_eq!((tags.title.as_deref(), tags.artist.as_deref()), (Some("Song"), Some("Artist")));
        assert_eq!((tags.track, tags.genre.as_deref()), (Some(7), Some("Jazz")));
    }
}
