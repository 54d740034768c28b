use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed},
    },
};

use http::{HeaderMap, Method, Version};
use tokio::time::Instant;

use super::Shared;

/// One request as the origin received it, and how far its answer has come.
#[derive(Clone)]
pub struct Received(Arc<Inner>);

struct Inner {
    path: String,
    query: Option<String>,
    method: Method,
    version: Version,
    headers: HeaderMap,
    connection: u64,
    nth: usize,
    at: Instant,
    progress: Progress,
}

/// What happens to the answer later.
#[derive(Debug, Default)]
struct Progress {
    status: AtomicU16,
    body_sent: AtomicU64,
    done: AtomicBool,
}

impl Received {
    pub(super) fn new(head: &http::request::Parts, connection: u64, nth: usize) -> Self {
        Self(Arc::new(Inner {
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            method: head.method.clone(),
            version: head.version,
            headers: head.headers.clone(),
            connection,
            nth,
            at: Instant::now(),
            progress: Progress::default(),
        }))
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The query, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.0.query.as_deref()
    }

    /// GET or HEAD, mostly.
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The HTTP version.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The first value of one header, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name)?.to_str().ok()
    }

    /// The Range header: `bytes=100-`.
    pub fn range(&self) -> Option<&str> {
        self.header("range")
    }

    /// The offset of the first byte that was asked for: 0 without a range, `None` for a suffix or nonsense.
    pub fn range_start(&self) -> Option<u64> {
        match self.range() {
            None => Some(0),
            Some(range) => range.strip_prefix("bytes=")?.split('-').next()?.trim().parse().ok(),
        }
    }

    /// Number of the connection it came on, from 0.
    pub fn connection(&self) -> u64 {
        self.0.connection
    }

    /// How many requests came for this path before it.
    pub fn nth(&self) -> usize {
        self.0.nth
    }

    /// When it came, on tokio's clock.
    pub fn at(&self) -> Instant {
        self.0.at
    }

    /// The status of the answer, once its head was sent.
    pub fn status(&self) -> Option<u16> {
        Some(self.0.progress.status.load(Relaxed)).filter(|status| *status != 0)
    }

    /// Bytes of the body that were given to the connection so far.
    pub fn body_sent(&self) -> u64 {
        self.0.progress.body_sent.load(Relaxed)
    }

    /// Whether the answer is over: sent, cut, or given up by the client.
    pub fn is_done(&self) -> bool {
        self.0.progress.done.load(Relaxed)
    }

    pub(super) fn set_status(&self, status: u16) {
        self.0.progress.status.store(status, Relaxed);
    }

    pub(super) fn add_sent(&self, bytes: u64) {
        self.0.progress.body_sent.fetch_add(bytes, Relaxed);
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.method, self.0.path)?;
        if let Some(range) = self.range() {
            write!(f, " [{range}]")?;
        }
        write!(f, " -> {:?}, {} bytes", self.status(), self.body_sent())?;
        if self.is_done() { Ok(()) } else { f.write_str(" so far") }
    }
}

/// Marks the request as over when the answer is dropped, for whatever reason.
pub(super) struct InFlight {
    pub(super) received: Received,
    pub(super) shared: Arc<Shared>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.received.0.progress.done.store(true, Relaxed);
        self.shared.finished();
    }
}
