//! The planner: which segment of which variant comes next, and when its fetch begins.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kithara_assets::{Assets, ResourceKey};
use kithara_net::Net;
use kithara_storage::StorageError;
use kithara_worker::{AsyncWorkerSource, CommandOutcome};
use tokio::time::Instant;

use crate::abr::{AbrController, SwitchReason, VariantMode};
use crate::body::SegmentBody;
use crate::error::{Fetching, HlsError, chain};
use crate::events::HlsEvent;
use crate::fetch::{FetchManager, FetchOutcome, SegmentFetch, Started, Window};
use crate::keys::KeyStore;
use crate::message::{Content, Failure, HlsCommand, HlsMessage};
use crate::options::LookAhead;
use crate::playlist::AudioPreference;
use crate::playlists::{PlaylistManager, SegmentPlan};
use crate::shared::Shared;

/// Messages that wait between the planner and the reader, so that eight segments can be on their way.
pub const HLS_CHUNK_CHANNEL_CAPACITY: usize = 8;

/// Segments in a row that may be replaced by silence before the presentation is given up.
const MAX_GAPS: usize = 3;

/// Reloads of the playlists for one refused segment before the refusal is final.
const MAX_RELOADS: u32 = 2;

/// How often a segment whose bytes changed or vanished under the reader is asked for again at the same source.
const MAX_AGAIN: u32 = 2;

/// What a planner is made of.
pub(crate) struct Parts<N, A> {
    pub(crate) playlists: PlaylistManager,
    pub(crate) fetches: FetchManager<N, A>,
    pub(crate) abr: AbrController,
    pub(crate) shared: Arc<Shared>,
    pub(crate) look_ahead: LookAhead,
    pub(crate) audio: AudioPreference,
}

/// Plans the segments of one stream, and sends a message for each as soon as its fetch has begun.
pub(crate) struct HlsWorkerSource<N: Net, A: Assets> {
    parts: Parts<N, A>,
    keys: KeyStore,
    /// Init sections of the current variant.
    init_segments_cache: Vec<(InitId, Bytes)>,
    /// Where the next segment begins.
    cursor: Duration,
    /// The segment after the last planned one, while the variant stays.
    next: Option<(usize, usize)>,
    variant: Option<usize>,
    ahead: VecDeque<Planned<A::Streaming>>,
    /// Planned, and its message not yet handed out.
    pending: Option<Pending<A>>,
    trouble: Trouble,
}

/// Which init section: its URL and window.
type InitId = (url::Url, Option<Window>);

/// A planned segment that the reader has not passed.
struct Planned<R> {
    start: Duration,
    duration: Duration,
    bytes: u64,
    body: Option<SegmentBody<R>>,
}

/// A segment whose fetch has begun, and whose message waits for its init section and key.
struct Pending<A: Assets> {
    plan: SegmentPlan,
    reason: SwitchReason,
    key: ResourceKey,
    /// `None`: a gap.
    started: Option<Started<A::Streaming>>,
    gap: Option<Arc<HlsError>>,
}

/// What went wrong lately.
#[derive(Default)]
struct Trouble {
    reload_wanted: bool,
    /// Segments to be replaced by silence, by their start.
    silent: Vec<(Duration, Arc<HlsError>)>,
    /// Why variants left the ladder.
    reasons: Vec<String>,
    last: Option<Arc<HlsError>>,
    /// The place that failed last.
    place: Option<Place>,
}

/// A place of the timeline that failed, and what was tried there.
#[derive(Default)]
struct Place {
    start: Duration,
    reloads: u32,
    again: u32,
    /// The variants that failed here.
    failed: Vec<usize>,
}

enum Plan {
    Started,
    /// The look-ahead is full, or as many fetches as the network bears are under way.
    Full,
    /// The playlist of this variant may grow: look again then.
    Reload(usize, Instant),
    End,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// A planner that begins at the start of the presentation.
    pub(crate) fn new(parts: Parts<N, A>) -> Self {
        Self {
            parts,
            keys: KeyStore::default(),
            init_segments_cache: Vec::new(),
            cursor: Duration::ZERO,
            next: None,
            variant: None,
            ahead: VecDeque::with_capacity(HLS_CHUNK_CHANNEL_CAPACITY),
            pending: None,
            trouble: Trouble::default(),
        }
    }

    /// Takes in what happened since the last look: downloads that ended, and how far the reader is.
    fn absorb(&mut self) {
        while let Some(outcome) = self.parts.fetches.try_ended() {
            self.ended(&outcome);
        }
        if let Some((bytes, elapsed)) = self.parts.shared.meter.take_sample() {
            self.parts.abr.record(bytes, elapsed);
        }
        let reader = self.parts.shared.reader();
        while self.ahead.front().is_some_and(|planned| planned.start + planned.duration <= reader) {
            self.ahead.pop_front();
        }
    }

    fn ended(&mut self, outcome: &FetchOutcome) {
        let SegmentFetch { variant, segment, .. } = outcome.fetch;
        if let (Some(len), Some((start, end))) = (outcome.len, self.parts.playlists.span(variant, segment)) {
            self.parts.abr.observe_segment(variant, len, end - start);
        }
        if outcome.is_ok {
            self.parts.shared.emit(HlsEvent::SegmentStored {
                variant: outcome.fetch.variant,
                segment: outcome.fetch.segment,
                bytes: outcome.bytes,
                elapsed: outcome.elapsed,
            });
        }
    }

    /// Audio that is in the store without a gap, from the reader's segment on.
    fn buffered(&self) -> Duration {
        let mut buffered = Duration::ZERO;
        for planned in &self.ahead {
            let fraction = planned.body.as_ref().map_or(1.0, SegmentBody::fraction);
            buffered += planned.duration.mul_f64(fraction);
            if fraction < 1.0 {
                break;
            }
        }
        buffered
    }

    /// Whether another fetch may begin.
    fn has_room(&self) -> bool {
        let look_ahead = &self.parts.look_ahead;
        let Some(last) = self.ahead.back() else { return true };
        let span = (last.start + last.duration).saturating_sub(self.parts.shared.reader());
        let bytes: u64 = self.ahead.iter().map(|planned| planned.bytes).sum();
        self.ahead.len() < look_ahead.segments.max(1)
            && span < look_ahead.duration
            && bytes < look_ahead.bytes
            && self.parts.fetches.in_flight() < self.parallel()
    }

    /// Fetches that the network bears at the same moment without making the next segment wait.
    fn parallel(&self) -> usize {
        let most = self.parts.look_ahead.parallel.max(1);
        let bandwidth = self.variant.map_or(0, |variant| self.parts.playlists.bandwidth(variant));
        match self.parts.abr.throughput() {
            Some(throughput) if bandwidth > 0 => {
                usize::try_from(throughput / bandwidth).unwrap_or(most).clamp(1, most)
            }
            Some(_) => most,
            None => 1,
        }
    }

    async fn plan(&mut self) -> Result<Plan, HlsError> {
        if !self.has_room() {
            return Ok(Plan::Full);
        }
        let (variant, reason) = self.choose().await?;
        let index = match self.next {
            Some((of, index)) if of == variant => index,
            _ => match self.parts.playlists.index_at(variant, self.cursor) {
                Some(index) => index,
                None => return Ok(self.at_end(variant)),
            },
        };
        let Some(plan) = self.parts.playlists.segment(variant, index) else {
            return Ok(self.at_end(variant));
        };
        let plan = self.prefer_stored(plan).await;
        // The parts of one file are written one after the other: a second fetch could only stand in line.
        if FetchManager::<N, A>::window_in_resource(&plan).is_some() && self.parts.fetches.in_flight() > 0 {
            return Ok(Plan::Full);
        }
        let variant = plan.variant;
        if self.variant != Some(variant) {
            self.init_segments_cache.clear();
            self.variant = Some(variant);
        }
        self.start(plan, reason).await?;
        Ok(Plan::Started)
    }

    /// In automatic mode a segment that is complete in the store beats a request: in a better variant always, in a
    /// lesser one while nothing is known of the network.
    async fn prefer_stored(&mut self, plan: SegmentPlan) -> SegmentPlan {
        let Parts { playlists, fetches, abr, .. } = &self.parts;
        if abr.mode() != VariantMode::Auto || plan.gap {
            return plan;
        }
        let now = Instant::now().into_std();
        let floor = if abr.throughput().is_some() && !fetches.is_offline() { plan.variant } else { 0 };
        let mut twins: Vec<SegmentPlan> =
            playlists.twins(plan.variant, plan.index).filter(|twin| twin.variant >= floor).collect();
        twins.sort_by_key(|twin| std::cmp::Reverse(twin.variant));
        for twin in twins {
            if !abr.is_excluded(twin.variant, now)
                && (twin.variant > plan.variant || !fetches.is_stored(&plan).await)
                && fetches.is_stored(&twin).await
            {
                return twin;
            }
        }
        plan
    }

    fn at_end(&self, variant: usize) -> Plan {
        match self.parts.playlists.reload_due(variant) {
            Some(due) => Plan::Reload(variant, due),
            None => Plan::End,
        }
    }

    /// The variant of the next segment, with its playlist loaded. One whose playlist cannot be had leaves the ladder.
    async fn choose(&mut self) -> Result<(usize, SwitchReason), HlsError> {
        loop {
            let now = Instant::now().into_std();
            let Some(decision) = self.parts.abr.choose(now, self.buffered()) else {
                return Err(self.no_variant());
            };
            match self.parts.playlists.ensure(decision.variant, &self.parts.fetches).await {
                Ok(()) => return Ok((decision.variant, decision.reason)),
                Err(error) => self.exclude(decision.variant, Arc::new(error)),
            }
        }
    }

    async fn start(&mut self, plan: SegmentPlan, reason: SwitchReason) -> Result<(), HlsError> {
        let silent = self.trouble.silent.iter().find(|(start, _)| *start == plan.start);
        let gap = silent.map(|(_, error)| Arc::clone(error));
        let key = self.parts.fetches.segment_key(&plan);
        let started = if plan.gap || gap.is_some() {
            None
        } else {
            Some(self.parts.fetches.start(SegmentFetch::of(&plan), &key).await?)
        };
        let window = FetchManager::<N, A>::window_in_resource(&plan);
        let body = started.as_ref().map(|started| SegmentBody::new(started.resource.clone(), window, None));
        let bytes = plan.window.map_or_else(
            || {
                self.parts.playlists.bandwidth(plan.variant).saturating_mul(plan.duration.as_millis() as u64)
                    / 8000
            },
            |window| window.len,
        );
        self.ahead.push_back(Planned { start: plan.start, duration: plan.duration, bytes, body });
        self.cursor = plan.start + plan.duration;
        self.next = Some((plan.variant, plan.index + 1));
        self.pending = Some(Pending { plan, reason, key, started, gap });
        Ok(())
    }

    /// Waits for what the pending message needs, and makes it.
    async fn complete(&mut self) -> Result<Option<HlsMessage<A::Streaming>>, HlsError> {
        let Some(pending) = &self.pending else { return Ok(None) };
        let plan = &pending.plan;
        let fetches = &self.parts.fetches;
        let mut init = None;
        let mut processor = None;
        if pending.started.is_some() {
            // Both are on their way while the body is.
            let (section, decryption) = tokio::try_join!(
                init_section(fetches, &self.keys, &self.init_segments_cache, plan),
                self.keys.processor(fetches, plan.key.as_deref(), plan.media_sequence),
            )?;
            (init, processor) = (section, decryption);
        }
        let content = match &pending.started {
            None => Content::Gap { error: pending.gap.as_ref().map(|error| chain(&**error)) },
            Some(Started { resource, cached, fate }) => {
                let (resource, window) = match processor {
                    None => (resource.clone(), FetchManager::<N, A>::window_in_resource(plan)),
                    Some(processor) => (fetches.open_processed(&pending.key, processor, plan).await?, None),
                };
                Content::Body { body: SegmentBody::new(resource, window, fate.clone()), cached: *cached }
            }
        };
        if let (Some(map), Some(init)) = (&plan.map, &init) {
            let id = (map.uri.clone(), Window::of(map));
            if !self.init_segments_cache.iter().any(|(known, _)| *known == id) {
                self.init_segments_cache.push((id, init.clone()));
            }
        }
        let message = HlsMessage {
            variant: plan.variant,
            reason: pending.reason,
            segment: plan.index,
            is_first: plan.is_first,
            start: plan.start,
            duration: plan.duration,
            discontinuity_sequence: plan.discontinuity_sequence,
            url: plan.url.clone(),
            init,
            content,
        };
        self.pending = None;
        Ok(Some(message))
    }

    /// Waits until the reader moves or a download ends.
    async fn wait(&mut self) {
        let Parts { fetches, shared, .. } = &mut self.parts;
        let outcome = tokio::select! {
            () = shared.moved.notified() => None,
            // `None`, no download at all, leaves the reader to be waited for.
            Some(outcome) = fetches.ended() => Some(outcome),
        };
        if let Some(outcome) = outcome {
            self.ended(&outcome);
        }
    }

    /// Loads the current playlist again if a server refused what it names. If that fails, the variant does.
    async fn reload_if_wanted(&mut self) {
        if let (true, Some(variant)) = (self.trouble.reload_wanted, self.variant) {
            let Parts { playlists, fetches, audio, .. } = &mut self.parts;
            let reloaded = playlists.reload_all(variant, fetches, audio).await;
            self.trouble.reload_wanted = false;
            self.keys.clear();
            self.init_segments_cache.clear();
            if let Err(error) = reloaded {
                self.exclude(variant, Arc::new(error));
            }
        }
    }

    /// Looks whether a playlist without an end has grown. If it cannot be had any more, its variant fails.
    async fn grow(&mut self, variant: usize) {
        if let Err(error) = self.parts.playlists.reload(variant, &self.parts.fetches).await {
            self.exclude(variant, Arc::new(error));
        }
        // Indexes count from the list's beginning, which moves in a sliding list.
        self.next = None;
    }

    fn exclude(&mut self, variant: usize, error: Arc<HlsError>) {
        if !error.is_unsupported() && self.parts.playlists.failover(variant) {
            return;
        }
        let penalty = (!error.is_unsupported()).then(|| self.parts.abr.penalty());
        let text = chain(&*error);
        self.trouble.reasons.push(format!("variant {variant}: {text}"));
        self.parts.abr.exclude(variant, Instant::now().into_std(), penalty);
        self.parts.shared.emit(HlsEvent::VariantExcluded { variant, penalty, error: text });
        self.trouble.last = Some(error);
    }

    fn no_variant(&mut self) -> HlsError {
        let reasons = std::mem::take(&mut self.trouble.reasons);
        match self.trouble.last.take().map(Arc::try_unwrap) {
            // One variant, one reason: that reason is the whole story.
            Some(Ok(error)) if reasons.len() == 1 => error,
            Some(Ok(error)) => self.no_variant_because(reasons, Some(Arc::new(error))),
            Some(Err(error)) => self.no_variant_because(reasons, Some(error)),
            None => self.no_variant_because(reasons, None),
        }
    }

    fn no_variant_because(&self, reasons: Vec<String>, source: Option<Arc<HlsError>>) -> HlsError {
        HlsError::NoPlayableVariant { url: self.parts.playlists.url().clone(), reasons, source }
    }

    /// Whether there is a variant that may be chosen now and did not fail at the present place.
    fn has_untried(&self) -> bool {
        let now = Instant::now().into_std();
        let failed = self.trouble.place.as_ref().map_or(&[][..], |place| &place.failed);
        let count = self.parts.playlists.bandwidths().len();
        (0..count).any(|variant| !failed.contains(&variant) && !self.parts.abr.is_excluded(variant, now))
    }

    /// The pending segment cannot be had as planned.
    fn give_up_pending(&mut self, error: HlsError) -> Result<(), HlsError> {
        let Some(pending) = self.pending.take() else { return Err(error) };
        let (segment, variant, start) = (pending.plan.index, pending.plan.variant, pending.plan.start);
        self.ahead.pop_back();
        self.cursor = start;
        self.next = None;
        self.on_failed(segment, variant, Failure::new(error));
        Ok(())
    }

    /// Plans anew from `to` on.
    fn restart_at(&mut self, to: Duration) {
        self.cursor = to;
        self.next = None;
        self.pending = None;
        self.ahead.clear();
    }

    /// Stops downloads that nobody needs who reads from `from` on.
    fn drop_stale_fetches(&mut self, from: Duration) {
        let playlists = &self.parts.playlists;
        let most = self.parts.look_ahead.duration;
        self.parts.fetches.cancel_unless(|variant, segment| {
            playlists.span(variant, segment).is_some_and(|(start, end)| end > from && start < from + most)
        });
    }

    /// What was tried at `start` so far.
    fn place_at(&mut self, start: Duration) -> &mut Place {
        let place = self.trouble.place.take().filter(|place| place.start == start);
        self.trouble.place.insert(place.unwrap_or_else(|| Place { start, ..Place::default() }))
    }

    /// The remedies, in this order: the same source again where the entity changed; new URLs where access was refused;
    /// the variant's redundant sources; another variant; silence, where a server says that it does not have the segment.
    fn on_failed(&mut self, segment: usize, variant: usize, failure: Failure) {
        let start = self.parts.playlists.span(variant, segment).map_or(self.cursor, |(start, _)| start);
        let refused = matches!(failure.status, Some(401 | 403 | 410));
        let place = self.place_at(start);
        if refused && place.reloads < MAX_RELOADS {
            place.reloads += 1;
            self.trouble.reload_wanted = true;
            return;
        }
        if failure.error.is_of_other_bytes() && place.again < MAX_AGAIN {
            place.again += 1;
            return;
        }
        if !failure.is_unsupported && self.parts.playlists.failover(variant) {
            return;
        }
        let place = self.place_at(start);
        if !place.failed.contains(&variant) {
            place.failed.push(variant);
        }
        let missing = matches!(failure.status, Some(404 | 410 | 500..));
        if missing && segment > 0 && !self.has_untried() && self.gaps_before(variant, segment) < MAX_GAPS {
            self.silence(start, failure.error);
            return;
        }
        self.exclude(variant, failure.error);
    }

    /// Segments right before this one that are silent already.
    fn gaps_before(&self, variant: usize, segment: usize) -> usize {
        let is_silent = |segment: &usize| {
            let span = self.parts.playlists.span(variant, *segment);
            span.is_some_and(|(from, _)| self.trouble.silent.iter().any(|(start, _)| *start == from))
        };
        (0..segment).rev().take_while(is_silent).count()
    }

    /// Puts silence in the place of a segment that no variant has: none of them is to blame.
    fn silence(&mut self, start: Duration, error: Arc<HlsError>) {
        let now = Instant::now().into_std();
        for variant in self.trouble.place.take().map(|place| place.failed).unwrap_or_default() {
            self.parts.abr.exclude(variant, now, Some(Duration::ZERO));
        }
        self.trouble.silent.push((start, error));
    }
}

async fn init_section<N: Net, A: Assets>(
    fetches: &FetchManager<N, A>,
    keys: &KeyStore,
    known: &[(InitId, Bytes)],
    plan: &SegmentPlan,
) -> Result<Option<Bytes>, HlsError> {
    let Some(map) = &plan.map else { return Ok(None) };
    let window = Window::of(map);
    if let Some((_, init)) = known.iter().find(|((url, of), _)| *url == map.uri && *of == window) {
        return Ok(Some(init.clone()));
    }
    let bytes = fetches.small(Fetching::Init, &map.uri, window, true).await?;
    match keys.processor(fetches, map.key.as_deref(), plan.media_sequence).await? {
        None => Ok(Some(bytes)),
        Some(processor) => {
            let plain = processor.process_all(&bytes).map_err(|error| HlsError::Storage {
                what: Fetching::Init,
                url: map.uri.clone(),
                source: StorageError::source(error, false),
            })?;
            Ok(Some(plain.into()))
        }
    }
}

impl<N: Net, A: Assets> AsyncWorkerSource for HlsWorkerSource<N, A> {
    type Item = HlsMessage<A::Streaming>;
    type Command = HlsCommand;
    type Error = HlsError;

    async fn fetch_next(&mut self) -> Result<Option<Self::Item>, HlsError> {
        loop {
            self.reload_if_wanted().await;
            self.absorb();
            if self.pending.is_none() {
                match self.plan().await? {
                    Plan::Started => {}
                    Plan::Full => {
                        self.wait().await;
                        continue;
                    }
                    Plan::Reload(variant, due) => {
                        tokio::time::sleep_until(due).await;
                        self.grow(variant).await;
                        continue;
                    }
                    Plan::End => return Ok(None),
                }
            }
            match self.complete().await {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => self.give_up_pending(error)?,
            }
        }
    }

    fn handle_command(&mut self, command: HlsCommand) -> CommandOutcome {
        let needed_from = match command {
            HlsCommand::Seek { to } => {
                self.restart_at(to);
                self.parts.shared.set_reader(to);
                self.trouble.place = None;
                to
            }
            HlsCommand::Failed { segment, variant, resume_at, failure } => {
                self.on_failed(segment, variant, failure);
                self.restart_at(resume_at);
                self.parts.shared.set_reader(resume_at);
                resume_at
            }
            HlsCommand::SetMode { mode, from } => {
                self.parts.abr.set_mode(mode);
                self.restart_at(from);
                // The reader is still in the segment before.
                self.parts.shared.reader()
            }
        };
        self.drop_stale_fetches(needed_from);
        CommandOutcome::NewEpoch
    }

    fn starts_epoch(_: &HlsCommand) -> bool {
        true
    }
}
