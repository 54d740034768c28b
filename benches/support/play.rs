//! One stream in a process of its own, and what the process came to.

use std::path::Path;
use std::time::{Duration, Instant};

use kithara::assets::{AssetSettings, AssetStore};
use kithara::decode::PcmChunk;
use kithara::hls::VariantMode;
use kithara::net::{NetOptions, RootCertificate};
use kithara_testkit::process;
use serde_json::{Value, json};

use super::pace::Pacer;
use super::{disk, open_file_with, open_hls_with, tls};

/// Plays `url`: a playlist or a file; into the folder `cache`, or in memory; at `speed` times playback speed, or as fast as
/// it comes. The runtime and the loop are those of `examples/hls_decode.rs`.
///
/// Answers with frames, threads and open files in the middle, and the peak of the memory that was resident.
pub fn play(arguments: Value) -> Value {
    let url = arguments["url"].as_str().unwrap().to_owned();
    let mut settings = NetOptions::default();
    if url.starts_with("https") {
        settings.http.extra_roots.push(RootCertificate::new(tls::ROOT));
    }
    let assets = match arguments["cache"].as_str() {
        Some(folder) => disk(Path::new(folder)),
        None => AssetStore::memory(AssetSettings::default()),
    };
    let mut consumer = Consumer { pacer: arguments["speed"].as_f64().map(Pacer::new), ..Consumer::default() };
    super::runtime().block_on(async {
        if url.contains(".m3u8") {
            let mut stream = open_hls_with(&url, settings.build(), assets, VariantMode::Auto).await;
            while let Some(chunk) = stream.next_chunk().await.unwrap() {
                consumer.take(&chunk).await;
            }
        } else {
            let mut stream = open_file_with(&url, settings.build(), assets).await;
            while let Some(chunk) = stream.next_chunk().await.unwrap() {
                consumer.take(&chunk).await;
            }
        }
    });
    consumer.answer()
}

/// Counts frames, at a pace if there is one.
#[derive(Default)]
struct Consumer {
    pacer: Option<Pacer>,
    frames: u64,
    threads: u64,
    files: usize,
}

impl Consumer {
    async fn take(&mut self, chunk: &PcmChunk) {
        self.frames += chunk.frames() as u64;
        if self.threads == 0 && chunk.time() > Duration::from_secs(20) {
            self.threads = process::threads().unwrap_or_default();
            self.files = process::open_files().unwrap_or_default();
        }
        if let Some(pacer) = &mut self.pacer {
            pacer.arrived(chunk.spec().position_of(chunk.frames() as u64)).await;
        }
    }

    fn answer(&self) -> Value {
        json!({
            "frames": self.frames,
            "threads": self.threads,
            "files": self.files,
            "peak_rss": process::peak_rss(),
            "cpu": process::cpu_time().unwrap_or_default().as_secs_f64(),
            "stalls": self.pacer.as_ref().map(Pacer::stalls),
        })
    }
}

/// The floor: the same bodies by bare sequential GETs, each decoded by bare Symphonia while it arrives whole.
pub fn bare(arguments: Value) -> Value {
    let urls: Vec<String> = serde_json::from_value(arguments["urls"].clone()).unwrap();
    let begun = Instant::now();
    let frames = super::runtime().block_on(async {
        let client = super::floor::client();
        let mut frames = 0;
        // The first is the init section.
        let init = super::floor::get_bytes(&client, &urls[0]).await;
        for url in &urls[1..] {
            let mut body = init.clone();
            super::floor::get_into(&client, url, &mut body).await;
            frames += super::floor::decode(body);
        }
        frames
    });
    json!({ "frames": frames, "peak_rss": process::peak_rss(), "wall": begun.elapsed().as_secs_f64() })
}
