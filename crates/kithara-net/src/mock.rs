//! A net in memory, for tests: no sockets, so that tokio's paused clock rules all time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;

use crate::error::NetError;
use crate::head::ResponseHead;
use crate::net::{Body, Net, Response};
use crate::redact::redacted;
use crate::request::Request;

/// What happens next in a mocked body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MockStep {
    /// Bytes arrive.
    Data(Bytes),
    /// Nothing arrives for this long.
    Wait(Duration),
    /// Nothing arrives any more.
    Stall,
    /// The connection breaks ([`NetError::Interrupted`]).
    Break,
}

/// An answer of a mocked server.
#[derive(Clone, Debug)]
pub struct MockAnswer {
    status: StatusCode,
    headers: HeaderMap,
    steps: VecDeque<MockStep>,
    wait: Duration,
    error: Option<NetError>,
    ends_proven: bool,
    location: Option<Url>,
}

impl MockAnswer {
    /// A status without a body.
    ///
    /// # Panics
    /// If `status` is none.
    #[allow(clippy::expect_used, reason = "a test tool: a wrong status is a wrong test")]
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status code"),
            headers: HeaderMap::new(),
            steps: VecDeque::new(),
            wait: Duration::ZERO,
            error: None,
            ends_proven: true,
            location: None,
        }
    }

    /// Status 200 with a body of declared length.
    pub fn ok(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::status(200)
            .with_header(header::CONTENT_LENGTH, &body.len().to_string())
            .then(MockStep::Data(body))
    }

    /// No connection.
    pub fn unreachable() -> Self {
        let mut answer = Self::status(500);
        answer.error = Some(NetError::Connect {
            url: "mock".into(),
            source: Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
        });
        answer
    }

    /// A head that never comes.
    pub fn silent() -> Self {
        Self::status(200).after(Duration::MAX)
    }

    /// What a correct server answers to `request` for `entity`: ranges, `If-Range`, conditional requests.
    pub fn serve(entity: &Bytes, etag: Option<&str>, request: &Request) -> Self {
        let total = entity.len() as u64;
        let tagged = |answer: Self| match etag {
            Some(etag) => answer.with_header(header::ETAG, etag),
            None => answer,
        };
        if etag.is_some_and(|etag| request.headers.get(header::IF_NONE_MATCH).is_some_and(|v| v == etag)) {
            return tagged(Self::status(304));
        }
        let condition = request.if_range.as_ref().and_then(crate::Validator::for_if_range);
        let applies = condition.is_none_or(|condition| etag.is_some_and(|etag| condition == etag));
        let Some(range) = request.range.filter(|_| applies) else { return tagged(Self::ok(entity.clone())) };
        if range.start >= total {
            return Self::status(416).with_header(header::CONTENT_RANGE, &format!("bytes */{total}"));
        }
        let end = range.end.unwrap_or(total).min(total);
        let part = entity.slice(range.start as usize..end as usize);
        let header_value = format!("bytes {}-{}/{total}", range.start, end - 1);
        let mut answer = tagged(Self::ok(part)).with_header(header::CONTENT_RANGE, &header_value);
        answer.status = StatusCode::PARTIAL_CONTENT;
        answer
    }

    /// Sets a header.
    ///
    /// # Panics
    /// If `value` is no header value.
    #[must_use]
    #[allow(clippy::expect_used, reason = "a test tool: a wrong value is a wrong test")]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// Removes a header.
    #[must_use]
    pub fn without_header(mut self, name: &HeaderName) -> Self {
        self.headers.remove(name);
        self
    }

    /// What follows in the body.
    #[must_use]
    pub fn then(mut self, step: MockStep) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Cuts the body after `len` bytes and goes on with `step`; the head stays.
    #[must_use]
    pub fn cut(mut self, len: usize, step: MockStep) -> Self {
        let mut left = len;
        for item in &mut self.steps {
            if let MockStep::Data(data) = item {
                data.truncate(left);
                left -= data.len();
            }
        }
        self.steps.push_back(step);
        self
    }

    /// Delivers the body in chunks of `len` bytes.
    #[must_use]
    pub fn in_chunks(mut self, len: usize) -> Self {
        let steps = std::mem::take(&mut self.steps);
        for step in steps {
            match step {
                MockStep::Data(mut data) => {
                    while !data.is_empty() {
                        let chunk = data.split_to(data.len().min(len.max(1)));
                        self.steps.push_back(MockStep::Data(chunk));
                    }
                }
                step => self.steps.push_back(step),
            }
        }
        self
    }

    /// The head comes after `wait`.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Nothing delimits the body but the close of its connection.
    #[must_use]
    pub fn close_delimited(mut self) -> Self {
        self.headers.remove(header::CONTENT_LENGTH);
        self.ends_proven = false;
        self
    }

    /// The body is chunked: no declared length, a proven end.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.headers.remove(header::CONTENT_LENGTH);
        self
    }

    /// The final URL, as after a redirect.
    #[must_use]
    pub fn redirected_to(mut self, url: Url) -> Self {
        self.location = Some(url);
        self
    }
}

type Handler = dyn Fn(&Request) -> MockAnswer + Send + Sync;

/// A net whose answers a closure makes. Clones share the log of requests.
#[derive(Clone)]
pub struct MockNet {
    handler: Arc<Handler>,
    requests: Arc<Mutex<Vec<(Request, Instant)>>>,
}

impl fmt::Debug for MockNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockNet").field("requests", &self.requests()).finish_non_exhaustive()
    }
}

impl MockNet {
    /// Answers by `handler`.
    pub fn new(handler: impl Fn(&Request) -> MockAnswer + Send + Sync + 'static) -> Self {
        Self { handler: Arc::new(handler), requests: Arc::default() }
    }

    /// Answers one after the other, and 404 after the last.
    pub fn script(answers: impl IntoIterator<Item = MockAnswer>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::new(move |_| answers.lock().pop_front().unwrap_or_else(|| MockAnswer::status(404)))
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().iter().map(|(request, _)| request.clone()).collect()
    }

    /// When each request came, on tokio's clock.
    pub fn request_times(&self) -> Vec<Instant> {
        self.requests.lock().iter().map(|(_, at)| *at).collect()
    }
}

impl fmt::Display for MockNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mock")
    }
}

#[deny(clippy::missing_trait_methods)]
impl Net for MockNet {
    type Body = MockBody;

    async fn open(&self, request: Request) -> Result<Response<MockBody>, NetError> {
        self.requests.lock().push((request.clone(), Instant::now()));
        let answer = (self.handler)(&request);
        match answer.wait {
            Duration::ZERO => {}
            Duration::MAX => std::future::pending().await,
            wait => tokio::time::sleep(wait).await,
        }
        if let Some(error) = answer.error {
            return Err(error);
        }
        let url = answer.location.unwrap_or_else(|| request.url.clone());
        let mut head = ResponseHead::new(&request, url, answer.status, answer.headers)?;
        head.version = Version::HTTP_11;
        let expected = head.body_len;
        let body = MockBody {
            url: head.url.clone(),
            steps: answer.steps,
            until: None,
            received: 0,
            expected,
            ends_proven: answer.ends_proven,
            ended: false,
        };
        Ok(Response { head, body })
    }
}

/// The body of [`MockNet`]: checks lengths as a real one does.
#[derive(Debug)]
pub struct MockBody {
    url: Url,
    steps: VecDeque<MockStep>,
    until: Option<Instant>,
    received: u64,
    expected: Option<u64>,
    ends_proven: bool,
    ended: bool,
}

impl MockBody {
    fn interrupted(&self) -> NetError {
        NetError::Interrupted {
            url: redacted(&self.url),
            received: self.received,
            expected: self.expected,
            source: None,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl Body for MockBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        loop {
            if let Some(until) = self.until {
                tokio::time::sleep_until(until).await;
                self.until = None;
            }
            if self.expected == Some(self.received) {
                self.ended = true;
                return Ok(None);
            }
            match self.steps.front().cloned() {
                Some(MockStep::Data(mut data)) => {
                    self.steps.pop_front();
                    let left = self.expected.map_or(u64::MAX, |expected| expected - self.received);
                    data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    self.received += data.len() as u64;
                    if !data.is_empty() {
                        return Ok(Some(data));
                    }
                }
                Some(MockStep::Wait(time)) => {
                    self.steps.pop_front();
                    self.until = Some(Instant::now() + time);
                }
                Some(MockStep::Stall) => std::future::pending().await,
                Some(MockStep::Break) => return Err(self.interrupted()),
                None if self.expected.is_some_and(|expected| self.received < expected) => {
                    return Err(self.interrupted());
                }
                None => {
                    self.ended = true;
                    return Ok(None);
                }
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.ended && (self.ends_proven || self.expected.is_some())
    }
}
