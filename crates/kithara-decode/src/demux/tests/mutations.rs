//! Damaged copies of good media: nothing may panic, hang or grow.

use std::io::Cursor;

use super::super::aac::AacConfig;
use super::super::mp4_file::Mp4File;
use super::super::{Container, id3, sniff, sniff_at_end};
use super::build::*;
use super::{Event, Random, real, run_cut};

/// Copies per input; the fuzz run of a developer sets more.
fn rounds() -> u32 {
    std::env::var("KITHARA_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(300)
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        if data.is_empty() {
            return;
        }
        let at = random.below(data.len()) as usize;
        let len = random.below((data.len() - at).min(64)) as usize;
        match random.below(9) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.next() as u8,
            2 => data[at] = [0, 0xFF, 0x7F, 0x80, 0x47][random.below(5) as usize],
            3 => drop(data.drain(at..at + len)),
            4 => {
                let part = data[at..at + len].to_vec();
                let to = random.below(data.len()) as usize;
                data.splice(to..to, part);
            }
            5 => data.truncate(at),
            6 => data[at..at + len].fill(random.next() as u8),
            // A big-endian field of four bytes.
            7 if at + 4 <= data.len() => {
                let value = [0, 1, 7, 8, 0xFFFF, 0x7FFF_FFFF, u32::MAX, random.next() as u32]
                    [random.below(8) as usize];
                data[at..at + 4].copy_from_slice(&value.to_be_bytes());
            }
            _ => data.extend((0..len).map(|_| random.next() as u8)),
        }
    }
}

fn inputs() -> Vec<(Container, Vec<Vec<u8>>)> {
    let mut inputs = real::segments();
    let (sizes, data) = (vec![30; 6], body(1, 180));
    let traf = || Traf { runs: vec![(sizes.clone(), Some(0))], ..Traf::default() };
    let absolute = Traf { tfhd_flags: 1, tfhd: vec![0; 8], ..traf() };
    inputs.push((
        Container::Fmp4,
        vec![Movie::default().init(), fragment(&[traf(), Traf { id: 2, ..traf() }], &data)],
    ));
    inputs.push((Container::Fmp4, vec![Movie::default().init(), fragment(&[absolute], &data)]));
    inputs.push((Container::Fmp4, vec![super::mp4_file::file(true)]));
    let mut ts = TsWriter::aac();
    for n in 0..6 {
        ts.audio(n * 6000, &(0..3).map(|seed| adts(&body(seed, 150))).collect::<Vec<_>>());
    }
    inputs.push((Container::MpegTs, vec![ts.out.clone(), ts.out]));
    let packed: Vec<u8> = (0..12).flat_map(|seed| adts(&body(seed, 60))).collect();
    inputs
        .push((Container::Adts, vec![[id3(Some(5)), packed.clone()].concat(), [id3(None), packed].concat()]));
    let packed: Vec<u8> = (0..8).flat_map(mp3).collect();
    inputs.push((Container::MpegAudio, vec![[id3(Some(5)), packed.clone()].concat(), packed]));
    inputs
}

#[test]
fn damaged_streams() {
    let mut random = Random(42);
    for (container, segments) in inputs() {
        for round in 0..rounds() {
            let mut damaged = segments.clone();
            for segment in &mut damaged {
                if random.below(3) > 0 {
                    mutate(segment, &mut random);
                }
            }
            let total: usize = damaged.iter().map(Vec::len).sum();
            let seed = random.next();
            let mut cuts = Random(seed);
            let events = run_cut(&mut *container.demuxer(), &damaged, || cuts.below(300) as usize);
            let given: usize = events
                .iter()
                .map(|event| match event {
                    Event::Packet(packet) => packet.data.len(),
                    Event::Error(_) => 0,
                })
                .sum();
            assert!(given <= total, "{container} round {round} gave {given} of {total} bytes");
            // Other cuts, the same outcome.
            let again = run_cut(&mut *container.demuxer(), &damaged, || usize::MAX);
            if let Some(at) = (0..events.len().max(again.len())).find(|&at| events.get(at) != again.get(at)) {
                panic!(
                    "{container} round {round}, event {at}: {:?} against {:?}",
                    events.get(at),
                    again.get(at)
                );
            }
            // Every demuxer survives every container.
            for other in [Container::Fmp4, Container::MpegTs, Container::Adts, Container::MpegAudio] {
                let mut cuts = Random(seed);
                run_cut(&mut *other.demuxer(), &damaged, || cuts.below(300) as usize);
            }
            sniff(&damaged[0]);
            sniff_at_end(&damaged[0]);
        }
    }
}

#[test]
fn damaged_files() {
    let mut random = Random(43);
    let mut files = vec![
        super::mp4_file::file(true),
        super::mp4_file::file(false),
        super::mp4_file::fragmented(true, false),
        super::mp4_file::fragmented(false, true),
    ];
    files.extend(
        real::segments()
            .into_iter()
            .filter(|(kind, _)| *kind == Container::Fmp4)
            .map(|(_, parts)| parts.concat()),
    );
    for file in files {
        for _ in 0..rounds() {
            let mut damaged = file.clone();
            mutate(&mut damaged, &mut random);
            let Ok(mut reader) = Mp4File::open(Cursor::new(damaged)) else { continue };
            for target in [0, random.below(200_000), u64::MAX, 0] {
                let _ = reader.seek(target);
                for _ in 0..200 {
                    match reader.next_packet() {
                        Ok(Some(packet)) => assert!(!packet.data.is_empty()),
                        _ => break,
                    }
                }
            }
        }
    }
}

#[test]
fn noise_for_the_small_parsers() {
    let mut random = Random(44);
    for _ in 0..20_000 {
        let len = random.below(64) as usize;
        let noise: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let _ = AacConfig::parse(&noise);
        let _ = id3::tag_len(&noise);
        let _ = id3::Id3Timestamp::find(&noise);
        sniff(&noise);
    }
}
