//! The body of one HTTP response, counted.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::Version;
use http_body::Body as _;
use url::Url;

use crate::error::{NetError, Source};
use crate::head::ResponseHead;
use crate::net::Body;
use crate::redact::{RedactedUrl, redacted};

/// The body of a response of [`HttpClient`](crate::HttpClient).
///
/// Counts what arrives against what the head declares: a body that ends early is [`NetError::Interrupted`], whatever
/// the HTTP version; bytes beyond the declared part are not delivered.
pub struct HttpBody {
    url: Url,
    /// `None` once the end or an error was reached: the connection is free.
    inner: Option<reqwest::Body>,
    received: u64,
    expected: Option<u64>,
    /// The framing itself marks the end: HTTP/2, or chunked.
    delimited: bool,
    /// A reset with `NO_ERROR` looks like an end, and is none.
    is_http2: bool,
    proven: bool,
    failed: Option<NetError>,
}

impl fmt::Debug for HttpBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBody")
            .field("url", &RedactedUrl(&self.url))
            .field("received", &self.received)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl HttpBody {
    pub(crate) fn new(head: &ResponseHead, inner: reqwest::Body, delimited: bool) -> Self {
        Self {
            url: head.url.clone(),
            inner: Some(inner),
            received: 0,
            expected: head.body_len,
            delimited,
            is_http2: head.version == Version::HTTP_2,
            proven: false,
            failed: None,
        }
    }

    /// Bytes delivered so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    fn interrupted(&mut self, source: Option<Source>) -> NetError {
        let error = NetError::Interrupted {
            url: redacted(&self.url),
            received: self.received,
            expected: self.expected,
            source,
        };
        self.inner = None;
        self.failed = Some(error.clone());
        error
    }

    /// The inner body has no more.
    fn ended(&mut self) -> Result<Option<Bytes>, NetError> {
        let stream_ended = self.inner.as_ref().is_none_or(|inner| inner.is_end_stream());
        let short = self.expected.is_some_and(|expected| self.received < expected);
        let reset = self.is_http2 && self.expected.is_none() && !stream_ended;
        if short || reset {
            return Err(self.interrupted(None));
        }
        self.proven = self.delimited || self.expected.is_some();
        self.inner = None;
        Ok(None)
    }

    /// All declared bytes are here: lets the inner body see its end, if it is there already, so that the connection
    /// goes back to the pool.
    async fn complete(&mut self) -> Result<Option<Bytes>, NetError> {
        if let Some(inner) = &mut self.inner {
            poll_fn(|cx| {
                let _ = Pin::new(&mut *inner).poll_frame(cx);
                Poll::Ready(())
            })
            .await;
        }
        self.inner = None;
        self.proven = true;
        Ok(None)
    }

    fn take(&mut self, mut data: Bytes) -> Option<Bytes> {
        if let Some(expected) = self.expected {
            let left = expected.saturating_sub(self.received);
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        self.received = self.received.saturating_add(data.len() as u64);
        (!data.is_empty()).then_some(data)
    }
}

#[deny(clippy::missing_trait_methods)]
impl Body for HttpBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        loop {
            if let Some(error) = &self.failed {
                return Err(error.clone());
            }
            if self.expected == Some(self.received) {
                return self.complete().await;
            }
            let Some(inner) = &mut self.inner else { return Ok(None) };
            match poll_fn(|cx| Pin::new(&mut *inner).poll_frame(cx)).await {
                Some(Ok(frame)) => {
                    // Trailers carry nothing that media need.
                    let Ok(data) = frame.into_data() else { continue };
                    if let Some(data) = self.take(data) {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(self.interrupted(Some(Arc::new(error.without_url())))),
                None => return self.ended(),
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.proven
    }
}
