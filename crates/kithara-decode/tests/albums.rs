//! Albums: three tracks in a row are the sound that they were cut from, without a gap and without a click.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::file::decode;

macro_rules! album {
    ($kind:literal) => {
        [
            &include_bytes!(concat!("media/odd/album/1.", $kind))[..],
            &include_bytes!(concat!("media/odd/album/2.", $kind))[..],
            &include_bytes!(concat!("media/odd/album/3.", $kind))[..],
        ]
    };
}

/// Frames of the tracks.
const TRACKS: [u64; 3] = [22_011, 22_766, 21_373];

#[test]
fn tracks_join_to_the_sound_they_were_cut_from() {
    let whole = decode(include_bytes!("media/odd/album/whole.flac"));
    // A gap or a click would be an error of up to 0.6, the peak of the sound.
    for (kind, album, most) in [
        ("flac", album!("flac"), 0.0),
        ("alac", album!("alac.m4a"), 0.0),
        ("mp3", album!("mp3"), 0.15),
        ("m4a", album!("m4a"), 0.15),
        ("ogg", album!("ogg"), 0.15),
    ] {
        let tracks = album.map(decode);
        assert_eq!(tracks.each_ref().map(|track| track.frames()), TRACKS, "{kind}");
        let joined: Vec<f32> = tracks.iter().flat_map(|track| &track.samples).copied().collect();
        assert_eq!(joined.len(), whole.samples.len(), "{kind}");
        let error = |frames: std::ops::Range<usize>| {
            let range = frames.start * 2..frames.end * 2;
            joined[range.clone()]
                .iter()
                .zip(&whole.samples[range])
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max)
        };
        // The AAC encoder that made the tracks gives their first packet too few bits.
        let start = if kind == "m4a" { 1100 } else { 0 };
        for joint in [22_011, 44_777] {
            let at_joint = error(joint - 1500..joint).max(error(joint + start..joint + 3000));
            assert!(at_joint <= most, "{kind} at {joint}: {at_joint}");
        }
        let inside = error(5000..20_000);
        assert!(inside <= most, "{kind}: {inside}");
    }
}
