//! CPU and wall time of whole presentations and files through the whole stack, over HTTP with a disk cache (cold, then
//! warm), each beside bare Symphonia on the same bytes in memory, in turns.
//!
//! CPU is that of all threads of this process (the origin is another one). Ours includes the requests, the store with its
//! fsyncs, and interleaving; the floor stops at Symphonia's planar buffers. A wall time of less than the floor's means
//! that a second core decoded ahead. The targets are for streams of ten minutes; half a minute, or five seconds of a file,
//! show what opening costs: a client, a folder, a codec. Caches are below the folder for temporary files, so that `TMPDIR`
//! chooses the file system.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use kithara::hls::VariantMode;
use kithara_testkit::media::{self, Fixture};
use support::measure::{Cost, Pairs, cost};
use support::report::{Report, Target};
use support::server::Server;
use support::{FILES, MASTER, VARIANTS, child, criterion, disk, floor, long, play_file, play_hls, runtime};

/// Runs of a stream of ten minutes.
const LONG_RUNS: usize = 3;

/// CPU against bare Symphonia.
const COLD: Target = Target::Ratio(1.15);
const WARM: Target = Target::Ratio(1.10);

fn main() {
    if child::has_played(&[]) {
        return;
    }
    let server = Server::start();
    let mut criterion = criterion(100, 500);
    let mut report = Report::new("throughput");
    for (variant, name) in [("128k", "HLS AAC, 10 min"), ("flac", "HLS FLAC, 10 min")] {
        ten_minutes(&mut report, &server, variant, name);
    }
    for (variant, fixture, name) in VARIANTS {
        let fixture = media::find(fixture).unwrap();
        let (mode, url) = (VariantMode::Manual(variant), server.near(MASTER));
        let play = |folder: &Path| runtime().block_on(play_hls(&url, disk(folder), mode));
        measure(&mut criterion, &mut report, name, fixture, play);
    }
    for (fixture, name) in FILES {
        let fixture = media::find(fixture).unwrap();
        let url = server.near(&format!("/{}", fixture.entry));
        let play = |folder: &Path| runtime().block_on(play_file(&url, disk(folder)));
        measure(&mut criterion, &mut report, name, fixture, play);
    }
    criterion.final_summary();
    report.finish();
}

/// Cold and warm runs of one fixture; `play` gives frames and requests.
fn measure(
    criterion: &mut Criterion,
    report: &mut Report,
    name: &str,
    fixture: &Fixture,
    play: impl Fn(&Path) -> (u64, u64),
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
    for (state, [cpu, wall]) in [("cold", cold), ("warm", warm)] {
        report.pairs(format!("{name}, {state}: CPU"), "ms", &cpu, Target::None);
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

/// Ten minutes, cold, warm, and by the same GETs with bare reqwest (which keeps nothing, or makes a file of each body) and
/// bare Symphonia that decodes each body once it is there, in turns with bare Symphonia on the same bytes.
fn ten_minutes(report: &mut Report, server: &Server, variant: &str, name: &str) {
    let (init, fragments) = long::fragments(variant);
    let bytes: &'static [u8] =
        Vec::leak(init.iter().copied().chain(fragments.flatten()).collect::<Vec<u8>>());
    let url = server.near(&long::playlist_path(variant));
    let play = |folder: &Path| {
        cost(|| {
            let (frames, _) = runtime().block_on(play_hls(&url, disk(folder), VariantMode::Auto));
            assert!(frames > 20_000_000);
        })
    };
    let segments = long::segments(variant).into_iter().map(|(path, _)| server.near(&path));
    let urls: Vec<String> = [server.near(&long::init_path(variant))].into_iter().chain(segments).collect();
    let bare = |folder: Option<&Path>| {
        let (client, folder) = (floor::client(), folder.map(Path::to_owned));
        cost(|| assert!(floor::decode_arriving(client, urls.clone(), folder) > 20_000_000))
    };
    // Kept to the end: ext4 without a journal looks long for a place for new files where many were just removed.
    let temporary =
        || -> Vec<tempfile::TempDir> { (0..LONG_RUNS).map(|_| tempfile::tempdir().unwrap()).collect() };
    let (folders, bare_folders) = (temporary(), temporary());
    let pairs: [Pairs; 8] = std::array::from_fn(|_| Pairs::default());
    for (folder, bare_folder) in folders.iter().zip(&bare_folders) {
        let floor = cost(|| assert!(floor::decode(bytes) > 0));
        let runs = [play(folder.path()), play(folder.path()), bare(None), bare(Some(bare_folder.path()))];
        for (n, ours) in runs.into_iter().enumerate() {
            pairs[2 * n].push(millis(ours.cpu), millis(floor.cpu));
            pairs[2 * n + 1].push(millis(ours.wall), millis(floor.wall));
        }
    }
    let states = [
        ("cold", COLD),
        ("warm", WARM),
        ("bare reqwest and Symphonia", Target::None),
        ("bare reqwest to files, and Symphonia", Target::None),
    ];
    for (n, (state, target)) in states.into_iter().enumerate() {
        report.pairs(format!("{name}, {state}: CPU"), "ms", &pairs[2 * n], target);
        report.pairs(format!("{name}, {state}: wall"), "ms", &pairs[2 * n + 1], Target::None);
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
