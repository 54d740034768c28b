//! Bytes and calls allocated per second of audio in steady state, by all threads of this process (the origin is another
//! one), beside bare reqwest that gets the same bytes and drops them.
//!
//! Ten minutes are played as fast as they come. What the first minute and the last one take does not count; the floor
//! leaves out as much. Counts vary by a few per cent with how the bytes arrive: the median of three runs is shown.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use kithara::assets::{AssetSettings, AssetStore};
use kithara::bufpool::{PoolSettings, SamplePool};
use kithara::decode::{AudioSpec, PcmChunk, SegmentDecoder, SegmentDecoderSettings, SegmentStart};
use kithara::hls::VariantMode;
use kithara::net::DefaultNet;
use kithara_testkit::alloc::{Counting, Tally};
use support::measure::Pairs;
use support::report::{Report, Target};
use support::server::Server;
use support::{child, disk, floor, long, open_file, open_hls, open_hls_with, play_hls, runtime};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Seconds of audio that count.
const STEADY: Range<f64> = 60.0..540.0;
const RUNS: usize = 3;

/// Bytes and calls per second of audio.
type Rate = (f64, f64);

fn main() {
    if child::has_played(&[]) {
        return;
    }
    let server = Server::start();
    let mut report = Report::new("allocation");
    for (variant, name) in [("128k", "HLS AAC"), ("flac", "HLS FLAC")] {
        presentation(&mut report, &server, variant, name);
    }
    let bare = || reqwest_alone(&[(server.near(long::MP3), 0.0)]);
    rows(&mut report, "MP3, disk cold", Target::None, bare, || {
        let folder = tempfile::tempdir().unwrap();
        file(&server.near(long::MP3), disk(folder.path()))
    });
    held(&mut report, &server);
    held_for_hours(&mut report, &server);
    for (rate, name) in [(None, "decode alone, AAC"), (Some(48_000), "decode + resample alone, AAC")] {
        rows(&mut report, name, Target::Ours(0.0), || (0.0, 0.0), || decode_alone(rate));
    }
    report.finish();
}

fn presentation(report: &mut Report, server: &Server, variant: &str, name: &str) {
    let url = server.near(&long::playlist_path(variant));
    let segments: Vec<(String, f64)> =
        long::segments(variant).into_iter().map(|(path, length)| (server.near(&path), length)).collect();
    rows(
        report,
        &format!("{name}, disk cold"),
        Target::Ratio(1.3),
        || reqwest_alone(&segments),
        || {
            let folder = tempfile::tempdir().unwrap();
            hls(&url, disk(folder.path()))
        },
    );
    rows(
        report,
        &format!("{name}, memory"),
        Target::None,
        || reqwest_alone(&segments),
        || hls(&url, AssetStore::memory(AssetSettings::default())),
    );
    let stored = tempfile::tempdir().unwrap();
    runtime().block_on(play_hls(&url, disk(stored.path()), VariantMode::Auto));
    rows(
        report,
        &format!("{name}, disk warm"),
        Target::None,
        || (0.0, 0.0),
        || hls(&url, disk(stored.path())),
    );
}

/// What a stream holds on the heap while its look-ahead is full of segments of 2 MB and nothing is on its way, and by how
/// much that grows from the second minute to the tenth. Idle connections belong to the network stack, and hyper's read buffers
/// with them: they have a row of their own.
fn held(report: &mut Report, server: &Server) {
    for (name, on_disk, target) in [("disk", true, 1.0), ("memory", false, 10.0)] {
        let [early, late] = [60.0, 540.0].map(|at| hold(server, long::LARGE, on_disk, at));
        let name = |what: &str| format!("HLS, segments of 2 MB, {name}: {what}");
        report.alone(name("held at rest"), "MB", early.stream, Target::Ours(target));
        report.alone(name("growth in 8 minutes"), "MB", late.stream - early.stream, Target::Ours(0.1));
        report.alone(name("idle connections"), "MB", early.connections, Target::None);
    }
}

/// The same of a whole day's work, on request: `KITHARA_BENCH_HOURS=10` plays ten hours of AAC in two minutes, and tells what
/// the last hour has more than the first. A disk store notes each stored segment in some 140 bytes of memory.
fn held_for_hours(report: &mut Report, server: &Server) {
    let hours = long::hours();
    if hours < 2 {
        return;
    }
    for (name, on_disk) in [("disk", true), ("memory", false)] {
        let end = hours as f64 * 3_600.0 - 120.0;
        let [early, late] = [3_600.0, end].map(|at| hold(server, long::HOURS, on_disk, at));
        let name = |what: &str| format!("HLS AAC, {hours} hours, {name}: {what}");
        report.alone(name("held after the first"), "MB", early.stream, Target::None);
        report.alone(
            name("growth from the first to the last"),
            "MB",
            late.stream - early.stream,
            Target::None,
        );
    }
}

/// Megabytes on the heap.
struct Held {
    stream: f64,
    connections: f64,
}

/// Plays up to `seconds`, and rests.
fn hold(server: &Server, variant: &str, on_disk: bool, seconds: f64) -> Held {
    let folder = tempfile::tempdir().unwrap();
    let assets = if on_disk { disk(folder.path()) } else { AssetStore::memory(AssetSettings::default()) };
    let url = server.near(&long::playlist_path(variant));
    let before = Tally::now();
    let live = async |after: Duration| {
        tokio::time::sleep(after).await;
        ((Tally::now() - before).live as i64) as f64 / 1e6
    };
    runtime().block_on(async {
        let net = DefaultNet::default();
        let mut stream = open_hls_with(&url, net.clone(), assets.clone(), VariantMode::Auto).await;
        while stream.next_chunk().await.unwrap().unwrap().time().as_secs_f64() < seconds {}
        // Until the look-ahead is full.
        let all = live(Duration::from_millis(1500)).await;
        drop(stream);
        let without_stream = live(Duration::from_millis(200)).await;
        drop(net);
        let connections = without_stream - live(Duration::from_millis(200)).await;
        Held { stream: all - connections, connections }
    })
}

/// Two rows: bytes, calls. The target is for the bytes, and where it is zero for both.
fn rows(report: &mut Report, name: &str, target: Target, floor: impl Fn() -> Rate, ours: impl Fn() -> Rate) {
    let (bytes, calls) = (Pairs::default(), Pairs::default());
    for _ in 0..RUNS {
        let (floor, ours) = (floor(), ours());
        bytes.push(ours.0 / 1e3, floor.0 / 1e3);
        calls.push(ours.1, floor.1);
    }
    report.pairs(format!("{name}: KB per second"), "KB", &bytes, target);
    let target = if matches!(target, Target::Ours(_)) { target } else { Target::None };
    report.pairs(format!("{name}: calls per second"), "calls", &calls, target);
}

/// Watches the position and notes what had been allocated when the steady part began and ended.
#[derive(Default)]
struct Steady {
    begin: Option<(f64, Tally)>,
    end: Option<(f64, Tally)>,
}

impl Steady {
    fn at(&mut self, seconds: f64) {
        if self.begin.is_none() && seconds >= STEADY.start {
            self.begin = Some((seconds, Tally::now()));
        }
        if self.end.is_none() && seconds >= STEADY.end {
            self.end = Some((seconds, Tally::now()));
        }
    }

    fn chunk(&mut self, chunk: &PcmChunk) {
        self.at(chunk.time().as_secs_f64());
    }

    fn rate(self) -> Rate {
        let ((from, before), (to, after)) = (self.begin.unwrap(), self.end.unwrap());
        let used = after - before;
        (used.bytes as f64 / (to - from), used.calls as f64 / (to - from))
    }
}

fn hls(url: &str, assets: AssetStore) -> Rate {
    runtime().block_on(async {
        let mut steady = Steady::default();
        let mut stream = open_hls(url, assets, VariantMode::Auto).await;
        while let Some(chunk) = stream.next_chunk().await.unwrap() {
            steady.chunk(&chunk);
        }
        steady.rate()
    })
}

fn file(url: &str, assets: AssetStore) -> Rate {
    runtime().block_on(async {
        let mut steady = Steady::default();
        let mut stream = open_file(url, assets).await;
        while let Some(chunk) = stream.next_chunk().await.unwrap() {
            steady.chunk(&chunk);
        }
        steady.rate()
    })
}

/// GETs one after the other over one connection, every chunk dropped. A single body (of no length here) lasts ten minutes.
fn reqwest_alone(resources: &[(String, f64)]) -> Rate {
    runtime().block_on(async {
        let client = floor::client();
        let (mut steady, mut seconds) = (Steady::default(), 0.0);
        for (url, length) in resources {
            if *length > 0.0 {
                steady.at(seconds);
                floor::get(&client, url).await;
                seconds += length;
            } else {
                // Constant bitrate: 16,000 bytes are a second.
                let mut response = client.get(url).send().await.unwrap();
                while let Some(chunk) = response.chunk().await.unwrap() {
                    seconds += chunk.len() as f64 / 16_000.0;
                    steady.at(seconds);
                }
            }
        }
        steady.rate()
    })
}

/// The incremental decoder alone, fed from memory in pieces of 16 KiB.
fn decode_alone(sample_rate: Option<u32>) -> Rate {
    let mut settings = SegmentDecoderSettings::new(SamplePool::new(PoolSettings::default()));
    settings.output.rate = sample_rate;
    let mut decoder = SegmentDecoder::new(settings);
    let (init, fragments) = long::fragments("128k");
    let (init, segments) = (Bytes::from_static(init), fragments.collect::<Vec<Bytes>>());
    // The first clone of a body makes its reference count: not the decoder's doing.
    let _clones = segments.clone();
    let (mut steady, mut start) = (Steady::default(), 0.0);
    for (n, (segment, (_, length))) in segments.iter().zip(long::segments("128k")).enumerate() {
        steady.at(start);
        decoder
            .begin_segment(SegmentStart {
                init: Some(init.clone()),
                timeline_start: Duration::from_secs_f64(start),
                duration: Duration::from_secs_f64(length),
                is_first: n == 0,
                discontinuity: false,
                variant: 0,
                ..SegmentStart::default()
            })
            .unwrap();
        for at in (0..segment.len()).step_by(16 << 10) {
            decoder.push(segment.slice(at..(at + (16 << 10)).min(segment.len()))).unwrap();
            while let Some(chunk) = decoder.next_chunk().unwrap() {
                let AudioSpec { sample_rate, .. } = chunk.spec();
                assert!(sample_rate > 0);
            }
        }
        decoder.end_segment().unwrap();
        while decoder.next_chunk().unwrap().is_some() {}
        start += length;
    }
    steady.rate()
}
