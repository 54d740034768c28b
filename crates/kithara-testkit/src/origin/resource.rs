use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Content;
use crate::media;

/// What a path serves when no script says otherwise: bytes with their headers and validators.
///
/// A bare [`Content`] (or bytes, a `String`, a `&'static str`) becomes a resource with ranges, a strong ETag, a
/// Last-Modified date and, by the path's extension, a content type.
#[derive(Clone, Debug)]
pub struct Resource {
    pub(super) content: Content,
    pub(super) content_type: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<SystemTime>,
    pub(super) ranges: bool,
    pub(super) headers: HeaderMap,
}

impl Resource {
    /// A resource of this content.
    pub fn new(content: impl Into<Content>) -> Self {
        let content = content.into();
        let etag = format!("\"{:016x}\"", fingerprint(&content));
        let ranges = content.len().is_some();
        // Any date in the past serves: 2024-06-07 12:00:00 UTC.
        let last_modified = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_717_761_600));
        Self {
            content,
            content_type: None,
            etag: Some(etag),
            last_modified,
            ranges,
            headers: HeaderMap::new(),
        }
    }

    /// The Content-Type; an empty one removes the header. Default: by the extension of the path.
    pub fn content_type(mut self, media_type: &str) -> Self {
        self.content_type = Some(media_type.to_owned());
        self
    }

    /// The ETag with its quotes (`"a"`, `W/"a"`), or none. Default: a strong one from the content.
    pub fn etag(mut self, etag: Option<&str>) -> Self {
        self.etag = etag.map(str::to_owned);
        self
    }

    /// The Last-Modified date, or none. Default: a fixed date.
    pub fn last_modified(mut self, date: Option<SystemTime>) -> Self {
        self.last_modified = date;
        self
    }

    /// Takes the range requests away: each is answered with all of it (200), and no Accept-Ranges is sent.
    pub fn without_ranges(mut self) -> Self {
        self.ranges = false;
        self
    }

    /// Adds a header to every answer. A name or value that HTTP forbids is left out.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// The content type of this resource at this path.
    pub(super) fn type_at(&self, path: &str) -> String {
        self.content_type.clone().unwrap_or_else(|| media::content_type(path).to_owned())
    }

    /// Whether the client's If-Range still names this entity (strong comparison, RFC 9110 13.1.5).
    pub(super) fn if_range_holds(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(header::IF_RANGE) else { return true };
        let Ok(value) = value.to_str() else { return false };
        if value.starts_with('"') {
            self.etag.as_deref() == Some(value)
        } else {
            !value.starts_with("W/") && self.date().as_deref() == Some(value)
        }
    }

    /// Whether the client has this entity already (If-None-Match, If-Modified-Since).
    pub(super) fn is_unchanged(&self, headers: &HeaderMap) -> bool {
        if let Some(value) = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) {
            let strip = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            return value.trim() == "*"
                || self
                    .etag
                    .as_deref()
                    .is_some_and(|own| value.split(',').any(|tag| strip(tag) == strip(own)));
        }
        let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
        let since = since.and_then(|value| httpdate::parse_http_date(value).ok());
        matches!((since, self.last_modified), (Some(since), Some(modified)) if modified <= since)
    }

    pub(super) fn date(&self) -> Option<String> {
        self.last_modified.map(httpdate::fmt_http_date)
    }
}

impl<C: Into<Content>> From<C> for Resource {
    fn from(content: C) -> Self {
        Self::new(content)
    }
}

/// FNV-1a over the length and up to 64 KiB of the content: enough to tell two entities of a test apart.
fn fingerprint(content: &Content) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    add(&content.len().unwrap_or(u64::MAX).to_le_bytes());
    let tail = content.len().unwrap_or_default().saturating_sub(32 * 1024);
    for offset in [0, tail] {
        add(&content.read(offset, 32 * 1024).unwrap_or_default());
    }
    hash
}
