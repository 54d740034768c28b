//! Seeks in files whose frames can only be counted from the start: far away, to about the place by one range request.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_file::{File, FileOptions};
use kithara_net::{DefaultNet, Url};
use kithara_testkit::{Gate, HeldClock, Origin, Reply, media};
use tokio::time::timeout;

mod common;

use common::{LONG, some};

/// How often the audio of a fixture follows itself.
const TIMES: usize = 20;
/// Bytes that the first connection brings before it stands still.
const HELD: u64 = 96 * 1024;

/// Seeks may go to about the place.
fn options() -> FileOptions {
    let mut options = FileOptions::new(DefaultNet::default(), AssetStore::memory(AssetSettings::default()));
    options.exact_seek = false;
    options
}

/// The frames of `vbr.mp3` many times, behind a tag that tells so, with a seek table.
fn long_vbr() -> Vec<u8> {
    let bytes = media::find("vbr.mp3").unwrap().bytes();
    let tag = bytes.windows(4).position(|word| word == b"Xing").unwrap();
    // MPEG 1, two channels: header and side information.
    let start = tag - 36;
    let next = (start + 4..).find(|&at| bytes[at..at + 2] == bytes[start..start + 2]).unwrap();
    let audio = &bytes[next..];
    let mut all = bytes[..next].to_vec();
    for _ in 0..TIMES {
        all.extend_from_slice(audio);
    }
    let field = |at: usize| u32::from_be_bytes(bytes[tag + at..tag + at + 4].try_into().unwrap());
    let (flags, packets) = (field(4), field(8));
    assert_eq!(flags & 7, 7, "packets, bytes and table");
    let len = u32::try_from(all.len() - start).unwrap();
    all[tag + 8..tag + 12].copy_from_slice(&(packets * TIMES as u32).to_be_bytes());
    all[tag + 12..tag + 16].copy_from_slice(&len.to_be_bytes());
    for at in 0..100 {
        all[tag + 16 + at] = (at * 256 / 100) as u8;
    }
    all
}

fn long_adts() -> Vec<u8> {
    media::find("adts.aac").unwrap().bytes().repeat(TIMES)
}

/// All samples of a file, decoded straight.
async fn straight(body: &[u8]) -> Vec<f32> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let mut stream = File::open_path(file.path(), options()).await.unwrap();
    let mut samples = Vec::new();
    while let Some(chunk) = stream.next_chunk().await.unwrap() {
        samples.extend_from_slice(chunk.samples());
    }
    samples
}

/// By how many packets `part`, said to begin at `frame`, is off.
fn packets_off(whole: &[f32], channels: usize, packet: u64, frame: u64, part: &[f32]) -> Option<i64> {
    let at = |packets: i64| usize::try_from(frame.checked_add_signed(packets * packet as i64)?).ok();
    let fits = |packets: i64| {
        let place = at(packets).and_then(|frame| whole.get(frame * channels..));
        place.is_some_and(|place| part.iter().zip(place).all(|(a, b)| (a - b).abs() < 1e-4))
    };
    (0..200).flat_map(|packets| [packets, -packets]).find(|&packets| fits(packets))
}

#[tokio::test(start_paused = true)]
async fn a_far_seek_is_one_request_to_about_the_place() {
    // No answer is so late that another one is asked for.
    let _clock = HeldClock::new();
    for (name, body, packet) in [("vbr.mp3", long_vbr(), 1152), ("adts.aac", long_adts(), 1024)] {
        let fixture = media::find(name).unwrap();
        let origin = Origin::start().await.unwrap();
        let len = body.len() as u64;
        let whole = straight(&body).await;
        origin.serve("/long", body);
        // Enough for a seek, and far less than the way there.
        let gate = Gate::new();
        origin.always("/long", Reply::ok().stall_at(HELD, &gate));
        let url: Url = origin.url("/long").parse().unwrap();
        let mut stream = File::open(url, options()).await.unwrap();
        some(&mut stream, 1000).await;
        assert!(!stream.position_is_estimated());
        let seconds = fixture.frames as f64 / f64::from(fixture.sample_rate);
        let before = origin.count("/long");

        let to = Duration::from_secs_f64(seconds * (TIMES as f64 * 0.7 + 0.3));
        let frame = stream.seek(to).await.unwrap();
        let (first, samples) = some(&mut stream, 20_000).await;
        assert_eq!(first, frame, "{name}");
        assert!(stream.position_is_estimated(), "{name}");
        assert_eq!(origin.count("/long"), before + 1, "{name}");
        let asked = origin.requests_for("/long").last().unwrap().range_start().unwrap() as f64 / len as f64;
        assert!((0.69..0.72).contains(&asked), "{name}: {asked}");
        // The sound is whole, and stands about where it is said to.
        let channels = usize::from(fixture.channels);
        let off = packets_off(&whole, channels, packet, frame, &samples);
        assert!(off.is_some_and(|off| off.abs() < 40), "{name}: {off:?}");

        // Back to what was played: the same sound at the same position, without a request.
        let again = stream.seek(to + Duration::from_millis(100)).await.unwrap();
        let (first, same) = some(&mut stream, 4000).await;
        assert_eq!(first, again, "{name}");
        let skip = (again - frame) as usize * channels;
        let differ = samples[skip..].iter().zip(&same).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(differ < 1e-4, "{name}: {differ}");
        assert_eq!(origin.count("/long"), before + 1, "{name}");

        // What was counted from the start is exact as ever.
        let frame = stream.seek(Duration::from_millis(500)).await.unwrap();
        let (first, samples) = some(&mut stream, 4000).await;
        assert_eq!(first, frame, "{name}");
        assert!(!stream.position_is_estimated(), "{name}");
        fixture.reference.check_from(frame, &samples).unwrap();
    }
}

#[tokio::test]
async fn the_exact_frame_is_the_default_and_costs_the_way_there() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/long", long_vbr());
    let url: Url = origin.url("/long").parse().unwrap();
    let to = Duration::from_secs(33);
    let options = FileOptions::new(DefaultNet::default(), AssetStore::memory(AssetSettings::default()));
    let mut exact = File::open(url.clone(), options).await.unwrap();
    let frame = exact.seek(to).await.unwrap();
    let (first, samples) = some(&mut exact, 4000).await;
    assert_eq!((first, exact.position_is_estimated()), (frame, false));

    // Straight playback says the same.
    let mut straight = File::open(url, self::options()).await.unwrap();
    let (_, all) = some(&mut straight, frame as usize + 4000).await;
    let channels = usize::from(straight.spec().channels);
    let there = &all[frame as usize * channels..];
    let differ = there.iter().zip(&samples).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(differ < 1e-4, "{differ}");
}

#[tokio::test]
async fn an_estimated_seek_plays_to_the_end_of_the_file() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/long", long_vbr());
    let url: Url = origin.url("/long").parse().unwrap();
    let gate = Gate::new();
    origin.script("/long", [Reply::ok().stall_at(HELD, &gate)]);
    let mut stream = File::open(url, options()).await.unwrap();
    let total = stream.duration().unwrap();
    stream.seek(total - Duration::from_secs(3)).await.unwrap();
    let mut frames = 0;
    while let Some(chunk) = timeout(LONG, stream.next_chunk()).await.expect("stuck").unwrap() {
        frames += chunk.frames();
    }
    let rate = stream.spec().sample_rate as usize;
    assert!(stream.position_is_estimated());
    assert!((2 * rate..4 * rate).contains(&frames), "{frames}");
}
