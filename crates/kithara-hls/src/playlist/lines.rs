//! Lines of a playlist.

use std::borrow::Cow;

/// The text in UTF-8: playlists of Windows programs are UTF-16, with a byte order mark or without.
pub(super) fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    #[allow(clippy::type_complexity)]
    let (rest, unit): (&[u8], fn([u8; 2]) -> u16) = match text {
        [0xFF, 0xFE, rest @ ..] => (rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => (rest, u16::from_be_bytes),
        [b'#', 0, b'E', 0, ..] => (text, u16::from_le_bytes),
        [0, b'#', 0, b'E', ..] => (text, u16::from_be_bytes),
        _ => return Cow::Borrowed(text),
    };
    let (units, _) = rest.as_chunks::<2>();
    let chars = char::decode_utf16(units.iter().map(|pair| unit(*pair)));
    let text: String = chars.map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Cow::Owned(text.into_bytes())
}

/// Lines with their numbers from 1, without terminators (`\n`, `\r\n`, `\r`) and surrounding white space or zeros (writers of
/// fixed buffers pad with them).
#[derive(Debug, Clone)]
pub(super) struct Lines<'a> {
    rest: Option<&'a [u8]>,
    number: usize,
}

/// One line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) text: Cow<'a, str>,
    /// Bytes as they stand in the file.
    pub(super) len: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: Some(text), number: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let text = self.rest.take()?;
        let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line = match end {
            Some(end) => {
                let terminator = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
                self.rest = Some(&text[end + terminator..]);
                &text[..end]
            }
            None => text,
        };
        self.number += 1;
        let text = match String::from_utf8_lossy(line) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(is_blank)),
            Cow::Owned(text) => Cow::Owned(text.trim_matches(is_blank).to_owned()),
        };
        Some(Line { number: self.number, text, len: line.len() })
    }
}

fn is_blank(char: char) -> bool {
    char.is_whitespace() || char == '\0'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_terminator_ends_a_line() {
        let lines: Vec<_> =
            Lines::new(b"a\nb\r\nc\r\rd \xff\ne").map(|line| (line.number, line.text)).collect();
        let expected = [(1, "a"), (2, "b"), (3, "c"), (4, ""), (5, "d \u{fffd}"), (6, "e")];
        assert_eq!(lines, expected.map(|(number, text)| (number, Cow::Borrowed(text))));
    }

    #[test]
    fn zeros_around_lines_do_not_count() {
        let lines: Vec<_> = Lines::new(b"\0#EXTINF:4,\na\0 \n\0\0\0").map(|line| line.text).collect();
        assert_eq!(lines, ["#EXTINF:4,", "a", ""]);
    }
}
