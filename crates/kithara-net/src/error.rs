//! What goes wrong between a request and the end of its body.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::redact::redacted;

/// The underlying error, shared so that [`NetError`] can be cloned to every waiter.
pub type Source = Arc<dyn StdError + Send + Sync + 'static>;

/// What a time limit was set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Name resolution, TCP and TLS.
    Connect,
    /// From the request to the head of its response, connecting and redirects included.
    Head,
    /// Between two chunks of a body.
    Idle,
    /// From the request to the last byte of a small body, retries included.
    Total,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Head => "waiting for the response head",
            Self::Idle => "waiting for the next bytes of the body",
            Self::Total => "fetching all of the body",
        })
    }
}

/// An error of the network layer. URLs in it are redacted ([`RedactedUrl`](crate::RedactedUrl)); header values never
/// appear.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The request itself cannot be sent: an empty range, a URL without a host.
    #[error("cannot request {url}: {reason}")]
    InvalidRequest {
        /// What was asked for.
        url: Box<str>,
        /// Why not.
        reason: &'static str,
    },
    /// Neither `http` nor `https`; or `https` in a build without TLS.
    #[error("cannot request {url}: {reason}")]
    UnsupportedScheme {
        /// What was asked for.
        url: Box<str>,
        /// What is missing.
        reason: &'static str,
    },
    /// The client's options do not work (proxy, root certificates).
    #[error("the network options do not work: {what}")]
    Options {
        /// Which setting.
        what: &'static str,
        /// Why.
        #[source]
        source: Source,
    },
    /// No connection: name resolution, refused, unreachable.
    #[error("connecting for {url}")]
    Connect {
        /// What was asked for.
        url: Box<str>,
        /// Why.
        #[source]
        source: Source,
    },
    /// The server's certificate or its TLS is not acceptable.
    #[error("TLS with the server of {url}")]
    Tls {
        /// What was asked for.
        url: Box<str>,
        /// Why.
        #[source]
        source: Source,
    },
    /// The connection broke, or what came over it was not HTTP, before the head of the response was there.
    #[error("requesting {url}")]
    Request {
        /// What was asked for.
        url: Box<str>,
        /// Why.
        #[source]
        source: Source,
    },
    /// A time limit passed.
    #[error("timed out after {after:?} {phase}, {url}")]
    Timeout {
        /// What was asked for.
        url: Box<str>,
        /// What took too long.
        phase: Phase,
        /// The limit.
        after: Duration,
    },
    /// The server answered with a status that brings no entity.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for (after redirects).
        url: Box<str>,
        /// The status.
        status: StatusCode,
        /// `Retry-After`, counted from the moment the head arrived.
        retry_after: Option<Duration>,
    },
    /// The server (401) or the proxy (407) asks for an authentication scheme that is not supported.
    #[error(
        "{url} answered {status} and asks for {scheme} authentication: Basic (credentials in the URL) and an \
         `Authorization` header are supported"
    )]
    Authentication {
        /// What was asked for (after redirects).
        url: Box<str>,
        /// 401 or 407.
        status: StatusCode,
        /// The scheme asked for, `Digest` or `Negotiate`.
        scheme: Box<str>,
    },
    /// Status 416: the entity has no such bytes.
    #[error("{url} has no bytes from {start} on (length {total:?})")]
    RangeNotSatisfiable {
        /// What was asked for.
        url: Box<str>,
        /// First byte asked for.
        start: u64,
        /// The entity's length, when the server told it (`Content-Range: bytes */N`).
        total: Option<u64>,
    },
    /// A redirect that is not followed.
    #[error("redirect from {url}: {reason}")]
    Redirect {
        /// The URL that redirected.
        url: Box<str>,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// The body is compressed although `identity` was asked for (offsets in it mean nothing), or is not what it is said
    /// to be.
    #[error("{url} is sent with Content-Encoding {encoding}")]
    ContentEncoding {
        /// What was asked for.
        url: Box<str>,
        /// The encoding.
        encoding: Box<str>,
    },
    /// `Content-Range` is missing, malformed, or another part than asked for.
    #[error("{url}: asked for bytes from {start} on: {reason}")]
    WrongRange {
        /// What was asked for.
        url: Box<str>,
        /// First byte asked for.
        start: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The body ended or broke before its end.
    #[error("the body of {url} broke off after {received} bytes (declared {expected:?})")]
    Interrupted {
        /// What was asked for.
        url: Box<str>,
        /// Bytes of this response's body that arrived.
        received: u64,
        /// Bytes that the response declared.
        expected: Option<u64>,
        /// What broke. `None`: a clean close that came too early.
        #[source]
        source: Option<Source>,
    },
    /// The entity behind the URL is no longer the one whose first bytes were delivered. Start again from nothing.
    #[error("{url} changed while it was read, at byte {offset}: {what}")]
    EntityChanged {
        /// What was asked for.
        url: Box<str>,
        /// Bytes below were taken from the old entity.
        offset: u64,
        /// What told.
        what: &'static str,
    },
    /// A body larger than the caller's limit.
    #[error("the body of {url} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: Box<str>,
        /// The limit in bytes.
        limit: u64,
    },
    /// The application's [`RequestHook`](crate::RequestHook) failed.
    #[error("the application's request hook failed for {url}")]
    Hook {
        /// What was asked for.
        url: Box<str>,
        /// Why.
        #[source]
        source: Source,
    },
}

impl NetError {
    pub(crate) fn encoding(url: &Url, encoding: &str) -> Self {
        let encoding = encoding.chars().take(32).collect::<String>().into_boxed_str();
        Self::ContentEncoding { url: redacted(url), encoding }
    }

    /// True if the same request may succeed a moment later: no connection, a break, a time limit, a body that broke
    /// off, the status codes 408, 425, 429, 500, 502, 503 and 504, and a 416 whose own length denies it.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Request { .. } | Self::Timeout { .. } | Self::Interrupted { .. } => {
                true
            }
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::RangeNotSatisfiable { start, total, .. } => total.is_some_and(|total| *start < total),
            _ => false,
        }
    }

    /// The status that the server answered with, if that is the error.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } | Self::Authentication { status, .. } => Some(*status),
            Self::RangeNotSatisfiable { .. } => Some(StatusCode::RANGE_NOT_SATISFIABLE),
            _ => None,
        }
    }

    /// How long the server asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// True if the entity changed while it was read: what was stored of it is void.
    pub fn is_entity_changed(&self) -> bool {
        matches!(self, Self::EntityChanged { .. })
    }

    /// The redacted URL, when one request is to blame.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::Options { .. } => None,
            Self::InvalidRequest { url, .. }
            | Self::UnsupportedScheme { url, .. }
            | Self::Connect { url, .. }
            | Self::Tls { url, .. }
            | Self::Request { url, .. }
            | Self::Timeout { url, .. }
            | Self::Status { url, .. }
            | Self::Authentication { url, .. }
            | Self::RangeNotSatisfiable { url, .. }
            | Self::Redirect { url, .. }
            | Self::ContentEncoding { url, .. }
            | Self::WrongRange { url, .. }
            | Self::Interrupted { url, .. }
            | Self::EntityChanged { url, .. }
            | Self::TooLarge { url, .. }
            | Self::Hook { url, .. } => Some(url),
        }
    }

    pub(crate) fn invalid(url: &Url, reason: &'static str) -> Self {
        Self::InvalidRequest { url: redacted(url), reason }
    }

    pub(crate) fn redirect(url: &Url, reason: &'static str) -> Self {
        Self::Redirect { url: redacted(url), reason }
    }

    pub(crate) fn wrong_range(url: &Url, start: u64, reason: &'static str) -> Self {
        Self::WrongRange { url: redacted(url), start, reason }
    }

    pub(crate) fn changed(url: &Url, offset: u64, what: &'static str) -> Self {
        Self::EntityChanged { url: redacted(url), offset, what }
    }

    pub(crate) fn timeout(url: &Url, phase: Phase, after: Duration) -> Self {
        Self::Timeout { url: redacted(url), phase, after }
    }
}
