//! Random reads, seeks, changes of variant and resampling give what one whole decode gives, bit for bit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Mutex, OnceLock};

use common::file::read_all;
use common::{Pcm, Segment, decode_from, decode_segments, feed, resampling, segments};
use kithara_bufpool::SamplePool;
use kithara_decode::{DecodeOptions, MediaDecoder};
use kithara_stream::MediaInfo;
use kithara_testkit::media::{self, Fixture, Kind};
use proptest::prelude::*;

fn files() -> Vec<&'static Fixture> {
    media::all().iter().filter(|fixture| fixture.kind == Kind::File).collect()
}

fn open(fixture: &'static Fixture, rate: Option<u32>) -> MediaDecoder {
    let mut options = DecodeOptions::new(SamplePool::default());
    options.output.rate = rate;
    MediaDecoder::open(Cursor::new(fixture.bytes()), &MediaInfo::default(), options).unwrap()
}

/// The whole decode of a file, made once.
fn whole(fixture: &'static Fixture, rate: Option<u32>) -> &'static Pcm {
    type Known = HashMap<(&'static str, Option<u32>), &'static Pcm>;
    static WHOLE: OnceLock<Mutex<Known>> = OnceLock::new();
    let mut known = WHOLE.get_or_init(Mutex::default).lock().unwrap();
    known
        .entry((fixture.name, rate))
        .or_insert_with(|| Box::leak(Box::new(read_all(&mut open(fixture, rate)).unwrap())))
}

fn rates() -> impl Strategy<Value = Option<u32>> {
    prop::sample::select(vec![None, None, Some(48_000), Some(32_000)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn files_read_and_seek_at_random(
        index in any::<prop::sample::Index>(),
        rate in rates(),
        steps in proptest::collection::vec((any::<prop::sample::Index>(), 0u64..20_000), 1..8),
    ) {
        let fixture = *index.get(&files());
        let whole = whole(fixture, rate);
        let mut decoder = open(fixture, rate);
        for (target, frames) in steps {
            let target = target.index(whole.end() as usize) as u64;
            prop_assert_eq!(decoder.seek(target).unwrap(), target);
            let mut part = Pcm { start: target, ..Pcm::default() };
            while part.frames() < frames
                && let Some(chunk) = decoder.next_chunk().unwrap()
            {
                part.add(&chunk);
            }
            if part.frames() > 0 {
                part.assert_part_of(whole);
            }
        }
    }

    #[test]
    fn segments_seek_and_change_variants_at_random(
        name in prop::sample::select(vec!["ts-aac", "packed-aac", "byterange", "alac"]),
        rate in prop::sample::select(vec![44_100, 48_000]),
        cut in 200usize..20_000,
        variants in proptest::collection::vec(0usize..3, 12),
        targets in proptest::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        // One encode under several variant numbers: a change must not be heard.
        let plain = segments(media::find(name).unwrap());
        let whole = decode_segments(resampling(rate), &plain, usize::MAX);
        let switching: Vec<Segment> = plain.iter().zip(variants.iter().cycle()).map(|(segment, &variant)| {
            let mut segment = segment.clone();
            segment.start.variant = variant;
            segment
        }).collect();
        let mut decoder = resampling(rate);
        let mut pcm = Pcm::default();
        for segment in &switching {
            feed(&mut decoder, segment, cut, &mut pcm).unwrap();
        }
        decoder.finish().unwrap();
        common::drain(&mut decoder, &mut pcm).unwrap();
        prop_assert_eq!(pcm.end(), whole.end());
        pcm.assert_part_of(&whole);
        for target in targets {
            let target = target.index(whole.end() as usize) as u64;
            let part = decode_from(&mut decoder, &switching, target, 5_000);
            if part.frames() > 0 {
                part.assert_part_of(&whole);
            }
        }
    }
}
