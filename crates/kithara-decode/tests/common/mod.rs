//! What the integration tests share: playlists, whole decodes, and comparing.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod file;

use std::time::Duration;

use bytes::Bytes;
use kithara_bufpool::SamplePool;
use kithara_decode::{
    AudioSpec, DecodeError, PcmChunk, SegmentDecoder, SegmentDecoderSettings, SegmentStart,
};
use kithara_testkit::media::{Fixture, Kind};

/// A decode: chunks joined, and where they began.
#[derive(Default)]
pub struct Pcm {
    pub spec: Option<AudioSpec>,
    pub start: u64,
    pub samples: Vec<f32>,
}

impl Pcm {
    pub fn add(&mut self, chunk: &PcmChunk) {
        if self.spec.is_none() {
            self.start = chunk.position();
        }
        assert_eq!(*self.spec.get_or_insert(chunk.spec()), chunk.spec(), "chunks of one shape");
        assert_eq!(self.end(), chunk.position(), "chunks without gap or overlap");
        assert!(chunk.frames() > 0, "no empty chunks");
        self.samples.extend_from_slice(chunk.samples());
    }

    pub fn channels(&self) -> usize {
        self.spec.map_or(1, |spec| usize::from(spec.channels))
    }

    pub fn frames(&self) -> u64 {
        (self.samples.len() / self.channels()) as u64
    }

    pub fn end(&self) -> u64 {
        self.start + self.frames()
    }

    /// Asserts that this is a piece of `whole`, bit for bit.
    #[track_caller]
    pub fn assert_part_of(&self, whole: &Pcm) {
        assert_eq!(self.spec, whole.spec);
        let at = (self.start - whole.start) as usize * self.channels();
        assert!(at + self.samples.len() <= whole.samples.len(), "frames beyond the end");
        let differs =
            self.samples.iter().zip(&whole.samples[at..]).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(
            differs.map(|index| index / self.channels()),
            None,
            "frame from {} that differs",
            self.start
        );
    }
}

/// One segment of a fixture.
#[derive(Clone)]
pub struct Segment {
    pub start: SegmentStart,
    pub body: Bytes,
}

/// The segments of an HLS fixture (not of an encrypted one).
pub fn segments(fixture: &Fixture) -> Vec<Segment> {
    assert_eq!(fixture.kind, Kind::Hls);
    let folder = fixture.folder();
    let get = |name: &str| Bytes::from_static(folder.get(name).unwrap_or_else(|| panic!("{name}")));
    let text = std::str::from_utf8(fixture.bytes()).unwrap();
    let (mut out, mut start) = (Vec::new(), SegmentStart { is_first: true, ..SegmentStart::default() });
    let (mut range, mut end) = (None, 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("#EXT-X-MAP:") {
            let uri = rest.split('"').nth(1).unwrap();
            let bytes = get(uri);
            start.init = Some(match rest.split("BYTERANGE=\"").nth(1) {
                Some(range) => {
                    let (len, at) = range.trim_end_matches('"').split_once('@').unwrap();
                    let at: usize = at.parse().unwrap();
                    bytes.slice(at..at + len.parse::<usize>().unwrap())
                }
                None => bytes,
            });
        } else if let Some(rest) = line.strip_prefix("#EXTINF:") {
            start.duration = Duration::from_secs_f64(rest.split(',').next().unwrap().parse().unwrap());
        } else if let Some(rest) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            let (len, at) = rest.split_once('@').unwrap_or((rest, ""));
            range = Some((len.parse::<usize>().unwrap(), at.parse().unwrap_or(end)));
        } else if line == "#EXT-X-DISCONTINUITY" {
            start.discontinuity = true;
        } else if !line.starts_with('#') && !line.is_empty() {
            let mut body = get(line);
            if let Some((len, at)) = range.take() {
                body = body.slice(at..at + len);
                end = at + len;
            }
            out.push(Segment { start: start.clone(), body });
            start.timeline_start += start.duration;
            start.is_first = false;
            start.discontinuity = false;
        }
    }
    out
}

pub fn decoder() -> SegmentDecoder {
    SegmentDecoder::new(SegmentDecoderSettings::new(SamplePool::default()))
}

pub fn resampling(rate: u32) -> SegmentDecoder {
    let mut settings = SegmentDecoderSettings::new(SamplePool::default());
    settings.output.rate = Some(rate);
    SegmentDecoder::new(settings)
}

pub fn drain(decoder: &mut SegmentDecoder, pcm: &mut Pcm) -> Result<(), DecodeError> {
    while let Some(chunk) = decoder.next_chunk()? {
        pcm.add(&chunk);
    }
    Ok(())
}

/// Feeds one segment in pieces of `cut` bytes.
pub fn feed(
    decoder: &mut SegmentDecoder,
    segment: &Segment,
    cut: usize,
    pcm: &mut Pcm,
) -> Result<(), DecodeError> {
    decoder.begin_segment(segment.start.clone())?;
    let mut body = segment.body.clone();
    while !body.is_empty() {
        decoder.push(body.split_to(cut.min(body.len())))?;
        drain(decoder, pcm)?;
    }
    decoder.end_segment()?;
    drain(decoder, pcm)
}

/// Decodes all of it.
pub fn decode_segments(mut decoder: SegmentDecoder, segments: &[Segment], cut: usize) -> Pcm {
    let mut pcm = Pcm::default();
    for segment in segments {
        feed(&mut decoder, segment, cut, &mut pcm).unwrap();
    }
    decoder.finish().unwrap();
    drain(&mut decoder, &mut pcm).unwrap();
    pcm
}

/// Decodes at least `frames` frames from `target` on, as an HLS engine does: from the segment that holds the preroll.
pub fn decode_from(decoder: &mut SegmentDecoder, segments: &[Segment], target: u64, frames: u64) -> Pcm {
    let spec = decoder.spec().unwrap();
    decoder.seek(target);
    let from = spec.position_of(target).saturating_sub(decoder.preroll());
    let first = segments.iter().rposition(|segment| segment.start.timeline_start <= from).unwrap_or(0);
    let mut pcm = Pcm { start: target, ..Pcm::default() };
    for segment in &segments[first..] {
        feed(decoder, segment, usize::MAX, &mut pcm).unwrap();
        if pcm.frames() >= frames {
            return pcm;
        }
    }
    decoder.finish().unwrap();
    drain(decoder, &mut pcm).unwrap();
    pcm
}

/// Numbers that look random and are the same in every run.
pub fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 20
    })
}
