//! Steady state allocates nothing: neither the codec's packets, nor the chunks, nor the resampler.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Cursor;

use common::{Pcm, Segment, decoder, feed, segments};
use kithara_bufpool::SamplePool;
use kithara_decode::{DecodeOptions, MediaDecoder, SegmentDecoder, SegmentDecoderSettings};
use kithara_stream::MediaInfo;
use kithara_testkit::alloc::{Counting, Tally};
use kithara_testkit::media;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Calls to the allocator while `segment` is decoded, after others were.
fn calls(mut decoder: SegmentDecoder, segments: &[Segment]) -> u64 {
    let (last, warm_up) = segments.split_last().unwrap();
    for segment in warm_up {
        feed(&mut decoder, segment, usize::MAX, &mut Pcm::default()).unwrap();
    }
    decoder.begin_segment(last.start.clone()).unwrap();
    decoder.push(last.body.clone()).unwrap();
    // The first packets of a segment read its index.
    for _ in 0..4 {
        decoder.next_chunk().unwrap().unwrap();
    }
    let before = Tally::of_thread();
    let mut frames = 0;
    while let Some(chunk) = decoder.next_chunk().unwrap() {
        frames += chunk.frames();
    }
    assert!(frames > 10_000);
    (Tally::of_thread() - before).calls
}

#[test]
fn decoding_a_segment_allocates_nothing() {
    for name in ["aac4/128k", "aac4/flac", "ts-mp3", "ts-aac", "packed-aac"] {
        let segments = segments(media::find(name).unwrap());
        assert_eq!(calls(decoder(), &segments), 0, "{name}");
    }
}

#[test]
fn resampling_a_segment_allocates_nothing() {
    let mut settings = SegmentDecoderSettings::new(SamplePool::default());
    settings.output.rate = Some(48_000);
    let segments = segments(media::find("aac4/128k").unwrap());
    assert_eq!(calls(SegmentDecoder::new(settings), &segments), 0);
}

#[test]
fn decoding_a_file_allocates_nothing() {
    for name in ["file/cbr.mp3", "file/faststart.m4a", "file/adts.aac", "file/lossless.flac"] {
        let options = DecodeOptions::new(SamplePool::default());
        let source = Cursor::new(media::file(name).unwrap());
        let mut decoder = MediaDecoder::open(source, &MediaInfo::default(), options).unwrap();
        for _ in 0..64 {
            decoder.next_chunk().unwrap().unwrap();
        }
        let before = Tally::of_thread();
        let mut frames = 0;
        while frames < 100_000
            && let Some(chunk) = decoder.next_chunk().unwrap()
        {
            frames += chunk.frames();
        }
        let calls = (Tally::of_thread() - before).calls;
        // The window slides over the file, and the index of packets grows by doubling.
        assert!(calls <= 8, "{name}: {calls} calls for {frames} frames");
    }
}
