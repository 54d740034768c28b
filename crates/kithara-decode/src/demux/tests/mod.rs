//! Tests of the demuxers on hand-made and small real media, on every cut of it, and on damaged copies of it.

mod aac;
mod build;
mod fmp4;
mod mp4_file;
mod mutations;
mod packed;
mod real;
mod sniff;
mod ts;

use bytes::Bytes;

use super::{DemuxError, Demuxer};

/// What a demuxer gave.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Packet(Packet),
    Error(DemuxError),
}

#[derive(Clone, Debug, PartialEq)]
struct Packet {
    data: Vec<u8>,
    pts: i64,
    duration: u64,
    is_timed: bool,
    is_discontinuity: bool,
    serial: u32,
}

/// Takes what is ready. False after an error that ends the stream.
fn drain(demuxer: &mut dyn Demuxer, events: &mut Vec<Event>) -> bool {
    loop {
        match demuxer.next_packet() {
            Ok(None) => return true,
            Ok(Some(packet)) => events.push(Event::Packet(Packet {
                data: packet.data.to_vec(),
                pts: packet.pts,
                duration: packet.duration,
                is_timed: packet.is_timed,
                is_discontinuity: packet.is_discontinuity,
                serial: packet.track.serial,
            })),
            Err(error) => {
                let is_fatal = !matches!(error, DemuxError::Truncated { .. });
                events.push(Event::Error(error));
                if is_fatal {
                    return false;
                }
            }
        }
    }
}

/// Pushes segments, each in pieces of the lengths that `cut` gives.
fn run_cut(demuxer: &mut dyn Demuxer, segments: &[Vec<u8>], mut cut: impl FnMut() -> usize) -> Vec<Event> {
    let mut events = Vec::new();
    for segment in segments {
        let mut rest = Bytes::copy_from_slice(segment);
        while !rest.is_empty() {
            let piece = rest.split_to(cut().clamp(1, rest.len()));
            demuxer.push(piece).unwrap();
            if !drain(demuxer, &mut events) {
                return events;
            }
        }
        demuxer.finish().unwrap();
        if !drain(demuxer, &mut events) {
            return events;
        }
    }
    events
}

fn run(demuxer: &mut dyn Demuxer, segments: &[Vec<u8>]) -> Vec<Event> {
    run_cut(demuxer, segments, || usize::MAX)
}

/// The packets of `segments`, after checking that no cut changes them.
fn run_every_cut(make: impl Fn() -> Box<dyn Demuxer>, segments: &[Vec<u8>]) -> Vec<Event> {
    let whole = run(&mut *make(), segments);
    let longest = segments.iter().map(Vec::len).max().unwrap_or(0);
    for size in (1..=longest).filter(|size| *size < 40 || size % (longest / 40 + 1) == 0) {
        assert_eq!(run_cut(&mut *make(), segments, || size), whole, "pieces of {size} bytes");
    }
    let mut random = Random(7);
    for seed in 0..40 {
        let events = run_cut(&mut *make(), segments, || random.below(1 + seed * 37) as usize);
        assert_eq!(events, whole, "random cuts {seed}");
    }
    whole
}

fn packets(events: &[Event]) -> Vec<Packet> {
    events
        .iter()
        .map(|event| match event {
            Event::Packet(packet) => packet.clone(),
            Event::Error(error) => panic!("unexpected error: {error}"),
        })
        .collect()
}

fn error(events: &[Event]) -> &DemuxError {
    match events.last() {
        Some(Event::Error(error)) => error,
        other => panic!("no error but {other:?}"),
    }
}

fn times(packets: &[Packet]) -> Vec<i64> {
    packets.iter().map(|packet| packet.pts).collect()
}

fn datas(packets: &[Packet]) -> Vec<&[u8]> {
    packets.iter().map(|packet| packet.data.as_slice()).collect()
}

/// A small generator: the tests are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> u64 {
        self.next() % limit.max(1) as u64
    }
}
