//! Getting bytes: from the store if they are there, from the network into the store if not.

use std::collections::VecDeque;
use std::sync::Arc;

use kithara_assets::{Assets, AssetsError, Processor, ResourceKey};
use kithara_net::{Net, RedactedUrl};
use kithara_storage::Streaming;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::Url;

use crate::body::Fate;
use crate::error::{Fetching, HlsError};
use crate::options::HlsOptions;
use crate::segment::{SegmentPlace, SegmentPlan};
use crate::shared::{Counters, Shared};

mod download;
mod manifest;
mod record;
mod small;

pub(crate) use crate::segment::Window;
pub(crate) use download::{FetchOutcome, SegmentFetch};
use download::{Teller, download};
pub(crate) use small::SmallFetches;

/// Parts of files that are remembered to be kept apart, of a stream that runs for weeks.
const MAX_APART: usize = 1000;

/// A segment whose bytes are there or on their way.
#[derive(Debug, Clone)]
pub(crate) struct Started<R> {
    pub(crate) resource: R,
    /// Every byte was there already.
    pub(crate) cached: bool,
    /// What tells of the download, if there is one.
    pub(crate) fate: Option<Fate>,
}

/// Starts downloads, owns their tasks, and reads small bodies.
///
/// Dropping it aborts every download under way; what arrived stays in the store.
pub(crate) struct FetchManager<N, A> {
    small: SmallFetches<N, A>,
    /// Parts of files whose bytes there are no media.
    apart: VecDeque<(Url, Window)>,
    tasks: JoinSet<FetchOutcome>,
    /// The stream's, in which the downloads stand.
    span: Span,
    /// The tasks by what they fetch, so that those which a seek made useless can be stopped.
    running: Vec<(SegmentPlace, AbortHandle)>,
    /// Downloads that ended while one was waited for that was stopped.
    ended: VecDeque<FetchOutcome>,
}

impl<N: Net, A: Assets> FetchManager<N, A> {
    /// Fetches of the presentation opened at `root`.
    pub(crate) fn new(options: &HlsOptions<N, A>, root: Url, shared: Arc<Shared>) -> Self {
        Self {
            small: SmallFetches::new(options, root, shared),
            apart: VecDeque::new(),
            tasks: JoinSet::new(),
            span: Span::current(),
            running: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    /// What is read as a whole.
    pub(crate) fn small(&self) -> &SmallFetches<N, A> {
        &self.small
    }

    /// Opens the resource of a segment and, unless its bytes are there, starts to download them.
    ///
    /// Cancel-safe: a download that was begun goes on, and another one for the same segment waits for it.
    pub(crate) async fn start(
        &mut self,
        plan: &SegmentPlan,
        key: &ResourceKey,
    ) -> Result<Started<A::Streaming>, HlsError> {
        let fetch = self.fetch_of(plan);
        let what = Fetching::Segment(fetch.segment);
        let opened = self.small.assets.open_streaming_resource(key).await;
        let resource = opened.map_err(|source| assets_error(what, &fetch.url, source))?;
        if is_present(&resource, self.window_in_resource(plan)) {
            Counters::add(&self.small.shared.counters.cache_hits, 1);
            return Ok(Started { resource, cached: true, fate: None });
        }
        if self.small.offline {
            return Err(HlsError::Offline { what, url: fetch.url });
        }
        let place = fetch.place;
        let (teller, fate) = watch::channel(None);
        let teller = Teller(Some(teller));
        let span = tracing::debug_span!(
            parent: &self.span,
            "segment",
            variant = place.id.variant,
            segment = fetch.segment,
            url = %RedactedUrl(&fetch.url),
            bytes = Empty,
            ok = Empty,
        );
        let download =
            download(self.small.net.clone(), resource.clone(), fetch, Arc::clone(&self.small.shared), teller);
        self.running.push((place, self.tasks.spawn(download.instrument(span))));
        Ok(Started { resource, cached: false, fate: Some(fate) })
    }

    /// Whether every byte of a segment is in the store.
    pub(crate) async fn is_stored(&self, plan: &SegmentPlan) -> bool {
        match self.small.assets.open_streaming_resource(&self.segment_key(plan)).await {
            Ok(resource) => is_present(&resource, self.window_in_resource(plan)),
            Err(_) => false,
        }
    }

    /// The fetch of a planned segment.
    fn fetch_of(&self, plan: &SegmentPlan) -> SegmentFetch {
        SegmentFetch {
            place: plan.place,
            segment: plan.index,
            url: plan.url.clone(),
            window: plan.window,
            is_part: self.part(plan).is_some(),
            is_encrypted: plan.key.is_some(),
            opened: Arc::clone(&self.small.opened),
            stores_private: self.small.store_private,
        }
    }

    /// The decrypting view of a segment's resource.
    pub(crate) async fn open_processed(
        &self,
        key: &ResourceKey,
        processor: Processor,
        plan: &SegmentPlan,
    ) -> Result<A::Streaming, HlsError> {
        let opened = self.small.assets.open_processed_resource(key, processor).await;
        opened.map_err(|source| assets_error(Fetching::Segment(plan.index), &plan.url, source))
    }

    /// Where a segment stands in its resource, unless it is all of it.
    pub(crate) fn window_in_resource(&self, plan: &SegmentPlan) -> Option<Window> {
        plan.window.filter(|_| self.part(plan).is_none())
    }

    /// The window of a segment that is a part of a file and has a resource of its own: an encrypted one is decrypted by
    /// itself, one of a live list is known by its number, and one whose bytes in the file are no media must not cost the
    /// others.
    fn part(&self, plan: &SegmentPlan) -> Option<Window> {
        let is_apart = |window: &Window| {
            plan.key.is_some()
                || plan.live.is_some()
                || self.apart.iter().any(|(url, of)| *url == plan.url && of == window)
        };
        plan.window.filter(is_apart)
    }

    /// The key of a segment's resource: one for each file, and one for each part that has a resource of its own.
    pub(crate) fn segment_key(&self, plan: &SegmentPlan) -> ResourceKey {
        let number = plan.place.id.number;
        let root = self.small.root(plan.live.map(|_| (plan.variant(), number)));
        self.small.key_below(&root, &plan.url, self.part(plan))
    }

    /// Does away with what is stored of a segment that is no media, unless that is all there will be. Of a file whose
    /// other parts are sound nothing is removed, for whoever reads them: this part is kept beside it from now on, and
    /// found there by whoever comes upon the file's bytes.
    pub(crate) async fn discard(&mut self, plan: &SegmentPlan) -> Result<(), AssetsError> {
        let Some(window) = self.window_in_resource(plan) else {
            if !self.small.offline {
                let key = self.segment_key(plan);
                // Nothing is removed under the hands of who fills it; its rest is no better.
                self.stop(plan.place).await;
                let resource = self.small.assets.open_streaming_resource(&key).await?;
                if let Some(len) = resource.len() {
                    // A commit that is stopped goes on nevertheless: waits for it.
                    let _ = resource.commit(len).await;
                }
                drop(resource);
                self.small.assets.remove_resource(&key).await?;
            }
            return Ok(());
        };
        let beside = self.small.key_below(&self.small.root(None::<(usize, u64)>), &plan.url, Some(window));
        if !self.small.offline || self.small.assets.open_streaming_resource(&beside).await?.len().is_some() {
            self.apart.truncate(MAX_APART - 1);
            self.apart.push_front((plan.url.clone(), window));
        }
        Ok(())
    }

    /// Stops the download of a segment, and waits until it has let go of it. Cancel-safe.
    async fn stop(&mut self, place: SegmentPlace) {
        let of_place = |(of, _): &&(SegmentPlace, AbortHandle)| *of == place;
        self.running.iter().filter(of_place).for_each(|(_, task)| task.abort());
        while self.running.iter().filter(of_place).any(|(_, task)| !task.is_finished()) {
            let Some(joined) = self.tasks.join_next().await else { break };
            let outcome = self.joined(joined);
            self.ended.extend(outcome);
        }
    }

    /// The next download that ends; `None` if none is under way. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Option<FetchOutcome> {
        if let Some(outcome) = self.ended.pop_front() {
            return Some(outcome);
        }
        loop {
            let joined = self.tasks.join_next().await?;
            if let Some(outcome) = self.joined(joined) {
                return Some(outcome);
            }
        }
    }

    /// Downloads that have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.running.iter().filter(|(_, task)| !task.is_finished()).count()
    }

    /// A download that has ended already, without waiting.
    pub(crate) fn try_ended(&mut self) -> Option<FetchOutcome> {
        if let Some(outcome) = self.ended.pop_front() {
            return Some(outcome);
        }
        loop {
            let joined = self.tasks.try_join_next()?;
            if let Some(outcome) = self.joined(joined) {
                return Some(outcome);
            }
        }
    }

    /// The outcome of a task that has ended, unless it was cancelled. Lets go of all that have: a task keeps its memory, several
    /// kilobytes, until the last handle on it is gone.
    fn joined(&mut self, joined: Result<FetchOutcome, JoinError>) -> Option<FetchOutcome> {
        self.running.retain(|(_, task)| !task.is_finished());
        joined.map_err(|error| tracing::debug!(%error, "a download was cancelled")).ok()
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
