//! Progressive playback end to end: every bundled file against ffmpeg's decode, seeking, the cache.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use kithara::assets::{AssetSettings, AssetStore, Assets};
use kithara::file::{File, FileOptions};
use kithara_testkit::media::Kind;
use kithara_testkit::{Origin, Reply, media};
use support::{check, impatient, open_file, path_of, read_all, read_frames};

#[tokio::test]
async fn every_file_decodes_as_the_reference_does() {
    let origin = Origin::start().await.unwrap();
    for fixture in media::all().iter().filter(|fixture| fixture.kind == Kind::File) {
        let mut stream = open_file(&origin.url(&path_of(fixture))).await;
        assert_eq!(stream.details().container, fixture.container, "{}", fixture.name);
        check(fixture, &read_all!(stream));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_is_the_sum_of_its_parts() {
    let origin = Origin::start().await.unwrap();
    for fixture in media::all().iter().filter(|fixture| fixture.kind == Kind::File) {
        let mut stream = open_file(&origin.url(&path_of(fixture))).await;
        let whole = read_all!(stream);
        let channels = usize::from(stream.spec().channels);
        for millis in [1_500, 700, 2_100, 0, 1_000] {
            let frame = stream.seek(Duration::from_millis(millis)).await.unwrap();
            assert_eq!(frame, stream.spec().frame_at(Duration::from_millis(millis)));
            let part = read_frames!(stream, 8_000);
            let expected = &whole[frame as usize * channels..][..part.len()];
            assert_eq!(part.len(), 8_000 * channels, "{}", fixture.name);
            let error = part.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-4, "{} at {millis} ms: off by {error}", fixture.name);
        }
    }
}

#[tokio::test]
async fn pcm_comes_long_before_the_body_is_down() {
    let origin = Origin::start().await.unwrap();
    for name in
        ["cbr.mp3", "vbr.mp3", "faststart.m4a", "adts.aac", "vorbis.ogg", "lossless.flac", "pcm16.wav"]
    {
        let fixture = media::find(name).unwrap();
        let mut control = origin.expect(&path_of(fixture));
        let url = origin.url(&path_of(fixture));
        let opening = tokio::spawn(async move { open_file(&url).await });
        control.request().await.unwrap();
        control.send(..48 * 1024).await.unwrap();
        let mut stream = opening.await.unwrap();
        assert!(stream.next_chunk().await.unwrap().is_some(), "{name}");
        control.finish();
    }
}

#[tokio::test]
async fn a_seek_beyond_what_is_there_is_one_range_request() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("cbr.mp3").unwrap();
    let path = path_of(fixture);
    // The first answer stands still early: what comes later can only come by another request.
    origin.script(&path, [Reply::ok().stall_at(64 * 1024, &kithara_testkit::Gate::new())]);
    let mut stream = open_file(&origin.url(&path)).await;
    let whole_frames = fixture.frames;
    stream.next_chunk().await.unwrap();
    let frame = stream.seek(Duration::from_secs(8)).await.unwrap();
    let chunk = stream.next_chunk().await.unwrap().unwrap();
    assert_eq!(chunk.position(), frame);
    assert!(frame < whole_frames);
    let requests = origin.requests_for(&path);
    assert!(requests.len() <= 3, "{}", requests.len());
    assert!(requests[1].range_start().is_some_and(|start| start > 64 * 1024), "{:?}", requests[1].range());
}

#[tokio::test]
async fn a_second_run_plays_from_the_cache_without_any_request() {
    let mut origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fixtures = ["cbr.mp3", "tail.m4a", "lossless.flac"].map(|name| media::find(name).unwrap());
    let open = || AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
    let assets = open();
    for fixture in fixtures {
        let url = origin.url(&path_of(fixture)).parse().unwrap();
        let mut stream = File::open(url, FileOptions::new(impatient(), assets.clone())).await.unwrap();
        check(fixture, &read_all!(stream));
    }
    assets.flush().await.unwrap();
    drop(assets);
    origin.stop().await;
    let assets = open();
    for fixture in fixtures {
        let url = origin.url(&path_of(fixture)).parse().unwrap();
        let mut stream = File::open(url, FileOptions::new(impatient(), assets.clone())).await.unwrap();
        check(fixture, &read_all!(stream));
        assert_eq!(stream.stats().requests, 0, "{}", fixture.name);
    }
}
