//! The HTTP client at the bottom of the stack.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::{StatusCode, Version};
use url::Url;

use crate::body::HttpBody;
use crate::error::NetError;
use crate::head::ResponseHead;
use crate::hook::HookReason;
use crate::net::{Net, Response};
use crate::options::HttpOptions;
use crate::redact::redacted;
use crate::request::Request;
use crate::timeout::Timeouts;
use crate::transport::{Transport, check_scheme, headers, protocol_headers};

/// The largest body of a redirect or refusal that is read to keep its connection, and the longest time for it.
const DRAIN_BYTES: u64 = 16 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(250);

/// HTTP/1.1 and HTTP/2 over reqwest and rustls. Clones share connections, cookies and TLS sessions.
///
/// Nothing is built before the first request, and no certificate is loaded before the first https request. Follows
/// redirects by itself (bounded; http and https only; headers of the application stay with their origin), asks the
/// [`RequestHook`](crate::RequestHook), and checks each response as [`ResponseHead::new`] says.
///
/// One HTTP/1 connection reads into a buffer of 8 KiB that grows, while the peer fills it, up to about 400 KiB:
/// reqwest has no setting for it. Needs a tokio runtime with I/O and time.
#[derive(Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

struct Shared {
    options: HttpOptions,
    connect_timeout: Duration,
    transport: OnceLock<Result<Transport, NetError>>,
}

impl HttpClient {
    /// A client with the default limit for connecting (10 s).
    pub fn new(options: HttpOptions) -> Self {
        Self::with_connect_timeout(options, Timeouts::default().connect)
    }

    /// A client that gives up connecting after `connect_timeout`.
    pub fn with_connect_timeout(options: HttpOptions, connect_timeout: Duration) -> Self {
        Self { shared: Arc::new(Shared { options, connect_timeout, transport: OnceLock::new() }) }
    }

    /// Builds what the first request would build: settings that do not work show now.
    ///
    /// # Errors
    /// [`NetError::Options`].
    pub fn prepare(&self) -> Result<(), NetError> {
        self.shared.transport().map(|_| ())
    }
}

impl Default for HttpClient {
    fn default() -> Self {
        Self::new(HttpOptions::default())
    }
}

impl fmt::Display for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("options", &self.shared.options).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
impl Net for HttpClient {
    type Body = HttpBody;

    async fn open(&self, request: Request) -> Result<Response<HttpBody>, NetError> {
        check_scheme(&request.url)?;
        let shared = &*self.shared;
        match shared.fetch(&request, HookReason::Send).await {
            Err(error) if shared.options.hook.is_some() && error.status().is_some_and(is_refusal) => {
                let status = error.status().unwrap_or_default();
                tracing::debug!(url = %redacted(&request.url), %status, "refused, asking the request hook again");
                shared.fetch(&request, HookReason::Refused(status)).await
            }
            result => result,
        }
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::GONE)
}

impl Shared {
    fn transport(&self) -> Result<&Transport, NetError> {
        self.transport
            .get_or_init(|| Transport::build(&self.options, self.connect_timeout))
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The request and its redirects.
    async fn fetch(&self, request: &Request, reason: HookReason) -> Result<Response<HttpBody>, NetError> {
        let transport = self.transport()?;
        let mut hop = self.hop(request, &request.url, reason).await?;
        let mut redirects = 0;
        loop {
            let is_authorized = is_authorized(&hop.url, &hop.headers);
            let response = transport.send(&hop.url, hop.headers).await?;
            if !is_redirect(response.status()) {
                return answer(request, hop.url, response, is_authorized).await;
            }
            redirects += 1;
            if redirects > self.options.max_redirects {
                return Err(NetError::redirect(&hop.url, "too many redirects"));
            }
            let next = target(&hop.url, response.headers())?;
            if hop.url.scheme() == "https" && next.scheme() == "http" && !self.options.insecure_redirects {
                let reason = "it leads from https to http (`HttpOptions::insecure_redirects` allows that)";
                return Err(NetError::redirect(&hop.url, reason));
            }
            if is_same_origin(&hop.url, &next) {
                drain(response).await;
            }
            tracing::trace!(from = %redacted(&hop.url), to = %redacted(&next), "redirect");
            hop = self.hop(request, &next, HookReason::Redirected).await?;
        }
    }

    /// The request to one URL of the chain: headers of the application for its origin alone, then the hook.
    async fn hop(&self, request: &Request, url: &Url, reason: HookReason) -> Result<Hop, NetError> {
        let opened = request.opened.as_deref().unwrap_or(&request.url);
        let is_own = is_same_origin(opened, url);
        let Some(hook) = &self.options.hook else {
            return Ok(Hop { headers: headers(&self.options, request, is_own)?, url: url.clone() });
        };
        let mut asked = request.clone();
        asked.url = url.clone();
        if !is_own {
            asked.headers = protocol_headers(&asked.headers);
        }
        let prepared = hook.prepare(asked, reason).await;
        let prepared =
            prepared.map_err(|source| NetError::Hook { url: redacted(url), source: Arc::from(source) })?;
        check_scheme(&prepared.url)?;
        // The headers of the hook are for the URL that it gives.
        let is_own = is_same_origin(opened, &prepared.url);
        let own = headers(&self.options, &prepared, true)?;
        let headers = if is_own { own } else { without(own, &self.options.headers, &prepared.headers) };
        Ok(Hop { headers, url: prepared.url })
    }
}

/// One request of a chain of redirects.
struct Hop {
    url: Url,
    headers: HeaderMap,
}

/// Removes the headers of the options, unless the request itself sets them.
fn without(mut headers: HeaderMap, options: &HeaderMap, request: &HeaderMap) -> HeaderMap {
    for name in options.keys().filter(|name| !request.contains_key(*name)) {
        headers.remove(name);
    }
    headers
}

fn is_authorized(url: &Url, headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION) || !url.username().is_empty() || url.password().is_some()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn is_same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Where a redirect leads.
fn target(from: &Url, headers: &HeaderMap) -> Result<Url, NetError> {
    let value = headers.get(header::LOCATION).ok_or_else(|| NetError::redirect(from, "no Location"))?;
    // Not ASCII is wrong, and common: browsers take it for UTF-8.
    let text = String::from_utf8_lossy(value.as_bytes());
    let mut next = from.join(text.trim()).map_err(|_| NetError::redirect(from, "malformed Location"))?;
    check_scheme(&next).map_err(|_| NetError::redirect(from, "to a scheme other than http and https"))?;
    if next.fragment().is_none() {
        next.set_fragment(from.fragment());
    }
    if is_same_origin(from, &next) && next.username().is_empty() && next.password().is_none() {
        // Credentials in the URL stay valid for their origin.
        let _ = next.set_username(from.username());
        let _ = next.set_password(from.password());
    }
    Ok(next)
}

async fn answer(
    request: &Request,
    url: Url,
    mut response: reqwest::Response,
    is_authorized: bool,
) -> Result<Response<HttpBody>, NetError> {
    let (status, version) = (response.status(), response.version());
    let headers = std::mem::take(response.headers_mut());
    let chunked = is_chunked(&headers);
    let head = ResponseHead::new(request, url, status, headers);
    let mut head = match head {
        Ok(head) => head,
        Err(error) => {
            drain(response).await;
            return Err(error);
        }
    };
    head.version = version;
    head.is_authorized = is_authorized;
    let delimited = version >= Version::HTTP_2 || (version == Version::HTTP_11 && chunked);
    let body = HttpBody::new(&head, http::Response::from(response).into_body(), delimited);
    Ok(Response { head, body })
}

/// `chunked` as the last transfer coding: the body says where it ends.
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(header::TRANSFER_ENCODING).iter().next_back();
    last.and_then(|value| value.to_str().ok())
        .and_then(|value| value.rsplit(',').next())
        .is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// Reads a small body that nobody wants, so that its connection can be used again.
async fn drain(mut response: reqwest::Response) {
    if response.content_length().is_none_or(|len| len > DRAIN_BYTES) {
        return;
    }
    let read = async { while let Ok(Some(_)) = response.chunk().await {} };
    // The connection is given up when the time is over.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}
