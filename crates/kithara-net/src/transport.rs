//! reqwest, built at the first request: one hop of a request, without redirects.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::cookie::{CookieStore, Jar};
use url::Url;

use crate::error::{NetError, Phase};
use crate::options::{HttpOptions, ProxySetting, VersionSetting};
use crate::redact::redacted;
use crate::request::Request;
use crate::shoutcast;

/// A built reqwest client.
pub(crate) struct Transport {
    client: reqwest::Client,
    /// Cookies of the servers.
    cookies: Option<Arc<Jar>>,
    connect_timeout: Duration,
    /// Nothing may go past the proxy.
    may_have_proxy: bool,
    #[cfg(feature = "__tls")]
    verifier: Arc<crate::tls::LazyVerifier>,
}

impl Transport {
    pub(crate) fn build(options: &HttpOptions, connect_timeout: Duration) -> Result<Self, NetError> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(options.user_agent.clone())
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(options.max_idle_per_host)
            .pool_idle_timeout(options.idle_timeout)
            .http2_initial_stream_window_size(options.http2_stream_window)
            .http2_initial_connection_window_size(options.http2_connection_window);
        let cookies = options.cookies.then(|| Arc::new(Jar::default()));
        if let Some(cookies) = &cookies {
            builder = builder.cookie_provider(Arc::clone(cookies));
        }
        builder = match &options.proxy {
            ProxySetting::System => builder,
            ProxySetting::Direct => builder.no_proxy(),
            ProxySetting::Url(url) => builder.proxy(proxy(url)?),
        };
        builder = match options.version {
            VersionSetting::Negotiate => builder,
            VersionSetting::Http1 => builder.http1_only(),
            VersionSetting::Http2PriorKnowledge => builder.http2_prior_knowledge(),
        };
        #[cfg(feature = "__tls")]
        let (builder, verifier) = {
            let (config, verifier) = crate::tls::client_config(options)
                .map_err(|error| NetError::Options { what: "TLS", source: Arc::new(error) })?;
            (builder.tls_backend_preconfigured(config), verifier)
        };
        let client = builder
            .build()
            .map_err(|error| NetError::Options { what: "client", source: Arc::new(error.without_url()) })?;
        Ok(Self {
            client,
            cookies,
            connect_timeout,
            may_have_proxy: may_have_proxy(&options.proxy),
            #[cfg(feature = "__tls")]
            verifier,
        })
    }

    /// One request to one URL.
    pub(crate) async fn send(
        &self,
        url: &Url,
        mut headers: HeaderMap,
    ) -> Result<reqwest::Response, NetError> {
        check_scheme(url)?;
        self.add_cookies(url, &mut headers);
        let send = self.client.get(url.clone()).headers(headers.clone()).send();
        #[cfg(feature = "__tls")]
        let result = if url.scheme() == "https" && !self.verifier.is_loaded() {
            // Root certificates are read while the connection is made.
            let verifier = Arc::clone(&self.verifier);
            let load = tokio::task::spawn_blocking(move || verifier.load());
            tokio::join!(send, load).0
        } else {
            send.await
        };
        #[cfg(not(feature = "__tls"))]
        let result = send.await;
        match result {
            Ok(response) => Ok(response),
            Err(error) => {
                let shoutcast = self.ask_shoutcast(url, &headers, &error).await;
                shoutcast.ok_or_else(|| self.classify(url, error))
            }
        }
    }

    /// Cookies of the application and those of the server go together: reqwest sends one or the other.
    fn add_cookies(&self, url: &Url, headers: &mut HeaderMap) {
        let Some(own) = headers.get(header::COOKIE) else { return };
        let Some(set) = self.cookies.as_ref().and_then(|cookies| cookies.cookies(url)) else { return };
        let both = [own.as_bytes(), b"; ", set.as_bytes()].concat();
        if let Ok(mut both) = HeaderValue::from_bytes(&both) {
            both.set_sensitive(true);
            headers.insert(header::COOKIE, both);
        }
    }

    /// Retries over a raw socket for SHOUTcast v1 servers (`ICY 200 OK`).
    async fn ask_shoutcast(
        &self,
        url: &Url,
        headers: &HeaderMap,
        error: &reqwest::Error,
    ) -> Option<reqwest::Response> {
        if url.scheme() != "http" || self.may_have_proxy || !shoutcast::may_be_shoutcast(error) {
            return None;
        }
        let answer = shoutcast::open(url, headers, self.connect_timeout).await;
        answer.ok().flatten().map(reqwest::Response::from)
    }

    fn classify(&self, url: &Url, error: reqwest::Error) -> NetError {
        // The URL in reqwest's text is not redacted.
        let error = error.without_url();
        let url_text = redacted(url);
        if error.is_connect() && error.is_timeout() {
            return NetError::timeout(url, Phase::Connect, self.connect_timeout);
        }
        if error.is_builder() {
            return NetError::invalid(url, "not a URL that HTTP can ask for");
        }
        if asks_for_proxy_authentication(&error) {
            let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
            return NetError::Authentication { url: url_text, status, scheme: "unknown".into() };
        }
        if is_tls(&error) {
            return NetError::Tls { url: url_text, source: Arc::new(error) };
        }
        if error.is_connect() {
            return NetError::Connect { url: url_text, source: Arc::new(error) };
        }
        NetError::Request { url: url_text, source: Arc::new(error) }
    }
}

/// Whether a proxy refused a tunnel for https. By its text: the type is private to reqwest, and a test holds it.
fn asks_for_proxy_authentication(error: &reqwest::Error) -> bool {
    let mut cause = StdError::source(error);
    while let Some(current) = cause {
        let text = current.to_string();
        if text.contains("proxy authorization required") || text.contains("proxy authentication required") {
            return true;
        }
        cause = current.source();
    }
    false
}

fn may_have_proxy(proxy: &ProxySetting) -> bool {
    match proxy {
        ProxySetting::System => {
            let names = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
            names.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        }
        ProxySetting::Direct => false,
        ProxySetting::Url(_) => true,
    }
}

fn proxy(url: &Url) -> Result<reqwest::Proxy, NetError> {
    reqwest::Proxy::all(url.clone())
        .map_err(|error| NetError::Options { what: "proxy", source: Arc::new(error.without_url()) })
}

/// Only what this build can speak.
pub(crate) fn check_scheme(url: &Url) -> Result<(), NetError> {
    let reason = match url.scheme() {
        "http" => return Ok(()),
        "https" if cfg!(feature = "__tls") => return Ok(()),
        "https" => "https needs the feature `rustls` or `aws-lc`",
        _ => "the scheme is neither http nor https",
    };
    Err(NetError::UnsupportedScheme { url: redacted(url), reason })
}

/// The headers of one hop. `is_own`: its URL has the origin that headers of the application are for.
pub(crate) fn headers(options: &HttpOptions, request: &Request, is_own: bool) -> Result<HeaderMap, NetError> {
    let mut all = options.shared_headers.clone();
    if is_own {
        replace(&mut all, &options.headers);
        replace(&mut all, &request.headers);
    } else {
        replace(&mut all, &protocol_headers(&request.headers));
    }
    // Offsets are meaningful in the identity encoding alone, and only `Request::range` is checked.
    let encoding = if request.accepts_gzip { "gzip" } else { "identity" };
    all.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding));
    all.remove(header::RANGE);
    all.remove(header::IF_RANGE);
    if let Some(range) = request.range {
        let value = range.header_value().ok_or_else(|| NetError::invalid(&request.url, "an empty range"))?;
        // `bytes=0-` asks for what no range asks for; some servers answer it with a needless 206.
        if range.start > 0 || range.end.is_some() {
            all.insert(header::RANGE, value);
            if let Some(value) = request.if_range.as_ref().and_then(|v| v.for_if_range()) {
                all.insert(header::IF_RANGE, value);
            }
        }
    }
    Ok(all)
}

/// The headers that belong to the protocol and say no secret: they go wherever the request goes.
pub(crate) fn protocol_headers(headers: &HeaderMap) -> HeaderMap {
    let is_protocol = |name: &&HeaderName| {
        [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE].contains(name) || name.as_str() == "icy-metadata"
    };
    let mut kept = HeaderMap::new();
    for name in headers.keys().filter(is_protocol) {
        headers.get_all(name).iter().for_each(|value| {
            kept.append(name, value.clone());
        });
    }
    kept
}

fn replace(all: &mut HeaderMap, headers: &HeaderMap) {
    for name in headers.keys() {
        all.remove(name);
        for value in headers.get_all(name) {
            all.append(name, value.clone());
        }
    }
}

/// True if the error comes from TLS itself: a certificate, no common version. Trying again changes nothing.
fn is_tls(error: &reqwest::Error) -> bool {
    #[cfg(feature = "__tls")]
    {
        let mut cause: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(current) = cause {
            let inner = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if current.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
                return true;
            }
            cause = match inner {
                Some(inner) => Some(inner),
                None => current.source(),
            };
        }
    }
    let _: &dyn StdError = error;
    false
}

#[cfg(all(test, feature = "__tls"))]
mod tests {
    use super::*;

    /// The only test of this binary that handshakes, so that the process-wide roots tell who loaded them.
    #[tokio::test]
    async fn certificates_are_loaded_for_https_alone_and_once() {
        let build = || Transport::build(&HttpOptions::default(), Duration::from_secs(5)).unwrap();
        let (first, second) = (build(), build());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let http = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        let error = first.send(&http, HeaderMap::new()).await.err().unwrap();
        assert!(matches!(error, NetError::Connect { .. }));
        assert!(!first.verifier.is_loaded(), "http loads nothing");

        let https = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
        let _ = first.send(&https, HeaderMap::new()).await;
        assert!(first.verifier.is_loaded());
        assert!(second.verifier.is_loaded(), "shared in the process");
    }
}
