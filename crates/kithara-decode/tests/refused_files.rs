//! Files of which the first track cannot be decoded, and formats that are refused by name.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::error::Error;

use common::file::{assert_seeks, open};

macro_rules! odd {
    ($name:literal) => {
        &include_bytes!(concat!("media/odd/", $name))[..]
    };
}

/// The error of opening a file, with its causes.
fn refusal(bytes: &[u8]) -> String {
    let error = open(bytes).map(drop).unwrap_err();
    assert!(error.is_unsupported(), "{error}");
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert!(!text.contains(['{', '"', '\\']), "text of `Debug`: {text}");
    text
}

#[test]
fn first_playable_track_plays() {
    for (name, bytes, codec) in [
        ("AC-3, AAC in Matroska", odd!("two-ac3-aac.mka"), "aac"),
        ("Speex, Vorbis in Ogg", odd!("two-speex-vorbis.ogg"), "vorbis"),
    ] {
        assert_eq!(open(bytes).unwrap().details().codec, codec, "{name}");
        let pcm = assert_seeks(bytes, name);
        assert_eq!(pcm.channels(), 2, "{name}");
        assert!((17_000..20_000).contains(&pcm.frames()), "{name}: {}", pcm.frames());
        assert!(pcm.samples.iter().any(|sample| sample.abs() > 0.2), "{name}");
    }
}

#[test]
fn first_of_two_playable_tracks_plays() {
    let pcm = assert_seeks(odd!("two-51-stereo.mp4"), "AAC 5.1, AAC in MP4");
    assert_eq!(pcm.channels(), 6);
    let second = open(odd!("two-ac3-51.mp4")).unwrap();
    assert_eq!(
        (second.details().codec, second.details().channels),
        ("aac", 6),
        "the AC-3 before it does not"
    );
}

#[test]
fn every_track_is_named_where_none_plays() {
    let text = refusal(odd!("two-ac3-eac3.mka"));
    assert!(text.contains("AC-3, E-AC-3"), "{text}");
}

#[test]
fn formats_are_refused_by_name() {
    for (bytes, name) in [
        (odd!("named.ac3"), "AC-3"),
        (odd!("named.eac3"), "E-AC-3"),
        (odd!("named.wma"), "WMA"),
        (odd!("named.tta"), "TTA"),
        (odd!("named.wv"), "WavPack"),
        (odd!("named.spx"), "Speex"),
        (odd!("free.mp3"), "free format"),
        (odd!("wma.wav"), "WMA 2 (codec tag 0x0161)"),
        (b"MAC \x96\x0F\0\0 and more of the same", "Monkey's Audio"),
        (b"DSD \x1C\0\0\0 and more of the same..", "DSF"),
        (b"FRM8\0\0\0\0\0\0\0\x20DSD FVER", "DSDIFF"),
        (b"#!AMR\n and more of the same", "AMR"),
        (b"MPCKSH and more of the same", "Musepack"),
    ] {
        let text = refusal(bytes);
        assert!(text.contains(name), "{text}, which should name {name}");
    }
}

#[test]
fn compressed_packets_of_matroska_are_restored() {
    let bytes = include_bytes!("media/odd/k-zlib.mka");
    assert_eq!(open(bytes).unwrap().details().codec, "mp3");
    let pcm = assert_seeks(bytes, "zlib");
    assert!(pcm.samples.iter().any(|sample| sample.abs() > 0.05));
}
