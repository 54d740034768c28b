//! Failures that pass: asked for again, until there is no time left.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kithara_hls::HlsEvent;
use kithara_testkit::{Origin, Reply};

use crate::support::{difference, locked, names, open, options, playlist, read_all, segment_path, text};

const FOLDER: &str = "hls/aac4/64k";

fn live_list(end: &str) -> String {
    let list = text(&format!("{FOLDER}/index.m3u8")).replace("URI=\"", &format!("URI=\"/{FOLDER}/"));
    let list = list.replace("\nseg", &format!("\n/{FOLDER}/seg"));
    list.replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "").replace("#EXT-X-ENDLIST\n", end)
}

/// An edge of the network that has the list before it has the segment.
#[tokio::test]
async fn a_live_segment_that_is_not_there_yet_is_asked_for_again() {
    let origin = Origin::start().await.unwrap();
    let loads = AtomicUsize::new(0);
    origin.answer("/live.m3u8", move |_| {
        let end = if loads.fetch_add(1, Ordering::SeqCst) < 3 { "" } else { "#EXT-X-ENDLIST\n" };
        Reply::ok().resource(playlist(live_list(end)))
    });
    let late = segment_path("64k", 7);
    origin.script(&late, (0..3).map(|_| Reply::status(404)));
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends");
    assert_eq!((stream.stats().gaps, origin.count(&late)), (0, 4));
}

/// Every second request is refused with a status that passes.
#[tokio::test]
async fn a_locked_variant_is_not_left_for_passing_failures() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, crate::support::MASTER, locked(2)).await).await;
    origin.forget();
    let requests = AtomicUsize::new(0);
    origin.guard("/hls/aac4/256k/seg", move |_| {
        requests.fetch_add(1, Ordering::SeqCst).is_multiple_of(2).then(|| Reply::status(503))
    });
    let mut options = locked(2);
    options.net = kithara_net::NetOptions::default().build();
    let mut stream = open(&origin, crate::support::MASTER, options).await;
    let samples = tokio::time::timeout(Duration::from_secs(100), read_all(&mut stream)).await.expect("ends");
    let stats = stream.stats();
    assert_eq!((stats.gaps, stats.switches, stats.variant), (0, 0, Some(2)), "{stats:?}");
    assert!(difference(&samples, &whole) < 1e-3);
}

#[tokio::test]
async fn a_presentation_without_its_first_segment_is_played_from_the_next() {
    for status in [404, 503] {
        let origin = Origin::start().await.unwrap();
        let url = format!("/{FOLDER}/index.m3u8");
        let whole = read_all(&mut open(&origin, &url, options()).await).await;
        origin.forget();
        let first = segment_path("64k", 0);
        origin.always(&first, Reply::status(status));
        let mut stream = open(&origin, &url, options()).await;
        let samples = read_all(&mut stream).await;
        assert_eq!(stream.stats().gaps, 1, "{status}");
        assert!(origin.count(&first) <= 12, "{status}: {}", origin.count(&first));
        assert!(
            samples.len().abs_diff(whole.len()) < 2 * 4096,
            "{status}: {} {}",
            samples.len(),
            whole.len()
        );
        let later = samples.len() / 2;
        assert!(samples[later..].iter().any(|sample| sample.abs() > 0.01), "goes on");
    }
}

#[tokio::test]
async fn a_live_list_that_stops_growing_is_told_of_when_the_patience_is_over() {
    let origin = Origin::start().await.unwrap();
    let count = AtomicUsize::new(1);
    let list = live_list("");
    let all = names(text(&format!("{FOLDER}/index.m3u8"))).len();
    origin.answer("/live.m3u8", move |_| {
        let shown = count.fetch_add(1, Ordering::SeqCst).min(3);
        let cut = list.match_indices("#EXTINF").nth(shown).map_or(list.len(), |(at, _)| at);
        assert!(shown < all);
        Reply::ok().resource(playlist(list[..cut].replace("TARGETDURATION:4", "TARGETDURATION:1")))
    });
    let mut options = options();
    options.live_patience = Duration::from_secs(4);
    let mut stream = open(&origin, "/live.m3u8", options).await;
    let mut events = stream.events();
    let read = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream));
    assert!(!read.await.expect("ends").is_empty());
    let is_told = |event: &HlsEvent| matches!(event, HlsEvent::EndedWithoutEndList { .. });
    assert!(std::iter::from_fn(|| events.try_recv().ok()).any(|event| is_told(&event)));
}
