//! Tests of what only the parser itself can see. The corpus is read in `tests/playlists`.

mod conformance;

use super::*;

fn parsed(text: &str) -> Playlist {
    let base = Url::parse("https://user:pw@example.com/live/index.m3u8?token=s3cret").unwrap();
    parse(text.as_bytes(), &base).unwrap()
}

fn master(text: &str) -> MasterPlaylist {
    match parsed(&format!("#EXTM3U\n{text}")) {
        Playlist::Master(master) => master,
        Playlist::Media(_) => panic!("not a multivariant playlist"),
    }
}

fn media(text: &str) -> MediaPlaylist {
    match parsed(&format!("#EXTM3U\n{text}")) {
        Playlist::Media(media) => media,
        Playlist::Master(_) => panic!("not a media playlist"),
    }
}

#[test]
fn unknown_attributes_are_ignored() {
    let master = master(concat!(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\",BIT-DEPTH=24,SAMPLE-RATE=48000,X-NEW=\"a,b=c\",URI=\"a\"\n",
        "#EXT-X-STREAM-INF:BANDWIDTH=1,SUPPLEMENTAL-CODECS=\"dvh1.08.07/db4h\",ALLOWED-CPC=\"x:y\",",
        "REQ-VIDEO-LAYOUT=\"CH-MONO\",X-NEW=0x01,AUDIO=\"g\"\nv\n"
    ));
    assert_eq!(master.warnings, []);
    assert_eq!(audio_ladder(&master, &AudioPreference::default()).len(), 1);
}

#[test]
fn renditions_are_reported_whole() {
    let master = master(concat!(
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"g\",NAME=\"n\",LANGUAGE=\"gsw\",ASSOC-LANGUAGE=\"de\",",
        "STABLE-RENDITION-ID=\"id1\",CHANNELS=\"16/JOC\",CHARACTERISTICS=\"a, b\",AUTOSELECT=YES,URI=\"a\"\n",
        "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"g\"\nv\n"
    ));
    let rendition = &master.media[0];
    assert_eq!(rendition.assoc_language.as_deref(), Some("de"));
    assert_eq!(rendition.stable_id.as_deref(), Some("id1"));
    assert_eq!(rendition.channels, Some(16));
    assert_eq!(rendition.characteristics, ["a", "b"]);
    assert!(rendition.autoselect && !rendition.is_default);
}

#[test]
fn session_keys_are_reported_whole() {
    let master = master(concat!(
        "#EXT-X-SESSION-KEY:METHOD=AES-128,URI=\"k\",IV=0x0A,KEYFORMAT=\"identity\",KEYFORMATVERSIONS=\"1/3\"\n",
        "#EXT-X-STREAM-INF:BANDWIDTH=1\nv\n"
    ));
    let key = &master.session_keys[0];
    assert_eq!(key.iv.map(u128::from_be_bytes), Some(10));
    assert_eq!((key.key_format.as_str(), key.key_format_versions.as_slice()), ("identity", &[1, 3][..]));
    assert_eq!(key.unsupported(), None);
}

#[test]
fn keys_and_tokens_are_never_shown() {
    let media = media(concat!(
        "#EXT-X-KEY:METHOD=AES-128,URI=\"key?token=s3cret\",IV=0x00112233445566778899aabbccddeeff\n",
        "#EXT-X-MAP:URI=\"init?token=s3cret\"\n#EXTINF:4,\nsegment?token=s3cret\n"
    ));
    let segment = media.segment(0).unwrap();
    let shown = format!("{segment:?} {media:?} {:?}", segment.key);
    for secret in ["s3cret", "pw", "33", "51"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("AES-128") || shown.contains("Aes128"));
}

#[test]
fn a_segment_costs_as_little_as_is_said() {
    let segments = 9_000;
    let lines: String = (0..segments).map(|n| format!("#EXTINF:4.0,\nsegment-{n:05}.m4s\n")).collect();
    let media = media(&lines);
    assert_eq!(media.len(), segments);
    assert!(
        media.held_bytes() <= segments * (56 + "segment-00000.m4s".len()),
        "{} bytes",
        media.held_bytes()
    );
}

#[test]
fn sub_ranges_of_one_resource_share_its_uri() {
    let mut text = String::from("#EXTINF:4,\n#EXT-X-BYTERANGE:100@0\nthe-one-and-only.mp4\n");
    for _ in 1..1_000 {
        text += "#EXTINF:4,\n#EXT-X-BYTERANGE:100\nthe-one-and-only.mp4\n";
    }
    let media = media(&text);
    assert_eq!(media.segment(999).and_then(|segment| segment.byte_range), Some(99_900..100_000));
    assert!(media.held_bytes() <= 1_000 * 56 + 100, "{} bytes", media.held_bytes());
}

#[test]
fn a_million_segments_are_read_and_one_more_is_refused() {
    let text = format!("#EXTM3U\n{}", "#EXTINF:1,\na\n".repeat(1_000_000));
    let base = Url::parse("https://example.com/a.m3u8").unwrap();
    let Ok(Playlist::Media(media)) = parse(text.as_bytes(), &base) else { panic!("refused") };
    assert_eq!(media.len(), 1_000_000);
    assert_eq!(media.index_at(std::time::Duration::from_secs(999_999)), Some(999_999));
    assert!(media.held_bytes() < 60_000_000, "{} bytes", media.held_bytes());
    let error = parse(format!("{text}#EXTINF:1,\na\n").as_bytes(), &base).unwrap_err();
    assert!(matches!(error.kind, PlaylistErrorKind::TooLarge { limit: 1_000_000, .. }), "{error}");
    assert_eq!(error.line, 2_000_003);
}

#[test]
fn start_of_the_master_serves_where_the_media_playlist_has_none() {
    let segments = "#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n";
    let start =
        |seconds| Start { offset: std::time::Duration::from_secs(seconds), from_end: false, precise: true };
    assert_eq!(media(segments).start_position(None), None);
    assert_eq!(media(segments).start_position(Some(start(5))), Some(std::time::Duration::from_secs(5)));
    let own = media(&format!("#EXT-X-START:TIME-OFFSET=9\n{segments}"));
    assert_eq!(own.start_position(Some(start(5))), Some(std::time::Duration::from_secs(8)));
    assert_eq!(
        media("#EXT-X-TARGETDURATION:4\n").start_position(Some(start(5))),
        Some(std::time::Duration::ZERO)
    );
}

#[test]
fn segments_without_any_duration_last_the_target_duration() {
    let list =
        media("#EXT-X-TARGETDURATION:4\n#EXTINF:0,\na\n#EXTINF:0,\nb\n#EXTINF:0,\nc\n#EXT-X-ENDLIST\n");
    assert_eq!(list.duration(), std::time::Duration::from_secs(12));
    assert_eq!(list.start_of(2), Some(std::time::Duration::from_secs(8)));
    assert_eq!(list.warnings.len(), 1);
    // One without is one without.
    let list = media("#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na\n#EXTINF:0,\nb\n#EXT-X-ENDLIST\n");
    assert_eq!(list.duration(), std::time::Duration::from_secs(4));
}
