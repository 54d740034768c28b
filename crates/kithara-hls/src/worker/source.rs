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
use crate::fetch::{FetchManager, FetchOutcome, SegmentFetch, Window};
use crate::keys::KeyStore;
use crate::message::{Content, Failure, HlsCommand, HlsMessage};
use crate::options::LookAhead;
use crate::playlist::AudioPreference;
use crate::playlists::{PlaylistManager, SegmentPlan};
use crate::shared::Shared;

/// Messages that wait between the planner and the reader, so that eight segments can be on their way.
pub const HLS_CHUNK_CHANNEL_CAPACITY: usize = 8;

/// Segments in a row that may be replaced by silence before the presentation is given up.
const MAX_GAPS: u32 = 3;

/// Reloads of the playlists on refused segments before the refusal is final.
const MAX_RELOADS: u32 = 2;

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
    resource: Option<(A::Streaming, bool)>,
    gap: Option<Arc<HlsError>>,
}

/// What went wrong lately.
#[derive(Default)]
struct Trouble {
    reloads: u32,
    reload_wanted: bool,
    gaps: u32,
    /// Segments to be replaced by silence, by their start.
    silent: Vec<(Duration, Arc<HlsError>)>,
    /// Why variants left the ladder.
    reasons: Vec<String>,
    last: Option<Arc<HlsError>>,
    /// The place that failed, and the variants that failed there.
    place: Option<(Duration, Vec<usize>)>,
}

enum Plan {
    Started,
    /// The look-ahead is full, or as many fetches as the network bears are under way.
    Full,
    /// The playlist may grow: look again then.
    Reload(Instant),
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
        if outcome.is_ok {
            self.trouble.reloads = 0;
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
        let Some(plan) = self.parts.playlists.segment(variant, index) else { return Ok(self.at_end(variant)) };
        let plan = self.prefer_stored(plan).await;
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
            Some(due) => Plan::Reload(due),
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
        let resource = if plan.gap || gap.is_some() {
            None
        } else {
            Some(self.parts.fetches.start(SegmentFetch::of(&plan), &key).await?)
        };
        let window = FetchManager::<N, A>::window_in_resource(&plan);
        let body = resource.as_ref().map(|(resource, _)| SegmentBody::new(resource.clone(), window));
        let bytes = plan.window.map_or_else(
            || self.parts.playlists.bandwidth(plan.variant).saturating_mul(plan.duration.as_millis() as u64) / 8000,
            |window| window.len,
        );
        self.ahead.push_back(Planned { start: plan.start, duration: plan.duration, bytes, body });
        self.cursor = plan.start + plan.duration;
        self.next = Some((plan.variant, plan.index + 1));
        self.pending = Some(Pending { plan, reason, key, resource, gap });
        Ok(())
    }

    /// Waits for what the pending message needs, and makes it.
    async fn complete(&mut self) -> Result<Option<HlsMessage<A::Streaming>>, HlsError> {
        let Some(pending) = &self.pending else { return Ok(None) };
        let plan = &pending.plan;
        let fetches = &self.parts.fetches;
        let mut init = None;
        let mut processor = None;
        if pending.resource.is_some() {
            // Both are on their way while the body is.
            let (section, decryption) = tokio::try_join!(
                init_section(fetches, &self.keys, &self.init_segments_cache, plan),
                self.keys.processor(fetches, plan.key.as_deref(), plan.media_sequence),
            )?;
            (init, processor) = (section, decryption);
        }
        let content = match &pending.resource {
            None => Content::Gap { error: pending.gap.as_ref().map(|error| chain(&**error)) },
            Some((resource, cached)) => {
                let body = match processor {
                    None => SegmentBody::new(resource.clone(), FetchManager::<N, A>::window_in_resource(plan)),
                    Some(processor) => {
                        SegmentBody::new(fetches.open_processed(&pending.key, processor, plan).await?, None)
                    }
                };
                Content::Body { body, cached: *cached }
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

    /// Loads the current playlist again if a server refused what it names.
    async fn reload_if_wanted(&mut self) -> Result<(), HlsError> {
        if let (true, Some(variant)) = (self.trouble.reload_wanted, self.variant) {
            let Parts { playlists, fetches, audio, .. } = &mut self.parts;
            playlists.reload_all(variant, fetches, audio).await?;
            self.keys.clear();
            self.trouble.reload_wanted = false;
        }
        Ok(())
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

    /// Variants that may be chosen now.
    fn available(&self) -> usize {
        let now = Instant::now().into_std();
        let count = self.parts.playlists.bandwidths().len();
        (0..count).filter(|variant| !self.parts.abr.is_excluded(*variant, now)).count()
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

    fn restart_at(&mut self, to: Duration) {
        self.cursor = to;
        self.next = None;
        self.pending = None;
        self.ahead.clear();
        self.parts.shared.set_reader(to);
    }

    /// Stops downloads that the new place does not need.
    fn drop_stale_fetches(&mut self) {
        let playlists = &self.parts.playlists;
        let (from, most) = (self.cursor, self.parts.look_ahead.duration);
        self.parts.fetches.cancel_unless(|variant, segment| {
            playlists.span(variant, segment).is_some_and(|(start, end)| end > from && start < from + most)
        });
    }

    fn on_failed(&mut self, segment: usize, variant: usize, failure: Failure) {
        let start = self.parts.playlists.span(variant, segment).map_or(self.cursor, |(start, _)| start);
        let refused = matches!(failure.status, Some(401 | 403 | 410));
        if refused && self.trouble.reloads < MAX_RELOADS {
            self.trouble.reloads += 1;
            self.trouble.reload_wanted = true;
            return;
        }
        let failed = match &mut self.trouble.place {
            Some((place, failed)) if *place == start => {
                failed.push(variant);
                failed.len()
            }
            place => {
                *place = Some((start, vec![variant]));
                1
            }
        };
        let missing = matches!(failure.status, Some(404 | 410));
        let everywhere = failed >= self.available();
        if missing && everywhere && self.trouble.gaps < MAX_GAPS && segment > 0 {
            self.trouble.gaps += 1;
            self.trouble.silent.push((start, failure.error));
            return;
        }
        self.exclude(variant, failure.error);
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
            self.reload_if_wanted().await?;
            self.absorb();
            if self.pending.is_none() {
                match self.plan().await? {
                    Plan::Started => {}
                    Plan::Full => {
                        self.wait().await;
                        continue;
                    }
                    Plan::Reload(due) => {
                        tokio::time::sleep_until(due).await;
                        if let Some(variant) = self.variant {
                            self.parts.playlists.reload(variant, &self.parts.fetches).await?;
                            self.next = None;
                        }
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
        match command {
            HlsCommand::Seek { to } => {
                self.restart_at(to);
                self.trouble.place = None;
            }
            HlsCommand::Failed { segment, variant, resume_at, failure } => {
                self.on_failed(segment, variant, failure);
                self.restart_at(resume_at);
            }
            HlsCommand::SetMode { mode, from } => {
                self.parts.abr.set_mode(mode);
                self.restart_at(from);
            }
        }
        self.drop_stale_fetches();
        CommandOutcome::NewEpoch
    }

    fn starts_epoch(_: &HlsCommand) -> bool {
        true
    }
}
