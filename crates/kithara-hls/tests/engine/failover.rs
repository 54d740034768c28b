//! Segments that one source does not have.

use std::time::Duration;

use kithara_hls::playlist::PlaylistErrorKind;
use kithara_hls::{Fetching, Hls, HlsError, VariantMode};
use kithara_testkit::{Gate, Origin, Reply, Resource, media};

use crate::support::{
    MASTER, difference, locked, names, open, options, playlist, read, read_all, segment_path, text,
};

const TWO_SECONDS: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_segment_that_one_variant_alone_has_is_found_there() {
    let origin = Origin::start().await.unwrap();
    for variant in ["64k", "128k", "256k"] {
        origin.always(&segment_path(variant, 1), Reply::status(404));
    }
    let mut stream = open(&origin, MASTER, options()).await;
    let samples = read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 0, "the fourth variant has it");
    let whole = read_all(&mut open(&origin, MASTER, locked(3)).await).await;
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096);
}

#[tokio::test]
async fn a_redundant_source_is_asked_before_anything_is_silent() {
    let origin = Origin::start().await.unwrap();
    let name = media::all().iter().find(|fixture| fixture.name == "ts-aac").unwrap().entry;
    let list = text(name);
    origin.serve("/dead/index.m3u8", playlist(list));
    for (index, segment) in names(list).into_iter().enumerate() {
        let body = media::file(&format!("hls/ts-aac/{segment}")).unwrap();
        if index != 1 {
            origin.serve(
                &format!("/dead/{segment}"),
                kithara_testkit::Resource::new(bytes::Bytes::from_static(body)),
            );
        }
    }
    let stream_inf = "#EXT-X-STREAM-INF:BANDWIDTH=128000,CODECS=\"mp4a.40.2\"\n";
    let master = format!("#EXTM3U\n{stream_inf}dead/index.m3u8\n{stream_inf}hls/ts-aac/index.m3u8\n");
    origin.serve("/master.m3u8", playlist(master));
    let mut stream = open(&origin, "/master.m3u8", options()).await;
    let samples = read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 0);
    let whole = read_all(&mut open(&origin, &format!("/{name}"), options()).await).await;
    assert!(difference(&samples, &whole) < 1e-3);
}

#[tokio::test]
async fn single_gaps_are_bridged_however_many_and_a_hole_of_four_is_an_error() {
    let origin = Origin::start().await.unwrap();
    let segment = "hls/aac4/128k/";
    let list = text("hls/aac4/128k/index.m3u8");
    let header: Vec<&str> = list.lines().take_while(|line| !line.starts_with("#EXTINF")).collect();
    // Five times every second segment is missing.
    let build = |missing: &dyn Fn(usize) -> bool| {
        let mut out = header.join("\n").replace("URI=\"", &format!("URI=\"/{segment}")) + "\n";
        let extinf: Vec<&str> = list.lines().filter(|line| line.starts_with("#EXTINF")).collect();
        for index in 0..12 {
            let of = index % (names(list).len() - 1);
            let name = if missing(index) {
                format!("/none{index}.m4s")
            } else {
                format!("/{segment}{}", names(list)[of])
            };
            out += &format!("#EXT-X-DISCONTINUITY\n{}\n{name}\n", extinf[of]);
        }
        out + "#EXT-X-ENDLIST\n"
    };
    origin.serve("/odd.m3u8", playlist(build(&|index| index % 2 == 1)));
    let mut stream = open(&origin, "/odd.m3u8", options()).await;
    read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 6);

    origin.serve("/hole.m3u8", playlist(build(&|index| (2..6).contains(&index))));
    let mut stream = open(&origin, "/hole.m3u8", options()).await;
    let error = loop {
        match stream.next_chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ends as if nothing were missing"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, HlsError::Net { .. }), "{error:?}");
}

/// Error pages with status 200, files that were never written: what comes under a segment's name is not always one.
#[tokio::test]
async fn a_segment_that_is_no_media_is_silence_like_one_that_is_missing() {
    let noise: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for name in ["ts-aac", "aac4"] {
        let entry = media::all().iter().find(|fixture| fixture.name.starts_with(name)).unwrap().entry;
        let folder = entry.rsplit_once('/').unwrap().0;
        let segment = format!("/{folder}/{}", names(text(entry))[1]);
        for body in [&b""[..], b"<html>Backend unavailable</html>", &noise, &[0; 50_000]] {
            let origin = Origin::start().await.unwrap();
            let whole = read_all(&mut open(&origin, &format!("/{entry}"), options()).await).await;
            origin.serve(&segment, kithara_testkit::Resource::new(bytes::Bytes::copy_from_slice(body)));
            let mut stream = open(&origin, &format!("/{entry}"), options()).await;
            let samples = read_all(&mut stream).await;
            assert_eq!(stream.stats().gaps, 1, "{entry}: {} bytes", body.len());
            assert_eq!(samples.len(), whole.len(), "{entry}: {} bytes", body.len());
            let first = whole.len() / 10;
            assert!(difference(&samples[..first], &whole[..first]) < 1e-6);
            assert!(samples[whole.len() * 9 / 10..].iter().any(|sample| sample.abs() > 0.01), "goes on");
        }
    }
}

#[tokio::test]
async fn a_run_of_segments_that_are_no_media_is_an_error() {
    let origin = Origin::start().await.unwrap();
    let page = kithara_testkit::Resource::new(bytes::Bytes::from_static(b"<html>Backend unavailable</html>"));
    for index in 2..6 {
        origin.serve(&segment_path("64k", index), page.clone());
    }
    let mut stream = open(&origin, "/hls/aac4/64k/index.m3u8", options()).await;
    let error = loop {
        match stream.next_chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ends as if nothing were missing"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, HlsError::Decode { .. }), "{error:?}");
}

#[tokio::test]
async fn a_segment_that_is_no_media_is_not_kept() {
    let entry = media::find("ts-aac").unwrap().entry;
    let origin = Origin::start().await.unwrap();
    let url = format!("/{entry}");
    let whole = read_all(&mut open(&origin, &url, options()).await).await;
    let segment = format!("/{}/{}", entry.rsplit_once('/').unwrap().0, names(text(entry))[1]);
    let body = media::file(segment.trim_start_matches('/')).unwrap();
    let page =
        || kithara_testkit::Resource::new(bytes::Bytes::from_static(b"<html>Backend unavailable</html>"));
    // The store outlives the first stream.
    let options = options();
    origin.serve(&segment, page());
    let mut stream = open(&origin, &url, options.clone()).await;
    read_all(&mut stream).await;
    assert_eq!((stream.stats().gaps, origin.count(&segment)), (1, 3), "asked for once more");
    drop(stream);
    origin.serve(&segment, kithara_testkit::Resource::new(bytes::Bytes::from_static(body)));
    let mut stream = open(&origin, &url, options).await;
    let samples = read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 0);
    assert!(difference(&samples, &whole) < 1e-6);
}

#[tokio::test]
async fn a_segment_that_is_no_media_is_found_in_another_variant() {
    let origin = Origin::start().await.unwrap();
    let page = kithara_testkit::Resource::new(bytes::Bytes::from_static(b"<html>Backend unavailable</html>"));
    for variant in ["64k", "128k"] {
        origin.serve(&segment_path(variant, 1), page.clone());
    }
    let mut stream = open(&origin, MASTER, options()).await;
    read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_a_file_that_fails_while_others_arrive_does_not_leave_the_reader_waiting() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::all().iter().find(|fixture| fixture.name == "byterange").unwrap();
    let file = fixture.entry.rsplit_once('/').unwrap().0;
    let name = names(text(fixture.entry))[0];
    // One part is refused for good, the ones behind it are not.
    let path = format!("/{file}/{name}");
    // Where the second part begins: behind the init section and the first part.
    let refused = text(fixture.entry)
        .lines()
        .filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")?.split_once('@'))
        .map(|(len, offset)| len.parse::<u64>().unwrap() + offset.parse::<u64>().unwrap())
        .next()
        .unwrap();
    origin.guard(&path, move |request| (request.range_start() == Some(refused)).then(|| Reply::status(404)));
    let read = async {
        let mut stream = open(&origin, &format!("/{}", fixture.entry), options()).await;
        let samples = read_all(&mut stream).await;
        assert_eq!(stream.stats().gaps, 1);
        samples
    };
    let samples = tokio::time::timeout(Duration::from_secs(60), read).await.expect("never waits for ever");
    assert!((samples.len() as u64 / 2).abs_diff(fixture.frames) < 4096);
}

#[tokio::test]
async fn the_segment_that_is_being_heard_arrives_though_the_variant_is_changed() {
    let origin = Origin::start().await.unwrap();
    let first = segment_path("64k", 0);
    let mut control = origin.expect(&first);
    let len = media::file(first.trim_start_matches('/')).unwrap().len() as u64;
    let opening = tokio::spawn({
        let url = origin.url(MASTER).parse().unwrap();
        async move { kithara_hls::Hls::open(url, options()).await.unwrap() }
    });
    control.request().await.unwrap();
    control.send(..len / 2).await.unwrap();
    let mut stream = opening.await.unwrap();
    stream.set_variant(VariantMode::Manual(2)).unwrap();
    // The planner has obeyed once it asks for the other variant.
    origin.wait_for_request("/hls/aac4/256k/index.m3u8").await;
    control.send(len / 2..).await.unwrap();
    control.finish();
    let frames = stream.spec().frame_at(TWO_SECONDS * 3) as usize;
    let samples = tokio::time::timeout(Duration::from_secs(60), read(&mut stream, frames)).await.unwrap();
    assert_eq!(samples.len(), frames * 2);
    assert_eq!(stream.stats().variant, Some(2));
}

#[tokio::test]
async fn what_fails_ahead_of_the_reader_is_fetched_elsewhere_before_it_gets_there() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, MASTER, locked(2)).await).await;
    origin.always(&segment_path("flac", 3), Reply::status(404));
    let mut replacement = origin.expect(&segment_path("256k", 3));
    let mut options = options();
    options.abr.initial_throughput = Some(20_000_000);
    let mut stream = open(&origin, MASTER, options).await;
    // The reader stands still in the first segment.
    let mut samples = read(&mut stream, 1000).await;
    replacement.request().await.unwrap();
    replacement.finish();
    samples.extend(read_all(&mut stream).await);
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());
    let stats = stream.stats();
    assert_eq!((stats.gaps, stats.switches), (0, 1), "{stats:?}");
    assert_eq!(origin.count(&segment_path("flac", 3)), 1, "refused once is enough");
}

#[tokio::test]
async fn an_endless_body_that_is_no_playlist_is_told_by_its_beginning() {
    let origin = Origin::start().await.unwrap();
    let never = Gate::new();
    origin.serve("/station", Resource::new(vec![0xff; 1 << 20]));
    origin.always("/station", Reply::ok().close_delimited().stall_at(4096, &never));
    let error = Hls::open(origin.url("/station").parse().unwrap(), options()).await.err().unwrap();
    assert!(error.to_string().contains("/station"), "{error}");
    let HlsError::Playlist { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source.kind, PlaylistErrorKind::NotAPlaylist { found: "binary data" }), "{source}");
}

/// A captive portal answers everything with its page.
#[tokio::test]
async fn an_init_section_that_is_none_is_asked_for_again_and_not_kept() {
    let origin = Origin::start().await.unwrap();
    let url = "/hls/aac4/64k/index.m3u8";
    let whole = read_all(&mut open(&origin, url, options()).await).await;
    let init = "/hls/aac4/64k/init.mp4";
    let sound = media::file(init.trim_start_matches('/')).unwrap();
    // The page, and what is left of a section whose connection broke.
    for answer in [&b"<html>Sign in</html>"[..], &sound[..sound.len() / 2]] {
        origin.forget();
        let page = || Reply::ok().resource(kithara_testkit::Resource::new(bytes::Bytes::from_static(answer)));
        origin.script(init, [page()]);
        let options = options();
        let mut stream = open(&origin, url, options.clone()).await;
        let samples = read_all(&mut stream).await;
        assert_eq!(stream.stats().gaps, 0);
        assert!(difference(&samples, &whole) < 1e-6);
        assert_eq!((origin.count(init), origin.count(&segment_path("64k", 0))), (2, 1));
        // The portal again, for another run: what is stored by now is sound.
        drop(stream);
        origin.script(init, [page()]);
        let samples = read_all(&mut open(&origin, url, options).await).await;
        assert!(difference(&samples, &whole) < 1e-6);
        assert_eq!(origin.count(init), 2, "kept");
        origin.clear_scripts();
    }
}

/// The page for a whole run; the next one, over the same store, plays.
#[tokio::test]
async fn a_run_behind_a_captive_portal_leaves_nothing_of_it() {
    let origin = Origin::start().await.unwrap();
    let url = "/hls/aac4/64k/index.m3u8";
    let page = kithara_testkit::Resource::new(bytes::Bytes::from_static(b"<html>Sign in</html>"));
    origin.always("/hls/aac4/64k/init.mp4", Reply::ok().resource(page));
    let options = options();
    let opened = kithara_hls::Hls::open(origin.url(url).parse().unwrap(), options.clone()).await;
    let error = opened.err().unwrap();
    assert!(matches!(error, HlsError::Decode { what: Fetching::Init, .. }), "{error:?}");
    origin.clear_scripts();
    let whole = read_all(&mut open(&origin, url, self::options()).await).await;
    assert!(difference(&read_all(&mut open(&origin, url, options).await).await, &whole) < 1e-6);
}

#[tokio::test]
async fn an_advertisement_in_another_codec_is_silent() {
    let origin = Origin::start().await.unwrap();
    let name = media::find("ts-aac").unwrap().entry;
    let list = text(name);
    let first = names(list)[1];
    let spliced = list
        .replace("#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF")
        .lines()
        .map(|line| match line.starts_with('#') || line.is_empty() {
            true => format!("{line}\n"),
            false if line == first => "/hls/wild-no-ac3/seg0.ts\n".to_owned(),
            false => format!("/hls/ts-aac/{line}\n"),
        })
        .collect::<String>();
    origin.serve("/spliced.m3u8", playlist(spliced));
    let mut stream = open(&origin, "/spliced.m3u8", options()).await;
    let samples = read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 1);
    let whole = read_all(&mut open(&origin, &format!("/{name}"), options()).await).await;
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());

    // Nothing else was ever heard.
    let error = Hls::open(origin.url("/hls/wild-no-ac3/index.m3u8").parse().unwrap(), options()).await;
    assert!(error.err().unwrap().is_unsupported());
}

/// An encoder that has lost a segment says so in its list; the one beside it has not.
#[tokio::test]
async fn a_gap_in_one_variant_is_heard_from_another() {
    let origin = Origin::start().await.unwrap();
    let list = |variant: &str, gap: Option<usize>| {
        let folder = format!("/hls/aac4/{variant}");
        let mut index = 0;
        let line = |line: &str| match line {
            line if line.starts_with("#EXTINF") => {
                index += 1;
                let mark = if gap == Some(index - 1) { "#EXT-X-GAP\n" } else { "" };
                format!("{mark}{line}\n")
            }
            line if line.starts_with('#') => {
                format!("{}\n", line.replace("URI=\"", &format!("URI=\"{folder}/")))
            }
            name => format!("{folder}/{name}\n"),
        };
        playlist(text(&format!("hls/aac4/{variant}/index.m3u8")).lines().map(line).collect::<String>())
    };
    origin.serve("/a.m3u8", list("64k", Some(1)));
    origin.serve("/b.m3u8", list("128k", Some(2)));
    let stream_inf = |bandwidth, name| format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}\n{name}.m3u8\n");
    let master = format!("#EXTM3U\n{}{}", stream_inf(64_000, "a"), stream_inf(128_000, "b"));
    origin.serve("/master.m3u8", playlist(master));
    for variant in 0..2 {
        let mut stream = open(&origin, "/master.m3u8", locked(variant)).await;
        let samples = read_all(&mut stream).await;
        let stats = stream.stats();
        assert_eq!((stats.gaps, stats.switches), (0, 2), "{variant}: there and back: {stats:?}");
        let whole = read_all(&mut open(&origin, MASTER, locked(variant)).await).await;
        assert!(samples.len().abs_diff(whole.len()) < 2 * 4096);
    }
    // Where all have lost it, it is silent.
    origin.serve("/b.m3u8", list("128k", Some(1)));
    let mut stream = open(&origin, "/master.m3u8", locked(0)).await;
    read_all(&mut stream).await;
    assert_eq!((stream.stats().gaps, stream.stats().switches), (1, 0));
}
