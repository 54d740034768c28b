//! A store that takes its time to forget.

use std::fmt;
use std::sync::Arc;

use kithara_assets::{
    AssetSettings, AssetStore, Assets, AssetsError, Catalog, Processor, ResourceKey, VerifyReport,
};
use kithara_hls::{Hls, HlsOptions, VariantMode};
use kithara_testkit::{Origin, Reply, Resource};
use tokio::sync::{Notify, Semaphore};

use crate::support::{options, segment_path};

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
