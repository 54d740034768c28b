//! Init sections (`EXT-X-MAP`).

use std::sync::Arc;

use bytes::Bytes;
use kithara_assets::{Assets, Processor};
use kithara_decode::DecodeError;
use kithara_decode::demux::{DemuxError, Sniff, sniff_at_end};
use kithara_net::Net;
use kithara_storage::StorageError;

use crate::data_uri;
use crate::error::{Fetching, HlsError};
use crate::fetch::{SmallFetches, Window};
use crate::keys::KeyStore;
use crate::playlist::Map;
use crate::segment::SegmentPlan;

/// Which init section: its URL and window, and for live lists how often their encoder has restarted.
pub(super) type InitId = (url::Url, Option<Window>, Option<u64>);

/// The init section of a planned segment, from the store or the network, decrypted.
pub(super) async fn init_section<N: Net, A: Assets>(
    fetches: &SmallFetches<N, A>,
    keys: &KeyStore,
    plan: &SegmentPlan,
) -> Result<Option<Bytes>, HlsError> {
    let Some(map) = &plan.map else { return Ok(None) };
    if let Some(content) = data_uri::content(Fetching::Init, &map.uri) {
        let processor = keys.processor(fetches, map.key.as_deref(), plan.media_sequence).await?;
        let content = content?;
        let part = map.byte_range.clone().map(|range| {
            let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            content.slice(at(range.start)..at(range.end))
        });
        return read(map, processor.as_ref(), &part.unwrap_or(content)).map(Some);
    }
    let (body, processor) = tokio::try_join!(
        fetches.init(map, plan.live),
        keys.processor(fetches, map.key.as_deref(), plan.media_sequence),
    )?;
    fetches.accept(body, true, |bytes| read(map, processor.as_ref(), bytes)).await.map(Some)
}

/// The section, decrypted, if it is one: servers send error pages in its place, and halves.
fn read(map: &Map, processor: Option<&Processor>, bytes: &Bytes) -> Result<Bytes, HlsError> {
    // A key that applies to a map has to give an IV (RFC 8216, section 4.3.2.5). Packagers that leave it out encrypt the
    // segments alone, as a rule.
    let may_be_clear = map.key.as_ref().is_some_and(|key| key.iv.is_none());
    let plain = match processor {
        Some(processor) if !(may_be_clear && begins_with_a_box(bytes)) => {
            let plain = processor.process_all(bytes).map_err(|error| HlsError::Storage {
                what: Fetching::Init,
                url: map.uri.clone(),
                source: StorageError::source(error, false),
            })?;
            plain.into()
        }
        _ => bytes.clone(),
    };
    check(&plain).map_err(|source| HlsError::Decode {
        what: Fetching::Init,
        url: map.uri.clone(),
        source: Arc::new(source),
    })?;
    Ok(plain)
}

/// Refuses what nothing can be decoded with. Whether its codec is supported is the decoder's to say.
fn check(init: &Bytes) -> Result<(), DecodeError> {
    let container = match sniff_at_end(init) {
        Sniff::Found(container) => container,
        Sniff::Unsupported(_) => return Ok(()),
        _ => return Err(DecodeError::NotMedia("init section".to_owned())),
    };
    let mut demuxer = container.demuxer();
    demuxer.push(init.clone())?;
    demuxer.finish()?;
    loop {
        match demuxer.next_packet().map(|packet| packet.is_some()) {
            Ok(true) => {}
            // Packagers cut behind the part that matters, too.
            Err(DemuxError::Truncated { .. }) if demuxer.track().is_some() => return Ok(()),
            Err(error @ (DemuxError::Malformed { .. } | DemuxError::Truncated { .. })) => {
                return Err(error.into());
            }
            Ok(false) | Err(_) => return Ok(()),
        }
    }
}

/// Whether these bytes are an ISO BMFF file that nobody encrypted.
fn begins_with_a_box(bytes: &[u8]) -> bool {
    matches!(bytes.get(4..8), Some(b"ftyp" | b"styp" | b"moov" | b"free" | b"skip"))
}
