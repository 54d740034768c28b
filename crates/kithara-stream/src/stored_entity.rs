//! [`StoredEntity`]: which version of which entity the stored bytes of a resource are part of.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kithara_net::{EntityGuard, EntityMatch, ResponseHead, Validator};
use kithara_storage::Streaming;
use serde::{Deserialize, Serialize};

use crate::Freshness;

/// Longer media types are dropped: the record beside the bytes is small.
const MAX_FIELD: usize = 1024;

/// What a server said about the entity whose bytes are stored. Kept beside them as JSON; holds no URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredEntity {
    /// Validators and length.
    #[serde(flatten)]
    guard: EntityGuard,
    /// A length that the server insisted on, though it had declared a larger one, and no strong validator names the
    /// version.
    #[serde(skip_serializing_if = "Option::is_none")]
    insisted: Option<u64>,
    /// MIME type.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// When the server last confirmed this version, in seconds since 1970.
    confirmed: u64,
    /// Seconds for which it said that no question is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<u64>,
}

impl StoredEntity {
    /// The entity of a response, confirmed now.
    #[must_use]
    pub fn of(head: &ResponseHead) -> Self {
        Self {
            guard: EntityGuard::of(head),
            insisted: None,
            content_type: head.content_type.clone().filter(|text| text.len() <= MAX_FIELD),
            confirmed: now(),
            lifetime: lifetime(head),
        }
    }

    /// The record beside the stored bytes of an unfinished resource; `None` without one.
    pub fn beside<R: Streaming>(resource: &R) -> Option<Self> {
        resource.tag().and_then(|record| Self::from_bytes(&record))
    }

    /// Validators and length.
    #[must_use]
    pub fn guard(&self) -> &EntityGuard {
        &self.guard
    }

    /// Without validators and length: of a station, whose offsets name no bytes.
    #[must_use]
    pub fn without_validators(mut self) -> Self {
        self.guard = EntityGuard::default();
        self
    }

    /// Length of the whole entity in bytes, as far as it is known.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.guard.total()
    }

    /// Notes the length of the whole entity.
    pub fn set_total(&mut self, total: Option<u64>) {
        self.guard.set_total(total);
    }

    /// MIME type, as the server named it.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The validator for a conditional request.
    #[must_use]
    pub fn validator(&self) -> Option<Validator> {
        self.guard.validator()
    }

    /// Whether a later request can prove that it continues these bytes.
    #[must_use]
    pub fn can_be_continued(&self) -> bool {
        self.guard.is_strong()
    }

    /// The server insists on `total`, less than it had declared.
    pub fn shorten(&mut self, total: u64) {
        self.guard.set_total(Some(total));
        self.insisted = (!self.can_be_continued()).then_some(total);
    }

    /// The length that the server insisted on.
    #[must_use]
    pub fn insisted(&self) -> Option<u64> {
        self.insisted
    }

    /// Whether a body of this length may be kept as complete.
    #[must_use]
    pub fn is_length_proven(&self) -> bool {
        self.insisted.is_none() || self.insisted != self.total()
    }

    /// Takes over the length that the server insisted on when it sent `earlier`, if that has the same validators, or none
    /// as well.
    pub fn recall(&mut self, earlier: Option<&Self>) {
        let same = earlier.filter(|earlier| earlier.guard.has_validators_of(&self.guard));
        self.insisted = same.and_then(|earlier| earlier.insisted);
    }

    /// Whether a response carries the same version.
    #[must_use]
    pub fn compare(&self, head: &ResponseHead) -> EntityMatch {
        self.guard.compare(head)
    }

    /// The server has confirmed this version.
    pub fn confirm(&mut self, head: &ResponseHead) {
        self.confirmed = now();
        self.lifetime = lifetime(head).or(self.lifetime);
    }

    /// Whether the server should be asked again; `default` is the lifetime where it stated none.
    #[must_use]
    pub fn is_stale(&self, default: Duration) -> bool {
        let lifetime = self.lifetime.unwrap_or(default.as_secs());
        // A clock that was set back must not make an entity fresh for ever.
        now().checked_sub(self.confirmed).is_none_or(|age| age >= lifetime)
    }

    /// The record, as JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Bytes> {
        serde_json::to_vec(self).ok().map(Bytes::from)
    }

    /// Reads a record; `None` if it is damaged.
    #[must_use]
    pub fn from_bytes(record: &[u8]) -> Option<Self> {
        serde_json::from_slice(record).ok()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn lifetime(head: &ResponseHead) -> Option<u64> {
    Freshness::of(head).lifetime.map(|lifetime| lifetime.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kithara_net::{EntityMatch, HeaderMap, Request, ResponseHead, StatusCode, Url};

    use super::StoredEntity;

    fn head(headers: &[(&'static str, &str)]) -> ResponseHead {
        let url = Url::parse("http://h/x").unwrap();
        let headers: HeaderMap =
            headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        ResponseHead::new(&Request::new(url.clone()), url, StatusCode::OK, headers).unwrap()
    }

    #[test]
    fn the_record_survives_and_tells_versions_apart() {
        let first = head(&[("etag", "\"a\""), ("content-length", "10"), ("content-type", "audio/mpeg")]);
        let entity = StoredEntity::of(&first);
        let back = StoredEntity::from_bytes(&entity.to_bytes().unwrap()).unwrap();
        assert_eq!(back, entity);
        assert!(back.can_be_continued());
        assert_eq!(back.compare(&first), EntityMatch::Same);
        assert_eq!(back.compare(&head(&[("etag", "\"b\""), ("content-length", "10")])), EntityMatch::Changed);
        assert_eq!(back.compare(&head(&[("etag", "\"a\""), ("content-length", "11")])), EntityMatch::Changed);
        assert_eq!(back.compare(&head(&[("content-length", "10")])), EntityMatch::Unknown);
        assert!(StoredEntity::from_bytes(b"{").is_none() && StoredEntity::from_bytes(b"\xff").is_none());
    }

    #[test]
    fn without_a_strong_validator_no_later_request_continues() {
        assert!(!StoredEntity::of(&head(&[("etag", "W/\"a\"")])).can_be_continued());
        assert!(!StoredEntity::of(&head(&[])).can_be_continued());
        let date = head(&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert!(StoredEntity::of(&date).can_be_continued());
    }

    #[test]
    fn freshness_is_the_servers_or_the_default() {
        let hour = Duration::from_secs(3600);
        let of = |headers: &[(&'static str, &str)]| StoredEntity::of(&head(headers));
        assert!(!of(&[("cache-control", "public, Max-Age=60")]).is_stale(Duration::ZERO));
        assert!(of(&[("cache-control", "max-age=60, no-cache")]).is_stale(hour));
        assert!(!of(&[]).is_stale(hour));
        assert!(of(&[]).is_stale(Duration::ZERO));
        let future = StoredEntity { confirmed: u64::MAX, ..StoredEntity::default() };
        assert!(future.is_stale(hour), "a clock that was set back");
    }
}
