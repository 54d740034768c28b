//! MPEG-TS (ISO/IEC 13818-1) in every form.

use kithara_testkit::odd::ts::{Stream, Writer};

use super::proof::{Presentation, prove, refused};
use super::units::{Units, aac, mp3};

const AUDIO: u16 = 0x101;
const VIDEO: u16 = 0x100;
const WRAP: u64 = 1 << 33;

/// How a segment is written.
struct Style {
    /// Frames in each PES packet.
    per_pes: usize,
    /// 90 kHz time of the first frame of the presentation.
    origin: u64,
    /// Bytes around each packet.
    around: (usize, usize),
    /// Tables at the start of each segment.
    tables: bool,
    /// Stream type and stream id.
    kind: (u8, u8),
}

impl Default for Style {
    fn default() -> Self {
        Self { per_pes: 7, origin: 126_000, around: (0, 0), tables: true, kind: (0x0F, 0xC0) }
    }
}

/// A presentation of three segments; `between` writes something before each PES packet (segment, number of the packet).
fn present(
    name: &'static str,
    units: &Units,
    style: &Style,
    between: impl Fn(&mut Writer, usize, usize),
) -> Presentation {
    let mut presentation = Presentation::new(name);
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let mut ts = Writer::new();
        (ts.before, ts.after) = style.around;
        if style.tables {
            ts.pat().pmt(&[Stream::new(VIDEO, 0x1B), Stream::new(AUDIO, style.kind.0)]);
        }
        for (number, part) in frames.chunks(style.per_pes).enumerate() {
            between(&mut ts, n, number);
            let time = style.origin + units.time(first + (number * style.per_pes) as u64);
            ts.pes(AUDIO, style.kind.1, Some(time % WRAP), &part.concat());
        }
        presentation.segment(units.seconds(frames.len()), &format!("{n}.ts"), ts.finish());
    }
    presentation
}

fn nothing(_: &mut Writer, _: usize, _: usize) {}

#[tokio::test]
async fn aac_and_mp3_in_plain_packets() {
    let aac = aac();
    prove(&present("ts-plain", &aac, &Style::default(), nothing), aac.fixture).await;
    let mp3 = mp3();
    for kind in [0x03, 0x04] {
        let style = Style { kind: (kind, 0xC0), ..Style::default() };
        prove(&present("ts-plain-mp3", &mp3, &style, nothing), mp3.fixture).await;
    }
}

#[tokio::test]
async fn packets_of_192_and_204_bytes() {
    let units = aac();
    for (name, around) in [("ts-192", (4, 0)), ("ts-204", (0, 16))] {
        prove(&present(name, &units, &Style { around, ..Style::default() }, nothing), units.fixture).await;
    }
}

#[tokio::test]
async fn a_pes_packet_for_each_frame_and_one_for_a_segment() {
    let units = aac();
    for (name, per_pes) in [("ts-pes-1", 1), ("ts-pes-all", usize::MAX)] {
        // ffmpeg gives a PES packet of a second or more no better times, and plays it alike.
        let style = Style { per_pes: per_pes.min(120), ..Style::default() };
        prove(&present(name, &units, &style, nothing), units.fixture).await;
    }
}

#[tokio::test]
async fn frames_that_straddle_pes_packets_and_segments() {
    // 13818-1 asks for no alignment: PES packets of 700 bytes, segments cut wherever a PES packet ends.
    let units = aac();
    let all: Vec<u8> = units.frames.concat();
    let mut starts: Vec<usize> =
        units.frames.iter().scan(0, |end, frame| Some(std::mem::replace(end, *end + frame.len()))).collect();
    starts.push(all.len());
    let mut presentation = Presentation::new("ts-straddle");
    let pieces: Vec<_> = all.chunks(700).collect();
    let (mut at, mut done) = (0, 0);
    for (n, pieces) in pieces.chunks(pieces.len().div_ceil(3)).enumerate() {
        let mut ts = Writer::new();
        ts.pat().pmt(&[Stream::new(AUDIO, 0x0F)]);
        for piece in pieces {
            // The time is that of the first frame that begins in the packet.
            let first = starts.partition_point(|start| *start < at);
            let time = (starts[first] < at + piece.len()).then(|| 9_000 + units.time(first as u64));
            ts.pes(AUDIO, 0xC0, time, piece);
            at += piece.len();
        }
        let begun = starts.partition_point(|start| *start < at).min(units.frames.len());
        presentation.segment(units.seconds(begun - done), &format!("{n}.ts"), ts.finish());
        done = begun;
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn stuffing_null_packets_repeats_and_a_video_to_ignore() {
    let units = aac();
    let presentation = present("ts-noise-around", &units, &Style::default(), |ts, _, number| {
        // Sync bytes and start codes in the video are no packets and no audio.
        ts.pes(VIDEO, 0xE0, Some(5), &[0x47; 900]);
        ts.pes(VIDEO, 0xE0, None, &[0, 0, 1, 0xC0, 0xFF, 0xF1, 0x50, 0x80].repeat(40));
        ts.null().stuffing(AUDIO).stuffing(AUDIO);
        if number % 3 == 1 {
            // The last packet of the audio may come twice.
            ts.pat();
        }
    });
    prove(&presentation, units.fixture).await;
    // Every packet twice, as 2.4.3.3 allows: a repeated packet is dropped. ffmpeg takes it for a loss.
    let mut twice = present("ts-twice", &units, &Style::default(), nothing);
    for (_, bytes) in &mut twice.files {
        *bytes = bytes.chunks(188).flat_map(|packet| [packet, packet].concat()).collect();
    }
    prove(&twice, units.fixture).await;
}

#[tokio::test]
async fn adaptation_fields_with_a_clock_and_private_data() {
    let units = aac();
    let presentation = present("ts-adaptation", &units, &Style::default(), |ts, segment, number| {
        // PCR, OPCR, splice countdown and private data, and no payload, on the audio PID.
        let mut packet = vec![0x47, (AUDIO >> 8) as u8, AUDIO as u8, 0x20, 183, 0x1E];
        packet.extend([0, 0, segment as u8, number as u8, 0x7E, 0, 0, 0, 1, 2, 0x7E, 0, 5, 3, 1, 2, 3]);
        packet.resize(188, 0xFF);
        ts.raw(&packet);
    });
    // The counter of packets without payload does not count, whatever it is.
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn tables_from_the_map_alone() {
    let units = aac();
    let style = Style { tables: false, ..Style::default() };
    let plain = present("ts-map", &units, &style, nothing);
    let mut presentation = Presentation::new("ts-map");
    presentation.line("#EXT-X-MAP:URI=\"init.ts\"");
    let mut init = Writer::new();
    init.pat().pmt(&[Stream::new(AUDIO, 0x0F)]);
    presentation.file("init.ts", init.finish());
    for ((_, frames), (name, bytes)) in units.segments().into_iter().zip(plain.files) {
        presentation.segment(units.seconds(frames.len()), &name, bytes);
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn tables_in_the_middle_that_move_the_audio() {
    let units = aac();
    // In the middle of each segment the audio goes to another PID, as the PMT says. For ffmpeg that is another stream, which
    // it does not join to the first.
    let mut presentation = Presentation::new("ts-moves");
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let mut ts = Writer::new();
        ts.pat();
        let mut pid = 0;
        for (number, part) in frames.chunks(5).enumerate() {
            let now = if number < 10 { AUDIO } else { 0x155 };
            if pid != now || number % 6 == 0 {
                pid = now;
                ts.pat().pmt(&[Stream::new(VIDEO, 0x1B), Stream::new(pid, 0x0F), Stream::new(0x200, 0x15)]);
            }
            let time = 900 + units.time(first + (number * 5) as u64);
            ts.pes(pid, 0xC0, Some(time), &part.concat());
        }
        presentation.segment(units.seconds(frames.len()), &format!("{n}.ts"), ts.finish());
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_clock_that_wraps_in_a_segment_and_between_two() {
    let units = aac();
    let second = units.time(units.segments()[1].0);
    for (name, before) in [("ts-wrap-in", second + 90_000), ("ts-wrap-between", second), ("ts-wrap-first", 1)]
    {
        let style = Style { origin: WRAP - before, per_pes: 3, ..Style::default() };
        prove(&present(name, &units, &style, nothing), units.fixture).await;
    }
}

#[tokio::test]
async fn a_loss_is_a_hole_and_nothing_moves() {
    let units = aac();
    // One PES packet of each segment is lost. ffmpeg leaves the hole out of `-f f32le`, so that everything behind it sounds
    // early; the times say where it belongs (13818-1, 2.4.3.7), and there it is.
    let mut presentation = Presentation::new("ts-loss");
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let mut ts = Writer::new();
        ts.pat().pmt(&[Stream::new(AUDIO, 0x0F)]);
        for (number, part) in frames.chunks(4).enumerate() {
            let bytes = part.concat();
            if number == 8 {
                ts.lose(AUDIO, 5);
                continue;
            }
            ts.pes(AUDIO, 0xC0, Some(900 + units.time(first + (number * 4) as u64)), &bytes);
        }
        presentation.segment(units.seconds(frames.len()), &format!("{n}.ts"), ts.finish());
    }
    let origin = kithara_testkit::Origin::start().await.unwrap();
    let heard = super::proof::play(&presentation, &origin, super::support::hls_options()).await;
    let fixture = kithara_testkit::media::find(units.fixture).unwrap();
    assert_eq!(heard.samples.len() as u64 / 2, fixture.frames);
    // What is a frame away from the holes is right.
    let mut at = 0;
    for (first, frames) in units.segments() {
        let hole = (first + 32) * 1024;
        let (from, to) = (at as usize * 2, hole as usize * 2);
        fixture.reference.check_from(at, &heard.samples[from..to]).unwrap();
        let silent = &heard.samples[(hole + 1024) as usize * 2..(hole + 4 * 1024) as usize * 2];
        assert!(silent.iter().all(|sample| *sample == 0.0), "the hole is silence");
        at = hole + 5 * 1024;
        let end = (first + frames.len() as u64) * 1024;
        fixture.reference.check_from(at, &heard.samples[at as usize * 2..end as usize * 2]).unwrap();
        at = end;
    }
}

#[tokio::test]
async fn garbage_before_sync_and_between_packets() {
    let units = aac();
    let mut presentation = present("ts-garbage", &units, &Style::default(), |_, _, _| {});
    for (_, bytes) in &mut presentation.files {
        // Some of it looks like a packet.
        let mut garbage: Vec<u8> = (0..777_u32).map(|n| ((n * 31) >> 2) as u8).collect();
        garbage[100] = 0x47;
        garbage.append(bytes);
        *bytes = garbage;
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_file_that_ends_in_the_middle_of_a_packet() {
    let units = aac();
    let mut presentation = present("ts-cut", &units, &Style::default(), nothing);
    for (_, bytes) in &mut presentation.files {
        // The beginning of another packet, as a writer that was stopped leaves it.
        bytes.extend([0x47, 0x1F, 0xFF, 0x10, 0xFF]);
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn two_audio_streams_are_one_of_them_and_metadata_is_none() {
    let units = aac();
    let mut presentation = Presentation::new("ts-two");
    for (n, (first, frames)) in units.segments().into_iter().enumerate() {
        let mut ts = Writer::new();
        let streams = [(0x15, 0x102), (0x0F, AUDIO), (0x0F, 0x103), (0x81, 0x104)];
        ts.pat().pmt(&streams.map(|(kind, pid)| Stream::new(pid, kind)));
        for (number, part) in frames.chunks(6).enumerate() {
            let time = 900 + units.time(first + (number * 6) as u64);
            // Timed ID3, another language (here: the same frames, late), AC-3.
            ts.pes(0x102, 0xBD, Some(time), b"ID3\x04\0\0\0\0\0\0");
            ts.pes(0x103, 0xC1, Some(time), &part[..1].concat());
            ts.pes(AUDIO, 0xC0, Some(time), &part.concat());
            ts.pes(0x104, 0xBD, Some(time), &[0x0B, 0x77, 0, 0, 0, 0]);
        }
        presentation.segment(units.seconds(frames.len()), &format!("{n}.ts"), ts.finish());
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn codecs_that_are_not_supported_are_named() {
    for (kind, name) in [(0x11, "LATM"), (0x81, "AC-3"), (0x87, "E-AC-3"), (0xCF, "SAMPLE-AES")] {
        let units = aac();
        let style = Style { kind: (kind, 0xC0), ..Style::default() };
        let error = refused(&present("ts-refused", &units, &style, nothing)).await;
        assert!(error.contains(name), "{kind:#x}: {error}");
    }
}
