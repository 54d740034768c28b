//! What the cross-crate tests share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use kithara::assets::{AssetSettings, AssetStore};
use kithara::decode::PcmChunk;
use kithara::file::{File, FileOptions, FileStream};
use kithara::hls::{Hls, HlsError, HlsOptions, HlsStream, VariantMode};
use kithara::net::{DefaultNet, NetOptions};
use kithara_testkit::media::Fixture;

/// A network that gives up soon: a test of failures has no time for a player's patience.
pub fn impatient() -> DefaultNet {
    let mut settings = NetOptions::default();
    settings.retry.max_retries = 1;
    settings.retry.base = Duration::from_millis(1);
    settings.retry.cap = Duration::from_millis(2);
    settings.build()
}

pub fn memory() -> AssetStore {
    AssetStore::memory(AssetSettings::default())
}

pub fn hls_options() -> HlsOptions {
    HlsOptions::new(impatient(), memory())
}

/// Plays variant `index` alone.
pub fn locked(index: usize) -> HlsOptions {
    let mut options = hls_options();
    options.variant = VariantMode::Manual(index);
    options
}

pub async fn open_hls(url: &str, options: HlsOptions) -> Result<HlsStream, HlsError> {
    Hls::open(url.parse().unwrap(), options).await
}

pub async fn open_file(url: &str) -> FileStream {
    File::open(url.parse().unwrap(), FileOptions::new(impatient(), memory())).await.unwrap()
}

/// Reads chunks by a method of either kind of stream to the end, and checks that they join without a gap.
#[allow(unused_macros)]
macro_rules! read_all {
    ($stream:expr) => {{
        let mut samples: Vec<f32> = Vec::new();
        let mut next = None;
        while let Some(chunk) = $stream.next_chunk().await.unwrap() {
            $crate::support::append(&mut samples, &mut next, &chunk);
        }
        samples
    }};
}
#[allow(unused_imports)]
pub(crate) use read_all;

/// Reads `$frames` frames from where the stream is.
#[allow(unused_macros)]
macro_rules! read_frames {
    ($stream:expr, $frames:expr) => {{
        let wanted = $frames * usize::from($stream.spec().channels);
        let mut samples: Vec<f32> = Vec::new();
        let mut next = None;
        while samples.len() < wanted {
            let Some(chunk) = $stream.next_chunk().await.unwrap() else { break };
            $crate::support::append(&mut samples, &mut next, &chunk);
        }
        samples.truncate(wanted);
        samples
    }};
}
#[allow(unused_imports)]
pub(crate) use read_frames;

/// Reads whole chunks until there are at least `$frames` frames.
#[allow(unused_macros)]
macro_rules! read_at_least {
    ($stream:expr, $frames:expr) => {{
        let wanted = $frames * usize::from($stream.spec().channels);
        let mut samples: Vec<f32> = Vec::new();
        let mut next = None;
        while samples.len() < wanted {
            let Some(chunk) = $stream.next_chunk().await.unwrap() else { break };
            $crate::support::append(&mut samples, &mut next, &chunk);
        }
        samples
    }};
}
#[allow(unused_imports)]
pub(crate) use read_at_least;

pub fn append(samples: &mut Vec<f32>, next: &mut Option<u64>, chunk: &PcmChunk) {
    if let Some(next) = *next {
        assert_eq!(chunk.position(), next, "chunks join without a gap");
    }
    *next = Some(chunk.position() + chunk.frames() as u64);
    samples.extend_from_slice(chunk.samples());
}

/// The whole decode has the reference's frames, and every sample is within the fixture's tolerance.
pub fn check(fixture: &Fixture, samples: &[f32]) {
    let frames = samples.len() as u64 / u64::from(fixture.channels);
    assert_eq!(frames, fixture.frames, "{}: frames", fixture.name);
    let of = |frame: u64| frame as usize * usize::from(fixture.channels);
    let checked = match fixture.name {
        // Two encodes meet at the splice, and the second begins with a window that the first does not end with. What an
        // AAC decoder makes of that overlap is its own affair: ffmpeg looks at both windows, Symphonia at the second.
        "discontinuity" => fixture
            .reference
            .check_from(0, &samples[..of(SPLICE)])
            .and_then(|_| fixture.reference.check_from(SPLICE + 1024, &samples[of(SPLICE + 1024)..])),
        _ => fixture.reference.check(samples),
    };
    if let Err(mismatch) = checked {
        panic!("{}: {mismatch}", fixture.name);
    }
}

/// Where the timestamps of the fixture `discontinuity` start again: behind 259 packets.
const SPLICE: u64 = 259 * 1024;

/// Those of the features of codecs that this build has.
const FEATURES: &[&str] = &[
    #[cfg(feature = "opus")]
    "opus",
    // HE-AAC, which every build decodes.
    "fdk-aac",
];

/// Whether this build has the codec of the fixture.
pub fn can_decode(fixture: &Fixture) -> bool {
    fixture.feature().is_none_or(|feature| FEATURES.contains(&feature))
}

pub fn path_of(fixture: &Fixture) -> String {
    format!("/{}", fixture.entry)
}
