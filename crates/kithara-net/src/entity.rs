//! "Same entity?": the one place that compares the entity of a response with the entity of bytes that are known.

use http::{HeaderMap, HeaderValue, header};

use crate::head::ResponseHead;
use crate::validator::{EntityMatch, Validator};

/// Values longer than this are dropped: they are no validators, and the guard is stored beside the bytes.
const MAX_FIELD: usize = 1024;

/// Identifies the entity that some bytes belong to: its validators and its length.
///
/// It guards two joints: bytes that continue a broken body, and stored bytes that a later request completes. With the
/// feature `serde` it can be stored beside them; it holds no URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct EntityGuard {
    /// `ETag`, with its quotes and `W/`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    etag: Option<String>,
    /// `Last-Modified`, as it was sent.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    last_modified: Option<String>,
    /// The entity may have changed twice in the second of that date: it proves a change, never sameness.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "std::ops::Not::not"))]
    is_date_weak: bool,
    /// Length of the whole entity in bytes.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    total: Option<u64>,
}

impl EntityGuard {
    /// The entity of a response.
    pub fn of(head: &ResponseHead) -> Self {
        let text = |name| {
            let value = head.headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= MAX_FIELD).then(|| value.to_owned())
        };
        let etag = text(header::ETAG).filter(|etag| Validator::etag(etag).is_some());
        let last_modified = text(header::LAST_MODIFIED);
        let is_date_weak = last_modified.is_some() && !Validator::has_strong_date(&head.headers);
        Self { etag, last_modified, is_date_weak, total: head.total_len }
    }

    /// Length of the whole entity in bytes, as far as it is known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Notes the length of the whole entity.
    pub fn set_total(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// The validator for a conditional request (RFC 9110 §13.1): a strong `ETag`, else a strong date, else a weak
    /// `ETag`.
    pub fn validator(&self) -> Option<Validator> {
        let etag = self.etag.as_deref().and_then(Validator::etag);
        if etag.as_ref().is_some_and(Validator::is_strong) {
            return etag;
        }
        let date = self.last_modified.clone().filter(|_| !self.is_date_weak);
        date.map(Validator::LastModified).or(etag)
    }

    /// The validator for `If-Range` (RFC 9110 §13.1.5), for which a weak tag does not do.
    pub fn if_range(&self) -> Option<Validator> {
        self.validator().filter(Validator::is_strong)
    }

    /// Whether the answer to a later request can prove that it is of this very version.
    pub fn is_strong(&self) -> bool {
        self.if_range().is_some()
    }

    /// Whether a response carries the same entity.
    pub fn compare(&self, head: &ResponseHead) -> EntityMatch {
        if self.difference(head).is_some() {
            EntityMatch::Changed
        } else {
            self.compare_validators(&head.headers)
        }
    }

    /// Why a response carries another entity; `None` if nothing in its head says so.
    pub fn difference(&self, head: &ResponseHead) -> Option<&'static str> {
        if let (Some(ours), Some(theirs)) = (self.total, head.total_len)
            && ours != theirs
        {
            return Some("its length");
        }
        (self.compare_validators(&head.headers) == EntityMatch::Changed).then_some("its validator")
    }

    /// The other length that a response gives to this very version, which its validators confirm.
    pub fn contradicted_by(&self, head: &ResponseHead) -> Option<u64> {
        let other = head.total_len.filter(|&theirs| self.total.is_some_and(|ours| ours != theirs))?;
        (self.compare_validators(&head.headers) == EntityMatch::Same).then_some(other)
    }

    /// Whether two guards carry the same validators, or both none.
    pub fn has_validators_of(&self, other: &Self) -> bool {
        (&self.etag, &self.last_modified) == (&other.etag, &other.last_modified)
    }

    /// Compares the validators alone.
    fn compare_validators(&self, new: &HeaderMap) -> EntityMatch {
        let etag = self.etag.as_deref().and_then(Validator::etag);
        if let Some(etag) = etag.filter(|_| new.contains_key(header::ETAG)) {
            match etag.compare(new) {
                EntityMatch::Unknown => {}
                known => return known,
            }
        }
        let Some(date) = &self.last_modified else { return EntityMatch::Unknown };
        let is_validator = matches!(self.validator(), Some(Validator::LastModified(_)));
        match Validator::LastModified(date.clone()).compare(new) {
            // A date that is no strong validator proves a change, not the absence of one.
            EntityMatch::Same if !is_validator => EntityMatch::Unknown,
            known => known,
        }
    }
}

impl From<&Validator> for EntityGuard {
    fn from(validator: &Validator) -> Self {
        let text =
            validator.to_header().and_then(|value: HeaderValue| value.to_str().ok().map(str::to_owned));
        match validator {
            Validator::ETag { .. } => Self { etag: text, ..Self::default() },
            Validator::LastModified(_) => Self { last_modified: text, ..Self::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use url::Url;

    use super::*;
    use crate::request::Request;

    fn head(headers: &[(&'static str, &str)]) -> ResponseHead {
        let url = Url::parse("http://h/x").unwrap();
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        ResponseHead::new(&Request::new(url.clone()), url, StatusCode::OK, headers).unwrap()
    }

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn length_and_validators_tell_versions_apart() {
        let first = head(&[("etag", "\"a\""), ("content-length", "10")]);
        let guard = EntityGuard::of(&first);
        assert!(guard.is_strong());
        assert_eq!(guard.compare(&first), EntityMatch::Same);
        assert_eq!(
            guard.difference(&head(&[("etag", "\"b\""), ("content-length", "10")])),
            Some("its validator")
        );
        let longer = head(&[("etag", "\"a\""), ("content-length", "11")]);
        assert_eq!(
            (guard.compare(&longer), guard.contradicted_by(&longer)),
            (EntityMatch::Changed, Some(11))
        );
        assert_eq!(guard.compare(&head(&[("content-length", "10")])), EntityMatch::Unknown);
    }

    #[test]
    fn a_weak_tag_or_date_proves_a_change_and_never_sameness() {
        let weak = EntityGuard::of(&head(&[("etag", "W/\"a\"")]));
        assert!(!weak.is_strong());
        assert_eq!(weak.compare(&head(&[("etag", "W/\"a\"")])), EntityMatch::Unknown);
        assert_eq!(weak.compare(&head(&[("etag", "W/\"b\"")])), EntityMatch::Changed);
        let just_now = EntityGuard::of(&head(&[("last-modified", OLD), ("date", OLD)]));
        assert!(!just_now.is_strong());
        assert_eq!(just_now.compare(&head(&[("last-modified", OLD)])), EntityMatch::Unknown);
        assert!(EntityGuard::of(&head(&[("last-modified", OLD)])).is_strong());
    }

    #[test]
    fn a_date_tells_where_the_tag_of_the_second_response_is_missing() {
        let both = EntityGuard::of(&head(&[("etag", "\"a\""), ("last-modified", OLD)]));
        assert_eq!(both.compare(&head(&[("last-modified", OLD)])), EntityMatch::Unknown);
        let later = head(&[("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT")]);
        assert_eq!(both.compare(&later), EntityMatch::Changed);
    }
}
