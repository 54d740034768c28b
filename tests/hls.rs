//! HLS end to end: every bundled presentation against ffmpeg's decode, seeking, switching, the cache.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use kithara::assets::{AssetSettings, AssetStore, Assets};
use kithara::hls::{HlsEvent, HlsOptions, VariantMode};
use kithara_testkit::media::Kind;
use kithara_testkit::{Cut, Origin, Reply, media};
use support::{
    can_decode, check, hls_options, impatient, locked, open_hls, path_of, read_all, read_at_least,
    read_frames,
};

/// The bundled presentation: three AAC variants and a FLAC one.
const MASTER: &str = "/hls/aac4/master.m3u8";

#[tokio::test]
async fn every_presentation_decodes_as_the_reference_does() {
    let origin = Origin::start().await.unwrap();
    for fixture in media::all().iter().filter(|fixture| fixture.kind == Kind::Hls) {
        // Opus and HE-AAC need C libraries, which the default features leave out.
        if !can_decode(fixture) {
            let error = open_hls(&origin.url(&path_of(fixture)), hls_options()).await.err().unwrap();
            assert!(error.is_unsupported(), "{error:?}");
            continue;
        }
        let mut stream = open_hls(&origin.url(&path_of(fixture)), hls_options()).await.unwrap();
        let samples = read_all!(stream);
        check(fixture, &samples);
    }
}

#[tokio::test]
async fn every_variant_of_a_ladder_can_be_locked() {
    let origin = Origin::start().await.unwrap();
    for (index, name) in ["aac4/64k", "aac4/128k", "aac4/256k", "aac4/flac"].into_iter().enumerate() {
        let mut stream = open_hls(&origin.url(MASTER), locked(index)).await.unwrap();
        let variants = stream.variants();
        assert!(variants.is_sorted_by_key(|variant| variant.bandwidth));
        check(media::find(name).unwrap(), &read_all!(stream));
        assert_eq!(stream.stats().switches, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_is_the_sum_of_its_parts() {
    let origin = Origin::start().await.unwrap();
    for name in
        ["aac4/128k", "aac4/flac", "ts-aac", "ts-mp3", "packed-aac", "packed-mp3", "byterange", "aes-ts"]
    {
        let fixture = media::find(name).unwrap();
        let url = origin.url(&path_of(fixture));
        let mut stream = open_hls(&url, hls_options()).await.unwrap();
        let whole = read_all!(stream);
        let channels = usize::from(stream.spec().channels);
        // Out of order, at segment boundaries and around them, and back to the start.
        for millis in [5_000, 4_000, 6_499, 0, 3_990, 23] {
            let to = Duration::from_millis(millis);
            let frame = stream.seek(to).await.unwrap();
            assert_eq!(frame, stream.spec().frame_at(to), "{name}");
            let part = read_frames!(stream, 20_000);
            let expected = &whole[frame as usize * channels..][..part.len()];
            assert_eq!(part.len(), 20_000 * channels, "{name} at {millis} ms");
            let error = part.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-4, "{name} at {millis} ms: off by {error}");
        }
    }
}

#[tokio::test]
async fn a_second_run_plays_from_the_cache_without_any_request() {
    let mut origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = origin.url(MASTER);
    let open = || AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();

    let assets = open();
    let mut stream = open_hls(&url, HlsOptions::new(impatient(), assets.clone())).await.unwrap();
    let first = read_all!(stream);
    drop(stream);
    assets.flush().await.unwrap();
    drop(assets);
    origin.stop().await;

    let mut stream = open_hls(&url, HlsOptions::new(impatient(), open())).await.unwrap();
    let second = read_all!(stream);
    assert_eq!(first.len(), second.len());
    assert_eq!(stream.stats().requests, 0);
    assert!(stream.stats().cache_hits > 10);
}

#[tokio::test]
async fn an_encrypted_presentation_plays_offline_when_its_keys_are_kept() {
    let mut origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fixture = media::find("aes-fmp4").unwrap();
    let url = origin.url(&path_of(fixture));
    let options = || {
        let assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        let mut options = HlsOptions::new(impatient(), assets);
        options.store_keys = true;
        options
    };
    let mut stream = open_hls(&url, options()).await.unwrap();
    read_all!(stream);
    drop(stream);
    origin.stop().await;
    let mut offline = options();
    offline.offline = true;
    let mut stream = open_hls(&url, offline).await.unwrap();
    check(fixture, &read_all!(stream));
}

#[tokio::test]
async fn segments_are_decoded_while_they_arrive() {
    let origin = Origin::start().await.unwrap();
    let segment = find_first_segment("hls/aac4/128k");
    let mut control = origin.expect(&format!("/{segment}"));
    let url = origin.url("/hls/aac4/128k/index.m3u8");
    let opening = tokio::spawn(async move { open_hls(&url, hls_options()).await.unwrap() });
    control.request().await.unwrap();
    let len = media::file(&segment).unwrap().len() as u64;
    control.send(..len / 2).await.unwrap();
    // Half of the segment is there, and stays half: PCM comes all the same.
    let mut stream = opening.await.unwrap();
    let early = read_at_least!(stream, 44_100);
    assert!(early.len() >= 44_100 * 2);
    control.finish();
    let rest = read_all!(stream);
    assert_eq!((early.len() + rest.len()) as u64 / 2, media::find("aac4/128k").unwrap().frames);
}

/// The first media segment that the playlist of a bundled folder names.
fn find_first_segment(folder: &str) -> String {
    let playlist = media::file(&format!("{folder}/index.m3u8")).unwrap();
    let text = std::str::from_utf8(playlist).unwrap();
    let name = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).unwrap();
    format!("{folder}/{name}")
}

#[tokio::test]
async fn segments_are_fetched_in_parallel() {
    let origin = Origin::start().await.unwrap();
    origin.everywhere(Reply::ok().latency(Duration::from_millis(20)));
    let mut stream = open_hls(&origin.url(MASTER), locked(0)).await.unwrap();
    read_all!(stream);
    assert!(origin.counters().peak > 1, "{:?}", origin.counters());
}

#[tokio::test]
async fn a_switch_of_variant_loses_and_adds_nothing() {
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&origin.url(MASTER), locked(0)).await.unwrap();
    let mut events = stream.events();
    let mut samples = read_at_least!(stream, 100_000);
    for index in [2, 1, 2] {
        stream.set_variant(VariantMode::Manual(index)).unwrap();
        samples.extend(read_at_least!(stream, 300_000));
    }
    samples.extend(read_all!(stream));
    assert_eq!(samples.len() as u64 / 2, media::find("aac4/64k").unwrap().frames);
    let mut switches = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let HlsEvent::VariantSwitched { from, to, .. } = event {
            switches.push((from, to));
        }
    }
    assert_eq!(switches, [(0, 2), (2, 1), (1, 2)]);
}

#[tokio::test]
async fn a_fast_network_is_noticed() {
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&origin.url(MASTER), hls_options()).await.unwrap();
    let samples = read_all!(stream);
    assert!(stream.stats().switches >= 1, "{:?}", stream.stats());
    assert!(samples.len() as u64 / 2 >= media::find("aac4/flac").unwrap().frames);
}

#[tokio::test]
async fn resampling_keeps_the_length() {
    let origin = Origin::start().await.unwrap();
    let mut options = locked(1);
    options.output.rate = Some(48_000);
    let mut stream = open_hls(&origin.url(MASTER), options).await.unwrap();
    assert_eq!(stream.spec().sample_rate, 48_000);
    let frames = read_all!(stream).len() as u64 / 2;
    let expected = (media::find("aac4/128k").unwrap().frames as f64 * 48_000.0 / 44_100.0).round() as u64;
    assert_eq!(frames, expected);
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_segment_is_resumed() {
    let origin = Origin::start().await.unwrap();
    let segment = format!("/{}", find_first_segment("hls/ts-aac"));
    origin.script(&segment, [Reply::ok().cut_at(10_000, Cut::Reset)]);
    let fixture = media::find("ts-aac").unwrap();
    let mut stream = open_hls(&origin.url(&path_of(fixture)), hls_options()).await.unwrap();
    check(fixture, &read_all!(stream));
    let requests = origin.requests_for(&segment);
    assert_eq!(requests.len(), 2);
    assert!(requests[1].range_start().is_some_and(|start| start > 0), "{:?}", requests[1].range());
}

#[tokio::test]
async fn a_dropped_stream_leaves_no_download_behind() {
    let origin = Origin::start().await.unwrap();
    origin.everywhere(Reply::ok().chunk_size(512));
    let mut stream = open_hls(&origin.url(MASTER), locked(2)).await.unwrap();
    stream.next_chunk().await.unwrap();
    drop(stream);
    origin.wait_until_idle().await;
}
