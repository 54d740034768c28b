//! Bytes and first PCM of progressive files against their floors, measured in the same run.
//!
//! `cargo bench -p kithara-file [-- cached | loopback | first_pcm | seek]`: the best of interleaved rounds, so that what else the machine does falls on neither.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

use std::io::{Read, Seek};
use std::time::{Duration, Instant};

use kithara_assets::{AssetSettings, AssetStore};
use kithara_file::{File, FileOptions, LookAhead};
use kithara_net::{DefaultNet, NetExt, Request, Url};
use kithara_storage::{Streaming, StreamingResource};
use kithara_stream::{MediaInfo, PrefetchSettings, Reader, SyncReader};
use kithara_testkit::media::{self, Fixture};
use kithara_testkit::{DelayProxy, Gate, Origin, Reply};
use tokio::runtime::Runtime;

const LEN: u64 = 64 << 20;
const ROUNDS: usize = 15;

fn main() {
    // `cargo test --benches` runs this too, and wants no figures.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let wanted = |name: &str| {
        let mut filters = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(&filter))
    };
    if wanted("cached") {
        cached(&runtime);
    }
    if wanted("loopback") {
        loopback(&runtime);
    }
    if wanted("first_pcm") {
        for trip in [20, 50] {
            first_pcm(&runtime, Duration::from_millis(trip));
        }
    }
    if wanted("seek") {
        seek(&runtime);
    }
}

/// The best of all rounds: what the work takes when nothing else gets in its way.
fn best(times: Vec<Duration>) -> Duration {
    times.into_iter().min().unwrap_or_default()
}

fn drain(mut source: impl Read, buffer: usize) -> u64 {
    let mut buf = vec![0; buffer];
    let mut total = 0;
    loop {
        match source.read(&mut buf).unwrap() {
            0 => return total,
            read => total += read as u64,
        }
    }
}

fn timed(work: impl FnOnce() -> u64) -> Duration {
    let began = Instant::now();
    assert_eq!(work(), LEN);
    began.elapsed()
}

/// A committed resource on disk, read in steps of 32 KiB as decoders do.
fn cached(runtime: &Runtime) {
    const STEP: usize = 32 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resource");
    let resource = StreamingResource::disk(&path, kithara_storage::StorageSettings::default()).unwrap();
    runtime.block_on(async {
        let block = vec![7; 1 << 20];
        for at in 0..LEN >> 20 {
            resource.write_at(at << 20, &block).await.unwrap();
        }
        resource.commit(LEN).await.unwrap();
    });
    let _context = runtime.enter();
    let source = || Reader::new(resource.clone(), MediaInfo::default());
    let mut file = std::fs::File::open(&path).unwrap();
    let (mut bare, mut direct, mut ahead) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        file.rewind().unwrap();
        bare.push(timed(|| drain(&file, STEP)));
        direct.push(timed(|| drain(SyncReader::direct(source()), STEP)));
        let pool = kithara_bufpool::BytePool::new(kithara_bufpool::PoolSettings::default());
        let settings = PrefetchSettings::new(pool);
        ahead.push(timed(|| drain(SyncReader::prefetching(source(), settings).unwrap(), STEP)));
    }
    let floor = best(bare);
    report("cached, SyncReader::direct / File", floor, best(direct), 0.8);
    report("cached, SyncReader::prefetching / File", floor, best(ahead), 0.0);
}

/// A body over loopback into a store on disk and out of it again, while it arrives.
fn loopback(runtime: &Runtime) {
    let origin = Origin::start_blocking().unwrap();
    origin.serve("/b.bin", vec![7; usize::try_from(LEN).unwrap()]);
    let url: Url = origin.url("/b.bin").parse().unwrap();
    let client = reqwest::Client::new();
    let (mut bare, mut disk, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(timed(|| runtime.block_on(bare_body(&client, &url))));
        let folder = tempfile::tempdir().unwrap();
        let store = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        disk.push(timed(|| through(runtime, &url, store)));
        memory.push(timed(|| through(runtime, &url, AssetStore::memory(AssetSettings::default()))));
    }
    let floor = best(bare);
    report("loopback, store on disk / reqwest", floor, best(disk), 0.9);
    report("loopback, store in memory / reqwest", floor, best(memory), 0.9);
    gigabit(runtime, &origin, &url);
}

/// The same over a line as fast as networks are: whether what it costs beside is in the way.
fn gigabit(runtime: &Runtime, origin: &Origin, url: &Url) {
    origin.always("/b.bin", Reply::ok().bandwidth(125_000_000).chunk_size(1 << 20));
    let client = reqwest::Client::new();
    let (mut bare, mut disk) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        bare.push(timed(|| runtime.block_on(bare_body(&client, url))));
        let folder = tempfile::tempdir().unwrap();
        let store = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        disk.push(timed(|| through(runtime, url, store)));
    }
    report("1 Gbit/s, store on disk / reqwest", best(bare), best(disk), 0.9);
}

async fn bare_body(client: &reqwest::Client, url: &Url) -> u64 {
    let mut body = client.get(url.clone()).send().await.unwrap();
    let mut total = 0;
    while let Some(chunk) = body.chunk().await.unwrap() {
        total += chunk.len() as u64;
    }
    total
}

fn through(runtime: &Runtime, url: &Url, store: AssetStore) -> u64 {
    let mut options = FileOptions::new(DefaultNet::default(), store);
    options.look_ahead = LookAhead::unbounded();
    let source = runtime.block_on(File::open_source(url.clone(), &options)).unwrap();
    let _context = runtime.enter();
    drain(SyncReader::direct(source), 64 * 1024)
}

fn files() -> impl Iterator<Item = &'static Fixture> {
    media::all().iter().filter(|fixture| fixture.kind == media::Kind::File)
}

fn in_memory() -> FileOptions {
    FileOptions::new(DefaultNet::default(), AssetStore::memory(AssetSettings::default()))
}

/// With the handshake of TCP and the request: two round trips at least.
fn first_pcm(runtime: &Runtime, trip: Duration) {
    let origin = Origin::start_blocking().unwrap();
    let proxy = DelayProxy::start_blocking(origin.address(), trip / 2).unwrap();
    for fixture in files() {
        let url: Url = proxy.url(&format!("/{}", fixture.entry)).parse().unwrap();
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            runtime.block_on(async {
                let mut stream = File::open(url.clone(), in_memory()).await.unwrap();
                stream.next_chunk().await.unwrap().unwrap();
            });
            times.push(began.elapsed());
        }
        let best = best(times);
        let over = best.saturating_sub(2 * trip);
        println!(
            "first PCM at {trip:?}, {}: {best:.1?}, two round trips + {over:.2?} (target + 2 ms)",
            fixture.name
        );
    }
}

/// From a seek to its first PCM at a round trip of 50 ms: to what is stored, and to what is not with a connection that is
/// open and free, and without one.
fn seek(runtime: &Runtime) {
    const TRIP: Duration = Duration::from_millis(50);
    let origin = Origin::start_blocking().unwrap();
    let proxy = DelayProxy::start_blocking(origin.address(), TRIP / 2).unwrap();
    origin.serve("/warm", vec![7; 100]);
    let warm: Url = proxy.url("/warm").parse().unwrap();
    for (name, times_over) in [("cbr.mp3", 20), ("adts.aac", 40)] {
        // Far more than what comes in the time of a request.
        let body = media::find(name).unwrap().bytes().repeat(times_over);
        let path = format!("/{name}");
        origin.serve(&path, body);
        let url: Url = proxy.url(&path).parse().unwrap();
        let [mut stored, mut warmed, mut cold] = [const { Vec::new() }; 3];
        for round in 0..ROUNDS {
            // The first connection brings the beginning and is then busy with nothing.
            let held = Gate::new();
            origin.script(&path, [Reply::ok().stall_at(48 * 1024, &held)]);
            let options = in_memory();
            runtime.block_on(async {
                let mut stream = File::open(url.clone(), options.clone()).await.unwrap();
                stream.next_chunk().await.unwrap().unwrap();
                if round % 2 == 0 {
                    // Another request of the application has left a connection to the server open.
                    options.net.get_bytes(Request::new(warm.clone()), 1000).await.unwrap();
                }
                tokio::time::sleep(2 * TRIP).await;
                for (to, times) in [
                    (Duration::from_millis(300), &mut stored),
                    (Duration::from_secs(180), if round % 2 == 0 { &mut warmed } else { &mut cold }),
                ] {
                    let began = Instant::now();
                    stream.seek(to).await.unwrap();
                    stream.next_chunk().await.unwrap().unwrap();
                    times.push(began.elapsed());
                }
            });
        }
        println!(
            "seek to PCM at 50 ms, {}: stored {:.2?} (target 3 ms), not stored {:.1?} on a warm connection (target 60 ms), \
             {:.1?} on a new one",
            name,
            best(stored),
            best(warmed),
            best(cold)
        );
    }
}

fn report(what: &str, floor: Duration, ours: Duration, target: f64) {
    let ratio = floor.as_secs_f64() / ours.as_secs_f64();
    let rate = LEN as f64 / 1e6 / ours.as_secs_f64();
    let target = if target > 0.0 { format!("target {target}") } else { "no target".to_owned() };
    println!("{what}: {ratio:.2} of the floor's throughput ({rate:.0} MB/s; {target})");
}
