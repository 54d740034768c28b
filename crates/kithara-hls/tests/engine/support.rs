//! A stream over the testkit's origin, and its PCM.

use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_hls::{Hls, HlsOptions, HlsStream, VariantMode};
use kithara_net::NetOptions;
use kithara_testkit::{Origin, Resource, media};

/// The bundled ladder: 64, 128 and 256 kbit/s AAC, and FLAC.
pub(crate) const MASTER: &str = "/hls/aac4/master.m3u8";

/// Options of a test: one retry, at once.
pub(crate) fn options() -> HlsOptions {
    let mut settings = NetOptions::default();
    settings.retry.max_retries = 1;
    settings.retry.base = Duration::from_millis(1);
    settings.retry.cap = Duration::from_millis(2);
    HlsOptions::new(settings.build(), AssetStore::memory(AssetSettings::default()))
}

/// Variant `index` alone.
pub(crate) fn locked(index: usize) -> HlsOptions {
    let mut options = options();
    options.variant = VariantMode::Manual(index);
    options
}

pub(crate) async fn open(origin: &Origin, path: &str, options: HlsOptions) -> HlsStream {
    Hls::open(origin.url(path).parse().unwrap(), options).await.unwrap()
}

/// Everything up to the end; chunks join without a gap.
pub(crate) async fn read_all(stream: &mut HlsStream) -> Vec<f32> {
    let mut samples: Vec<f32> = Vec::new();
    let mut next = None;
    while let Some(chunk) = stream.next_chunk().await.unwrap() {
        assert!(next.is_none_or(|next| next == chunk.position()), "chunks join");
        next = Some(chunk.position() + chunk.frames() as u64);
        samples.extend_from_slice(chunk.samples());
    }
    samples
}

/// `frames` frames of a stereo stream, or what is left.
pub(crate) async fn read(stream: &mut HlsStream, frames: usize) -> Vec<f32> {
    let mut samples: Vec<f32> = Vec::new();
    while samples.len() < frames * 2 {
        let Some(chunk) = stream.next_chunk().await.unwrap() else { break };
        samples.extend_from_slice(chunk.samples());
    }
    samples.truncate(frames * 2);
    samples
}

/// The largest difference.
pub(crate) fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The text of a bundled playlist.
pub(crate) fn text(path: &str) -> &'static str {
    std::str::from_utf8(media::file(path.trim_start_matches('/')).unwrap()).unwrap()
}

/// The segments' names in a playlist.
pub(crate) fn names(list: &str) -> Vec<&str> {
    list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

pub(crate) fn playlist(text: impl Into<String>) -> Resource {
    Resource::new(bytes::Bytes::from(text.into())).content_type("application/vnd.apple.mpegurl")
}

/// The path of a bundled variant's n-th segment.
pub(crate) fn segment_path(variant: &str, index: usize) -> String {
    let list = text(&format!("hls/aac4/{variant}/index.m3u8"));
    format!("/hls/aac4/{variant}/{}", names(list)[index])
}
