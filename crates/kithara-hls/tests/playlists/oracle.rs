//! m3u8-rs as the oracle: where both parse, both say the same.
//!
//! What m3u8-rs loses is left out of the comparison: KEY and MAP on all segments but the one after the tag, the order
//! of KEY and MAP, and the digits that an `f32` cannot hold.

use kithara_hls::playlist::{MasterPlaylist, MediaPlaylist, Playlist};
use proptest::prelude::*;

use crate::{base, corpus, parse, properties};

fn compare_media(name: &str, ours: &MediaPlaylist, theirs: &m3u8_rs::MediaPlaylist) {
    assert_eq!(ours.len(), theirs.segments.len(), "{name}: segments");
    assert_eq!(ours.media_sequence, theirs.media_sequence, "{name}: media sequence");
    assert_eq!(ours.discontinuity_sequence, theirs.discontinuity_sequence, "{name}: discontinuity sequence");
    assert_eq!(ours.end_list, theirs.end_list, "{name}: end list");
    assert_eq!(ours.independent_segments, theirs.independent_segments, "{name}: independent segments");
    for (ours, theirs) in ours.segments().zip(&theirs.segments) {
        let at = format!("{name}: segment {}", ours.index);
        assert_eq!(ours.uri, base().join(theirs.uri.trim()).unwrap(), "{at}: URI");
        assert!((ours.duration.as_secs_f64() - f64::from(theirs.duration)).abs() < 1e-3, "{at}: duration");
        let title = theirs.title.as_deref().map(str::trim).filter(|title| !title.is_empty());
        assert_eq!(ours.title.as_deref(), title, "{at}: title");
        assert_eq!(ours.discontinuity, theirs.discontinuity, "{at}: discontinuity");
        let range = ours.byte_range.as_ref();
        assert_eq!(
            range.map(|range| range.end - range.start),
            theirs.byte_range.as_ref().map(|range| range.length),
            "{at}: range"
        );
        if let Some(offset) = theirs.byte_range.as_ref().and_then(|range| range.offset) {
            assert_eq!(range.map(|range| range.start), Some(offset), "{at}: range");
        }
        if let Some(map) = &theirs.map {
            let ours = ours.map.as_ref().unwrap();
            assert_eq!(ours.uri, base().join(&map.uri).unwrap(), "{at}: map");
        }
        if let Some(date) = theirs.program_date_time {
            let ours = ours.program_date_time.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
            assert_eq!(i64::try_from(ours.as_millis()).unwrap(), date.timestamp_millis(), "{at}: date");
        }
    }
}

fn compare_master(name: &str, ours: &MasterPlaylist, theirs: &m3u8_rs::MasterPlaylist) {
    let variants: Vec<_> = theirs.variants.iter().filter(|variant| !variant.is_i_frame).collect();
    assert_eq!(ours.variants.len(), variants.len(), "{name}: variants");
    for (ours, theirs) in ours.variants.iter().zip(variants) {
        assert_eq!(ours.uri, base().join(&theirs.uri).unwrap(), "{name}: URI");
        assert_eq!(ours.bandwidth, theirs.bandwidth, "{name}: bandwidth");
        assert_eq!(ours.average_bandwidth, theirs.average_bandwidth, "{name}: average bandwidth");
        assert_eq!(ours.codecs.to_string(), theirs.codecs.clone().unwrap_or_default(), "{name}: codecs");
        let resolution = |width: u64, height: u64| (width, height);
        assert_eq!(
            ours.resolution.map(|r| resolution(r.width, r.height)),
            theirs.resolution.map(|r| resolution(r.width, r.height)),
            "{name}: resolution"
        );
        assert_eq!(ours.audio_group, theirs.audio, "{name}: audio group");
    }
    let audio = |media: &&m3u8_rs::AlternativeMedia| media.media_type == m3u8_rs::AlternativeMediaType::Audio;
    let theirs: Vec<_> = theirs.alternatives.iter().filter(audio).collect();
    assert_eq!(ours.media.len(), theirs.len(), "{name}: renditions");
    for (ours, theirs) in ours.media.iter().zip(theirs) {
        assert_eq!((&ours.group_id, &ours.name), (&theirs.group_id, &theirs.name), "{name}: rendition");
        assert_eq!(ours.language, theirs.language, "{name}: language");
        assert_eq!(ours.is_default, theirs.default, "{name}: default");
        assert_eq!(ours.uri, theirs.uri.as_ref().map(|uri| base().join(uri).unwrap()), "{name}: URI");
    }
}

/// Whether both parsed, and so were compared.
fn compare(name: &str, text: &[u8]) -> bool {
    let (Ok(ours), Ok((_, theirs))) = (parse(text), m3u8_rs::parse_playlist(text)) else { return false };
    match (&ours, &theirs) {
        (Playlist::Media(ours), m3u8_rs::Playlist::MediaPlaylist(theirs)) => {
            compare_media(name, ours, theirs)
        }
        (Playlist::Master(ours), m3u8_rs::Playlist::MasterPlaylist(theirs)) => {
            compare_master(name, ours, theirs)
        }
        _ => panic!("{name}: not the same kind"),
    }
    true
}

/// Playlists where m3u8-rs is wrong, each with what it does.
const THEIR_ERRORS: &[(&str, &str)] = &[
    ("byterange-spaces", "loses a byte range with spaces in it"),
    ("cr-only", "takes a lone CR for a part of the line"),
    ("define-empty-value", "does not replace variables"),
    ("define-in-define", "does not replace variables"),
    ("define-name", "does not replace variables"),
    ("define-queryparam", "does not replace variables"),
    ("discontinuity-sequence-garbage", "takes a tag that it cannot read for a segment"),
    (
        "discontinuity-sequence-late",
        "obeys the tag after the first segment, where the specification forbids it",
    ),
    ("extinf-leading-dot", "takes .5 for 0"),
    ("extinf-m3u-attributes", "takes the attributes for a segment"),
    ("extinf-space", "takes a duration after a space for 0"),
    ("extinf-title", "takes the line after a blank title for a segment"),
    ("extinf-title-latin1", "stops at a title that is not UTF-8"),
    ("header-with-attributes", "takes the rest of the header line for a segment"),
    ("master-bad-resolution", "drops a variant whose resolution it cannot read"),
    ("master-define", "does not replace variables"),
    ("master-fractional-bandwidth", "drops a variant whose bandwidth is no integer"),
    ("master-group-missing", "keeps the name of a group that does not exist"),
    ("master-inf-at-the-end", "counts a variant without a URI"),
    ("master-inf-without-uri", "takes a tag for the URI of the variant before"),
    ("master-media-without-name", "drops a rendition without a name"),
    ("master-missing-bandwidth", "drops a variant without a bandwidth"),
    ("master-unquoted-codecs", "drops a variant whose codecs are not quoted"),
    ("master-uri-without-inf", "takes a stray URI for that of a variant"),
    ("media-sequence-late", "obeys the tag after the first segment, where the specification forbids it"),
    ("radio-packed-audio", "takes the attributes for a segment"),
    ("target-float", "takes what is left of the number for a segment"),
];

#[test]
fn the_corpus_reads_as_m3u8_rs_reads_it() {
    let (mut compared, mut different) = (0, Vec::new());
    for (name, text) in corpus::playlists() {
        let known = THEIR_ERRORS.iter().any(|(known, _)| *known == name);
        match std::panic::catch_unwind(|| compare(&name, &text)) {
            Ok(true) if known => different.push(format!("{name}: m3u8-rs got it right")),
            Ok(both) => compared += usize::from(both),
            Err(_) if known => {}
            Err(panic) => different.push(panic.downcast::<String>().map_or(name, |message| *message)),
        }
    }
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
    assert!(compared >= 100, "{compared} compared");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_media_playlists_read_as_m3u8_rs_reads_them(text in properties::media_text()) {
        prop_assert!(compare("generated", text.as_bytes()), "{text}");
    }
}
