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
use kithara::net::{DefaultNet, NetOptions, VersionSetting};
use kithara_testkit::media;
use support::measure::Pairs;
use support::report::{Report, Target};
use support::server::Server;
use support::{
    FILES, MASTER, child, criterion, disk, floor, long, open_file, open_hls, open_hls_with, play_file,
    play_hls, runtime,
};

/// What the bundled ladder begins with.
const FIRST: &str = "aac4/64k";

fn main() {
    if child::has_played(&[]) {
        return;
    }
    let server = Server::start();
    let mut criterion = criterion(50, 700);
    let mut report = Report::new("latency");
    for (place, url) in [("loopback", Server::near as fn(&Server, &str) -> String), ("50 ms", Server::far)] {
        hls(&mut criterion, &mut report, place, &url(&server, ""));
        for (fixture, name) in FILES {
            file(&mut criterion, &mut report, place, (fixture, name), &url(&server, ""));
        }
    }
    multiplexed(&mut criterion, &mut report, &server);
    seek_stored(&mut report, &server);
    seek_far(&mut report, &server);
    criterion.final_summary();
    report.finish();
}

fn hls(criterion: &mut Criterion, report: &mut Report, place: &str, base: &str) {
    let master = format!("{base}{MASTER}");
    let first = media::find(FIRST).unwrap();
    let mut urls = vec![master.clone(), format!("{base}/{}", first.entry)];
    urls.extend(floor::paths(first)[..2].iter().map(|path| format!("{base}/{path}")));
    let get = || {
        timed(async |client| {
            for url in &urls {
                floor::get(&client, url).await;
            }
        })
    };
    let pairs = compare(criterion, &format!("HLS, {place}, cold"), get, || {
        cold(|folder| first_of_hls(&master, folder).0)
    });
    let target = if place == "loopback" { Target::Difference(4.0) } else { Target::Ours(275.0) };
    report.pairs(format!("HLS, {place}, cold"), "ms", &pairs, target);

    if place == "loopback" {
        let stored = tempfile::tempdir().unwrap();
        runtime().block_on(play_hls(&master, disk(stored.path()), VariantMode::Auto));
        let pairs = compare(
            criterion,
            &format!("HLS, {place}, warm"),
            || Duration::ZERO,
            || {
                let (time, requests) = first_of_hls(&master, stored.path());
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
    let url = format!("{base}/{}", media::find(fixture).unwrap().entry);
    let get = || {
        timed(async |client| {
            floor::get_first(&client, &url).await;
        })
    };
    let pairs = compare(criterion, &format!("{name}, {place}, cold"), get, || {
        cold(|folder| first_of_file(&url, folder).0)
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
        runtime().block_on(play_file(&url, disk(stored.path())));
        let pairs = compare(
            criterion,
            &format!("{name}, {place}, warm"),
            || Duration::ZERO,
            || {
                let (time, requests) = first_of_file(&url, stored.path());
                assert_eq!(requests, 0);
                time
            },
        );
        report.pairs(format!("{name}, {place}, warm, no request"), "ms", &pairs, Target::Ours(5.0));
    }
}

/// HTTP/2: the init section and the first segment are asked for at once, over one connection.
fn multiplexed(criterion: &mut Criterion, report: &mut Report, server: &Server) {
    let master = server.far(MASTER);
    let name = "HLS, 50 ms, cold, HTTP/2";
    let pairs = compare(
        criterion,
        name,
        || Duration::ZERO,
        || {
            cold(|folder| {
                let mut settings = NetOptions::default();
                settings.http.version = VersionSetting::Http2PriorKnowledge;
                first_of_hls_with(&master, settings.build(), folder).0
            })
        },
    );
    report.pairs(name, "ms", &pairs, Target::Ours(225.0));
}

/// Places of the long presentation, far from each other, in the middle of segments and at their borders.
const PLACES: [f64; 8] = [302.0, 61.5, 500.0, 128.0, 431.9, 256.1, 77.0, 350.3];

/// A seek to PCM in what is stored.
fn seek_stored(report: &mut Report, server: &Server) {
    let runtime = runtime();
    let stored = tempfile::tempdir().unwrap();
    for (path, name) in [(long::playlist_path("128k"), "HLS"), (long::MP3.to_owned(), "MP3")] {
        let url = server.near(&path);
        let pairs = Pairs::default();
        runtime.block_on(async {
            if name == "HLS" {
                play_hls(&url, disk(stored.path()), VariantMode::Auto).await;
                let mut stream = open_hls(&url, disk(stored.path()), VariantMode::Auto).await;
                for place in PLACES {
                    let begun = Instant::now();
                    stream.seek(Duration::from_secs_f64(place)).await.unwrap();
                    stream.next_chunk().await.unwrap().unwrap();
                    pairs.push(begun.elapsed().as_secs_f64() * 1e3, 0.0);
                }
                assert_eq!(stream.stats().requests, 0);
            } else {
                play_file(&url, disk(stored.path())).await;
                let mut stream = open_file(&url, disk(stored.path())).await;
                for place in PLACES {
                    let begun = Instant::now();
                    stream.seek(Duration::from_secs_f64(place)).await.unwrap();
                    stream.next_chunk().await.unwrap().unwrap();
                    pairs.push(begun.elapsed().as_secs_f64() * 1e3, 0.0);
                }
            }
        });
        report.pairs(format!("seek to PCM, {name}, stored"), "ms", &pairs, Target::Ours(3.0));
    }
}

/// A seek to PCM in what is not stored, at 50 ms, with connections open and nothing under way. The floor is a bare GET of
/// the place over an open connection.
fn seek_far(report: &mut Report, server: &Server) {
    let runtime = runtime();
    let (hls, mp3) = (Pairs::default(), Pairs::default());
    runtime.block_on(async {
        let client = floor::client();
        let segments = long::segments("128k");
        let folder = tempfile::tempdir().unwrap();
        let url = server.far(&long::playlist_path("128k"));
        let mut stream = open_hls(&url, disk(folder.path()), VariantMode::Auto).await;
        stream.next_chunk().await.unwrap().unwrap();
        floor::get(&client, &server.far(&segments[0].0)).await;
        for place in PLACES {
            // Time for the look-ahead to become full.
            tokio::time::sleep(Duration::from_millis(700)).await;
            let begun = Instant::now();
            floor::get_first(&client, &server.far(&segments[(place / 4.0) as usize].0)).await;
            let floor = begun.elapsed();
            let begun = Instant::now();
            stream.seek(Duration::from_secs_f64(place)).await.unwrap();
            stream.next_chunk().await.unwrap().unwrap();
            hls.push(begun.elapsed().as_secs_f64() * 1e3, floor.as_secs_f64() * 1e3);
        }
        let url = server.far(long::MP3);
        let mut stream = open_file(&url, disk(folder.path())).await;
        stream.next_chunk().await.unwrap().unwrap();
        for place in PLACES {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let begun = Instant::now();
            floor::get(&client, &server.far(&segments[0].0)).await;
            let floor = begun.elapsed();
            let begun = Instant::now();
            stream.seek(Duration::from_secs_f64(place)).await.unwrap();
            stream.next_chunk().await.unwrap().unwrap();
            mp3.push(begun.elapsed().as_secs_f64() * 1e3, floor.as_secs_f64() * 1e3);
        }
    });
    report.pairs("seek to PCM, HLS, not stored, 50 ms", "ms", &hls, Target::Difference(10.0));
    report.pairs("seek to PCM, MP3, not stored, 50 ms", "ms", &mp3, Target::Difference(10.0));
}

/// To the first PCM of a presentation, and the requests until then.
fn first_of_hls(url: &str, folder: &Path) -> (Duration, u64) {
    first_of_hls_with(url, DefaultNet::default(), folder)
}

fn first_of_hls_with(url: &str, net: DefaultNet, folder: &Path) -> (Duration, u64) {
    // With a runtime of its own, which is gone with all that still runs in it before anything else is measured.
    runtime().block_on(async {
        let begun = Instant::now();
        let mut stream = open_hls_with(url, net, disk(folder), VariantMode::Auto).await;
        assert!(stream.next_chunk().await.unwrap().is_some());
        (begun.elapsed(), stream.stats().requests)
    })
}

fn first_of_file(url: &str, folder: &Path) -> (Duration, u64) {
    runtime().block_on(async {
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

fn timed(run: impl AsyncFnOnce(reqwest::Client)) -> Duration {
    let (runtime, client) = (runtime(), floor::client());
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
