//! [`download_into`]: one part of an entity into a resource, continuing what is stored.

use std::ops::Range;
use std::time::Duration;

use kithara_net::{Body, ByteRange, EntityMatch, Net, Request, ResponseHead};
use kithara_storage::Streaming;

use crate::{EntityWriter, Found, Freshness, StoredEntity, WriteError, Writer};

/// How the bytes of an entity lie in the resource that they are downloaded into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The resource is the whole entity.
    Whole,
    /// One window of the entity; the resource holds other windows of it too, at the same offsets.
    Window(Range<u64>),
    /// One window of the entity, which is all that the resource holds, from its own offset 0.
    Part(Range<u64>),
}

impl Target {
    fn window(&self) -> Option<&Range<u64>> {
        match self {
            Self::Whole => None,
            Self::Window(window) | Self::Part(window) => Some(window),
        }
    }

    /// The length in bytes of a window that is stored completely; of a whole entity, if it is.
    pub fn stored<R: Streaming>(&self, resource: &R) -> Option<u64> {
        match self {
            Self::Window(Range { start, end }) => {
                let len = end.saturating_sub(*start);
                (resource.available_at(*start) >= len).then_some(len)
            }
            Self::Whole | Self::Part(_) => resource.len(),
        }
    }
}

/// One download: see [`download_into`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DownloadOptions {
    /// URL, headers and tag of the request; `Range` and `If-Range` are set here.
    pub request: Request,
    /// How the bytes lie in the resource.
    pub target: Target,
    /// Most bytes that are stored; a larger body is [`WriteError::TooLarge`], before it is fetched when its length is
    /// declared. Default: no bound.
    pub limit: u64,
    /// Time from the request to the last byte, retries included; afterwards [`WriteError::TooSlow`]. Default: no limit.
    pub deadline: Option<Duration>,
    /// The end of a body is taken for its true end although the protocol does not prove it, because a later check does.
    /// Default `false`.
    pub trusts_end: bool,
    /// Stores also a body that the server says not to store (`no-store`, `private`), and one of a request with
    /// `Authorization`. Otherwise such a body can be read while its resource is open, and is fetched anew by the next
    /// download. Default `false`.
    pub stores_private: bool,
}

impl DownloadOptions {
    /// A download without bounds.
    #[must_use]
    pub fn new(request: Request, target: Target) -> Self {
        Self { request, target, limit: u64::MAX, deadline: None, trusts_end: false, stores_private: false }
    }

    /// Sets [`limit`](Self::limit).
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Sets [`deadline`](Self::deadline).
    #[must_use]
    pub fn with_deadline(mut self, time: Duration) -> Self {
        self.deadline = Some(time);
        self
    }

    /// Sets [`stores_private`](Self::stores_private).
    #[must_use]
    pub fn with_stored_private(mut self, stores_private: bool) -> Self {
        self.stores_private = stores_private;
        self
    }

    /// Sets [`trusts_end`](Self::trusts_end).
    #[must_use]
    pub fn with_trusted_end(mut self, trusts_end: bool) -> Self {
        self.trusts_end = trusts_end;
        self
    }
}

/// Is told how a download goes on.
pub trait DownloadObserver: Send {
    /// A request is about to be sent.
    fn requested(&mut self) {}
    /// So many more bytes were received and stored.
    fn received(&mut self, bytes: u64) {
        let _ = bytes;
    }
}

impl DownloadObserver for () {}

/// How a download ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Downloaded {
    /// Bytes of the target that are stored now.
    pub len: u64,
    /// The protocol proves that no byte is missing, and the body may be stored. If not, the resource is not committed.
    pub is_complete: bool,
}

/// Downloads a part of an entity into `resource`: waits for the claim, continues the stored bytes with `Range` and
/// `If-Range`, checks that the response is of the same entity (a changed one begins anew), writes the bytes as they come,
/// and commits the resource when it is complete.
///
/// The record beside the stored bytes lets any other download of the entity continue them, in this process or a later one.
/// Breaks of the body are retried by the `RetryNet` of the stack; without one, the next call continues.
///
/// Cancel-safe: a dropped download leaves its bytes stored, and passes the claim on.
///
/// # Errors
/// The network's, the store's, and the bounds of `options`.
pub async fn download_into<N: Net, R: Streaming>(
    net: &N,
    resource: &R,
    options: DownloadOptions,
    observer: impl DownloadObserver,
) -> Result<Downloaded, WriteError> {
    let writer = EntityWriter::claim(resource).await?;
    if let Some(len) = options.target.stored(resource) {
        return Ok(Downloaded { len, is_complete: true });
    }
    let download = Download { writer: &writer, options: &options };
    let Some(deadline) = options.deadline else { return download.run(net, observer).await };
    let run = tokio::time::timeout(deadline, download.run(net, observer));
    run.await.unwrap_or(Err(WriteError::TooSlow { after: deadline }))
}

struct Download<'a, R> {
    writer: &'a EntityWriter<R>,
    options: &'a DownloadOptions,
}

impl<R: Streaming> Download<'_, R> {
    async fn run<N: Net>(
        &self,
        net: &N,
        mut observer: impl DownloadObserver,
    ) -> Result<Downloaded, WriteError> {
        let request = self.request().await?;
        let is_continued = request.if_range.is_some();
        observer.requested();
        let mut response = match net.open(request).await {
            Err(error) if is_continued && error.is_entity_changed() => {
                // The server answered with a part of another version, in spite of `If-Range`.
                self.writer.reset().await?;
                observer.requested();
                net.open(self.request().await?).await?
            }
            answer => answer?,
        };
        let total = response.head.total_len;
        let is_kept = self.is_kept(&response.head);
        let start = self.join(&response.head).await?;
        let mut writer = Writer::new(start);
        while let Some(len) = writer.step(&mut response.body, self.writer).await? {
            observer.received(len);
            self.check_limit(writer.offset().saturating_sub(self.first()))?;
        }
        drop(observer);
        self.finish(writer.offset(), total, response.body.is_complete() && is_kept).await
    }

    /// Offset in the resource of the first byte of the target.
    fn first(&self) -> u64 {
        match &self.options.target {
            Target::Window(window) => window.start,
            Target::Whole | Target::Part(_) => 0,
        }
    }

    /// The request for what is missing.
    async fn request(&self) -> Result<Request, WriteError> {
        let mut request = self.options.request.clone();
        let window = self.options.target.window();
        request.range = window.map(|window| ByteRange::from(window.clone()));
        if matches!(self.options.target, Target::Window(_)) {
            return Ok(request);
        }
        if let Found::Resumable(entity) = self.writer.find().await? {
            let stored = self.writer.resource().available_at(0);
            let start = window.map_or(0, |window| window.start).saturating_add(stored);
            let end = window.map(|window| window.end);
            if stored > 0 && end.is_none_or(|end| start < end) {
                request.range = Some(ByteRange { start, end });
                request = request.with_if_range(entity.guard().if_range());
            }
        }
        Ok(request)
    }

    /// Checks the response against what is stored, and gives the offset in the resource of its first byte.
    async fn join(&self, head: &ResponseHead) -> Result<u64, WriteError> {
        let (writer, target) = (self.writer, &self.options.target);
        let declared =
            target.window().map(|window| window.end - window.start).or(head.total_len).or(head.body_len);
        self.check_limit(declared.unwrap_or(0))?;
        let entity = StoredEntity::of(head);
        if let Target::Window(window) = target {
            // Other windows of the file are stored too, of this version or of an earlier one.
            let known = StoredEntity::beside(writer.resource());
            if known.is_some_and(|known| known.compare(head) == EntityMatch::Changed) {
                tracing::warn!("a file of many parts has changed; its stored parts are dropped");
                writer.reset().await?;
            }
            if entity.can_be_continued() {
                writer.record(&entity);
            } else if let Some(total) = head.total_len {
                writer.expect_len(total);
            }
            return Ok(window.start);
        }
        let start = target.window().map_or(0, |window| window.start);
        let offset = head.body_offset.saturating_sub(start);
        // Not where it was asked for: the whole of another version.
        if offset != writer.resource().available_at(0) {
            writer.reset().await?;
        }
        if self.is_kept(head) {
            writer.record(&entity);
        }
        if let Some(declared) = declared {
            writer.expect_len(declared);
        }
        Ok(offset)
    }

    fn is_kept(&self, head: &ResponseHead) -> bool {
        self.options.stores_private || Freshness::of(head).may_be_stored(head.is_authorized)
    }

    fn check_limit(&self, len: u64) -> Result<(), WriteError> {
        let limit = self.options.limit;
        if len > limit { Err(WriteError::TooLarge { limit }) } else { Ok(()) }
    }

    async fn finish(
        &self,
        end: u64,
        total: Option<u64>,
        is_complete: bool,
    ) -> Result<Downloaded, WriteError> {
        let resource = self.writer.resource();
        if let Some(window) = self.options.target.window() {
            let (first, len) = (self.first(), window.end.saturating_sub(window.start));
            let stored = resource.available_at(first);
            if stored < len {
                let gap = first + stored..first + len;
                return Err(kithara_storage::StorageError::Incomplete { len: first + len, gap }.into());
            }
        }
        match &self.options.target {
            Target::Window(window) => {
                // The file is complete once the last of its windows is stored.
                if let Some(total) = total.filter(|total| resource.available_at(0) >= *total) {
                    self.writer.commit(total).await?;
                }
                Ok(Downloaded { len: window.end - window.start, is_complete: true })
            }
            Target::Whole | Target::Part(_) => {
                let is_complete = is_complete || self.options.trusts_end;
                if is_complete {
                    self.writer.commit(end).await?;
                }
                Ok(Downloaded { len: end, is_complete })
            }
        }
    }
}
