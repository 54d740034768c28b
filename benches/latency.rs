//! Time from the call of `open` to the first PCM, beside the floor of bare sequential GETs, in turns: on loopback, and at
//! 50 ms round trip.
//!
//! Each run of ours begins with nothing: a new network stack and an empty cache folder (warm: a full one, opened anew).
//! The floor has its client ready, opens one connection, and decodes nothing: for HLS it gets master playlist, media
//! playlist, init section and the whole first segment; for a file the first bytes of the body.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::Criterion;
use kithara::hls::VariantMode;
use kithara_testkit::media;
use support::measure::Pairs;
use support::report::{Report, Target};
use support::server::{self, Server};
use support::{FILES, MASTER, disk, floor, open_file, open_hls, play_file, play_hls, runtime};
use tokio::runtime::Runtime;

/// What the bundled ladder begins with.
const FIRST: &str = "aac4/64k";

fn main() {
    if server::has_served() {
        return;
    }
    let server = Server::start();
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(700))
        .configure_from_args();
    let mut report = Report::new("latency");
    for (place, url) in [("loopback", Server::near as fn(&Server, &str) -> String), ("50 ms", Server::far)] {
        hls(&mut criterion, &mut report, place, &url(&server, ""));
        for (fixture, name) in FILES {
            file(&mut criterion, &mut report, place, (fixture, name), &url(&server, ""));
        }
    }
    criterion.final_summary();
    report.finish();
}

fn hls(criterion: &mut Criterion, report: &mut Report, place: &str, base: &str) {
    let runtime = runtime();
    let master = format!("{base}{MASTER}");
    let first = media::find(FIRST).unwrap();
    let mut urls = vec![master.clone(), format!("{base}/{}", first.entry)];
    urls.extend(floor::paths(first)[..2].iter().map(|path| format!("{base}/{path}")));
    let get = || {
        timed(&runtime, floor::client(), async |client| {
            for url in &urls {
                floor::get(&client, url).await;
            }
        })
    };
    let pairs = compare(criterion, &format!("HLS, {place}, cold"), get, || {
        cold(|folder| first_of_hls(&runtime, &master, folder).0)
    });
    let target = if place == "loopback" { Target::Difference(4.0) } else { Target::Ours(275.0) };
    report.pairs(format!("HLS, {place}, cold"), "ms", &pairs, target);

    if place == "loopback" {
        let stored = tempfile::tempdir().unwrap();
        runtime.block_on(play_hls(&master, disk(stored.path()), VariantMode::Auto));
        let pairs = compare(
            criterion,
            &format!("HLS, {place}, warm"),
            || Duration::ZERO,
            || {
                let (time, requests) = first_of_hls(&runtime, &master, stored.path());
                assert_eq!(requests, 0);
                time
            },
        );
        report.pairs(format!("HLS, {place}, warm, no request"), "ms", &pairs, Target::Ours(5.0));
    }
}

fn file(
    criterion: &mut Criterion,
    report: &mut Report,
    place: &str,
    (fixture, name): (&str, &str),
    base: &str,
) {
    let runtime = runtime();
    let url = format!("{base}/{}", media::find(fixture).unwrap().entry);
    let get = || {
        timed(&runtime, floor::client(), async |client| {
            floor::get_first(&client, &url).await;
        })
    };
    let pairs = compare(criterion, &format!("{name}, {place}, cold"), get, || {
        cold(|folder| first_of_file(&runtime, &url, folder).0)
    });
    let target = match fixture {
        "cbr.mp3" | "vbr.mp3" | "lossless.flac" | "faststart.m4a" if place != "loopback" => {
            Target::Ours(115.0)
        }
        _ => Target::None,
    };
    report.pairs(format!("{name}, {place}, cold"), "ms", &pairs, target);

    if place == "loopback" {
        let stored = tempfile::tempdir().unwrap();
        runtime.block_on(play_file(&url, disk(stored.path())));
        let pairs = compare(
            criterion,
            &format!("{name}, {place}, warm"),
            || Duration::ZERO,
            || {
                let (time, requests) = first_of_file(&runtime, &url, stored.path());
                assert_eq!(requests, 0);
                time
            },
        );
        report.pairs(format!("{name}, {place}, warm, no request"), "ms", &pairs, Target::Ours(5.0));
    }
}

/// To the first PCM of a presentation, and the requests until then.
fn first_of_hls(runtime: &Runtime, url: &str, folder: &Path) -> (Duration, u64) {
    runtime.block_on(async {
        let begun = Instant::now();
        let mut stream = open_hls(url, disk(folder), VariantMode::Auto).await;
        assert!(stream.next_chunk().await.unwrap().is_some());
        (begun.elapsed(), stream.stats().requests)
    })
}

fn first_of_file(runtime: &Runtime, url: &str, folder: &Path) -> (Duration, u64) {
    runtime.block_on(async {
        let begun = Instant::now();
        let mut stream = open_file(url, disk(folder)).await;
        assert!(stream.next_chunk().await.unwrap().is_some());
        (begun.elapsed(), stream.stats().requests)
    })
}

/// With an empty cache folder.
fn cold(run: impl FnOnce(&Path) -> Duration) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path())
}

fn timed(runtime: &Runtime, client: reqwest::Client, run: impl AsyncFnOnce(reqwest::Client)) -> Duration {
    let begun = Instant::now();
    runtime.block_on(run(client));
    begun.elapsed()
}

/// The floor and ours in turns.
fn compare(
    criterion: &mut Criterion,
    id: &str,
    floor: impl Fn() -> Duration,
    ours: impl Fn() -> Duration,
) -> Pairs {
    let pairs = Pairs::default();
    criterion.bench_function(id, |bencher| {
        bencher.iter_custom(|count| {
            let mut total = Duration::ZERO;
            for _ in 0..count {
                let (floor, ours) = (floor(), ours());
                pairs.push(ours.as_secs_f64() * 1e3, floor.as_secs_f64() * 1e3);
                total += ours;
            }
            total
        });
    });
    pairs
}
