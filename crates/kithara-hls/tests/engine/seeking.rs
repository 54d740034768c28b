//! Seeks where the playlist is wrong about time.

use std::time::Duration;

use kithara_testkit::Origin;

use crate::support::{difference, names, open, options, playlist, read, read_all, text};

/// The bundled list with durations cut to whole seconds, as protocol version 2 has them.
fn rounded(folder: &str) -> String {
    let list = text(&format!("{folder}/index.m3u8"));
    let mut out = String::new();
    for line in list.lines() {
        match line.strip_prefix("#EXTINF:").and_then(|rest| rest.split([',', '.']).next()) {
            Some(seconds) => out += &format!("#EXTINF:{seconds},\n"),
            None if names(line).is_empty() => {
                out += &format!("{}\n", line.replace("URI=\"", &format!("URI=\"/{folder}/")))
            }
            None => out += &format!("/{folder}/{line}\n"),
        }
    }
    out
}

#[tokio::test]
async fn durations_that_are_too_short_do_not_cost_audio() {
    let origin = Origin::start().await.unwrap();
    for folder in ["hls/ts-aac", "hls/aac4/128k"] {
        let path = format!("/{}.m3u8", folder.replace('/', "-"));
        origin.serve(&path, playlist(rounded(folder)));
        let mut stream = open(&origin, &path, options()).await;
        let whole = read_all(&mut stream).await;
        let seconds = whole.len() as u64 / 2 / u64::from(stream.spec().sample_rate);
        for second in [seconds - 1, 3, seconds / 2, seconds - 2, 1] {
            let frame = stream.seek(Duration::from_secs(second)).await.unwrap() as usize;
            assert_eq!(frame, stream.spec().frame_at(Duration::from_secs(second)) as usize);
            let part = read(&mut stream, 10_000).await;
            assert_eq!(part.len(), 20_000, "{folder} at {second} s");
            let error = difference(&part, &whole[frame * 2..][..part.len()]);
            assert!(error < 1e-3, "{folder} at {second} s: off by {error}");
        }
    }
}

#[tokio::test]
async fn a_seek_past_the_end_gives_nothing() {
    let origin = Origin::start().await.unwrap();
    for folder in ["hls/ts-aac", "hls/aac4/128k", "hls/packed-mp3"] {
        let mut stream = open(&origin, &format!("/{folder}/index.m3u8"), options()).await;
        for seconds in [3_600, 0, 3_600, u64::MAX / 4] {
            stream.seek(Duration::from_secs(seconds)).await.unwrap();
            assert_eq!(read(&mut stream, 100).await.is_empty(), seconds > 0, "{folder} at {seconds} s");
        }
    }
}

#[tokio::test]
async fn a_start_in_the_middle_fetches_the_first_segment_and_what_is_heard() {
    let origin = Origin::start().await.unwrap();
    let mut options = options();
    options.start = Some(Duration::from_secs(20));
    let mut stream = open(&origin, "/hls/aac4/128k/index.m3u8", options).await;
    let samples = read(&mut stream, 1000).await;
    assert_eq!(samples.len(), 2000);
    let asked = |index: usize| origin.count(&crate::support::segment_path("128k", index));
    assert_eq!([asked(0), asked(1), asked(2), asked(3)], [1, 0, 0, 0]);
    assert_eq!(asked(5), 1);
}

#[tokio::test]
async fn a_start_near_the_beginning() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, "/hls/aac4/128k/index.m3u8", options()).await).await;
    // In the first segment, and where decoding begins in it for what is heard of the second.
    for millis in [1, 2_000, 3_990, 4_000, 4_018, 4_100] {
        let mut options = options();
        options.start = Some(Duration::from_millis(millis));
        let mut stream = open(&origin, "/hls/aac4/128k/index.m3u8", options).await;
        let frame = stream.seek(Duration::from_millis(millis)).await.unwrap() as usize;
        let rest = read_all(&mut stream).await;
        assert_eq!(rest.len(), whole.len() - frame * 2, "from {millis} ms");
    }
}

#[tokio::test]
async fn a_start_behind_a_first_segment_without_audio() {
    let origin = Origin::start().await.unwrap();
    let folder = "hls/aac4/128k";
    let list = text(&format!("{folder}/index.m3u8"));
    let first = names(list)[0];
    let list = list.replace("URI=\"", &format!("URI=\"/{folder}/"));
    let list =
        list.replace("seg", &format!("/{folder}/seg")).replace(&format!("/{folder}/{first}"), "/empty");
    origin.serve("/empty.m3u8", playlist(list));
    // As packagers leave it: a segment type box alone.
    let empty = b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix".as_slice();
    origin.serve("/empty", kithara_testkit::Resource::new(bytes::Bytes::from_static(empty)));
    let mut options = options();
    options.start = Some(Duration::from_secs(8));
    let mut stream = open(&origin, "/empty.m3u8", options).await;
    assert_eq!(read(&mut stream, 1000).await.len(), 2000);
}
