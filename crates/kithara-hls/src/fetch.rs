//! Getting bytes: from the store if they are there, from the network into the store if not.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kithara_assets::{Assets, AssetsError, KeyPolicy, Processor, ResourceKey};
use kithara_net::{Body, ByteRange, Net, NetError, NetExt, Request, ResponseHead, RetryPolicy, Validator};
use kithara_storage::{StorageError, Streaming};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use url::Url;

use crate::body::{Ending, Fate};
use crate::error::{Fetching, HlsError};
use crate::message::SegmentPlace;
use crate::options::HlsOptions;
use crate::playlist::Map;
use crate::playlists::SegmentPlan;
use crate::shared::{Counters, Shared};

mod small;

/// A window of a resource: offset and length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Window {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Window {
    /// The window of an init section.
    pub(crate) fn of(map: &Map) -> Option<Self> {
        map.byte_range.as_ref().map(|range| Self { offset: range.start, len: range.end - range.start })
    }
}

/// A media segment to be downloaded.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFetch {
    pub(crate) place: SegmentPlace,
    /// Index in the list as it is now, for people.
    pub(crate) segment: usize,
    pub(crate) url: Url,
    /// What is asked for.
    pub(crate) window: Option<Window>,
    /// The resource holds the window alone, from its own offset 0: an encrypted part is decrypted by itself.
    pub(crate) is_part: bool,
    /// The bytes are decrypted on the way out of the store, which must know their end; the padding proves it.
    pub(crate) is_encrypted: bool,
}

impl SegmentFetch {
    /// The fetch of a planned segment.
    pub(crate) fn of(plan: &SegmentPlan) -> Self {
        Self {
            place: plan.place(),
            segment: plan.index,
            url: plan.url.clone(),
            window: plan.window,
            is_part: is_part(plan),
            is_encrypted: plan.key.is_some(),
        }
    }

    /// Where the bytes stand in the resource, unless they are all of it.
    fn window_in_resource(&self) -> Option<Window> {
        self.window.filter(|_| !self.is_part)
    }
}

/// Whether a segment is a part of a file that has a resource of its own.
fn is_part(plan: &SegmentPlan) -> bool {
    plan.window.is_some() && plan.key.is_some()
}

/// A segment whose bytes are there or on their way.
#[derive(Debug, Clone)]
pub(crate) struct Started<R> {
    pub(crate) resource: R,
    /// Every byte was there already.
    pub(crate) cached: bool,
    /// What tells of the download, if there is one.
    pub(crate) fate: Option<Fate>,
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

/// Starts downloads, owns their tasks, and reads small bodies.
///
/// Dropping it aborts every download under way; what arrived stays in the store.
pub(crate) struct FetchManager<N, A> {
    net: N,
    assets: A,
    root: Url,
    /// Tells the live windows of this stream from those of others.
    session: u128,
    policy: KeyPolicy,
    offline: bool,
    keep_keys: bool,
    shared: Arc<Shared>,
    tasks: JoinSet<FetchOutcome>,
    /// The tasks by what they fetch, so that those which a seek made useless can be stopped.
    running: Vec<(SegmentPlace, AbortHandle)>,
    /// Small things on their way to the disk.
    stores: Mutex<JoinSet<()>>,
}

impl<N: Net, A: Assets> FetchManager<N, A> {
    /// Fetches of the presentation opened at `root`.
    pub(crate) fn new(options: &HlsOptions<N, A>, root: Url, shared: Arc<Shared>) -> Self {
        Self {
            net: options.net.clone(),
            assets: options.assets.clone(),
            root,
            session: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
            policy: options.key_policy.clone(),
            offline: options.offline,
            keep_keys: options.store_keys,
            shared,
            tasks: JoinSet::new(),
            running: Vec::new(),
            stores: Mutex::new(JoinSet::new()),
        }
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.offline
    }

    /// Downloads that are under way.
    pub(crate) fn in_flight(&self) -> usize {
        self.running.iter().filter(|(_, task)| !task.is_finished()).count()
    }

    /// The key under which the store keeps what is at `url`.
    pub(crate) fn key(&self, url: &Url) -> ResourceKey {
        ResourceKey::from_url(&self.root, url, &self.policy)
    }

    /// What a live list names is stored for this stream alone, and up to the moment when the list begins anew: encoders use
    /// the same names again after a restart, and what was there before would be heard in place of what is there now.
    fn root(&self, live: Option<u64>) -> Cow<'_, Url> {
        let Some(beginnings) = live else { return Cow::Borrowed(&self.root) };
        let mut root = self.root.clone();
        root.set_path(&format!("{}/live-{}-{beginnings}", root.path(), self.session));
        Cow::Owned(root)
    }

    /// Opens the resource of a segment and, unless its bytes are there, starts to download them.
    ///
    /// Cancel-safe: a download that was begun goes on, and another one for the same segment waits for it.
    pub(crate) async fn start(
        &mut self,
        fetch: SegmentFetch,
        key: &ResourceKey,
    ) -> Result<Started<A::Streaming>, HlsError> {
        let what = Fetching::Segment(fetch.segment);
        let opened = self.assets.open_streaming_resource(key).await;
        let resource = opened.map_err(|source| assets_error(what, &fetch.url, source))?;
        if is_present(&resource, fetch.window_in_resource()) {
            Counters::add(&self.shared.counters.cache_hits, 1);
            return Ok(Started { resource, cached: true, fate: None });
        }
        if self.offline {
            return Err(HlsError::Offline { what, url: fetch.url });
        }
        let place = fetch.place;
        let (teller, fate) = watch::channel(None);
        let teller = Teller(Some(teller));
        let download = download(self.net.clone(), resource.clone(), fetch, Arc::clone(&self.shared), teller);
        self.running.retain(|(_, task)| !task.is_finished());
        self.running.push((place, self.tasks.spawn(download)));
        Ok(Started { resource, cached: false, fate: Some(fate) })
    }

    /// Whether every byte of a segment is in the store.
    pub(crate) async fn is_stored(&self, plan: &SegmentPlan) -> bool {
        match self.assets.open_streaming_resource(&self.segment_key(plan)).await {
            Ok(resource) => is_present(&resource, Self::window_in_resource(plan)),
            Err(_) => false,
        }
    }

    /// The decrypting view of a segment's resource.
    pub(crate) async fn open_processed(
        &self,
        key: &ResourceKey,
        processor: Processor,
        plan: &SegmentPlan,
    ) -> Result<A::Streaming, HlsError> {
        let opened = self.assets.open_processed_resource(key, processor).await;
        opened.map_err(|source| assets_error(Fetching::Segment(plan.index), &plan.url, source))
    }

    /// Where a segment stands in its resource, unless it is all of it.
    pub(crate) fn window_in_resource(plan: &SegmentPlan) -> Option<Window> {
        plan.window.filter(|_| !is_part(plan))
    }

    /// The key of a segment's resource: one for each file, and one for each encrypted part of a file.
    pub(crate) fn segment_key(&self, plan: &SegmentPlan) -> ResourceKey {
        self.key_below(&self.root(plan.live), &plan.url, plan.window.filter(|_| is_part(plan)))
    }

    fn key_below(&self, root: &Url, url: &Url, window: Option<Window>) -> ResourceKey {
        match window {
            None => ResourceKey::from_url(root, url, &self.policy),
            Some(Window { offset, len }) => ResourceKey::from_url_range(root, url, offset, len, &self.policy),
        }
    }

    /// Removes what is stored under `key`, unless that is all there will be.
    pub(crate) async fn discard(&self, key: &ResourceKey) -> Result<(), AssetsError> {
        if self.offline {
            return Ok(());
        }
        self.assets.remove_resource(key).await.map(drop)
    }

    /// The next download that ends; `None` if none is under way. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Option<FetchOutcome> {
        loop {
            match self.tasks.join_next().await? {
                Ok(outcome) => return Some(outcome),
                Err(error) => tracing::debug!(%error, "a download was cancelled"),
            }
        }
    }

    /// A download that has ended already, without waiting.
    pub(crate) fn try_ended(&mut self) -> Option<FetchOutcome> {
        loop {
            match self.tasks.try_join_next()? {
                Ok(outcome) => return Some(outcome),
                Err(error) => tracing::debug!(%error, "a download was cancelled"),
            }
        }
    }

    /// Stops the downloads that `keep` says no to: what they have stored stays.
    pub(crate) fn cancel_unless(&mut self, keep: impl Fn(&SegmentPlace) -> bool) {
        self.running.retain(|(place, task)| {
            let stays = keep(place);
            if !stays {
                task.abort();
            }
            stays && !task.is_finished()
        });
    }
}

fn assets_error(what: Fetching, url: &Url, source: AssetsError) -> HlsError {
    HlsError::Assets { what, url: url.clone(), source }
}

fn is_present<R: Streaming>(resource: &R, window: Option<Window>) -> bool {
    match window {
        Some(Window { offset, len }) => resource.available_at(offset) >= len,
        None => resource.len().is_some(),
    }
}

/// Tells the readers of one segment how its download ended; a download that is stopped half way counts as failed.
struct Teller(Option<watch::Sender<Option<Ending>>>);

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
async fn download<N: Net, R: Streaming>(
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
