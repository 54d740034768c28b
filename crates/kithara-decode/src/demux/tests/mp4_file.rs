//! Whole files.

use std::io::{Cursor, Read, Seek, SeekFrom};

use super::super::mp4_file::{Mp4File, Mp4FileError};
use super::super::{Container, DemuxError};
use super::build::*;

/// A reader that gives few bytes at a time, and notes where it reads.
pub(super) struct Slow {
    inner: Cursor<Vec<u8>>,
    reads: std::rc::Rc<std::cell::RefCell<Vec<(u64, usize)>>>,
}

impl Slow {
    pub(super) fn new(data: Vec<u8>) -> Self {
        Self { inner: Cursor::new(data), reads: Default::default() }
    }
}

impl Read for Slow {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let at = self.inner.position();
        let len = buf.len().min(57);
        let read = self.inner.read(&mut buf[..len])?;
        self.reads.borrow_mut().push((at, read));
        Ok(read)
    }
}

impl Seek for Slow {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

const COUNT: u32 = 100;

fn sizes() -> Vec<u32> {
    (0..COUNT).map(|n| 10 + n % 17).collect()
}

fn sample(index: u32) -> Vec<u8> {
    body(index, 10 + index as usize % 17)
}

fn payload() -> Vec<u8> {
    (0..COUNT).flat_map(sample).collect()
}

/// Chunks of eight samples.
fn tables(data_start: u32) -> Vec<u8> {
    let sizes = sizes();
    let offsets: Vec<u32> =
        (0..COUNT as usize).step_by(8).map(|first| data_start + sizes[..first].iter().sum::<u32>()).collect();
    let last = offsets.len() as u32;
    [
        full(b"stts", 0, 0, &[&be(&[2, 60, 1024, 40, 512])]),
        full(b"stsc", 0, 0, &[&be(&[2, 1, 8, 1, last, COUNT % 8, 1])]),
        full(b"stsz", 0, 0, &[&be(&[0, COUNT]), &be(&sizes)]),
        full(
            b"co64",
            0,
            0,
            &[&be(&[last]), &offsets.iter().flat_map(|&at| u64::from(at).to_be_bytes()).collect::<Vec<_>>()],
        ),
    ]
    .concat()
}

fn smpb() -> Vec<u8> {
    let text = b" 00000000 00000840 000001CA 0000000000012345 0 0";
    let item = atom(
        b"----",
        &[
            &full(b"mean", 0, 0, &[b"com.apple.iTunes"]),
            &full(b"name", 0, 0, &[b"iTunSMPB"]),
            &atom(b"data", &[&be(&[1, 0]), text]),
        ],
    );
    atom(b"udta", &[&full(b"meta", 0, 0, &[&full(b"hdlr", 0, 0, &[&[0; 20]]), &atom(b"ilst", &[&item])])])
}

pub(super) fn file(is_front: bool) -> Vec<u8> {
    let movie =
        |start| Movie { tables: tables(start), udta: smpb(), is_fragmented: false, ..Movie::default() };
    let ftyp = atom(b"ftyp", &[b"M4A "]);
    let mdat = atom(b"mdat", &[&payload()]);
    if is_front {
        let start = (movie(0).init().len() + 8) as u32;
        [movie(start).init(), mdat].concat()
    } else {
        [ftyp.clone(), mdat, movie(ftyp.len() as u32 + 8).moov()].concat()
    }
}

/// Ten fragments of ten samples, each of 1024 units.
pub(super) fn fragmented(has_sidx: bool, has_mfra: bool) -> Vec<u8> {
    let fragments: Vec<Vec<u8>> = (0..10u32)
        .map(|n| {
            let range = n * 10..n * 10 + 10;
            let sizes = range.clone().map(|index| sample(index).len() as u32).collect();
            let traf =
                Traf { runs: vec![(sizes, Some(0))], tfdt: Some(u64::from(n) * 10_240), ..Traf::default() };
            fragment(&[traf], &range.flat_map(sample).collect::<Vec<_>>())
        })
        .collect();
    let mut out = Movie::default().init();
    if has_sidx {
        let mut body = be(&[1, 44_100, 0, 0, 10]);
        for fragment in &fragments {
            body.extend(be(&[fragment.len() as u32, 10_240, 0]));
        }
        out.extend(full(b"sidx", 0, 0, &[&body]));
    }
    let mut entries = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        entries.extend(be(&[index as u32 * 10_240, out.len() as u32]));
        entries.extend([1, 1, 1]);
        out.extend(fragment);
    }
    if has_mfra {
        let tfra = full(b"tfra", 0, 0, &[&be(&[1, 0, 10]), &entries]);
        let size = 8 + tfra.len() as u32 + 16;
        out.extend(atom(b"mfra", &[&tfra, &full(b"mfro", 0, 0, &[&be(&[size])])]));
    }
    out
}

fn read_all(file: &mut Mp4File<impl Read + Seek>) -> Vec<(i64, Vec<u8>)> {
    let mut out = Vec::new();
    while let Some(packet) = file.next_packet().unwrap() {
        out.push((packet.pts, packet.data.to_vec()));
    }
    out
}

fn check_all(data: Vec<u8>, time_of: impl Fn(u32) -> u64) {
    let mut file = Mp4File::open(Slow::new(data)).unwrap();
    let all = read_all(&mut file);
    assert_eq!(all.len(), COUNT as usize);
    for (index, (pts, data)) in all.iter().enumerate() {
        assert_eq!((*pts as u64, data), (time_of(index as u32), &sample(index as u32)));
    }
    for target in (0..COUNT).rev().chain([0, 99, 5, 50, 49]) {
        for within in [0, 1, 300] {
            assert_eq!(file.seek(time_of(target) + within).unwrap(), time_of(target));
            let packet = file.next_packet().unwrap().unwrap();
            assert_eq!((packet.pts as u64, packet.data), (time_of(target), &sample(target)[..]));
        }
    }
    file.seek(u64::MAX / 4).unwrap();
    assert!(file.next_packet().unwrap().is_none());
    file.seek(0).unwrap();
    assert_eq!(read_all(&mut file), all);
}

fn table_time(index: u32) -> u64 {
    u64::from(index.min(60)) * 1024 + u64::from(index.saturating_sub(60)) * 512
}

#[test]
fn index_in_front_and_behind() {
    for is_front in [true, false] {
        check_all(file(is_front), table_time);
        let file = Mp4File::open(Cursor::new(file(is_front))).unwrap();
        assert_eq!(file.media_duration(), Some(60 * 1024 + 40 * 512));
        assert_eq!(file.packet_count(), Some(100));
        let gapless = file.track().gapless.unwrap();
        assert_eq!((gapless.delay, gapless.padding, gapless.total_frames), (2112, 458, Some(0x12345)));
    }
}

#[test]
fn fragmented_with_and_without_indexes() {
    for (has_sidx, has_mfra) in [(false, false), (true, false), (false, true), (true, true)] {
        let data = fragmented(has_sidx, has_mfra);
        check_all(data.clone(), |index| u64::from(index) * 1024);
        let file = Mp4File::open(Cursor::new(data)).unwrap();
        assert_eq!(file.media_duration(), has_sidx.then_some(102_400));
    }
}

#[test]
fn a_seek_with_an_index_reads_one_fragment_and_not_those_before() {
    for (has_sidx, has_mfra) in [(true, false), (false, true)] {
        let data = fragmented(has_sidx, has_mfra);
        let len = data.len() as u64;
        let slow = Slow::new(data);
        let reads = slow.reads.clone();
        let mut file = Mp4File::open(slow).unwrap();
        reads.borrow_mut().clear();
        file.seek(8 * 10_240 + 5).unwrap();
        file.next_packet().unwrap().unwrap();
        let first = reads.borrow().iter().map(|(at, _)| *at).min().unwrap();
        assert!(first > len / 2, "read at {first} of {len}");
    }
}

#[test]
fn opening_reads_the_index_and_no_media() {
    let data = file(true);
    let index = data.len() - payload().len();
    let slow = Slow::new(data);
    let reads = slow.reads.clone();
    Mp4File::open(slow).unwrap();
    let end = reads.borrow().iter().map(|(at, len)| at + *len as u64).max().unwrap();
    assert!(end < index as u64 + 57, "read to {end} of an index of {index}");
}

#[test]
fn bad_files() {
    let open = |data: Vec<u8>| Mp4File::open(Cursor::new(data)).unwrap_err();
    let whole = file(false);
    for data in [
        vec![],
        b"ID3\x04 something else".to_vec(),
        vec![0; 100],
        whole[..whole.len() - 300].to_vec(),
        whole[..40].to_vec(),
    ] {
        assert!(matches!(open(data), Mp4FileError::Demux(_)));
    }
    // The media is cut off.
    let front = file(true);
    let mut cut = Mp4File::open(Cursor::new(front[..front.len() - 200].to_vec())).unwrap();
    let error = loop {
        match cut.next_packet() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a clean end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Mp4FileError::Demux(DemuxError::Truncated { container: Container::Fmp4, .. })));
}

#[test]
fn stz2_and_constant_sizes() {
    let build = |table: Vec<u8>, start: u32| {
        let tables = [
            full(b"stts", 0, 0, &[&be(&[1, 4, 1024])]),
            full(b"stsc", 0, 0, &[&be(&[1, 1, 4, 1])]),
            table,
            full(b"stco", 0, 0, &[&be(&[1, start])]),
        ];
        Movie { tables: tables.concat(), is_fragmented: false, ..Movie::default() }.init()
    };
    for (table, expected) in [
        (full(b"stz2", 0, 0, &[&be(&[4, 4]), &[0x12, 0x34]]), [1, 2, 3, 4]),
        (full(b"stz2", 0, 0, &[&be(&[8, 4]), &[4, 3, 2, 1]]), [4, 3, 2, 1]),
        (full(b"stz2", 0, 0, &[&be(&[16, 4]), &[0, 4, 0, 3, 0, 2, 0, 1]]), [4, 3, 2, 1]),
        (full(b"stsz", 0, 0, &[&be(&[5, 4])]), [5; 4]),
        // More samples than the chunks hold.
        (full(b"stsz", 0, 0, &[&be(&[5, u32::MAX / 16])]), [5; 4]),
    ] {
        let start = build(table.clone(), 0).len() as u32 + 8;
        let data = [build(table, start), atom(b"mdat", &[&[7; 20]])].concat();
        let mut file = Mp4File::open(Cursor::new(data)).unwrap();
        let lens: Vec<usize> = read_all(&mut file).iter().map(|(_, data)| data.len()).collect();
        assert_eq!(lens, expected);
    }
}

#[test]
fn a_seek_through_a_run_that_claims_millions_of_equal_samples_is_instant() {
    // Four bytes and 1000 units each, by default: 2^28 of them are claimed, and three are there.
    let build = |offset: u32| {
        let tfhd = full(b"tfhd", 0, 0x02_0018, &[&be(&[1, 1000, 4])]);
        let tfdt = full(b"tfdt", 0, 0, &[&be(&[0])]);
        let trun = full(b"trun", 0, 1, &[&be(&[1 << 28, offset])]);
        atom(b"moof", &[&atom(b"traf", &[&tfhd, &tfdt, &trun])])
    };
    let moof = build(build(0).len() as u32 + 8);
    let data = [Movie::default().init(), moof, atom(b"mdat", &[&body(1, 12)])].concat();
    let mut file = Mp4File::open(Cursor::new(data)).unwrap();
    assert_eq!(file.seek(2500).unwrap(), 2000);
    assert_eq!(file.next_packet().unwrap().unwrap().data, &body(1, 12)[8..]);
    assert_eq!(file.seek(200_000_000_500).unwrap(), 200_000_000_000);
    assert!(file.next_packet().is_err());
}
