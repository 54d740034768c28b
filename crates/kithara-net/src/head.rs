//! What the head of a response says, checked against what was asked.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, Version, header};
use url::Url;

use crate::error::NetError;
use crate::redact::{HeaderNames, RedactedUrl, redacted};
use crate::request::{ByteRange, Request};
use crate::validator::Validator;

/// Where the bytes of a transfer come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransferSource {
    /// From a server, now: tells the speed of the network.
    #[default]
    Network,
    /// From a local cache: tells nothing about the network.
    Cache,
}

/// The head of a response. `Debug` shows the redacted URL and header names, no values.
#[derive(Clone)]
#[non_exhaustive]
pub struct ResponseHead {
    /// The final URL, after redirects: relative URLs in the body resolve against it.
    pub url: Url,
    /// 200, 203 or 206; 304 for a conditional request; 416 for a resuming body asked for the exact end.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// Offset of the body's first byte in the entity: 0 for status 200, **also when a range was asked for**.
    pub body_offset: u64,
    /// Bytes of the body; `None` for chunked and close-delimited ones.
    pub body_len: Option<u64>,
    /// Bytes of the whole entity, when the server tells.
    pub total_len: Option<u64>,
    /// Which version of the entity it is.
    pub validator: Option<Validator>,
    /// Media type without parameters, lower case. Servers lie; take it as a hint.
    pub content_type: Option<String>,
    /// The server says that it answers ranges. Servers that do not say so often do.
    pub accepts_ranges: bool,
    /// The request carried credentials (`Authorization`, or in its URL).
    pub is_authorized: bool,
    /// From the network or from a cache.
    pub source: TransferSource,
    /// The HTTP version of the response.
    pub version: Version,
}

impl ResponseHead {
    /// Reads a head and checks it against the request. Layers that make responses of their own (caches, mocks) use it
    /// as [`HttpClient`](crate::HttpClient) does.
    ///
    /// # Errors
    /// [`NetError::Status`] for a status other than 200, 203, 206 (and 304, when asked for), [`NetError::RangeNotSatisfiable`] for 416,
    /// [`NetError::ContentEncoding`] for anything but `identity` (and gzip, where [`NetExt::get_bytes`](crate::NetExt::get_bytes) asks for it), [`NetError::WrongRange`] for a 206 that is not the
    /// part asked for.
    pub fn new(
        request: &Request,
        url: Url,
        status: StatusCode,
        headers: HeaderMap,
    ) -> Result<Self, NetError> {
        check_status(request, &url, status, &headers)?;
        check_encoding(request, &url, &headers)?;
        let declared = content_length(&headers);
        let mut head = Self {
            status,
            body_offset: 0,
            body_len: declared,
            total_len: declared,
            validator: Validator::from_headers(&headers),
            content_type: content_type(&headers),
            accepts_ranges: header_str(&headers, header::ACCEPT_RANGES)
                .is_some_and(|v| v.split(',').any(|unit| unit.trim().eq_ignore_ascii_case("bytes"))),
            is_authorized: request.headers.contains_key(header::AUTHORIZATION),
            source: TransferSource::Network,
            version: Version::HTTP_11,
            url,
            headers,
        };
        match status {
            StatusCode::PARTIAL_CONTENT => head.read_part(request)?,
            StatusCode::NOT_MODIFIED => {
                head.body_len = Some(0);
                head.total_len = None;
            }
            _ => {}
        }
        Ok(head)
    }

    /// Offset behind the last byte of the body, when it is known.
    pub fn body_end(&self) -> Option<u64> {
        self.body_len.and_then(|len| self.body_offset.checked_add(len))
    }

    /// False for 304, which carries nothing of the entity.
    pub(crate) fn has_entity(&self) -> bool {
        self.status != StatusCode::NOT_MODIFIED
    }

    /// The head of nothing, at the end of an entity of `total` bytes.
    pub(crate) fn at_end(request: &Request, total: u64) -> Self {
        Self {
            url: request.url.clone(),
            status: StatusCode::RANGE_NOT_SATISFIABLE,
            headers: HeaderMap::new(),
            body_offset: total,
            body_len: Some(0),
            total_len: Some(total),
            validator: None,
            content_type: None,
            accepts_ranges: true,
            is_authorized: false,
            source: TransferSource::Network,
            version: Version::HTTP_11,
        }
    }

    fn read_part(&mut self, request: &Request) -> Result<(), NetError> {
        let asked = request.range.map_or(0, |range| range.start);
        let wrong = |reason| NetError::wrong_range(&self.url, asked, reason);
        let Some(value) = self.headers.get(header::CONTENT_RANGE) else {
            let is_multipart = self.content_type.as_deref() == Some("multipart/byteranges");
            if request.range.is_none_or(|range| range == ByteRange::from_start(0)) && !is_multipart {
                // A plain GET answered 206: servers and proxies that mean 200 send it.
                self.status = StatusCode::OK;
                return Ok(());
            }
            return Err(wrong("206 without Content-Range"));
        };
        let part = ContentRange::parse(value.as_bytes()).ok_or_else(|| wrong("malformed Content-Range"))?;
        let ContentRange::Part { start, end, total } = part else {
            return Err(wrong("Content-Range of an unsatisfied range in a 206"));
        };
        if start > asked {
            return Err(wrong("the part begins later"));
        }
        if end <= asked {
            return Err(wrong("the part ends before"));
        }
        self.body_offset = start;
        self.body_len = Some(end - start);
        self.total_len = total;
        self.accepts_ranges = true;
        Ok(())
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("url", &RedactedUrl(&self.url))
            .field("status", &self.status)
            .field("headers", &HeaderNames(&self.headers))
            .field("body_offset", &self.body_offset)
            .field("body_len", &self.body_len)
            .field("total_len", &self.total_len)
            .field("validator", &self.validator)
            .field("content_type", &self.content_type)
            .field("accepts_ranges", &self.accepts_ranges)
            .field("is_authorized", &self.is_authorized)
            .field("source", &self.source)
            .field("version", &self.version)
            .finish()
    }
}

fn check_status(
    request: &Request,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), NetError> {
    if status == StatusCode::RANGE_NOT_SATISFIABLE {
        let total = match headers.get(header::CONTENT_RANGE).map(|v| ContentRange::parse(v.as_bytes())) {
            Some(Some(ContentRange::Unsatisfied { total })) => total,
            _ => None,
        };
        let start = request.range.map_or(0, |range| range.start);
        return Err(NetError::RangeNotSatisfiable { url: redacted(url), start, total });
    }
    match status.as_u16() {
        200 | 203 | 206 => return Ok(()),
        304 if request.is_conditional() => return Ok(()),
        // 202, 204 and the like come without the entity; 3xx that arrive here lead nowhere.
        _ => {}
    }
    if let Some(scheme) = unsupported_scheme(status, headers) {
        return Err(NetError::Authentication { url: redacted(url), status, scheme });
    }
    let retry_after = retry_after(headers, SystemTime::now());
    Err(NetError::Status { url: redacted(url), status, retry_after })
}

/// The authentication scheme that a refusal asks for, if it asks for none that a header or a URL can answer.
fn unsupported_scheme(status: StatusCode, headers: &HeaderMap) -> Option<Box<str>> {
    let name = match status {
        StatusCode::UNAUTHORIZED => header::WWW_AUTHENTICATE,
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => header::PROXY_AUTHENTICATE,
        _ => return None,
    };
    let challenges = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut schemes: Vec<&str> = challenges.filter_map(|text| text.split_whitespace().next()).collect();
    schemes.sort_unstable();
    let is_unsupported = |scheme: &&str| {
        ["digest", "ntlm", "negotiate"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
    };
    schemes.iter().all(is_unsupported).then(|| schemes.first().map(|scheme| (*scheme).into()))?
}

fn check_encoding(request: &Request, url: &Url, headers: &HeaderMap) -> Result<(), NetError> {
    if request.accepts_gzip && is_gzip(headers) {
        return Ok(());
    }
    match encodings(headers).next() {
        Some(encoding) => Err(NetError::encoding(url, &encoding)),
        None => Ok(()),
    }
}

/// What was done to the body, `identity` aside.
fn encodings(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    texts
        .flat_map(|text| text.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>())
        .filter(|one| !one.is_empty() && !one.eq_ignore_ascii_case("identity"))
}

/// Whether the body is compressed by gzip and nothing else.
pub(crate) fn is_gzip(headers: &HeaderMap) -> bool {
    let mut all = encodings(headers);
    let first = all.next();
    all.next().is_none()
        && first.is_some_and(|one| one.eq_ignore_ascii_case("gzip") || one.eq_ignore_ascii_case("x-gzip"))
}

fn header_str(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The declared length of the body; none where the transfer coding rules (RFC 9112 §6.3).
fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    digits(headers.get(header::CONTENT_LENGTH)?.as_bytes().trim_ascii())
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = header_str(headers, header::CONTENT_TYPE)?;
    let essence = text.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty() && essence.len() <= 128).then(|| essence.to_ascii_lowercase())
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = header_str(headers, header::RETRY_AFTER)?.trim();
    if let Some(seconds) = digits(text.as_bytes()) {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// A decimal number of digits alone, that fits.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// A `Content-Range` header (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// `bytes 0-99/100` or `bytes 0-99/*`; the end is exclusive here.
    Part { start: u64, end: u64, total: Option<u64> },
    /// `bytes */100`.
    Unsatisfied { total: Option<u64> },
}

impl ContentRange {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (unit, rest) = value.split_at_checked(5)?;
        if !unit.eq_ignore_ascii_case(b"bytes") || !matches!(rest.first()?, b' ' | b'=' | b'\t') {
            return None;
        }
        let rest = rest[1..].trim_ascii();
        let slash = rest.iter().position(|&b| b == b'/')?;
        let (range, total) = (rest[..slash].trim_ascii(), rest[slash + 1..].trim_ascii());
        let total = if total == b"*" { None } else { Some(digits(total)?) };
        if range == b"*" {
            return Some(Self::Unsatisfied { total });
        }
        let dash = range.iter().position(|&b| b == b'-')?;
        let start = digits(&range[..dash])?;
        let end = digits(&range[dash + 1..])?.checked_add(1)?;
        let sound = start < end && total.is_none_or(|total| end <= total);
        sound.then_some(Self::Part { start, end, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Option<ContentRange> {
        ContentRange::parse(text.as_bytes())
    }

    fn head(
        range: Option<(u64, u64)>,
        status: u16,
        headers: &[(&'static str, &str)],
    ) -> Result<ResponseHead, NetError> {
        let url = Url::parse("http://h/x").unwrap();
        let mut request = Request::new(url.clone());
        if let Some((start, end)) = range {
            request = request.with_range(start..end);
        }
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        ResponseHead::new(&request, url, StatusCode::from_u16(status).unwrap(), headers)
    }

    #[test]
    fn content_range_is_read_or_refused() {
        assert_eq!(part("bytes 0-99/100"), Some(ContentRange::Part { start: 0, end: 100, total: Some(100) }));
        assert_eq!(part("Bytes=5-9/*"), Some(ContentRange::Part { start: 5, end: 10, total: None }));
        assert_eq!(part("bytes */100"), Some(ContentRange::Unsatisfied { total: Some(100) }));
        for bad in [
            "",
            "bytes",
            "bytes 9-5/100",
            "bytes 0-100/100",
            "bytes 0-/100",
            "bytes -5/100",
            "items 0-1/2",
            "bytes 0-18446744073709551615/*",
            "bytes 0-1/99999999999999999999999",
            "bytes +0-1/2",
            "bytes 0-1",
            "bytesé",
        ] {
            assert_eq!(part(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_part_must_hold_the_first_byte_asked_for() {
        let ok = head(Some((10, 20)), 206, &[("content-range", "bytes 10-19/100"), ("content-length", "10")])
            .unwrap();
        assert_eq!((ok.body_offset, ok.body_len, ok.total_len), (10, Some(10), Some(100)));
        assert_eq!(ok.body_end(), Some(20));
        assert!(ok.accepts_ranges);
        let early = head(Some((10, 20)), 206, &[("content-range", "bytes 8-19/100")]).unwrap();
        assert_eq!(early.body_offset, 8);
        for range in ["bytes 11-19/100", "bytes 0-9/100", "bytes */100", "junk"] {
            let error = head(Some((10, 20)), 206, &[("content-range", range)]).unwrap_err();
            assert!(matches!(error, NetError::WrongRange { start: 10, .. }), "{range}: {error}");
            assert!(!error.is_retryable());
        }
        assert!(matches!(head(Some((10, 20)), 206, &[]), Err(NetError::WrongRange { .. })));
    }

    #[test]
    fn a_200_begins_at_zero_whatever_was_asked() {
        let head = head(Some((10, 20)), 200, &[("content-length", "100")]).unwrap();
        assert_eq!((head.body_offset, head.body_len, head.total_len), (0, Some(100), Some(100)));
    }

    #[test]
    fn status_416_teaches_the_length() {
        let error = head(Some((100, 200)), 416, &[("content-range", "bytes */100")]).unwrap_err();
        assert!(matches!(error, NetError::RangeNotSatisfiable { start: 100, total: Some(100), .. }));
        assert_eq!(error.status(), Some(StatusCode::RANGE_NOT_SATISFIABLE));
    }

    #[test]
    fn encodings_other_than_identity_are_refused() {
        assert!(head(None, 200, &[("content-encoding", "identity")]).is_ok());
        assert!(head(None, 200, &[("content-encoding", "")]).is_ok());
        let error = head(None, 200, &[("content-encoding", "identity, GZIP")]).unwrap_err();
        assert!(matches!(error, NetError::ContentEncoding { ref encoding, .. } if &**encoding == "GZIP"));
    }

    #[test]
    fn lengths_and_types_are_read_with_care() {
        let h = head(None, 200, &[("content-length", "-5"), ("content-type", "Audio/MPEG; q=1")]).unwrap();
        assert_eq!(h.body_len, None);
        assert_eq!(h.content_type.as_deref(), Some("audio/mpeg"));
        let h = head(None, 200, &[("content-length", "5"), ("transfer-encoding", "chunked")]).unwrap();
        assert_eq!(h.body_len, None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let read = |text: &str| {
            let headers = [(header::RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(read("99999999999999999999"), None);
    }

    #[test]
    fn debug_shows_no_values() {
        let h = head(None, 200, &[("set-cookie", "secret=1")]).unwrap();
        let text = format!("{h:?}");
        assert!(text.contains("set-cookie") && !text.contains("secret"), "{text}");
    }
}
