//! Where a live presentation is joined, how far it can be sought, and what its names mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kithara_hls::{HlsEvent, HlsStream, LiveStart};
use kithara_testkit::{Origin, Reply, Resource, media};

use crate::support::{difference, names, open, options, playlist, read, read_all, text};

const FOLDER: &str = "hls/aac4/64k";

fn segment(index: usize) -> String {
    format!("/{FOLDER}/{}", names(text(&format!("{FOLDER}/index.m3u8")))[index])
}

/// The list of the first eight segments, which does not end.
fn eight() -> String {
    let list = text(&format!("{FOLDER}/index.m3u8")).replace("URI=\"", &format!("URI=\"/{FOLDER}/"));
    let list = list.replace("\nseg", &format!("\n/{FOLDER}/seg"));
    let list = list.replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "").replace("#EXT-X-ENDLIST\n", "");
    let end = list.rfind("#EXTINF").unwrap();
    list[..end].to_owned()
}

fn asked(origin: &Origin) -> Vec<usize> {
    (0..9).filter(|index| origin.count(&segment(*index)) > 0).collect()
}

async fn first_event(stream: &mut HlsStream, is: impl Fn(&HlsEvent) -> bool) -> bool {
    let mut events = stream.events();
    std::iter::from_fn(|| events.try_recv().ok()).any(|event| is(&event))
}

#[tokio::test]
async fn a_live_presentation_is_joined_three_target_durations_before_its_end() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/live.m3u8", playlist(eight()));
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    assert_eq!(read(&mut stream, 1000).await.len(), 2000);
    // 32 s, of which the last 12 count.
    assert_eq!(asked(&origin).first(), Some(&4), "{:?}", asked(&origin));
    let seekable = stream.seekable().unwrap();
    assert_eq!(seekable.start, Duration::ZERO);
    assert!(seekable.end > Duration::from_secs(19) && seekable.end < Duration::from_secs(21), "{seekable:?}");
    let latency = stream.latency().unwrap();
    assert!(latency > Duration::from_secs(15) && latency < Duration::from_secs(17), "{latency:?}");

    // Beyond the edge there is nothing yet.
    let wanted = Duration::from_secs(3600);
    let frame = stream.seek(wanted).await.unwrap();
    assert_eq!(frame, stream.spec().frame_at(seekable.end));
    assert!(first_event(&mut stream, |event| matches!(event, HlsEvent::SeekClamped { .. })).await);
    assert_eq!(read(&mut stream, 1000).await.len(), 2000);
}

#[tokio::test]
async fn a_live_presentation_is_joined_where_the_application_or_the_author_wants() {
    let list_of = |tag: &str| eight().replace("#EXT-X-MAP", &format!("{tag}\n#EXT-X-MAP"));
    let seconds = Duration::from_secs;
    let cases = [
        ("/live.m3u8", LiveStart::Oldest, None, 0),
        ("/live.m3u8", LiveStart::FromEdge(seconds(5)), None, 6),
        ("/live.m3u8", LiveStart::Edge, Some(seconds(10)), 2),
        ("/live.m3u8", LiveStart::Edge, Some(seconds(1000)), 4),
        ("/author.m3u8", LiveStart::Edge, None, 5),
        ("/server.m3u8", LiveStart::Edge, None, 2),
    ];
    for (list, live_start, start, first) in cases {
        let origin = Origin::start().await.unwrap();
        origin.serve("/live.m3u8", playlist(eight()));
        origin.serve("/author.m3u8", playlist(list_of("#EXT-X-START:TIME-OFFSET=-9")));
        origin.serve("/server.m3u8", playlist(list_of("#EXT-X-SERVER-CONTROL:HOLD-BACK=24")));
        let mut options = options();
        (options.live_start, options.start) = (live_start, start);
        let mut stream = open(&origin, list, options).await;
        assert_eq!(read(&mut stream, 1000).await.len(), 2000);
        let found = asked(&origin);
        // A position in the middle needs what its codec gets going with.
        assert!(found.contains(&first) && found.iter().all(|index| index + 1 >= first), "{list} {found:?}");
    }
}

#[tokio::test]
async fn an_author_s_start_needs_no_first_segment() {
    let origin = Origin::start().await.unwrap();
    let list = eight().replace("#EXT-X-MAP", "#EXT-X-START:TIME-OFFSET=17\n#EXT-X-MAP") + "#EXT-X-ENDLIST\n";
    origin.serve("/author.m3u8", playlist(list));
    let mut stream = open(&origin, "/author.m3u8", options()).await;
    let samples = read_all(&mut stream).await;
    assert!(origin.count(&segment(0)) == 0 && origin.count(&segment(4)) == 1, "{:?}", asked(&origin));
    let seconds = samples.len() / 2 / stream.spec().sample_rate as usize;
    assert!((15..=17).contains(&seconds), "{seconds}");
}

/// Four names round and round, while the numbers go on: a name says nothing of what is behind it.
#[tokio::test]
async fn names_that_are_used_again_are_other_segments() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, &format!("/{FOLDER}/index.m3u8"), options()).await).await;
    let list = text(&format!("{FOLDER}/index.m3u8"));
    let all = names(list).len();
    let shown = Arc::new(AtomicUsize::new(0));
    let loads = Arc::clone(&shown);
    origin.answer("/live.m3u8", move |_| {
        let from = loads.fetch_add(1, Ordering::SeqCst).min(all - 3);
        let extinf: Vec<&str> = list.lines().filter(|line| line.starts_with("#EXTINF")).collect();
        let mut out = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{from}\n\
             #EXT-X-MAP:URI=\"/{FOLDER}/init.mp4\"\n"
        );
        #[allow(clippy::needless_range_loop)]
        for index in from..from + 3 {
            out += &format!("{}\n/round/{}.m4s\n", extinf[index], index % 4);
        }
        let end = if from == all - 3 { "#EXT-X-ENDLIST\n" } else { "" };
        Reply::ok().resource(playlist(out + end))
    });
    for name in 0..4 {
        let shown = Arc::clone(&shown);
        origin.answer(&format!("/round/{name}.m4s"), move |_| {
            let from = shown.load(Ordering::SeqCst).saturating_sub(1).min(all - 3);
            let index = (from..from + 3).rev().find(|index| index % 4 == name).unwrap_or(name);
            let body = media::file(segment(index).trim_start_matches('/')).unwrap();
            Reply::ok().resource(Resource::new(body))
        });
    }
    let mut stream = open(&origin, "/live.m3u8", options()).await;
    let samples = tokio::time::timeout(Duration::from_secs(60), read_all(&mut stream)).await.expect("ends");
    assert!(difference(&samples, &whole) < 1e-3);
}
