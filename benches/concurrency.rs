//! Many streams in one process, each played in real time from a presentation of its own, over HTTP, with the disk cache:
//! memory for one more stream, streams that one core carries, and stalls.
//!
//! The listening process has a runtime of one thread, so that the CPU that it takes is that of one core; commits of the
//! store are synchronised by tokio's blocking threads beside it. The floor is a process that does the same by bare reqwest
//! (whole segments, no cache) and bare Symphonia, which decodes packet by packet as it is heard. By default 100 streams for
//! 10 s; a thousand for a minute, where one core is too slow for them (`ulimit -n 20000` first):
//!
//! ```sh
//! KITHARA_BENCH_STREAMS=1000 KITHARA_BENCH_SECONDS=60 KITHARA_BENCH_THREADS=2 cargo bench --bench concurrency
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kithara::hls::{Hls, HlsOptions, VariantMode};
use kithara::net::DefaultNet;
use kithara_testkit::process;
use serde_json::{Value, json};
use support::pace::Pacer;
use support::report::{Report, Target};
use support::server::Server;
use support::{child, disk, floor, long};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Streams that are opened in a second.
const OPENED_PER_SECOND: f64 = 100.0;

/// The first streams, beside which the others are counted, and how long they have the process for themselves.
const FIRST: u64 = 4;
const ALONE: Duration = Duration::from_secs(3);

/// After the last stream was opened, until its look-ahead is full.
const SETTLING: Duration = Duration::from_secs(2);

fn main() {
    if child::has_played(&[("ours", ours), ("bare", bare)]) {
        return;
    }
    let streams = number("KITHARA_BENCH_STREAMS", 100);
    let seconds = number("KITHARA_BENCH_SECONDS", 10);
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let arguments = json!({
        "url": server.near(&long::playlist_path("128k")),
        "init": server.near(&long::init_path("128k")),
        "segments": long::segments("128k").into_iter().map(|(path, _)| server.near(&path)).collect::<Vec<_>>(),
        "folder": folder.path(),
        "streams": streams,
        "seconds": seconds,
        "threads": number("KITHARA_BENCH_THREADS", 1),
    });
    let (ours, bare) = (child::call("ours", &arguments), child::call("bare", &arguments));
    let figure = |answer: &Value, name: &str| answer[name].as_f64().unwrap();
    let mut report = Report::new("concurrency");
    let mut row = |name: &str, unit, of: &str, target| {
        report.beside(
            format!("{streams} streams: {name}"),
            unit,
            figure(&ours, of),
            figure(&bare, of),
            target,
        );
    };
    row("memory of one more", "KB", "marginal_kb", Target::Ours(300.0));
    row("streams per core", "streams", "per_core", Target::AtLeast(1200.0));
    row("stalls", "stalls", "stalls", Target::Ours(0.0));
    row("threads", "threads", "threads", Target::None);
    row("open files", "files", "files", Target::None);
    report.finish();
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn ours(arguments: Value) -> Value {
    let assets = disk(Path::new(arguments["folder"].as_str().unwrap()));
    let mut options = HlsOptions::new(DefaultNet::default(), assets);
    options.variant = VariantMode::Auto;
    let url = arguments["url"].as_str().unwrap().to_owned();
    watch(&arguments, move |n, until| listen(format!("{url}?listener={n}"), options.clone(), until))
}

/// Plays until the time is over: stalls.
async fn listen(url: String, options: HlsOptions, until: Instant) -> u64 {
    let mut stream = Hls::open(url.parse().unwrap(), options).await.unwrap();
    let mut pacer = Pacer::new(1.0);
    while Instant::now() < until {
        let chunk = stream.next_chunk().await.unwrap().expect("audio for ten minutes");
        pacer.arrived(chunk.spec().position_of(chunk.frames() as u64)).await;
    }
    pacer.stalls()
}

fn bare(arguments: Value) -> Value {
    let client = floor::client();
    let init = arguments["init"].as_str().unwrap().to_owned();
    let segments: Arc<Vec<String>> = Arc::new(serde_json::from_value(arguments["segments"].clone()).unwrap());
    watch(&arguments, move |_, until| listen_bare(client.clone(), init.clone(), Arc::clone(&segments), until))
}

async fn listen_bare(
    client: reqwest::Client,
    init: String,
    segments: Arc<Vec<String>>,
    until: Instant,
) -> u64 {
    let init = floor::get_bytes(&client, &init).await;
    let mut pacer = Pacer::new(1.0);
    for url in segments.iter() {
        let mut body = init.clone();
        floor::get_into(&client, url, &mut body).await;
        let mut decode = floor::Decode::new(body);
        while let Some(frames) = decode.next() {
            pacer.arrived(Duration::from_secs_f64(frames as f64 / 44_100.0)).await;
            if Instant::now() >= until {
                return pacer.stalls();
            }
        }
    }
    pacer.stalls()
}

/// Runs listeners, and looks at the process.
fn watch<F>(arguments: &Value, listener: impl Fn(u64, Instant) -> F) -> Value
where
    F: Future<Output = u64> + Send + 'static,
{
    let streams = arguments["streams"].as_u64().unwrap();
    let seconds = arguments["seconds"].as_u64().unwrap();
    let runtime = match arguments["threads"].as_u64().unwrap() {
        0 | 1 => support::runtime(),
        threads => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads as usize)
            .enable_all()
            .build()
            .unwrap(),
    };
    runtime.block_on(async {
        let opening = Duration::from_secs_f64((streams - FIRST) as f64 / OPENED_PER_SECOND);
        let until = Instant::now() + ALONE + opening + SETTLING + Duration::from_secs(seconds);
        let mut listeners = JoinSet::new();
        for n in 0..FIRST {
            listeners.spawn(listener(n, until));
        }
        tokio::time::sleep(ALONE).await;
        let alone = process::rss().unwrap();
        for n in FIRST..streams {
            listeners.spawn(listener(n, until));
            tokio::time::sleep(Duration::from_secs_f64(1.0 / OPENED_PER_SECOND)).await;
        }
        tokio::time::sleep(SETTLING).await;
        let (begun, cpu) = (Instant::now(), process::cpu_time().unwrap());
        tokio::time::sleep_until(until - Duration::from_millis(200)).await;
        let cpu = (process::cpu_time().unwrap() - cpu).as_secs_f64();
        let wall = begun.elapsed().as_secs_f64();
        let rss = process::rss().unwrap();
        let (threads, files) = (process::threads(), process::open_files());
        let stalls: u64 = listeners.join_all().await.into_iter().sum();
        json!({
            "marginal_kb": rss.saturating_sub(alone) as f64 / 1e3 / (streams - FIRST) as f64,
            "per_core": streams as f64 * wall / cpu,
            "stalls": stalls,
            "threads": threads,
            "files": files,
            "rss": rss,
        })
    })
}
