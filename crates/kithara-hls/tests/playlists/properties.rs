//! Nothing makes the parser panic, and what it reads it reads again.

use kithara_hls::playlist::{
    AudioPreference, Limits, MediaPlaylist, ParseOptions, Playlist, PlaylistErrorKind, audio_ladder,
    parse_with,
};
use proptest::prelude::*;

use crate::{base, corpus, parse, writer};

/// Lines that a playlist is made of, good and bad.
const LINES: &[&str] = &[
    "#EXTM3U",
    "#EXT-X-VERSION:7",
    "#EXT-X-TARGETDURATION:4",
    "#EXT-X-MEDIA-SEQUENCE:18446744073709551615",
    "#EXT-X-MEDIA-SEQUENCE:9223372036854775807",
    "#EXT-X-DISCONTINUITY-SEQUENCE:9223372036854775807",
    "#EXT-X-DISCONTINUITY",
    "#EXT-X-GAP",
    "#EXTINF:4,",
    "#EXTINF:1000000,title",
    "#EXTINF:0.000000001",
    "#EXTINF:-4,",
    "#EXT-X-BYTERANGE:10",
    "#EXT-X-BYTERANGE:9223372036854775807@0",
    "#EXT-X-BYTERANGE:18446744073709551615@18446744073709551615",
    "#EXT-X-KEY:METHOD=NONE",
    "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",IV=0xffffffffffffffffffffffffffffffff",
    "#EXT-X-KEY:METHOD=AES-128,URI=\"k\",KEYFORMAT=\"x\",KEYFORMATVERSIONS=\"1/99999999999\"",
    "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\"",
    "#EXT-X-MAP:URI=\"i\",BYTERANGE=\"10@5\"",
    "#EXT-X-MAP:URI=i",
    "#EXT-X-DEFINE:NAME=\"v\",VALUE=\"w\"",
    "#EXT-X-DEFINE:QUERYPARAM=\"token\"",
    "#EXT-X-START:TIME-OFFSET=-9999999999999999,PRECISE=YES",
    "#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:60.999999999999-23:59",
    "#EXT-X-PROGRAM-DATE-TIME:0000-01-01T00:00:00+23:59",
    "#EXT-X-BITRATE:18446744073709551615",
    "#EXT-X-ENDLIST",
    "#EXT-X-STREAM-INF:BANDWIDTH=0,CODECS=a,b,c,AUDIO=\"g\",RESOLUTION=1x",
    "#EXT-X-STREAM-INF:BANDWIDTH=64000,AUDIO=\"g\",SCORE=nan",
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\",LANGUAGE=\"-\",URI=\"a\",CHANNELS=\"99999999999/JOC\"",
    "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"m\",CHARACTERISTICS=\",,,\"",
    "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\"",
    "segment",
    "{$v}",
    "{$",
    "http://[",
    "",
    "\u{feff}",
    "#",
];

/// Uses everything that a parsed playlist offers.
fn use_all(text: &[u8]) {
    match parse(text) {
        Ok(Playlist::Media(media)) => {
            let count = media.segments().count();
            assert_eq!(count, media.len(), "every segment resolves");
            assert_eq!(
                media.duration(),
                media.segments().map(|segment| segment.duration).sum::<std::time::Duration>()
            );
            for index in 0..=count {
                let start = media.start_of(index).unwrap();
                let found = media.index_at(start);
                assert!(count == 0 || found.is_some());
                let _ = (media.date_time_of(index), media.discontinuity_sequence_of(index));
            }
            let _ = (
                media.unsupported_key(),
                media.start_position(None),
                media.reload_delay(false),
                media.index_of(u64::MAX),
            );
            let _ = format!("{media:?}");
        }
        Ok(Playlist::Master(master)) => {
            for language in [None, Some("en".to_owned())] {
                let preference = AudioPreference { language, ..AudioPreference::default() };
                let ladder = audio_ladder(&master, &preference);
                assert!(ladder.windows(2).all(|pair| pair[0].bandwidth <= pair[1].bandwidth));
                assert_eq!(ladder.is_empty(), master.variants.is_empty());
                let _ = format!("{ladder:?}");
            }
            let _ = format!("{master:?}");
        }
        Err(error) => {
            assert!(error.line >= 1);
            assert!(!error.to_string().is_empty());
        }
    }
}

fn segments_equal(one: &MediaPlaylist, other: &MediaPlaylist) -> bool {
    one.len() == other.len() && one.segments().eq(other.segments())
}

fn reread(text: &[u8]) {
    match parse(text) {
        Ok(Playlist::Media(media)) => {
            let written = writer::media(&media);
            let Ok(Playlist::Media(again)) = parse(written.as_bytes()) else { panic!("{written}") };
            assert!(segments_equal(&media, &again), "{written}");
            assert_eq!(media.target_duration, again.target_duration);
            assert_eq!(media.media_sequence, again.media_sequence);
            assert_eq!(media.discontinuity_sequence, again.discontinuity_sequence);
            assert_eq!((media.playlist_type, media.end_list), (again.playlist_type, again.end_list));
            assert_eq!((media.start, media.version), (again.start, again.version));
        }
        // Of I-frame playlists alone nothing is kept.
        Ok(Playlist::Master(master)) if master.variants.is_empty() && master.media.is_empty() => {}
        Ok(Playlist::Master(master)) => {
            let written = writer::master(&master);
            let Ok(Playlist::Master(again)) = parse(written.as_bytes()) else { panic!("{written}") };
            let without_line = |mut variant: kithara_hls::playlist::VariantStream| {
                variant.line = 0;
                variant.has_frame_rate = false;
                variant
            };
            let variants = |master: &kithara_hls::playlist::MasterPlaylist| {
                master.variants.iter().cloned().map(without_line).collect::<Vec<_>>()
            };
            assert_eq!(variants(&master), variants(&again), "{written}");
            assert_eq!(master.media.len(), again.media.len());
            assert_eq!(master.session_keys, again.session_keys);
        }
        Err(_) => {}
    }
}

/// A well-formed media playlist with everything in it that both parsers understand alike.
pub(crate) fn media_text() -> impl Strategy<Value = String> {
    let segment = (
        1_u64..20_000_000,
        "[a-zA-Z ]{0,12}",
        "[a-z0-9]{1,8}(/[a-z0-9]{1,4})?",
        0_u8..8,
        1_u64..1000,
        any::<bool>(),
    );
    let header = (0_u64..1 << 40, 0_u64..1 << 40, any::<bool>(), any::<bool>());
    (header, prop::collection::vec(segment, 0..24)).prop_map(
        |((sequence, discontinuities, vod, end), segments)| {
            let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:20\n");
            text += &format!(
                "#EXT-X-MEDIA-SEQUENCE:{sequence}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n"
            );
            text += if vod { "#EXT-X-PLAYLIST-TYPE:VOD\n" } else { "" };
            for (index, (micros, title, uri, what, number, flag)) in segments.into_iter().enumerate() {
                match what {
                    1 => text += "#EXT-X-DISCONTINUITY\n",
                    2 => text += &format!("#EXT-X-MAP:URI=\"init{number}.mp4\"\n"),
                    3 => text += &format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key{number}\",IV=0x{number:x}\n"),
                    4 => text += "#EXT-X-KEY:METHOD=NONE\n",
                    5 => {
                        text += &format!(
                            "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T10:{:02}:{:02}.5Z\n",
                            number % 60,
                            index % 60
                        )
                    }
                    6 => text += &format!("#EXT-X-BYTERANGE:{number}@{}\n", number * 7),
                    _ => {}
                }
                text += &format!("#EXTINF:{}.{:06},{title}\n", micros / 1_000_000, micros % 1_000_000);
                text += &format!("{}{uri}\n", if flag { "https://cdn.example.net/" } else { "" });
            }
            text += if end { "#EXT-X-ENDLIST\n" } else { "" };
            text
        },
    )
}

/// Playlists of the corpus, cut and changed at random.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let corpus: Vec<_> = corpus::playlists().into_values().filter(|text| text.len() < 20_000).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..12);
    (prop::sample::select(corpus), changes).prop_map(|(mut text, changes)| {
        for (place, byte, how) in changes {
            if text.is_empty() {
                break;
            }
            let at = place.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => drop(text.remove(at)),
                _ => text.truncate(at),
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        use_all(&bytes);
        use_all(&[b"#EXTM3U\n#EXTINF:", bytes.as_slice()].concat());
    }

    #[test]
    fn random_lines_do_no_harm(lines in prop::collection::vec(prop::sample::select(LINES), 0..40)) {
        let text = format!("#EXTM3U\n{}", lines.join("\n"));
        use_all(text.as_bytes());
    }

    #[test]
    fn mutated_playlists_do_no_harm(text in mutated()) {
        use_all(&text);
    }

    #[test]
    fn what_was_read_and_written_reads_the_same(text in media_text()) {
        reread(text.as_bytes());
    }
}

#[test]
fn the_corpus_reads_the_same_when_it_is_written_again() {
    for (name, text) in corpus::playlists() {
        // Their dates are not of the day that the writer writes; a bitrate without end is not written.
        if !name.starts_with("program-date-time") && !name.starts_with("radio") && name != "daterange" {
            reread(&text);
        }
    }
}

fn limited(text: &str, change: impl FnOnce(&mut Limits)) -> PlaylistErrorKind {
    let mut options = ParseOptions::default();
    change(&mut options.limits);
    parse_with(text.as_bytes(), &base(), &options).unwrap_err().kind
}

#[test]
fn every_bound_is_an_error() {
    let is_too_large = |kind| matches!(kind, PlaylistErrorKind::TooLarge { .. });
    let segments = format!("#EXTM3U\n{}", "#EXTINF:4,\na.ts\n".repeat(11));
    assert!(is_too_large(limited(&segments, |limits| limits.segments = 10)));
    assert!(is_too_large(limited(&segments, |limits| limits.bytes = 100)));
    assert!(is_too_large(limited(&segments, |limits| limits.expanded_bytes = 20)));
    let long = format!("#EXTM3U\n#EXTINF:4,{}\na.ts\n", "x".repeat(1000));
    assert!(is_too_large(limited(&long, |limits| limits.line_bytes = 999)));
    let variants = format!("#EXTM3U\n{}", "#EXT-X-STREAM-INF:BANDWIDTH=1\na\n".repeat(11));
    assert!(is_too_large(limited(&variants, |limits| limits.variants = 10)));
    let media = format!("#EXTM3U\n{}", "#EXT-X-MEDIA:TYPE=VIDEO\n".repeat(11));
    assert!(is_too_large(limited(&media, |limits| limits.renditions = 10)));
    let keys: String = (0..11).map(|n| format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{n}\"\n")).collect();
    assert!(is_too_large(limited(&format!("#EXTM3U\n{keys}"), |limits| limits.keys = 10)));
    let variables: String = (0..11).map(|n| format!("#EXT-X-DEFINE:NAME=\"{n}\",VALUE=\"\"\n")).collect();
    assert!(is_too_large(limited(&format!("#EXTM3U\n{variables}"), |limits| limits.variables = 10)));
    let attributes: Vec<_> = (0..2000).map(|n| format!("A{n}=1")).collect();
    let attributes = format!("#EXTM3U\n#EXT-X-MAP:{}\n", attributes.join(","));
    assert!(is_too_large(limited(&attributes, |_| {})));
}

#[test]
fn variables_cannot_be_made_to_explode() {
    // Each variable is twice the one before: 2^40 bytes, were nobody to count.
    let mut text = String::from("#EXTM3U\n#EXT-X-DEFINE:NAME=\"v0\",VALUE=\"0123456789\"\n");
    for n in 1..40 {
        let before = n - 1;
        text += &format!("#EXT-X-DEFINE:NAME=\"v{n}\",VALUE=\"{{$v{before}}}{{$v{before}}}\"\n");
    }
    assert!(matches!(parse(text.as_bytes()).unwrap_err().kind, PlaylistErrorKind::TooLarge { .. }));
    // Many uses of one long variable.
    let long = "x".repeat(100_000);
    let text = format!(
        "#EXTM3U\n#EXT-X-DEFINE:NAME=\"v\",VALUE=\"{long}\"\n{}",
        "#EXTINF:4,\n{$v}\n".repeat(10_000)
    );
    assert!(matches!(parse(text.as_bytes()).unwrap_err().kind, PlaylistErrorKind::TooLarge { .. }));
}
