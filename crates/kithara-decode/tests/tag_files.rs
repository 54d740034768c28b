//! Metadata of files in every container, and the events of a decoder.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::file::{far, open, read_all};
use kithara_decode::MediaEvent;
use kithara_testkit::media;

macro_rules! tagged {
    ($($name:literal),*) => {
        [$(($name, &include_bytes!(concat!("media/odd/tagged/", $name))[..])),*]
    };
}

/// Files with the same tags, written by ffmpeg into each container's own form.
#[test]
fn tags_are_those_that_were_written() {
    for (name, bytes) in tagged!("mp3", "flac", "ogg", "m4a", "mka", "wav", "aiff", "caf") {
        for decoder in [open(bytes).unwrap(), far(bytes.to_vec()).0] {
            let tags = &decoder.details().tags;
            assert_eq!(tags.title.as_deref(), Some("A Title"), "{name}");
            assert!(tags.raw.iter().any(|(_, value)| value == "A Title"), "{name}");
            // ffmpeg writes the others behind the sound of AIFF, where they are not looked for.
            if !matches!(name, "aiff") {
                assert_eq!(tags.artist.as_deref(), Some("Söme Artist"), "{name}");
                assert_eq!(tags.album.as_deref(), Some("An Album"), "{name}");
                assert_eq!(tags.genre.as_deref(), Some("Jazz"), "{name}");
                assert_eq!(tags.track, Some(3), "{name}");
                assert!(
                    tags.date.as_deref().is_some_and(|date| date.starts_with("2024")),
                    "{name}: {:?}",
                    tags.date
                );
            }
            if matches!(name, "mp3" | "flac" | "ogg" | "m4a") {
                assert_eq!((tags.disc, tags.album_artist.as_deref()), (Some(2), Some("Others")), "{name}");
            }
            if matches!(name, "mp3" | "flac" | "ogg") {
                assert_eq!(tags.replay_gain.track_gain, Some(-6.5), "{name}");
            }
            if matches!(name, "mp3" | "flac" | "m4a") {
                let cover = tags.cover().unwrap();
                assert_eq!(cover.mime, "image/png", "{name}");
                assert!(
                    cover.data.starts_with(b"\x89PNG") && cover.data.ends_with(b"IEND\xAEB`\x82"),
                    "{name}"
                );
            }
            if matches!(name, "mp3" | "m4a") {
                let chapters: Vec<_> = tags
                    .chapters
                    .iter()
                    .map(|chapter| (chapter.start.as_millis(), chapter.title.as_deref()))
                    .collect();
                assert_eq!(chapters, [(0, Some("One")), (150, Some("Two"))], "{name}");
            }
        }
    }
}

#[test]
fn tags_of_a_joined_stream_are_an_event() {
    let (first, second) = (include_bytes!("media/odd/tagged/flac"), include_bytes!("media/odd/24k.flac"));
    let joined = [&first[..], second].concat();
    let mut decoder = far(joined).0;
    assert_eq!(decoder.details().tags.title.as_deref(), Some("A Title"));
    read_all(&mut decoder).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| decoder.take_event()).collect();
    assert!(matches!(&events[0], MediaEvent::TagsChanged(tags) if tags.title.is_none()), "{events:?}");
    assert!(
        matches!(events[1], MediaEvent::LengthCorrected(length) if Some(length) == decoder.duration()),
        "{events:?}"
    );
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(decoder.details().tags.title, None);
    let chain = include_bytes!("media/chain.ogg");
    let mut decoder = open(chain).unwrap();
    read_all(&mut decoder).unwrap();
    decoder.seek(0).unwrap();
    read_all(&mut decoder).unwrap();
    let corrected = std::iter::from_fn(|| decoder.take_event())
        .filter(|event| matches!(event, MediaEvent::LengthCorrected(_)))
        .count();
    assert_eq!(corrected, 1);
}

#[test]
fn cut_files_end_with_an_event() {
    for (name, is_truncated) in [("faststart.m4a", true), ("lossless.flac", false), ("cbr.mp3", false)] {
        let bytes = media::find(name).unwrap().bytes();
        let mut decoder = far(bytes[..bytes.len() * 6 / 10].to_vec()).0;
        let pcm = read_all(&mut decoder).unwrap();
        let length = decoder.spec().position_of(pcm.frames());
        let mut wanted = vec![MediaEvent::LengthCorrected(length)];
        if is_truncated {
            wanted.insert(0, MediaEvent::Truncated);
        }
        assert_eq!(std::iter::from_fn(|| decoder.take_event()).collect::<Vec<_>>(), wanted, "{name}");
        assert_eq!(decoder.duration(), Some(length), "{name}");
        let mut whole = open(bytes).unwrap();
        read_all(&mut whole).unwrap();
        assert_eq!(whole.take_event(), None, "{name}");
    }
}
