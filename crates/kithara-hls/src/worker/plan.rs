//! Which segment comes next, and of which variant.

use std::sync::Arc;
use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use tokio::time::Instant;

use super::compose::Pending;
use super::room::Planned;
use super::source::{HlsWorkerSource, Parts};
use crate::abr::{SwitchReason, VariantMode};
use crate::body::SegmentBody;
use crate::error::HlsError;
use crate::message::HlsMessage;
use crate::playlists::SegmentPlan;
use crate::shared::SAME_PLACE;

pub(super) enum Plan<R> {
    Started,
    /// Planned before, and withheld until the reader asked for it.
    Withheld(Box<HlsMessage<R>>),
    /// Ahead of the reader, every variant has failed: try again then, or when the reader is there.
    Later(Option<Instant>),
    /// The look-ahead is full, or as many fetches as the network bears are under way.
    Full,
    /// The playlist of this variant may grow: look again then.
    Reload(usize, Instant),
    End,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    pub(super) async fn plan(&mut self) -> Result<Plan<A::Streaming>, HlsError> {
        if let Some(message) = self.take_withheld(self.cursor) {
            return Ok(Plan::Withheld(message));
        }
        if self.is_refused || !self.has_room() {
            return Ok(Plan::Full);
        }
        let (variant, reason) = match self.choose().await {
            Some(chosen) => chosen,
            None if self.given_up.is_some() => return Ok(Plan::Later(self.next_try())),
            None => return Err(self.no_variant()),
        };
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
        // A live list may have lost what lies before it.
        if let Some(message) = self.take_withheld(plan.start) {
            return Ok(Plan::Withheld(message));
        }
        let (plan, reason) = match plan.gap {
            true => Box::pin(self.around_gap(plan, reason)).await,
            false => (self.prefer_stored(plan).await, reason),
        };
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

    /// A segment that its variant's list declares to be missing, from the nearest variant that has it; rather a lesser one.
    async fn around_gap(&mut self, plan: SegmentPlan, reason: SwitchReason) -> (SegmentPlan, SwitchReason) {
        let now = Instant::now().into_std();
        let below = (0..plan.variant).rev();
        for other in below.chain(plan.variant + 1..self.parts.playlists.bandwidths().len()) {
            let Parts { playlists, fetches, abr, .. } = &mut self.parts;
            if abr.is_excluded(other, now) {
                continue;
            }
            if let Err(error) = playlists.ensure(other, fetches).await {
                self.exclude(other, Arc::new(error));
                continue;
            }
            let twin = playlists.twins(plan.variant, plan.index).find(|twin| twin.variant == other);
            if let Some(twin) = twin.filter(|twin| !twin.gap) {
                return (twin, SwitchReason::Failover);
            }
        }
        (plan, reason)
    }

    /// In automatic mode a segment that is complete in the store beats a request: in a better variant always, in a
    /// lesser one while nothing is known of the network, or where it was heard before.
    async fn prefer_stored(&mut self, plan: SegmentPlan) -> SegmentPlan {
        let Parts { playlists, fetches, abr, shared, .. } = &self.parts;
        if abr.mode() != VariantMode::Auto {
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

    /// The message that was withheld for this place; what does not fit to it is dropped, and planned anew.
    fn take_withheld(&mut self, start: Duration) -> Option<Box<HlsMessage<A::Streaming>>> {
        if self.given_up.is_some() {
            return None;
        }
        while let Some((planned, _)) = self.withheld.front() {
            let segment = planned.segment;
            if segment.start > start.saturating_add(SAME_PLACE) {
                return None;
            }
            // Where the reader is expected, or from where on it goes in a list that has lost what lies before.
            if self.cursor <= segment.start + SAME_PLACE {
                break;
            }
            self.withheld.pop_front();
        }
        let (planned, message) = self.withheld.pop_front()?;
        if self.variant != Some(message.variant) {
            self.init_segments_cache.clear();
            self.variant = Some(message.variant);
        }
        self.cursor = planned.segment.end();
        self.next = None;
        self.ahead.push_back(planned);
        Some(Box::new(message))
    }

    fn at_end(&mut self, variant: usize) -> Plan<A::Streaming> {
        if let Some(message) = self.take_withheld(Duration::MAX) {
            return Plan::Withheld(message);
        }
        match self.parts.playlists.reload_due(variant) {
            Some(due) => Plan::Reload(variant, due),
            None => Plan::End,
        }
    }

    /// The variant of the next segment, with its playlist loaded. If that is refused, the master may have a new URL for it; one
    /// whose playlist cannot be had leaves the ladder. `None`: they all have.
    async fn choose(&mut self) -> Option<(usize, SwitchReason)> {
        loop {
            let now = Instant::now().into_std();
            let decision = self.parts.abr.choose(now, self.buffered())?;
            match self.parts.playlists.ensure(decision.variant, &self.parts.fetches).await {
                Ok(()) => return Some((decision.variant, decision.reason)),
                Err(error) if self.wants_new_url(decision.variant, &error) => {
                    Box::pin(self.reload_if_wanted()).await;
                }
                Err(error) => self.exclude(decision.variant, Arc::new(error)),
            }
        }
    }

    pub(super) async fn start(&mut self, plan: SegmentPlan, reason: SwitchReason) -> Result<(), HlsError> {
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
        let (segment, index) = (plan.place(), plan.index);
        let planned = Planned { segment, index, bytes, body, begun: Instant::now(), found };
        self.cursor = plan.start + plan.duration;
        self.next = Some((plan.variant, plan.index + 1));
        self.pending = Some(Pending { planned, plan, reason, key, started, gap });
        Ok(())
    }
}
