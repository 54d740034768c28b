//! What a stream costs, in counts that no noise can move: requests, round trips, wake-ups, threads, open files, copies,
//! allocations. A figure that gets worse fails here; how long things take is measured by the benches.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use kithara::assets::{AssetSettings, AssetStore, Assets};
use kithara::bufpool::{PoolSettings, SamplePool};
use kithara::decode::{SegmentDecoder, SegmentDecoderSettings, SegmentStart};
use kithara::file::{File, FileOptions};
use kithara::hls::{HlsOptions, VariantMode};
use kithara_testkit::alloc::{Counting, Tally};
use kithara_testkit::{Gate, HeldClock, Origin, Reply, media};
use support::{impatient, memory, open_hls};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const MASTER: &str = "/hls/aac4/master.m3u8";

/// A store in a folder, opened anew.
fn disk(folder: &Path) -> AssetStore {
    AssetStore::disk(folder, AssetSettings::default()).unwrap()
}

#[tokio::test]
async fn the_first_pcm_of_a_presentation_takes_three_rounds_of_requests() {
    let origin = Origin::start().await.unwrap();
    let rounds: [&[&str]; 3] =
        [&[MASTER], &["/hls/aac4/64k/index.m3u8"], &["/hls/aac4/64k/init.mp4", "/hls/aac4/64k/seg0.m4s"]];
    let gates: Vec<Gate> = rounds.iter().map(|_| Gate::new()).collect();
    for (paths, gate) in rounds.iter().zip(&gates) {
        for path in *paths {
            origin.always(path, Reply::ok().gate(gate));
        }
    }
    let url = origin.url(MASTER);
    let opening = tokio::spawn(async move {
        let mut stream = open_hls(&url, HlsOptions::new(impatient(), memory())).await.unwrap();
        stream.next_chunk().await.unwrap().unwrap();
        stream
    });
    let mut asked = 0;
    for (paths, gate) in rounds.iter().zip(&gates) {
        // All of a round are asked for before any of them is answered, and nothing else is.
        gate.wait_for_arrivals(paths.len()).await;
        asked += paths.len();
        assert_eq!(origin.requests().len(), asked, "{:?}", origin.requests());
        gate.open();
    }
    drop(opening.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_first_pcm_of_a_file_takes_one_request() {
    // No answer is so late that another one is asked for.
    let _clock = HeldClock::new();
    for path in
        ["/file/cbr.mp3", "/file/vbr.mp3", "/file/lossless.flac", "/file/faststart.m4a", "/file/vorbis.ogg"]
    {
        let origin = Origin::start().await.unwrap();
        let url = origin.url(path).parse().unwrap();
        let mut stream = File::open(url, FileOptions::new(impatient(), memory())).await.unwrap();
        stream.next_chunk().await.unwrap().unwrap();
        assert_eq!(origin.requests().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_stored_presentation_is_opened_played_and_sought_without_a_request() {
    let origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let locked = || {
        let mut options = HlsOptions::new(impatient(), disk(folder.path()));
        options.variant = VariantMode::Manual(1);
        options
    };
    let options = locked();
    let assets = options.assets.clone();
    let mut stream = open_hls(&origin.url(MASTER), options).await.unwrap();
    while stream.next_chunk().await.unwrap().is_some() {}
    drop(stream);
    assets.flush().await.unwrap();
    drop(assets);
    // Master playlist, media playlist, init section, nine segments.
    assert_eq!(origin.requests().len(), 12);
    origin.forget();

    let mut stream = open_hls(&origin.url(MASTER), locked()).await.unwrap();
    while stream.next_chunk().await.unwrap().is_some() {}
    for seconds in [30, 2, 17] {
        stream.seek(Duration::from_secs(seconds)).await.unwrap();
        stream.next_chunk().await.unwrap().unwrap();
    }
    assert_eq!((origin.requests().len(), stream.stats().requests), (0, 0));
}

/// Calls to the allocator and bytes, on this thread.
fn allocated(run: impl FnOnce()) -> (u64, u64) {
    let before = Tally::of_thread();
    run();
    let used = Tally::of_thread() - before;
    (used.calls, used.bytes)
}

#[test]
fn an_init_section_and_two_megabytes_of_media_are_joined_without_a_copy() {
    let init = Bytes::from_static(media::file("hls/aac4/flac/init.mp4").unwrap());
    let body = Bytes::from(vec![0_u8; 2 << 20]);
    let mut decoder =
        SegmentDecoder::new(SegmentDecoderSettings::new(SamplePool::new(PoolSettings::default())));
    let start = SegmentStart {
        init: Some(init.clone()),
        duration: Duration::from_secs(4),
        is_first: true,
        ..SegmentStart::default()
    };
    decoder.begin_segment(start).unwrap();
    let (calls, bytes) = allocated(|| decoder.push(body.clone()).unwrap());
    assert!(bytes < 8 << 10, "{calls} allocations, {bytes} bytes, to join {} and {}", init.len(), body.len());
}

#[tokio::test]
async fn steady_playback_from_the_store_allocates_by_the_segment_and_not_by_the_chunk() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        let mut options = HlsOptions::new(impatient(), disk(folder.path()));
        options.variant = VariantMode::Manual(1);
        options
    };
    let mut stream = open_hls(&origin.url(MASTER), options()).await.unwrap();
    while stream.next_chunk().await.unwrap().is_some() {}
    drop(stream);
    let mut stream = open_hls(&origin.url(MASTER), options()).await.unwrap();
    // The first two segments fill the pools.
    while stream.next_chunk().await.unwrap().unwrap().time() < Duration::from_secs(8) {}
    let (mut quiet, mut loud) = (0, 0);
    loop {
        let before = Tally::of_thread();
        let Some(_chunk) = stream.next_chunk().await.unwrap() else { break };
        if (Tally::of_thread() - before).calls == 0 {
            quiet += 1;
        } else {
            loud += 1;
        }
    }
    // 25 seconds in seven segments of 64 KB: a read is 8 KiB and gives five or six chunks, and one allocation counts its users.
    assert!(loud <= 7 * 9 && quiet > 200, "{loud} of {} chunks allocated", loud + quiet);
}
