//! The download of one segment into its resource.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kithara_net::{Body, ByteRange, Net, NetError, NetExt, Request, ResponseHead, RetryPolicy, Validator};
use kithara_storage::{StorageError, Streaming};
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::{Window, is_present};
use crate::body::Ending;
use crate::message::SegmentPlace;
use crate::shared::{Counters, Shared};

/// A media segment to be downloaded.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFetch {
    pub(crate) place: SegmentPlace,
    /// Index in the list as it is now, for people.
    pub(crate) segment: usize,
    pub(crate) url: Url,
    /// What is asked for.
    pub(crate) window: Option<Window>,
    /// The resource holds the window alone, from its own offset 0.
    pub(crate) is_part: bool,
    /// The bytes are decrypted on the way out of the store, which must know their end; the padding proves it.
    pub(crate) is_encrypted: bool,
}

impl SegmentFetch {
    /// Where the bytes stand in the resource, unless they are all of it.
    pub(super) fn window_in_resource(&self) -> Option<Window> {
        self.window.filter(|_| !self.is_part)
    }
}

/// How a download ended.
#[derive(Debug)]
pub(crate) struct FetchOutcome {
    pub(crate) fetch: SegmentFetch,
    /// Bytes that came over the network.
    pub(crate) bytes: u64,
    /// Bytes of the whole segment, if all of them are there.
    pub(crate) len: Option<u64>,
    pub(crate) elapsed: Duration,
    pub(crate) is_ok: bool,
}

/// Tells the readers of one segment how its download ended; a download that is stopped half way counts as failed.
pub(super) struct Teller(pub(super) Option<watch::Sender<Option<Ending>>>);

impl Teller {
    fn tell(mut self, result: &Result<Stored, StorageError>) {
        let ending = match result {
            Ok(Stored { is_proven: true, .. }) => None,
            Ok(Stored { len, .. }) => Some(Ending::Unproven(*len)),
            Err(error) => Some(Ending::Failed(error.clone())),
        };
        if let (Some(teller), Some(ending)) = (self.0.take(), ending) {
            teller.send_replace(Some(ending));
        }
    }
}

/// A segment that arrived.
struct Stored {
    len: u64,
    /// The protocol proves that nothing is missing.
    is_proven: bool,
}

impl Stored {
    fn proven(len: u64) -> Self {
        Self { len, is_proven: true }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(teller) = self.0.take() {
            teller.send_replace(Some(Ending::Failed(StorageError::NotAvailable { offset: 0 })));
        }
    }
}

/// Downloads one segment into its resource.
pub(super) async fn download<N: Net, R: Streaming>(
    net: N,
    resource: R,
    fetch: SegmentFetch,
    shared: Arc<Shared>,
    teller: Teller,
) -> FetchOutcome {
    let begun = Instant::now();
    let mut bytes = 0;
    let result = transfer(&net, &resource, &fetch, &shared, &mut bytes).await;
    if let Err(error) = &result {
        tracing::debug!(segment = fetch.segment, variant = fetch.place.variant, %error, "a segment failed");
    }
    teller.tell(&result);
    let is_ok = result.is_ok();
    tracing::Span::current().record("bytes", bytes).record("ok", is_ok);
    FetchOutcome { fetch, bytes, len: result.ok().map(|stored| stored.len), elapsed: begun.elapsed(), is_ok }
}

async fn transfer<N: Net, R: Streaming>(
    net: &N,
    resource: &R,
    fetch: &SegmentFetch,
    shared: &Shared,
    received: &mut u64,
) -> Result<Stored, StorageError> {
    let _claim = resource.claim().await?;
    let window = fetch.window_in_resource();
    if is_present(resource, window) {
        return Ok(Stored::proven(window.map(|window| window.len).or_else(|| resource.len()).unwrap_or(0)));
    }
    let mut request = Request::new(fetch.url.clone()).with_tag("segment");
    if let Some(Window { offset, len }) = fetch.window {
        request = request.with_range(offset..offset + len);
    }
    let stored = if window.is_none() { stored_part(resource).await? } else { None };
    if let Some((len, validator)) = stored {
        let start = fetch.window.filter(|_| fetch.is_part).map_or(0, |window| window.offset);
        request.range =
            Some(ByteRange { start: start + len, end: request.range.and_then(|range| range.end) });
        request = request.with_if_range(Some(validator));
    }
    Counters::add(&shared.counters.requests, 1);
    let meter = shared.meter.begin();
    let mut response = net.open_resuming(request, RetryPolicy::default()).await.map_err(net_failure)?;
    let total = response.head.total_len;
    if let Some(len) = if fetch.is_part { fetch.window.map(|window| window.len) } else { total } {
        resource.set_expected_len(len);
    }
    let mut offset = match window {
        Some(window) => {
            join_file(resource, &response.head).await?;
            window.offset
        }
        // From where it was asked for, or from the beginning of an entity that is another one by now.
        None => continue_at(resource, &response.head, fetch).await?,
    };
    while let Some(chunk) = response.body.next_chunk().await.map_err(net_failure)? {
        meter.received(chunk.len());
        Counters::add(&shared.counters.bytes, chunk.len() as u64);
        *received += chunk.len() as u64;
        resource.write_at(offset, &chunk).await?;
        offset += chunk.len() as u64;
    }
    drop(meter);
    let Some(Window { offset: start, len }) = window else {
        if let Some(Window { len, .. }) = fetch.window.filter(|window| offset < window.len) {
            return Err(StorageError::Incomplete { len, gap: offset..len });
        }
        let is_proven = response.body.end_is_proven() || fetch.is_encrypted;
        if is_proven {
            resource.commit(offset).await?;
        }
        return Ok(Stored { len: offset, is_proven });
    };
    let there = resource.available_at(start);
    if there < len {
        return Err(StorageError::Incomplete { len: start + len, gap: start + there..start + len });
    }
    // One of many parts of a file: the file is complete once the last of them is there.
    if let Some(total) = total.filter(|total| resource.available_at(0) >= *total) {
        resource.commit(total).await?;
    }
    Ok(Stored::proven(len))
}

/// Makes sure that a part belongs to the version of the file that the stored parts are of.
async fn join_file<R: Streaming>(resource: &R, head: &ResponseHead) -> Result<(), StorageError> {
    let tag = tag_of(head);
    if resource.tag().is_some_and(|known| tag.as_ref().is_some_and(|tag| *tag != known)) {
        tracing::warn!("a file of many segments has changed; its stored parts are thrown away");
        resource.reset().await?;
    }
    if tag.is_some() {
        resource.set_tag(tag);
    }
    Ok(())
}

fn tag_of(head: &ResponseHead) -> Option<Bytes> {
    let tag = head.validator.as_ref().filter(|validator| validator.is_strong());
    tag.and_then(Validator::to_header).map(|header| Bytes::copy_from_slice(header.as_bytes()))
}

/// What an earlier try left of a resource, if the version that it belongs to is known; else it is thrown away.
async fn stored_part<R: Streaming>(resource: &R) -> Result<Option<(u64, Validator)>, StorageError> {
    let len = resource.available_at(0);
    match resource.tag().and_then(|tag| validator_of(&tag)) {
        Some(validator) if len > 0 => Ok(Some((len, validator))),
        _ if resource.available().is_empty() => Ok(None),
        _ => resource.reset().await.map(|()| None),
    }
}

/// Where in the resource the answer's first byte belongs.
async fn continue_at<R: Streaming>(
    resource: &R,
    head: &ResponseHead,
    fetch: &SegmentFetch,
) -> Result<u64, StorageError> {
    let start = fetch.window.map_or(0, |window| window.offset);
    let offset = head.body_offset.saturating_sub(start);
    if offset != resource.available_at(0) {
        resource.reset().await?;
    }
    resource.set_tag(tag_of(head));
    Ok(offset)
}

fn validator_of(tag: &[u8]) -> Option<Validator> {
    let text = std::str::from_utf8(tag).ok()?;
    if text.starts_with('"') { Validator::etag(text) } else { Some(Validator::LastModified(text.to_owned())) }
}

/// A failure of the network, as the resource's readers meet it.
fn net_failure(error: NetError) -> StorageError {
    let retryable = error.is_retryable();
    StorageError::source(error, retryable)
}
