//! What the store promises, through its public face.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod conformance;
mod crash;
mod evict;
mod hostile;
mod index;
mod lease;
mod manage;
mod open;
mod outside;
mod processing;
mod trouble;

use std::path::Path;

use kithara_assets::{AssetResource, AssetSettings, AssetStore, Assets, ResourceKey};
use kithara_storage::{Atomic, Streaming, StreamingExt};

/// A key of the test's own choosing.
fn key(root: &str, rel: &str) -> ResourceKey {
    ResourceKey::new(root, rel).unwrap()
}

/// Bytes that tell their offset.
fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(0x9E37_79B1) >> 13) as u8).collect()
}

fn disk(folder: &Path) -> AssetStore {
    AssetStore::disk(folder, AssetSettings::default()).unwrap()
}

/// Both kinds of store.
fn stores(folder: &Path, settings: &AssetSettings) -> [AssetStore; 2] {
    [AssetStore::disk(folder, settings.clone()).unwrap(), AssetStore::memory(settings.clone())]
}

/// Downloads a whole resource.
async fn fill(store: &AssetStore, key: &ResourceKey, content: &[u8]) -> AssetResource {
    let resource = store.open_streaming_resource(key).await.unwrap();
    let _claim = resource.claim().await.unwrap();
    for (index, chunk) in content.chunks(16 << 10).enumerate() {
        resource.write_at((index * (16 << 10)) as u64, chunk).await.unwrap();
    }
    resource.commit(content.len() as u64).await.unwrap();
    resource
}

async fn content(store: &AssetStore, key: &ResourceKey) -> Vec<u8> {
    store.open_streaming_resource(key).await.unwrap().read_to_end(usize::MAX).await.unwrap().to_vec()
}

async fn write_object(store: &AssetStore, key: &ResourceKey, content: &[u8]) {
    store.open_atomic_resource(key).await.unwrap().write(content).await.unwrap();
}

async fn object(store: &AssetStore, key: &ResourceKey) -> Option<Vec<u8>> {
    store.open_atomic_resource(key).await.unwrap().read().await.unwrap().map(|bytes| bytes.to_vec())
}

/// Files below a folder, without those of the index and the checksums beside complete resources, by path.
fn files(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, base: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, base, out);
            } else {
                out.push(path.strip_prefix(base).unwrap().to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    let mut out = Vec::new();
    walk(folder, folder, &mut out);
    out.retain(|path| !path.starts_with("_index/") && !path.ends_with(".crc"));
    out.sort();
    out
}
