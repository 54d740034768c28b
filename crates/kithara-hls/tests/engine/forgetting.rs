//! What is stored and is no media: forgotten, whatever else is under way and whatever is stored beside it.

use std::fmt;
use std::sync::Arc;

use kithara_assets::{
    AssetSettings, AssetStore, Assets, AssetsError, Catalog, Processor, ResourceKey, VerifyReport,
};
use kithara_hls::{Hls, HlsOptions, VariantMode};
use kithara_storage::Streaming;
use kithara_testkit::{Origin, Reply, Resource, media};
use tokio::sync::{Notify, Semaphore};

use crate::support::{difference, names, open, options, read_all, segment_path, text};

/// What is to be removed is removed once there is a permit for it.
#[derive(Clone)]
struct Slow {
    store: AssetStore,
    asked: Arc<Notify>,
    permits: Arc<Semaphore>,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slow({})", self.store)
    }
}

impl Assets for Slow {
    type Streaming = <AssetStore as Assets>::Streaming;
    type Atomic = <AssetStore as Assets>::Atomic;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        self.store.open_streaming_resource(key).await
    }

    async fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        self.store.open_processed_resource(key, processor).await
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        self.store.open_atomic_resource(key).await
    }

    async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        self.asked.notify_one();
        self.permits.acquire().await.unwrap().forget();
        self.store.remove_resource(key).await
    }

    async fn verify(&self) -> Result<VerifyReport, AssetsError> {
        self.store.verify().await
    }

    async fn flush(&self) -> Result<(), AssetsError> {
        self.store.flush().await
    }

    fn catalog(&self) -> &Arc<Catalog> {
        self.store.catalog()
    }
}

#[tokio::test]
async fn a_command_while_something_is_forgotten_does_not_keep_it() {
    let origin = Origin::start().await.unwrap();
    let page = Resource::new(&b"<html>Backend unavailable</html>"[..]);
    origin.script(&segment_path("64k", 1), [Reply::ok().resource(page)]);
    let assets = Slow {
        store: AssetStore::memory(AssetSettings::default()),
        asked: Arc::default(),
        permits: Arc::new(Semaphore::new(0)),
    };
    let options = HlsOptions::new(options().net, assets.clone());
    let url = origin.url("/hls/aac4/64k/index.m3u8").parse().unwrap();
    let mut stream = Hls::open(url, options).await.unwrap();
    tokio::select! {
        () = async { while stream.next_chunk().await.unwrap().is_some() {} } => panic!("needs the segment"),
        () = assets.asked.notified() => {}
    }
    stream.set_variant(VariantMode::Manual(0)).unwrap();
    assets.permits.add_permits(1);
    while stream.next_chunk().await.unwrap().is_some() {}
    assert_eq!(stream.stats().gaps, 0, "the page is gone, and the segment in its place");
    assert_eq!(origin.count(&segment_path("64k", 1)), 2);
}

/// A presentation of many segments in one file, whose second is written over at its beginning.
#[tokio::test]
async fn a_part_of_a_file_that_is_no_media_is_fetched_anew_by_the_next_run_and_nothing_else_is() {
    let entry = media::find("byterange").unwrap().entry;
    let url = format!("/{entry}");
    let path = format!("/{}/{}", entry.rsplit_once('/').unwrap().0, names(text(entry))[0]);
    let ranges =
        text(entry).lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@'));
    let (len, offset) = ranges.clone().next().unwrap();
    let begin: usize = len.parse::<usize>().unwrap() + offset.parse::<usize>().unwrap();
    let file = media::file(path.trim_start_matches('/')).unwrap();
    let mut damaged = file.to_vec();
    damaged[begin..begin + 64].fill(b'<');

    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, &url, options()).await).await;
    origin.forget();
    origin.serve(&path, Resource::new(damaged.clone()));
    let folder = tempfile::tempdir().unwrap();
    let options = |offline| {
        let mut options = options();
        options.assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        options.offline = offline;
        options
    };
    let asked = || -> Vec<_> {
        let of_media = origin.requests_for(&path).into_iter();
        let starts =
            of_media.filter_map(|request| request.range_start()).filter(|start| *start > 0).collect();
        origin.forget();
        starts
    };

    let mut first = open(&origin, &url, options(false)).await;
    let samples = read_all(&mut first).await;
    assert_eq!((first.stats().gaps, samples.len()), (1, whole.len()));
    let mut starts = asked();
    assert_eq!(
        starts.len(),
        names(text(entry)).len() + 1,
        "each once, and the bad one once more: {starts:?}"
    );
    starts.retain(|start| *start == begin as u64);
    assert_eq!(starts.len(), 2);
    drop(first);
    // Nothing better is to be had.
    let mut second = open(&origin, &url, options(true)).await;
    assert_eq!((read_all(&mut second).await.len(), second.stats().gaps), (whole.len(), 1));
    assert_eq!(asked(), [] as [u64; 0]);
    drop(second);

    origin.serve(&path, Resource::new(file));
    for offline in [false, true] {
        let options = options(offline);
        let (assets, root) = (options.assets.clone(), origin.url(&url).parse().unwrap());
        let mut stream = open(&origin, &url, options).await;
        let samples = read_all(&mut stream).await;
        assert_eq!(stream.stats().gaps, 0);
        assert!(difference(&samples, &whole) < 1e-6);
        assert_eq!(asked(), if offline { vec![] } else { vec![begin as u64] }, "just that part, and once");
        // Whoever reads the file elsewhere has what it had.
        let key = ResourceKey::from_url(&root, &origin.url(&path).parse().unwrap(), &Default::default());
        let stored = assets.open_streaming_resource(&key).await.unwrap();
        let from = offset.parse::<usize>().unwrap();
        let mut bytes = vec![0; damaged.len() - from];
        stored.read_at(from as u64, &mut bytes).await.unwrap();
        assert!(bytes == damaged[from..]);
    }
}
