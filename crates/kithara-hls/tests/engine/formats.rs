//! Formats that change in the middle of a presentation.

use std::time::Duration;

use kithara_decode::AudioSpec;
use kithara_hls::HlsEvent;
use kithara_testkit::Origin;

use crate::support::{difference, names, open, options, playlist, read_all, text};

/// The lines of a bundled list that name its segments, with absolute paths.
fn segments(folder: &str) -> String {
    let mut out = String::new();
    for line in text(&format!("{folder}/index.m3u8")).lines() {
        if line.starts_with("#EXTINF") {
            out += &format!("{line}\n");
        } else if line.starts_with("#EXT-X-MAP") {
            out += &format!("{}\n", line.replace("URI=\"", &format!("URI=\"/{folder}/")));
        } else if !names(line).is_empty() {
            out += &format!("/{folder}/{line}\n");
        }
    }
    out
}

const STEREO: &str = "hls/ts-aac";
const MONO: &str = "hls/wild-fmp4-flac";

/// Stereo at 44.1 kHz, mono at 22.05 kHz, and stereo again.
fn serve(origin: &Origin) -> &'static str {
    let list = format!(
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n{}#EXT-X-DISCONTINUITY\n{}#EXT-X-DISCONTINUITY\n{}#EXT-X-ENDLIST\n",
        segments(STEREO),
        segments(MONO),
        segments(STEREO)
    );
    origin.serve("/changes.m3u8", playlist(list));
    "/changes.m3u8"
}

async fn alone(origin: &Origin, folder: &str) -> Vec<f32> {
    read_all(&mut open(origin, &format!("/{folder}/index.m3u8"), options()).await).await
}

#[tokio::test]
async fn each_format_comes_as_it_is_where_the_application_asks_for_it() {
    let origin = Origin::start().await.unwrap();
    let mut native = options();
    native.native_format = true;
    let mut stream = open(&origin, serve(&origin), native).await;
    let mut events = stream.events();
    let mut parts: Vec<(AudioSpec, Vec<f32>)> = Vec::new();
    let mut end = 0;
    while let Some(chunk) = stream.next_chunk().await.unwrap() {
        match parts.last_mut() {
            Some((spec, samples)) if *spec == chunk.spec() => {
                assert_eq!(chunk.position(), end);
                samples.extend_from_slice(chunk.samples());
            }
            last => {
                let from = last.map_or(chunk.spec(), |(spec, _)| *spec);
                let time = from.position_of(end);
                assert!(
                    chunk.time().abs_diff(time) <= Duration::from_micros(50),
                    "{:?} {time:?}",
                    chunk.time()
                );
                parts.push((chunk.spec(), chunk.samples().to_vec()));
            }
        }
        end = chunk.position() + chunk.frames() as u64;
    }
    let formats: Vec<_> = parts.iter().map(|(spec, _)| (spec.sample_rate, spec.channels)).collect();
    assert_eq!(formats, [(44_100, 2), (22_050, 1), (44_100, 2)]);
    assert!(difference(&parts[0].1, &alone(&origin, STEREO).await) < 1e-3);
    assert_eq!(parts[1].1, alone(&origin, MONO).await, "lossless");
    assert_eq!(parts[2].1.len(), parts[0].1.len());
    let mut changes = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let HlsEvent::FormatChanged { spec, .. } = event {
            changes.push(spec.sample_rate);
        }
    }
    assert_eq!(changes, [22_050, 44_100]);

    // A seek from one format into another.
    let first = AudioSpec::new(44_100, 2).position_of(parts[0].1.len() as u64 / 2);
    stream.seek(first + Duration::from_millis(500)).await.unwrap();
    let chunk = stream.next_chunk().await.unwrap().unwrap();
    assert_eq!(chunk.spec(), AudioSpec::new(22_050, 1));
    assert!(chunk.time().abs_diff(first + Duration::from_millis(500)) <= Duration::from_micros(50));
    let at = (chunk.position() - AudioSpec::new(22_050, 1).frame_at(first)) as usize;
    let wanted = &parts[1].1[at - 1..][..chunk.samples().len() + 2];
    assert!(
        wanted.windows(chunk.samples().len()).any(|window| window == chunk.samples()),
        "off by a frame at most"
    );
}

#[tokio::test]
async fn otherwise_everything_is_converted_to_the_first() {
    let origin = Origin::start().await.unwrap();
    let mut stream = open(&origin, serve(&origin), options()).await;
    let mut events = stream.events();
    let samples = read_all(&mut stream).await;
    let (stereo, mono) = (alone(&origin, STEREO).await.len(), alone(&origin, MONO).await.len());
    assert_eq!(samples.len(), stereo * 2 + mono * 2 * 2);
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, HlsEvent::FormatChanged { .. }));
    }
}

#[tokio::test]
async fn a_codec_of_an_optional_feature_is_played_with_it_and_named_without() {
    let origin = Origin::start().await.unwrap();
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"Opus\"\nhls/opus/index.m3u8\n";
    origin.serve("/opus.m3u8", playlist(master));
    let url = origin.url("/opus.m3u8").parse().unwrap();
    let opened = kithara_hls::Hls::open(url, options()).await;
    if kithara_decode::DECODES_OPUS {
        assert!(!read_all(&mut opened.unwrap()).await.is_empty());
    } else {
        let error = opened.err().unwrap();
        assert!(error.is_unsupported() && error.to_string().contains("Opus"), "{error}");
    }
}
