//! Playlists without an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kithara_testkit::{Origin, Reply};

use crate::support::{names, open, options, playlist, read_all, text};

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
