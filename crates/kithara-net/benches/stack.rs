//! Bodies and small requests through the layers of the stack, against bare reqwest in the same run.
//!
//! `cargo bench -p kithara-net --bench stack`: the best of interleaved rounds, so that what else the machine does falls on
//! neither.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

use std::time::{Duration, Instant};

use kithara_net::{Body, DefaultNet, HttpClient, Net, NetExt, Request, Url};
use kithara_testkit::Origin;
use tokio::runtime::Runtime;

const LEN: u64 = 64 << 20;
const SMALL: u32 = 300;
const ROUNDS: usize = 15;

fn main() {
    // `cargo test --benches` runs this too, and wants no figures.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    // Bare reqwest brings none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let origin = Origin::start_blocking().unwrap();
    origin.serve("/large", vec![7; usize::try_from(LEN).unwrap()]);
    origin.serve("/small", vec![7; 1024]);
    large(&runtime, &origin.url("/large").parse().unwrap());
    small(&runtime, &origin.url("/small").parse().unwrap());
}

fn timed(times: &mut Vec<Duration>, runtime: &Runtime, work: impl Future<Output = u64>) {
    let began = Instant::now();
    assert_eq!(runtime.block_on(work), LEN);
    times.push(began.elapsed());
}

async fn drain(mut body: impl Body) -> u64 {
    let mut total = 0;
    while let Some(chunk) = body.next_chunk().await.unwrap() {
        total += chunk.len() as u64;
    }
    assert!(body.is_complete());
    total
}

fn large(runtime: &Runtime, url: &Url) {
    let (bare, client, net) = (reqwest::Client::new(), HttpClient::default(), DefaultNet::default());
    let [mut floor, mut plain, mut full] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        timed(&mut floor, runtime, async {
            let mut body = bare.get(url.clone()).send().await.unwrap();
            let mut total = 0;
            while let Some(chunk) = body.chunk().await.unwrap() {
                total += chunk.len() as u64;
            }
            total
        });
        let request = || Request::new(url.clone());
        timed(&mut plain, runtime, async { drain(client.open(request()).await.unwrap().body).await });
        timed(&mut full, runtime, async { drain(net.open(request()).await.unwrap().body).await });
    }
    report("body, HttpClient", &floor, &plain);
    report("body, Retry(Observe(Timeout(Http)))", &floor, &full);
}

fn small(runtime: &Runtime, url: &Url) {
    let (bare, net) = (reqwest::Client::new(), DefaultNet::default());
    let [mut floor, mut full] = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        let began = Instant::now();
        runtime.block_on(async {
            for _ in 0..SMALL {
                bare.get(url.clone()).send().await.unwrap().bytes().await.unwrap();
            }
        });
        floor.push(began.elapsed());
        let began = Instant::now();
        runtime.block_on(async {
            for _ in 0..SMALL {
                net.get_bytes(Request::new(url.clone()), 4096).await.unwrap();
            }
        });
        full.push(began.elapsed());
    }
    let (floor, ours) = (best(&floor) / SMALL, best(&full) / SMALL);
    println!("request of 1 KiB on a kept connection, get_bytes: {ours:.1?}, bare reqwest {floor:.1?}");
}

/// What the work takes when nothing else gets in its way.
fn best(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

fn report(what: &str, floor: &[Duration], ours: &[Duration]) {
    let (floor, ours) = (best(floor), best(ours));
    let rate = LEN as f64 / 1e6 / ours.as_secs_f64();
    println!(
        "{what}: {:.2} of bare reqwest's throughput ({rate:.0} MB/s)",
        floor.as_secs_f64() / ours.as_secs_f64()
    );
}
