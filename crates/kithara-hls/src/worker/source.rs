//! The planner: which segment of which variant comes next, and when its fetch begins.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kithara_assets::{Assets, ResourceKey};
use kithara_net::Net;
use kithara_storage::Streaming;
use kithara_worker::{AsyncWorkerSource, CommandOutcome};
use tokio::time::Instant;

use super::init::{InitId, init_section};
use super::pace::{FetchPace, GRACE};
use super::remedies::Trouble;
use crate::abr::{AbrController, SwitchReason, VariantMode};
use crate::body::SegmentBody;
use crate::error::{HlsError, chain};
use crate::events::HlsEvent;
use crate::fetch::{FetchManager, FetchOutcome, Started, Window};
use crate::keys::KeyStore;
use crate::message::{Content, Failure, HlsCommand, HlsMessage, SegmentPlace};
use crate::options::LookAhead;
use crate::playlist::AudioPreference;
use crate::playlists::{PlaylistManager, SegmentPlan};
use crate::shared::Shared;

/// Messages that wait between the planner and the reader, so that eight segments can be on their way.
pub const HLS_CHUNK_CHANNEL_CAPACITY: usize = 8;

/// What a planner is made of.
pub(crate) struct Parts<N, A> {
    pub(crate) playlists: PlaylistManager,
    pub(crate) fetches: FetchManager<N, A>,
    pub(crate) abr: AbrController,
    pub(crate) shared: Arc<Shared>,
    pub(crate) look_ahead: LookAhead,
    pub(crate) audio: AudioPreference,
    /// Only the first segment is wanted, for what it tells of format and time; a command follows.
    pub(crate) only_first: bool,
}

/// Plans the segments of one stream, and sends a message for each as soon as its fetch has begun.
pub(crate) struct HlsWorkerSource<N: Net, A: Assets> {
    pub(super) parts: Parts<N, A>,
    keys: KeyStore,
    /// Init sections of the current variant.
    init_segments_cache: Vec<(InitId, Bytes)>,
    /// Where the next segment begins.
    pub(super) cursor: Duration,
    /// The segment after the last planned one, while the variant stays.
    pub(super) next: Option<(usize, usize)>,
    variant: Option<usize>,
    pub(super) ahead: VecDeque<Planned<A::Streaming>>,
    /// Planned, and its message not yet handed out.
    pub(super) pending: Option<Pending<A>>,
    pub(super) trouble: Trouble,
    /// A variant from this segment on, given up. Nothing more is planned until the reader has everything planned anew: when
    /// it comes to its next segment, or when it meets the end of this one's bytes, if it is in it already.
    pub(super) given_up: Option<SegmentPlace>,
    pace: FetchPace,
    /// The arriving segment that was looked at last.
    pub(super) looked_at: Option<SegmentPlace>,
}

/// A planned segment that the reader has not passed.
pub(super) struct Planned<R> {
    pub(super) segment: SegmentPlace,
    /// Index in the list as it was when this was planned, for people.
    pub(super) index: usize,
    /// Expected length in bytes.
    pub(super) bytes: u64,
    pub(super) body: Option<SegmentBody<R>>,
    /// When its fetch began.
    pub(super) begun: Instant,
    /// Bytes that were in the store by then.
    pub(super) found: u64,
}

impl<R: Streaming> Planned<R> {
    /// Length of its body in bytes: declared, or by the variant's bandwidth.
    pub(super) fn expected_len(&self) -> u64 {
        self.body.as_ref().and_then(SegmentBody::len).unwrap_or(self.bytes)
    }

    /// Bytes that are still to come.
    fn missing(&self) -> u64 {
        let received = |body: &SegmentBody<R>| self.expected_len().saturating_sub(body.received());
        self.body.as_ref().filter(|body| !body.is_complete()).map_or(0, received)
    }
}

/// A segment whose fetch has begun, and whose message waits for its init section and key.
pub(super) struct Pending<A: Assets> {
    plan: SegmentPlan,
    reason: SwitchReason,
    key: ResourceKey,
    /// `None`: a gap.
    started: Option<Started<A::Streaming>>,
    gap: Option<Arc<HlsError>>,
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
            given_up: None,
            pace: FetchPace::default(),
            looked_at: None,
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
        self.parts.abr.set_speed(self.parts.shared.speed().unwrap_or(1.0));
        if let Some(longest) = self.ahead.iter().map(|planned| planned.segment.duration).max() {
            let LookAhead { segments, duration, .. } = self.parts.look_ahead;
            let segments = u32::try_from(segments.max(1)).unwrap_or(u32::MAX);
            self.parts.abr.set_capacity(longest.saturating_mul(segments).min(duration));
        }
        if self.parts.shared.take_ran_dry() {
            self.parts.abr.stalled();
        }
        let reader = self.parts.shared.reader();
        while self.ahead.front().is_some_and(|planned| planned.segment.end() <= reader) {
            self.ahead.pop_front();
        }
    }

    fn ended(&mut self, outcome: &FetchOutcome) {
        let SegmentPlace { variant, duration, .. } = outcome.fetch.place;
        if let Some(len) = outcome.len {
            self.parts.abr.observe_segment(variant, len, duration);
        }
        if outcome.is_ok && outcome.bytes > 0 {
            self.pace.observe(outcome.elapsed);
        }
        if outcome.is_ok {
            self.trouble.reloads.retain(|(of, _)| *of != variant);
            self.parts.shared.emit(HlsEvent::SegmentStored {
                variant,
                segment: outcome.fetch.segment,
                bytes: outcome.bytes,
                elapsed: outcome.elapsed,
            });
        }
    }

    /// Audio that is in the store without a gap, from the reader's place on.
    pub(super) fn buffered(&self) -> Duration {
        let mut buffered = Duration::ZERO;
        for planned in &self.ahead {
            let fraction = planned.body.as_ref().map_or(1.0, SegmentBody::fraction);
            buffered += planned.segment.duration.mul_f64(fraction);
            if fraction < 1.0 {
                break;
            }
        }
        let begins = self.ahead.front().map_or(Duration::ZERO, |planned| planned.segment.start);
        buffered.saturating_sub(self.parts.shared.played().saturating_sub(begins))
    }

    /// Whether another fetch may begin.
    fn has_room(&self) -> bool {
        let look_ahead = &self.parts.look_ahead;
        let Some(last) = self.ahead.back() else { return true };
        if self.parts.only_first {
            return false;
        }
        let span = last.segment.end().saturating_sub(self.parts.shared.reader());
        let bytes: u64 = self.ahead.iter().map(Planned::expected_len).sum();
        let arriving: u64 = self.ahead.iter().map(Planned::missing).sum();
        // The one that is being read, and the next: whatever the bounds, the reader must come to it.
        let is_needed = self.ahead.len() < 2;
        let is_within =
            self.ahead.len() < look_ahead.segments && span < look_ahead.duration && bytes < look_ahead.bytes;
        let in_flight = self.parts.fetches.in_flight();
        let bears = in_flight == 0 || (in_flight < self.parallel() && arriving < look_ahead.bytes_in_flight);
        (is_needed || is_within) && bears
    }

    /// Fetches that the network bears at the same moment without making the next segment wait; one where that brings
    /// enough. While less than a segment is buffered, each has to come four times as fast as it is heard.
    fn parallel(&self) -> usize {
        let most = self.parts.look_ahead.parallel.max(1);
        if self.is_prompt() && self.arriving().is_none_or(|(_, planned)| planned.begun.elapsed() < GRACE) {
            return 1;
        }
        let bandwidth = self.variant.map_or(0, |variant| self.parts.abr.bandwidth(variant));
        match self.parts.abr.throughput() {
            Some(throughput) if bandwidth > 0 => {
                let is_low =
                    self.ahead.front().is_some_and(|planned| self.buffered() < planned.segment.duration);
                let speed = self.parts.abr.speed() * if is_low { 4.0 } else { 1.0 };
                let needed = (bandwidth as f64 * speed) as u64;
                usize::try_from(throughput / needed).unwrap_or(most).clamp(1, most)
            }
            Some(_) => most,
            None => 1,
        }
    }

    /// Whether segments come so soon that one fetch at a time is enough.
    fn is_prompt(&self) -> bool {
        let next = self.ahead.front();
        next.is_some_and(|next| self.pace.is_prompt(next.segment.duration, self.parts.abr.speed()))
    }

    /// When another fetch may begin beside one that was to be here at once, and is not.
    fn company_due(&self) -> Option<Instant> {
        let (_, planned) = self.arriving().filter(|_| self.is_prompt())?;
        Some(planned.begun + GRACE).filter(|due| *due > Instant::now())
    }

    async fn plan(&mut self) -> Result<Plan, HlsError> {
        if self.given_up.is_some() || !self.has_room() {
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
        if self.parts.fetches.window_in_resource(&plan).is_some() && self.parts.fetches.in_flight() > 0 {
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
    /// lesser one while nothing is known of the network, or where it was heard before.
    async fn prefer_stored(&mut self, plan: SegmentPlan) -> SegmentPlan {
        let Parts { playlists, fetches, abr, shared, .. } = &self.parts;
        if abr.mode() != VariantMode::Auto || plan.gap {
            return plan;
        }
        let now = Instant::now().into_std();
        // What was heard already is planned again only to get the codec going.
        let is_heard = plan.start + plan.duration <= shared.played() + Duration::from_millis(1);
        let any_will_do = is_heard || abr.throughput().is_none() || fetches.is_offline();
        let floor = if any_will_do { 0 } else { plan.variant };
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

    /// The variant of the next segment, with its playlist loaded. If that is refused, the master may have a new URL for it; one
    /// whose playlist cannot be had leaves the ladder.
    pub(super) async fn choose(&mut self) -> Result<(usize, SwitchReason), HlsError> {
        loop {
            let now = Instant::now().into_std();
            let Some(decision) = self.parts.abr.choose(now, self.buffered()) else {
                return Err(self.no_variant());
            };
            match self.parts.playlists.ensure(decision.variant, &self.parts.fetches).await {
                Ok(()) => return Ok((decision.variant, decision.reason)),
                Err(error) if self.wants_new_url(decision.variant, &error) => {
                    Box::pin(self.reload_if_wanted()).await;
                }
                Err(error) => self.exclude(decision.variant, Arc::new(error)),
            }
        }
    }

    async fn start(&mut self, plan: SegmentPlan, reason: SwitchReason) -> Result<(), HlsError> {
        let gap = self.silence_at(plan.start).cloned();
        let key = self.parts.fetches.segment_key(&plan);
        let started =
            if plan.gap || gap.is_some() { None } else { Some(self.parts.fetches.start(&plan, &key).await?) };
        let window = self.parts.fetches.window_in_resource(&plan);
        let body = started
            .as_ref()
            .map(|started| SegmentBody::new(started.resource.clone(), window, started.fate.clone()));
        let bytes = plan.window.map_or_else(
            || {
                // Where nothing is declared, what was seen.
                self.parts.abr.bandwidth(plan.variant).saturating_mul(plan.duration.as_millis() as u64) / 8000
            },
            |window| window.len,
        );
        let found = body.as_ref().map_or(0, SegmentBody::received);
        self.ahead.push_back(Planned {
            segment: plan.place(),
            index: plan.index,
            bytes,
            body,
            begun: Instant::now(),
            found,
        });
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
                    None => (resource.clone(), fetches.window_in_resource(plan)),
                    Some(processor) => (fetches.open_processed(&pending.key, processor, plan).await?, None),
                };
                Content::Body { body: SegmentBody::new(resource, window, fate.clone()), cached: *cached }
            }
        };
        if let (Some(map), Some(init)) = (&plan.map, &init) {
            let id = (map.uri.clone(), Window::of(map), plan.live);
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

    /// Waits until the reader moves, a download tells something or ends, or the reader must have run dry.
    async fn wait(&mut self) {
        let (look_due, company_due) = (self.look_due(), self.company_due());
        let Parts { fetches, shared, .. } = &mut self.parts;
        tokio::select! {
            () = shared.moved.notified() => {}
            // `None`, no download at all, leaves the reader to be waited for.
            Some(outcome) = fetches.ended() => self.ended(&outcome),
            () = tokio::time::sleep_until(look_due.unwrap_or_else(Instant::now)), if look_due.is_some() => {
                self.looked();
            }
            () = tokio::time::sleep_until(company_due.unwrap_or_else(Instant::now)), if company_due.is_some() => {}
        }
    }

    /// Loads a playlist again if a server refused what it names, or the list itself. If that fails, the variant does.
    async fn reload_if_wanted(&mut self) {
        if let Some(variant) = self.trouble.reload_wanted {
            let Parts { playlists, fetches, audio, .. } = &mut self.parts;
            let reloaded = playlists.reload_all(variant, fetches, audio).await;
            self.trouble.reload_wanted = None;
            self.keys.clear();
            self.init_segments_cache.clear();
            if let Err(error) = reloaded {
                self.exclude(variant, Arc::new(error));
            }
        }
    }

    /// Looks whether a playlist without an end has grown. If it is refused, the master may have a new URL for it; if it cannot
    /// be had any more, its variant fails.
    async fn grow(&mut self, variant: usize) {
        if let Err(error) = self.parts.playlists.reload(variant, &self.parts.fetches).await
            && !self.wants_new_url(variant, &error)
        {
            self.exclude(variant, Arc::new(error));
        }
        // Indexes count from the list's beginning, which moves in a sliding list.
        self.next = None;
    }

    /// The pending segment cannot be had as planned.
    fn give_up_pending(&mut self, error: HlsError) -> Result<(), HlsError> {
        let Some(pending) = self.pending.take() else { return Err(error) };
        let segment = pending.plan.place();
        self.ahead.pop_back();
        self.cursor = segment.start;
        self.next = None;
        self.on_failed(segment, Failure::new(error));
        Ok(())
    }

    /// Plans anew from `to` on.
    fn restart_at(&mut self, to: Duration) {
        self.cursor = to;
        self.next = None;
        self.pending = None;
        self.given_up = None;
        self.ahead.clear();
    }

    /// Stops downloads that nobody needs who reads from `from` on.
    fn drop_stale_fetches(&mut self, from: Duration) {
        let most = self.parts.look_ahead.duration;
        self.parts.fetches.cancel_unless(|segment| segment.end() > from && segment.start < from + most);
    }
}

impl<N: Net, A: Assets> AsyncWorkerSource for HlsWorkerSource<N, A> {
    type Item = HlsMessage<A::Streaming>;
    type Command = HlsCommand;
    type Error = HlsError;

    async fn fetch_next(&mut self) -> Result<Option<Self::Item>, HlsError> {
        loop {
            if self.has_spoiled() {
                Box::pin(self.discard_spoiled()).await;
            }
            self.reload_if_wanted().await;
            self.absorb();
            self.look_ahead().await;
            if self.pending.is_none() {
                match self.plan().await? {
                    Plan::Started => {}
                    Plan::Full => {
                        self.wait().await;
                        continue;
                    }
                    Plan::Reload(variant, due) => {
                        // What fails meanwhile ahead of the reader is seen to at once.
                        if tokio::time::timeout_at(due, self.wait()).await.is_err() {
                            self.grow(variant).await;
                        }
                        continue;
                    }
                    // Until the last byte is here, something may have to be fetched anew.
                    Plan::End if self.parts.fetches.in_flight() > 0 => {
                        self.wait().await;
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
        self.parts.only_first = false;
        let needed_from = match command {
            HlsCommand::Seek { to } => {
                self.restart_at(to);
                self.parts.shared.set_reader(to);
                self.trouble.place = None;
                to
            }
            HlsCommand::Failed { segment, resume_at, failure } => {
                if !self.is_given_up(segment) {
                    self.on_failed(segment, failure);
                }
                self.restart_at(resume_at);
                self.parts.shared.set_reader(resume_at);
                resume_at
            }
            HlsCommand::Replan { from } => {
                self.restart_at(from);
                from
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

#[cfg(test)]
mod tests {
    use kithara_assets::AssetStore;
    use kithara_net::DefaultNet;

    use super::*;

    type Source = HlsWorkerSource<DefaultNet, AssetStore>;

    fn size<'a, T: 'a, F: 'a>(_: fn(&'a mut T) -> F) -> usize {
        size_of::<F>()
    }

    /// A thousand streams hold a thousand of these for as long as they play: what is rare stands on the heap.
    #[test]
    fn a_planner_that_waits_is_small() {
        assert!(size_of::<Source>() <= 3 << 10, "{}", size_of::<Source>());
        let future = size(<Source as AsyncWorkerSource>::fetch_next);
        assert!(future <= 6 << 10, "{future}");
    }
}
