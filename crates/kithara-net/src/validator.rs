//! Which version of an entity it is: `ETag` and `Last-Modified` (RFC 9110 §8.8).

use http::{HeaderMap, HeaderValue, header};

/// Names one version of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Validator {
    /// An entity tag.
    ETag {
        /// The opaque tag with its quotes, without `W/`.
        tag: String,
        /// `W/`: names something equivalent, not something equal byte by byte.
        weak: bool,
    },
    /// The date of the last change, as the server wrote it.
    LastModified(String),
}

/// How two versions of an entity compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntityMatch {
    /// Equal byte by byte.
    Same,
    /// Another version.
    Changed,
    /// The validators cannot tell: one of them is missing or weak. Compare bytes before splicing.
    Unknown,
}

/// Longer ones are not validators but attacks on memory.
const MAX_LEN: usize = 1024;

impl Validator {
    /// The best validator of a response: a strong `ETag`, else `Last-Modified`, else a weak `ETag`.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let etag = headers.get(header::ETAG).and_then(parse_etag);
        if matches!(etag, Some(Self::ETag { weak: false, .. })) {
            return etag;
        }
        last_modified(headers).or(etag)
    }

    /// An `ETag` header value as a validator.
    pub fn etag(value: &str) -> Option<Self> {
        parse_etag(&HeaderValue::from_str(value).ok()?)
    }

    /// The header value that carries it.
    pub fn to_header(&self) -> Option<HeaderValue> {
        match self {
            Self::ETag { tag, weak: false } => HeaderValue::from_str(tag).ok(),
            Self::ETag { tag, weak: true } => HeaderValue::from_str(&format!("W/{tag}")).ok(),
            Self::LastModified(date) => HeaderValue::from_str(date).ok(),
        }
    }

    /// The `If-Range` value, for which a weak tag does not do.
    pub fn for_if_range(&self) -> Option<HeaderValue> {
        match self {
            Self::ETag { weak: true, .. } => None,
            _ => self.to_header(),
        }
    }

    /// True if it promises equality byte by byte: a strong tag or a date.
    pub fn is_strong(&self) -> bool {
        !matches!(self, Self::ETag { weak: true, .. })
    }

    /// Whether `Last-Modified` is a strong validator in these headers.
    pub(crate) fn has_strong_date(headers: &HeaderMap) -> bool {
        last_modified(headers).is_some()
    }

    /// Compares this one validator with the headers of another response.
    pub(crate) fn compare(&self, headers: &HeaderMap) -> EntityMatch {
        match self {
            Self::ETag { tag, weak } => match headers.get(header::ETAG).and_then(parse_etag) {
                Some(Self::ETag { tag: other, .. }) if other != *tag => EntityMatch::Changed,
                Some(Self::ETag { weak: false, .. }) if !weak => EntityMatch::Same,
                _ => EntityMatch::Unknown,
            },
            Self::LastModified(date) => match headers.get(header::LAST_MODIFIED).map(HeaderValue::as_bytes) {
                Some(other) if other.trim_ascii() == date.as_bytes() => EntityMatch::Same,
                Some(_) => EntityMatch::Changed,
                None => EntityMatch::Unknown,
            },
        }
    }
}

fn parse_etag(value: &HeaderValue) -> Option<Validator> {
    let text = value.to_str().ok()?.trim();
    // `w/` is wrong, and seen.
    let (tag, weak) = match text.strip_prefix("W/").or_else(|| text.strip_prefix("w/")) {
        Some(tag) => (tag, true),
        None => (text, false),
    };
    // A tag without quotes is wrong, and common: it is echoed as it came.
    let usable = !tag.is_empty() && tag != "\"\"" && tag.len() <= MAX_LEN;
    usable.then(|| Validator::ETag { tag: tag.to_owned(), weak })
}

/// `Last-Modified`, unless the entity may have changed twice in that second (RFC 9110 §8.8.2.2: `Date` says).
fn last_modified(headers: &HeaderMap) -> Option<Validator> {
    let text = headers.get(header::LAST_MODIFIED)?.to_str().ok()?.trim();
    let modified = httpdate::parse_http_date(text).ok()?;
    let sent = headers.get(header::DATE).and_then(|v| v.to_str().ok());
    let fresh = sent.and_then(|sent| httpdate::parse_http_date(sent).ok()).is_some_and(|sent| {
        // Not older than a second when it was sent.
        sent.duration_since(modified).is_ok_and(|age| age.as_secs() < 1)
    });
    (!fresh).then(|| Validator::LastModified(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    const OLD: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn a_strong_tag_wins_then_a_date_then_a_weak_tag() {
        let strong = Validator::from_headers(&headers(&[("etag", "\"a\""), ("last-modified", OLD)]));
        assert_eq!(strong, Validator::etag("\"a\""));
        let date = Validator::from_headers(&headers(&[("etag", "W/\"a\""), ("last-modified", OLD)]));
        assert_eq!(date, Some(Validator::LastModified(OLD.into())));
        let weak = Validator::from_headers(&headers(&[("etag", "W/\"a\"")])).unwrap();
        assert!(!weak.is_strong());
        assert_eq!(weak.for_if_range(), None);
        assert_eq!(weak.to_header().unwrap(), "W/\"a\"");
    }

    #[test]
    fn a_date_of_the_same_second_is_no_validator() {
        assert_eq!(Validator::from_headers(&headers(&[("last-modified", OLD), ("date", OLD)])), None);
        assert_eq!(Validator::from_headers(&headers(&[("last-modified", "yesterday")])), None);
    }

    #[test]
    fn empty_and_giant_tags_are_none() {
        assert_eq!(Validator::etag(""), None);
        assert_eq!(Validator::etag("\"\""), None);
        assert_eq!(Validator::etag(&"x".repeat(5000)), None);
        assert!(Validator::etag("unquoted").is_some());
    }

    #[test]
    fn comparison_is_careful() {
        let strong = Validator::etag("\"a\"").unwrap();
        assert_eq!(strong.compare(&headers(&[("etag", "\"a\"")])), EntityMatch::Same);
        assert_eq!(strong.compare(&headers(&[("etag", "\"b\"")])), EntityMatch::Changed);
        assert_eq!(strong.compare(&headers(&[("etag", "W/\"a\"")])), EntityMatch::Unknown);
        assert_eq!(strong.compare(&headers(&[])), EntityMatch::Unknown);
        let weak = Validator::etag("W/\"a\"").unwrap();
        assert_eq!(weak.compare(&headers(&[("etag", "W/\"a\"")])), EntityMatch::Unknown);
        assert_eq!(weak.compare(&headers(&[("etag", "W/\"b\"")])), EntityMatch::Changed);
        let date = Validator::LastModified(OLD.into());
        assert_eq!(date.compare(&headers(&[("last-modified", OLD)])), EntityMatch::Same);
        assert_eq!(
            date.compare(&headers(&[("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT")])),
            EntityMatch::Changed
        );
    }
}
