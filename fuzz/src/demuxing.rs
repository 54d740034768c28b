//! Demuxers: whatever the cuts, the same packets; never more bytes out than went in.

use std::io::Cursor;

use bytes::Bytes;

use crate::demux_parsers::id3::{HEADER_LEN, Id3Timestamp, tag_len};
use crate::demux_parsers::mp4_file::Mp4File;
use crate::demux_parsers::{Container, Demuxer, sniff, sniff_at_end};

/// What a demuxer gave: a packet or, in words, an error.
#[derive(Debug, PartialEq)]
enum Event {
    Packet { data: Vec<u8>, pts: i64, duration: u64, is_timed: bool, is_discontinuity: bool, serial: u32 },
    Error(String),
}

/// Takes what is ready; `false` when the demuxer has given up.
fn drain(demuxer: &mut dyn Demuxer, events: &mut Vec<Event>) -> bool {
    loop {
        match demuxer.next_packet() {
            Ok(None) => return true,
            Ok(Some(packet)) => {
                assert!(!packet.data.is_empty(), "an empty packet");
                events.push(Event::Packet {
                    data: packet.data.to_vec(),
                    pts: packet.pts,
                    duration: packet.duration,
                    is_timed: packet.is_timed,
                    is_discontinuity: packet.is_discontinuity,
                    serial: packet.track.serial,
                });
            }
            Err(error) => {
                let goes_on = error.is_retryable();
                events.push(Event::Error(format!("{error:?}")));
                if !goes_on {
                    return false;
                }
            }
        }
    }
}

fn run(container: Container, segments: &[&[u8]], piece: usize) -> Vec<Event> {
    let mut demuxer = container.demuxer();
    let mut events = Vec::new();
    for segment in segments {
        for part in segment.chunks(piece) {
            if demuxer.push(Bytes::copy_from_slice(part)).is_err() || !drain(&mut *demuxer, &mut events) {
                return events;
            }
        }
        if demuxer.finish().is_err() || !drain(&mut *demuxer, &mut events) {
            return events;
        }
    }
    events
}

/// The first byte says into how many segments the rest is split, the second how large the pieces are.
pub fn demux(container: Container, data: &[u8]) {
    let [segments, piece, rest @ ..] = data else { return };
    if rest.is_empty() {
        return;
    }
    let count = usize::from(*segments) % 3 + 1;
    let segments: Vec<_> = rest.chunks(rest.len() / count + 1).collect();
    let whole = run(container, &segments, usize::MAX);
    let pieces = run(container, &segments, usize::from(*piece) % 61 + 1);
    assert_eq!(whole, pieces, "the cuts are heard");
    let given = whole.iter().map(|event| match event {
        Event::Packet { data, .. } => data.len(),
        Event::Error(_) => 0,
    });
    assert!(given.sum::<usize>() <= rest.len(), "more came out than went in");
    let _ = (sniff(rest), sniff_at_end(rest));
}

/// A whole MP4 file: opens, reads and seeks.
pub fn mp4_file(data: &[u8]) {
    let Ok(mut file) = Mp4File::open(Cursor::new(data)) else { return };
    for target in [0, 5_000, 50_000, u64::MAX, 1024] {
        let _ = file.seek(target);
        for _ in 0..300 {
            match file.next_packet() {
                Ok(Some(packet)) => assert!(!packet.data.is_empty(), "an empty packet"),
                _ => break,
            }
        }
    }
}

/// ID3 tags: their length and timestamp, and packed audio that begins with them.
pub fn id3(data: &[u8]) {
    if let Some(len) = tag_len(data) {
        assert!(len >= HEADER_LEN as u64);
        let tag = &data[..data.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
        if let Some(stamp) = Id3Timestamp::find(tag) {
            assert!(stamp.ticks() < 1 << 33);
        }
    }
    let _ = Id3Timestamp::find(data);
    for container in [Container::Adts, Container::MpegAudio] {
        let framed = [&[0, 6], data].concat();
        demux(container, &framed);
    }
}
