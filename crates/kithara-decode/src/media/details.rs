//! What a file says about itself.

use std::time::Duration;

/// What the media says about itself.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MediaDetails {
    /// Container: "mp4", "mp3", "adts", "flac", "ogg", "wav", "w64", "au", "aiff", "caf", "matroska", "mpegts".
    pub container: &'static str,
    /// Codec: "aac", "mp3", "flac", "alac", "vorbis", "opus", "pcm", …
    pub codec: &'static str,
    /// Rate of the media in Hz, before any resampling.
    pub sample_rate: u32,
    /// Channels of the media, before any remixing.
    pub channels: u16,
    /// Frames that a whole decode gives at the output rate, if the media tells before it is decoded.
    pub total_frames: Option<u64>,
    /// Length, if the media tells or it can be estimated.
    pub duration: Option<Duration>,
    /// Bits per sample of lossless media.
    pub bits_per_sample: Option<u32>,
    /// Tags that stood before the audio.
    pub tags: Tags,
}

/// Tags that were read on the way; never looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tags {
    /// Title of the track.
    pub title: Option<String>,
    /// Artist of the track.
    pub artist: Option<String>,
    /// Album it belongs to.
    pub album: Option<String>,
}

/// Longest tag value kept, in characters.
const MAX_VALUE: usize = 512;

impl Tags {
    /// Takes a Vorbis comment ("ARTIST=…"), the first of its kind.
    pub(super) fn take_comment(&mut self, comment: &str) {
        let Some((name, value)) = comment.split_once('=') else { return };
        let slot = match name.to_ascii_uppercase().as_str() {
            "TITLE" => &mut self.title,
            "ARTIST" => &mut self.artist,
            "ALBUM" => &mut self.album,
            _ => return,
        };
        set(slot, value);
    }

    /// Takes a block of Vorbis comments: the vendor's name, their count, and the comments.
    pub(super) fn take_comments(&mut self, block: &[u8]) {
        fn field(rest: &[u8]) -> Option<(&[u8], &[u8])> {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            tail.split_at_checked(u32::from_le_bytes(*len) as usize)
        }
        let Some((_, mut rest)) = field(block).and_then(|(_, tail)| tail.split_first_chunk::<4>()) else {
            return;
        };
        while let Some((comment, tail)) = field(rest) {
            self.take_comment(&String::from_utf8_lossy(comment));
            rest = tail;
        }
    }

    /// Takes the text frames of the beginning of an ID3v2 tag.
    pub(super) fn take_id3(&mut self, tag: &[u8]) {
        let Some((header, mut body)) = tag.split_at_checked(10) else { return };
        let major = header[3];
        if !(2..=4).contains(&major) || header[5] & 0x80 != 0 {
            return;
        }
        if header[5] & 0x40 != 0 {
            let Some(extended) = body.first_chunk::<4>() else { return };
            let skip = if major == 4 { synchsafe(*extended) } else { u32::from_be_bytes(*extended) + 4 };
            body = body.get(skip as usize..).unwrap_or_default();
        }
        while let Some((name, value, rest)) = id3_frame(body, major) {
            let slot = match name {
                b"TIT2" | b"TT2" => Some(&mut self.title),
                b"TPE1" | b"TP1" => Some(&mut self.artist),
                b"TALB" | b"TAL" => Some(&mut self.album),
                _ => None,
            };
            if let (Some(slot), Some(text)) = (slot, id3_text(value)) {
                set(slot, &text);
            }
            body = rest;
        }
    }

    pub(super) fn fill_from(&mut self, other: Self) {
        self.title = self.title.take().or(other.title);
        self.artist = self.artist.take().or(other.artist);
        self.album = self.album.take().or(other.album);
    }
}

fn set(slot: &mut Option<String>, value: &str) {
    let value = value.trim_matches(['\0', ' ']);
    if slot.is_none() && !value.is_empty() {
        *slot = Some(value.chars().take(MAX_VALUE).collect());
    }
}

fn synchsafe(bytes: [u8; 4]) -> u32 {
    bytes.iter().fold(0, |size, &byte| size << 7 | u32::from(byte & 0x7F))
}

/// Name, content and rest of the frame that `body` begins with.
fn id3_frame(body: &[u8], major: u8) -> Option<(&[u8], &[u8], &[u8])> {
    let (name_len, header_len) = if major == 2 { (3, 6) } else { (4, 10) };
    let (header, rest) = body.split_at_checked(header_len)?;
    let (name, size) = header.split_at(name_len);
    if name[0] == 0 {
        return None;
    }
    let size = match (major, size) {
        (2, &[a, b, c, ..]) => u32::from_be_bytes([0, a, b, c]),
        (3, &[a, b, c, d, ..]) => u32::from_be_bytes([a, b, c, d]),
        (_, &[a, b, c, d, ..]) => synchsafe([a, b, c, d]),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(size as usize)?;
    Some((name, value, rest))
}

fn id3_text(value: &[u8]) -> Option<String> {
    let (&encoding, text) = value.split_first()?;
    let units = |big: bool, text: &[u8]| -> String {
        let (pairs, _) = text.as_chunks::<2>();
        let units: Vec<u16> = pairs
            .iter()
            .map(|&pair| if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
            .collect();
        String::from_utf16_lossy(&units)
    };
    let text = match encoding {
        0 => text.iter().map(|&byte| char::from(byte)).collect(),
        1 if text.starts_with(&[0xFE, 0xFF]) => units(true, &text[2..]),
        1 => units(false, text.strip_prefix(&[0xFF, 0xFE]).unwrap_or(text)),
        2 => units(true, text),
        _ => String::from_utf8_lossy(text).into_owned(),
    };
    text.split('\0').next().map(str::to_owned)
}
