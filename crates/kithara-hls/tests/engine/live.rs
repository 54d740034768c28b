//! Windows that slide while something in them fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_testkit::{Origin, Reply, Resource, media};

use crate::support::{difference, names, open, options, playlist, read, read_all, text};

const FOLDER: &str = "hls/aac4/64k";

/// The window of `len` segments from number `from` on.
fn window(from: usize, len: usize) -> String {
    let list = text(&format!("{FOLDER}/index.m3u8"));
    let extinf: Vec<&str> = list.lines().filter(|line| line.starts_with("#EXTINF")).collect();
    let all = names(list);
    let mut out = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{from}\n\
         #EXT-X-MAP:URI=\"/{FOLDER}/init.mp4\"\n"
    );
    for (extinf, name) in extinf.iter().zip(&all).skip(from).take(len) {
        out += &format!("{extinf}\n/{FOLDER}/{name}\n");
    }
    if len >= all.len() - from { out + "#EXT-X-ENDLIST\n" } else { out }
}

/// What the list shows: from, how many.
type Shown = Arc<Mutex<(usize, usize)>>;

fn serve(origin: &Origin) -> Shown {
    let shown = Shown::new(Mutex::new((0, 3)));
    let showing = Arc::clone(&shown);
    origin.answer("/live.m3u8", move |_| {
        let (from, len) = *showing.lock().unwrap();
        Reply::ok().resource(playlist(window(from, len)))
    });
    shown
}

fn segment(index: usize) -> String {
    format!("/{FOLDER}/{}", names(text(&format!("{FOLDER}/index.m3u8")))[index])
}

/// The window slides between the arrival of an error page and its reader: index 2 is then another, sound segment, and the
/// bad one is the first of the list.
#[tokio::test]
async fn in_a_window_that_slides_only_the_segment_that_is_no_media_is_silent() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, &format!("/{FOLDER}/index.m3u8"), options()).await).await;
    origin.forget();
    let shown = serve(&origin);
    origin.serve(&segment(2), Resource::new(&b"<html>Backend unavailable</html>"[..]));
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    *shown.lock().unwrap() = (2, 3);
    let play = async {
        let mut samples = read(&mut stream, 1000).await;
        // The second load is known by the time of the third.
        origin.wait_for_nth_request("/live.m3u8", 2).await;
        samples.extend(read(&mut stream, 13 * 44_100).await);
        // The rest, and the end.
        *shown.lock().unwrap() = (2, usize::MAX);
        samples.extend(read_all(&mut stream).await);
        samples
    };
    let samples = tokio::time::timeout(Duration::from_secs(60), play).await.expect("ends");
    assert_eq!(stream.stats().gaps, 1);
    assert_eq!(origin.count(&segment(2)), 2, "asked for once more");
    for index in (0..9).filter(|index| *index != 2) {
        assert_eq!(origin.count(&segment(index)), 1, "segment {index} is sound");
    }
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());
}

fn master(token: usize) -> Resource {
    playlist(format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000\n/list.m3u8?token={token}\n"))
}

/// A master of one variant, whose URL carries a token; each load of the master issues a new one. What `answer` says to the
/// list's `n`-th load under the `m`-th token.
fn serve_with_token(origin: &Origin, answer: impl Fn(usize, usize) -> Reply + Send + Sync + 'static) {
    let issued = AtomicUsize::new(0);
    origin.answer("/live.m3u8", move |_| Reply::ok().resource(master(issued.fetch_add(1, Ordering::SeqCst))));
    let loads = AtomicUsize::new(0);
    origin.answer("/list.m3u8", move |request| {
        let token = request.query().and_then(|query| query.strip_prefix("token=")?.parse().ok()).unwrap();
        answer(loads.fetch_add(1, Ordering::SeqCst), token)
    });
}

#[tokio::test]
async fn a_live_list_whose_url_expires_goes_on_under_the_new_one_of_the_master() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, &format!("/{FOLDER}/index.m3u8"), options()).await).await;
    serve_with_token(&origin, |load, token| match (load, token) {
        (0, 0) => Reply::ok().resource(playlist(window(0, 3))),
        (_, 0) => Reply::status(403),
        _ => Reply::ok().resource(playlist(window(1, usize::MAX))),
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let samples = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends");
    assert_eq!(samples.len(), whole.len());
    assert_eq!((origin.count("/live.m3u8"), origin.count("/list.m3u8")), (2, 3));
}

#[tokio::test]
async fn a_live_list_that_is_refused_for_good_is_an_error() {
    let origin = Origin::start().await.unwrap();
    serve_with_token(&origin, |load, _| match load {
        0 => Reply::ok().resource(playlist(window(0, 3))),
        _ => Reply::status(403),
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let play = async {
        loop {
            match stream.next_chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ends as if nothing were missing"),
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), play).await.expect("ends");
    assert_eq!(error.status(), Some(403), "{error:?}");
    assert!(origin.count("/live.m3u8") <= 3, "bounded");
}

/// After a refusal everything is loaded anew, and what is live stays live: stored for this stream alone.
#[tokio::test]
async fn what_was_on_air_before_a_refusal_is_not_played_again() {
    let origin = Origin::start().await.unwrap();
    let sound = |index: usize| {
        let list = names(text("hls/ts-aac/index.m3u8"));
        Resource::new(media::file(&format!("hls/ts-aac/{}", list[index])).unwrap())
    };
    let play = async |first: usize, assets: AssetStore| {
        origin.forget();
        origin.serve("/live/0.ts", sound(first));
        let refused = AtomicUsize::new(0);
        origin.answer("/live/1.ts", move |_| match refused.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::status(403),
            _ => Reply::ok().resource(sound(first + 1)),
        });
        let head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/live/0.ts\n#EXTINF:1,\n/live/1.ts\n";
        serve_with_token(&origin, move |load, _| {
            Reply::ok()
                .resource(playlist(format!("{head}{}", if load > 1 { "#EXT-X-ENDLIST\n" } else { "" })))
        });
        let mut options = options();
        options.assets = assets;
        let samples = read_all(&mut open(&origin, "/live.m3u8", options).await).await;
        assert!(origin.count("/live.m3u8") > 0, "loaded anew for the refusal");
        samples
    };
    let assets = AssetStore::memory(AssetSettings::default());
    play(0, assets.clone()).await;
    // An hour later: the same names, other sound.
    let after = play(1, assets).await;
    let fresh = play(1, AssetStore::memory(AssetSettings::default())).await;
    assert!(difference(&after, &fresh) < 1e-6);
}

/// A listener who stands still while something ahead fails, and the window slides on.
#[tokio::test]
async fn a_reader_that_pauses_loses_nothing_behind_a_segment_that_failed() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, &format!("/{FOLDER}/index.m3u8"), options()).await).await;
    origin.forget();
    origin.always(&segment(2), Reply::status(404));
    let all = names(text(&format!("{FOLDER}/index.m3u8"))).len();
    let loads = AtomicUsize::new(0);
    origin.answer("/live.m3u8", move |_| {
        let from = (2 * loads.fetch_add(1, Ordering::SeqCst)).min(all - 3);
        Reply::ok().resource(playlist(window(from, 3)))
    });
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let mut samples = read(&mut stream, 1000).await;
    let last = segment(all - 2);
    let fetched = origin.wait_for_request(&last);
    tokio::time::timeout(Duration::from_secs(60), fetched).await.expect("is planned on");
    // What comes before is out of the window by now.
    samples.extend(tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends"));
    assert_eq!(stream.stats().gaps, 1);
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());
    for index in (0..all).filter(|index| *index != 2) {
        assert_eq!(origin.count(&segment(index)), 1, "segment {index}");
    }
}

/// The only variant fails ahead of a reader that has something to play yet, and then does not.
#[tokio::test]
async fn an_outage_ahead_of_a_reader_that_pauses_is_over_before_it_gets_there() {
    let origin = Origin::start().await.unwrap();
    let entry = format!("/{FOLDER}/index.m3u8");
    let whole = read_all(&mut open(&origin, &entry, options()).await).await;
    origin.forget();
    origin.script(&segment(2), (0..5).map(|_| Reply::status(429)));
    let mut stream = open(&origin, &entry, options()).await;
    let mut samples = stream.next_chunk().await.unwrap().unwrap().samples().to_vec();
    let next = segment(3);
    let fetched = origin.wait_for_request(&next);
    tokio::time::timeout(Duration::from_secs(60), fetched).await.expect("is tried again");
    samples.extend(read_all(&mut stream).await);
    assert_eq!(stream.stats().gaps, 0);
    assert!(difference(&samples, &whole) < 1e-3);
    assert_eq!(origin.count(&segment(2)), 6);
}
