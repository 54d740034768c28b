//! [`Entity`]: which version of a file the stored bytes are part of.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kithara_net::{ResponseHead, Sameness, Validator};
use serde::{Deserialize, Serialize};

/// Longer values are not kept: they are no validators, and the note beside the bytes is small.
const MAX_FIELD: usize = 1024;

/// What a server said of the file whose bytes are stored. Kept beside them as JSON; holds no URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Entity {
    /// `ETag`, with its quotes and `W/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    /// Length of the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// A length that the server insisted on, though it had declared a larger one, and nothing strong names the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) insisted: Option<u64>,
    /// MIME type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    /// When the server last confirmed this version, in seconds since 1970.
    confirmed: u64,
    /// Seconds for which it said that no question is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u64>,
}

impl Entity {
    /// What the head of a response says.
    pub(crate) fn of(head: &ResponseHead) -> Self {
        let (etag, last_modified) = match &head.validator {
            Some(validator @ Validator::ETag { .. }) => (validator.to_header(), None),
            Some(Validator::LastModified(date)) => (None, Some(date.clone())),
            None => (None, None),
        };
        Self {
            etag: etag.and_then(|value| value.to_str().ok().map(str::to_owned)).filter(|text| fits(text)),
            last_modified: last_modified.filter(|text| fits(text)),
            total: head.total_len,
            insisted: None,
            content_type: head.content_type.clone().filter(|text| fits(text)),
            confirmed: now(),
            lifetime: lifetime(head),
        }
    }

    pub(crate) fn validator(&self) -> Option<Validator> {
        let etag = self.etag.as_deref().and_then(Validator::etag);
        etag.or_else(|| self.last_modified.clone().map(Validator::LastModified))
    }

    /// Whether bytes of this version can be told from bytes of another one by the answer to a later request.
    pub(crate) fn can_be_continued(&self) -> bool {
        self.validator().is_some_and(|validator| validator.is_strong())
    }

    /// The server insists on `total`, less than it had declared.
    pub(crate) fn shorten(&mut self, total: u64) {
        self.total = Some(total);
        self.insisted = (!self.can_be_continued()).then_some(total);
    }

    /// Whether a file may be kept as complete that is as long as this says.
    pub(crate) fn end_is_proven(&self) -> bool {
        self.insisted.is_none() || self.insisted != self.total
    }

    /// Takes over what the server insisted on when it sent `earlier`, if that has the same name, or none as well.
    pub(crate) fn recall(&mut self, earlier: Option<&Self>) {
        let name = |entity: &Self| (entity.etag.clone(), entity.last_modified.clone());
        let same = earlier.filter(|earlier| name(earlier) == name(self));
        self.insisted = same.and_then(|earlier| earlier.insisted);
    }

    /// Whether a response carries the same version.
    pub(crate) fn compare(&self, head: &ResponseHead) -> Sameness {
        if let (Some(ours), Some(theirs)) = (self.total, head.total_len)
            && ours != theirs
        {
            return Sameness::Changed;
        }
        self.validator().map_or(Sameness::Unknown, |validator| validator.compare(&head.headers))
    }

    /// The other length that a response gives to this very version.
    pub(crate) fn contradicted_by(&self, head: &ResponseHead) -> Option<u64> {
        let other = head.total_len.filter(|&theirs| self.total.is_some_and(|ours| ours != theirs))?;
        let same =
            self.validator().is_some_and(|validator| validator.compare(&head.headers) == Sameness::Same);
        same.then_some(other)
    }

    /// The server has confirmed this version.
    pub(crate) fn confirm(&mut self, head: &ResponseHead) {
        self.confirmed = now();
        self.lifetime = lifetime(head).or(self.lifetime);
    }

    /// Whether the server should be asked again; `default` is the lifetime where it stated none.
    pub(crate) fn is_stale(&self, default: Duration) -> bool {
        let lifetime = self.lifetime.unwrap_or(default.as_secs());
        // A clock that went back makes nothing fresh for ever.
        now().checked_sub(self.confirmed).is_none_or(|age| age >= lifetime)
    }

    /// As the note beside the bytes.
    pub(crate) fn to_bytes(&self) -> Option<Bytes> {
        serde_json::to_vec(self).ok().map(Bytes::from)
    }

    /// From the note; `None` if it is none of ours.
    pub(crate) fn from_bytes(note: &[u8]) -> Option<Self> {
        serde_json::from_slice(note).ok()
    }
}

fn fits(text: &str) -> bool {
    text.len() <= MAX_FIELD
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `Cache-Control: max-age`; zero for `no-cache` and `no-store`.
fn lifetime(head: &ResponseHead) -> Option<u64> {
    let mut lifetime = None;
    for value in head.headers.get_all("cache-control") {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let directive = directive.trim().to_ascii_lowercase();
            if directive == "no-cache" || directive == "no-store" {
                return Some(0);
            }
            if let Some(seconds) = directive.strip_prefix("max-age=") {
                lifetime = seconds.trim_matches('"').parse().ok().or(lifetime);
            }
        }
    }
    lifetime
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kithara_net::{HeaderMap, Request, ResponseHead, Sameness, StatusCode, Url};

    use super::Entity;

    fn head(headers: &[(&'static str, &str)]) -> ResponseHead {
        let url = Url::parse("http://h/x").unwrap();
        let headers: HeaderMap =
            headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        ResponseHead::new(&Request::new(url.clone()), url, StatusCode::OK, headers).unwrap()
    }

    #[test]
    fn the_note_survives_and_tells_versions_apart() {
        let first = head(&[("etag", "\"a\""), ("content-length", "10"), ("content-type", "audio/mpeg")]);
        let entity = Entity::of(&first);
        let back = Entity::from_bytes(&entity.to_bytes().unwrap()).unwrap();
        assert_eq!(back, entity);
        assert!(back.can_be_continued());
        assert_eq!(back.compare(&first), Sameness::Same);
        assert_eq!(back.compare(&head(&[("etag", "\"b\""), ("content-length", "10")])), Sameness::Changed);
        assert_eq!(back.compare(&head(&[("etag", "\"a\""), ("content-length", "11")])), Sameness::Changed);
        assert_eq!(back.compare(&head(&[("content-length", "10")])), Sameness::Unknown);
        assert!(Entity::from_bytes(b"{").is_none() && Entity::from_bytes(b"\xff").is_none());
    }

    #[test]
    fn without_a_strong_validator_nothing_is_continued_later() {
        assert!(!Entity::of(&head(&[("etag", "W/\"a\"")])).can_be_continued());
        assert!(!Entity::of(&head(&[])).can_be_continued());
        assert!(Entity::of(&head(&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")])).can_be_continued());
    }

    #[test]
    fn freshness_is_the_servers_or_the_default() {
        let hour = Duration::from_secs(3600);
        assert!(!Entity::of(&head(&[("cache-control", "public, Max-Age=60")])).is_stale(Duration::ZERO));
        assert!(Entity::of(&head(&[("cache-control", "max-age=60, no-cache")])).is_stale(hour));
        assert!(!Entity::of(&head(&[])).is_stale(hour));
        assert!(Entity::of(&head(&[])).is_stale(Duration::ZERO));
        let future = Entity { confirmed: u64::MAX, ..Entity::default() };
        assert!(future.is_stale(hour), "a clock that went back");
    }
}
