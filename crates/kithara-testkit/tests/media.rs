//! The fixtures are what they claim to be, and their references agree with a decoder that is not ffmpeg.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{collections::HashSet, io::Cursor};

use kithara_testkit::{
    media::{self, Fixture, Kind, Mismatch},
    signal,
};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

/// All samples that bare Symphonia makes of these bytes.
fn decode(bytes: Vec<u8>) -> Vec<f32> {
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), MediaSourceStreamOptions::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .unwrap();
    let track = format.default_track(TrackType::Audio).unwrap();
    let params = track.codec_params.as_ref().unwrap().audio().unwrap();
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default()).unwrap();
    let (mut samples, mut packet_samples) = (Vec::new(), Vec::new());
    while let Ok(Some(packet)) = format.next_packet() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut packet_samples);
        samples.append(&mut packet_samples);
    }
    samples
}

/// The whole of a clear fMP4 presentation as one file.
fn join(fixture: &Fixture) -> Vec<u8> {
    let folder = fixture.folder();
    let playlist = std::str::from_utf8(fixture.bytes()).unwrap();
    let map = playlist.lines().find_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")).unwrap();
    let mut names = vec![map.split('"').next().unwrap()];
    names.extend(playlist.lines().filter(|line| !line.starts_with('#')));
    names.dedup();
    names.iter().flat_map(|name| folder.get(name).unwrap()).copied().collect()
}

#[test]
fn references_agree_with_symphonia() {
    // What packagers do in the wild is more than Symphonia's own demuxers take.
    for fixture in media::all().iter().filter(|fixture| !fixture.name.starts_with("wild-")) {
        let joined =
            fixture.container == "fmp4" && !matches!(fixture.name, "aes-fmp4" | "codec-change" | "opus");
        let bytes = match fixture.kind {
            Kind::File => fixture.bytes().to_vec(),
            _ if joined => join(fixture),
            _ => continue,
        };
        let samples = decode(bytes);
        // Symphonia reads no edit list, which hides one packet at the start and less than one at the end.
        let extra = samples.len() - fixture.frames as usize * 2;
        let is_edited = (2048..4096).contains(&extra) && fixture.codec == "aac";
        assert!(extra == 0 || is_edited, "{}: {extra} more", fixture.name);
        let start = extra.min(2048);
        let edited = &samples[start..start + fixture.frames as usize * 2];
        let max = fixture.reference.check(edited).unwrap_or_else(|e| panic!("{}: {e}", fixture.name));
        assert!(max.compared > 4000, "{}: {} samples compared", fixture.name, max.compared);
        println!("{:16} off by {:.2e} at most over {} samples", fixture.name, max.error, max.compared);
    }
}

#[test]
fn a_reference_finds_each_kind_of_fault() {
    let fixture = media::find("cbr.mp3").unwrap();
    let good = decode(fixture.bytes().to_vec());
    let reference = &fixture.reference;
    reference.check(&good).unwrap();
    reference.check_from(1_000, &good[2_000..300_000]).unwrap();
    assert!(matches!(reference.check(&good[2..]), Err(Mismatch::FrameCount { .. })));
    assert!(matches!(reference.check(&good[1..]), Err(Mismatch::Ragged { .. })));
    // Displaced by one frame, channels swapped, one wrong place, silence at the end, no numbers.
    assert!(matches!(reference.check_from(0, &good[2..]), Err(Mismatch::Sample { .. })));
    let swapped: Vec<f32> = good.chunks(2).flat_map(|frame| [frame[1], frame[0]]).collect();
    assert!(reference.check(&swapped).is_err());
    let mut bad = good.clone();
    bad[331 * 2 * 50] += 0.001;
    let Err(Mismatch::Sample { max, first, beyond, .. }) = reference.check(&bad) else { panic!("unnoticed") };
    assert_eq!((max.frame, first, beyond), (331 * 50, 331 * 50, 1));
    bad[331 * 2 * 50] = f32::NAN;
    assert_eq!(reference.check(&bad), Err(Mismatch::NotFinite { frame: 331 * 50 }));
    // A bit in a place that no probe looks at.
    let lossless = media::find("lossless.flac").unwrap();
    let mut samples = decode(lossless.bytes().to_vec());
    samples[2 * (331 * 30 + 7)] += 1.0 / 32768.0;
    assert!(matches!(lossless.reference.check(&samples), Err(Mismatch::Hash { .. })));
}

#[test]
fn the_variants_hold_the_same_sound_at_the_same_place() {
    let truth = decode(join(media::find("aac4/flac").unwrap()));
    let noise = |name: &str| {
        let samples = decode(join(media::find(name).unwrap()));
        let squares = |f: &dyn Fn(f32, f32) -> f32| -> f64 {
            truth.iter().zip(&samples).map(|(&a, &b)| f64::from(f(a, b)).powi(2)).sum()
        };
        10.0 * (squares(&|a, _| a) / squares(&|a, b| a - b)).log10()
    };
    for (name, decibels) in
        [("aac4/64k", 10.0), ("aac4/128k", 18.0), ("aac4/256k", 25.0), ("aac6/256k", 25.0)]
    {
        let snr = noise(name);
        println!("{name}: {snr:.1} dB");
        assert!(snr > decibels, "{name}: {snr:.1} dB");
    }
}

#[test]
fn the_music_has_no_fault_and_a_splice_is_one() {
    for name in ["pcm16.wav", "lossless.flac", "cbr.mp3", "vorbis.ogg"] {
        let samples = decode(media::find(name).unwrap().bytes().to_vec());
        assert_eq!(signal::faults(&samples[2 * 2_000..], 2, 32), [], "{name}");
    }
    let samples = decode(media::find("pcm16.wav").unwrap().bytes().to_vec());
    let (mut found, mut tried) = (0, 0);
    for at in (20_000..80_000).step_by(1_500) {
        let splice =
            [&samples[2 * (at - 4_000)..2 * at], &samples[2 * (at + 441)..2 * (at + 4_000)]].concat();
        tried += 1;
        found += usize::from(!signal::faults(&splice, 2, 32).is_empty());
    }
    println!("{found} of {tried} splices found");
    assert!(found * 3 > tried * 2, "{found} of {tried}");
}

#[test]
fn a_position_is_found_by_the_sound_alone() {
    let samples = decode(media::find("lossless.flac").unwrap().bytes().to_vec());
    let left = signal::channel(&samples, 2, 0);
    for at in [3_000, 100_000, 300_000] {
        let found = signal::align(&left, &left[at..at + 9_000], at as i64 - 900, 1_000).unwrap();
        assert_eq!(found.offset, at as i64);
        assert!(found.similarity > 0.9999);
    }
}

#[test]
fn the_table_is_whole() {
    let names: HashSet<_> = media::all().iter().map(|fixture| fixture.name).collect();
    assert_eq!(names.len(), media::all().len());
    let mut total = 0;
    for (path, bytes) in media::folder("").files() {
        assert_eq!(media::file(path), Some(bytes));
        total += bytes.len();
    }
    assert!(total < 8_000_000);
    for fixture in media::all() {
        assert!(!fixture.bytes().is_empty(), "{}", fixture.name);
        if fixture.kind == Kind::Hls {
            let playlist = std::str::from_utf8(fixture.bytes()).unwrap();
            for uri in playlist.lines().filter(|line| !line.starts_with('#')) {
                assert!(fixture.folder().get(uri).is_some(), "{}: {uri}", fixture.name);
            }
        }
        if let Some(master) = fixture.master {
            let (folder, _) = master.rsplit_once('/').unwrap();
            let uri = fixture.entry.strip_prefix(folder).unwrap().trim_start_matches('/');
            assert!(
                std::str::from_utf8(media::file(master).unwrap()).unwrap().lines().any(|line| line == uri)
            );
        }
    }
    assert_eq!(media::file("hls/none"), None);
    assert_eq!(media::hls_aac4().get("64k/../master.m3u8"), None);
    assert_eq!(media::folder("hls/aac").files().count(), 0);
}
