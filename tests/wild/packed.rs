//! Packed audio (RFC 8216, 3.4): AAC and MP3 in files of their own, with ID3 of all kinds.

use kithara_testkit::odd::id3;

use super::proof::{Presentation, prove};
use super::units::{Units, aac, mp3};

const WRAP: u64 = 1 << 33;

fn present(name: &'static str, units: &Units, tag: impl Fn(u64, usize) -> Vec<u8>) -> Presentation {
    let mut presentation = Presentation::new(name);
    let extension = if units.samples == 1024 { "aac" } else { "mp3" };
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let body = [tag(units.time(first), n), frames.concat()].concat();
        presentation.segment(units.seconds(frames.len()), &format!("{n}.{extension}"), body);
    }
    presentation
}

/// A tag with the timestamp, and more than is needed.
fn with_picture(ticks: u64) -> Vec<u8> {
    let mut body = b"com.apple.streaming.transportStreamTimestamp\0".to_vec();
    body.extend(ticks.to_be_bytes());
    let picture = [&b"\0image/jpeg\0\x03\0"[..], &[0xFF, 0xF1, 0x50, 0x80, 0x02].repeat(9_000)].concat();
    let frames = [id3::frame(b"APIC", &picture), id3::frame(b"PRIV", &body), vec![0; 500]];
    id3::tag(4, &frames.concat())
}

#[tokio::test]
async fn timestamps_right_absent_and_wrapping() {
    for units in [aac(), mp3()] {
        prove(&present("packed-right", &units, |time, _| id3::timestamp(900_000 + time)), units.fixture)
            .await;
        prove(&present("packed-absent", &units, |_, _| Vec::new()), units.fixture).await;
        // It wraps between the first and the second, and between the second and the third.
        for (name, before) in [("packed-wrap-1", 100_000), ("packed-wrap-2", 350_000)] {
            let presentation = present(name, &units, |time, _| id3::timestamp((WRAP - before + time) % WRAP));
            prove(&presentation, units.fixture).await;
        }
    }
}

#[tokio::test]
async fn timestamps_that_are_wrong_do_not_move_anything() {
    for units in [aac(), mp3()] {
        // The same one in each segment.
        prove(&present("packed-same", &units, |_, _| id3::timestamp(126_000)), units.fixture).await;
        // Hours away from each other.
        let far = |_, n| id3::timestamp([7_000_000, 4_000_000_000, 90_000][n]);
        prove(&present("packed-far", &units, far), units.fixture).await;
        // More than 33 bits: no timestamp (RFC 8216, 3.4: the upper 31 bits are zero).
        let long = |time, _| id3::timestamp(u64::MAX - time);
        prove(&present("packed-long", &units, long), units.fixture).await;
        // In the first segment alone.
        let first = |time, n| if n == 0 { id3::timestamp(time) } else { Vec::new() };
        prove(&present("packed-first", &units, first), units.fixture).await;
    }
}

#[tokio::test]
async fn tags_of_nonstandard_versions_are_skipped_by_their_size() {
    // In front of MP3 ffmpeg loses a frame at each of these, as it does at any tag in which it finds no timestamp.
    for units in [aac(), mp3()] {
        for (name, version) in
            [("packed-id3-2", 2), ("packed-id3-3", 3), ("packed-id3-5", 5), ("packed-id3-9", 9)]
        {
            let tag = |time, _| id3::timestamp_of_version(version, 90_000 + time);
            prove(&present(name, &units, tag), units.fixture).await;
        }
    }
}

#[tokio::test]
async fn large_tags_several_tags_and_tags_without_a_timestamp() {
    for units in [aac(), mp3()] {
        prove(&present("packed-picture", &units, |time, _| with_picture(time)), units.fixture).await;
        let several = |time, _| {
            let title = id3::tag(3, &id3::frame(b"TIT2", b"\0Title"));
            [title.clone(), id3::timestamp(time), title, id3::tag(4, &[])].concat()
        };
        prove(&present("packed-several", &units, several), units.fixture).await;
        let title = |_, _| id3::tag(4, &id3::frame(b"TIT2", b"\0A title and no time"));
        prove(&present("packed-title", &units, title), units.fixture).await;
    }
}

#[tokio::test]
async fn garbage_before_the_first_frame() {
    for units in [aac(), mp3()] {
        let garbage = |_, _| vec![0; 417];
        prove(&present("packed-padding", &units, garbage), units.fixture).await;
    }
}
