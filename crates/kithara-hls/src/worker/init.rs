//! Init sections (`EXT-X-MAP`).

use bytes::Bytes;
use kithara_assets::Assets;
use kithara_net::Net;
use kithara_storage::StorageError;

use crate::error::{Fetching, HlsError};
use crate::fetch::{FetchManager, Window};
use crate::keys::KeyStore;
use crate::playlists::SegmentPlan;

/// Which init section: its URL and window, and for live lists how often they have begun anew.
pub(super) type InitId = (url::Url, Option<Window>, Option<u64>);

/// The init section of a planned segment: one that is known, or else from the store or the network, decrypted.
pub(super) async fn init_section<N: Net, A: Assets>(
    fetches: &FetchManager<N, A>,
    keys: &KeyStore,
    known: &[(InitId, Bytes)],
    plan: &SegmentPlan,
) -> Result<Option<Bytes>, HlsError> {
    let Some(map) = &plan.map else { return Ok(None) };
    let window = Window::of(map);
    if let Some((_, init)) =
        known.iter().find(|((url, of, live), _)| *url == map.uri && (*of, *live) == (window, plan.live))
    {
        return Ok(Some(init.clone()));
    }
    let (bytes, processor) = tokio::try_join!(
        fetches.init(map, plan.live),
        keys.processor(fetches, map.key.as_deref(), plan.media_sequence),
    )?;
    let Some(processor) = processor else { return Ok(Some(bytes)) };
    // A key that applies to a map has to give an IV (RFC 8216, section 4.3.2.5). Packagers that leave it out encrypt the
    // segments alone, as a rule.
    let may_be_clear = map.key.as_ref().is_some_and(|key| key.iv.is_none());
    if may_be_clear && begins_with_a_box(&bytes) {
        return Ok(Some(bytes));
    }
    let plain = processor.process_all(&bytes).map_err(|error| HlsError::Storage {
        what: Fetching::Init,
        url: map.uri.clone(),
        source: StorageError::source(error, false),
    })?;
    Ok(Some(plain.into()))
}

/// Whether these bytes are an ISO BMFF file that nobody encrypted.
fn begins_with_a_box(bytes: &[u8]) -> bool {
    matches!(bytes.get(4..8), Some(b"ftyp" | b"styp" | b"moov" | b"free" | b"skip"))
}
