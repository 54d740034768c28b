//! What the playlist says of the segments: maps, sub-ranges, gaps, discontinuities, durations that are not true.

use std::time::Duration;

use kithara::hls::HlsEvent;
use kithara_testkit::odd::id3;
use kithara_testkit::odd::mp4::{Fragment, init};
use kithara_testkit::{Origin, Reply, media};

use super::fmp4::{run, sound};
use super::proof::{Presentation, play, prove};
use super::support::{hls_options, open_hls, read_all};
use super::units::{Units, aac, mp3};

fn fragment(frames: &[&[u8]], first: u64, timescale: u64) -> Vec<u8> {
    Fragment { sequence: 1, runs: vec![run(frames, first, timescale)], ..Fragment::default() }.build()
}

#[tokio::test]
async fn maps_that_change_without_a_discontinuity() {
    // Another time scale each time, so that the old init section would put everything elsewhere; the last map is the first
    // (where ffmpeg stops).
    let units = aac();
    let mut presentation = Presentation::new("map-change");
    let scales = [44_100_u32, 90_000, 44_100];
    presentation.file("44100.mp4", init(&[sound(&units, 44_100)]));
    presentation.file("90000.mp4", init(&[sound(&units, 90_000)]));
    for ((n, (first, frames)), scale) in units.segments().into_iter().enumerate().zip(scales) {
        presentation.line(&format!("#EXT-X-MAP:URI=\"{scale}.mp4\""));
        presentation.segment(
            units.seconds(frames.len()),
            &format!("{n}.m4s"),
            fragment(frames, first, scale.into()),
        );
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_map_holds_over_a_discontinuity() {
    // RFC 8216bis, 4.4.4.5: until the next EXT-X-MAP. The times go on, so nothing may be heard of it.
    let units = aac();
    let mut presentation = Presentation::new("map-over");
    presentation.line("#EXT-X-MAP:URI=\"init.mp4\"").file("init.mp4", init(&[sound(&units, 44_100)]));
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        if n > 0 {
            presentation.line("#EXT-X-DISCONTINUITY");
        }
        presentation.segment(
            units.seconds(frames.len()),
            &format!("{n}.m4s"),
            fragment(frames, first, 44_100),
        );
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn sub_ranges_with_offsets_and_without_of_interleaved_files() {
    // Twelve segments, in turns from two files, that hold the two init sections as well, at their ends.
    let units = aac();
    let per = units.frames.len().div_ceil(12);
    let mut files = [vec![0xEE; 100], Vec::new()];
    let (mut lines, mut maps) = (Vec::new(), Vec::new());
    for (n, frames) in units.frames.chunks(per).enumerate() {
        let body = fragment(frames, (n * per) as u64, 44_100);
        let file = &mut files[n % 2];
        // Without an offset it goes on behind the last sub-range of the same file, whatever lies between.
        let at = if n < 2 || n == 6 { format!("@{}", file.len()) } else { String::new() };
        let seconds = units.seconds(frames.len());
        lines.push(format!("#EXTINF:{seconds:.6},\n#EXT-X-BYTERANGE:{}{at}\n{}.mp4", body.len(), n % 2));
        file.extend(body);
    }
    for (n, file) in files.iter_mut().enumerate() {
        let head = init(&[sound(&units, 44_100)]);
        maps.push(format!("#EXT-X-MAP:URI=\"{n}.mp4\",BYTERANGE=\"{}@{}\"", head.len(), file.len()));
        file.extend(head);
    }
    let mut presentation = Presentation::new("ranges");
    for (n, line) in lines.iter().enumerate() {
        if n % 2 == 0 {
            presentation.line(&maps[n / 2 % 2]);
        }
        presentation.line(line);
    }
    let sizes = files.each_ref().map(Vec::len);
    for (n, file) in files.into_iter().enumerate() {
        presentation.file(&format!("{n}.mp4"), file);
    }
    prove(&presentation, units.fixture).await;

    // Straight through, each byte that is asked for is asked for once.
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&presentation.serve(&origin), hls_options()).await.unwrap();
    read_all!(stream);
    for (n, size) in sizes.into_iter().enumerate() {
        let padding = if n == 0 { 100 } else { 0 };
        let path = format!("/wild/ranges/{n}.mp4");
        assert_eq!(origin.body_bytes(&path), (size - padding) as u64, "{path}");
        assert!(origin.requests_for(&path).iter().all(|request| request.range().is_some()));
    }
}

// ffmpeg leaves a gap out, so that all behind it sounds early. RFC 8216bis, 4.4.4.7, says that the segment is not available,
// not that its time is not.
#[tokio::test]
async fn a_gap_is_silence_of_its_length() {
    let units = aac();
    let mut presentation = Presentation::new("gap");
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        if n == 1 {
            presentation.line("#EXT-X-GAP");
        }
        let body = [id3::timestamp(units.time(first)), frames.concat()].concat();
        presentation.segment(units.seconds(frames.len()), &format!("{n}.aac"), body);
    }
    // Nobody may ask for it.
    presentation.files.retain(|(name, _)| name != "1.aac");
    let origin = Origin::start().await.unwrap();
    let heard = play(&presentation, &origin, hls_options()).await;
    let fixture = media::find(units.fixture).unwrap();
    assert_eq!(heard.samples.len() as u64, fixture.frames * 2);
    let per = units.segments()[1].0 * 1024;
    let part = |from: u64, to: u64| &heard.samples[from as usize * 2..to as usize * 2];
    fixture.reference.check_from(0, part(0, per)).unwrap();
    assert!(part(per, 2 * per).iter().all(|sample| *sample == 0.0));
    // One frame of the overlap is missing behind it.
    fixture.reference.check_from(2 * per + 1024, part(2 * per + 1024, fixture.frames)).unwrap();
    let gaps =
        heard.events.iter().filter(|event| matches!(event, HlsEvent::Gap { segment: 1, error: None, .. }));
    assert!(gaps.count() >= 1);
    assert_eq!(origin.count("/wild/gap/1.aac"), 0);
}

#[tokio::test]
async fn a_discontinuity_with_another_rate_and_other_channels_keeps_the_format() {
    // 44.1 kHz stereo, then 48 kHz mono, which is resampled and doubled.
    let units = aac();
    let other = media::find("wild-ts-48k-mono").unwrap();
    let mut presentation = Presentation::new("other-rate");
    let (_, frames) = units.segments()[0];
    presentation.segment(units.seconds(frames.len()), "0.aac", frames.concat());
    let playlist = std::str::from_utf8(other.bytes()).unwrap();
    presentation.line("#EXT-X-DISCONTINUITY");
    for line in playlist.lines() {
        if line.starts_with("#EXTINF") || !line.starts_with('#') {
            presentation.line(line);
        }
    }
    for (path, bytes) in other.folder().files() {
        presentation.file(path.rsplit('/').next().unwrap(), bytes.to_vec());
    }
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&presentation.serve(&origin), hls_options()).await.unwrap();
    let heard = read_all!(stream);
    assert_eq!((stream.spec().sample_rate, stream.spec().channels), (44_100, 2));
    let first = frames.len() * 1024;
    let second = (other.frames * 44_100).div_ceil(48_000) as usize;
    let total = heard.len() / 2;
    assert!((first + second).abs_diff(total) <= 1, "{total} frames where {first} + {second} are right");
    let reference = &media::find(units.fixture).unwrap().reference;
    reference.check_from(0, &heard[..(first - 1024) * 2]).unwrap();
    // The second part is what it is when it is played alone at that rate, on both channels, but for the fraction of a frame
    // by which the two grids of frames differ at the splice.
    let mut options = hls_options();
    options.output.rate = Some(44_100);
    let mut alone = open_hls(&origin.url(&format!("/{}", other.entry)), options).await.unwrap();
    let alone = read_all!(alone);
    let (mut noise, mut signal) = (0.0, 0.0);
    let until = alone.len().min(total - first) - 4_000;
    for (frame, right) in alone.iter().enumerate().take(until).skip(4_000) {
        let at = (first + frame) * 2;
        assert_eq!(heard[at], heard[at + 1], "frame {frame}");
        noise += (heard[at] - right).powi(2);
        signal += right.powi(2);
    }
    assert!(noise < signal / 100.0, "{noise} in {signal}");
}

#[tokio::test]
async fn a_discontinuity_with_another_codec() {
    // AAC in MPEG-TS, MP3 in files of its own, AAC in fragmented MP4; each clock begins where it likes.
    let (aac, mp3) = (aac(), mp3());
    let mut presentation = Presentation::new("other-codec");
    let part = |units: &Units| units.frames[..60].to_vec();
    presentation.segment(aac.seconds(60), "0.aac", [id3::timestamp(900_000), part(&aac).concat()].concat());
    presentation.line("#EXT-X-DISCONTINUITY");
    presentation.segment(mp3.seconds(60), "1.mp3", [id3::timestamp(5), part(&mp3).concat()].concat());
    presentation.line("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init.mp4\"");
    presentation.file("init.mp4", init(&[sound(&aac, 90_000)]));
    presentation.segment(aac.seconds(60), "2.m4s", fragment(&part(&aac), 0, 90_000));
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&presentation.serve(&origin), hls_options()).await.unwrap();
    let heard = read_all!(stream);
    let (aac_len, mp3_len) = (60 * 1024, 60 * 1152);
    assert_eq!(heard.len() / 2, aac_len + mp3_len + aac_len);
    let check = |units: &Units, at: usize, len: usize| {
        let reference = &media::find(units.fixture).unwrap().reference;
        reference.check_from(0, &heard[at * 2..(at + len) * 2]).unwrap();
    };
    check(&aac, 0, aac_len);
    check(&mp3, aac_len, mp3_len);
    check(&aac, aac_len + mp3_len, aac_len);
}

/// Packed AAC, with timestamps, under durations that are `factor` of the true ones.
fn lying(name: &'static str, factors: [f64; 3]) -> (Units, Presentation) {
    let units = aac();
    let mut presentation = Presentation::new(name);
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let body = [id3::timestamp(900_000 + units.time(first)), frames.concat()].concat();
        presentation.segment(units.seconds(frames.len()) * factors[n], &format!("{n}.aac"), body);
    }
    (units, presentation)
}

#[tokio::test]
async fn segments_longer_and_shorter_than_their_durations() {
    for (name, factors) in [
        ("extinf-short", [0.8; 3]),
        ("extinf-long", [1.25; 3]),
        ("extinf-mixed", [0.7, 1.4, 1.0]),
        ("extinf-rounded", [1.176, 1.176, 1.19]),
    ] {
        let (units, presentation) = lying(name, factors);
        prove(&presentation, units.fixture).await;
    }
}

#[tokio::test]
async fn a_segment_later_than_the_playlist_says() {
    // The third segment begins a second later than the second ends: its time says so, and there it is, behind silence.
    // ffmpeg, asked for raw PCM, leaves the silence out.
    let units = aac();
    let mut presentation = Presentation::new("later");
    let segments = units.segments();
    for (n, (first, frames)) in segments.iter().enumerate() {
        let late = if n == 2 { 90_000 } else { 0 };
        let body = [id3::timestamp(900_000 + units.time(*first) + late), frames.concat()].concat();
        presentation.segment(units.seconds(frames.len()), &format!("{n}.aac"), body);
    }
    let origin = Origin::start().await.unwrap();
    let mut stream = open_hls(&presentation.serve(&origin), hls_options()).await.unwrap();
    let heard = read_all!(stream);
    let fixture = media::find(units.fixture).unwrap();
    // In straight playback of one run the frames are counted (RFC 8216bis, 6.3.3: no discontinuity is signalled).
    assert_eq!(heard.len() as u64 / 2, fixture.frames);
    fixture.reference.check(&heard).unwrap();
    let at = stream.seek(Duration::from_secs(2)).await.unwrap();
    assert_eq!(at, 88_200);
}

#[tokio::test]
async fn names_and_types_that_lie() {
    // What a segment is, its bytes say: fragmented MP4 as `.ts`, then packed AAC as `.mp4`, all of them as text.
    // ffmpeg keeps the demuxer that it began with.
    let units = aac();
    let mut presentation = Presentation::new("names");
    let segments = units.segments();
    presentation.line("#EXT-X-MAP:URI=\"init.html\"").file("init.html", init(&[sound(&units, 44_100)]));
    let (first, frames) = segments[0];
    presentation.segment(units.seconds(frames.len()), "0.ts", fragment(frames, first, 44_100));
    for (n, (first, frames)) in segments.iter().enumerate().skip(1) {
        presentation.line("#EXT-X-DISCONTINUITY");
        let body = [id3::timestamp(units.time(*first)), frames.concat()].concat();
        presentation.segment(units.seconds(frames.len()), &format!("{n}.mp4"), body);
    }
    let origin = Origin::start().await.unwrap();
    origin.everywhere(Reply::ok().header("content-type", "text/plain; charset=utf-8"));
    let heard = play(&presentation, &origin, hls_options()).await;
    assert_eq!(heard.samples.len() as u64, 2 * media::find(units.fixture).unwrap().frames);
    media::find(units.fixture).unwrap().reference.check(&heard.samples).unwrap();
}
