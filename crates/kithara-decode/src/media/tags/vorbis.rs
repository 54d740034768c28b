//! Vorbis comments (of Vorbis, Opus and FLAC), and FLAC's picture block (RFC 9639, 8.8).

use std::time::Duration;

use super::{Tags, values};

impl Tags {
    /// Takes a comment, `ARTIST=…`.
    pub(in crate::media) fn take_comment(&mut self, comment: &str) {
        let Some((name, value)) = comment.split_once('=') else { return };
        if name.eq_ignore_ascii_case("METADATA_BLOCK_PICTURE") {
            if let Some(block) = values::base64(value) {
                self.take_flac_picture(&block);
            }
            return;
        }
        if name.eq_ignore_ascii_case("COVERART") {
            if let Some(data) = values::base64(value) {
                self.take_picture("", 3, "", &data);
            }
            return;
        }
        if name.len() >= 10 && name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("CHAPTER")) {
            self.take_chapter_comment(&name[7..], value);
        }
        self.take(name, value);
    }

    /// `CHAPTER001=00:01:02.345`, and `CHAPTER001NAME=…` behind it.
    fn take_chapter_comment(&mut self, number: &str, value: &str) {
        if number.bytes().all(|byte| byte.is_ascii_digit()) {
            if let Some(start) = clock(value) {
                self.take_chapter(start, None, None);
            }
        } else if number.get(3..).is_some_and(|rest| rest.eq_ignore_ascii_case("NAME"))
            && let Some(chapter) = self.chapters.iter_mut().rev().find(|chapter| chapter.title.is_none())
        {
            chapter.title = Some(value.chars().take(super::MAX_VALUE).collect());
        }
    }

    /// Takes a block of comments: the vendor's name, their count, and the comments.
    pub(in crate::media) fn take_comments(&mut self, block: &[u8]) {
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

    /// Takes the content of a PICTURE block.
    pub(in crate::media) fn take_flac_picture(&mut self, block: &[u8]) {
        fn word(rest: &[u8]) -> Option<(u32, &[u8])> {
            let (word, tail) = rest.split_first_chunk::<4>()?;
            Some((u32::from_be_bytes(*word), tail))
        }
        fn bytes(rest: &[u8]) -> Option<(&[u8], &[u8])> {
            let (len, tail) = word(rest)?;
            tail.split_at_checked(len as usize)
        }
        let parse = || {
            let (kind, rest) = word(block)?;
            let (mime, rest) = bytes(rest)?;
            let (description, rest) = bytes(rest)?;
            // Width, height, depth, colours.
            let (data, _) = bytes(rest.get(16..)?)?;
            Some((kind, mime, description, data))
        };
        if let Some((kind, mime, description, data)) = parse() {
            let (mime, description) = (String::from_utf8_lossy(mime), String::from_utf8_lossy(description));
            self.take_picture(&mime, u8::try_from(kind).unwrap_or(0), &description, data);
        }
    }
}

/// `HH:MM:SS.sss`
fn clock(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    for part in text.trim().split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Duration::try_from_secs_f64(seconds).ok()
}
