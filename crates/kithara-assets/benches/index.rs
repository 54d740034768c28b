//! Opening a large store, and writing its index: 10,000 resources in 500 assets.
//!
//! Floors in the same run: one `read` of the index file, and what JSON would cost.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt, ResourceKey};
use serde_json::json;

const ASSETS: usize = 500;
const RESOURCES: usize = 20;

fn name(asset: usize, resource: usize) -> (String, String) {
    (format!("{:040x}-master.m3u8", asset * 7_777), format!("{:040x}-seg_{resource:04}.m4s", resource * 999))
}

/// A library as the layout of a real one is: derived names, 64 KiB segments (sparse).
fn library() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for asset in 0..ASSETS {
        for resource in 0..RESOURCES {
            let (root, rel) = name(asset, resource);
            let path = ResourceKey::new(root, rel).unwrap().path_in(folder.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().set_len(65_536).unwrap();
        }
    }
    drop(open(folder.path()));
    folder
}

fn open(folder: &Path) -> AssetStore {
    AssetStore::disk(folder, AssetSettings::default().with_max_bytes(None)).unwrap()
}

/// What the old index would hold: its JSON knew assets only, so this is the same knowledge in JSON.
fn json_of(store: &AssetStore) -> serde_json::Value {
    let entries: Vec<_> = store
        .list()
        .into_iter()
        .map(|asset| {
            let resources = store.list_resources(&asset.asset_root);
            let resources: Vec<_> = resources
                .into_iter()
                .map(|info| {
                    let touched = info.last_used.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                    json!({"rel": info.key.rel_path(), "bytes": info.bytes, "last_touch": touched.as_millis() as u64,
                           "complete": info.complete})
                })
                .collect();
            json!({"asset_root": asset.asset_root, "pinned": asset.pinned, "resources": resources})
        })
        .collect();
    json!({"version": 1, "entries": entries})
}

fn opening(c: &mut Criterion) {
    let folder = library();
    let index = folder.path().join("_index/lru.bin");
    let resources: usize = open(folder.path()).list().iter().map(|asset| asset.resources).sum();
    assert_eq!(resources, ASSETS * RESOURCES);
    let mut group = c.benchmark_group("open 10000 resources");
    group.bench_function("floor: read the index file", |b| b.iter(|| black_box(fs::read(&index).unwrap())));
    group.bench_function("AssetStore::disk", |b| {
        // Closing is not part of it.
        b.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for _ in 0..rounds {
                let start = Instant::now();
                let store = open(folder.path());
                time += start.elapsed();
                drop(black_box(store));
            }
            time
        });
    });
    group.bench_function("AssetStore::disk, index lost", |b| {
        b.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for _ in 0..rounds {
                let _ = fs::remove_file(&index);
                let start = Instant::now();
                let store = open(folder.path());
                time += start.elapsed();
                drop(black_box(store));
            }
            time
        });
    });
    group.finish();
}

fn formats(c: &mut Criterion) {
    let folder = library();
    let store = open(folder.path());
    let json = json_of(&store);
    let (compact, pretty) = (serde_json::to_vec(&json).unwrap(), serde_json::to_vec_pretty(&json).unwrap());
    let ours = fs::metadata(folder.path().join("_index/lru.bin")).unwrap().len();
    eprintln!(
        "index of 10,000 resources: {ours} bytes; JSON {} compact, {} pretty",
        compact.len(),
        pretty.len()
    );
    let mut group = c.benchmark_group("index formats");
    group.bench_function("JSON: parse", |b| {
        b.iter(|| black_box(serde_json::from_slice::<serde_json::Value>(&compact).unwrap()));
    });
    group.bench_function("JSON: serialise", |b| b.iter(|| black_box(serde_json::to_vec(&json).unwrap())));
    group.finish();
}

fn flushing(c: &mut Criterion) {
    let folder = library();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("flush");
    group.sample_size(20);
    group.bench_function("one changed resource of 10000", |b| {
        let store = open(folder.path());
        let object = ResourceKey::new(name(3, 0).0, "object").unwrap();
        runtime.block_on(async {
            use kithara_storage::Atomic;
            store.open_atomic_resource(&object).await.unwrap().write(b"x").await.unwrap();
        });
        b.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for round in 0..rounds {
                // A removal and its opposite are changes without a file system in between.
                runtime
                    .block_on(store.remove_resource(&ResourceKey::new("none", format!("{round}")).unwrap()))
                    .unwrap();
                drop(runtime.block_on(
                    store.open_streaming_resource(&ResourceKey::new(name(3, 1).0, name(3, 1).1).unwrap()),
                ));
                let start = Instant::now();
                runtime.block_on(store.flush()).unwrap();
                time += start.elapsed();
            }
            time
        });
    });
    group.bench_function("whole index of 10000", |b| {
        b.iter_custom(|rounds| {
            let mut time = Duration::ZERO;
            for _ in 0..rounds {
                fs::remove_file(folder.path().join("_index/lru.bin")).unwrap();
                let store = open(folder.path());
                let start = Instant::now();
                runtime.block_on(store.flush()).unwrap();
                time += start.elapsed();
            }
            time
        });
    });
    group.bench_function("floor: write and fsync as many bytes", |b| {
        let bytes = fs::read(folder.path().join("_index/lru.bin")).unwrap();
        let path = folder.path().join("_index/floor");
        b.iter(|| {
            use std::io::Write;
            let mut file = fs::File::create(&path).unwrap();
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
        });
    });
    group.finish();
}

criterion_group!(benches, opening, formats, flushing);
criterion_main!(benches);
