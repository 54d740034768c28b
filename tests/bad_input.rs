//! What is wrong on the network or the disk is a typed error: never a hang, a panic or a clean end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use kithara::assets::{AssetSettings, AssetStore};
use kithara::decode::DecodeError;
use kithara::file::{File, FileOptions};
use kithara::hls::{Fetching, HlsError, HlsOptions};
use kithara_testkit::{Cut, Origin, Reply, Resource, media};
use support::{check, hls_options, impatient, memory, open_hls, path_of, read_all};

const LIST: &str = "/list.m3u8";

async fn origin() -> Origin {
    Origin::start().await.unwrap()
}

/// The error that opening or playing ends with.
async fn hls_error(origin: &Origin, path: &str) -> HlsError {
    let playing = async {
        let mut stream = open_hls(&origin.url(path), hls_options()).await?;
        while stream.next_chunk().await?.is_some() {}
        Ok(())
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), playing).await.expect("it hangs");
    let error: HlsError = ended.expect_err("it ends as if all were well");
    // Nothing of a query is shown.
    assert!(!chain(&error).contains("secret"), "{}", chain(&error));
    error
}

async fn file_error(origin: &Origin, path: &str) -> String {
    let playing = async {
        let url = origin.url(path).parse().unwrap();
        let mut stream = File::open(url, FileOptions::new(impatient(), memory())).await?;
        while stream.next_chunk().await?.is_some() {}
        Ok::<_, kithara::file::FileError>(())
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), playing).await.expect("it hangs");
    chain(&ended.expect_err("it ends as if all were well"))
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A media playlist of `segments`.
fn playlist(segments: &[&str]) -> Resource {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n");
    for segment in segments {
        text.push_str(&format!("#EXTINF:4,\n{segment}\n"));
    }
    text.push_str("#EXT-X-ENDLIST\n");
    Resource::new(Bytes::from(text))
}

#[tokio::test]
async fn not_a_playlist() {
    let origin = origin().await;
    for body in ["", "RIFF....WAVE", "<!DOCTYPE html><html>no</html>", "#EXTINF:4,\na.ts\n"] {
        origin.serve(LIST, Resource::new(Bytes::from(body)));
        let error = hls_error(&origin, "/list.m3u8?token=secret").await;
        assert!(matches!(error, HlsError::Playlist { .. }), "{body:?}: {error:?}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_playlist_without_segments_or_variants() {
    let origin = origin().await;
    for body in ["#EXTM3U\n", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-ENDLIST\n"] {
        origin.serve(LIST, Resource::new(Bytes::from(body)));
        let error = hls_error(&origin, LIST).await;
        assert!(matches!(error, HlsError::Playlist { .. } | HlsError::Empty { .. }), "{body:?}: {error:?}");
    }
}

#[tokio::test]
async fn refused_by_the_server() {
    let origin = origin().await;
    for status in [403, 404, 500] {
        origin.always(LIST, Reply::status(status));
        let error = hls_error(&origin, LIST).await;
        assert_eq!(error.status(), Some(status), "{error:?}");
        assert_eq!(error.is_retryable(), status == 500);
        origin.always("/a.mp3", Reply::status(status));
        assert!(file_error(&origin, "/a.mp3").await.contains(&status.to_string()));
    }
}

#[tokio::test]
async fn nobody_listens() {
    let mut origin = origin().await;
    origin.stop().await;
    let error = hls_error(&origin, LIST).await;
    assert!(matches!(error, HlsError::Net { what: Fetching::Playlist, .. }), "{error:?}");
    assert!(error.is_retryable());
    file_error(&origin, "/a.mp3").await;
}

#[tokio::test]
async fn a_segment_that_is_always_cut_short() {
    let origin = origin().await;
    let segment = first("hls/ts-aac").unwrap();
    origin.serve("/a.ts", Resource::new(Bytes::from_static(segment)));
    origin.serve("/b.ts", Resource::new(Bytes::from_static(segment)));
    origin.always("/b.ts", Reply::ok().ignore_range().cut_at(5_000, Cut::Close));
    origin.serve(LIST, playlist(&["a.ts", "b.ts"]));
    let error = hls_error(&origin, LIST).await;
    assert!(matches!(error, HlsError::Net { what: Fetching::Segment(1), .. }), "{error:?}");
}

fn first(folder: &str) -> Option<&'static [u8]> {
    let list = std::str::from_utf8(media::file(&format!("{folder}/index.m3u8"))?).ok()?;
    let name = list.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
    media::file(&format!("{folder}/{name}"))
}

#[tokio::test]
async fn a_file_that_is_always_cut_short() {
    let origin = origin().await;
    let path = path_of(media::find("cbr.mp3").unwrap());
    origin.always(&path, Reply::ok().ignore_range().cut_at(30_000, Cut::Close));
    file_error(&origin, &path).await;
}

#[tokio::test]
async fn segments_that_are_no_media() {
    let origin = origin().await;
    origin.serve("/a.ts", Resource::new(Bytes::from_static(b"<html>not found</html>")));
    origin.serve(LIST, playlist(&["a.ts"]));
    let error = hls_error(&origin, LIST).await;
    let HlsError::Decode { what: Fetching::Segment(0), source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, DecodeError::NotMedia(_)), "{source:?}");
    origin.serve("/a.mp3", Resource::new(Bytes::from_static(b"<html>not found</html>")));
    file_error(&origin, "/a.mp3").await;
}

#[tokio::test]
async fn a_codec_that_is_not_supported_is_named() {
    let origin = origin().await;
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS=\"ac-3\"\nlist.m3u8\n";
    origin.serve("/master.m3u8", Resource::new(Bytes::from(master)));
    let error = hls_error(&origin, "/master.m3u8").await;
    assert!(error.is_unsupported() && chain(&error).contains("ac-3"), "{error:?}");
}

#[tokio::test]
async fn a_variant_that_cannot_be_decoded_leaves_the_ladder() {
    let origin = origin().await;
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"ec-3\"\nno.m3u8\n\
                  #EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS=\"mp4a.40.2\"\nhls/ts-aac/index.m3u8\n";
    origin.serve("/master.m3u8", Resource::new(Bytes::from(master)));
    let mut stream = open_hls(&origin.url("/master.m3u8"), hls_options()).await.unwrap();
    check(media::find("ts-aac").unwrap(), &read_all!(stream));
}

#[tokio::test]
async fn a_missing_segment_is_silence_of_its_length() {
    let origin = origin().await;
    let fixture = media::find("ts-aac").unwrap();
    let list = std::str::from_utf8(media::file(fixture.entry).unwrap()).unwrap();
    let names: Vec<&str> = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    origin.always(&format!("/hls/ts-aac/{}", names[1]), Reply::status(404));
    let mut stream = open_hls(&origin.url(&path_of(fixture)), hls_options()).await.unwrap();
    let samples = read_all!(stream);
    assert_eq!(stream.stats().gaps, 1);
    let frames = samples.len() as u64 / 2;
    assert!(frames.abs_diff(fixture.frames) < 2048, "{frames} frames instead of {}", fixture.frames);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_no_reason_not_to_play() {
    let origin = origin().await;
    let folder = tempfile::tempdir().unwrap();
    // A file stands where the folder should be.
    let blocked = folder.path().join("cache");
    std::fs::write(&blocked, b"in the way").unwrap();
    let (assets, trouble) = AssetStore::disk_or_memory(&blocked, AssetSettings::default());
    assert!(trouble.is_some());
    let fixture = media::find("aac4/128k").unwrap();
    let options = HlsOptions::new(impatient(), assets.clone());
    let mut stream = open_hls(&origin.url(&path_of(fixture)), options).await.unwrap();
    check(fixture, &read_all!(stream));
    let fixture = media::find("vbr.mp3").unwrap();
    let url = origin.url(&path_of(fixture)).parse().unwrap();
    let mut stream = File::open(url, FileOptions::new(impatient(), assets)).await.unwrap();
    check(fixture, &read_all!(stream));
}

#[tokio::test]
async fn offline_without_a_cache_says_so() {
    let origin = origin().await;
    let mut options = hls_options();
    options.offline = true;
    let error = open_hls(&origin.url("/hls/aac4/master.m3u8"), options).await.err().unwrap();
    assert!(matches!(error, HlsError::Offline { what: Fetching::Playlist, .. }), "{error:?}");
    assert_eq!(origin.counters().requests, 0);
}
