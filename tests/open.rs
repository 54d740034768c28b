//! `kithara::open`: what is behind a URL or a path is told by its content.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::time::Duration;

use kithara::{Error, Options, Stream, StreamEvent};
use kithara_testkit::{Gate, Origin, Reply, Resource, media};
use tokio::sync::broadcast::error::TryRecvError;

fn media_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/crates/kithara-testkit/media"))
}

async fn frames(stream: &mut Stream) -> u64 {
    let mut frames = 0;
    while let Some(chunk) = stream.next_chunk().await.unwrap() {
        frames += chunk.frames() as u64;
    }
    frames
}

/// All frames of the bundled MP3, through the file crate alone.
async fn mp3_frames() -> u64 {
    let path = media_folder().join("file/cbr.mp3");
    frames(&mut kithara::open(path.to_str().unwrap()).await.unwrap()).await
}

fn serve_mp3(origin: &Origin, path: &str) {
    origin.serve(
        path,
        Resource::new(media::find("cbr.mp3").unwrap().bytes()).content_type("application/octet-stream"),
    );
}

#[tokio::test]
async fn a_presentation_a_file_and_their_local_copies_open_alike() {
    let origin = Origin::start().await.unwrap();
    let remote = frames(&mut kithara::open(origin.url("/hls/aac4/master.m3u8")).await.unwrap()).await;
    let folder = media_folder().join("hls/aac4/master.m3u8");
    let mut local = kithara::open(folder.to_str().unwrap()).await.unwrap();
    assert!(local.hls_mut().is_some() && !local.variants().is_empty());
    assert_eq!(frames(&mut local).await, remote);
    serve_mp3(&origin, "/song");
    let mut file = kithara::open(origin.url("/song")).await.unwrap();
    assert!(file.file_mut().is_some());
    assert_eq!((file.codec(), file.container()), (Some("mp3"), Some("mp3")));
    assert_eq!(frames(&mut file).await, mp3_frames().await);
    assert_eq!(origin.requests_for("/song").len(), 1, "looking at the content costs no request");
}

#[tokio::test]
async fn hls_under_any_name_and_type_is_found_by_its_content() {
    let origin = Origin::start().await.unwrap();
    let playlist = std::fs::read(media_folder().join("hls/aac4/master.m3u8")).unwrap();
    origin.serve("/hls/aac4/live.php", Resource::new(playlist).content_type("text/plain"));
    let mut stream = kithara::open(origin.url("/hls/aac4/live.php?id=1")).await.unwrap();
    assert!(stream.hls_mut().is_some());
}

#[tokio::test]
async fn station_lists_of_each_kind_lead_to_the_first_entry_that_plays() {
    let origin = Origin::start().await.unwrap();
    serve_mp3(&origin, "/live");
    let live = origin.url("/live");
    let lists = [
        ("/a.m3u", format!("#EXTM3U\n#EXTINF:-1,Radio\n{live}\n"), "audio/x-mpegurl"),
        ("/a.m3u8", format!("#EXTM3U\n#EXTINF:-1,Radio\n{live}\n"), "application/vnd.apple.mpegurl"),
        ("/bare.m3u", format!("{live}\n"), "text/plain"),
        ("/a.pls", format!("[playlist]\nFile1={}\nFile2={live}\n", origin.url("/gone")), "audio/x-scpls"),
        (
            "/a.xspf",
            format!(
                "<?xml version=\"1.0\"?><playlist xmlns=\"http://xspf.org/ns/0/\"><trackList><track>\
                 <location>{live}</location></track></trackList></playlist>"
            ),
            "application/xspf+xml",
        ),
        ("/outer.m3u", format!("#EXTM3U\n{}\n", origin.url("/a.pls")), "audio/x-mpegurl"),
    ];
    for (path, body, media_type) in lists {
        origin.serve(path, Resource::new(body.into_bytes()).content_type(media_type));
        let mut stream =
            kithara::open(origin.url(path)).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(stream.file_mut().is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_list_that_leads_nowhere_says_why() {
    let origin = Origin::start().await.unwrap();
    let body = format!("#EXTM3U\n{}\n", origin.url("/gone?token=hunter2"));
    origin.serve("/a.m3u", Resource::new(body.into_bytes()).content_type("audio/x-mpegurl"));
    let error = kithara::open(origin.url("/a.m3u")).await.unwrap_err();
    assert!(matches!(error, Error::EmptyList { .. }) && error.status() == Some(404), "{error}");
    let text = error.to_string();
    assert!(text.contains("404 Not Found") && !text.contains("hunter2") && !text.contains('\n'), "{text}");
    origin.serve("/loop.m3u", Resource::new(&b"#EXTM3U\nloop.m3u\n"[..]).content_type("audio/x-mpegurl"));
    let error = kithara::open(origin.url("/loop.m3u")).await.unwrap_err();
    assert!(matches!(error, Error::EmptyList { .. }), "{error}");
}

#[tokio::test]
async fn a_remote_list_names_no_file_of_this_machine() {
    let origin = Origin::start().await.unwrap();
    let file = media_folder().join("file/cbr.mp3");
    let body = format!("#EXTM3U\nfile://{}\n", file.display());
    origin.serve("/a.m3u", Resource::new(body.into_bytes()).content_type("audio/x-mpegurl"));
    assert!(kithara::open(origin.url("/a.m3u")).await.is_err());
    let segment = media_folder().join("hls/aac4/master.m3u8");
    let body = format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile://{}\n", segment.display());
    origin.serve("/b.m3u8", Resource::new(body.into_bytes()));
    assert!(kithara::open(origin.url("/b.m3u8")).await.is_err());
}

#[tokio::test]
async fn the_first_line_of_an_error_holds_the_cause() {
    let origin = Origin::start().await.unwrap();
    for path in ["/none.mp3", "/none.m3u8"] {
        let error = kithara::open(origin.url(path)).await.unwrap_err();
        assert!(error.to_string().contains("404 Not Found"), "{error}");
        assert_eq!(error.status(), Some(404));
    }
    let error = kithara::open("/no/such/file.flac").await.unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    assert!(matches!(kithara::open("rtsp://example.com/a").await, Err(Error::Target { .. })));
}

#[tokio::test]
async fn opening_a_server_that_hangs_ends_at_the_deadline() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::new();
    origin.script("/a.mp3", vec![Reply::ok().gate(&gate)]);
    let options = Options::new().with_open_timeout(Duration::from_millis(300));
    let error = options.open(origin.url("/a.mp3")).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_handle_seeks_and_cancels_a_read_that_waits() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::new();
    let bytes = media::find("cbr.mp3").unwrap().bytes();
    serve_mp3(&origin, "/a.mp3");
    origin.script("/a.mp3", vec![Reply::ok().stall_at(bytes.len() as u64 / 3, &gate)]);
    let mut stream = kithara::open(origin.url("/a.mp3")).await.unwrap();
    let mut events = stream.events();
    let handle = stream.handle();
    let reading = tokio::spawn(async move {
        loop {
            match stream.next_chunk().await {
                Ok(Some(_)) => {}
                ended => return (stream, ended.map(|_| ())),
            }
        }
    });
    handle.state().wait_for(|state| state.stalled).await.unwrap();
    handle.cancel();
    let (mut stream, ended) = reading.await.unwrap();
    assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
    gate.open();
    handle.seek(Duration::from_secs(1));
    let chunk = stream.next_chunk().await.unwrap().unwrap();
    assert_eq!(chunk.position(), stream.spec().frame_at(Duration::from_secs(1)));
    assert_eq!(handle.state().borrow().position, stream.position());
    let mut told = Vec::new();
    let lost = loop {
        match events.try_recv() {
            Ok(event) => told.push(event),
            Err(TryRecvError::Lagged(count)) => panic!("{count} events were lost"),
            Err(ended) => break ended,
        }
    };
    let stalled = told.iter().any(|event| matches!(event, StreamEvent::Stalled));
    assert!(stalled, "{told:?} and then {lost:?}");
}

#[tokio::test]
async fn options_reach_both_protocols_and_clones_share_the_store() {
    let origin = Origin::start().await.unwrap();
    serve_mp3(&origin, "/a.mp3");
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new()
        .with_cache(folder.path())
        .unwrap()
        .with_sample_rate(32_000)
        .with_start(Duration::from_secs(1));
    for path in ["/a.mp3", "/hls/aac4/master.m3u8"] {
        let mut stream = options.clone().open(origin.url(path)).await.unwrap();
        assert_eq!(stream.spec().sample_rate, 32_000, "{path}");
        assert_eq!(stream.next_chunk().await.unwrap().unwrap().position(), 32_000, "{path}");
        frames(&mut stream).await;
    }
    let before = origin.requests_for("/a.mp3").len();
    let mut stream = options.clone().with_offline(true).open(origin.url("/a.mp3")).await.unwrap();
    assert!(frames(&mut stream).await > 0);
    assert_eq!(origin.requests_for("/a.mp3").len(), before);
}

#[tokio::test]
async fn a_blocking_call_inside_a_runtime_is_an_error() {
    let error = kithara::blocking::open("https://example.com/a.mp3").unwrap_err();
    assert!(matches!(error, Error::InsideRuntime), "{error}");
    assert!(error.to_string().contains("kithara::open"));
}

#[test]
fn a_program_without_a_runtime_plays() {
    let origin = Origin::start_blocking().unwrap();
    serve_mp3(&origin, "/a.mp3");
    let mut stream = kithara::blocking::open(origin.url("/a.mp3")).unwrap();
    let mut whole = Vec::new();
    let mut part = [0.0; 999];
    while whole.len() < 20_000 {
        let count = stream.read(&mut part).unwrap();
        whole.extend_from_slice(&part[..count]);
    }
    let channels = usize::from(stream.spec().channels);
    let next = stream.next_chunk().unwrap().unwrap();
    assert_eq!(next.position(), (whole.len() / channels) as u64, "what was begun is finished");
    assert_eq!(stream.seek(Duration::ZERO).unwrap(), 0);
    let again = stream.next_chunk().unwrap().unwrap();
    assert_eq!(again.samples()[..], whole[..again.samples().len()]);
    assert!(stream.all(|chunk| chunk.is_ok()));
}

#[test]
fn a_stream_moves_between_threads_and_is_shared() {
    fn check<T: Send + Sync>() {}
    check::<Stream>();
    check::<kithara::StreamHandle>();
    check::<Options>();
    check::<Error>();
}
