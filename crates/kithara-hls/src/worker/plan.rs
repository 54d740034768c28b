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
use crate::playlists::SegmentPlan;

pub(super) enum Plan {
    Started,
    /// The look-ahead is full, or as many fetches as the network bears are under way.
    Full,
    /// The playlist of this variant may grow: look again then.
    Reload(usize, Instant),
    End,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    pub(super) async fn plan(&mut self) -> Result<Plan, HlsError> {
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
}
