//! What packagers write: every presentation against ffmpeg's decode of it (the committed references), sought in as well.

use std::time::Duration;

use kithara_testkit::media::Kind;
use kithara_testkit::{Origin, media};

use super::proof::{Presentation, play, refused_at};
use super::support::{can_decode, check, hls_options, open_hls, read_all, read_frames};

/// A committed folder as a presentation of a test.
fn committed(name: &'static str) -> Presentation {
    let fixture = media::find(name).unwrap();
    let mut presentation = Presentation::new(name);
    let playlist = std::str::from_utf8(fixture.bytes()).unwrap();
    for line in playlist.lines().filter(|line| !matches!(*line, "#EXTM3U" | "#EXT-X-ENDLIST")) {
        let is_twice = ["#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-PLAYLIST-TYPE"];
        if !is_twice.iter().any(|tag| line.starts_with(tag)) {
            presentation.line(line);
        }
    }
    presentation.noise = if fixture.feature().is_some() { 0.01 } else { 0.0 };
    for (path, bytes) in fixture.folder().files() {
        presentation.file(path.rsplit('/').next().unwrap(), bytes.to_vec());
    }
    presentation
}

/// Noise that the decoder makes (PNS): it goes on otherwise behind a seek, but for one to the start.
const NOISE: &str = "wild-ts-noise";

#[tokio::test]
async fn noise_that_the_decoder_makes_is_the_same_from_the_start() {
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&committed(NOISE).serve(&origin), hls_options()).await.unwrap();
    let whole = read_all!(stream);
    check(media::find(NOISE).unwrap(), &whole);
    for millis in [0, 10] {
        let frame = stream.seek(Duration::from_millis(millis)).await.unwrap() as usize;
        let again = read_frames!(stream, 30_000);
        assert_eq!(again, whole[frame..frame + 30_000], "at {millis} ms");
    }
}

macro_rules! habits {
    ($($test:ident: $name:literal,)*) => {
        /// Every committed presentation is in the list.
        #[test]
        fn none_is_left_out() {
            let listed = [$($name),*];
            for fixture in media::all().iter().filter(|fixture| fixture.kind == Kind::Hls) {
                assert!(!fixture.name.starts_with("wild-") || fixture.name == NOISE || listed.contains(&fixture.name), "{}", fixture.name);
            }
        }
        $(#[tokio::test]
        async fn $test() {
            let origin = Origin::start().await.unwrap();
            if !can_decode(media::find($name).unwrap()) {
                let error = refused_at(&committed($name).serve(&origin)).await;
                assert!(error.contains("unsupported: HE-AAC") || error.contains("unsupported: Opus"), "{error}");
                return;
            }
            let heard = play(&committed($name), &origin, hls_options()).await;
            check(media::find($name).unwrap(), &heard.samples);
        })*
    };
}

habits! {
    ts_of_192_byte_packets_with_private_audio: "wild-m2ts",
    ts_with_a_video_pid: "wild-ts-video",
    ts_whose_clock_wraps: "wild-ts-wrap",
    ts_with_rounded_durations: "wild-ts-rounded",
    ts_with_tables_and_null_packets_all_over: "wild-ts-tables",
    ts_in_one_file: "wild-ts-single",
    ts_with_mpeg_2_layer_3: "wild-ts-mp3-22k",
    ts_with_layer_2: "wild-ts-mp2",
    ts_of_48_khz_mono: "wild-ts-48k-mono",
    ts_whose_clock_begins_anew_in_each_segment: "wild-ts-reset",
    fmp4_with_a_video_track: "wild-fmp4-video",
    fmp4_with_an_index_in_each_segment: "wild-fmp4-dash",
    fmp4_with_a_fragment_for_each_frame: "wild-fmp4-frames",
    fmp4_that_does_not_begin_at_zero: "wild-fmp4-offset",
    fmp4_flac_that_ends_with_an_empty_segment: "wild-fmp4-flac",
    fmp4_alac_of_24_bits: "wild-fmp4-alac-24",
    fmp4_mp3: "wild-fmp4-mp3",
    fmp4_opus_with_a_pre_skip: "wild-fmp4-opus",
    ts_he_aac: "wild-ts-he-aac",
    ts_he_aac_with_parametric_stereo: "wild-ts-he-aac-v2",
    fmp4_he_aac: "wild-fmp4-he-aac",
    fmp4_he_aac_with_parametric_stereo: "wild-fmp4-he-aac-v2",
    adts_without_timestamps: "wild-bare-adts",
    mp3_without_timestamps: "wild-bare-mp3",
}

#[tokio::test]
async fn what_cannot_be_decoded_is_named() {
    let origin = Origin::start().await.unwrap();
    for (name, codec) in [("wild-no-latm", "LATM"), ("wild-no-ac3", "AC-3"), ("wild-no-ac3-fmp4", "AC-3")] {
        let error = refused_at(&origin.url(&format!("/hls/{name}/index.m3u8"))).await;
        assert!(error.contains(codec) && error.contains("not supported"), "{name}: {error}");
    }
}
