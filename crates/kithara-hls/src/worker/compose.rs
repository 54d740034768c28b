//! The message of a planned segment: body, init section and key.

use std::sync::Arc;

use kithara_assets::{Assets, ResourceKey};
use kithara_net::Net;

use super::init::init_section;
use super::room::Planned;
use super::source::HlsWorkerSource;
use crate::abr::SwitchReason;
use crate::body::SegmentBody;
use crate::error::{HlsError, chain};
use crate::fetch::{Started, Window};
use crate::message::{Content, Failure, HlsMessage};
use crate::playlists::SegmentPlan;

/// A segment whose fetch has begun, and whose message waits for its init section and key.
pub(super) struct Pending<A: Assets> {
    pub(super) planned: Planned<A::Streaming>,
    pub(super) plan: SegmentPlan,
    pub(super) reason: SwitchReason,
    pub(super) key: ResourceKey,
    /// `None`: a gap.
    pub(super) started: Option<Started<A::Streaming>>,
    pub(super) gap: Option<Arc<HlsError>>,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// Waits for what the pending message needs, and makes it; withholds it from a reader that has to ask anew first.
    pub(super) async fn complete(&mut self) -> Result<Option<HlsMessage<A::Streaming>>, HlsError> {
        let Some(message) = self.compose().await? else { return Ok(None) };
        let Some(Pending { planned, .. }) = self.pending.take() else { return Ok(None) };
        if self.given_up.is_some() {
            self.withheld.push_back((planned, message));
            return Ok(None);
        }
        self.ahead.push_back(planned);
        Ok(Some(message))
    }

    async fn compose(&mut self) -> Result<Option<HlsMessage<A::Streaming>>, HlsError> {
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
            list: Arc::clone(&plan.list),
        };
        Ok(Some(message))
    }

    /// The pending segment cannot be had as planned.
    pub(super) fn give_up_pending(&mut self, error: HlsError) -> Result<(), HlsError> {
        let Some(pending) = self.pending.take() else { return Err(error) };
        let segment = pending.plan.place();
        self.cursor = segment.start;
        self.next = None;
        self.on_failed(segment, Failure::new(error));
        Ok(())
    }
}
