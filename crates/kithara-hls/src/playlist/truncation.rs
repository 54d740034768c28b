//! Whether a list was read while it was being written.
//!
//! Servers that write a list in place let a client see its first part. Such a text mostly parses, so that only its end, and
//! what an earlier load had, tell.

use super::MediaPlaylist;

/// Why a list is taken for the first part of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Truncation {
    /// It lists no segment where an earlier load did.
    NoSegments,
    /// It ends inside of a tag: the last line is a tag without a line end.
    InsideTag,
    /// It ends inside of a URI: the last line is shorter than the URIs before it, and has no line end.
    InsideUri,
    /// The last `EXTINF` has no URI.
    WithoutUri,
    /// It has no `EXT-X-MEDIA-SEQUENCE` where an earlier load had one.
    WithoutSequence,
    /// It ends before the list of an earlier load did.
    Shorter,
}

impl std::fmt::Display for Truncation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSegments => "the list has lost its segments",
            Self::InsideTag => "the list ends inside of a tag",
            Self::InsideUri => "the list ends inside of a URI",
            Self::WithoutUri => "the last EXTINF has no URI",
            Self::WithoutSequence => "the list has lost EXT-X-MEDIA-SEQUENCE",
            Self::Shorter => "the list ends before it did in an earlier load",
        })
    }
}

/// Whether `text`, which parsed to `list`, was cut while it was being written; `before` is the list of an earlier load.
///
/// A list with `EXT-X-ENDLIST` is never cut: packagers write that tag last. A text that does not parse at all may be cut
/// as well; an empty one is an error of the parser.
#[must_use]
pub fn truncation(text: &[u8], list: &MediaPlaylist, before: Option<&MediaPlaylist>) -> Option<Truncation> {
    if list.end_list {
        return None;
    }
    if list.is_empty() {
        return before.is_some_and(|before| !before.is_empty()).then_some(Truncation::NoSegments);
    }
    if let Some(before) = before
        && before.has_media_sequence
        && before.media_sequence > 0
        && !list.has_media_sequence
    {
        return Some(Truncation::WithoutSequence);
    }
    let text = text.trim_ascii_end_of_zeros();
    let is_ended = text.last().is_none_or(|byte| matches!(byte, b'\n' | b'\r'));
    let lines = || text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    let mut last_lines = lines().rev().filter(|line| !line.is_empty());
    let last = last_lines.next().unwrap_or_default();
    if last.starts_with(b"#EXTINF")
        || last.starts_with(b"#")
            && last_lines.take_while(|line| line.starts_with(b"#")).any(|line| line.starts_with(b"#EXTINF"))
    {
        return Some(Truncation::WithoutUri);
    }
    if !is_ended && last.starts_with(b"#") {
        return Some(Truncation::InsideTag);
    }
    if !is_ended && is_partial(list, before) {
        return Some(Truncation::InsideUri);
    }
    let end_of = |list: &MediaPlaylist| list.media_sequence.saturating_add(list.len() as u64);
    let is_shorter = before.is_some_and(|before| {
        before.index_of(list.media_sequence).is_some_and(|index| before.name_of(index) == list.name_of(0))
            && end_of(list) < end_of(before)
    });
    is_shorter.then_some(Truncation::Shorter)
}

/// Whether the last URI is the first part of one: of the same segment's in an earlier load, or by the extension that all
/// others have.
fn is_partial(list: &MediaPlaylist, before: Option<&MediaPlaylist>) -> bool {
    let last = list.len().saturating_sub(1);
    let Some((name, _)) = list.name_of(last) else { return false };
    let known = before.and_then(|before| {
        let index = before.index_of(list.media_sequence.saturating_add(last as u64))?;
        before.name_of(index)
    });
    if let Some((known, _)) = known {
        return known != name && known.starts_with(name);
    }
    let extension = |name: &str| {
        let file = name.rsplit('/').next().unwrap_or(name);
        file.rsplit_once('.').map(|(_, extension)| extension.to_owned())
    };
    let others: Vec<_> =
        (0..last).filter_map(|index| list.name_of(index)).map(|(name, _)| extension(name)).collect();
    let Some(Some(usual)) = others.first() else { return false };
    others.iter().all(|other| other.as_deref() == Some(usual)) && extension(name).as_deref() != Some(usual)
}

/// Zeros behind the text, as writers of fixed buffers leave them.
trait TrimZeros {
    fn trim_ascii_end_of_zeros(&self) -> &Self;
}

impl TrimZeros for [u8] {
    fn trim_ascii_end_of_zeros(&self) -> &Self {
        let end = self.iter().rposition(|byte| !matches!(byte, 0 | b' ' | b'\t')).map_or(0, |last| last + 1);
        &self[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Playlist, parse};
    use super::*;

    const WHOLE: &str = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:7\n\
        #EXTINF:4.000,\nseg7.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4.000,\nseg8.ts\n#EXTINF:4.000,\nseg9.ts\n";

    fn list(text: &str) -> Option<MediaPlaylist> {
        let base = url::Url::parse("https://example.com/a.m3u8").unwrap();
        match parse(text.as_bytes(), &base) {
            Ok(Playlist::Media(media)) => Some(media),
            _ => None,
        }
    }

    fn verdict(text: &str, before: Option<&str>) -> Option<Truncation> {
        let before = before.map(|text| list(text).unwrap());
        truncation(text.as_bytes(), &list(text).unwrap(), before.as_ref())
    }

    #[test]
    fn every_cut_of_a_list_that_is_known_is_noticed() {
        let before = list(WHOLE).unwrap();
        for end in 0..WHOLE.len() {
            let text = &WHOLE[..end];
            // What does not parse is not believed either; the last line end may be missing.
            let Some(list) = list(text) else { continue };
            let verdict = truncation(text.as_bytes(), &list, Some(&before));
            assert_eq!(verdict.is_none(), end == WHOLE.len() - 1, "{text:?}: {verdict:?}");
        }
        assert_eq!(verdict(WHOLE, Some(WHOLE)), None);
    }

    #[test]
    fn a_first_load_is_judged_by_its_end() {
        for cut in ["#EXTINF:4.000,\n", "#EXTINF:4.0", "#EXTINF:4.000,\n#EXT-X-PROGRAM-DATE-TIME:20"] {
            assert_eq!(verdict(&format!("{WHOLE}{cut}"), None), Some(Truncation::WithoutUri), "{cut:?}");
        }
        assert_eq!(verdict(&format!("{WHOLE}#EXT-X-DISC"), None), Some(Truncation::InsideTag));
        for cut in ["#EXTINF:4.000,\nseg1", "#EXTINF:4.000,\nseg10.", "#EXTINF:4.000,\nseg10.t"] {
            assert_eq!(verdict(&format!("{WHOLE}{cut}"), None), Some(Truncation::InsideUri), "{cut:?}");
        }
        // Many writers leave the last line end out.
        assert_eq!(verdict(WHOLE.trim_end(), None), None);
        assert_eq!(verdict(&format!("{WHOLE}#EXT-X-ENDLIST"), None), None);
    }

    #[test]
    fn a_list_that_moves_on_is_whole() {
        let moved = WHOLE.replace("seg7.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:4.000,\n", "").replace(":7", ":8");
        assert_eq!(verdict(&format!("{moved}#EXTINF:4,\nseg10.ts\n"), Some(WHOLE)), None);
        // A window may become shorter at its beginning.
        assert_eq!(verdict(&moved, Some(WHOLE)), None);
        let without = WHOLE.replace("#EXT-X-MEDIA-SEQUENCE:7\n", "");
        assert_eq!(verdict(&without, Some(WHOLE)), Some(Truncation::WithoutSequence));
        assert_eq!(verdict(&without, None), None);
    }
}
