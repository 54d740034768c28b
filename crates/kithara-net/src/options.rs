//! Everything that can be set, in one place.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::hook::RequestHook;
use crate::observe::NetObserver;
use crate::policy::RetryPolicy;
use crate::redact::{HeaderNames, RedactedUrl};
use crate::timeout::Timeouts;

/// Options of the whole default stack ([`DefaultNet`](crate::DefaultNet)).
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct NetOptions {
    /// The client itself.
    pub http: HttpOptions,
    /// Time limits.
    pub timeouts: Timeouts,
    /// How often and how soon to try again.
    pub retry: RetryPolicy,
    /// Told of every transfer. Default: nobody.
    pub observers: Vec<Arc<dyn NetObserver>>,
}

impl NetOptions {
    /// Sets the options of the client.
    #[must_use]
    pub fn with_http(mut self, http: HttpOptions) -> Self {
        self.http = http;
        self
    }

    /// Sets the time limits.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets how often and how soon heads and bodies are retried.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the request hook.
    #[must_use]
    pub fn with_hook(mut self, hook: impl RequestHook) -> Self {
        self.http.hook = Some(Arc::new(hook));
        self
    }

    /// Adds an observer.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn NetObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets a header of the application: see [`HttpOptions::headers`].
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.http.headers.insert(name, value);
        self
    }

    /// Sets a header that goes to every host: see [`HttpOptions::shared_headers`].
    #[must_use]
    pub fn with_shared_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.http.shared_headers.insert(name, value);
        self
    }

    /// Keeps cookies that servers set and sends them back, or does not. Default `true`.
    #[must_use]
    pub fn with_cookies(mut self, cookies: bool) -> Self {
        self.http.cookies = cookies;
        self
    }

    /// Follows redirects from https to http, or does not. Default `false`.
    #[must_use]
    pub fn with_insecure_redirects(mut self, allowed: bool) -> Self {
        self.http.insecure_redirects = allowed;
        self
    }
}

impl fmt::Debug for NetOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetOptions")
            .field("http", &self.http)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .field("observers", &self.observers.len())
            .finish()
    }
}

/// Options of [`HttpClient`](crate::HttpClient).
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// `User-Agent`. Default `kithara/<version>`.
    pub user_agent: HeaderValue,
    /// Headers of the application; a header of the request itself wins. Default: none.
    ///
    /// They go to one origin (scheme, host and port): that of the URL that the application opened. Other hosts that a
    /// playlist names or a redirect leads to do not get them, nor does the same host over another scheme.
    pub headers: HeaderMap,
    /// Headers that go to every host: never put a secret here. Default: none.
    pub shared_headers: HeaderMap,
    /// Keeps cookies that servers set, in memory, and sends them back to the hosts that set them. Default `true`: CDNs
    /// give out the permission for segments as a cookie of the playlist or of a redirect.
    pub cookies: bool,
    /// Follows redirects from https to http. Default `false`: everybody on the way could read and change the bytes.
    pub insecure_redirects: bool,
    /// Idle connections kept for each host. Default 8; 0 closes each connection after its response, which saves its
    /// buffers and costs a TCP and TLS handshake (2 to 3 round trips) for each request.
    pub max_idle_per_host: usize,
    /// How long an idle connection is kept. Default 90 s.
    pub idle_timeout: Duration,
    /// Redirects followed for one request. Default 10.
    pub max_redirects: usize,
    /// Which proxy to use. Default: what the environment says.
    pub proxy: ProxySetting,
    /// Which HTTP versions to speak. Default: HTTP/2 where TLS negotiates it, else HTTP/1.1.
    pub version: VersionSetting,
    /// Unread bytes that the peer may send on one HTTP/2 stream. Default 256 KiB; a stream is at most
    /// this ÷ round trip fast (256 KiB at 100 ms: 21 Mbit/s).
    pub http2_stream_window: u32,
    /// Unread bytes on one HTTP/2 connection, all streams together. Default 1 MiB.
    pub http2_connection_window: u32,
    /// Root certificates accepted beside those of the system. Default: none.
    pub extra_roots: Vec<RootCertificate>,
    /// Accepts `extra_roots` alone, and does not load the system's. Default: off.
    pub only_extra_roots: bool,
    /// Asked about each request. Default: none.
    pub hook: Option<Arc<dyn RequestHook>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            user_agent: HeaderValue::from_static(concat!("kithara/", env!("CARGO_PKG_VERSION"))),
            headers: HeaderMap::new(),
            shared_headers: HeaderMap::new(),
            cookies: true,
            insecure_redirects: false,
            max_idle_per_host: 8,
            idle_timeout: Duration::from_secs(90),
            max_redirects: 10,
            proxy: ProxySetting::System,
            version: VersionSetting::Negotiate,
            http2_stream_window: 256 * 1024,
            http2_connection_window: 1024 * 1024,
            extra_roots: Vec::new(),
            only_extra_roots: false,
            hook: None,
        }
    }
}

impl HttpOptions {
    /// Sets the `User-Agent`.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: HeaderValue) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// Sets the headers that go to every host.
    #[must_use]
    pub fn with_shared_headers(mut self, headers: HeaderMap) -> Self {
        self.shared_headers = headers;
        self
    }

    /// Follows redirects from https to http, or does not.
    #[must_use]
    pub fn with_insecure_redirects(mut self, allowed: bool) -> Self {
        self.insecure_redirects = allowed;
        self
    }

    /// Sets how many idle connections are kept for each host.
    #[must_use]
    pub fn with_max_idle_per_host(mut self, max_idle_per_host: usize) -> Self {
        self.max_idle_per_host = max_idle_per_host;
        self
    }

    /// Sets how long an idle connection is kept.
    #[must_use]
    pub fn with_idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Sets how many redirects are followed for one request.
    #[must_use]
    pub fn with_max_redirects(mut self, max_redirects: usize) -> Self {
        self.max_redirects = max_redirects;
        self
    }

    /// Sets the proxy.
    #[must_use]
    pub fn with_proxy(mut self, proxy: ProxySetting) -> Self {
        self.proxy = proxy;
        self
    }

    /// Sets the HTTP versions to speak.
    #[must_use]
    pub fn with_version(mut self, version: VersionSetting) -> Self {
        self.version = version;
        self
    }

    /// Sets the root certificates accepted beside those of the system.
    #[must_use]
    pub fn with_extra_roots(mut self, extra_roots: Vec<RootCertificate>) -> Self {
        self.extra_roots = extra_roots;
        self
    }

    /// Accepts `extra_roots` alone, or the roots of the system too.
    #[must_use]
    pub fn with_only_extra_roots(mut self, only_extra_roots: bool) -> Self {
        self.only_extra_roots = only_extra_roots;
        self
    }

    /// Keeps cookies that servers set and sends them back, or does not.
    #[must_use]
    pub fn with_cookies(mut self, cookies: bool) -> Self {
        self.cookies = cookies;
        self
    }

    /// Sets the headers of the application.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the request hook.
    #[must_use]
    pub fn with_hook(mut self, hook: impl RequestHook) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("user_agent", &self.user_agent)
            .field("headers", &HeaderNames(&self.headers))
            .field("shared_headers", &HeaderNames(&self.shared_headers))
            .field("cookies", &self.cookies)
            .field("insecure_redirects", &self.insecure_redirects)
            .field("max_idle_per_host", &self.max_idle_per_host)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_redirects", &self.max_redirects)
            .field("proxy", &self.proxy)
            .field("version", &self.version)
            .field("http2_stream_window", &self.http2_stream_window)
            .field("http2_connection_window", &self.http2_connection_window)
            .field("extra_roots", &self.extra_roots.len())
            .field("only_extra_roots", &self.only_extra_roots)
            .field("hook", &self.hook.is_some())
            .finish()
    }
}

/// Which proxy requests go through.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxySetting {
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment.
    #[default]
    System,
    /// No proxy.
    Direct,
    /// This one for all requests; credentials may stand in the URL.
    Url(Url),
}

impl fmt::Debug for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::Direct => f.write_str("Direct"),
            Self::Url(url) => f.debug_tuple("Url").field(&RedactedUrl(url)).finish(),
        }
    }
}

/// Which HTTP versions are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionSetting {
    /// HTTP/2 where TLS negotiates it (ALPN), else HTTP/1.1.
    #[default]
    Negotiate,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 without asking, over clear text too.
    Http2PriorKnowledge,
}

/// A root certificate of the application: DER, or the first certificate of a PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct RootCertificate(pub(crate) Bytes);

impl RootCertificate {
    /// From DER or PEM bytes; told apart by the PEM marker. What is in them is checked at the first https request.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for RootCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificate({} bytes)", self.0.len())
    }
}
