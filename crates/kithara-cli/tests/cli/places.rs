use kithara_testkit::Origin;

use crate::tool::{Tool, decode, fixture, path_of};

/// Bytes of a frame as `f32le`, stereo.
const FRAME: usize = 8;

/// One of each kind of stream; the ladder by one variant, so that each run plays the same.
const SOURCES: [&str; 9] = [
    "aac4/128k",
    "aac4/flac",
    "ts-aac",
    "cbr.mp3",
    "vbr.mp3",
    "faststart.m4a",
    "adts.aac",
    "vorbis.ogg",
    "lossless.flac",
];

fn pcm(origin: &Origin, name: &str) -> Tool {
    decode(origin.url(&path_of(name))).with("--format f32le --no-cache")
}

/// `count` frames of `whole` from `start` on, as far as there are any.
fn slice(whole: &[u8], start: usize, count: usize) -> &[u8] {
    let end = ((start + count) * FRAME).min(whole.len());
    &whole[(start * FRAME).min(end)..end]
}

#[test]
fn a_part_is_the_part_of_the_whole() {
    let origin = Origin::start_blocking().unwrap();
    for name in SOURCES {
        let whole = pcm(&origin, name).bytes();
        assert_eq!(whole.len() as u64, fixture(name).frames * FRAME as u64);
        // 1.2345 s is frame 54,441.45: the nearest one.
        for (start, duration, first, count) in
            [("1.2345", "0.75", 54_441, 33_075), ("0", "0.00003", 0, 1), ("4.5", "1", 198_450, 44_100)]
        {
            let part = pcm(&origin, name).with(&format!("--start {start} --duration {duration}")).bytes();
            assert_eq!(part.len(), count * FRAME, "{name} from {start} s for {duration} s");
            assert!(part == slice(&whole, first, count), "{name} from {start} s for {duration} s");
        }
        // To the end; and beyond it.
        let rest = pcm(&origin, name).with("--start 6").bytes();
        assert!(rest == slice(&whole, 264_600, usize::MAX / 16), "{name}");
        let none = pcm(&origin, name).with("--start 500").report();
        assert_eq!(none["frames"], 0, "{name}");
        assert!(none["first_pcm_s"].is_null(), "{none}");
    }
}

#[test]
fn each_seek_gives_one_second() {
    let origin = Origin::start_blocking().unwrap();
    for name in SOURCES {
        let whole = pcm(&origin, name).bytes();
        let last = fixture(name).frames as usize - 22_050;
        let targets =
            [(5.0, 220_500), (0.5, 22_050), (3.999, 176_356), (0.0, 0), (last as f64 / 44_100.0, last)];
        let list: Vec<String> = targets.iter().map(|(seconds, _)| format!("{seconds:.7}")).collect();
        let sought = pcm(&origin, name).with(&format!("--seek {}", list.join(","))).bytes();
        let mut at = 0;
        for (seconds, frame) in targets {
            // The last place is half a second before the end: half a second is what there is.
            let expected = slice(&whole, frame, 44_100);
            let given = &sought[at..(at + expected.len()).min(sought.len())];
            assert!(given == expected, "{name} at {seconds} s");
            at += expected.len();
        }
        assert_eq!(at, sought.len(), "{name}: and nothing more");
    }
}

#[test]
fn another_rate_has_as_many_frames_as_it_lasts() {
    let origin = Origin::start_blocking().unwrap();
    for (name, rate) in [("aac4/64k", 48_000), ("lossless.flac", 22_050), ("vbr.mp3", 96_000)] {
        let report = pcm(&origin, name).with(&format!("--rate {rate}")).report();
        assert_eq!(report["sample_rate"], rate);
        let exact = fixture(name).frames as f64 * f64::from(rate) / 44_100.0;
        assert!(
            (report["frames"].as_f64().unwrap() - exact).abs() <= 1.0,
            "{name}: {} for {exact}",
            report["frames"]
        );
        let part = pcm(&origin, name).with(&format!("--rate {rate} --start 1 --duration 2.5")).bytes();
        assert_eq!(part.len(), rate as usize * 5 / 2 * FRAME, "{name}");
    }
    // Its own rate is no resampling.
    let whole = pcm(&origin, "lossless.flac").bytes();
    assert!(pcm(&origin, "lossless.flac").with("--rate 44100").bytes() == whole);
}

#[test]
fn a_start_leaves_what_lies_before_it_alone() {
    let origin = Origin::start_blocking().unwrap();
    pcm(&origin, "aac4/128k").with("--start 20 --duration 1").report();
    let early = origin.requests().iter().filter(|request| request.path().ends_with("seg1.m4s")).count();
    assert_eq!(early, 0, "the second segment was fetched for a start in the sixth");
}
