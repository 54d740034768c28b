//! Transport streams.

use super::super::{Codec, Container, DemuxError, Demuxer, SampleAesCodec, TsDemuxer};
use super::build::*;
use super::*;

fn demuxer() -> Box<dyn Demuxer> {
    Container::MpegTs.demuxer()
}

fn frame(seed: u32) -> Vec<u8> {
    adts(&body(seed, 100 + seed as usize * 13))
}

fn frames(seeds: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    seeds.map(frame).collect()
}

fn bodies(seeds: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    seeds.map(|seed| body(seed, 100 + seed as usize * 13)).collect()
}

/// Two PES packets of three frames, with video between.
fn two_pes() -> TsWriter {
    let mut ts = TsWriter::aac();
    ts.audio(900_000, &frames(0..3));
    ts.payload(0x100, &pes(0xE0, Some(1), &[0x47; 1000], false));
    ts.audio(906_269, &frames(3..6));
    ts
}

#[test]
fn frames_of_pes_packets_in_every_cut() {
    let got = packets(&run_every_cut(demuxer, &[two_pes().out]));
    assert_eq!(datas(&got), bodies(0..6));
    assert_eq!(times(&got), [900_000, 902_090, 904_180, 906_269, 908_359, 910_449]);
    assert!(got.iter().all(|packet| packet.is_timed && !packet.is_discontinuity));
}

#[test]
fn tables_in_front_of_the_segments() {
    let init = TsWriter::aac().out;
    let mut media = TsWriter::new();
    media.audio(5, &frames(0..3));
    let got = packets(&run_every_cut(demuxer, &[init, media.out.clone(), media.out.clone()]));
    assert_eq!(datas(&got), [bodies(0..3), bodies(0..3)].concat());
    assert!(got.iter().all(|packet| !packet.is_discontinuity), "counters begin anew in each segment");
    // Without them there is nothing to play.
    let events = run(&mut *demuxer(), &[media.out]);
    assert!(matches!(error(&events), DemuxError::Malformed { what: "no program tables", .. }));
}

#[test]
fn frames_that_straddle_pes_packets() {
    let all = frames(0..6).concat();
    let mut ts = TsWriter::aac();
    // The second PES begins in the middle of frame 2: its time is that of frame 3.
    let cut = frames(0..2).concat().len() + 50;
    ts.payload(AUDIO_PID, &pes(0xC0, Some(1000), &all[..cut], false));
    ts.payload(AUDIO_PID, &pes(0xC0, Some(20_000), &all[cut..], false));
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    assert_eq!(datas(&got), bodies(0..6));
    assert_eq!(times(&got), [1000, 3090, 5180, 20_000, 22_090, 24_180]);
}

#[test]
fn a_pes_without_a_frame_start_and_one_without_a_time() {
    let all = frames(0..4).concat();
    let mut ts = TsWriter::aac();
    let (a, rest) = all.split_at(20);
    let (b, c) = rest.split_at(20);
    ts.payload(AUDIO_PID, &pes(0xC0, Some(1000), a, true));
    // No frame begins in this one: its time belongs to none.
    ts.payload(AUDIO_PID, &pes(0xC0, Some(77), b, true));
    ts.payload(AUDIO_PID, &pes(0xC0, None, c, true));
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    assert_eq!(datas(&got), bodies(0..4));
    assert_eq!(times(&got), [1000, 3090, 5180, 7269]);
}

#[test]
fn a_frame_that_straddles_segments() {
    let all = frames(0..5).concat();
    let mut first = TsWriter::aac();
    first.payload(AUDIO_PID, &pes(0xC0, Some(1000), &all[..300], false));
    let mut second = TsWriter::aac();
    second.payload(AUDIO_PID, &pes(0xC0, Some(9000), &all[300..], false));
    let got = packets(&run_every_cut(demuxer, &[first.out, second.out]));
    assert_eq!(datas(&got), bodies(0..5));
    assert!(got.iter().all(|packet| !packet.is_discontinuity));
}

#[test]
fn the_clock_wraps() {
    let mut ts = TsWriter::aac();
    ts.audio((1 << 33) - 1000, &frames(0..1));
    ts.audio(1090, &frames(1..2));
    ts.audio(3180, &frames(2..3));
    let got = packets(&run_every_cut(demuxer, &[ts.out.clone()]));
    let start = (1i64 << 33) - 1000;
    assert_eq!(times(&got), [start, start + 2090, start + 4180]);
    let mut demuxer = TsDemuxer::new();
    demuxer.set_time_hint(0);
    let got = packets(&run(&mut demuxer, &[ts.out]));
    assert_eq!(got[0].pts, -1000);
}

#[test]
fn a_lost_packet_drops_its_pes() {
    let mut ts = two_pes();
    // The packets of the first PES: drop its second packet (of three).
    let second = (2 + 1) * 188;
    ts.out.drain(second..second + 188);
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    // The first frame lies in the first packet alone.
    assert_eq!(datas(&got), [bodies(0..1), bodies(3..6)].concat());
    let lost: Vec<bool> = got.iter().map(|packet| packet.is_discontinuity).collect();
    assert_eq!(lost, [false, true, false, false]);
    assert_eq!(times(&got), [900_000, 906_269, 908_359, 910_449]);
}

#[test]
fn a_damaged_packet_and_a_announced_jump() {
    let mut damaged = two_pes();
    damaged.out[3 * 188 + 1] |= 0x80;
    assert_eq!(packets(&run_every_cut(demuxer, &[damaged.out])).len(), 4);

    let mut ts = TsWriter::aac();
    ts.audio(0, &frames(0..2));
    ts.skip_counter(AUDIO_PID);
    let at = ts.out.len();
    // A short packet has an adaptation field, which can announce the jump of the counter.
    ts.audio(4180, &[adts(&body(9, 60))]);
    ts.out[at + 5] |= 0x80;
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|packet| !packet.is_discontinuity));
}

#[test]
fn repeated_packets_are_dropped() {
    let whole = two_pes().out;
    let doubled: Vec<u8> = whole.chunks(188).flat_map(|packet| [packet, packet].concat()).collect();
    assert_eq!(run_every_cut(demuxer, &[doubled]), run(&mut *demuxer(), &[whole]));
}

#[test]
fn packets_of_192_and_204_bytes_and_garbage_in_front() {
    let plain = two_pes().out;
    let expected = run(&mut *demuxer(), std::slice::from_ref(&plain));
    let mut random = Random(5);
    let mut noise = |len: usize| (0..len).map(|_| random.next() as u8).collect::<Vec<_>>();
    let m2ts: Vec<u8> = plain.chunks(188).flat_map(|packet| [&noise(4), packet].concat()).collect();
    let parity: Vec<u8> = plain.chunks(188).flat_map(|packet| [packet, &noise(16)].concat()).collect();
    let garbage: Vec<u8> = (0..777u32).map(|n| if n % 5 == 0 { 0x47 } else { n as u8 }).collect();
    for layout in [m2ts, parity, plain] {
        assert_eq!(run_every_cut(demuxer, std::slice::from_ref(&layout)), expected);
        assert_eq!(run_every_cut(demuxer, &[[garbage.clone(), layout].concat()]), expected);
    }
}

#[test]
fn bytes_lost_in_the_middle_of_a_packet() {
    let mut whole = two_pes().out;
    whole.drain(2 * 188 + 50..2 * 188 + 60);
    let got = packets(&run_every_cut(demuxer, &[whole]));
    assert_eq!(datas(&got), bodies(3..6));
}

#[test]
fn mp3_and_both_stream_types() {
    for kind in [0x03, 0x04] {
        let mut ts = TsWriter::with_tables(&[(kind, AUDIO_PID, &[])]);
        ts.audio(500, &[mp3(0), mp3(1)]);
        ts.audio(4820, &[mp3(2)]);
        let got = packets(&run_every_cut(demuxer, &[ts.out]));
        assert_eq!(datas(&got), [mp3(0), mp3(1), mp3(2)]);
        assert_eq!(times(&got), [500, 2660, 4820]);
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let registration = |name: &[u8; 4]| [&[5, 4], &name[..]].concat();
    for (kind, descriptors, codec) in [
        (0x11, vec![], Codec::Latm),
        (0x81, vec![], Codec::Ac3),
        (0x87, vec![], Codec::Eac3),
        (0xCF, vec![], Codec::SampleAes(SampleAesCodec::Aac)),
        (0xC1, vec![], Codec::SampleAes(SampleAesCodec::Ac3)),
        (0xC2, vec![], Codec::SampleAes(SampleAesCodec::Eac3)),
        (0x06, vec![0x6A, 1, 0], Codec::Ac3),
        (0x06, vec![0x7A, 0], Codec::Eac3),
        (0x06, vec![0x0A, 4, b'e', b'n', b'g', 0, 0x7B, 0], Codec::Dts),
        (0x06, registration(b"Opus"), Codec::Opus),
        (0x06, registration(b"BSSD"), Codec::Smpte302m),
        (0x83, registration(b"HDMV"), Codec::TrueHd),
    ] {
        let ts = TsWriter::with_tables(&[(0xDB, 0x100, &[]), (kind, AUDIO_PID, &descriptors)]);
        let events = run_every_cut(demuxer, &[ts.out]);
        let expected = DemuxError::UnsupportedCodec { container: Container::MpegTs, codec };
        assert_eq!(error(&events), &expected, "{expected}");
    }
    for streams in
        [&[(0x1B, 0x100, &[][..])][..], &[(0x06, 0x100, &[0x56, 0][..]), (0x15, 0x102, &[][..])], &[]]
    {
        let events = run(&mut *demuxer(), &[TsWriter::with_tables(streams).out]);
        assert_eq!(error(&events), &DemuxError::NoAudio { container: Container::MpegTs });
    }
    // Beside a stream that can be played it does not matter.
    let mut ts = TsWriter::with_tables(&[(0x81, 0x200, &[]), (0x0F, AUDIO_PID, &[])]);
    ts.audio(0, &frames(0..2));
    assert_eq!(packets(&run(&mut *demuxer(), &[ts.out])).len(), 2);
}

#[test]
fn private_data_without_a_name_is_tried() {
    // What ffmpeg writes in its M2TS mode: type 6, nothing in the stream's descriptors.
    let tables = [(0x1B, 0x100, &[][..]), (0x06, AUDIO_PID, &[][..])];
    let mut ts = TsWriter::with_tables(&tables);
    ts.audio(0, &frames(0..3));
    ts.audio(6_269, &frames(3..6));
    let m2ts = ts.out.chunks(188).flat_map(|packet| [&[1, 2, 3, 4], packet].concat()).collect();
    for bytes in [ts.out, m2ts] {
        assert_eq!(datas(&packets(&run_every_cut(demuxer, &[bytes]))), bodies(0..6));
    }
    let mut ts = TsWriter::with_tables(&tables);
    ts.payload(AUDIO_PID, &pes(0xC1, Some(0), &[mp3(0), mp3(1)].concat(), true));
    assert_eq!(datas(&packets(&run(&mut *demuxer(), &[ts.out]))), [mp3(0), mp3(1)]);
    // Private data that is no audio stays none.
    let mut ts = TsWriter::with_tables(&tables);
    ts.payload(AUDIO_PID, &pes(0xBD, Some(0), &frames(0..3).concat(), true));
    let events = run(&mut *demuxer(), &[ts.out]);
    assert_eq!(error(&events), &DemuxError::NoAudio { container: Container::MpegTs });
}

#[test]
fn latm_that_is_declared_as_adts_is_named() {
    let latm = DemuxError::UnsupportedCodec { container: Container::MpegTs, codec: Codec::Latm };
    let mut ts = TsWriter::aac();
    ts.payload(AUDIO_PID, &pes(0xC0, Some(0), &[&[0x56, 0xE1, 0x00], &body(1, 256)[..]].concat(), true));
    assert_eq!(error(&run_every_cut(demuxer, std::slice::from_ref(&ts.out))), &latm);
    ts.payload(AUDIO_PID, &pes(0xC0, Some(0), &[&[0x56, 0xE1, 0x00], &body(2, 256)[..]].concat(), true));
    assert_eq!(error(&run_every_cut(demuxer, &[ts.out])), &latm);
    // The rest of a frame may look like it.
    let all = frames(0..6).concat();
    let mut ts = TsWriter::aac();
    ts.payload(AUDIO_PID, &pes(0xC0, Some(0), &[&[0x56, 0xE1], &all[..]].concat(), true));
    assert_eq!(datas(&packets(&run_every_cut(demuxer, &[ts.out]))), bodies(0..6));
}

#[test]
fn a_program_map_that_changes_in_the_middle() {
    let mut ts = two_pes();
    ts.table(PMT_PID, &pmt(&[(0x03, 0x155, &[])]));
    ts.payload(0x155, &pes(0xC0, Some(912_539), &[mp3(0), mp3(1)].concat(), true));
    // And back, on the old PID.
    ts.table(PMT_PID, &pmt(&[(0x0F, AUDIO_PID, &[])]));
    ts.audio(916_859, &frames(0..2));
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    assert_eq!(datas(&got[6..8]), [mp3(0), mp3(1)]);
    let serials: Vec<u32> = got.iter().map(|packet| packet.serial).collect();
    assert_eq!(serials, [1, 1, 1, 1, 1, 1, 2, 2, 3, 3]);
}

#[test]
fn several_programs_and_tables_with_a_wrong_checksum() {
    let mut ts = TsWriter::new();
    ts.table(0, &pat(&[(0, 0x10), (1, 0x500), (2, PMT_PID)]));
    ts.table(0x500, &pmt(&[(0x1B, 0x100, &[])]));
    let mut map = pmt(&[(0x0F, AUDIO_PID, &[])]);
    *map.last_mut().unwrap() ^= 1;
    ts.table(PMT_PID, &map);
    ts.audio(0, &frames(0..2));
    // Once a sound table is known, a damaged one changes nothing.
    ts.table(PMT_PID, &pmt(&[(0x0F, AUDIO_PID, &[])]));
    let mut damaged = pmt(&[(0x0F, 0x300, &[])]);
    *damaged.last_mut().unwrap() ^= 1;
    ts.table(PMT_PID, &damaged);
    ts.audio(4180, &frames(2..4));
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    assert_eq!(datas(&got), bodies(0..4));
}

#[test]
fn scrambled_audio_is_unsupported() {
    let mut ts = two_pes();
    for packet in ts.out.chunks_mut(188).skip(2) {
        packet[3] |= 0x80;
    }
    let events = run(&mut *demuxer(), &[ts.out]);
    assert!(matches!(error(&events), DemuxError::Unsupported { what: "scrambled packets", .. }));
}

#[test]
fn a_pes_header_over_two_packets() {
    let data = pes(0xC0, Some(4321), &frames(0..2).concat(), false);
    let mut ts = TsWriter::aac();
    ts.packet(AUDIO_PID, true, &data[..5]);
    ts.packet(AUDIO_PID, false, &data[5..12]);
    for part in data[12..].chunks(184) {
        ts.packet(AUDIO_PID, false, part);
    }
    let got = packets(&run_every_cut(demuxer, &[ts.out]));
    assert_eq!(times(&got), [4321, 6411]);
}

#[test]
fn discard_keeps_the_tables() {
    let mut demuxer = TsDemuxer::new();
    run(&mut demuxer, &[two_pes().out]);
    demuxer.discard();
    let mut media = TsWriter::new();
    media.reset_counters();
    media.audio(5, &frames(0..3));
    let got = packets(&run(&mut demuxer, &[media.out]));
    assert_eq!(times(&got), [5, 2095, 4185]);
    assert!(got.iter().all(|packet| packet.serial == 1 && !packet.is_discontinuity));
    demuxer.reset();
    assert!(demuxer.track().is_none());
    assert_eq!(packets(&run(&mut demuxer, &[two_pes().out]))[0].serial, 2);
}
