//! Station lists: `.m3u`, `.pls` and `.xspf`. Pure.

use kithara_net::Url;

/// Bytes of a list that are read; further entries are ignored.
pub(crate) const MAX_BYTES: usize = 256 << 10;
/// Entries that are kept.
const MAX_ENTRIES: usize = 1_000;

/// What the first bytes of a resource are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// An HLS playlist (RFC 8216).
    Hls,
    /// A list of URLs.
    List(ListKind),
    /// Anything else: media, or an error page that the decoder names.
    Media,
}

/// Formats of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    M3u,
    Pls,
    Xspf,
}

/// Tells content apart by its first bytes, as far as they are there.
pub(crate) fn classify(head: &[u8], content_type: Option<&str>, path: &str) -> Content {
    let text = text(head);
    let start = text.trim_start();
    let lower = start.get(..start.len().min(512)).unwrap_or(start).to_ascii_lowercase();
    if start.starts_with("#EXTM3U") {
        let is_hls = start.lines().any(|line| line.starts_with("#EXT-X-"));
        return if is_hls { Content::Hls } else { Content::List(ListKind::M3u) };
    }
    if lower.starts_with("[playlist]") {
        return Content::List(ListKind::Pls);
    }
    if lower.starts_with('<') && lower.contains("<playlist") && lower.contains("xspf") {
        return Content::List(ListKind::Xspf);
    }
    let media_type =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let path = path.to_ascii_lowercase();
    // A bare list of URLs has no magic: the server or the name says so, and the text must bear it out.
    let is_named =
        matches!(media_type.as_str(), "audio/mpegurl" | "audio/x-mpegurl" | "application/x-mpegurl")
            || path.ends_with(".m3u")
            || path.ends_with(".m3u8");
    let first = start.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    match first {
        Some(line) if is_named && is_text(head) && line.len() < 4_096 => Content::List(ListKind::M3u),
        _ => Content::Media,
    }
}

/// The URLs of a list, resolved against its own, in its order.
pub(crate) fn entries(kind: ListKind, body: &[u8], base: &Url) -> Vec<Url> {
    let text = text(body);
    let found: Vec<String> = match kind {
        ListKind::M3u => text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect(),
        ListKind::Pls => pls(&text),
        ListKind::Xspf => xspf(&text),
    };
    found.iter().filter_map(|entry| resolve(entry, base)).take(MAX_ENTRIES).collect()
}

fn resolve(entry: &str, base: &Url) -> Option<Url> {
    let url = base.join(entry).ok()?;
    let is_playable = matches!(url.scheme(), "http" | "https")
        // A list from the network names no file of this machine.
        || (url.scheme() == "file" && base.scheme() == "file");
    is_playable.then_some(url)
}

/// `FileN=URL` lines, by N.
fn pls(text: &str) -> Vec<String> {
    let mut found: Vec<(u32, String)> = text
        .lines()
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let key = key.trim().to_ascii_lowercase();
            let number = key.strip_prefix("file")?.parse().ok()?;
            Some((number, value.trim().to_owned()))
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, url)| url).collect()
}

/// The text of each `<location>` (XSPF version 1, section 4.1.1.2.14.1.1).
fn xspf(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("<location>") {
        let Some((location, after)) = after.split_once("</location>") else { break };
        found.push(unescape(location.trim()));
        rest = after;
    }
    found
}

/// The five entities of XML.
fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// UTF-8 with or without a byte order mark, or Latin-1, as old lists are.
fn text(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, 0..=8 | 14..=31 | 127))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Url {
        "http://radio.example/lists/all.m3u".parse().unwrap()
    }

    #[test]
    fn hls_and_station_lists_are_told_apart_by_their_tags() {
        let hls = b"\xef\xbb\xbf#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n";
        assert_eq!(classify(hls, None, "/a"), Content::Hls);
        let radio = b"#EXTM3U\r\n#EXTINF:-1,Radio\r\nhttp://a.example/live\r\n";
        assert_eq!(
            classify(radio, Some("application/vnd.apple.mpegurl"), "/a.m3u8"),
            Content::List(ListKind::M3u)
        );
        assert_eq!(classify(b"[Playlist]\nFile1=x", None, "/"), Content::List(ListKind::Pls));
        let xspf = br#"<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/">"#;
        assert_eq!(classify(xspf, None, "/"), Content::List(ListKind::Xspf));
    }

    #[test]
    fn a_bare_list_needs_its_name_and_media_is_none() {
        let bare = b"http://a.example/live\n";
        assert_eq!(classify(bare, None, "/a.m3u"), Content::List(ListKind::M3u));
        assert_eq!(
            classify(bare, Some("audio/x-mpegurl; charset=utf-8"), "/a"),
            Content::List(ListKind::M3u)
        );
        assert_eq!(classify(bare, None, "/a.txt"), Content::Media);
        assert_eq!(classify(b"ID3\x04\0\0\0\0\0\0", Some("audio/mpegurl"), "/a.m3u"), Content::Media);
        assert_eq!(classify(b"<html><body>404", None, "/a.mp3"), Content::Media);
    }

    #[test]
    fn entries_are_resolved_and_foreign_schemes_left_out() {
        let body =
            b"# comment\nlive.mp3\n../b?x=1\nhttps://c.example/\nfile:///etc/passwd\nrtsp://d.example/\n";
        let found: Vec<String> = entries(ListKind::M3u, body, &base()).iter().map(Url::to_string).collect();
        assert_eq!(
            found,
            ["http://radio.example/lists/live.mp3", "http://radio.example/b?x=1", "https://c.example/"]
        );
    }

    #[test]
    fn a_pls_file_is_read_in_the_order_of_its_numbers() {
        let body = b"[playlist]\nFile2=http://b.example/\nTitle2=B\nFile1 = http://a.example/\nLength1=-1\n";
        let found: Vec<String> = entries(ListKind::Pls, body, &base()).iter().map(Url::to_string).collect();
        assert_eq!(found, ["http://a.example/", "http://b.example/"]);
    }

    #[test]
    fn xspf_locations_are_unescaped() {
        let body = b"<track><location> http://a.example/?a=1&amp;b=2 </location></track><location>cut";
        let found: Vec<String> = entries(ListKind::Xspf, body, &base()).iter().map(Url::to_string).collect();
        assert_eq!(found, ["http://a.example/?a=1&b=2"]);
    }
}
