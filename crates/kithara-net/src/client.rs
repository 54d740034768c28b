//! The HTTP client at the bottom of the stack.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::NetError;
use crate::net::{Body, Net, Response};
use crate::request::Request;
use crate::settings::HttpSettings;
use crate::timeout::Timeouts;

/// HTTP/1.1 and HTTP/2 over reqwest and rustls.
#[derive(Clone)]
pub struct HttpClient {
    settings: Arc<HttpSettings>,
    connect_timeout: Duration,
}

impl HttpClient {
    /// A client with the default connect limit.
    pub fn new(settings: HttpSettings) -> Self {
        Self::with_connect_timeout(settings, Timeouts::default().connect)
    }

    /// A client that gives up connecting after `connect_timeout`.
    pub fn with_connect_timeout(settings: HttpSettings, connect_timeout: Duration) -> Self {
        Self { settings: Arc::new(settings), connect_timeout }
    }
}

impl fmt::Display for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Net for HttpClient {
    type Body = HttpBody;

    async fn open(&self, _request: Request) -> Result<Response<Self::Body>, NetError> {
        let _ = (&self.settings, self.connect_timeout);
        todo!()
    }
}

/// The body of a response of [`HttpClient`].
pub struct HttpBody {}

impl Body for HttpBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        todo!()
    }

    fn end_is_proven(&self) -> bool {
        todo!()
    }
}
