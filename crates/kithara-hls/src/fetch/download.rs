//! The download of one segment into its resource.

use std::sync::Arc;
use std::time::Duration;

use kithara_net::{Net, Request};
use kithara_storage::{StorageError, Streaming};
use kithara_stream::{DownloadObserver, DownloadOptions, Downloaded, Target, WriteError, download_into};
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::Window;
use crate::body::Ending;
use crate::meter::Transfer;
use crate::segment::SegmentPlace;
use crate::shared::{Counters, Shared};

/// A media segment to be downloaded.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFetch {
    pub(crate) place: SegmentPlace,
    /// Index in the list as it is now, for people.
    pub(crate) segment: usize,
    pub(crate) url: Url,
    /// What is asked for.
    pub(crate) window: Option<Window>,
    /// The resource holds the window alone, from its own offset 0.
    pub(crate) is_part: bool,
    /// The bytes are decrypted on the way out of the store, which must know their end; the padding proves it.
    pub(crate) is_encrypted: bool,
    /// The URL that the application opened.
    pub(crate) opened: Arc<Url>,
    /// Stores a segment whatever the server says.
    pub(crate) stores_private: bool,
}

impl SegmentFetch {
    fn target(&self) -> Target {
        match self.window {
            None => Target::Whole,
            Some(Window { offset, len }) if self.is_part => Target::Part(offset..offset.saturating_add(len)),
            Some(Window { offset, len }) => Target::Window(offset..offset.saturating_add(len)),
        }
    }

    /// Most bytes that the segment may have: 64 Mbit/s of its declared duration, and 16 MiB at least.
    fn limit(&self) -> u64 {
        let seconds = self.place.duration.as_secs().saturating_add(1);
        seconds.saturating_mul(BYTES_PER_SECOND).max(LEAST_LIMIT)
    }

    /// Time for all of it: ten times its duration, and a minute at least. A body slower than that is never played in time.
    fn deadline(&self) -> Duration {
        self.place.duration.saturating_mul(10).max(Duration::from_secs(60))
    }
}

/// Most bytes of a segment for each second of its declared duration.
const BYTES_PER_SECOND: u64 = 8 << 20;
/// Most bytes of a short segment.
const LEAST_LIMIT: u64 = 16 << 20;

/// How a download ended.
#[derive(Debug)]
pub(crate) struct FetchOutcome {
    pub(crate) fetch: SegmentFetch,
    /// Bytes that came over the network.
    pub(crate) bytes: u64,
    /// Bytes of the whole segment, if all of them are there.
    pub(crate) len: Option<u64>,
    pub(crate) elapsed: Duration,
    pub(crate) is_ok: bool,
}

/// Tells the readers of one segment how its download ended; a download that is stopped half way counts as failed.
pub(super) struct Teller(pub(super) Option<watch::Sender<Option<Ending>>>);

impl Teller {
    fn tell(mut self, result: &Result<Downloaded, StorageError>) {
        let ending = match result {
            Ok(downloaded) if downloaded.is_complete => None,
            Ok(downloaded) => Some(Ending::Unproven(downloaded.len)),
            Err(error) => Some(Ending::Failed(error.clone())),
        };
        if let (Some(teller), Some(ending)) = (self.0.take(), ending) {
            teller.send_replace(Some(ending));
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(teller) = self.0.take() {
            teller.send_replace(Some(Ending::Failed(StorageError::NotAvailable { offset: 0 })));
        }
    }
}

/// Downloads one segment into its resource.
pub(super) async fn download<N: Net, R: Streaming>(
    net: N,
    resource: R,
    fetch: SegmentFetch,
    shared: Arc<Shared>,
    teller: Teller,
) -> FetchOutcome {
    let begun = Instant::now();
    let mut bytes = 0;
    let result = transfer(&net, &resource, &fetch, &shared, &mut bytes).await;
    if let Err(error) = &result {
        tracing::debug!(segment = fetch.segment, variant = fetch.place.id.variant, %error, "a segment failed");
    }
    teller.tell(&result);
    let is_ok = result.is_ok();
    tracing::Span::current().record("bytes", bytes).record("ok", is_ok);
    FetchOutcome {
        fetch,
        bytes,
        len: result.ok().map(|downloaded| downloaded.len),
        elapsed: begun.elapsed(),
        is_ok,
    }
}

async fn transfer<N: Net, R: Streaming>(
    net: &N,
    resource: &R,
    fetch: &SegmentFetch,
    shared: &Shared,
    received: &mut u64,
) -> Result<Downloaded, StorageError> {
    let request = Request::new(fetch.url.clone()).with_tag("segment").with_opened(Arc::clone(&fetch.opened));
    let options = DownloadOptions::new(request, fetch.target())
        .with_limit(fetch.limit())
        .with_deadline(fetch.deadline())
        .with_trusted_end(fetch.is_encrypted)
        .with_stored_private(fetch.stores_private);
    let progress = Progress { shared, received, transfer: None };
    download_into(net, resource, options, progress).await.map_err(failure)
}

/// Counts the download of one segment.
struct Progress<'a> {
    shared: &'a Shared,
    received: &'a mut u64,
    transfer: Option<Transfer<'a>>,
}

impl DownloadObserver for Progress<'_> {
    fn requested(&mut self) {
        Counters::add(&self.shared.counters.requests, 1);
        self.transfer.get_or_insert_with(|| self.shared.meter.begin());
    }

    fn received(&mut self, bytes: u64) {
        *self.received += bytes;
        Counters::add(&self.shared.counters.bytes, bytes);
        if let Some(transfer) = &self.transfer {
            transfer.received(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
    }
}

/// A failure of the download, as the resource's readers meet it.
fn failure(error: WriteError) -> StorageError {
    match error {
        WriteError::Storage(error) => error,
        WriteError::Net(error) => {
            let is_retryable = error.is_retryable();
            StorageError::source(error, is_retryable)
        }
        error => {
            let is_retryable = error.is_retryable();
            StorageError::source(error, is_retryable)
        }
    }
}
