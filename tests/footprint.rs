//! What streams take of the process: threads, open files, wake-ups. One test, because others would be counted with it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::time::Duration;

use kithara::assets::{AssetSettings, AssetStore};
use kithara::file::{File, FileOptions, FileStream};
use kithara::hls::{HlsOptions, HlsStream};
use kithara_testkit::{Origin, process};
use support::{impatient, memory, open_hls};

const MASTER: &str = "/hls/aac4/master.m3u8";

/// Segments ahead, segments kept for a step back, the one that is heard, and handles that the store keeps for the next open.
const FILES_OF_A_STREAM: usize = 8 + 5 + 1 + 5;

#[tokio::test]
async fn a_stream_takes_no_thread_few_files_and_no_wake_up() {
    let origin = Origin::start_blocking().unwrap();

    let threads = process::threads().unwrap();
    let mut presentations = Vec::new();
    for n in 0..5 {
        let url = origin.url(&format!("{MASTER}?{n}"));
        presentations.push(heard(&url, memory()).await);
    }
    assert_eq!(process::threads().unwrap(), threads, "HLS has no thread of its own");
    drop(presentations);

    let mut files = Vec::new();
    for n in 1..=3 {
        files.push(open_file(&origin, n).await);
        assert_eq!(process::threads().unwrap(), threads + n, "a file has one, which decodes");
    }
    drop(files);

    let folder = tempfile::tempdir().unwrap();
    let assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
    let stream = heard(&origin.url(MASTER), assets).await;
    resting(&origin).await;
    let open = open_files_in(folder.path());
    assert!(open <= FILES_OF_A_STREAM, "{open} open files");
    drop(stream);

    let stream = heard(&origin.url(&format!("{MASTER}?wakes")), memory()).await;
    resting(&origin).await;
    tokio::time::pause();
    let with_stream = parks_in_ten_seconds().await;
    drop(stream);
    tokio::task::yield_now().await;
    assert_eq!(with_stream, parks_in_ten_seconds().await, "a paused stream wakes up as often as none");
}

/// An open presentation whose first chunk was heard.
async fn heard(url: &str, assets: AssetStore) -> HlsStream {
    let mut stream = open_hls(url, HlsOptions::new(impatient(), assets)).await.unwrap();
    stream.next_chunk().await.unwrap().unwrap();
    stream
}

async fn open_file(origin: &Origin, n: u64) -> FileStream {
    let url = origin.url(&format!("/file/cbr.mp3?{n}")).parse().unwrap();
    File::open(url, FileOptions::new(impatient(), memory())).await.unwrap()
}

/// Waits until nothing more is asked for: the look-ahead is full.
async fn resting(origin: &Origin) {
    loop {
        origin.wait_until_idle().await;
        let asked = origin.counters().requests;
        // What follows an answer is asked for within this time.
        tokio::time::sleep(Duration::from_millis(200)).await;
        if origin.counters().requests == asked {
            return;
        }
    }
}

/// How often the runtime went to sleep during ten virtual seconds.
async fn parks_in_ten_seconds() -> u64 {
    let parks = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
    let before = parks();
    tokio::time::sleep(Duration::from_secs(10)).await;
    parks() - before
}

/// Files of this process that are open below `folder`.
fn open_files_in(folder: &Path) -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|path| path.starts_with(folder))
        .count()
}
