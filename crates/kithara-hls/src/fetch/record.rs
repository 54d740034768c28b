//! How a playlist is stored: the URL that its relative URLs are relative to, and its text.
//!
//! The URL that a playlist was asked by may hold a password or a token, so it is not stored: a record says that the playlist
//! came from there, or names the URL that redirects led to, without credentials and query. Neither has a part in resolving the
//! URLs of a playlist, but for credentials, which are taken from the URL that is asked for if it leads to the same host.
//!
//! ```text
//! #kithara-base:                               the URL that was asked for
//! #kithara-base:https://cdn.example/a/b.m3u8   the URL that redirects led to
//! ```
//! The text follows behind the line feed. Records of before begin with the bare URL.

use bytes::Bytes;
use url::Url;

const BASE: &str = "#kithara-base:";

/// The record of a playlist that was asked for at `asked` and came from `from`.
pub(super) fn encode(asked: &Url, from: &Url, body: &[u8]) -> Vec<u8> {
    let base = if asked == from { String::new() } else { bare(from).into() };
    [BASE.as_bytes(), base.as_bytes(), b"\n", body].concat()
}

/// A stored playlist.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The URL that its relative URLs are relative to.
    pub(super) from: Url,
    pub(super) body: Bytes,
    /// The record is of the old form, which tells the whole URL: to be written anew.
    pub(super) is_old: bool,
}

/// Reads a record; `None` if it is none.
pub(super) fn decode(asked: &Url, record: &Bytes) -> Option<Stored> {
    let end = record.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&record[..end]).ok()?;
    let body = record.slice(end + 1..);
    match line.strip_prefix(BASE) {
        Some("") => Some(Stored { from: asked.clone(), body, is_old: false }),
        Some(base) => {
            let mut from = Url::parse(base).ok()?;
            let is_same_host =
                from.host() == asked.host() && from.port_or_known_default() == asked.port_or_known_default();
            if is_same_host {
                // Fails for URLs that have no host alone.
                let _ = from.set_username(asked.username());
                let _ = from.set_password(asked.password());
            }
            Some(Stored { from, body, is_old: false })
        }
        None => Some(Stored { from: Url::parse(line).ok()?, body, is_old: true }),
    }
}

fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    bare.set_query(None);
    bare.set_fragment(None);
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"#EXTM3U\nseg.ts\n";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn back(asked: &str, from: &str) -> (String, String) {
        let record = Bytes::from(encode(&url(asked), &url(from), TEXT));
        let stored = decode(&url(asked), &record).unwrap();
        assert_eq!((&stored.body[..], stored.is_old), (TEXT, false));
        let resolved = stored.from.join("seg.ts").unwrap();
        (String::from_utf8_lossy(&record).lines().next().unwrap().to_owned(), resolved.into())
    }

    #[test]
    fn a_record_holds_neither_password_nor_token_and_resolves_as_before() {
        for (asked, from, line, segment) in [
            (
                "https://user:secret@h/live/a.m3u8?token=secret#secret",
                "https://user:secret@h/live/a.m3u8?token=secret#secret",
                "#kithara-base:",
                "https://user:secret@h/live/seg.ts",
            ),
            (
                "https://user:secret@h/a.m3u8?token=secret",
                "https://user:secret@h/b/a.m3u8?session=secret",
                "#kithara-base:https://h/b/a.m3u8",
                "https://user:secret@h/b/seg.ts",
            ),
            (
                "https://user:secret@h/a.m3u8",
                "https://cdn/b/a.m3u8?token=secret",
                "#kithara-base:https://cdn/b/a.m3u8",
                "https://cdn/b/seg.ts",
            ),
            (
                "https://user:secret@h/a.m3u8",
                "https://user:secret@h:8443/a.m3u8",
                "#kithara-base:https://h:8443/a.m3u8",
                "https://h:8443/seg.ts",
            ),
        ] {
            assert_eq!(back(asked, from), (line.to_owned(), segment.to_owned()), "{asked}");
        }
    }

    #[test]
    fn records_of_before_are_read_and_marked() {
        let asked = url("https://h/a.m3u8");
        let old = Bytes::from([b"https://cdn/b.m3u8?token=x\n", TEXT].concat());
        let stored = decode(&asked, &old).unwrap();
        assert_eq!(
            (stored.from.as_str(), &stored.body[..], stored.is_old),
            ("https://cdn/b.m3u8?token=x", TEXT, true)
        );
        for garbage in ["", "no line feed", "#kithara-base:not a url\n", "\n", "#EXTM3U\nseg.ts\n"] {
            assert_eq!(decode(&asked, &Bytes::from(garbage)), None, "{garbage:?}");
        }
    }
}
