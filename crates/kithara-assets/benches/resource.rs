//! Opening a present resource, reading and writing through the whole stack, and decrypting.
//!
//! Floors in the same run: `open`, `pread`, `pwrite`, and the bare cipher.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::fs;
use std::hint::black_box;
use std::os::unix::fs::FileExt;

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, consts::U16};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt, Processor, ResourceKey};
use kithara_storage::{StorageOptions, Streaming, StreamingResource, block_on};

const KIB_64: usize = 64 << 10;

fn key(name: &str) -> ResourceKey {
    ResourceKey::new("album", name).unwrap()
}

async fn fill(store: &AssetStore, key: &ResourceKey, content: &[u8]) {
    let resource = store.open_streaming_resource(key).await.unwrap();
    let _claim = resource.claim().await.unwrap();
    resource.write_at(0, content).await.unwrap();
    resource.commit(content.len() as u64).await.unwrap();
}

fn opening(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("open_streaming_resource");
    for (name, idle) in [("idle handle kept", 5), ("nothing kept", 0)] {
        let settings = AssetSettings::default().with_idle_handles(idle);
        let store = AssetStore::disk(folder.path(), settings).unwrap();
        runtime.block_on(fill(&store, &key("song"), &[7; KIB_64]));
        let writes = store.index_stats().writes;
        group.bench_function(name, |b| {
            b.iter(|| runtime.block_on(store.open_streaming_resource(&key("song"))).unwrap());
        });
        assert!(store.index_stats().writes <= writes + 2, "opening wrote the index");
        runtime.block_on(store.clear()).unwrap();
        runtime.block_on(store.shutdown()).unwrap();
    }
    let path = folder.path().join("floor");
    fs::write(&path, [7; KIB_64]).unwrap();
    group.bench_function("floor: open and fstat", |b| {
        b.iter(|| black_box(fs::File::open(&path).unwrap().metadata().unwrap().len()));
    });
    group.finish();
}

fn reading_and_writing(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let store = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
    let data = vec![7; KIB_64];
    let mut buf = vec![0; KIB_64];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut group = c.benchmark_group("64 KiB through the stack");
    group.throughput(Throughput::Bytes(KIB_64 as u64));
    let path = folder.path().join("floor");
    let file = fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    file.write_all_at(&data, 0).unwrap();
    group.bench_function("floor: pread", |b| b.iter(|| file.read_exact_at(&mut buf, 0).unwrap()));
    runtime.block_on(fill(&store, &key("read"), &data));
    let resource = runtime.block_on(store.open_streaming_resource(&key("read"))).unwrap();
    group.bench_function("read_at", |b| {
        b.iter(|| assert_eq!(block_on(resource.read_at(0, &mut buf)).unwrap(), KIB_64));
    });
    group.bench_function("floor: pwrite", |b| b.iter(|| file.write_all_at(&data, 0).unwrap()));
    let storage = StreamingResource::disk(folder.path().join("storage"), StorageOptions::default()).unwrap();
    let claim = runtime.block_on(storage.claim()).unwrap();
    runtime.block_on(async {
        group.bench_function("write_at of the storage alone", |b| {
            b.iter(|| block_on(storage.write_at(0, &data)).unwrap());
        });
    });
    drop(claim);
    let resource = runtime.block_on(store.open_streaming_resource(&key("write"))).unwrap();
    let claim = runtime.block_on(resource.claim()).unwrap();
    runtime.block_on(async {
        group.bench_function("write_at", |b| b.iter(|| block_on(resource.write_at(0, &data)).unwrap()));
    });
    drop(claim);
    group.finish();
}

fn decrypting(c: &mut Criterion) {
    let (secret, iv) = ([3; 16], [4; 16]);
    let mut encrypted = vec![7; 2 << 20];
    cbc::Encryptor::<aes::Aes128>::new(&secret.into(), &iv.into())
        .encrypt_blocks(Array::<u8, U16>::slice_as_chunks_mut(&mut encrypted).0);
    // The last block is as good as any padding: a block of sixteens.
    let mut last = [16; 16];
    let before: [u8; 16] = encrypted[encrypted.len() - 16..].try_into().unwrap();
    cbc::Encryptor::<aes::Aes128>::new(&secret.into(), &before.into())
        .encrypt_blocks(Array::<u8, U16>::slice_as_chunks_mut(&mut last).0);
    encrypted.extend_from_slice(&last);

    let folder = tempfile::tempdir().unwrap();
    let settings = AssetSettings::default().with_idle_handles(0);
    let store = AssetStore::disk(folder.path(), settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(fill(&store, &key("segment"), &encrypted));
    let mut group = c.benchmark_group("AES-128-CBC, a 2 MiB segment");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(encrypted.len() as u64));
    group.bench_function("floor: the bare cipher in memory", |b| {
        b.iter_batched_ref(
            || encrypted.clone(),
            |bytes| {
                cbc::Decryptor::<aes::Aes128>::new(&secret.into(), &iv.into())
                    .decrypt_blocks(Array::<u8, U16>::slice_as_chunks_mut(bytes).0);
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("open_processed_resource, read in 32 KiB", |b| {
        let mut buf = vec![0; 32 << 10];
        b.iter(|| {
            runtime.block_on(async {
                let processor = Processor::Aes128Cbc { key: secret, iv };
                let view = store.open_processed_resource(&key("segment"), processor).await.unwrap();
                let mut offset = 0;
                loop {
                    match view.read_at(offset, &mut buf).await.unwrap() {
                        0 => break,
                        read => offset += read as u64,
                    }
                }
                assert_eq!(offset, 2 << 20);
            });
        });
    });
    group.finish();
}

criterion_group!(benches, opening, reading_and_writing, decrypting);
criterion_main!(benches);
