//! What streams take of the process: threads, memory, open files, wake-ups. One test, because others would be counted with it.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::time::Duration;

use kithara::assets::{AssetSettings, AssetStore};
use kithara::file::{File, FileOptions, FileStream};
use kithara::hls::{HlsEvent, HlsOptions, HlsStream, LookAhead, VariantMode};
use kithara_testkit::alloc::{Counting, Tally};
use kithara_testkit::{Origin, process};
use support::{impatient, memory, open_hls};
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Kilobytes of heap that one more AAC stream may take that rests: 95 of them are the decoder.
const HEAP_OF_A_STREAM: u64 = 215;

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
    let mut stream = heard(&origin.url(MASTER), assets).await;
    resting(&mut stream).await;
    let open = open_files_in(folder.path());
    assert!(open <= FILES_OF_A_STREAM, "{open} open files");
    drop(stream);

    let folder = tempfile::tempdir().unwrap();
    let options =
        HlsOptions::new(impatient(), AssetStore::disk(folder.path(), AssetSettings::default()).unwrap());
    // The first one pays for what all of them share.
    let mut streams = vec![one_of_many(&origin, &options, 0).await];
    let before = Tally::now();
    for n in 1..=STREAMS {
        streams.push(one_of_many(&origin, &options, n).await);
    }
    let heap = (Tally::now() - before).live / STREAMS / 1000;
    assert!(heap <= HEAP_OF_A_STREAM, "{heap} KB of heap for one more stream");
    drop(streams);

    let mut stream = heard(&origin.url(&format!("{MASTER}?wakes")), memory()).await;
    resting(&mut stream).await;
    tokio::time::pause();
    // In a whole millisecond, as every later time.
    let mut at = Instant::now() + WHILE;
    tokio::time::sleep_until(at).await;
    let with_stream = parks_at_rest(&mut at).await;
    drop(stream);
    tokio::task::yield_now().await;
    assert_eq!(with_stream, parks_at_rest(&mut at).await, "a paused stream wakes up as often as none");
}

/// Streams among which their memory is shared out: what a connection more takes, of the origin's too, is little then.
const STREAMS: u64 = 20;

/// A stream that rests, over the same connections and store as the others.
async fn one_of_many(origin: &Origin, options: &HlsOptions, n: u64) -> HlsStream {
    let mut stream = heard_with(&origin.url(&format!("{MASTER}?many{n}")), options.clone()).await;
    resting(&mut stream).await;
    stream
}

/// An open presentation whose first chunk was heard.
async fn heard(url: &str, assets: AssetStore) -> HlsStream {
    heard_with(url, HlsOptions::new(impatient(), assets)).await
}

async fn heard_with(url: &str, mut options: HlsOptions) -> HlsStream {
    options.variant = VariantMode::Manual(1);
    let mut stream = open_hls(url, options).await.unwrap();
    stream.next_chunk().await.unwrap().unwrap();
    stream
}

async fn open_file(origin: &Origin, n: u64) -> FileStream {
    let url = origin.url(&format!("/file/cbr.mp3?{n}")).parse().unwrap();
    File::open(url, FileOptions::new(impatient(), memory())).await.unwrap()
}

/// Waits until the look-ahead is full: nothing more is asked for.
async fn resting(stream: &mut HlsStream) {
    let mut events = stream.events();
    let mut stored = 0;
    while stored < LookAhead::default().segments {
        stored += usize::from(matches!(events.recv().await.unwrap(), HlsEvent::SegmentStored { .. }));
    }
}

/// So many virtual milliseconds that tokio's timer is in the same state behind them: a sleep alone wakes up once for each level
/// of its wheel, of 64 slots each, that it passes.
const WHILE: Duration = Duration::from_millis(64 * 64 * 64);

/// How often the runtime goes to sleep in a [`WHILE`] from `at` on: the least of a few times, because connections that rest are
/// closed during the first, and what the other side has to say of it comes when it likes.
async fn parks_at_rest(at: &mut Instant) -> u64 {
    let parks = || tokio::runtime::Handle::current().metrics().worker_park_count(0);
    let mut least = u64::MAX;
    for _ in 0..4 {
        let before = parks();
        *at += WHILE;
        tokio::time::sleep_until(*at).await;
        least = least.min(parks() - before);
    }
    least
}

/// Files of this process that are open below `folder`.
fn open_files_in(folder: &Path) -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap();
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|path| path.starts_with(folder))
        .count()
}
