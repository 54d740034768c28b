//! Reads and writes of 64 KiB beside bare `pread` and `pwrite`, and readers beside a writer.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kithara_storage::{StorageOptions, Streaming, StreamingResource, block_on};
use tokio::runtime::{Builder, Runtime};

const CHUNK: usize = 64 * 1024;
const CHUNKS: u64 = 256;

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).build().unwrap()
}

/// Writes 16 MiB into a new file. Time for all chunks.
fn bare_writes(folder: &Path, body: &[u8]) -> Duration {
    let path = folder.join("bare");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let begin = Instant::now();
    (0..CHUNKS).for_each(|index| file.write_all_at(body, index * CHUNK as u64).unwrap());
    let elapsed = begin.elapsed();
    std::fs::remove_file(path).unwrap();
    elapsed
}

/// The same into a new resource, claimed, in a task; with the notes that survive a crash, as always.
fn our_writes(runtime: &Runtime, folder: &Path, body: &Arc<Vec<u8>>) -> Duration {
    let resource = StreamingResource::disk(folder.join("ours"), StorageOptions::default()).unwrap();
    let body = Arc::clone(body);
    let work = async move {
        let claim = resource.claim().await.unwrap();
        let begin = Instant::now();
        for index in 0..CHUNKS {
            resource.write_at(index * CHUNK as u64, &body).await.unwrap();
        }
        let elapsed = begin.elapsed();
        drop(claim);
        elapsed
    };
    let elapsed = runtime.block_on(runtime.spawn(work)).unwrap();
    for name in ["ours.part", "ours.part.map"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    elapsed
}

fn prepared(folder: &Path, name: &str) -> StreamingResource {
    let resource = StreamingResource::disk(folder.join(name), StorageOptions::default()).unwrap();
    block_on(async {
        for index in 0..CHUNKS {
            resource.write_at(index * CHUNK as u64, &[index as u8; CHUNK]).await.unwrap();
        }
        resource.commit(CHUNKS * CHUNK as u64).await.unwrap();
    });
    resource
}

fn bare_reads(file: &File, buf: &mut [u8]) -> Duration {
    let begin = Instant::now();
    (0..CHUNKS).for_each(|index| file.read_exact_at(black_box(buf), index * CHUNK as u64).unwrap());
    begin.elapsed()
}

async fn our_reads(resource: StreamingResource, mut buf: Vec<u8>) -> (Duration, Vec<u8>) {
    let begin = Instant::now();
    for index in 0..CHUNKS {
        assert_eq!(resource.read_at(index * CHUNK as u64, black_box(&mut buf)).await.unwrap(), CHUNK);
    }
    (begin.elapsed(), buf)
}

fn bench(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (runtime, body) = (runtime(1), Arc::new(vec![7; CHUNK]));
    let resource = prepared(folder.path(), "present");
    let file = File::open(folder.path().join("present")).unwrap();
    let mut group = criterion.benchmark_group("64 KiB, page cache");
    group.throughput(Throughput::Bytes(CHUNK as u64)).sample_size(20);
    let mut buf = vec![0; CHUNK];
    group.bench_function("pread", |b| b.iter(|| file.read_exact_at(black_box(&mut buf), 5 << 20).unwrap()));
    group.bench_function("read_at", |b| {
        b.iter(|| block_on(resource.read_at(5 << 20, black_box(&mut buf))).unwrap());
    });
    group.finish();
    criterion.bench_function("open a present resource", |b| {
        b.iter(|| StreamingResource::disk(folder.path().join("present"), StorageOptions::default()).unwrap());
    });
    checksums(criterion);
    print_ratios(&runtime, folder.path(), &body, &resource, &file);
    print_latencies(folder.path());
}

/// What checksums cost: a commit of 1 MiB, and its first read after opening.
fn checksums(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("1 MiB");
    group.sample_size(20);
    let body = vec![7; 1 << 20];
    let mut buf = vec![0; CHUNK];
    for checksums in [false, true] {
        let options = StorageOptions::default().with_checksums(checksums);
        let path = folder.path().join(checksums.to_string());
        let open = || StreamingResource::disk(&path, options).unwrap();
        let with = if checksums { "with checksums" } else { "without" };
        let written = || {
            let _ = std::fs::remove_file(&path);
            let resource = open();
            block_on(resource.write_at(0, &body)).unwrap();
            resource
        };
        group.bench_function(format!("commit, {with}"), |b| {
            b.iter_batched(
                written,
                |resource| block_on(resource.commit(1 << 20)).unwrap(),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(format!("first read, {with}"), |b| {
            b.iter(|| {
                let (resource, mut at) = (open(), 0);
                while at < 1 << 20 {
                    at += block_on(resource.read_at(at, &mut buf)).unwrap() as u64;
                }
            });
        });
    }
    group.finish();
}

/// Interleaved in one run, the median of many rounds.
fn print_ratios(
    runtime: &Runtime,
    folder: &Path,
    body: &Arc<Vec<u8>>,
    resource: &StreamingResource,
    file: &File,
) {
    let mut times = [(); 4].map(|()| Vec::new());
    let mut buf = vec![0; CHUNK];
    for _ in 0..40 {
        times[0].push(bare_writes(folder, body));
        times[1].push(our_writes(runtime, folder, body));
        times[2].push(bare_reads(file, &mut buf));
        let (elapsed, back) = runtime.block_on(runtime.spawn(our_reads(resource.clone(), buf))).unwrap();
        times[3].push(elapsed);
        buf = back;
    }
    let micros = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6 / CHUNKS as f64
    });
    let [bare_write, write, bare_read, read] = micros;
    eprintln!(
        "write_at {write:.1} us, pwrite {bare_write:.1} us, ratio {:.2} (target 1.5)",
        write / bare_write
    );
    eprintln!("read_at {read:.1} us, pread {bare_read:.1} us, ratio {:.2} (target 1.2)", read / bare_read);
}

/// Eight readers of present chunks, alone and beside a writer of the same resource at full speed.
fn print_latencies(folder: &Path) {
    let runtime = runtime(2);
    let mut p99 = Vec::new();
    for beside_a_writer in [false, true] {
        let path = folder.join(if beside_a_writer { "written" } else { "quiet" });
        let resource = StreamingResource::disk(path, StorageOptions::default()).unwrap();
        let mut latencies = runtime.block_on(read_beside(resource, beside_a_writer));
        latencies.sort_unstable();
        p99.push(latencies[latencies.len() * 99 / 100].as_secs_f64() * 1e3);
    }
    let ratio = p99[1] / p99[0];
    eprintln!(
        "8 readers, p99: {:.3} ms beside a writer (target 5), {:.3} ms alone, ratio {ratio:.2}",
        p99[1], p99[0]
    );
}

async fn read_beside(resource: StreamingResource, beside_a_writer: bool) -> Vec<Duration> {
    const PRESENT: u64 = 64;
    for index in 0..PRESENT {
        resource.write_at(index * CHUNK as u64, &[1; CHUNK]).await.unwrap();
    }
    let done = Arc::new(AtomicBool::new(!beside_a_writer));
    let (writing, stop) = (resource.clone(), Arc::clone(&done));
    let writer = tokio::spawn(async move {
        let body = vec![2; CHUNK];
        let mut index = PRESENT;
        while !stop.load(Ordering::Relaxed) {
            writing.write_at(index * CHUNK as u64, &body).await.unwrap();
            // Up to 256 MiB, over and over.
            index = PRESENT + (index + 1 - PRESENT) % 4096;
            tokio::task::yield_now().await;
        }
    });
    let readers: Vec<_> = (0..8)
        .map(|reader: u64| {
            let resource = resource.clone();
            tokio::spawn(async move {
                let mut buf = vec![0; CHUNK];
                let mut latencies = Vec::new();
                for step in 0..3000 {
                    let at = (step * 7 + reader) % PRESENT * CHUNK as u64;
                    let begin = Instant::now();
                    assert!(resource.read_at(at, &mut buf).await.unwrap() > 0);
                    latencies.push(begin.elapsed());
                    tokio::task::yield_now().await;
                }
                latencies
            })
        })
        .collect();
    let mut all = Vec::new();
    for reader in readers {
        all.extend(reader.await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    all
}

criterion_group!(benches, bench);
criterion_main!(benches);
