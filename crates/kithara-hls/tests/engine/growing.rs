//! Playlists without an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_testkit::{Origin, Received, Reply, Resource, media};

use crate::support::{difference, names, open, options, playlist, read_all, text};

/// The bundled playlist's first `count` segments, without an end, with short reload times.
fn growing(count: usize, ended: bool) -> String {
    let list = text("hls/ts-aac/index.m3u8");
    let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n");
    let extinf: Vec<&str> = list.lines().filter(|line| line.starts_with("#EXTINF")).collect();
    for (name, extinf) in names(list).into_iter().zip(extinf).take(count) {
        out += &format!("{extinf}\n/hls/ts-aac/{name}\n");
    }
    if ended { out + "#EXT-X-ENDLIST\n" } else { out }
}

#[tokio::test(start_paused = false)]
async fn a_list_that_grows_is_played_as_it_grows_to_its_end() {
    let origin = Origin::start().await.unwrap();
    let loads = Arc::new(AtomicUsize::new(0));
    let all = names(text("hls/ts-aac/index.m3u8")).len();
    let counter = Arc::clone(&loads);
    origin.answer("/live.m3u8", move |_| {
        let count = (counter.fetch_add(1, Ordering::SeqCst) + 1).min(all);
        Reply::ok().resource(playlist(growing(count, count == all)))
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let samples = read_all(&mut stream).await;
    let whole = read_all(&mut open(&origin, "/hls/ts-aac/index.m3u8", options()).await).await;
    assert_eq!(samples.len(), whole.len());
    assert!(loads.load(Ordering::SeqCst) >= all);
}

#[tokio::test]
async fn a_list_whose_end_tag_was_forgotten_ends_all_the_same() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/forgotten.m3u8", playlist(growing(usize::MAX, false)));
    let mut stream = open(&origin, "/forgotten.m3u8", options()).await;
    let samples = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends");
    let whole = read_all(&mut open(&origin, "/hls/ts-aac/index.m3u8", options()).await).await;
    assert_eq!(samples.len(), whole.len());
    assert!(origin.count("/forgotten.m3u8") <= 6, "and does not ask for ever");
}

/// An encoder that pauses, a list that is replaced while it is read, a server that has a bad moment.
#[tokio::test]
async fn a_live_list_that_pauses_and_fails_for_a_while_is_played_to_its_end() {
    let origin = Origin::start().await.unwrap();
    let loads = AtomicUsize::new(0);
    origin.answer("/live.m3u8", move |_| match loads.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::ok().resource(playlist(growing(1, false))),
        1..=6 => Reply::ok().resource(playlist(growing(2, false))),
        7 => Reply::status(404),
        8 => Reply::ok().resource(playlist("")),
        9 => Reply::ok().resource(playlist("<html>Bad Gateway</html>")),
        _ => Reply::ok().resource(playlist(growing(usize::MAX, true))),
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let samples = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends");
    let whole = read_all(&mut open(&origin, "/hls/ts-aac/index.m3u8", options()).await).await;
    assert_eq!(samples.len(), whole.len());
}

#[tokio::test]
async fn a_live_list_that_is_gone_for_good_is_an_error() {
    let origin = Origin::start().await.unwrap();
    let loads = AtomicUsize::new(0);
    origin.answer("/live.m3u8", move |_| match loads.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::ok().resource(playlist(growing(2, false))),
        _ => Reply::status(404),
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let read = async {
        loop {
            match stream.next_chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ends as if nothing were missing"),
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), read).await.expect("ends");
    assert_eq!(error.status(), Some(404), "{error:?}");
}

/// Each load shows the next two segments, and numbers them from 0.
#[tokio::test]
async fn a_sliding_list_without_numbers_is_played_by_its_names() {
    let origin = Origin::start().await.unwrap();
    let loads = AtomicUsize::new(0);
    let all = names(text("hls/aac4/64k/index.m3u8")).len();
    origin.answer("/live.m3u8", move |_| {
        let from = loads.fetch_add(1, Ordering::SeqCst).min(all - 2);
        let list = text("hls/aac4/64k/index.m3u8");
        let extinf: Vec<&str> = list.lines().filter(|line| line.starts_with("#EXTINF")).collect();
        let mut out = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n");
        out += "#EXT-X-MAP:URI=\"/hls/aac4/64k/init.mp4\"\n";
        for (extinf, name) in extinf.into_iter().zip(names(list)).skip(from).take(2) {
            out += &format!("{extinf}\n/hls/aac4/64k/{name}\n");
        }
        let end = if from == all - 2 { "#EXT-X-ENDLIST\n" } else { "" };
        Reply::ok().resource(playlist(out + end))
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let samples = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends");
    let whole = read_all(&mut open(&origin, "/hls/aac4/64k/index.m3u8", options()).await).await;
    assert_eq!(samples.len(), whole.len());
}

/// Segment `index` of the bundled presentation.
fn sound(index: usize) -> Resource {
    let list = names(text("hls/ts-aac/index.m3u8"));
    Resource::new(media::file(&format!("hls/ts-aac/{}", list[index])).unwrap())
}

/// A live list of one segment, then of two and the end.
fn two_names() -> impl Fn(&Received) -> Reply {
    let loads = AtomicUsize::new(0);
    move |_| {
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/live/0.ts\n";
        match loads.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::ok().resource(playlist(head)),
            _ => Reply::ok().resource(playlist(format!("{head}#EXTINF:1,\n/live/1.ts\n#EXT-X-ENDLIST\n"))),
        }
    }
}

#[tokio::test]
async fn what_was_on_air_before_under_the_same_names_is_not_played_again() {
    let origin = Origin::start().await.unwrap();
    let assets = AssetStore::memory(AssetSettings::default());
    let play = async |first: usize, assets: AssetStore| {
        origin.serve("/live/0.ts", sound(first));
        origin.serve("/live/1.ts", sound(first + 1));
        origin.answer("/live.m3u8", two_names());
        let mut options = options();
        options.assets = assets;
        read_all(&mut open(&origin, "/live.m3u8", options).await).await
    };
    let before = play(0, assets.clone()).await;
    // The encoder is started anew: the same names, other sound.
    let after = play(1, assets).await;
    let fresh = play(1, AssetStore::memory(AssetSettings::default())).await;
    assert!(difference(&after, &fresh) < 1e-6);
    let len = before.len().min(after.len());
    assert!(difference(&before[..len], &after[..len]) > 0.01, "the media differ");
}

#[tokio::test]
async fn an_encoder_that_begins_anew_under_the_same_names_is_heard() {
    let origin = Origin::start().await.unwrap();
    let list = |sequence: u64, name: &str, end: &str| {
        playlist(format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{sequence}\n#EXTINF:1,\n/live/{name}.ts\n{end}"
        ))
    };
    // Number 0 comes again, by the same name: other sound.
    origin.answer("/live/0.ts", |received| {
        Reply::ok().resource(sound(if received.nth() == 0 { 0 } else { 2 }))
    });
    origin.serve("/live/9.ts", sound(1));
    let loads = AtomicUsize::new(0);
    origin.answer("/live.m3u8", move |_| match loads.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::ok().resource(list(0, "0", "")),
        1 => Reply::ok().resource(list(9, "9", "")),
        2 => Reply::ok().resource(list(0, "0", "")),
        _ => Reply::ok().resource(list(0, "0", "#EXT-X-ENDLIST\n")),
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let read = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream));
    read.await.expect("ends");
    assert_eq!(origin.count("/live/0.ts"), 2, "what it names now is fetched: {:?}", origin.requests());
}
