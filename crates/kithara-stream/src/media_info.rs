//! What is known about the kind of media before a byte of it is looked at.

/// Hints about the format of some bytes: what a server or a file name says of them.
///
/// Both may be wrong or missing; the format is always found from the bytes, and a hint only orders the guesses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaInfo {
    /// MIME type without parameters, in lower case (`audio/mpeg`).
    pub content_type: Option<String>,
    /// File name extension without the dot, in lower case (`mp3`).
    pub extension: Option<String>,
}

impl MediaInfo {
    /// Hints from a `Content-Type` header and a URL path or file name; either may be absent.
    ///
    /// ```
    /// let info = kithara_stream::MediaInfo::new(Some("Audio/MPEG; charset=x"), Some("/music/a.MP3"));
    /// assert_eq!(info.content_type.as_deref(), Some("audio/mpeg"));
    /// assert_eq!(info.extension.as_deref(), Some("mp3"));
    /// ```
    #[must_use]
    pub fn new(content_type: Option<&str>, path: Option<&str>) -> Self {
        Self { content_type: content_type.and_then(mime_essence), extension: path.and_then(extension_of) }
    }
}

/// `type/subtype` of a header value: longer than 127 characters or without a slash it is no MIME type.
fn mime_essence(value: &str) -> Option<String> {
    let essence = value.split(';').next().unwrap_or_default().trim();
    let sound = essence.len() <= 127 && essence.contains('/') && essence.is_ascii();
    sound.then(|| essence.to_ascii_lowercase())
}

/// The extension of the last path component, if it looks like one: 1 to 8 ASCII letters or digits.
fn extension_of(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let (stem, extension) = name.rsplit_once('.')?;
    let sound = !stem.is_empty()
        && (1..=8).contains(&extension.len())
        && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    sound.then(|| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::MediaInfo;

    #[test]
    fn nonsense_gives_no_hint() {
        for path in ["", "/", "/.mp3", "/a.", "/a.verylongextension", "/a.m\u{fc}p", "/a.b/c"] {
            assert_eq!(MediaInfo::new(None, Some(path)).extension, None, "{path}");
        }
        assert_eq!(MediaInfo::new(Some("mp3"), None).content_type, None);
        assert_eq!(MediaInfo::new(Some(&"a/".repeat(100)), None).content_type, None);
    }
}
