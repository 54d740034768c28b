//! Every store and every layer passes the storage's own suite.

use std::sync::atomic::{AtomicUsize, Ordering};

use kithara_assets::{
    AssetSettings, AssetStore, Assets, BaseStore, CachedAssets, DiskAssetStore, EvictAssets, LeaseAssets,
    MemoryAssetStore, ProcessingAssets, ResourceKey,
};
use kithara_storage::conformance;

static NEXT: AtomicUsize = AtomicUsize::new(0);

fn fresh() -> ResourceKey {
    ResourceKey::new("suite", format!("resource/{}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap()
}

async fn passes<A: Assets>(assets: A) {
    conformance::streaming(async || assets.open_streaming_resource(&fresh()).await.unwrap()).await;
    conformance::atomic(async || assets.open_atomic_resource(&fresh()).await.unwrap()).await;
}

async fn every_layer_passes(base: BaseStore) {
    passes(base.clone()).await;
    passes(EvictAssets::new(base.clone())).await;
    passes(ProcessingAssets::new(base.clone(), 1 << 20)).await;
    passes(CachedAssets::new(base.clone(), 3)).await;
    passes(LeaseAssets::new(base)).await;
}

#[tokio::test]
async fn every_layer_over_memory() {
    every_layer_passes(BaseStore::Memory(MemoryAssetStore::new(&AssetSettings::default()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_layer_over_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let disk = DiskAssetStore::open(folder.path(), &AssetSettings::default()).unwrap();
    every_layer_passes(BaseStore::Disk(disk)).await;
}

#[tokio::test]
async fn the_whole_stack() {
    let folder = tempfile::tempdir().unwrap();
    for store in super::stores(folder.path(), &AssetSettings::default()) {
        passes(store).await;
    }
}

/// What a folder refuses goes on in memory: the suite does not notice.
#[tokio::test]
async fn a_folder_that_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Where the asset's folder should be, there is a file.
    std::fs::write(folder.path().join("suite"), b"in the way").unwrap();
    passes(AssetStore::disk(folder.path(), AssetSettings::default()).unwrap()).await;
}

#[test]
fn a_stack_prints_itself() {
    let store = AssetStore::memory(AssetSettings::default());
    assert_eq!(store.to_string(), "Lease(Cached(0, Processing(Evict(Memory))))");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let store = AssetStore::disk(&path, AssetSettings::default()).unwrap();
    assert_eq!(store.to_string(), format!("Lease(Cached(5, Processing(Evict(Disk({})))))", path.display()));
}
