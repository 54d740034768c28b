//! The observing layer: who transferred what, when, and from where.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::time::Instant;
use url::Url;

use crate::error::NetError;
use crate::head::{ResponseHead, TransferSource};
use crate::net::{Body, Net, Response};
use crate::redact::RedactedUrl;
use crate::request::{ByteRange, Request};

/// One transfer: a request and what comes back.
#[derive(Clone)]
#[non_exhaustive]
pub struct Transfer {
    /// Unique in the process, growing.
    pub id: u64,
    /// What was asked for, before redirects.
    pub url: Url,
    /// [`Request::tag`].
    pub tag: &'static str,
    /// The part asked for.
    pub range: Option<ByteRange>,
    /// When the request was sent.
    pub started: Instant,
    /// When the head of the response was there; `None` before.
    pub head_at: Option<Instant>,
    /// Known with the head. Learn the speed of the network only from [`TransferSource::Network`].
    pub source: TransferSource,
    /// Bytes of the body so far.
    pub bytes: u64,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("id", &self.id)
            .field("url", &RedactedUrl(&self.url))
            .field("tag", &self.tag)
            .field("range", &self.range)
            .field("source", &self.source)
            .field("bytes", &self.bytes)
            .finish()
    }
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TransferEnd<'a> {
    /// The body ended.
    Complete,
    /// It failed, before or after the head.
    Failed(&'a NetError),
    /// It was dropped by the one who asked.
    Cancelled,
}

/// Is told of transfers. The calls come from the task that polls, between two awaits: keep them as cheap as an atomic
/// addition, and do not block.
pub trait NetObserver: Send + Sync + 'static {
    /// A request is about to be sent.
    fn on_request(&self, _transfer: &Transfer) {}
    /// The head of its response is there.
    fn on_head(&self, _transfer: &Transfer, _head: &ResponseHead) {}
    /// `len` more bytes of its body are there; `transfer.bytes` counts them already.
    fn on_bytes(&self, _transfer: &Transfer, _len: usize) {}
    /// It is over. Called exactly once for each [`on_request`](Self::on_request).
    fn on_end(&self, _transfer: &Transfer, _end: TransferEnd<'_>) {}
}

/// Tells observers about every request that passes and its body.
///
/// Inside [`RetryNet`](crate::RetryNet) each try is a transfer. Outside of it (wrong for learning speeds) a transfer
/// would hold the pauses between tries. Outside [`TimeoutNet`](crate::TimeoutNet), so that time limits are seen as
/// failures.
#[derive(Clone)]
pub struct ObserveNet<N> {
    inner: N,
    observers: Arc<[Arc<dyn NetObserver>]>,
}

impl<N: fmt::Debug> fmt::Debug for ObserveNet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveNet")
            .field("inner", &self.inner)
            .field("observers", &self.observers.len())
            .finish()
    }
}

impl<N> ObserveNet<N> {
    /// Tells one observer.
    pub fn new(inner: N, observer: Arc<dyn NetObserver>) -> Self {
        Self::with_observers(inner, vec![observer])
    }

    /// Tells several observers, or none.
    pub fn with_observers(inner: N, observers: Vec<Arc<dyn NetObserver>>) -> Self {
        Self { inner, observers: observers.into() }
    }

    /// The same layer with one observer more; `self` and its connections are shared.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn NetObserver>) -> Self {
        self.observers = self.observers.iter().cloned().chain([observer]).collect();
        self
    }

    /// The net inside.
    pub fn inner(&self) -> &N {
        &self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> N {
        self.inner
    }
}

impl<N: fmt::Display> fmt::Display for ObserveNet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observe({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<N: Net> Net for ObserveNet<N> {
    type Body = ObserveBody<N::Body>;

    async fn open(&self, request: Request) -> Result<Response<Self::Body>, NetError> {
        let mut watch = Watch::start(Arc::clone(&self.observers), &request);
        match self.inner.open(request).await {
            Ok(Response { head, body }) => {
                watch.head(&head);
                Ok(Response { head, body: ObserveBody { inner: body, watch } })
            }
            Err(error) => {
                watch.end(TransferEnd::Failed(&error));
                Err(error)
            }
        }
    }
}

/// The body of [`ObserveNet`].
pub struct ObserveBody<B> {
    inner: B,
    watch: Watch,
}

#[deny(clippy::missing_trait_methods)]
impl<B: Body> Body for ObserveBody<B> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let result = self.inner.next_chunk().await;
        match &result {
            Ok(Some(chunk)) => self.watch.bytes(chunk.len()),
            Ok(None) => self.watch.end(TransferEnd::Complete),
            Err(error) => self.watch.end(TransferEnd::Failed(error)),
        }
        result
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }
}

impl<B: fmt::Debug> fmt::Debug for ObserveBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObserveBody")
            .field("inner", &self.inner)
            .field("transfer", &self.watch.transfer)
            .finish_non_exhaustive()
    }
}

/// Tells the observers of one transfer, and of its end when it is dropped.
struct Watch {
    observers: Arc<[Arc<dyn NetObserver>]>,
    transfer: Transfer,
    ended: bool,
}

impl Watch {
    fn start(observers: Arc<[Arc<dyn NetObserver>]>, request: &Request) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let transfer = Transfer {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            url: request.url.clone(),
            tag: request.tag,
            range: request.range,
            started: Instant::now(),
            head_at: None,
            source: TransferSource::Network,
            bytes: 0,
        };
        for observer in observers.iter() {
            observer.on_request(&transfer);
        }
        Self { observers, transfer, ended: false }
    }

    fn head(&mut self, head: &ResponseHead) {
        self.transfer.head_at = Some(Instant::now());
        self.transfer.source = head.source;
        for observer in self.observers.iter() {
            observer.on_head(&self.transfer, head);
        }
    }

    fn bytes(&mut self, len: usize) {
        self.transfer.bytes = self.transfer.bytes.saturating_add(len as u64);
        for observer in self.observers.iter() {
            observer.on_bytes(&self.transfer, len);
        }
    }

    fn end(&mut self, end: TransferEnd<'_>) {
        if !std::mem::replace(&mut self.ended, true) {
            for observer in self.observers.iter() {
                observer.on_end(&self.transfer, end);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(TransferEnd::Cancelled);
    }
}

/// Counts requests and bytes.
#[derive(Debug, Default)]
pub struct TransferStats {
    requests: AtomicU64,
    failures: AtomicU64,
    network_bytes: AtomicU64,
    cache_bytes: AtomicU64,
}

impl TransferStats {
    /// All counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests sent, retries included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Transfers that ended in an error.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Body bytes that came over the network.
    pub fn network_bytes(&self) -> u64 {
        self.network_bytes.load(Ordering::Relaxed)
    }

    /// Body bytes that came from a cache.
    pub fn cache_bytes(&self) -> u64 {
        self.cache_bytes.load(Ordering::Relaxed)
    }

    /// All body bytes.
    pub fn bytes(&self) -> u64 {
        self.network_bytes().saturating_add(self.cache_bytes())
    }
}

impl NetObserver for TransferStats {
    fn on_request(&self, _transfer: &Transfer) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    fn on_bytes(&self, transfer: &Transfer, len: usize) {
        let counter = match transfer.source {
            TransferSource::Network => &self.network_bytes,
            TransferSource::Cache => &self.cache_bytes,
        };
        counter.fetch_add(len as u64, Ordering::Relaxed);
    }

    fn on_end(&self, _transfer: &Transfer, end: TransferEnd<'_>) {
        if matches!(end, TransferEnd::Failed(_)) {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}
