//! ICY (Shoutcast, Icecast): titles that a server mixes into the audio it streams.
//!
//! Asked with `Icy-MetaData: 1`, a server that answers `icy-metaint: N` puts a block after every N bytes of audio: one byte
//! that counts units of 16 bytes, then as many bytes of `StreamTitle='…';StreamUrl='…';`, padded with zeros.

use bytes::{Buf, Bytes};

/// Takes the metadata out of a body, however it is cut.
#[derive(Debug)]
pub(crate) struct IcyFilter {
    interval: usize,
    state: State,
    block: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// So many bytes of audio until the next block.
    Audio(usize),
    /// The byte that tells the length of the block.
    Length,
    /// So many bytes of the block are still to come.
    Block(usize),
}

/// A piece of what came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Audio, a slice of what was pushed.
    Audio(Bytes),
    /// A whole block of metadata that says something.
    Title(IcyTitle),
}

/// What a block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IcyTitle {
    pub(crate) title: Option<String>,
    pub(crate) url: Option<String>,
}

impl IcyFilter {
    /// For a body with a block after every `interval` bytes; `None` for an interval that makes no sense.
    pub(crate) fn new(interval: u64) -> Option<Self> {
        let interval = usize::try_from(interval).ok().filter(|interval| (1..=16 << 20).contains(interval))?;
        Some(Self { interval, state: State::Audio(interval), block: Vec::new() })
    }

    /// Takes bytes apart, in order.
    pub(crate) fn push(&mut self, mut data: Bytes, mut emit: impl FnMut(Piece)) {
        while !data.is_empty() {
            match self.state {
                State::Audio(left) => {
                    let len = left.min(data.len());
                    emit(Piece::Audio(data.split_to(len)));
                    self.state = if len == left { State::Length } else { State::Audio(left - len) };
                }
                State::Length => {
                    let len = usize::from(data.get_u8()) * 16;
                    self.block.clear();
                    self.state = if len == 0 { State::Audio(self.interval) } else { State::Block(len) };
                }
                State::Block(left) => {
                    let len = left.min(data.len());
                    self.block.extend_from_slice(&data.split_to(len));
                    self.state = State::Block(left - len);
                    if len == left {
                        self.state = State::Audio(self.interval);
                        let title = IcyTitle::parse(&self.block);
                        if title != IcyTitle::default() {
                            emit(Piece::Title(title));
                        }
                    }
                }
            }
        }
    }
}

impl IcyTitle {
    fn parse(block: &[u8]) -> Self {
        let end = block.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let text = decode(&block[..end]);
        Self { title: field(&text, "StreamTitle='"), url: field(&text, "StreamUrl='") }
    }
}

/// The value of a field. A value may itself hold quotes: it ends at `';`.
fn field(text: &str, name: &str) -> Option<String> {
    let rest = &text[text.find(name)? + name.len()..];
    let end = rest.find("';").or_else(|| rest.rfind('\'')).unwrap_or(rest.len());
    let value = rest[..end].trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// UTF-8 where it is, else Latin-1: servers say nothing about it and use both.
fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{IcyFilter, IcyTitle, Piece};

    fn block(text: &[u8]) -> Vec<u8> {
        let units = text.len().div_ceil(16);
        let mut block = vec![u8::try_from(units).unwrap()];
        block.extend_from_slice(text);
        block.resize(1 + units * 16, 0);
        block
    }

    #[test]
    fn audio_and_titles_come_apart_however_the_body_is_cut() {
        let mut body = b"12345678".to_vec();
        body.extend(block(b"StreamTitle='It's a; test';StreamUrl='http://x';"));
        body.extend(b"abcdefgh\0ABCDEFGH");
        body.extend(block(b"StreamTitle='caf\xe9';"));
        body.extend(b"tail");
        for cut in 1..body.len() {
            let mut filter = IcyFilter::new(8).unwrap();
            let (mut audio, mut titles) = (Vec::new(), Vec::new());
            for part in body.chunks(cut) {
                filter.push(Bytes::copy_from_slice(part), |piece| match piece {
                    Piece::Audio(bytes) => audio.extend_from_slice(&bytes),
                    Piece::Title(title) => titles.push(title),
                });
            }
            assert_eq!(audio, b"12345678abcdefghABCDEFGHtail");
            let first = IcyTitle { title: Some("It's a; test".into()), url: Some("http://x".into()) };
            assert_eq!(titles, [first, IcyTitle { title: Some("caf\u{e9}".into()), url: None }]);
        }
    }

    #[test]
    fn damaged_blocks_are_taken_for_what_they_can_be() {
        for (text, title) in
            [("StreamTitle='open", Some("open")), ("nothing", None), ("StreamTitle='';", None)]
        {
            assert_eq!(IcyTitle::parse(text.as_bytes()).title.as_deref(), title);
        }
        assert!(IcyFilter::new(0).is_none() && IcyFilter::new(u64::MAX).is_none());
    }
}
