//! How segments are fetched: in parallel or not, over connections that are kept or not, and what a seek does to fetches
//! that nobody needs any more. At 50 ms round trip, each variant in turns with what it is compared with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use kithara::assets::{AssetSettings, AssetStore};
use kithara::bufpool::{PoolSettings, SamplePool};
use kithara::decode::{SegmentDecoder, SegmentDecoderSettings, SegmentStart};
use kithara::hls::{Hls, HlsOptions, HlsStream, VariantMode};
use kithara::net::{DefaultNet, NetOptions};
use kithara_testkit::media;
use support::measure::Pairs;
use support::report::{Report, Target};
use support::server::Server;
use support::{MASTER, child, floor, long, runtime};

const RUNS: usize = 3;

/// 256 kbit/s, so that a segment takes some round trips of a young connection.
const VARIANT: VariantMode = VariantMode::Manual(2);

/// Segments that are on the way at once by default.
const PARALLEL: usize = 4;

fn main() {
    if child::has_played(&[]) {
        return;
    }
    let server = Server::start();
    let mut report = Report::new("segment_fetch");
    join(&mut report);
    let url = server.far(MASTER);
    let reused = |parallel| presentation(&url, NetOptions::default(), parallel);
    let closed = |parallel| {
        let mut settings = NetOptions::default();
        settings.http.max_idle_per_host = 0;
        presentation(&url, settings, parallel)
    };
    let name = "33 s of HLS at 50 ms: four fetches beside one at a time";
    compare(&mut report, name, Target::Ratio(0.7), || reused(PARALLEL).1, || reused(1).1);
    let name = "33 s of HLS at 50 ms: connections kept beside closed";
    compare(&mut report, name, Target::Ratio(0.8), || reused(PARALLEL).1, || closed(PARALLEL).1);
    let name = "first PCM at 50 ms: connections kept beside closed";
    compare(&mut report, name, Target::Ratio(0.9), || reused(PARALLEL).0, || closed(PARALLEL).0);
    let thin = server.thin(&long::playlist_path("128k"));
    let segments: Vec<String> =
        long::segments("128k").into_iter().map(|(path, _)| server.thin(&path)).collect();
    let name = "seek to PCM at 50 ms and 100 KB/s, fetches under way";
    compare(&mut report, name, Target::Difference(60.0), || seek_under_way(&thin), || bare_fetch(&segments));
    report.finish();
}

fn compare(
    report: &mut Report,
    name: &str,
    target: Target,
    ours: impl Fn() -> Duration,
    floor: impl Fn() -> Duration,
) {
    let pairs = Pairs::default();
    for _ in 0..RUNS {
        let (floor, ours) = (floor(), ours());
        pairs.push(ours.as_secs_f64() * 1e3, floor.as_secs_f64() * 1e3);
    }
    report.pairs(name, "ms", &pairs, target);
}

/// An init section and 2 MB of media become one thing: by a copy, as it was once done, and by pushing one after the other.
fn join(report: &mut Report) {
    let init = Bytes::from_static(media::file("hls/aac4/flac/init.mp4").unwrap());
    let media = Bytes::from(vec![0_u8; 2 << 20]);
    let copied = || {
        let mut both = Vec::with_capacity(init.len() + media.len());
        both.extend_from_slice(&init);
        both.extend_from_slice(&media);
        drop(std::hint::black_box(both));
    };
    let begun = || {
        let pool = SamplePool::new(PoolSettings::default());
        let mut decoder = SegmentDecoder::new(SegmentDecoderSettings::new(pool));
        let start = SegmentStart {
            init: Some(init.clone()),
            duration: Duration::from_secs(4),
            is_first: true,
            ..SegmentStart::default()
        };
        decoder.begin_segment(start).unwrap();
        decoder
    };
    let pairs = Pairs::default();
    for _ in 0..100 {
        let mut decoder = begun();
        let push = || decoder.push(std::hint::black_box(media.clone())).unwrap();
        let (floor, ours) = (timed(copied), timed(push));
        pairs.push(ours.as_secs_f64() * 1e6, floor.as_secs_f64() * 1e6);
    }
    report.pairs("init section and 2 MB of media joined, beside a copy", "µs", &pairs, Target::Ratio(1.0));
}

fn timed(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

async fn open(url: &str, settings: NetOptions, parallel: usize, variant: VariantMode) -> HlsStream {
    let assets = AssetStore::memory(AssetSettings::default());
    let mut options = HlsOptions::<DefaultNet>::new(settings.build(), assets);
    options.variant = variant;
    options.look_ahead.parallel = parallel;
    Hls::open(url.parse().unwrap(), options).await.unwrap()
}

/// A whole presentation with a network stack of its own: to the first PCM, to the last.
fn presentation(url: &str, settings: NetOptions, parallel: usize) -> (Duration, Duration) {
    runtime().block_on(async {
        let begun = Instant::now();
        let mut stream = open(url, settings, parallel, VARIANT).await;
        let first = begun.elapsed();
        while stream.next_chunk().await.unwrap().is_some() {}
        (first, begun.elapsed())
    })
}

/// Far ahead, right after the beginning was heard: segments of the beginning are on their way and would go on for seconds.
fn seek_under_way(url: &str) -> Duration {
    runtime().block_on(async {
        let mut stream = open(url, NetOptions::default(), PARALLEL, VariantMode::Auto).await;
        stream.next_chunk().await.unwrap();
        let begun = Instant::now();
        stream.seek(Duration::from_secs(302)).await.unwrap();
        stream.next_chunk().await.unwrap();
        begun.elapsed()
    })
}

/// The whole segment over a new connection (an aborted fetch closes its own), with the line for itself. The place that is
/// sought lies in the middle of it.
fn bare_fetch(segments: &[String]) -> Duration {
    runtime().block_on(async {
        let client = floor::client();
        let begun = Instant::now();
        let mut response = client.get(&segments[75]).send().await.unwrap();
        let half = response.content_length().unwrap() / 2;
        let mut len = 0;
        while len < half {
            len += response.chunk().await.unwrap().unwrap().len() as u64;
        }
        begun.elapsed()
    })
}
