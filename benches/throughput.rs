//! CPU and wall time of whole presentations and files through the whole stack, over HTTP with a disk cache (cold, then
//! warm), each beside bare Symphonia on the same bytes in memory, in turns.
//!
//! CPU is that of all threads of this process (the origin is another one). Ours includes the requests, the store with its
//! fsyncs, and interleaving; the floor stops at Symphonia's planar buffers. A wall time of less than the floor's means
//! that a second core decoded ahead.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use criterion::Criterion;
use kithara::hls::VariantMode;
use kithara_testkit::media::{self, Fixture};
use support::measure::{Cost, Pairs, cost};
use support::report::{Report, Target};
use support::server::{self, Server};
use support::{FILES, MASTER, VARIANTS, disk, floor, play_file, play_hls, runtime};

/// CPU against bare Symphonia.
const COLD: Target = Target::Ratio(1.15);
const WARM: Target = Target::Ratio(1.10);

fn main() {
    if server::has_served() {
        return;
    }
    let server = Server::start();
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(1200))
        .configure_from_args();
    let mut report = Report::new("throughput");
    for (variant, fixture, name) in VARIANTS {
        let fixture = media::find(fixture).unwrap();
        let (mode, url) = (VariantMode::Manual(variant), server.near(MASTER));
        let play = |folder: &std::path::Path| runtime().block_on(play_hls(&url, disk(folder), mode));
        measure(&mut criterion, &mut report, name, fixture, (COLD, WARM), play);
    }
    for (fixture, name) in FILES {
        let fixture = media::find(fixture).unwrap();
        let url = server.near(&format!("/{}", fixture.entry));
        let play = |folder: &std::path::Path| runtime().block_on(play_file(&url, disk(folder)));
        measure(&mut criterion, &mut report, name, fixture, (Target::None, Target::None), play);
    }
    bare_http(&mut criterion, &mut report, &server);
    criterion.final_summary();
    report.finish();
}

/// Cold and warm runs of one fixture; `play` gives frames and requests.
fn measure(
    criterion: &mut Criterion,
    report: &mut Report,
    name: &str,
    fixture: &Fixture,
    (cold_target, warm_target): (Target, Target),
    play: impl Fn(&std::path::Path) -> (u64, u64),
) {
    let bytes = floor::joined(fixture);
    let temporary = || tempfile::tempdir().unwrap();
    let cold = compare(criterion, &format!("{name}, cold"), bytes, || {
        let folder = temporary();
        let cost = cost(|| assert_eq!(play(folder.path()).0, fixture.frames));
        drop(folder);
        cost
    });
    let stored = temporary();
    play(stored.path());
    let warm = compare(criterion, &format!("{name}, warm"), bytes, || {
        cost(|| assert_eq!(play(stored.path()), (fixture.frames, 0), "frames, requests"))
    });
    for (state, [cpu, wall], target) in [("cold", cold, cold_target), ("warm", warm, warm_target)] {
        report.pairs(format!("{name}, {state}: CPU"), "ms", &cpu, target);
        report.pairs(format!("{name}, {state}: wall"), "ms", &wall, Target::None);
    }
}

/// Ours and the floor in turns: CPU, wall.
fn compare(criterion: &mut Criterion, id: &str, bytes: &'static [u8], ours: impl Fn() -> Cost) -> [Pairs; 2] {
    let (cpu, wall) = (Pairs::default(), Pairs::default());
    criterion.bench_function(id, |bencher| {
        bencher.iter_custom(|count| {
            let mut total = Duration::ZERO;
            for _ in 0..count {
                let (ours, floor) = (ours(), cost(|| assert!(floor::decode(bytes) > 0)));
                cpu.push(millis(ours.cpu), millis(floor.cpu));
                wall.push(millis(ours.wall), millis(floor.wall));
                total += ours.wall;
            }
            total
        });
    });
    [cpu, wall]
}

/// For comparison, what nobody can do without: the same GETs by bare reqwest into memory, then bare Symphonia.
fn bare_http(criterion: &mut Criterion, report: &mut Report, server: &Server) {
    for (_, fixture, name) in VARIANTS {
        let fixture = media::find(fixture).unwrap();
        let bytes = floor::joined(fixture);
        let urls: Vec<String> =
            floor::paths(fixture).iter().map(|path| server.near(&format!("/{path}"))).collect();
        let [cpu, wall] = compare(criterion, &format!("{name}, bare reqwest + Symphonia"), bytes, || {
            let client = floor::client();
            cost(|| {
                let fetched = runtime().block_on(async {
                    let mut fetched = 0;
                    for url in &urls {
                        fetched += floor::get(&client, url).await;
                    }
                    fetched
                });
                assert_eq!(fetched, bytes.len() as u64);
                assert!(floor::decode(bytes) > 0);
            })
        });
        report.pairs(format!("{name}, bare reqwest + Symphonia: CPU"), "ms", &cpu, Target::None);
        report.pairs(format!("{name}, bare reqwest + Symphonia: wall"), "ms", &wall, Target::None);
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
