//! What is asked for.

use std::fmt;
use std::ops::{Range, RangeFrom};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use crate::policy::RetryPolicy;
use crate::redact::{HeaderNames, RedactedUrl};
use crate::validator::Validator;

/// Bytes asked for: `start..end`, the end exclusive; without an end, everything from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte. `None`: to the end of the entity.
    pub end: Option<u64>,
}

impl ByteRange {
    /// `start..end`, the end exclusive. An empty range is refused when it is sent.
    pub fn new(start: u64, end: u64) -> Self {
        Self { start, end: Some(end) }
    }

    /// Everything from `start` on.
    pub fn from_start(start: u64) -> Self {
        Self { start, end: None }
    }

    /// How many bytes, when the range has an end.
    pub fn len(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.start))
    }

    /// True for a range that has an end and no byte in it.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The value of a `Range` header; `None` for an empty range, which HTTP cannot express.
    pub fn header_value(&self) -> Option<HeaderValue> {
        let text = match self.end {
            None => format!("bytes={}-", self.start),
            Some(end) if end > self.start => format!("bytes={}-{}", self.start, end - 1),
            Some(_) => return None,
        };
        HeaderValue::from_str(&text).ok()
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::new(range.start, range.end)
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::from_start(range.start)
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end {
            Some(end) => write!(f, "{}..{end}", self.start),
            None => write!(f, "{}..", self.start),
        }
    }
}

/// A GET request. `Debug` shows the redacted URL and header names, no values.
#[derive(Clone)]
#[non_exhaustive]
pub struct Request {
    /// What is asked for. `http` and `https` only.
    pub url: Url,
    /// Headers of the application, beside those that the client sets itself. They go to one origin, as those of
    /// [`HttpOptions::headers`](crate::HttpOptions::headers) do.
    pub headers: HeaderMap,
    /// The part asked for. `None`: the whole entity.
    pub range: Option<ByteRange>,
    /// Answer with the range only if the entity is still this one; ignored without a range or when the validator is
    /// weak ([`Validator::for_if_range`]).
    pub if_range: Option<Validator>,
    /// The URL that the application opened, where it is another one than `url` (a segment that a playlist names): headers
    /// of the application go to its origin alone ([`HttpOptions::headers`](crate::HttpOptions::headers)). Default `None`:
    /// the origin of `url`.
    pub opened: Option<Arc<Url>>,
    /// What the request is for (`"segment"`, `"playlist"`), for observers. Default: empty.
    pub tag: &'static str,
    /// How this request and its body are retried, instead of by the policy of the stack's `RetryNet`. Default `None`.
    pub retry: Option<RetryPolicy>,
    /// Time for all of [`NetExt::get_bytes`](crate::NetExt::get_bytes): head, body and retries. Default 60 s.
    pub deadline: Duration,
    /// The answer may be compressed: `get_bytes` inflates it.
    pub(crate) accepts_gzip: bool,
}

impl Request {
    /// A request for the whole of `url`.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            headers: HeaderMap::new(),
            range: None,
            if_range: None,
            opened: None,
            tag: "",
            retry: None,
            deadline: Duration::from_secs(60),
            accepts_gzip: false,
        }
    }

    /// Asks for a part.
    #[must_use]
    pub fn with_range(mut self, range: impl Into<ByteRange>) -> Self {
        self.range = Some(range.into());
        self
    }

    /// Asks for the part only if the entity is still the one that `validator` names (RFC 9110 §13.1.5).
    #[must_use]
    pub fn with_if_range(mut self, validator: Option<Validator>) -> Self {
        self.if_range = validator;
        self
    }

    /// Sets a header, replacing an earlier value of the same name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets several headers, replacing earlier values of the same names.
    #[must_use]
    pub fn with_headers(mut self, headers: &HeaderMap) -> Self {
        for name in headers.keys() {
            self.headers.remove(name);
            for value in headers.get_all(name) {
                self.headers.append(name, value.clone());
            }
        }
        self
    }

    /// Asks for the entity only if it is no longer the one that `validator` names (RFC 9110 §13.1.2, §13.1.3):
    /// the answer to an unchanged one is status 304 with an empty body.
    #[must_use]
    pub fn with_if_changed(mut self, validator: &Validator) -> Self {
        let (name, value) = match validator {
            Validator::ETag { .. } => (header::IF_NONE_MATCH, validator.to_header()),
            Validator::LastModified(_) => (header::IF_MODIFIED_SINCE, validator.to_header()),
        };
        if let Some(value) = value {
            self.headers.insert(name, value);
        }
        self
    }

    /// Says which URL the application opened, when a playlist of it names this one.
    #[must_use]
    pub fn with_opened(mut self, url: Arc<Url>) -> Self {
        self.opened = Some(url);
        self
    }

    /// Says what the request is for; observers see it.
    #[must_use]
    pub fn with_tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Retries this request and its body by `policy` instead of the policy of the stack. [`RetryPolicy::none`]: the
    /// response is passed on exactly as it came, and callers that retry by themselves do not multiply two budgets.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets the time for all of [`NetExt::get_bytes`](crate::NetExt::get_bytes).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// True when 304 is an answer that this request asks for.
    pub(crate) fn is_conditional(&self) -> bool {
        self.headers.contains_key(header::IF_NONE_MATCH)
            || self.headers.contains_key(header::IF_MODIFIED_SINCE)
    }
}

impl From<Url> for Request {
    fn from(url: Url) -> Self {
        Self::new(url)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("url", &RedactedUrl(&self.url))
            .field("headers", &HeaderNames(&self.headers))
            .field("range", &self.range)
            .field("if_range", &self.if_range)
            .field("tag", &self.tag)
            .finish()
    }
}
