//! Fragmented MP4 (ISO/IEC 14496-12) in every form.

use std::cell::Cell;

use kithara_testkit::odd::adts;
use kithara_testkit::odd::mp4::{Fragment, Run, Track, aac_entry, atom, atom64, full, init};

use super::proof::{Presentation, prove};
use super::units::{Units, aac};

const AUDIO: u32 = 2;
const VIDEO: u32 = 1;

/// A track of the units' sound.
pub fn sound(units: &Units, timescale: u32) -> Track {
    Track::sound(AUDIO, timescale, aac_entry(44_100, 2, &adts::config(units.frames[0])))
}

/// The raw frames of a run, as samples that last equally long.
pub fn run(frames: &[&[u8]], first: u64, timescale: u64) -> Run {
    let at = |frame: u64| frame * 1024 * timescale / 44_100;
    let samples = frames.iter().enumerate().map(|(n, frame)| {
        let n = first + n as u64;
        (adts::payload(frame).to_vec(), (at(n + 1) - at(n)) as u32)
    });
    Run { track: AUDIO, time: at(first), samples: samples.collect(), truns: 1 }
}

/// A presentation of three segments with `tracks`; `segment` writes the body from the number of the first frame and the
/// frames.
fn present(
    name: &'static str,
    units: &Units,
    init: Vec<u8>,
    segment: impl Fn(u64, &[&[u8]]) -> Vec<u8>,
) -> Presentation {
    let mut presentation = Presentation::new(name);
    presentation.line("#EXT-X-MAP:URI=\"init.mp4\"").file("init.mp4", init);
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        presentation.segment(units.seconds(frames.len()), &format!("{n}.m4s"), segment(first, frames));
    }
    presentation
}

fn plain(first: u64, frames: &[&[u8]]) -> Fragment {
    Fragment { sequence: first as u32 + 1, runs: vec![run(frames, first, 44_100)], ..Fragment::default() }
}

/// The boxes that may stand in front of a fragment.
fn in_front(first: u64) -> Vec<u8> {
    // One reference: its track, time scale, first time, first offset; then a count, and size, duration and a key frame.
    let index =
        [&[0, 0, 0, 2, 0, 0, 0xAC, 0x44][..], &[0; 8], &[0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 4, 0, 0x90, 0, 0, 0]];
    let event = b"urn:x\0\0\0\0\xAC\x44\0\0\0\0\0\0\0\0\0\0\0\x01moof mdat inside";
    let clock = [&[0, 0, 0, 2][..], &[0xE5; 8], &(first as u32).to_be_bytes()].concat();
    [
        atom(b"styp", b"msdh\0\0\0\0msdhmsixdash"),
        full(b"prft", 0, 0, &clock),
        full(b"sidx", 0, 0, &index.concat()),
        full(b"emsg", 0, 0, event),
        atom64(b"free", b"nothing"),
        atom(b"uuid", &[0x11; 40]),
        atom(b"xyzw", b"a box that nobody knows"),
    ]
    .concat()
}

#[tokio::test]
async fn boxes_before_the_fragment() {
    let units = aac();
    let presentation = present("fmp4-boxes", &units, init(&[sound(&units, 44_100)]), |first, frames| {
        [in_front(first), plain(first, frames).build(), full(b"mfra", 0, 0, &[0; 8])].concat()
    });
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn several_fragments_of_several_runs() {
    let units = aac();
    let presentation = present("fmp4-many", &units, init(&[sound(&units, 44_100)]), |first, frames| {
        let parts = frames.chunks(17).enumerate().map(|(n, part)| {
            let mut fragment = plain(first + n as u64 * 17, part);
            fragment.runs[0].truns = 1 + n % 4;
            fragment.default_duration = n % 2 == 0;
            // What stands between fragments is skipped.
            [fragment.build(), atom(b"free", &[0; 5])].concat()
        });
        parts.collect::<Vec<_>>().concat()
    });
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn offsets_from_the_start_of_the_segment_or_of_the_file() {
    // `base-data-offset` counts in the file (14496-12, 8.8.7.1), which a segment is. ffmpeg counts in what it has read of all
    // segments together, and plays noise.
    let units = aac();
    let head = atom(b"styp", b"msdh\0\0\0\0msdh");
    let presentation = present("fmp4-absolute", &units, init(&[sound(&units, 44_100)]), |first, frames| {
        let absolute = Some(head.len() as u64);
        [head.clone(), Fragment { absolute, ..plain(first, frames) }.build()].concat()
    });
    prove(&presentation, units.fixture).await;
    // One file cut into segments by a packager that left the offsets as they were: where the samples lie is still plain.
    let init = init(&[sound(&units, 44_100)]);
    let before = Cell::new(init.len() as u64);
    let presentation = present("fmp4-absolute-file", &units, init, |first, frames| {
        let body = Fragment { absolute: Some(before.get()), ..plain(first, frames) }.build();
        before.set(before.get() + body.len() as u64);
        body
    });
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn boxes_with_64_bit_sizes_and_times_of_either_length() {
    let units = aac();
    for (name, short_time) in [("fmp4-long", false), ("fmp4-short-time", true)] {
        let presentation = present(name, &units, init(&[sound(&units, 44_100)]), |first, frames| {
            Fragment { long_mdat: true, short_time, ..plain(first, frames) }.build()
        });
        prove(&presentation, units.fixture).await;
    }
}

#[tokio::test]
async fn fragments_without_a_time() {
    // `tfdt` is mandatory in HLS; without it only the playlist tells where a segment lies. ffmpeg counts on.
    let units = aac();
    let presentation = present("fmp4-no-tfdt", &units, init(&[sound(&units, 44_100)]), |first, frames| {
        Fragment { without_time: true, ..plain(first, frames) }.build()
    });
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn other_time_scales() {
    let units = aac();
    for (name, timescale) in [("fmp4-90k", 90_000), ("fmp4-1000", 1_000), ("fmp4-10m", 10_000_000)] {
        let presentation = present(name, &units, init(&[sound(&units, timescale)]), |first, frames| {
            Fragment { runs: vec![run(frames, first, timescale.into())], ..plain(first, frames) }.build()
        });
        prove(&presentation, units.fixture).await;
    }
}

#[tokio::test]
async fn protection_boxes_that_protect_nothing() {
    let units = aac();
    let presentation = present("fmp4-senc", &units, init(&[sound(&units, 44_100)]), |first, frames| {
        let extra = [
            full(b"saiz", 0, 0, &[0, 0, 0, 0, 0]),
            full(b"saio", 0, 0, &[0, 0, 0, 0]),
            full(b"senc", 0, 0, &[0, 0, 0, 0]),
            full(b"sbgp", 0, 0, b"roll\0\0\0\0"),
        ];
        Fragment { extra: extra.concat(), ..plain(first, frames) }.build()
    });
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_video_track_and_the_audio_in_turns() {
    let units = aac();
    let video = Track {
        id: VIDEO,
        handler: *b"vide",
        timescale: 90_000,
        // A sample entry of a codec that nobody knows, and no more than its common fields.
        entries: vec![atom(b"xvid", &[0; 78])],
        edits: Vec::new(),
    };
    let head = init(&[video, sound(&units, 44_100)]);
    let presentation = present("fmp4-av", &units, head, |first, frames| {
        let mut fragment = plain(first, &frames[..frames.len() / 2]);
        let picture =
            |time: u64| Run { track: VIDEO, time, samples: vec![(vec![0x47; 999], 3600); 9], truns: 1 };
        fragment.runs.insert(0, picture(first * 2090));
        let rest = first + (frames.len() / 2) as u64;
        fragment.runs.push(picture(rest * 2090));
        fragment.runs.push(run(&frames[frames.len() / 2..], rest, 44_100));
        fragment.build()
    });
    // ffmpeg takes no video of an unknown kind amiss, either.
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn an_edit_list_in_the_init_section() {
    // It says that the presentation begins 1024 frames into the media. Where fragments are demuxed one by one, as in HLS,
    // players leave it alone, and so does ffmpeg: what the playlist counts includes what is hidden.
    let units = aac();
    let head = init(&[sound(&units, 44_100).starting_at(1024)]);
    let presentation = present("fmp4-edit", &units, head, |first, frames| plain(first, frames).build());
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_track_that_begins_late_and_one_of_27_hours() {
    let units = aac();
    for (name, late) in [("fmp4-late", 44_100 * 77), ("fmp4-27-hours", (1 << 32) - 100_000)] {
        let presentation = present(name, &units, init(&[sound(&units, 44_100)]), |first, frames| {
            let mut fragment = plain(first, frames);
            fragment.runs[0].time += late;
            fragment.build()
        });
        prove(&presentation, units.fixture).await;
    }
}
