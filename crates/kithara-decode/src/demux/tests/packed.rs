//! Packed audio: ADTS and MPEG audio, with their tags.

use super::super::{Codec, Container, DemuxError, Demuxer, MpegAudioDemuxer, TimestampWrap};
use super::build::*;
use super::*;

fn aac() -> Box<dyn Demuxer> {
    Container::Adts.demuxer()
}

fn mpeg() -> Box<dyn Demuxer> {
    Container::MpegAudio.demuxer()
}

fn aac_frames(seeds: std::ops::Range<u32>) -> Vec<u8> {
    seeds.flat_map(|seed| adts(&body(seed, 40 + seed as usize))).collect()
}

fn bodies(seeds: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    seeds.map(|seed| body(seed, 40 + seed as usize)).collect()
}

#[test]
fn segments_with_timestamps() {
    let segments =
        [[id3(Some(900_000)), aac_frames(0..4)].concat(), [id3(Some(1_000_000)), aac_frames(4..7)].concat()];
    let got = packets(&run_every_cut(aac, &segments));
    assert_eq!(datas(&got), bodies(0..7));
    assert_eq!(times(&got), [900_000, 902_090, 904_180, 906_269, 1_000_000, 1_002_090, 1_004_180]);
    assert!(got.iter().all(|packet| packet.is_timed && !packet.is_discontinuity && packet.serial == 1));
}

#[test]
fn without_a_timestamp_time_is_counted() {
    let segments = [aac_frames(0..3), [id3(None), aac_frames(3..5)].concat(), aac_frames(5..6)];
    let got = packets(&run_every_cut(aac, &segments));
    assert_eq!(times(&got), [0, 2090, 4180, 6269, 8359, 10_449]);
    assert!(got.iter().all(|packet| !packet.is_timed));
    // Durations leave no hole.
    for pair in got.windows(2) {
        assert_eq!(pair[0].pts + pair[0].duration as i64, pair[1].pts);
    }
}

#[test]
fn several_tags_between_and_behind() {
    let big = [&b"ID3\x09\x05\0\0\x02\0\0"[..], &[0xFF; 2 << 14]].concat();
    let segment = [
        id3(Some(5)),
        big,
        id3(None),
        aac_frames(0..3),
        id3(None),
        aac_frames(3..5),
        b"TAGsome old tag".to_vec(),
    ];
    let got = packets(&run_every_cut(aac, &[segment.concat()]));
    assert_eq!(datas(&got), bodies(0..5));
    assert_eq!(got[0].pts, 5);
    assert!(got.iter().all(|packet| !packet.is_discontinuity));
}

#[test]
fn timestamps_wrap_and_follow_the_hint() {
    let near_wrap = (1 << 33) - 1000;
    let segments =
        [[id3(Some(near_wrap)), aac_frames(0..2)].concat(), [id3(Some(3180)), aac_frames(2..4)].concat()];
    let got = packets(&run_every_cut(aac, &segments));
    let start = near_wrap as i64;
    assert_eq!(times(&got), [start, start + 2090, start + 4180, start + 6270]);
    let mut demuxer = aac();
    demuxer.set_time_hint((1 << 33) * 3 + 100);
    let got = packets(&run(&mut *demuxer, &segments));
    assert_eq!(got[0].pts, (1 << 33) * 3 - 1000);
    let wrap = TimestampWrap { bits: 33 };
    assert_eq!(wrap.unroll(5, -10), 5);
    assert_eq!(wrap.unroll((1 << 33) - 5, 0), -5);
}

#[test]
fn a_frame_cut_by_the_segmenter_is_put_together() {
    let all = aac_frames(0..8);
    for cut in [0, 1, 5, 7, 20, 100, 233] {
        let segments = [all[..cut].to_vec(), all[cut..].to_vec()];
        let got = packets(&run_every_cut(aac, &segments));
        assert_eq!(datas(&got), bodies(0..8), "cut at {cut}");
        assert!(got.iter().all(|packet| !packet.is_discontinuity));
    }
    // With tags in front of both.
    let segments =
        [[id3(Some(0)), all[..100].to_vec()].concat(), [id3(Some(90_000)), all[100..].to_vec()].concat()];
    let got = packets(&run_every_cut(aac, &segments));
    assert_eq!(datas(&got), bodies(0..8));
    assert_eq!(times(&got)[..4], [0, 2090, 4180, 90_000]);
}

#[test]
fn a_rest_that_nothing_continues_is_dropped() {
    let first = aac_frames(0..4);
    let segments = [first[..first.len() - 10].to_vec(), aac_frames(4..7)];
    let got = packets(&run_every_cut(aac, &segments));
    assert_eq!(datas(&got), [bodies(0..3), bodies(4..7)].concat());
    let lost: Vec<bool> = got.iter().map(|packet| packet.is_discontinuity).collect();
    assert_eq!(lost, [false, false, false, true, false, false]);
    // The end of all is no error: a last frame without its end is no frame.
    assert_eq!(packets(&run_every_cut(aac, &segments[..1])).len(), 3);
}

#[test]
fn garbage_before_and_between_is_stepped_over() {
    let garbage: Vec<u8> = (0..500u32).map(|n| if n % 9 == 0 { 0xFF } else { (n * n) as u8 }).collect();
    let segment = [garbage.clone(), aac_frames(0..3), garbage, aac_frames(3..6)].concat();
    let got = packets(&run_every_cut(aac, &[segment]));
    assert_eq!(datas(&got), bodies(0..6));
    let lost: Vec<bool> = got.iter().map(|packet| packet.is_discontinuity).collect();
    assert_eq!(lost, [false, false, false, true, false, false]);
    // Zeros at the start of a segment are padding, anywhere else damage.
    let padded = [vec![0; 417], aac_frames(0..3)].concat();
    let got = packets(&run_every_cut(aac, &[padded.clone(), padded]));
    assert_eq!(datas(&got), [bodies(0..3), bodies(0..3)].concat());
    assert!(got.iter().all(|packet| !packet.is_discontinuity));
    let holed = [aac_frames(0..3), vec![0; 417], aac_frames(3..6)].concat();
    let got = packets(&run_every_cut(aac, &[holed]));
    assert_eq!(got.iter().position(|packet| packet.is_discontinuity), Some(3));
}

#[test]
fn nothing_but_garbage_is_an_error_in_the_end() {
    let mut demuxer = aac();
    let mut random = Random(1);
    let mut events = Vec::new();
    for _ in 0..200 {
        let noise: Vec<u8> = (0..65_536).map(|_| random.next() as u8 | 1).collect();
        demuxer.push(noise.into()).unwrap();
        if !drain(&mut *demuxer, &mut events) {
            assert!(matches!(error(&events), DemuxError::Malformed { what: "no frame found", .. }));
            return;
        }
    }
    panic!("searched on for ever");
}

#[test]
fn a_single_frame_segment_and_an_empty_one() {
    let got = packets(&run_every_cut(aac, &[aac_frames(0..1), vec![], aac_frames(1..2), id3(None)]));
    assert_eq!(datas(&got), bodies(0..2));
}

#[test]
fn a_changed_configuration_is_a_new_track() {
    let other: Vec<u8> = (0..3).flat_map(|seed| adts_of(&body(seed, 50), 3, 1)).collect();
    let segments = [aac_frames(0..2), other.clone(), [aac_frames(0..2), other].concat()];
    let got = packets(&run_every_cut(aac, &segments));
    assert_eq!(got.iter().map(|packet| packet.serial).collect::<Vec<_>>(), [1, 1, 2, 2, 2, 3, 3, 4, 4, 4]);
}

#[test]
fn checksums_and_several_blocks() {
    let frame = |blocks: &[Vec<u8>]| {
        let mut positions = Vec::new();
        let mut data = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            if index > 0 {
                positions.extend((data.len() as u16).to_be_bytes());
            }
            data.extend(block);
            if blocks.len() > 1 {
                data.extend([0xAA, 0xBB]);
            }
        }
        let mut frame = adts(&[&positions[..], &[0xCC, 0xDD], &data].concat());
        frame[1] = 0xF0;
        frame[6] = 0xFC | (blocks.len() - 1) as u8;
        frame
    };
    let segment = [frame(&bodies(0..1)), frame(&bodies(1..4)), frame(&bodies(4..5))].concat();
    let got = packets(&run_every_cut(aac, &[segment]));
    assert_eq!(datas(&got), bodies(0..5));
    assert_eq!(times(&got), [0, 2090, 4180, 6269, 8359]);

    // Positions that overlap give nothing, rather than the same bytes twice.
    let mut overlapping = frame(&bodies(1..4));
    overlapping.swap(8, 10);
    let got =
        packets(&run_every_cut(aac, &[[frame(&bodies(0..1)), overlapping, frame(&bodies(4..5))].concat()]));
    assert_eq!(datas(&got), [bodies(0..1), bodies(4..5)].concat());
    assert_eq!(times(&got), [0, 8359]);

    let mut blocks = adts(&body(0, 50));
    blocks[6] |= 1;
    let events = run(&mut *aac(), &[[blocks.clone(), blocks].concat()]);
    assert!(matches!(error(&events), DemuxError::Unsupported { .. }));
}

#[test]
fn a_tag_cut_by_the_end_of_the_segment() {
    let tag = id3(Some(77));
    let events = run_every_cut(aac, &[tag[..30].to_vec(), aac_frames(0..2)]);
    assert_eq!(
        events[0],
        Event::Error(DemuxError::Truncated { container: Container::Adts, missing: tag.len() as u64 - 30 })
    );
    assert_eq!(packets(&events[1..]).len(), 2);
    // Nine bytes of a tag are no tag.
    assert_eq!(packets(&run_every_cut(aac, &[tag[..9].to_vec(), aac_frames(0..2)])).len(), 2);
}

#[test]
fn mp3_frames() {
    let segments: Vec<Vec<u8>> =
        vec![[id3(Some(100)), mp3(0), mp3(1)].concat(), [id3(Some(10_000)), mp3(2), mp3(3)].concat()];
    let got = packets(&run_every_cut(mpeg, &segments));
    assert_eq!(datas(&got), [mp3(0), mp3(1), mp3(2), mp3(3)]);
    assert_eq!(times(&got), [100, 2260, 10_000, 12_160]);
}

fn xing() -> Vec<u8> {
    let mut frame = vec![0xFF, 0xFB, 0x54, 0x44];
    frame.extend([0; 32]);
    frame.extend(b"Info\0\0\0\x03");
    frame.extend(be(&[3, 999]));
    frame.extend(b"LAME3.100");
    frame.extend([0; 12]);
    frame.extend([0x24, 0x02, 0x10]);
    frame.resize(192, 0);
    frame
}

#[test]
fn a_xing_frame_is_no_audio() {
    let segment = [id3(None), xing(), mp3(0), mp3(1), mp3(2)].concat();
    let got = packets(&run_every_cut(mpeg, &[segment.clone(), [mp3(3), mp3(4)].concat()]));
    assert_eq!(datas(&got), [mp3(0), mp3(1), mp3(2), mp3(3), mp3(4)]);
    assert_eq!(got[0].pts, 0);
    let mut demuxer = MpegAudioDemuxer::new();
    run(&mut demuxer, &[segment]);
    let gapless = demuxer.track().unwrap().gapless.unwrap();
    assert_eq!((gapless.delay, gapless.padding, gapless.total_frames), (576, 528, Some(3 * 1152 - 1104)));
    // After a seek the tag is not seen again, and the track stays what it was.
    demuxer.discard();
    let got = packets(&run(&mut demuxer, &[[mp3(7), mp3(8)].concat()]));
    assert!(got.iter().all(|packet| packet.serial == 1));

    let mut vbri = mp3(0);
    vbri[36..40].copy_from_slice(b"VBRI");
    assert_eq!(packets(&run_every_cut(mpeg, &[[vbri, mp3(1), mp3(2)].concat()])).len(), 2);
}

#[test]
fn layers_versions_and_lengths() {
    let frame = |header: [u8; 4], len: usize| [&header[..], &body(1, len - 4)].concat();
    for (header, len, codec, rate, frames) in [
        ([0xFF, 0xFB, 0x90, 0x00], 417, Codec::Mp3, 44_100, 1152),
        ([0xFF, 0xFB, 0x92, 0xC0], 418, Codec::Mp3, 44_100, 1152),
        ([0xFF, 0xF3, 0x80, 0x00], 208, Codec::Mp3, 22_050, 576),
        ([0xFF, 0xE3, 0x88, 0x00], 576, Codec::Mp3, 8_000, 576),
        ([0xFF, 0xFD, 0xA4, 0x00], 576, Codec::Mp2, 48_000, 1152),
        ([0xFF, 0xF5, 0x88, 0x00], 576, Codec::Mp2, 16_000, 1152),
        ([0xFF, 0xFF, 0x10, 0x00], 32, Codec::Mp1, 44_100, 384),
    ] {
        let mut demuxer = MpegAudioDemuxer::new();
        let got = packets(&run(&mut demuxer, &[frame(header, len).repeat(3)]));
        let lens: Vec<usize> = got.iter().map(|packet| packet.data.len()).collect();
        assert_eq!(lens, [len; 3], "{header:02X?}");
        let track = demuxer.track().unwrap();
        assert_eq!((track.codec, track.sample_rate, track.frames_per_packet), (codec, rate, Some(frames)));
    }
}

#[test]
fn free_format_is_refused() {
    let frame = [vec![0xFF, 0xFB, 0x00, 0x44], body(1, 188)].concat();
    let events = run(&mut *mpeg(), &[frame.repeat(4)]);
    assert_eq!(
        error(&events),
        &DemuxError::Unsupported { container: Container::MpegAudio, what: "free format" }
    );
}

#[test]
fn a_program_config_in_the_frame_gives_the_channels() {
    // ID_PCE, tag 0, LC, 44.1 kHz, one front pair, nothing else, no comment.
    let bits =
        "1010000010100".to_string() + "0001" + "0000" + "0000" + "00" + "000" + "0000" + "000" + "10000";
    let bits = format!("{bits:0<48}");
    let mut payload: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap())
        .collect();
    payload.extend([0; 30]);
    let mut demuxer = aac();
    assert_eq!(packets(&run(&mut *demuxer, &[adts_of(&payload, 4, 0).repeat(2)])).len(), 2);
    let track = demuxer.track().unwrap();
    assert_eq!((track.channels, track.extra_data.as_deref()), (2, Some(&[0x12, 0x10][..])));
}
