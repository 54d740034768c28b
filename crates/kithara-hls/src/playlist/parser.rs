//! Reads a playlist line by line and hands each tag to the part of the model that it belongs to.

use url::Url;

use super::attributes::Attributes;
use super::context::Context;
use super::decimal;
use super::error::{PlaylistError, PlaylistErrorKind};
use super::limits::ParseOptions;
use super::lines::{self, Lines};
use super::master_builder::MasterBuilder;
use super::media_builder::MediaBuilder;
use super::start::Start;
use super::tags::{self, Scope, Tag, TagInfo};
use super::{Playlist, variables};

/// The newest protocol version that is known.
const KNOWN_VERSION: u64 = 13;

/// What may stand in both kinds of playlist.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) version: u64,
    pub(super) independent_segments: bool,
    pub(super) start: Option<Start>,
}

struct Parser<'p> {
    cx: Context<'p>,
    /// `Master` or `Media` as soon as a tag tells.
    kind: Option<Scope>,
    common: Common,
    master: MasterBuilder,
    media: MediaBuilder,
}

pub(super) fn parse(text: &[u8], base: &Url, options: &ParseOptions<'_>) -> Result<Playlist, PlaylistError> {
    let mut cx = Context::new(base, options);
    if text.len() > options.limits.bytes {
        return Err(cx.too_large("bytes", options.limits.bytes));
    }
    cx.line = 1;
    let decoded = lines::decode(text);
    let is_utf16 = matches!(decoded, std::borrow::Cow::Owned(_));
    let text = &*decoded;
    let (has_mark, text) = match text.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => (true, text),
        None => (false, text),
    };
    find_header(&mut cx, text)?;
    if has_mark {
        cx.warn("a byte order mark before #EXTM3U");
    }
    if is_utf16 {
        cx.warn("the text is UTF-16 instead of UTF-8");
    }
    let mut parser = Parser {
        cx,
        kind: None,
        common: Common { version: 1, independent_segments: false, start: None },
        master: MasterBuilder::default(),
        media: MediaBuilder::default(),
    };
    for line in Lines::new(text) {
        parser.cx.line = line.number;
        if line.len > options.limits.line_bytes {
            return Err(parser.cx.too_large("bytes in a line", options.limits.line_bytes));
        }
        parser.line(&line.text)?;
    }
    parser.finish()
}

/// Whether a text that begins like this may be a playlist: its first line that is not blank is a tag or a comment.
pub(super) fn may_begin(text: &[u8]) -> bool {
    let text = &*lines::decode(text);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Lines::new(text).find(|line| !line.text.is_empty()).is_none_or(|line| line.text.starts_with('#'))
}

/// `#EXTM3U` must be the first line; blank lines, comments and other tags before it are tolerated.
fn find_header(cx: &mut Context<'_>, text: &[u8]) -> Result<(), PlaylistError> {
    for line in Lines::new(text) {
        cx.line = line.number;
        let after = line.text.strip_prefix("#EXTM3U");
        if after.is_some_and(|after| !after.starts_with(|next: char| next.is_ascii_alphanumeric())) {
            if line.number > 1 {
                cx.warn("#EXTM3U is not the first line");
            }
            return Ok(());
        }
        if !line.text.is_empty() && !line.text.starts_with('#') {
            return Err(cx.error(PlaylistErrorKind::NotAPlaylist { found: describe(line.text.as_bytes()) }));
        }
    }
    cx.line = 1;
    let found = if text.trim_ascii().is_empty() { "nothing" } else { "text without it" };
    Err(cx.error(PlaylistErrorKind::NotAPlaylist { found }))
}

/// What a body that is no playlist seems to be.
fn describe(line: &[u8]) -> &'static str {
    let head = &line[..line.len().min(512)];
    let lower = head.to_ascii_lowercase();
    let holds = |needle: &[u8]| lower.windows(needle.len()).any(|window| window == needle);
    if holds(b"<mpd") || holds(b"urn:mpeg:dash") {
        "a DASH manifest (MPD)"
    } else if holds(b"<smoothstreamingmedia") {
        "a Smooth Streaming manifest"
    } else if lower.starts_with(b"[playlist]") {
        "a PLS list of stations"
    } else if lower.starts_with(b"http://") || lower.starts_with(b"https://") {
        "an M3U list of addresses"
    } else if [&b"ID3"[..], b"OggS", b"fLaC", b"RIFF", b"ADIF"].iter().any(|magic| head.starts_with(magic)) {
        "an audio file or a station"
    } else if holds(b"<html") || holds(b"<!doctype") || holds(b"<head") || holds(b"<body") {
        "an HTML document"
    } else if lower.starts_with(b"<") {
        "an XML document"
    } else if lower.starts_with(b"{") || lower.starts_with(b"[{") {
        "a JSON document"
    } else if head.iter().any(|byte| *byte < 9) || String::from_utf8_lossy(head).contains('\u{fffd}') {
        "binary data"
    } else {
        "other text"
    }
}

impl Parser<'_> {
    fn line(&mut self, text: &str) -> Result<(), PlaylistError> {
        match text.strip_prefix('#') {
            _ if text.is_empty() => Ok(()),
            None => self.uri(text),
            Some(tag) => match tags::find(tag) {
                Some((info, value)) => self.tag(info, value),
                None => Ok(()),
            },
        }
    }

    fn uri(&mut self, text: &str) -> Result<(), PlaylistError> {
        match self.kind {
            Some(Scope::Master) => self.master.uri(&mut self.cx, text),
            _ => self.media.uri(&mut self.cx, text),
        }
    }

    fn tag(&mut self, info: &'static TagInfo, value: &str) -> Result<(), PlaylistError> {
        self.settle_kind(info)?;
        match (info.scope, info.tag) {
            (_, Tag::Ignored | Tag::ExtM3u) => Ok(()),
            (Scope::Master, _) => self.master.tag(&mut self.cx, info, value),
            (Scope::Media, _) => self.media.tag(&mut self.cx, info, value),
            (Scope::Any, _) => self.common_tag(info, value),
        }
    }

    fn settle_kind(&mut self, info: &'static TagInfo) -> Result<(), PlaylistError> {
        match self.kind {
            _ if info.scope == Scope::Any => {}
            None => self.kind = Some(info.scope),
            Some(kind) if kind == info.scope => {}
            Some(kind) => {
                return Err(self.cx.error(PlaylistErrorKind::MixedTags {
                    tag: info.name,
                    expected: info.scope.name(),
                    actual: kind.name(),
                }));
            }
        }
        Ok(())
    }

    fn common_tag(&mut self, info: &'static TagInfo, value: &str) -> Result<(), PlaylistError> {
        match info.tag {
            Tag::Version => self.version(value),
            Tag::IndependentSegments => self.common.independent_segments = true,
            Tag::Start => self.start(value)?,
            Tag::Define => variables::define(&mut self.cx, value)?,
            _ => {}
        }
        Ok(())
    }

    fn version(&mut self, value: &str) {
        match decimal::integer(value) {
            Some(version) => {
                if version > KNOWN_VERSION {
                    self.cx.warn("EXT-X-VERSION is newer than this player knows");
                }
                self.common.version = version;
            }
            None => self.cx.warn("EXT-X-VERSION is not a number"),
        }
    }

    fn start(&mut self, value: &str) -> Result<(), PlaylistError> {
        let attributes = Attributes::parse(&mut self.cx, "EXT-X-START", value)?;
        match attributes.raw("TIME-OFFSET").and_then(decimal::signed_seconds) {
            Some((from_end, offset)) => {
                self.common.start = Some(Start { offset, from_end, precise: attributes.yes("PRECISE") });
            }
            None => self.cx.warn("EXT-X-START without a valid TIME-OFFSET is ignored"),
        }
        Ok(())
    }

    fn finish(self) -> Result<Playlist, PlaylistError> {
        match self.kind {
            Some(Scope::Master) => Ok(Playlist::Master(self.master.finish(self.cx, self.common))),
            Some(_) => self.media.finish(self.cx, self.common).map(Playlist::Media),
            None => Err(self.cx.error(PlaylistErrorKind::Empty)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::may_begin;

    #[test]
    fn what_may_become_a_playlist() {
        assert!(may_begin(b"\xff\xfe#\0E\0X\0") && may_begin(b"\0#\0E\0X"));
        for begin in ["", "\n \r\n", "#EXTM3U", "\u{feff}#EXTM3U\n", "\n\n# a comment", "#"] {
            assert!(may_begin(begin.as_bytes()), "{begin:?}");
        }
        for begin in ["<html>", "OggS\0", "\n[{", "\u{feff}x", "ID3"] {
            assert!(!may_begin(begin.as_bytes()), "{begin:?}");
        }
    }
}
