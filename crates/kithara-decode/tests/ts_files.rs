//! MPEG transport streams as files: whole, joined, cut, and damaged.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::Pcm;
use common::file::{assert_seeks, decode, far, joined, open, options, read_all};
use kithara_decode::demux::{Demuxer, TsDemuxer};
use kithara_decode::{ByteSource, DecodeError, MediaDecoder};
use kithara_stream::MediaInfo;
use kithara_testkit::media;
use kithara_testkit::odd::{adts, ts};
use kithara_testkit::signal;

const AUDIO: u16 = 0x101;
const AAC: u8 = 0x0F;
const MPEG_AUDIO: u8 = 0x03;

/// Frames of one kind: each with a PES packet of its own, continuously from `start` (ticks of 90 kHz) on.
struct Part<'a> {
    kind: u8,
    frames: Vec<&'a [u8]>,
    /// PCM frames of each, and their rate.
    step: (u64, u64),
    start: u64,
}

impl Part<'_> {
    fn aac(start: u64) -> Self {
        let frames = adts::frames(media::file("file/adts.aac").unwrap()).collect();
        Part { kind: AAC, frames, step: (1024, 44_100), start }
    }

    fn ticks(&self, frames: u64) -> u64 {
        frames * self.step.0 * 90_000 / self.step.1
    }

    fn seconds(&self) -> f64 {
        (self.frames.len() as u64 * self.step.0) as f64 / self.step.1 as f64
    }

    /// Where what follows without a break begins.
    fn end(&self) -> u64 {
        self.start + self.ticks(self.frames.len() as u64)
    }

    /// Writes it, with `nulls` empty packets behind each frame.
    fn write(&self, out: &mut ts::Writer, nulls: usize) {
        out.pat().pmt(&[ts::Stream::new(AUDIO, self.kind)]);
        for (number, frame) in self.frames.iter().enumerate() {
            out.pes(AUDIO, 0xC0, Some(self.start + self.ticks(number as u64)), frame);
            for _ in 0..nulls {
                out.null();
            }
        }
    }
}

/// Parts that were recorded apart: packets are missing between them.
fn cut_together(parts: &[&Part<'_>], nulls: usize) -> Vec<u8> {
    let mut out = ts::Writer::new();
    for part in parts {
        part.write(&mut out, nulls);
        out.lose(AUDIO, 5);
    }
    out.finish()
}

/// The MPEG audio frames of a TS fixture.
fn mpeg_frames(name: &str) -> Vec<Vec<u8>> {
    let mut demuxer = TsDemuxer::new();
    demuxer.push(joined(name).1.into()).unwrap();
    demuxer.finish().unwrap();
    let mut frames = Vec::new();
    while let Some(packet) = demuxer.next_packet().unwrap() {
        frames.push(packet.data.to_vec());
    }
    frames
}

#[test]
fn a_transport_stream_is_a_file_too() {
    for name in ["ts-aac", "ts-mp3", "wild-m2ts", "wild-ts-wrap"] {
        let (fixture, bytes) = joined(name);
        let details = open(&bytes).unwrap().details().clone();
        assert_eq!((details.container, details.sample_rate), ("mpegts", fixture.sample_rate), "{name}");
        let seconds = fixture.frames as f64 / f64::from(fixture.sample_rate);
        let estimate = details.duration.unwrap().as_secs_f64();
        assert!((estimate - seconds).abs() < 0.1, "{name}: {estimate} of {seconds}");
        let pcm = assert_seeks(&bytes, name);
        assert_eq!((pcm.start, pcm.frames()), (0, fixture.frames), "{name}");
        fixture.reference.check(&pcm.samples).unwrap();
    }
}

#[test]
fn a_seek_in_a_long_transport_stream_reads_little() {
    let (fixture, bytes) = joined("ts-mp3");
    let whole = decode(&bytes);
    // Null packets in between, as in a multiplex of constant rate.
    let mut null = [0xFF; 188];
    null[..4].copy_from_slice(&[0x47, 0x1F, 0xFF, 0x10]);
    let padded: Vec<u8> = bytes.chunks(188).flat_map(|packet| [packet, &null.repeat(19)].concat()).collect();
    let (mut decoder, read) = far(padded.clone());
    assert!(decoder.details().duration.is_some());
    let before = read.load(Ordering::Relaxed);
    let target = fixture.frames * 3 / 4;
    decoder.seek(target).unwrap();
    let chunk = decoder.next_chunk().unwrap().unwrap();
    let mut part = Pcm { start: target, ..Pcm::default() };
    part.add(&chunk);
    part.assert_part_of(&whole);
    let read = read.load(Ordering::Relaxed) - before;
    assert!(read < padded.len() as u64 / 3, "{read} of {}", padded.len());
}

#[test]
fn transport_streams_that_were_joined_play_to_the_end() {
    let (fixture, once) = joined("ts-mp3");
    let bytes = [once.clone(), once].concat();
    let pcm = assert_seeks(&bytes, "timestamps that begin anew");
    assert_eq!(pcm.frames(), 2 * fixture.frames);
}

#[test]
fn what_was_recorded_much_later_follows_at_once() {
    let first = Part::aac(90_000);
    let once = decode(&cut_together(&[&first], 0)).frames();
    for (gap, silence) in [(0, 0), (5, 5 * 44_100), (11, 0), (600, 0), (3000, 0)] {
        let second = Part::aac(first.end() + gap * 90_000);
        let bytes = cut_together(&[&first, &second], 0);
        let frames = assert_seeks(&bytes, "a cut recording").frames();
        let wanted = 2 * once + silence;
        assert!((wanted - 3072..=wanted + 1024).contains(&frames), "{gap} s: {frames} of {wanted}");
    }
}

#[test]
fn packets_of_another_rate_follow_at_once_and_can_be_sought_in() {
    let (high, low) = (mpeg_frames("ts-mp3"), mpeg_frames("wild-ts-mp3-22k"));
    let part = |is_high: bool, start| {
        let (frames, step) = if is_high { (&high, (1152, 44_100)) } else { (&low, (576, 22_050)) };
        Part { kind: MPEG_AUDIO, frames: frames.iter().map(Vec::as_slice).collect(), step, start }
    };
    for (is_high_first, nulls) in [(false, 0), (true, 0), (false, 20)] {
        let first = part(is_high_first, 1000);
        let second = part(!is_high_first, first.end());
        let third = part(is_high_first, second.end());
        let mut out = ts::Writer::new();
        for part in [&first, &second, &third] {
            part.write(&mut out, nulls);
        }
        let bytes = out.finish();
        let whole = decode(&bytes);
        let (rate, channels) = (first.step.1, whole.channels());
        let wanted = [&first, &second, &third].map(Part::seconds).iter().sum::<f64>();
        let seconds = whole.frames() as f64 / rate as f64;
        assert!((seconds - wanted).abs() < 0.1, "{seconds} of {wanted}");
        let estimate = open(&bytes).unwrap().details().duration.unwrap().as_secs_f64();
        assert!((estimate - wanted).abs() < 0.1, "{estimate} of {wanted}");
        let mut played = open(&bytes).unwrap();
        read_all(&mut played).unwrap();
        for share in [0.2, 0.5, 0.9] {
            let target = (whole.end() as f64 * share) as u64;
            for decoder in [&mut played, &mut open(&bytes).unwrap()] {
                decoder.seek(target).unwrap();
                let part = read_all(decoder).unwrap();
                assert_eq!((part.start, part.end()), (target, whole.end()));
                let all = signal::channel(&whole.samples, channels, 0);
                let part = signal::channel(&part.samples, channels, 0);
                // What the codec remembers of a rate lasts longer at a lower one.
                let at = signal::align(&all, &part[2048..4096], target as i64 + 2048, 100).unwrap();
                assert!((at.offset - target as i64 - 2048).abs() <= 1 && at.similarity > 0.99, "{at:?}");
            }
        }
    }
}

/// The first packet that can be demuxed tells a time of another day, and is not the first once the tables are known.
#[test]
fn a_recording_that_begins_before_its_tables_begins_at_frame_0() {
    let part = Part::aac(90_000);
    let mut out = ts::Writer::new();
    for (number, frame) in part.frames.iter().enumerate() {
        if number == 12 {
            out.pat().pmt(&[ts::Stream::new(AUDIO, AAC)]);
        }
        let day = if number == 12 { (1 << 32) + 90_000 } else { 0 };
        out.pes(AUDIO, 0xC0, Some(part.start + part.ticks(number as u64) + day), frame);
    }
    let bytes = out.finish();
    for mut decoder in [open(&bytes).unwrap(), far(bytes.clone()).0] {
        let chunk = decoder.next_chunk().unwrap().unwrap();
        assert_eq!(chunk.position(), 0);
        let told = decoder.duration().unwrap().as_secs_f64();
        assert!((told / part.seconds() - 1.0).abs() < 0.1, "{told}");
    }
    let pcm = assert_seeks(&bytes, "without tables in front");
    assert!(pcm.frames() <= part.frames.len() as u64 * 1024);
}

/// A file too long to be read at once, whose timestamps begin anew in the middle.
#[test]
fn a_seek_behind_times_that_begin_anew_goes_where_it_was_told() {
    let part = Part::aac(0);
    let mut short = Part::aac(0);
    short.frames.truncate(60);
    for parts in [vec![&part, &part], vec![&part, &part, &part], vec![&part, &short]] {
        let bytes = cut_together(&parts, 20);
        assert!(bytes.len() > 1 << 20);
        let whole = decode(&bytes);
        let seconds = parts.iter().map(|part| part.seconds()).sum::<f64>();
        for share in [0.55, 0.75, 0.98, 0.3] {
            let target = (whole.end() as f64 * share) as u64;
            let (is_near, is_far) = (open(&bytes).unwrap(), far(bytes.clone()).0);
            for mut decoder in [is_near, is_far] {
                let told = decoder.details().duration.unwrap().as_secs_f64();
                assert!((told / seconds - 1.0).abs() < 0.15, "{told} of {seconds}");
                decoder.seek(target).unwrap();
                let part = read_all(&mut decoder).unwrap();
                assert_eq!((part.start, part.end()), (target, whole.end()), "to {share}");
                part.assert_part_of(&whole);
            }
        }
    }
}

/// Recordings of which each begins later than the one before has ended, so that times ascend.
#[test]
fn recordings_whose_times_ascend_are_as_long_as_they_play() {
    let first = Part::aac(0);
    for (count, gap) in [(2, 600), (3, 90), (6, 11)] {
        let parts: Vec<_> = (0..count).map(|n| Part::aac(n * (first.end() + gap * 90_000))).collect();
        let bytes = cut_together(&parts.iter().collect::<Vec<_>>(), 20);
        let whole = decode(&bytes);
        let seconds = whole.end() as f64 / 44_100.0;
        for mut decoder in [open(&bytes).unwrap(), far(bytes.clone()).0] {
            // With many short holes only what is played tells.
            let is_told = gap > 11;
            let told = |decoder: &MediaDecoder| decoder.duration().unwrap().as_secs_f64() / seconds;
            if is_told {
                assert!((told(&decoder) - 1.0).abs() < 0.1, "{gap} s: {}", told(&decoder));
            }
            while decoder.next_chunk().unwrap().unwrap().position() < whole.end() * 2 / 5 {}
            assert!((told(&decoder) - 1.0).abs() < 0.1, "{gap} s: {}", told(&decoder));
            for share in [0.9, 0.7, 0.1, 0.55] {
                let target = (whole.end() as f64 * share) as u64;
                decoder.seek(target).unwrap();
                let part = read_all(&mut decoder).unwrap();
                assert_eq!((part.start, part.end()), (target, whole.end()), "{gap} s, to {share}");
                part.assert_part_of(&whole);
            }
            assert!((told(&decoder) - 1.0).abs() < 1e-4, "{gap} s: played to the end");
        }
    }
}

#[test]
fn a_seek_behind_the_end_of_a_far_file_does_not_read_it_all() {
    let part = Part::aac(0);
    let bytes = cut_together(&[&part], 40);
    let (mut decoder, read) = far(bytes.clone());
    let before = read.load(Ordering::Relaxed);
    decoder.seek((part.seconds() * 44_100.0 * 1.5) as u64).unwrap();
    assert!(decoder.next_chunk().unwrap().is_none());
    let read = read.load(Ordering::Relaxed) - before;
    assert!(read < bytes.len() as u64 / 2, "{read} of {}", bytes.len());
}

#[test]
fn a_far_file_that_begins_with_pictures_has_a_length() {
    let part = Part::aac(0);
    let mut out = ts::Writer::new();
    for _ in 0..1200 {
        out.null();
    }
    part.write(&mut out, 0);
    let (mut decoder, _) = far(out.finish());
    assert!(decoder.details().duration.is_some());
    assert_eq!(read_all(&mut decoder).unwrap().start, 0);
}

/// What a file that is downloaded plays, it plays when it lies there in full.
#[test]
fn a_file_whose_end_cannot_be_read_opens() {
    let part = Part::aac(0);
    let whole = decode(&cut_together(&[&part], 0));
    let mut plain = ts::Writer::new();
    part.write(&mut plain, 0);
    let mut other_codec = plain.clone();
    other_codec.pmt(&[ts::Stream::new(0x102, 0x81)]).pes(0x102, 0xBD, Some(0), &[0x0B; 400]);
    let mut scrambled = plain.finish();
    let mut packet = [0x55; 188];
    packet[..4].copy_from_slice(&[0x47, 0x41, 0x01, 0xD0]);
    scrambled.extend(packet.repeat(16));
    for bytes in [other_codec.finish(), scrambled] {
        let mut decoder = open(&bytes).unwrap();
        let told = decoder.details().duration.unwrap().as_secs_f64();
        assert!((told / part.seconds() - 1.0).abs() < 0.2, "{told}");
        for target in [0, 100_000] {
            decoder.seek(target).unwrap();
            let mut heard = Pcm { start: target, ..Pcm::default() };
            let error = loop {
                match decoder.next_chunk() {
                    Ok(chunk) => heard.add(&chunk.expect("an end that nobody can read")),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, DecodeError::Demux(_)), "{error}");
            assert!(heard.end() + 8192 > whole.end(), "{} of {}", heard.end(), whole.end());
            heard.assert_part_of(&whole);
        }
    }
}

/// Packets again and again, up to a length that nobody should wait for.
struct Station {
    packets: Vec<u8>,
    at: u64,
    read: Arc<AtomicU64>,
}

impl Read for Station {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let packets = self.packets.len();
        let buf = if self.at < 64 << 20 { buf } else { &mut [] };
        for byte in buf.iter_mut() {
            *byte = self.packets[self.at as usize % packets];
            self.at += 1;
        }
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(buf.len())
    }
}

impl Seek for Station {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl ByteSource for Station {
    fn byte_len(&self) -> Option<u64> {
        None
    }

    fn is_seekable(&self) -> bool {
        false
    }
}

#[test]
fn audio_that_never_comes_is_not_waited_for() {
    let mut no_tables = ts::Writer::new();
    no_tables.pes(AUDIO, 0xC0, Some(0), &[0x77; 700]).null().null();
    let mut no_audio = ts::Writer::new();
    no_audio.pat().pmt(&[ts::Stream::new(AUDIO, AAC), ts::Stream::new(0x100, 0x1B)]);
    no_audio.pes(0x100, 0xE0, Some(0), &[0x77; 700]);
    for packets in [no_tables.finish(), no_audio.finish()] {
        let read = Arc::new(AtomicU64::new(0));
        let station = Station { packets, at: 0, read: Arc::clone(&read) };
        let mut options = options();
        options.probe_budget = 64 << 10;
        let error = MediaDecoder::open(station, &MediaInfo::default(), options).unwrap_err();
        assert!(matches!(error, DecodeError::NoAudioFound { budget: 0x10_0000 }), "{error}");
        let read = read.load(Ordering::Relaxed);
        assert!((0x10_0000..0x11_0000).contains(&read), "{read}");
    }
}

/// Two recordings joined: both begin at the same time, and the second has a third of the bytes for each second, so that
/// the length is estimated too short by the first.
#[test]
fn seek_behind_an_estimate_that_was_too_short_gives_audio() {
    let bytes = include_bytes!("media/odd/joined.ts");
    let whole = decode(bytes);
    assert!(whole.frames() > 400_000, "{}", whole.frames());
    for target in [whole.end() * 4 / 5, whole.end() - 3000, whole.end() / 2, whole.end() / 4] {
        for mut decoder in [open(bytes).unwrap(), far(bytes.to_vec()).0] {
            assert_eq!(decoder.seek(target).unwrap(), target);
            let part = read_all(&mut decoder).unwrap();
            assert_eq!((part.start, part.end()), (target, whole.end()));
            part.assert_part_of(&whole);
        }
    }
}
