//! Fragmented MP4.

use bytes::Bytes;

use super::super::aac::audio_specific_config;
use super::super::{Codec, Container, DemuxError, Demuxer, Fmp4Demuxer, FourCc};
use super::build::*;
use super::*;

fn demuxer() -> Box<dyn Demuxer> {
    Container::Fmp4.demuxer()
}

/// `count` samples of growing size, and their bytes in a row.
fn samples(seed: u32, count: u32) -> (Vec<u32>, Vec<u8>) {
    let sizes: Vec<u32> = (0..count).map(|index| 20 + index * 3).collect();
    let data = sizes.iter().zip(seed..).flat_map(|(&size, seed)| body(seed, size as usize)).collect();
    (sizes, data)
}

fn split<'a>(sizes: &[u32], mut data: &'a [u8]) -> Vec<&'a [u8]> {
    sizes
        .iter()
        .map(|&size| {
            let (head, tail) = data.split_at(size as usize);
            data = tail;
            head
        })
        .collect()
}

fn media(seed: u32, count: u32, tfdt: u64) -> Vec<u8> {
    let (sizes, data) = samples(seed, count);
    fragment(&[Traf { runs: vec![(sizes, Some(0))], tfdt: Some(tfdt), ..Traf::default() }], &data)
}

#[test]
fn init_and_segments_in_every_cut() {
    let segments = [Movie::default().init(), media(1, 5, 0), media(9, 4, 5 * 1024)];
    let events = run_every_cut(demuxer, &segments);
    let got = packets(&events);
    assert_eq!(times(&got), (0..9).map(|n| n * 1024).collect::<Vec<_>>());
    let (sizes, data) = samples(1, 5);
    assert_eq!(datas(&got[..5]), split(&sizes, &data));
    assert!(got.iter().all(|packet| packet.duration == 1024 && packet.is_timed && !packet.is_discontinuity));
    // In one piece it is the same.
    assert_eq!(run_every_cut(demuxer, &[segments.concat()]), events);
}

#[test]
fn a_packet_within_one_chunk_is_borrowed_and_comes_while_the_rest_is_on_its_way() {
    let mut demuxer = Fmp4Demuxer::new();
    demuxer.push(Movie::default().init().into()).unwrap();
    assert!(demuxer.next_packet().unwrap().is_none());
    assert_eq!(demuxer.track().unwrap().codec, Codec::AacLc);
    let segment = Bytes::from(media(1, 5, 0));
    let first = segment.len() - samples(1, 5).1.len();
    let chunk = segment.slice(..first + 20);
    demuxer.push(chunk.clone()).unwrap();
    let packet = demuxer.next_packet().unwrap().unwrap();
    assert_eq!(packet.data.as_ptr(), chunk[first..].as_ptr());
    assert!(demuxer.next_packet().unwrap().is_none());
    demuxer.push(segment.slice(first + 20..)).unwrap();
    let mut count = 0;
    while demuxer.next_packet().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn other_boxes_and_tracks_are_stepped_over() {
    let (sizes, data) = samples(1, 3);
    let video = vec![9; 50];
    let trafs = [
        Traf { id: 7, runs: vec![(vec![50], Some(0))], ..Traf::default() },
        Traf {
            runs: vec![(sizes[..2].to_vec(), Some(50)), (sizes[2..].to_vec(), None)],
            extra: [full(b"senc", 0, 0, &[&[0; 4]]), full(b"saiz", 0, 0, &[&[0; 5]])].concat(),
            ..Traf::default()
        },
    ];
    let mut segment = Vec::new();
    for (kind, len) in
        [(b"styp", 16), (b"sidx", 40), (b"emsg", 30), (b"prft", 20), (b"free", 0), (b"uuid", 33)]
    {
        segment.extend(atom(kind, &[&vec![0; len]]));
    }
    segment.extend(fragment(&trafs, &[video.clone(), data.clone()].concat()));
    // A fragment without audio, and one behind it.
    segment.extend(fragment(&[Traf { id: 7, runs: vec![(vec![50], Some(0))], ..Traf::default() }], &video));
    segment.extend(media(5, 2, 3 * 1024));
    let video_track = Movie { handler: *b"vide", id: 7, ..Movie::default() }.trak();
    let init = Movie { others: video_track, ..Movie::default() }.init();
    let got = packets(&run_every_cut(demuxer, &[init, segment]));
    assert_eq!(times(&got), [0, 1024, 2048, 3072, 4096]);
    assert_eq!(datas(&got[..3]), split(&sizes, &data));
}

#[test]
fn tfdt_of_64_bits_and_none() {
    let time = (1 << 40) + 5;
    let (sizes, data) = samples(1, 2);
    let untimed = fragment(&[Traf { runs: vec![(sizes, Some(0))], tfdt: None, ..Traf::default() }], &data);
    let segments = [Movie::default().init(), untimed.clone(), media(1, 2, time), untimed];
    let got = packets(&run_every_cut(demuxer, &segments));
    let time = time as i64;
    assert_eq!(times(&got), [0, 1024, time, time + 1024, time + 2048, time + 3072]);
    let timed: Vec<bool> = got.iter().map(|packet| packet.is_timed).collect();
    assert_eq!(timed, [false, false, true, true, true, true]);
}

#[test]
fn defaults_of_trex_tfhd_and_codec() {
    let sizes = vec![30, 30];
    let data = [body(1, 30), body(2, 30)].concat();
    let run_with = |trex, flags: u32, tfhd: Vec<u8>| {
        let traf = Traf {
            duration: None,
            tfhd_flags: 0x02_0000 | flags,
            tfhd,
            runs: vec![(sizes.clone(), Some(0))],
            ..Traf::default()
        };
        let segments = [Movie { trex, ..Movie::default() }.init(), fragment(&[traf], &data)];
        packets(&run(&mut *demuxer(), &segments)).iter().map(|packet| packet.duration).collect::<Vec<_>>()
    };
    assert_eq!(run_with((500, 0), 0, vec![]), [500, 500]);
    assert_eq!(run_with((500, 0), 0x8, be(&[600])), [600, 600]);
    // Said nowhere: AAC has 1024 frames.
    assert_eq!(run_with((0, 0), 0, vec![]), [1024, 1024]);
}

#[test]
fn sizes_by_default_and_empty_samples() {
    let data = [body(1, 30), body(2, 30)].concat();
    // No per-sample fields at all.
    let trun = |offset: u32| full(b"trun", 0, 1, &[&be(&[2, offset])]);
    let build = |offset| {
        let tfhd = full(b"tfhd", 0, 0x02_0010, &[&be(&[1, 30])]);
        let tfdt = full(b"tfdt", 0, 0, &[&be(&[100])]);
        atom(b"moof", &[&atom(b"traf", &[&tfhd, &tfdt, &trun(offset)])])
    };
    let moof = build(build(0).len() as u32 + 8);
    let segments = [Movie::default().init(), [moof, atom(b"mdat", &[&data])].concat()];
    let got = packets(&run_every_cut(demuxer, &segments));
    assert_eq!(times(&got), [100, 1124]);
    assert_eq!(got[1].data, body(2, 30));

    let traf = Traf { runs: vec![(vec![0, 30, 0], Some(0)), (vec![30], None)], ..Traf::default() };
    let got = packets(&run_every_cut(demuxer, &[Movie::default().init(), fragment(&[traf], &data)]));
    assert_eq!(times(&got), [1024, 3072]);
}

#[test]
fn offsets_absolute_from_the_file_the_segment_or_an_unseen_file() {
    let init = Movie::default().init();
    let (sizes, data) = samples(1, 3);
    let absolute = |moof_at: u64| {
        let traf = Traf {
            tfhd_flags: 1,
            tfhd: moof_at.to_be_bytes().to_vec(),
            runs: vec![(sizes.clone(), Some(0))],
            ..Traf::default()
        };
        fragment(&[traf], &data)
    };
    let first = absolute(init.len() as u64);
    for segments in [
        // The file as it is, the segment on its own, a byte range of a file of which we see no more.
        vec![[init.clone(), first.clone()].concat()],
        vec![init.clone(), first],
        vec![init.clone(), media(1, 3, 0), absolute(0)],
        vec![init.clone(), absolute(1_000_000)],
    ] {
        let got = packets(&run_every_cut(demuxer, &segments));
        assert_eq!(datas(&got[got.len() - 3..]), split(&sizes, &data));
    }
    // Behind a seek back, where it would lie in the mdat by another count as well.
    let mut demuxer = demuxer();
    run(&mut *demuxer, &[init.clone(), media(1, 3, 0)]);
    demuxer.discard();
    let got = packets(&run(&mut *demuxer, &[absolute(20)]));
    assert_eq!(datas(&got), split(&sizes, &data));
}

#[test]
fn offsets_that_follow_the_track_before_or_are_missing() {
    let (sizes, data) = samples(1, 3);
    let video = vec![9; 50];
    let both = [video, data.clone()].concat();
    let trafs = [
        Traf { id: 7, tfhd_flags: 0, runs: vec![(vec![50], Some(0))], ..Traf::default() },
        Traf { tfhd_flags: 0, runs: vec![(sizes.clone(), None)], ..Traf::default() },
    ];
    let init =
        Movie { others: Movie { handler: *b"vide", id: 7, ..Movie::default() }.trak(), ..Movie::default() }
            .init();
    let got = packets(&run_every_cut(demuxer, &[init, fragment(&trafs, &both)]));
    assert_eq!(datas(&got), split(&sizes, &data));
    // No offset at all: the data begins the mdat.
    for flags in [0, 0x02_0000] {
        let traf = Traf { tfhd_flags: flags, runs: vec![(sizes.clone(), None)], ..Traf::default() };
        let got = packets(&run_every_cut(demuxer, &[Movie::default().init(), fragment(&[traf], &data)]));
        assert_eq!(datas(&got), split(&sizes, &data));
    }
}

#[test]
fn an_mdat_before_its_moof() {
    let (sizes, data) = samples(1, 3);
    let mdat = atom(b"mdat", &[&data]);
    let traf = Traf { runs: vec![(sizes.clone(), Some(-(mdat.len() as i32) + 8))], ..Traf::default() };
    // `fragment` counts from the end of the moof: take its length off again.
    let moof_len =
        fragment(&[Traf { runs: vec![(sizes.clone(), Some(0))], ..Traf::default() }], &[]).len() as i32 - 8;
    let moof = &fragment_at(&[traf], &[], -moof_len - 8)[..moof_len as usize];
    let segments = [Movie::default().init(), [mdat, moof.to_vec()].concat(), media(1, 2, 4096)];
    let got = packets(&run_every_cut(demuxer, &segments));
    assert_eq!(datas(&got[..3]), split(&sizes, &data));
    assert_eq!(got.len(), 5);
}

#[test]
fn boxes_of_64_bits_and_to_the_end() {
    let (sizes, data) = samples(1, 3);
    let wide = |whole: Vec<u8>| {
        let size = whole.len() as u64 + 8;
        [&1u32.to_be_bytes()[..], &whole[4..8], &size.to_be_bytes(), &whole[8..]].concat()
    };
    let traf = |offset| Traf { runs: vec![(sizes.clone(), Some(offset))], ..Traf::default() };
    // The mdat header is eight bytes longer.
    let moof_len = fragment(&[traf(8)], &[]).len() - 8;
    let moof = &fragment(&[traf(8)], &[])[..moof_len];
    let long = [moof.to_vec(), wide(atom(b"mdat", &[&data]))].concat();
    let mut open = fragment(&[traf(0)], &data);
    open[moof_len..moof_len + 4].fill(0);
    let init = [wide(atom(b"ftyp", &[b"iso6"])), wide(Movie::default().moov())].concat();
    let got = packets(&run_every_cut(demuxer, &[init, long, open.clone(), open]));
    assert_eq!(got.len(), 9);
    for part in got.chunks(3) {
        assert_eq!(datas(part), split(&sizes, &data));
    }
}

#[test]
fn a_lone_track_numbered_differently_is_taken() {
    let (sizes, data) = samples(1, 2);
    let traf = || Traf { id: 9, runs: vec![(sizes.clone(), Some(0))], ..Traf::default() };
    let got = packets(&run(&mut *demuxer(), &[Movie::default().init(), fragment(&[traf()], &data)]));
    assert_eq!(got.len(), 2);
    let others = Movie { handler: *b"vide", id: 7, ..Movie::default() }.trak();
    let init = Movie { others, ..Movie::default() }.init();
    assert_eq!(run(&mut *demuxer(), &[init, fragment(&[traf()], &data)]), []);
}

#[test]
fn a_changed_init_section_is_a_new_track_and_the_same_is_not() {
    let aac = Movie::default().init();
    let flac = Movie { entries: vec![flac_entry()], timescale: 48_000, ..Movie::default() }.init();
    let segments = [
        aac.clone(),
        media(1, 1, 0),
        aac.clone(),
        media(1, 1, 1024),
        flac,
        media(1, 1, 2048),
        aac,
        media(1, 1, 3072),
    ];
    let got = packets(&run_every_cut(demuxer, &segments));
    assert_eq!(got.iter().map(|packet| packet.serial).collect::<Vec<_>>(), [1, 1, 2, 3]);
}

fn flac_entry() -> Vec<u8> {
    let mut info = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    info.extend((96_000u64 << 44 | 1 << 41 | 23 << 36).to_be_bytes());
    info.extend([0; 16]);
    entry(b"fLaC", 2, 0, &[&full(b"dfLa", 0, 0, &[&[0x80, 0, 0, 34], &info])])
}

#[test]
fn two_sample_entries_in_one_track() {
    let (sizes, data) = samples(1, 1);
    let media_of = |entry: u32| {
        let traf = Traf {
            tfhd_flags: 0x02_0002,
            tfhd: be(&[entry]),
            runs: vec![(sizes.clone(), Some(0))],
            ..Traf::default()
        };
        fragment(&[traf], &data)
    };
    let init = Movie { entries: vec![aac_entry(), flac_entry()], ..Movie::default() }.init();
    let segments = [init.clone(), media_of(1), media_of(2), media_of(2), media_of(1)];
    let got = packets(&run_every_cut(demuxer, &segments));
    assert_eq!(got.iter().map(|packet| packet.serial).collect::<Vec<_>>(), [1, 2, 2, 3]);
    let events = run(&mut *demuxer(), &[init, media_of(3)]);
    assert!(matches!(error(&events), DemuxError::Malformed { .. }));
}

fn track_of(entry: Vec<u8>) -> Result<super::super::TrackInfo, DemuxError> {
    let mut demuxer = Fmp4Demuxer::new();
    demuxer.push(Movie { entries: vec![entry], ..Movie::default() }.init().into()).unwrap();
    demuxer.next_packet()?;
    Ok(demuxer.track().unwrap().clone())
}

#[test]
fn codecs_and_their_configuration() {
    let flac = track_of(flac_entry()).unwrap();
    assert_eq!(
        (flac.codec, flac.sample_rate, flac.channels, flac.bits_per_sample),
        (Codec::Flac, 96_000, 2, Some(24))
    );
    assert_eq!(flac.extra_data.unwrap().len(), 34);

    let mut cookie = be(&[4096]);
    cookie.extend([0, 24, 40, 10, 14, 2, 0, 255]);
    cookie.extend(be(&[0, 0, 88_200]));
    let alac = track_of(entry(b"alac", 2, 0, &[&full(b"alac", 0, 0, &[&cookie])])).unwrap();
    assert_eq!((alac.codec, alac.sample_rate, alac.frames_per_packet), (Codec::Alac, 88_200, Some(4096)));
    assert_eq!(alac.extra_data.as_deref(), Some(&cookie[..]));

    let dops = atom(b"dOps", &[&[0, 2, 1, 0x38, 0, 0, 0xBB, 0x80, 0, 0, 0]]);
    let opus = track_of(entry(b"Opus", 2, 48_000, &[&dops])).unwrap();
    assert_eq!(opus.codec, Codec::Opus);
    assert_eq!(&opus.extra_data.unwrap()[..], b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0");
    assert_eq!(opus.gapless.unwrap().delay, 312);

    for oti in [0x69, 0x6B] {
        assert_eq!(track_of(entry(b"mp4a", 2, 44_100, &[&esds(oti, &[])])).unwrap().codec, Codec::Mp3);
    }
    assert_eq!(track_of(entry(b".mp3", 2, 44_100, &[])).unwrap().codec, Codec::Mp3);

    let he = track_of(entry(b"mp4a", 2, 22_050, &[&esds(0x40, &[0x2B, 0x92, 0x08, 0])])).unwrap();
    assert_eq!(
        (he.codec, he.sample_rate, he.frames_per_packet),
        (Codec::HeAac { explicit: true }, 44_100, Some(2048))
    );

    // No esds: what the fixed fields say.
    let bare = track_of(entry(b"mp4a", 1, 48_000, &[])).unwrap();
    assert_eq!(
        (bare.codec, bare.extra_data.as_deref()),
        (Codec::AacLc, Some(&audio_specific_config(2, 3, 1)[..]))
    );
}

#[test]
fn quicktime_sound_descriptions_of_versions_1_and_2() {
    let wave = atom(
        b"wave",
        &[
            &atom(b"frma", &[b"mp4a"]),
            &atom(b"mp4a", &[&[0; 4]]),
            &esds(0x40, &audio_specific_config(2, 4, 2)),
            &[0, 0, 0, 8, 0, 0, 0, 0],
        ],
    );
    let mut v1 = entry(b"mp4a", 2, 44_100, &[&[0; 16], &wave]);
    v1[8 + 9] = 1;
    let track = track_of(v1).unwrap();
    assert_eq!(
        (track.codec, track.sample_rate, track.extra_data.as_deref()),
        (Codec::AacLc, 44_100, Some(&[0x12, 0x10][..]))
    );

    let mut fields = be(&[72]);
    fields.extend(96_000f64.to_be_bytes());
    fields.extend(be(&[2, 0x7F00_0000, 24, 0, 0, 0]));
    let mut cookie = be(&[4096]);
    cookie.extend([0, 24, 40, 10, 14, 2, 0, 255]);
    cookie.extend(be(&[0, 0, 96_000]));
    let alac = full(b"alac", 0, 0, &[&cookie]);
    let mut v2 = entry(b"alac", 3, 1, &[&fields, &alac]);
    v2[8 + 9] = 2;
    let track = track_of(v2).unwrap();
    assert_eq!((track.codec, track.sample_rate, track.channels), (Codec::Alac, 96_000, 2));
}

#[test]
fn what_is_not_supported_is_named() {
    let named = |entry: Vec<u8>| track_of(entry).unwrap_err().to_string();
    assert_eq!(named(entry(b"ac-3", 6, 48_000, &[])), "MP4 carries AC-3, which is not supported");
    assert_eq!(named(entry(b"ec-3", 6, 48_000, &[])), "MP4 carries E-AC-3, which is not supported");
    assert_eq!(
        named(entry(b"mp4a", 2, 48_000, &[&esds(0xA5, &[])])),
        "MP4 carries AC-3, which is not supported"
    );
    assert_eq!(
        named(entry(b"zz\x01z", 2, 48_000, &[])),
        "MP4 carries unknown codec 'zz\\x01z', which is not supported"
    );

    let schm = full(b"schm", 0, 0, &[b"cbcs", &be(&[0x1_0000])]);
    let sinf = atom(b"sinf", &[&atom(b"frma", &[b"mp4a"]), &schm]);
    let encrypted = entry(b"enca", 2, 44_100, &[&esds(0x40, &[0x12, 0x10]), &sinf]);
    let scheme = FourCc(*b"cbcs");
    assert_eq!(
        track_of(encrypted).unwrap_err(),
        DemuxError::Encrypted { container: Container::Fmp4, scheme }
    );

    let video_only = Movie { handler: *b"vide", ..Movie::default() }.init();
    let events = run(&mut *demuxer(), &[video_only]);
    assert_eq!(error(&events), &DemuxError::NoAudio { container: Container::Fmp4 });
    // An AC-3 track beside an AAC track does not matter.
    let others = Movie { entries: vec![entry(b"ac-3", 2, 48_000, &[])], id: 2, ..Movie::default() }.trak();
    let segments = [Movie { others, ..Movie::default() }.init(), media(1, 2, 0)];
    assert_eq!(packets(&run(&mut *demuxer(), &segments)).len(), 2);
}

#[test]
fn edit_lists() {
    let edit_of = |elst: Vec<u8>| {
        let mut demuxer = Fmp4Demuxer::new();
        demuxer.push(Movie { edts: atom(b"edts", &[&elst]), ..Movie::default() }.init().into()).unwrap();
        demuxer.next_packet().unwrap();
        demuxer.track().unwrap().edit
    };
    let edit = edit_of(full(b"elst", 0, 0, &[&be(&[1, 10_000, 1024, 0x1_0000])])).unwrap();
    assert_eq!((edit.media_time, edit.segment_duration, edit.movie_timescale), (1024, 10_000, 1000));
    assert_eq!((edit.empty_duration, edit.duration_in(44_100), edit.has_more), (0, Some(441_000), false));
    let edit =
        edit_of(full(b"elst", 0, 0, &[&be(&[3, 50, u32::MAX, 0x1_0000, 0, 7, 0x1_0000, 1, 2, 0x1_0000])]))
            .unwrap();
    assert_eq!(
        (edit.empty_duration, edit.media_time, edit.duration_in(44_100), edit.has_more),
        (50, 2, None, true),
        "what the second edit presents is not hidden"
    );
    let cut_off = edit_of(full(b"elst", 0, 0, &[&be(&[9, 50, 7, 0x1_0000, 1, u32::MAX])])).unwrap();
    assert_eq!((cut_off.media_time, cut_off.has_more), (7, true));
    let wide = [&be(&[1])[..], &5u64.to_be_bytes(), &(1u64 << 33).to_be_bytes(), &be(&[0x1_0000])].concat();
    let edit = edit_of(full(b"elst", 1, 0, &[&wide])).unwrap();
    assert_eq!((edit.media_time, edit.segment_duration), (1 << 33, 5));
    assert_eq!(edit_of(full(b"elst", 0, 0, &[&be(&[0])])), None);
}

fn progressive() -> Vec<u8> {
    // Seven samples in chunks of 3, 3 and 1, with a hole before each chunk.
    let sizes: Vec<u32> = (0..7).map(|n| 20 + n).collect();
    let mut mdat = Vec::new();
    let mut starts = Vec::new();
    for (index, &size) in sizes.iter().enumerate() {
        if index % 3 == 0 {
            mdat.extend([0xEE; 11]);
            starts.push(mdat.len() as u32);
        }
        mdat.extend(body(index as u32, size as usize));
    }
    let build = |base: u32| {
        let offsets: Vec<u32> = starts.iter().map(|start| base + start).collect();
        let tables = [
            full(b"stts", 0, 0, &[&be(&[2, 6, 1024, 1, 100])]),
            full(b"stsc", 0, 0, &[&be(&[2, 1, 3, 1, 3, 1, 1])]),
            full(b"stsz", 0, 0, &[&be(&[0, 7]), &be(&sizes)]),
            full(b"stco", 0, 0, &[&be(&[3]), &be(&offsets)]),
        ];
        Movie { tables: tables.concat(), is_fragmented: false, ..Movie::default() }.init()
    };
    let base = build(0).len() as u32 + 8;
    [build(base), atom(b"mdat", &[&mdat])].concat()
}

#[test]
fn a_progressive_file_pushed_in_order() {
    let got = packets(&run_every_cut(demuxer, &[progressive()]));
    assert_eq!(times(&got), [0, 1024, 2048, 3072, 4096, 5120, 6144]);
    assert_eq!(got[6].duration, 100);
    for (index, packet) in got.iter().enumerate() {
        assert_eq!(packet.data, body(index as u32, 20 + index));
    }
}

#[test]
fn a_segment_cut_short_says_so_and_the_next_goes_on() {
    let whole = media(1, 3, 0);
    for missing in [1, 30, whole.len() - 20] {
        let cut = whole[..whole.len() - missing].to_vec();
        let events = run_every_cut(demuxer, &[Movie::default().init(), cut, media(1, 2, 9000)]);
        let errors: Vec<_> = events.iter().filter(|event| matches!(event, Event::Error(_))).collect();
        assert_eq!(errors.len(), 1, "{missing} missing: {events:?}");
        assert!(matches!(errors[0], Event::Error(DemuxError::Truncated { .. })));
        let Some(Event::Packet(last)) = events.last() else { panic!() };
        assert_eq!(last.pts, 9000 + 1024);
        assert!(events.iter().any(
            |event| matches!(event, Event::Packet(packet) if packet.pts == 9000 && packet.is_discontinuity)
        ));
    }
}

#[test]
fn damage_is_an_error_that_stays_until_reset() {
    let mut demuxer = Fmp4Demuxer::new();
    demuxer.push(media(1, 2, 0).into()).unwrap();
    let expected = DemuxError::Malformed { container: Container::Fmp4, what: "moof before moov", offset: 0 };
    assert_eq!(demuxer.next_packet().unwrap_err(), expected);
    assert_eq!(demuxer.next_packet().unwrap_err(), expected);
    demuxer.reset();
    let events = run(&mut demuxer, &[Movie::default().init(), media(1, 2, 0)]);
    assert_eq!(packets(&events).len(), 2);
}

#[test]
fn an_empty_index_box_at_the_end_of_what_arrived() {
    let segments = [[Movie::default().init(), atom(b"moof", &[])].concat(), media(1, 2, 0)];
    assert_eq!(packets(&run_every_cut(demuxer, &segments)).len(), 2);
    let events = run_every_cut(demuxer, &[atom(b"moov", &[])]);
    assert_eq!(error(&events), &DemuxError::NoAudio { container: Container::Fmp4 });
}

#[test]
fn discard_keeps_the_track() {
    let mut demuxer = Fmp4Demuxer::new();
    run(&mut demuxer, &[Movie::default().init(), media(1, 2, 0)]);
    demuxer.push(media(1, 5, 0)[..150].to_vec().into()).unwrap();
    let _ = demuxer.next_packet();
    demuxer.discard();
    let got = packets(&run(&mut demuxer, &[media(3, 2, 7000)]));
    assert_eq!(times(&got), [7000, 8024]);
    assert!(got.iter().all(|packet| packet.serial == 1 && !packet.is_discontinuity));
}

#[test]
fn claims_beyond_the_bounds_are_refused_before_they_are_held() {
    let huge = |kind: &[u8; 4], size: u32| [&size.to_be_bytes()[..], kind, &[0; 8]].concat();
    for (kind, size) in [(b"moov", u32::MAX), (b"moof", 1 << 27)] {
        let events = run(&mut *demuxer(), &[huge(kind, size)]);
        assert!(matches!(error(&events), DemuxError::TooLarge { .. }), "{events:?}");
    }
    let traf = Traf { runs: vec![(vec![u32::MAX / 2], Some(0))], ..Traf::default() };
    let events = run(&mut *demuxer(), &[Movie::default().init(), fragment(&[traf], &[0; 10])]);
    assert!(matches!(error(&events), DemuxError::TooLarge { .. }));
    // Two runs over the same bytes.
    let traf = Traf { runs: vec![(vec![10], Some(0)), (vec![10], Some(0))], ..Traf::default() };
    let events = run(&mut *demuxer(), &[Movie::default().init(), fragment(&[traf], &[0; 10])]);
    assert!(matches!(error(&events), DemuxError::Malformed { .. }));
}
