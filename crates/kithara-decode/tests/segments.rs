//! HLS fixtures through `SegmentDecoder`: against the reference decode, in any cut, from any place, across switches.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{
    Pcm, Segment, decode_from, decode_segments, decoder, drain, feed, numbers, resampling, segments,
};
use kithara_decode::{DecodeError, SegmentDecoder, SegmentStart};
use kithara_testkit::media::{self, Fixture, Kind};

/// Those of the codecs that this build has.
const FEATURES: &[&str] = &[
    #[cfg(feature = "opus")]
    "opus",
    // HE-AAC, which every build decodes.
    "fdk-aac",
];

/// HLS fixtures that this build decodes.
fn fixtures() -> impl Iterator<Item = &'static Fixture> {
    media::all().iter().filter(|fixture| {
        let is_clear = !fixture.name.starts_with("aes");
        let is_known = fixture.feature().is_none_or(|feature| FEATURES.contains(&feature));
        fixture.kind == Kind::Hls && is_clear && is_known
    })
}

/// Noise that the decoder makes (PNS): how it goes on depends on all that was decoded before.
const NOISE: &str = "wild-ts-noise";

fn find(name: &str) -> Vec<Segment> {
    segments(media::find(name).unwrap())
}

#[test]
fn every_fixture_gives_the_frames_of_the_reference() {
    for fixture in fixtures() {
        let segments = segments(fixture);
        let pcm = decode_segments(decoder(), &segments, usize::MAX);
        assert_eq!((pcm.start, pcm.frames()), (0, fixture.frames), "{}", fixture.name);
        // Behind a discontinuity the overlap of one packet joins two encodes that do not belong together. What the standard
        // leaves undefined there Symphonia and ffmpeg do differently, for 1024 frames.
        let join = segments
            .iter()
            .find(|segment| segment.start.discontinuity)
            .map(|segment| segment.start.timeline_start);
        let join = join.map(|at| pcm.spec.unwrap().frame_at(at).next_multiple_of(1024) as usize);
        let pieces = match join {
            Some(join) => vec![(0, join - 1024), (join + 1024, pcm.frames() as usize)],
            None => vec![(0, pcm.frames() as usize)],
        };
        for (from, to) in pieces {
            let samples = &pcm.samples[from * pcm.channels()..to * pcm.channels()];
            let checked = fixture.reference.check_from(from as u64, samples);
            checked.unwrap_or_else(|mismatch| panic!("{}: {mismatch}", fixture.name));
        }
    }
}

#[test]
fn every_cut_of_the_bytes_gives_the_same_pcm() {
    for fixture in fixtures().filter(|fixture| fixture.frames < 400_000) {
        let segments = segments(fixture);
        let whole = decode_segments(decoder(), &segments, usize::MAX);
        for cut in [1, 187, 1000, 65_536] {
            let pcm = decode_segments(decoder(), &segments, cut);
            assert_eq!(pcm.frames(), whole.frames(), "{} cut at {cut}", fixture.name);
            pcm.assert_part_of(&whole);
        }
    }
}

#[test]
fn a_seek_gives_what_straight_playback_gives() {
    for fixture in fixtures() {
        // The timestamps of the second period are only known once it was played: see the test of discontinuities. Where
        // the playlist is a second wrong, the engine finds the segment to begin with.
        let is_other = ["discontinuity", "codec-change", NOISE, "wild-ts-rounded"].contains(&fixture.name);
        // Opus and the noise of HE-AAC come near what straight playback gives, and no nearer.
        if is_other || fixture.feature().is_some() {
            continue;
        }
        let segments = segments(fixture);
        let mut reader = decoder();
        let mut whole = Pcm::default();
        for segment in &segments {
            feed(&mut reader, segment, usize::MAX, &mut whole).unwrap();
        }
        let targets =
            numbers(7).map(|number| number % whole.end()).take(12).chain([0, 1, 1023, whole.end() - 1]);
        for target in targets {
            let part = decode_from(&mut reader, &segments, target, 3000);
            assert_eq!(part.end().min(target + 3000), (target + 3000).min(whole.end()), "{}", fixture.name);
            part.assert_part_of(&whole);
        }
    }
}

#[test]
fn playback_that_begins_with_a_seek_knows_its_place() {
    for fixture in fixtures().filter(|fixture| {
        let is_other = ["discontinuity", "codec-change", NOISE].contains(&fixture.name);
        !is_other && fixture.feature().is_none()
    }) {
        let segments = segments(fixture);
        let whole = decode_segments(decoder(), &segments, usize::MAX);
        let first = &segments[0];
        let head = &first.body[..first.body.len().min(65_536)];
        let anchor = SegmentDecoder::probe_anchor(first.start.init.as_ref(), head);
        let mut reader = decoder();
        reader.set_anchor(anchor.unwrap_or_else(|| panic!("{}: no anchor", fixture.name)));
        let target = whole.end() * 3 / 4;
        let spec = whole.spec.unwrap();
        reader.seek(target);
        let from = spec.position_of(target).saturating_sub(reader.preroll());
        let index = segments.iter().rposition(|segment| segment.start.timeline_start <= from).unwrap();
        let mut part = Pcm { start: target, ..Pcm::default() };
        for segment in &segments[index..] {
            feed(&mut reader, segment, usize::MAX, &mut part).unwrap();
        }
        assert_eq!(part.end(), whole.end(), "{}", fixture.name);
        part.assert_part_of(&whole);
    }
}

#[test]
fn the_first_segment_may_lie_in_the_init_section() {
    // What ffmpeg's packager does when its fragments are shorter than its segments.
    let mut segments = find("byterange");
    let whole = decode_segments(decoder(), &segments, usize::MAX);
    let init = [segments[0].start.init.clone().unwrap(), segments[0].body.clone()].concat();
    for segment in &mut segments {
        segment.start.init = Some(init.clone().into());
    }
    segments[0].body = Bytes::from_static(b"\0\0\0\x18stypmsdh\0\0\0\0msdhmsix");
    let mut straight = decoder();
    let mut pcm = Pcm::default();
    for segment in &segments {
        feed(&mut straight, segment, usize::MAX, &mut pcm).unwrap();
    }
    pcm.assert_part_of(&whole);
    assert_eq!((pcm.start, pcm.end()), (0, whole.end()));
    // They come again after a seek to the start.
    decode_from(&mut straight, &segments, 10, 200_000).assert_part_of(&whole);
    // Where decoding begins elsewhere, they do not come again.
    let mut reader = decoder();
    reader.set_anchor(straight.anchor().unwrap());
    reader.seek(200_000);
    let mut part = Pcm { start: 200_000, ..Pcm::default() };
    for segment in &segments[1..] {
        feed(&mut reader, segment, usize::MAX, &mut part).unwrap();
    }
    assert_eq!((part.start, part.end()), (200_000, whole.end()));
    part.assert_part_of(&whole);
}

#[test]
fn a_seek_to_the_start_makes_the_same_noise() {
    let segments = find(NOISE);
    let mut reader = decoder();
    let mut whole = Pcm::default();
    for segment in &segments {
        feed(&mut reader, segment, usize::MAX, &mut whole).unwrap();
    }
    for target in [0, 1, 441, 2_000] {
        decode_from(&mut reader, &segments, target, 60_000).assert_part_of(&whole);
    }
}

#[test]
fn timestamps_that_begin_anew_in_each_segment_do_not_move_it() {
    let mut segments = find("packed-aac");
    let whole = decode_segments(decoder(), &segments, usize::MAX);
    // Each segment says that it begins at 10 s, and nothing says that there is a discontinuity.
    for segment in &mut segments {
        let mut body = segment.body.to_vec();
        let owner = b"transportStreamTimestamp\0";
        let at = body.windows(owner.len()).position(|window| window == owner).unwrap() + owner.len();
        body[at..at + 8].copy_from_slice(&900_000_u64.to_be_bytes());
        segment.body = body.into();
    }
    let mut reader = decoder();
    let mut straight = Pcm::default();
    for segment in &segments {
        feed(&mut reader, segment, usize::MAX, &mut straight).unwrap();
    }
    straight.assert_part_of(&whole);
    assert_eq!(straight.end(), whole.end());
    for target in [200_000, 300_000, 140_000, 5, 133_000, 290_001] {
        let part = decode_from(&mut reader, &segments, target, 3000);
        assert!(part.frames() >= 3000);
        part.assert_part_of(&whole);
    }
}

#[test]
fn resampling_has_the_exact_length_and_is_the_same_after_a_seek() {
    for rate in [48_000, 22_050, 96_000] {
        let segments = find("ts-aac");
        let mut reader = resampling(rate);
        let mut whole = Pcm::default();
        for segment in &segments {
            feed(&mut reader, segment, 5000, &mut whole).unwrap();
        }
        reader.finish().unwrap();
        drain(&mut reader, &mut whole).unwrap();
        assert_eq!(whole.frames(), (311_296 * u64::from(rate) + 22_050) / 44_100);
        for target in numbers(3).map(|number| number % whole.end()).take(8) {
            decode_from(&mut reader, &segments, target, 4000).assert_part_of(&whole);
        }
    }
}

#[test]
fn a_switch_between_variants_keeps_every_frame() {
    let variants: Vec<Vec<Segment>> = ["aac4/64k", "aac4/256k", "aac4/flac", "aac4/128k"].map(find).into();
    let whole = decode_segments(decoder(), &variants[0], usize::MAX);
    let mut reader = decoder();
    let mut pcm = Pcm::default();
    for index in 0..variants[0].len() {
        let variant = [0, 1, 1, 3, 0][index % 5];
        let mut segment = variants[variant][index].clone();
        segment.start.variant = variant;
        feed(&mut reader, &segment, usize::MAX, &mut pcm).unwrap();
    }
    assert_eq!(pcm.frames(), whole.frames());
    // The codec goes on: what is heard at a switch is one encode fading into the other over one frame, without a step.
    let channels = pcm.channels();
    let error = |from: u64, to: u64| {
        let range = from as usize * channels..to as usize * channels;
        let sum: f32 = range.clone().map(|i| (pcm.samples[i] - whole.samples[i]).powi(2)).sum();
        (sum / range.len() as f32).sqrt()
    };
    let boundary = pcm.spec.unwrap().frame_at(variants[0][1].start.timeline_start);
    assert!(error(boundary - 2048, boundary) < 1e-6, "before the switch");
    let (at_switch, later) = (error(boundary, boundary + 1024), error(boundary + 20_000, boundary + 60_000));
    assert!(at_switch < 3.0 * later, "at the switch {at_switch}, later {later}");
}

#[test]
fn a_switch_to_lossless_and_back_keeps_the_time() {
    let (aac, flac) = (find("aac4/256k"), find("aac4/flac"));
    let straight = decode_segments(decoder(), &aac, usize::MAX);
    let mut reader = decoder();
    let mut pcm = Pcm::default();
    for index in 0..aac.len() {
        let variant = index % 2;
        let mut segment = if variant == 0 { aac[index].clone() } else { flac[index].clone() };
        segment.start.variant = variant;
        feed(&mut reader, &segment, usize::MAX, &mut pcm).unwrap();
    }
    assert_eq!(pcm.frames(), straight.frames());
    // The sound stands at the same place in both: no displacement by a frame anywhere.
    let energy: f32 = straight.samples.iter().map(|s| s * s).sum();
    let noise: f32 = pcm.samples.iter().zip(&straight.samples).map(|(a, b)| (a - b).powi(2)).sum();
    assert!(noise < energy * 0.02, "noise {noise} of {energy}");
}

#[test]
fn a_second_period_can_be_sought_once_it_was_played() {
    for name in ["discontinuity", "codec-change"] {
        let segments = find(name);
        let mut reader = decoder();
        let mut whole = Pcm::default();
        for segment in &segments {
            feed(&mut reader, segment, usize::MAX, &mut whole).unwrap();
        }
        for target in numbers(11).map(|number| number % whole.end()).take(16) {
            let part = decode_from(&mut reader, &segments, target, 3000);
            assert_eq!(part.start, target);
            assert_eq!(part.end().min(target + 3000), (target + 3000).min(whole.end()), "{name} {target}");
            // FLAC is exact anywhere; AAC remembers one packet across the discontinuity in straight playback alone.
            let near_join = target
                .abs_diff(whole.spec.unwrap().frame_at(segments.last().unwrap().start.timeline_start))
                < 8192;
            if !near_join {
                part.assert_part_of(&whole);
            }
        }
    }
}

#[test]
fn a_gap_is_silence_of_its_length_and_nothing_moves() {
    let segments = find("aac4/128k");
    let whole = decode_segments(decoder(), &segments, usize::MAX);
    let mut reader = decoder();
    let mut pcm = Pcm::default();
    for (index, segment) in segments.iter().enumerate() {
        if index == 2 {
            reader.insert_silence(segment.start.duration);
            drain(&mut reader, &mut pcm).unwrap();
        } else {
            feed(&mut reader, segment, usize::MAX, &mut pcm).unwrap();
        }
    }
    assert_eq!(pcm.frames(), whole.frames());
    let spec = whole.spec.unwrap();
    let (start, end) =
        (spec.frame_at(segments[2].start.timeline_start), spec.frame_at(segments[3].start.timeline_start));
    let piece = |pcm: &Pcm, from: u64, to: u64| pcm.samples[from as usize * 2..to as usize * 2].to_vec();
    assert!(piece(&pcm, start + 1024, end - 1024).iter().all(|&sample| sample == 0.0));
    assert_eq!(piece(&pcm, 0, start - 1024), piece(&whole, 0, start - 1024));
    assert_eq!(piece(&pcm, end + 2048, whole.end()), piece(&whole, end + 2048, whole.end()));
}

#[test]
fn a_gap_at_the_very_start_is_silence_too() {
    let segments = find("aac4/128k");
    let mut reader = decoder();
    let mut pcm = Pcm::default();
    reader.insert_silence(segments[0].start.duration);
    feed(&mut reader, &segments[1], usize::MAX, &mut pcm).unwrap();
    let start = pcm.spec.unwrap().frame_at(segments[0].start.duration);
    assert_eq!(pcm.start, 0);
    assert!(pcm.samples[..start as usize * 2 - 64].iter().all(|&sample| sample == 0.0));
    assert!(pcm.samples[start as usize * 2 + 4096..].iter().any(|&sample| sample != 0.0));
}

#[test]
fn what_is_no_media_is_a_typed_error_and_the_next_segment_plays() {
    let segments = find("ts-aac");
    for body in [
        &b"<!DOCTYPE html><html><body>Sorry</body></html>"[..],
        b"",
        b"#EXTM3U\n",
        &[0; 100_000],
        &[0xFF; 5000],
    ] {
        let mut reader = decoder();
        let mut pcm = Pcm::default();
        feed(&mut reader, &segments[0], usize::MAX, &mut pcm).unwrap();
        let bad = Segment { start: segments[1].start.clone(), body: Bytes::copy_from_slice(body) };
        let error = feed(&mut reader, &bad, usize::MAX, &mut pcm)
            .expect_err(&format!("{:?}", &body[..body.len().min(20)]));
        assert!(matches!(error, DecodeError::NotMedia(_) | DecodeError::Demux(_)), "{error:?}");
        feed(&mut reader, &segments[2], usize::MAX, &mut pcm).unwrap();
        assert!(pcm.end() > 250_000, "the third segment stands at its own place");
    }
}

#[test]
fn an_init_section_that_is_none_is_a_typed_error() {
    for init in [&b"<html>"[..], b"", b"\0\0\0\x08moov", &[0; 1000]] {
        let start = SegmentStart {
            init: Some(Bytes::copy_from_slice(init)),
            is_first: true,
            ..SegmentStart::default()
        };
        assert!(decoder().begin_segment(start).is_err());
    }
}

#[test]
fn implicit_he_aac_is_never_played_at_half_the_rate() {
    let stream = Bytes::from_static(include_bytes!("media/he-aac.adts"));
    let mut reader = decoder();
    let segment = Segment { start: SegmentStart { is_first: true, ..SegmentStart::default() }, body: stream };
    feed(&mut reader, &segment, usize::MAX, &mut Pcm::default()).unwrap();
    assert_eq!(reader.spec().unwrap().sample_rate, 44_100);
}

#[test]
fn he_aac_and_six_channels_are_accepted_from_the_init_section() {
    use kithara_testkit::odd::mp4::{self, Track};
    // Object type 5 over AAC-LC, 22.05 kHz to 44.1 kHz, stereo; AAC-LC of 44.1 kHz in 5.1.
    for (channels, config) in [(2, &[0x2B, 0x92, 0x08, 0x00][..]), (6, &[0x12, 0x30])] {
        let init = mp4::init(&[Track::sound(1, 44_100, mp4::aac_entry(44_100, channels, config))]);
        let start = SegmentStart { init: Some(Bytes::from(init)), is_first: true, ..SegmentStart::default() };
        decoder().begin_segment(start).unwrap();
    }
}

#[test]
fn damaged_packets_are_silence_and_positions_hold() {
    let segments = find("ts-aac");
    let whole = decode_segments(decoder(), &segments, usize::MAX);
    let mut reader = decoder();
    let mut pcm = Pcm::default();
    for (index, segment) in segments.iter().enumerate() {
        let mut segment = segment.clone();
        if index == 1 {
            // Payload in the middle, 188-byte packets and their headers left alone.
            let mut body = segment.body.to_vec();
            for packet in body.chunks_exact_mut(188).skip(60).take(3) {
                packet[40..188].fill(0x55);
            }
            segment.body = Bytes::from(body);
        }
        feed(&mut reader, &segment, usize::MAX, &mut pcm).unwrap();
    }
    assert_eq!(pcm.start, 0);
    assert!(pcm.frames().abs_diff(whole.frames()) <= 1024, "{} of {}", pcm.frames(), whole.frames());
    let tail = 40_000;
    let (a, b) = (&pcm.samples[pcm.samples.len() - tail..], &whole.samples[whole.samples.len() - tail..]);
    assert_eq!(a, b, "the last segment is untouched");
}

#[test]
fn many_bad_packets_in_a_row_are_an_error() {
    use kithara_testkit::odd::adts;
    let stream = media::file("file/adts.aac").unwrap();
    let mut bad = Vec::new();
    for frame in adts::frames(stream).take(200) {
        let header = frame.len() - adts::payload(frame).len();
        bad.extend_from_slice(&frame[..header]);
        bad.extend(std::iter::repeat_n(0xA5, frame.len() - header));
    }
    let segment =
        Segment { start: SegmentStart { is_first: true, ..SegmentStart::default() }, body: Bytes::from(bad) };
    let error = feed(&mut decoder(), &segment, usize::MAX, &mut Pcm::default()).unwrap_err();
    assert!(
        matches!(&error, DecodeError::TooManyBadPackets { .. } | DecodeError::Unsupported(_)),
        "{error:?}"
    );
    assert!(!error.is_retryable());
}

#[test]
fn output_channels_can_be_chosen() {
    let mut settings = kithara_decode::SegmentDecoderSettings::new(Default::default());
    settings.output = settings.output.with_channels(1);
    let mono = decode_segments(SegmentDecoder::new(settings), &find("ts-mp3"), usize::MAX);
    let stereo = decode_segments(decoder(), &find("ts-mp3"), usize::MAX);
    assert_eq!(mono.frames(), stereo.frames());
    assert!(
        mono.samples
            .iter()
            .zip(stereo.samples.as_chunks::<2>().0)
            .all(|(m, [l, r])| (m - (l + r) / 2.0).abs() < 1e-6)
    );
}

#[test]
fn the_preroll_is_known_before_and_after_the_track_is() {
    let mut reader = decoder();
    assert!(reader.preroll() >= Duration::from_millis(100));
    feed(&mut reader, &find("aac4/64k")[0], usize::MAX, &mut Pcm::default()).unwrap();
    assert_eq!(reader.preroll(), Duration::from_nanos(46_439_909));
    assert_eq!(reader.track().unwrap().sample_rate, 44_100);
    assert!(reader.anchor().is_some());
}

/// Whole files as segments, the index behind the sound, as some segmenters write them.
#[test]
fn segments_that_are_whole_files_with_their_index_at_the_end() {
    let body = Bytes::from_static(media::file("file/tail.m4a").unwrap());
    let mut segment =
        Segment { start: SegmentStart { is_first: true, ..SegmentStart::default() }, body: body.clone() };
    let once = decode_segments(decoder(), std::slice::from_ref(&segment), usize::MAX);
    segment.start.duration = once.spec.unwrap().position_of(once.frames());
    let mut next = segment.clone();
    next.start.is_first = false;
    next.start.timeline_start = segment.start.duration;
    // However few bytes come first.
    for cut in [usize::MAX, 1, 7, 15] {
        let twice = decode_segments(decoder(), &[segment.clone(), next.clone()], cut);
        assert_eq!(twice.frames(), 2 * once.frames(), "cut at {cut}");
    }
}
