//! The asset store: opening a large one, what its index writes cost, and how long eight streams wait for each other.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use kithara::assets::{AssetSettings, AssetStore, Assets, AssetsExt as _, ResourceKey};
use kithara::hls::VariantMode;
use kithara::storage::Streaming as _;
use support::report::{Report, Target};
use support::server::Server;
use support::{child, disk, long, play_hls, runtime};

const ASSETS: usize = 500;
const RESOURCES: usize = 20;
const STREAMS: usize = 8;

fn main() {
    if child::has_played(&[]) {
        return;
    }
    let mut report = Report::new("store");
    opening(&mut report);
    index_writes(&mut report, &Server::start());
    waiting(&mut report);
    report.finish();
}

/// 10,000 resources of 64 KiB, beside one read of the index file. The best of twenty: others use the machine too.
fn opening(report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    for asset in 0..ASSETS {
        for resource in 0..RESOURCES {
            let key = ResourceKey::new(format!("{asset:040x}"), format!("seg_{resource:04}.m4s")).unwrap();
            let path = key.path_in(folder.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().set_len(65_536).unwrap();
        }
    }
    let open = || AssetStore::disk(folder.path(), AssetSettings::default().with_max_bytes(None)).unwrap();
    // The first open walks the folder and writes the index.
    drop(open());
    let (mut ours, mut floor) = (f64::MAX, f64::MAX);
    for _ in 0..20 {
        let begun = Instant::now();
        let index = fs::read(folder.path().join("_index/lru.bin")).unwrap();
        floor = floor.min(begun.elapsed().as_secs_f64() * 1e3);
        drop(index);
        let begun = Instant::now();
        let store = open();
        ours = ours.min(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(store.list().len(), ASSETS);
    }
    report.beside("opening a store of 10,000 resources", "ms", ours, floor, Target::Ours(5.0));
}

/// What a presentation of 152 segments makes the store write into its indexes, cold and warm.
fn index_writes(report: &mut Report, server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let url = server.near(&long::playlist_path("128k"));
    let segments = long::segments("128k").len() as f64;
    for state in ["cold", "warm"] {
        let store = disk(folder.path());
        runtime().block_on(play_hls(&url, store.clone(), VariantMode::Auto));
        let stats = store.index_stats();
        let name = format!("index bytes for each segment, {state} ({} writes in all)", stats.writes);
        report.alone(name, "bytes", stats.bytes as f64 / segments, Target::Ours(1024.0));
    }
}

/// Eight threads, each with resources of its own in one store: open one and read 4 KiB of it. The floor opens and reads
/// the same files. p99 of each thread's operations, the worst thread.
fn waiting(report: &mut Report) {
    const ROUNDS: usize = 2000;
    const NAMES: usize = 16;
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let runtime = runtime();
    let key =
        |stream: usize, n: usize| ResourceKey::new(format!("stream{stream}"), format!("seg{n}.m4s")).unwrap();
    for stream in 0..STREAMS {
        for n in 0..NAMES {
            runtime.block_on(async {
                let resource = store.open_streaming_resource(&key(stream, n)).await.unwrap();
                let _claim = resource.claim().await.unwrap();
                resource.write_at(0, &[7; 65_536]).await.unwrap();
                resource.commit(65_536).await.unwrap();
            });
        }
    }
    runtime.block_on(store.flush()).unwrap();
    let ours = p99_of_threads(ROUNDS, |stream, round| {
        let mut buffer = [0; 4096];
        let resource =
            kithara::storage::block_on(store.open_streaming_resource(&key(stream, round % NAMES))).unwrap();
        assert_eq!(kithara::storage::block_on(resource.read_at(0, &mut buffer)).unwrap(), 4096);
    });
    let floor = p99_of_threads(ROUNDS, |stream, round| {
        let mut buffer = [0; 4096];
        let file = fs::File::open(key(stream, round % NAMES).path_in(folder.path() as &Path)).unwrap();
        file.read_exact_at(&mut buffer, 0).unwrap();
    });
    report.beside("eight streams open and read: p99", "ms", ours, floor, Target::Ours(0.2));
}

/// Milliseconds.
fn p99_of_threads(rounds: usize, operation: impl Fn(usize, usize) + Sync) -> f64 {
    let operation = &operation;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..STREAMS)
            .map(|stream| {
                scope.spawn(move || {
                    let mut times: Vec<f64> = (0..rounds)
                        .map(|round| {
                            let begun = Instant::now();
                            operation(stream, round);
                            begun.elapsed().as_secs_f64() * 1e3
                        })
                        .collect();
                    times.sort_by(f64::total_cmp);
                    times[rounds * 99 / 100]
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(0.0, f64::max)
    })
}
