//! Windows that slide while something in them fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kithara_testkit::{Origin, Reply, Resource};

use crate::support::{names, open, options, playlist, read, read_all, text};

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
