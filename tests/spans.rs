//! What a subscriber of `tracing` is told of a stream: which of its work took how long, and what it brought.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::sync::{Arc, Mutex};

use kithara::file::{File, FileError, FileOptions};
use kithara::hls::{Hls, HlsError, HlsOptions};
use kithara_testkit::Origin;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines that tell of the end of a span.
    fn ends(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        text.lines().filter(|line| line.contains(" close ")).map(str::to_owned).collect()
    }

    /// Listens on this thread.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_span_events(FmtSpan::CLOSE)
            .with_ansi(false)
            .with_writer(move || log.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }
}

#[tokio::test]
async fn each_segment_is_a_span_of_its_stream() {
    let origin = Origin::start().await.unwrap();
    let log = Log::default();
    let listening = log.listen();
    let url = origin.url("/hls/ts-aac/index.m3u8?token=hunter2").parse().unwrap();
    let mut stream = Hls::open(url, HlsOptions::default()).await.unwrap();
    while stream.next_chunk().await.unwrap().is_some() {}
    drop(stream);
    tokio::task::yield_now().await;
    drop(listening);
    let ends = log.ends();
    let segments: Vec<&String> = ends.iter().filter(|line| line.contains("segment{")).collect();
    assert_eq!(segments.len(), 3, "{ends:#?}");
    for index in 0..3 {
        let line = segments.iter().find(|line| line.contains(&format!(" segment={index} "))).unwrap();
        let length = origin.body_bytes(&format!("/hls/ts-aac/seg{index}.ts"));
        for part in ["hls{url=http://", "index.m3u8?token=…}:segment{variant=0 ", "ok=true", "time.busy="] {
            assert!(line.contains(part), "no {part} in {line}");
        }
        assert!(line.contains(&format!("bytes={length} ")), "{length} bytes: {line}");
    }
}

#[tokio::test]
async fn the_download_of_a_file_is_a_span() {
    let origin = Origin::start().await.unwrap();
    let log = Log::default();
    let listening = log.listen();
    let url = origin.url("/file/cbr.mp3?token=hunter2").parse().unwrap();
    let mut stream = File::open(url, FileOptions::default()).await.unwrap();
    while stream.next_chunk().await.unwrap().is_some() {}
    drop(stream);
    // The task is dropped when the runtime has its next turn.
    while !log.ends().iter().any(|line| line.contains("download{")) {
        tokio::task::yield_now().await;
    }
    drop(listening);
    let ends = log.ends();
    let download = ends.iter().find(|line| line.contains("download{")).unwrap();
    let length = origin.body_bytes("/file/cbr.mp3");
    assert!(download.contains("file{url=") && download.contains(&format!("bytes={length}")), "{download}");
}

#[test]
fn no_runtime_is_an_error() {
    let url = || "http://127.0.0.1:1/a.m3u8".parse().unwrap();
    let opened = kithara::storage::block_on(Hls::open(url(), HlsOptions::default()));
    assert!(matches!(opened, Err(HlsError::NoRuntime)));
    let opened = kithara::storage::block_on(File::open(url(), FileOptions::default()));
    assert!(matches!(opened, Err(FileError::NoRuntime)));
}
