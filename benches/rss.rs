//! Peak resident memory of a whole process that plays one stream: runtime, network, store, decoder, program text.
//!
//! Each case is a process of its own that plays ten minutes with the loop of `examples/hls_decode.rs`; the origin is
//! another process. The floor is a process that gets the same bodies one after the other by bare reqwest and decodes them
//! by bare Symphonia. All of these are this program, whose text is larger than a player's (criterion, plotters, an origin; no
//! linking as a whole): they tell what a stream costs beside the floor. The targets are the example's, which is measured
//! where it was built before:
//!
//! ```sh
//! cargo build --release --example hls_decode
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::report::{Report, Target};
use support::server::Server;
use support::{MASTER, child, long, play, tls};

const RUNS: usize = 3;

/// The most that is allowed, in MiB.
const AAC: Target = Target::Ours(8.0);
const TLS: Target = Target::Ours(10.0);
const FLAC: Target = Target::Ours(10.0);

/// Times playback speed: ten minutes in ten seconds.
const REALTIME: f64 = 60.0;

fn main() {
    if child::has_played(&[("play", play::play), ("bare", play::bare)]) {
        return;
    }
    let server = Server::start();
    let mut report = Report::new("rss");
    let aac = server.near(&long::playlist_path("128k"));
    let floor = bare(&server, "128k");
    let flac_floor = bare(&server, "flac");
    case(&mut report, "HLS AAC, disk", &aac, true, None, floor);
    case(&mut report, "HLS AAC, disk, in real time (60x)", &aac, true, Some(REALTIME), floor);
    case(&mut report, "HLS AAC, memory", &aac, false, None, floor);
    case(&mut report, "HLS AAC, disk, TLS", &server.secure(&long::playlist_path("128k")), true, None, floor);
    case(&mut report, "HLS, four variants, disk", &server.near(MASTER), true, None, floor);
    case(&mut report, "HLS FLAC, disk", &server.near(&long::playlist_path("flac")), true, None, flac_floor);
    let large = server.near(&long::playlist_path(long::LARGE));
    case(&mut report, "HLS FLAC, segments of 2 MB, disk", &large, true, None, flac_floor);
    case(&mut report, "MP3, disk", &server.near(long::MP3), true, None, floor);
    let example = support::target().join("release/examples/hls_decode");
    if example.exists() {
        let mut row = |name: &str, url: &str, target| {
            report.alone(format!("hls_decode, {name}"), "MiB", of_example(&example, url), target);
        };
        row("AAC", &aac, AAC);
        row("AAC, TLS", &server.secure(&long::playlist_path("128k")), TLS);
        row("FLAC", &server.near(&long::playlist_path("flac")), FLAC);
        row("FLAC, segments of 2 MB", &large, FLAC);
    }
    report.finish();
}

fn case(report: &mut Report, name: &str, url: &str, on_disk: bool, speed: Option<f64>, floor: f64) {
    let mut answers: Vec<Value> = (0..RUNS).map(|_| played(url, on_disk, speed)).collect();
    answers.sort_by(|a, b| f64::total_cmp(&mebibytes(a), &mebibytes(b)));
    let median = &answers[RUNS / 2];
    let name = format!("{name} ({} threads, {} files)", median["threads"], median["files"]);
    report.beside(name, "MiB", mebibytes(median), floor, Target::None);
}

fn played(url: &str, on_disk: bool, speed: Option<f64>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let cache = on_disk.then(|| folder.path().to_str().unwrap());
    let answer = child::call("play", &json!({ "url": url, "cache": cache, "speed": speed }));
    assert!(answer["frames"].as_u64().unwrap() > 1_000_000);
    answer
}

fn bare(server: &Server, variant: &str) -> f64 {
    let segments = long::segments(variant).into_iter().map(|(path, _)| server.near(&path));
    let urls: Vec<String> = [server.near(&long::init_path(variant))].into_iter().chain(segments).collect();
    mebibytes(&child::call("bare", &json!({ "urls": urls })))
}

/// What the example says of itself, in MiB. It trusts the server by way of the system's roots.
fn of_example(example: &Path, url: &str) -> f64 {
    let mut roots = tempfile::NamedTempFile::new().unwrap();
    roots.write_all(tls::ROOT).unwrap();
    let output = Command::new(example)
        .arg(url)
        .env("SSL_CERT_FILE", roots.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("the example starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("peak RSS")).expect("its peak RSS");
    line.trim().trim_end_matches(" MiB").parse().unwrap()
}

fn mebibytes(answer: &Value) -> f64 {
    answer["peak_rss"].as_f64().unwrap_or(f64::NAN) / 1_048_576.0
}
