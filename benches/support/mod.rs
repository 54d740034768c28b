//! What the benches share: the media behind HTTP in a process of its own, the floors, the report.
#![allow(dead_code, unreachable_pub, reason = "no bench uses all of it")]

pub mod child;
pub mod floor;
pub mod host;
pub mod long;
pub mod measure;
pub mod pace;
pub mod page;
pub mod play;
pub mod report;
pub mod server;
pub mod tls;

use std::path::Path;
use std::time::Duration;

use criterion::Criterion;
use kithara::assets::{AssetSettings, AssetStore, Assets};
use kithara::decode::{PcmReader, PcmSource};
use kithara::file::{File, FileOptions, FileStream};
use kithara::hls::{Hls, HlsOptions, HlsStream, VariantMode};
use kithara::net::DefaultNet;

/// The bundled presentation.
pub const MASTER: &str = "/hls/aac4/master.m3u8";

/// Every bundled file; the second name is shown.
pub const FILES: [(&str, &str); 8] = [
    ("cbr.mp3", "MP3 CBR"),
    ("vbr.mp3", "MP3 VBR"),
    ("faststart.m4a", "M4A"),
    ("tail.m4a", "M4A, moov last"),
    ("adts.aac", "ADTS"),
    ("lossless.flac", "FLAC"),
    ("vorbis.ogg", "Ogg Vorbis"),
    ("pcm16.wav", "WAV"),
];

/// Variants of the bundled presentation that are played alone: index in the ladder, name of the fixture, shown name.
pub const VARIANTS: [(usize, &str, &str); 2] = [(1, "aac4/128k", "HLS AAC"), (3, "aac4/flac", "HLS FLAC")];

/// The target folder: cargo gives a folder in it to benches for their files.
pub fn target() -> &'static Path {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary)
}

/// Criterion with ten samples and these times, in milliseconds.
pub fn criterion(warm_up: u64, measurement: u64) -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measurement))
        .configure_from_args()
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A store in a folder, opened anew.
pub fn disk(folder: &Path) -> AssetStore {
    AssetStore::disk(folder, AssetSettings::default()).unwrap()
}

/// Opens HLS with a network stack of its own: no connection is open yet.
pub async fn open_hls(url: &str, assets: AssetStore, variant: VariantMode) -> HlsStream {
    open_hls_with(url, DefaultNet::default(), assets, variant).await
}

pub async fn open_hls_with(
    url: &str,
    net: DefaultNet,
    assets: AssetStore,
    variant: VariantMode,
) -> HlsStream {
    let mut options = HlsOptions::new(net, assets);
    options.variant = variant;
    Hls::open(url.parse().unwrap(), options).await.unwrap()
}

/// Opens a file with a network stack of its own.
pub async fn open_file(url: &str, assets: AssetStore) -> FileStream {
    open_file_with(url, DefaultNet::default(), assets).await
}

pub async fn open_file_with(url: &str, net: DefaultNet, assets: AssetStore) -> FileStream {
    File::open(url.parse().unwrap(), FileOptions::new(net, assets)).await.unwrap()
}

/// Plays a whole presentation, to the last byte that is written to the store: frames, and requests that it took.
pub async fn play_hls(url: &str, assets: AssetStore, variant: VariantMode) -> (u64, u64) {
    let mut stream = open_hls(url, assets.clone(), variant).await;
    let frames = drain(stream.pcm()).await;
    let requests = stream.stats().requests;
    drop(stream);
    assets.flush().await.unwrap();
    (frames, requests)
}

/// Frames up to the end.
async fn drain<S: PcmSource>(pcm: &mut PcmReader<S>) -> u64 {
    let mut frames = 0;
    while let Some(chunk) = pcm.next_chunk().await.unwrap() {
        frames += chunk.frames() as u64;
    }
    frames
}

/// As [`play_hls`], for a file.
pub async fn play_file(url: &str, assets: AssetStore) -> (u64, u64) {
    let mut stream = open_file(url, assets.clone()).await;
    let frames = drain(stream.pcm()).await;
    let requests = stream.stats().requests;
    drop(stream);
    assets.flush().await.unwrap();
    (frames, requests)
}
