//! A server, a store and options for one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kithara_assets::{AssetSettings, AssetStore, Assets};
use kithara_file::{File, FileError, FileEvent, FileOptions, FileSource, LookAhead};
use kithara_net::{
    Body, MockAnswer, MockBody, MockNet, Net, NetError, Request, Response, TimeoutNet, Timeouts, Url,
};
use kithara_testkit::pattern;
use tokio::time::{Instant, sleep_until};

pub(crate) type Store = <AssetStore as Assets>::Streaming;
pub(crate) type Options = FileOptions<TimeoutNet<Paced>, AssetStore>;
pub(crate) const KB: u64 = 1024;
pub(crate) const MB: u64 = 1 << 20;

/// The body of version `seed`.
pub(crate) fn entity(seed: u64, len: u64) -> Bytes {
    let mut body = vec![0; usize::try_from(len).unwrap()];
    pattern::fill(seed, 0, &mut body);
    body.into()
}

pub(crate) fn url() -> Url {
    Url::parse("http://server/music/a.mp3?token=secret").unwrap()
}

/// Correct answers for `body`, in chunks of 16 KiB, 1 ms apart.
pub(crate) fn serve(body: &Bytes, request: &Request) -> MockAnswer {
    paced(MockAnswer::serve(body, Some("\"v1\""), request))
}

pub(crate) fn paced(answer: MockAnswer) -> MockAnswer {
    answer.in_chunks(16 * 1024).after(Duration::from_millis(20))
}

pub(crate) struct Bed {
    pub(crate) net: MockNet,
    pub(crate) options: Options,
}

impl Bed {
    pub(crate) fn new(answer: impl Fn(&Request) -> MockAnswer + Send + Sync + 'static) -> Self {
        Self::over(MockNet::new(answer), AssetStore::memory(AssetSettings::default()))
    }

    pub(crate) fn over(net: MockNet, assets: AssetStore) -> Self {
        let mut options = FileOptions::new(TimeoutNet::new(Paced(net.clone()), Timeouts::default()), assets);
        options.look_ahead = LookAhead::new(256 * KB, Duration::MAX);
        options.retry.seed = Some(1);
        Self { net, options }
    }

    /// A server that does everything right.
    pub(crate) fn correct(body: &Bytes) -> Self {
        let body = body.clone();
        Self::new(move |request| serve(&body, request))
    }

    pub(crate) async fn open(&self) -> FileSource<Store> {
        self.try_open().await.unwrap()
    }

    pub(crate) async fn try_open(&self) -> Result<FileSource<Store>, FileError> {
        File::open_source(url(), &self.options).await
    }

    /// Where the requests so far began.
    pub(crate) fn starts(&self) -> Vec<u64> {
        self.net.requests().iter().map(|request| request.range.map_or(0, |range| range.start)).collect()
    }
}

/// Reads `len` bytes at `offset`, or up to the end.
pub(crate) async fn read<S: kithara_stream::Source>(
    source: &S,
    offset: u64,
    len: u64,
) -> Result<Vec<u8>, S::Error> {
    let mut all = vec![0; usize::try_from(len).unwrap()];
    let mut done = 0;
    while done < all.len() {
        let part = all.len().min(done + 8192);
        let read = source.read_at(offset + done as u64, &mut all[done..part]).await?;
        if read == 0 {
            break;
        }
        done += read;
    }
    all.truncate(done);
    Ok(all)
}

/// Reads `len` bytes at `offset` and compares them with version 1.
pub(crate) async fn check<S: kithara_stream::Source>(source: &S, offset: u64, len: u64)
where
    S::Error: std::fmt::Debug,
{
    let bytes = read(source, offset, len).await.unwrap();
    assert_eq!(bytes.len() as u64, len, "at {offset}");
    assert_eq!(pattern::mismatch(1, offset, &bytes), None);
}

/// Lets everything happen that happens by itself.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_secs(3600)).await;
}

/// The events so far.
pub(crate) fn drain(events: &mut tokio::sync::broadcast::Receiver<FileEvent>) -> Vec<FileEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

/// Counts from 0.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicU64>);

impl Count {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn peek(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A net whose bodies take a millisecond for each chunk.
#[derive(Clone)]
pub(crate) struct Paced(pub(crate) MockNet);

impl Net for Paced {
    type Body = PacedBody;

    async fn open(&self, request: Request) -> Result<Response<PacedBody>, NetError> {
        let response = self.0.open(request).await?;
        Ok(response.map_body(|body| PacedBody { body, due: None }))
    }
}

pub(crate) struct PacedBody {
    body: MockBody,
    due: Option<Instant>,
}

impl Body for PacedBody {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let due = *self.due.get_or_insert_with(|| Instant::now() + Duration::from_millis(1));
        sleep_until(due).await;
        let chunk = self.body.next_chunk().await;
        self.due = None;
        chunk
    }

    fn is_complete(&self) -> bool {
        self.body.is_complete()
    }
}
