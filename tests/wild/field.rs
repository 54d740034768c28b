//! Presentations whose clocks jump: a seek gives the PCM that straight playback has at the same frame.
//!
//! The files in `field` and the ones made here are sought in two ways: in one stream that has played everything before,
//! and in streams that begin with the seek, which know nothing but the playlist.

use std::path::PathBuf;
use std::time::Duration;

use kithara::hls::{HlsEvent, HlsOptions};
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
        let made = Made { name: "made-whole", clock, per: 110, segment: 55, decimals, ..MADE };
        prove_made(&made, &[Packing::Ts, Packing::Packed]).await;
    }
}

#[tokio::test]
async fn mp3_with_a_discontinuity_at_each_segment() {
    prove_seeks(&make(&Made { name: "made-mp3", ..MADE }, &mp3(), Packing::Ts), 40, 10).await;
}

const KEY_LINE: &str = "#EXT-X-KEY:METHOD=AES-128,URI=\"key.bin\",IV=0xa120a6138fb13f92cfad3051b53467d9\n";

/// Four encrypted segments, one of them in another file.
fn encrypted(name: &'static str, key: &str, second: &str, last: &str) -> Presentation {
    let list = format!(
        "{key}#EXTINF:4.010667,\ns0.ts\n#EXTINF:3.989333,\n{second}\n#EXTINF:4.010667,\ns2.ts
        #EXTINF:3.989333,\ns3.ts\n#EXTINF:4.010667,\n{last}\n#EXTINF:3.989333,\ns5.ts"
    );
    of_folder(name, "aes", &list)
}

/// Straight playback of a presentation, and the events of it.
pub async fn heard(presentation: &Presentation) -> (Straight, Vec<HlsEvent>) {
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&presentation.serve(&origin), hls_options()).await.unwrap();
    let mut receiver = stream.events();
    let samples = read_all!(stream);
    let spec = stream.spec();
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push(event);
    }
    (Straight { samples, channels: spec.channels.into(), rate: spec.sample_rate }, events)
}

fn gaps(events: &[HlsEvent]) -> Vec<(usize, bool)> {
    let gap = |event: &HlsEvent| match event {
        HlsEvent::Gap { segment, error, .. } => Some((*segment, error.is_some())),
        _ => None,
    };
    events.iter().filter_map(gap).collect()
}

#[tokio::test]
async fn a_segment_without_padding_and_bytes_behind_the_last_block() {
    let (right, _) = heard(&encrypted("aes-right", KEY_LINE, "s1.ts", "s4.ts")).await;
    let unpadded = encrypted("aes-unpadded", KEY_LINE, "s1-unpadded.ts", "s4.ts");
    assert_eq!(unpadded.files[2].1.len() % 16, 0);
    let (without, events) = heard(&unpadded).await;
    assert!(without.samples == right.samples, "the padding is no part of the sound");
    assert_eq!(gaps(&events), []);
    for tail in [1, 15, 16, 188] {
        let mut longer = encrypted("aes-tail", KEY_LINE, "s1.ts", "s4.ts");
        longer.files[2].1.extend(std::iter::repeat_n(0x5A, tail));
        let (longer, events) = heard(&longer).await;
        assert_eq!(longer.frames(), right.frames(), "{tail} bytes more");
        assert!(longer.samples == right.samples, "{tail} bytes more");
        assert_eq!(gaps(&events), []);
    }
}

#[tokio::test]
async fn one_segment_that_cannot_be_decrypted_is_a_gap() {
    let (right, _) = heard(&encrypted("aes-right", KEY_LINE, "s1.ts", "s4.ts")).await;
    let (with_gap, events) = heard(&encrypted("aes-wrong", KEY_LINE, "s1.ts", "s4-wrong.ts")).await;
    assert_eq!(with_gap.frames(), right.frames());
    assert_eq!(gaps(&events), [(4, true)]);
    let at = |seconds: f64| (seconds * 48_000.0) as usize * right.channels;
    assert!(with_gap.samples[..at(15.9)] == right.samples[..at(15.9)]);
    assert!(with_gap.samples[at(16.2)..at(19.9)].iter().all(|sample| *sample == 0.0), "silence");
    assert!(with_gap.samples[at(20.2)..].iter().any(|sample| sample.abs() > 0.01), "and sound behind it");
}

#[tokio::test]
async fn keys_and_maps_in_data_uris() {
    let (right, _) = heard(&encrypted("aes-right", KEY_LINE, "s1.ts", "s4.ts")).await;
    let key = KEY_LINE.replace("key.bin", "data:;base64,ABEiM0RVZneImaq7zN3u/w==");
    let (with_data, _) = heard(&encrypted("aes-data", &key, "s1.ts", "s4.ts")).await;
    assert!(with_data.samples == right.samples);

    let list = "#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4.010667,\ns0.m4s\n#EXTINF:3.989333,\ns1.m4s";
    let (right, _) = heard(&of_folder("map-file", "admaps", list)).await;
    let percent: String = bytes("admaps", "init.mp4").iter().map(|byte| format!("%{byte:02X}")).collect();
    let list = list.replace("init.mp4", &format!("data:video/mp4,{percent}"));
    let (with_data, _) = heard(&of_folder("map-data", "admaps", &list)).await;
    assert!(with_data.samples == right.samples);
}

#[tokio::test]
async fn tables_that_name_no_audio_yet() {
    let (whole, _) = heard(&of_folder("pmt-late", "pmtlate", &segments(0..3, "ts"))).await;
    assert_eq!(whole.frames(), 3 * 188 * 1024);
    assert!(whole.samples[..whole.channels * 48_000].iter().any(|sample| sample.abs() > 0.01));
}

#[tokio::test]
async fn a_first_segment_of_video_alone() {
    let presentation = of_folder("first-video", "firstvideo", &segments(0..3, "ts"));
    let whole = prove_seeks(&presentation, 20, 8).await;
    assert_eq!(whole.frames(), 3 * 188 * 1024);
    let first = 188 * 1024 * whole.channels;
    assert!(whole.samples[..first].iter().all(|sample| *sample == 0.0), "silence of its length");
    assert!(whole.samples[first..first + whole.channels * 48_000].iter().any(|sample| sample.abs() > 0.01));
}

#[tokio::test]
async fn an_audio_stream_that_never_comes_beside_one_that_does() {
    let units = aac();
    let mut presentation = Presentation::new("ts-never");
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let mut ts = Writer::new();
        ts.pat().pmt(&[Stream::new(0x120, 0x0F), Stream::new(AUDIO, 0x0F)]);
        for (number, part) in frames.chunks(6).enumerate() {
            ts.pes(AUDIO, 0xC0, Some(90_000 + units.time(first + number as u64 * 6)), &part.concat());
        }
        presentation.segment(units.seconds(frames.len()), &format!("{n}.ts"), ts.finish());
    }
    // The first segment is lost to the stream that never comes.
    let (whole, _) = heard(&presentation).await;
    assert_eq!(whole.frames(), units.frames.len() * 1024);
    let first = units.segments()[1].0 as usize * 1024 * whole.channels;
    let reference = &kithara_testkit::media::find(units.fixture).unwrap().reference;
    let from = first + 1024 * whole.channels;
    reference.check_from((from / whole.channels) as u64, &whole.samples[from..]).unwrap();
}

#[tokio::test]
async fn a_presentation_of_video_alone_is_an_error_soon() {
    let mut presentation = Presentation::new("ts-video");
    for n in 0..30 {
        let mut ts = Writer::new();
        ts.pat().pmt(&[Stream::new(0x100, 0x1B)]);
        ts.pes(0x100, 0xE0, Some(n * 90_000), &[0x47; 900]);
        presentation.segment(1.0, &format!("{n}.ts"), ts.finish());
    }
    let error = super::proof::refused(&presentation).await;
    assert!(error.contains("no audio"), "{error}");
}

#[tokio::test]
async fn a_negative_duration_is_a_warning() {
    let units = aac();
    let mut presentation = Presentation::new("negative");
    for (n, frames) in units.frames.chunks(80).enumerate() {
        let time = units.time(n as u64 * 80);
        let body = [id3::timestamp(900_000 + time), frames.concat()].concat();
        let seconds = if n == 2 { -23_334.411_378 } else { units.seconds(frames.len()) };
        presentation.segment(seconds, &format!("{n}.aac"), body);
    }
    super::proof::prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn playlists_in_utf_16() {
    let units = aac();
    let mut presentation = Presentation::new("utf-16");
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let body = [id3::timestamp(units.time(first)), frames.concat()].concat();
        presentation.segment(units.seconds(frames.len()), &format!("{n}.aac"), body);
    }
    let origin = Origin::start().await.unwrap();
    let url = presentation.serve(&origin);
    let text = presentation.playlist();
    let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{text}");
    for body in [little(&text), little(&marked), big(&text), big(&marked)] {
        origin.serve(&presentation.path(), body);
        let mut stream = open_hls(&url, hls_options()).await.unwrap();
        let reference = &kithara_testkit::media::find(units.fixture).unwrap().reference;
        reference.check(&read_all!(stream)).unwrap();
    }
}

#[tokio::test]
async fn other_things_under_the_address_of_a_playlist_are_named_with_their_cure() {
    let origin = Origin::start().await.unwrap();
    for (body, words) in [
        (&b"<!DOCTYPE html><html><body>Sign in</body></html>"[..], ["web page", "address of the stream"]),
        (b"<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"/>", ["DASH", "HLS address"]),
        (b"[playlist]\nFile1=http://radio.example/live\n", ["PLS", "kithara::open"]),
        (b"http://radio.example/live\n", ["M3U", "kithara::open"]),
        (b"#EXTM3U\n#EXTINF:-1,Radio\nhttp://radio.example/live\n", ["stations", "kithara::open"]),
        (b"ID3\x04\0\0\0\0\0\0\xff\xfb", ["station", "kithara::open"]),
    ] {
        origin.serve("/what.m3u8", body.to_vec());
        let error = super::proof::refused_at(&origin.url("/what.m3u8")).await;
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[tokio::test]
async fn codecs_that_are_wrong_do_not_keep_the_media_from_being_played() {
    let units = aac();
    let presentation = make(&Made { name: "codecs-wrong", ..MADE }, &units, Packing::Fmp4);
    let origin = Origin::start().await.unwrap();
    presentation.serve(&origin);
    for codecs in ["ac-3", "ec-3,avc1.4d401e", "dtsc", "mp4a.40.42"] {
        let master = format!(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"{codecs}\"\n/wild/codecs-wrong/index.m3u8\n"
        );
        origin.serve("/codecs.m3u8", master.into_bytes());
        let mut stream = open_hls(&origin.url("/codecs.m3u8"), hls_options()).await.unwrap();
        assert_eq!(read_all!(stream).len(), units.frames.len() * 2048, "{codecs}");
    }
}
