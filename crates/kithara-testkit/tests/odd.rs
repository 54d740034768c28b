//! What the builders write is what they say: bare Symphonia decodes the MP4, and the TS keeps its own rules.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use kithara_testkit::{
    media,
    odd::{adts, id3, mp4, ts},
};

fn aac() -> Vec<&'static [u8]> {
    adts::frames(media::file("file/adts.aac").unwrap()).collect()
}

#[test]
fn the_frames_are_all_of_the_stream() {
    let frames = aac();
    assert_eq!(frames.len() as u64 * 1024, media::find("adts.aac").unwrap().frames);
    assert_eq!(frames.concat(), media::file("file/adts.aac").unwrap());
    // AAC-LC, 44.1 kHz, two channels.
    assert_eq!(adts::config(frames[0]), [0x12, 0x10]);
}

#[test]
fn fragments_hold_their_samples_in_every_form() {
    let payloads: Vec<_> = aac().into_iter().map(adts::payload).collect();
    let plain = mp4::Fragment::new(1, 1, 0, &payloads[..40], 1024);
    let forms = [
        plain.clone(),
        mp4::Fragment { short_time: true, long_mdat: true, ..plain.clone() },
        mp4::Fragment { absolute: Some(500), without_time: true, ..plain.clone() },
        mp4::Fragment { extra: mp4::full(b"senc", 0, 0, &[0; 4]), ..plain.clone() },
    ];
    for mut form in forms {
        for truns in [1, 3] {
            form.runs[0].truns = truns;
            let bytes = form.build();
            let traf = mp4::find(&bytes, &[b"moof", b"traf"]).unwrap();
            let runs: Vec<_> = mp4::atoms(traf).filter(|(kind, _)| kind == b"trun").collect();
            assert_eq!(runs.len(), truns);
            let offset = u32::from_be_bytes(runs[0].1[8..12].try_into().unwrap()) as usize;
            assert_eq!(&bytes[offset..], payloads[..40].concat());
            assert_eq!(mp4::atoms(&bytes).count(), 2);
        }
    }
}

#[test]
fn an_init_section_and_fragments_decode() {
    use symphonia::core::{
        formats::FormatOptions, formats::probe::Hint, io::MediaSourceStream, meta::MetadataOptions,
    };
    let frames = aac();
    let entry = mp4::aac_entry(44_100, 2, &adts::config(frames[0]));
    let mut bytes = mp4::init(&[mp4::Track::sound(7, 44_100, entry).starting_at(1024)]);
    for (n, group) in frames.chunks(100).enumerate() {
        let payloads: Vec<_> = group.iter().map(|frame| adts::payload(frame)).collect();
        bytes.extend(mp4::Fragment::new(n as u32 + 1, 7, n as u64 * 102_400, &payloads, 1024).build());
    }
    let elst = mp4::find(&bytes, &[b"moov", b"trak", b"edts", b"elst"]).unwrap();
    assert_eq!(elst[8..16], [0, 0, 0, 0, 0, 0, 4, 0]);
    let stream = MediaSourceStream::new(Box::new(std::io::Cursor::new(bytes)), Default::default());
    let mut format = symphonia::default::get_probe()
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .unwrap();
    let params = format.tracks()[0].codec_params.as_ref().unwrap().audio().unwrap().clone();
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(&params, &Default::default()).unwrap();
    let (mut samples, mut packet_samples) = (Vec::<f32>::new(), Vec::new());
    while let Ok(Some(packet)) = format.next_packet() {
        decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut packet_samples);
        samples.append(&mut packet_samples);
    }
    media::find("adts.aac").unwrap().reference.check(&samples).unwrap();
}

/// Payload and continuity of one PID, by a reader as simple as the writer.
fn payload_of(stream: &[u8], size: usize, skip: usize, pid: u16) -> (Vec<u8>, Vec<u8>) {
    let (mut payload, mut counters) = (Vec::new(), Vec::new());
    for packet in stream.chunks(size) {
        let packet = &packet[skip..skip + 188];
        assert_eq!(packet[0], 0x47);
        if u16::from_be_bytes([packet[1] & 0x1F, packet[2]]) == pid {
            counters.push(packet[3] & 15);
            let start = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
            payload.extend(&packet[start..]);
        }
    }
    (payload, counters)
}

#[test]
fn transport_packets_keep_their_rules() {
    for (before, after) in [(0, 0), (4, 0), (0, 16)] {
        let mut writer = ts::Writer::new();
        (writer.before, writer.after) = (before, after);
        writer.pat().pmt(&[ts::Stream::new(0x101, 0x1B), ts::Stream::new(0x100, 0x0F)]).null();
        // Every remainder of the packet size, a stuffing of one byte included.
        let payloads: Vec<Vec<u8>> = (1..400).map(|len| vec![len as u8; len]).collect();
        for payload in &payloads {
            writer.pes(0x100, 0xC0, Some((1 << 33) - 1), payload);
        }
        let bytes = writer.finish();
        let size = 188 + before + after;
        assert_eq!(bytes.len() % size, 0);
        let (pes, counters) = payload_of(&bytes, size, before, 0x100);
        assert!(counters.windows(2).all(|w| w[1] == (w[0] + 1) & 15));
        let mut rest = &pes[..];
        for payload in &payloads {
            assert_eq!(rest[..4], [0, 0, 1, 0xC0]);
            assert_eq!(usize::from(u16::from_be_bytes([rest[4], rest[5]])), payload.len() + 8);
            assert_eq!(rest[9..14], [0x2F, 0xFF, 0xFF, 0xFF, 0xFF]);
            assert_eq!(&rest[14..14 + payload.len()], payload);
            rest = &rest[14 + payload.len()..];
        }
        assert!(rest.is_empty());
    }
    // The PAT that ffmpeg writes for the same program.
    let (theirs, _) = payload_of(media::file("hls/ts-aac/seg0.ts").unwrap(), 188, 0, 0);
    let (ours, _) = payload_of(&ts::Writer::new().pat().clone().finish(), 188, 0, 0);
    assert_eq!(theirs[..17], ours[..17]);
}

#[test]
fn id3_timestamps_are_those_of_the_fixture() {
    let segment = media::file("hls/packed-aac/seg0.aac").unwrap();
    let tag = id3::timestamp(900_000);
    assert_eq!(segment[..tag.len()], tag);
    assert_eq!(adts::frames(&segment[tag.len()..]).next().unwrap()[0], 0xFF);
}
