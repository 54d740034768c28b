//! Presentations whose clocks jump: a seek gives the PCM that straight playback has at the same frame.
//!
//! The files in `field` and the ones made here are sought in two ways: in one stream that has played everything before,
//! and in streams that begin with the seek, which know nothing but the playlist.

use std::path::PathBuf;
use std::time::Duration;

use kithara::hls::HlsOptions;
use kithara_testkit::Origin;
use kithara_testkit::odd::aes::{encrypt, iv_of};
use kithara_testkit::odd::id3;
use kithara_testkit::odd::mp4::{Fragment, Run, init};
use kithara_testkit::odd::ts::{Stream, Writer};

use super::fmp4::{run, sound};
use super::proof::Presentation;
use super::support::{hls_options, impatient, memory, open_hls, read_all, read_frames};
use super::units::{Units, aac, mp3};

const AUDIO: u16 = 0x101;
const WRAP: u64 = 1 << 33;

fn folder(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "wild", "field", name].iter().collect()
}

fn bytes(folder_name: &str, file: &str) -> Vec<u8> {
    std::fs::read(folder(folder_name).join(file)).unwrap()
}

/// A presentation of files in a folder; each line that is no tag and no attribute's URI names one.
fn of_folder(name: &'static str, folder_name: &str, lines: &str) -> Presentation {
    let mut presentation = Presentation::new(name);
    presentation.noise = 0.15;
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        presentation.line(line);
        let named = match line.split_once("URI=\"") {
            Some((_, rest)) => rest.split('"').next(),
            None if line.starts_with('#') => None,
            None => Some(line),
        };
        let Some(file) = named.filter(|file| !file.starts_with("data:")) else { continue };
        if presentation.files.iter().all(|(known, _)| known != file) {
            presentation.file(file, bytes(folder_name, file));
        }
    }
    presentation
}

/// Straight playback, by a stream of its own.
pub struct Straight {
    samples: Vec<f32>,
    channels: usize,
    rate: u32,
}

impl Straight {
    fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }
}

pub async fn straight(url: &str) -> Straight {
    let mut stream = open_hls(url, hls_options()).await.unwrap();
    let samples = read_all!(stream);
    let spec = stream.spec();
    Straight { samples, channels: spec.channels.into(), rate: spec.sample_rate }
}

/// Pseudo-random parts of a whole, the same in every run.
fn parts(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    })
    .take(count)
}

/// Reads behind a seek, and compares with straight playback: encoders leave noise to the decoder (PNS), which depends on
/// what was decoded before.
macro_rules! compare {
    ($name:expr, $noise:expr, $stream:expr, $whole:expr, $frame:expr, $what:expr) => {{
        let (whole, frame): (&Straight, usize) = (&$whole, $frame);
        let wanted = 2_500.min(whole.frames() - frame);
        let heard = read_frames!($stream, wanted);
        assert_eq!(heard.len(), wanted * whole.channels, "{}: {} to frame {frame}: too little", $name, $what);
        let right = &whole.samples[frame * whole.channels..][..heard.len()];
        let energy = |samples: &mut dyn Iterator<Item = f32>| samples.map(|s| s * s).sum::<f32>();
        let signal = energy(&mut right.iter().copied());
        let noise = energy(&mut heard.iter().zip(right).map(|(a, b)| a - b));
        assert!(
            noise <= signal * $noise + 1e-6,
            "{}: {} to frame {frame}: {noise} of {signal}",
            $name,
            $what
        );
    }};
}

/// Seeks of both kinds.
pub async fn prove_seeks(presentation: &Presentation, seeks: usize, fresh: usize) -> Straight {
    let origin = Origin::start().await.unwrap();
    let url = presentation.serve(&origin);
    let whole = straight(&url).await;
    let last = whole.frames() - 1;
    // Streams that begin elsewhere, over a store of their own and over one for all.
    let assets = memory();
    for (n, part) in parts(fresh).enumerate() {
        let frame = (part * last as f64) as usize;
        let mut options =
            if n % 4 == 0 { hls_options() } else { HlsOptions::new(impatient(), assets.clone()) };
        let to = Duration::from_secs_f64((frame as f64 + 0.25) / f64::from(whole.rate));
        options.start = Some(to).filter(|_| n % 2 == 0);
        let mut stream = open_hls(&url, options).await.unwrap();
        assert_eq!(stream.spec().sample_rate, whole.rate);
        if n % 2 == 1 {
            assert_eq!(stream.seek(to).await.unwrap(), frame as u64);
        }
        compare!(presentation.name, presentation.noise.max(1e-5), stream, whole, frame, "a first seek");
    }
    // One stream that is sought in again and again; the second half of the seeks after it has played everything.
    let mut stream = open_hls(&url, HlsOptions::new(impatient(), assets)).await.unwrap();
    for (n, part) in parts(seeks).enumerate() {
        if n == seeks / 2 {
            stream.seek(Duration::ZERO).await.unwrap();
            assert_eq!(read_all!(stream).len(), whole.samples.len(), "{}", presentation.name);
        }
        let frame = (part * last as f64) as usize;
        let to = Duration::from_secs_f64((frame as f64 + 0.25) / f64::from(whole.rate));
        assert_eq!(stream.seek(to).await.unwrap(), frame as u64);
        compare!(presentation.name, presentation.noise.max(1e-5), stream, whole, frame, "a seek");
    }
    whole
}

/// `count` lines of segments `s0`, `s1`, … of 188 packets at 48 kHz.
fn segments(range: std::ops::Range<usize>, extension: &str) -> String {
    range.map(|n| format!("#EXTINF:4.010667,\ns{n}.{extension}\n")).collect()
}

#[tokio::test]
async fn a_discontinuity_whose_clock_jumps() {
    let list = segments(0..3, "ts") + "#EXT-X-DISCONTINUITY\n" + &segments(3..8, "ts");
    let whole = prove_seeks(&of_folder("field-disc", "disc", &list), 120, 24).await;
    assert_eq!(whole.frames() as f64 / 1024.0, (7.0 * 4.010667 * 48_000.0 / 1024.0_f64).round() + 185.0);
}

#[tokio::test]
async fn an_advertisement_of_another_rate_with_a_map_of_its_own() {
    let list = "#EXT-X-MAP:URI=\"init.mp4\"
        #EXTINF:4.010667,\ns0.m4s\n#EXTINF:3.989333,\ns1.m4s\n#EXTINF:4.010667,\ns2.m4s
        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"ainit.mp4\"
        #EXTINF:4.040272,\na0.m4s\n#EXTINF:3.993832,\na1.m4s\n#EXTINF:0.046440,\na2.m4s
        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init.mp4\"
        #EXTINF:3.989333,\ns3.m4s\n#EXTINF:4.010667,\ns4.m4s\n#EXTINF:3.989333,\ns5.m4s";
    prove_seeks(&of_folder("field-admaps", "admaps", list), 120, 24).await;
}

#[tokio::test]
async fn encrypted_ts_and_fmp4_in_turns() {
    let list = "#EXT-X-KEY:METHOD=AES-128,URI=\"key.bin\",IV=0xa120a6138fb13f92cfad3051b53467d9
        #EXTINF:4.010667,\ns0.ts\n#EXTINF:3.989333,\ns1.ts\n#EXTINF:4.010667,\ns2.ts
        #EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init.mp4\"
        #EXTINF:3.989333,\nf3.m4s\n#EXTINF:4.010667,\nf4.m4s\n#EXTINF:3.989333,\nf5.m4s
        #EXT-X-DISCONTINUITY\n#EXTINF:4.010667,\ns6.ts\n#EXTINF:3.989333,\ns7.ts";
    prove_seeks(&of_folder("field-tsandfmp4", "aes", list), 60, 12).await;
}

#[tokio::test]
async fn an_unmarked_hole_of_six_seconds() {
    prove_seeks(&of_folder("field-ptsgap", "ptsgap", &segments(0..6, "ts")), 120, 24).await;
}

#[tokio::test]
async fn id3_clocks_that_run_too_slowly() {
    let list = segments(0..7, "aac") + "#EXTINF:3.946667,\ns7.aac\n";
    prove_seeks(&of_folder("field-id3", "id3wrong", &list), 120, 24).await;
}

/// The clock of a domain: its number, the packets in it so far, and those in the presentation.
pub type ClockOf = fn(domain: u64, inside: u64, whole: u64) -> u64;

/// Siblings that are made here: domains of `per` packets in segments of `segment` packets.
pub struct Made {
    name: &'static str,
    clock: ClockOf,
    tag: bool,
    per: usize,
    segment: usize,
    decimals: usize,
}

const MADE: Made =
    Made { name: "made", clock: |_, inside, _| inside, tag: true, per: 20, segment: 20, decimals: 6 };

/// What a segment is packed in.
#[derive(Clone, Copy, PartialEq)]
pub enum Packing {
    Ts,
    Packed,
    Fmp4,
    /// MPEG-TS under AES-128.
    Aes,
    /// MPEG-TS in one file.
    Ranges,
}

fn make(made: &Made, units: &Units, packing: Packing) -> Presentation {
    let mut presentation = Presentation::new(made.name);
    let (mut file, key) = (Vec::new(), *b"sixteen bytes ok");
    match packing {
        Packing::Fmp4 => {
            presentation.file("init.mp4", init(&[sound(units, 90_000)]));
            presentation.line("#EXT-X-MAP:URI=\"init.mp4\"");
        }
        Packing::Aes => {
            presentation.file("key", key.to_vec()).line("#EXT-X-KEY:METHOD=AES-128,URI=\"key\"");
        }
        _ => {}
    }
    let (mut number, mut done) = (0, 0);
    for (domain, frames) in units.frames.chunks(made.per).enumerate() {
        if domain > 0 && made.tag {
            presentation.line("#EXT-X-DISCONTINUITY");
        }
        if domain % 2 == 1 {
            presentation.line(&format!("#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{:02}Z", domain % 60));
        }
        for (part, frames) in frames.chunks(made.segment).enumerate() {
            let inside = (part * made.segment) as u64;
            let time = |n: u64| {
                let ticks = (made.clock)(domain as u64, units.time(inside + n), units.time(done + n));
                ticks % WRAP
            };
            let seconds = units.seconds(frames.len());
            let ts = || {
                let mut ts = Writer::new();
                ts.pat().pmt(&[Stream::new(AUDIO, if units.samples == 1024 { 0x0F } else { 0x03 })]);
                for (n, frames) in frames.chunks(5).enumerate() {
                    ts.pes(AUDIO, 0xC0, Some(time(n as u64 * 5)), &frames.concat());
                }
                ts.finish()
            };
            let body = match packing {
                Packing::Ts | Packing::Ranges => ts(),
                Packing::Packed => [id3::timestamp(time(0)), frames.concat()].concat(),
                Packing::Aes => encrypt(&key, iv_of(number), &ts()),
                Packing::Fmp4 => {
                    let run = Run { time: time(0), ..run(frames, 0, 90_000) };
                    Fragment { sequence: 1, runs: vec![run], ..Fragment::default() }.build()
                }
            };
            presentation.line(&format!("#EXTINF:{seconds:.*},", made.decimals));
            if packing == Packing::Ranges {
                presentation.line(&format!("#EXT-X-BYTERANGE:{}@{}\nall.ts", body.len(), file.len()));
                file.extend(body);
            } else {
                let name = format!("{number}.bin");
                presentation.line(&name).file(&name, body);
            }
            done += frames.len() as u64;
            number += 1;
        }
    }
    if packing == Packing::Ranges {
        presentation.file("all.ts", file);
    }
    presentation
}

pub async fn prove_made(made: &Made, packings: &[Packing]) {
    for packing in packings {
        prove_seeks(&make(made, &aac(), *packing), 40, 10).await;
    }
}

#[tokio::test]
async fn a_discontinuity_at_each_segment_whose_clock_begins_at_zero() {
    use Packing::{Aes, Fmp4, Packed, Ranges, Ts};
    prove_made(&Made { name: "made-zero", ..MADE }, &[Ts, Packed, Fmp4, Aes, Ranges]).await;
    prove_made(&Made { name: "made-zero-3", decimals: 3, ..MADE }, &[Ts, Packed]).await;
}

#[tokio::test]
async fn clocks_that_go_back_wrap_or_differ_by_hours() {
    use Packing::{Packed, Ts};
    let back: ClockOf = |domain, inside, _| 9_000_000 - domain * 500_000 + inside;
    let hours: ClockOf = |domain, inside, _| (domain * 7_919 % 23) * 3600 * 90_000 + inside;
    let wraps: ClockOf = |domain, inside, whole| WRAP - 400_000 + whole + domain * 70_000 + inside - inside;
    for (name, clock) in [("made-back", back), ("made-hours", hours), ("made-wraps", wraps)] {
        for (per, segment) in [(20, 20), (100, 25)] {
            prove_made(&Made { name, clock, per, segment, ..MADE }, &[Ts, Packed]).await;
        }
    }
}

#[tokio::test]
async fn unmarked_jumps_of_the_clock() {
    use Packing::{Fmp4, Packed, Ts};
    let gaps: ClockOf = |domain, _, whole| whole + domain * 6 * 90_000;
    let slow: ClockOf = |domain, inside, whole| whole - domain * 1_920 - inside + inside;
    let restart: ClockOf = |_, inside, _| 126_000 + inside;
    for (name, clock) in [("made-gaps", gaps), ("made-slow", slow), ("made-restart", restart)] {
        prove_made(&Made { name, clock, tag: false, ..MADE }, &[Ts, Packed, Fmp4]).await;
    }
}

#[tokio::test]
async fn durations_in_whole_seconds_and_several_advertisements() {
    // What the playlist says is off by up to half a second for each segment: the segments at the discontinuities tell.
    let clock: ClockOf = |domain, inside, _| domain * 1_000_000_000 + inside;
    for decimals in [0, 1] {
        let made = Made { name: "made-whole", clock, per: 110, segment: 52, decimals, ..MADE };
        prove_made(&made, &[Packing::Ts, Packing::Packed]).await;
    }
}

#[tokio::test]
async fn mp3_with_a_discontinuity_at_each_segment() {
    prove_seeks(&make(&Made { name: "made-mp3", ..MADE }, &mp3(), Packing::Ts), 40, 10).await;
}
