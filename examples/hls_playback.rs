//! Plays an HLS presentation in real time: the bundled one on a loopback origin, or the URL that is given.
//!
//! ```sh
//! cargo run --release --example hls_playback [URL] [--duration SECONDS] [--speed FACTOR]
//! ```
//!
//! With `--features playback` it is heard (on Linux this needs ALSA's headers); without, a sink takes the PCM at the pace
//! of playback and throws it away. With `--features dhat` every allocation is profiled, and `dhat-heap.json` is written at
//! the end, for <https://nnethercote.github.io/dh_view/dh_view.html>.

use std::error::Error;
use std::time::Duration;

use kithara::assets::{AssetSettings, AssetStore};
use kithara::hls::{Hls, HlsOptions};
use kithara::net::{DefaultNet, Url};
use kithara_testkit::{Origin, process};

#[path = "playback/sink.rs"]
mod sink;

#[cfg(feature = "dhat")]
#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    #[cfg(feature = "dhat")]
    let _profiler = dhat::Profiler::new_heap();

    let arguments = Arguments::parse()?;
    let mut origin = None;
    let url: Url = match arguments.source {
        Some(url) => url,
        None => origin.insert(Origin::start().await?).url("/hls/aac4/master.m3u8").parse()?,
    };
    let folder = tempfile::tempdir()?;
    let assets = AssetStore::disk(folder.path(), AssetSettings::default())?;
    let mut sink = sink::Sink::open(arguments.speed)?;

    let mut options = HlsOptions::new(DefaultNet::default(), assets);
    // The device's own rate, so that nothing else resamples.
    options.output.rate = sink.sample_rate();
    let mut stream = Hls::open(url, options).await?;
    println!("playing {} in {} variants", stream.spec(), stream.variants().len());
    let mut frames = 0;
    while let Some(chunk) = stream.next_chunk().await? {
        frames += chunk.frames() as u64;
        let end = chunk.time();
        sink.play(chunk).await;
        if end >= arguments.duration {
            break;
        }
    }
    sink.drain().await;
    println!("played {:.1} s", stream.spec().position_of(frames).as_secs_f64());
    println!("peak RSS {:.1} MiB", process::peak_rss().unwrap_or_default() as f64 / 1048576.0);
    println!("{:?}", stream.stats());
    Ok(())
}

/// `[URL] [--duration SECONDS] [--speed FACTOR]`.
struct Arguments {
    source: Option<Url>,
    duration: Duration,
    speed: f64,
}

impl Arguments {
    fn parse() -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self { source: None, duration: Duration::MAX, speed: 1.0 };
        let mut arguments = std::env::args_os().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || -> Result<f64, Box<dyn Error>> {
                let number = arguments.next().ok_or("a number is missing")?;
                Ok(number.to_str().ok_or("no number")?.parse()?)
            };
            match argument.to_str() {
                Some("--duration") => parsed.duration = Duration::try_from_secs_f64(number()?)?,
                Some("--speed") => parsed.speed = number()?.clamp(0.01, 1000.0),
                Some(url) if parsed.source.is_none() && !url.starts_with('-') => {
                    parsed.source = Some(url.parse().map_err(|error| format!("this is no URL: {error}"))?);
                }
                _ => return Err("usage: [URL] [--duration SECONDS] [--speed FACTOR]".into()),
            }
        }
        Ok(parsed)
    }
}
