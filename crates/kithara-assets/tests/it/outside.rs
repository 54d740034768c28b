//! A store that an application writes itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kithara_assets::{
    Assets, AssetsError, AssetsExt, CachedAssets, Catalog, EvictAssets, LeaseAssets, ProcessingAssets,
    Processor, ResourceKey, VerifyReport,
};
use kithara_storage::{Atomic, AtomicResource, Streaming, StreamingExt, StreamingResource, conformance};

use random_access_disk::RandomAccessDisk;

use super::{body, key};

type Map<R> = Arc<Mutex<HashMap<ResourceKey, R>>>;

/// Resources in memory, for as long as the store lives.
#[derive(Clone, Default)]
struct MapAssets {
    catalog: Arc<Catalog>,
    bodies: Map<StreamingResource>,
    objects: Map<AtomicResource>,
    /// Bodies go to files of random-access-disk there, and are forgotten with the store.
    folder: Option<Arc<tempfile::TempDir>>,
}

impl MapAssets {
    async fn make(&self) -> StreamingResource {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let Some(folder) = &self.folder else { return StreamingResource::memory() };
        let path = folder.path().join(COUNT.fetch_add(1, Ordering::Relaxed).to_string());
        StreamingResource::random_access(RandomAccessDisk::open(path).await.unwrap(), None)
    }
}

impl fmt::Display for MapAssets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Map")
    }
}

impl Assets for MapAssets {
    type Streaming = StreamingResource;
    type Atomic = AtomicResource;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        let known = self.bodies.lock().unwrap().get(key).cloned();
        let body = match known {
            Some(known) => known,
            None => self.make().await,
        };
        Ok(self.bodies.lock().unwrap().entry(key.clone()).or_insert(body).clone())
    }

    async fn open_processed_resource(
        &self,
        _: &ResourceKey,
        _: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        Err(AssetsError::NoProcessing)
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        let mut objects = self.objects.lock().unwrap();
        Ok(objects.entry(key.clone()).or_insert_with(AtomicResource::memory).clone())
    }

    async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        self.objects.lock().unwrap().remove(key);
        let body = self.bodies.lock().unwrap().remove(key);
        Ok(body.map_or(0, |body| body.available().covered()))
    }

    async fn verify(&self) -> Result<VerifyReport, AssetsError> {
        Ok(VerifyReport::default())
    }

    async fn flush(&self) -> Result<(), AssetsError> {
        Ok(())
    }

    fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}

#[tokio::test]
async fn a_map_in_memory_is_a_store() {
    let store = ProcessingAssets::new(MapAssets::default(), 64 << 10);
    assert_eq!(store.to_string(), "Processing(Map)");
    let song = store.open_streaming_resource(&key("album", "song")).await.unwrap();
    let claim = song.claim().await.unwrap();
    song.write_at(0, &body(1000)).await.unwrap();
    song.commit(1000).await.unwrap();
    drop(claim);
    let again = store.open_streaming_resource(&key("album", "song")).await.unwrap();
    assert_eq!(again.read_to_end(2000).await.unwrap(), body(1000));
    store.open_atomic_resource(&key("album", "list")).await.unwrap().write(b"list").await.unwrap();
    assert_eq!(store.remove_resource(&key("album", "song")).await.unwrap(), 1000);
    assert_eq!(store.list(), []);
}

/// Alone, and beneath every layer that stands in an `AssetStore`.
#[tokio::test]
async fn each_backend_passes_the_conformance_suite_beneath_the_layers() {
    for folder in [None, Some(Arc::new(tempfile::tempdir().unwrap()))] {
        let map = MapAssets { folder, ..MapAssets::default() };
        passes(map.clone()).await;
        let processing = ProcessingAssets::new(EvictAssets::new(map), 64 << 10);
        passes(LeaseAssets::new(CachedAssets::new(processing, 5))).await;
    }
}

async fn passes(store: impl Assets) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let fresh = || key("suite", &COUNT.fetch_add(1, Ordering::Relaxed).to_string());
    conformance::streaming(async || store.open_streaming_resource(&fresh()).await.unwrap()).await;
    conformance::atomic(async || store.open_atomic_resource(&fresh()).await.unwrap()).await;
}
