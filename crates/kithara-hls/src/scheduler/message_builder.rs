//! What a segment's message needs beside its body: init section and key.

use std::sync::Arc;

use bytes::Bytes;
use kithara_assets::{Assets, Processor};
use kithara_net::Net;

use super::init::{InitId, init_section};
use crate::abr::SwitchReason;
use crate::error::HlsError;
use crate::fetch::{SmallFetches, Window};
use crate::keys::KeyStore;
use crate::message::{Content, HlsMessage};
use crate::segment::SegmentPlan;

/// The init section of a segment, and what decrypts it.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) init: Option<Bytes>,
    pub(super) processor: Option<Processor>,
}

/// The name of a segment's init section, if it has one.
pub(super) fn init_id(plan: &SegmentPlan) -> Option<InitId> {
    let map = plan.map.as_ref()?;
    Some((map.uri.clone(), Window::of(map), plan.live))
}

/// Gets what a message needs: both are on their way while the body is.
pub(super) async fn prepare<N: Net, A: Assets>(
    fetches: SmallFetches<N, A>,
    keys: Arc<KeyStore>,
    known_init: Option<Bytes>,
    plan: SegmentPlan,
) -> Result<Prepared, HlsError> {
    let init = async {
        match known_init {
            Some(init) => Ok(Some(init)),
            None => init_section(&fetches, &keys, &plan).await,
        }
    };
    let processor = keys.processor(&fetches, plan.key.as_deref(), plan.media_sequence);
    let (init, processor) = tokio::try_join!(init, processor)?;
    Ok(Prepared { init, processor })
}

/// The message of a segment.
pub(super) fn message<R>(
    plan: &SegmentPlan,
    reason: SwitchReason,
    init: Option<Bytes>,
    content: Content<R>,
) -> HlsMessage<R> {
    HlsMessage {
        variant: plan.variant(),
        reason,
        segment: plan.index,
        number: plan.place.id.number,
        is_first: plan.is_first,
        start: plan.place.start,
        duration: plan.place.duration,
        discontinuity_sequence: plan.place.discontinuity_sequence,
        is_encrypted: plan.key.is_some(),
        list: Arc::clone(&plan.list),
        url: plan.url.clone(),
        init,
        content,
    }
}
