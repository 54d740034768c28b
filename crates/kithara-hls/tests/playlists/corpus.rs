//! Every playlist of `tests/corpus` gives what `expected.tsv` says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kithara_hls::playlist::{
    AudioPreference, MasterPlaylist, MediaPlaylist, ParseOptions, Playlist, PlaylistType, Segment, Variables,
    audio_ladder, parse_with,
};

use crate::base;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "corpus"].iter().collect()
}

/// Name and text of every playlist of the corpus.
pub(crate) fn playlists() -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let playlists = files.filter(|path| path.extension().is_some_and(|extension| extension == "m3u8"));
    playlists
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

fn imported() -> Variables {
    let master =
        b"#EXTM3U\n#EXT-X-DEFINE:NAME=\"auth\",VALUE=\"abc\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n";
    match crate::parse(master).unwrap() {
        Playlist::Master(master) => master.variables,
        Playlist::Media(_) => unreachable!(),
    }
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

fn seconds(duration: Duration) -> String {
    duration.as_secs_f64().to_string()
}

fn millis(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis().to_string()
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn segment_fact(media: &MediaPlaylist, segment: &Segment, fact: &str) -> String {
    let map = segment.map.as_ref();
    let range = |range: Option<&std::ops::Range<u64>>| {
        optional(range.map(|range| format!("{}..{}", range.start, range.end)))
    };
    match fact {
        "uri" => segment.uri.to_string(),
        "start" => seconds(segment.start),
        "title" => segment.title.clone().unwrap_or_default(),
        "range" => range(segment.byte_range.as_ref()),
        "map" => optional(map.map(|map| &map.uri)),
        "maprange" => range(map.and_then(|map| map.byte_range.as_ref())),
        "mapkey" => optional(map.and_then(|map| Some(&map.key.as_ref()?.uri))),
        "key" => optional(segment.key.as_ref().map(|key| &key.uri)),
        "method" => optional(segment.key.as_ref().map(|key| &key.method)),
        "iv" => optional(segment.iv().map(hex)),
        "msn" => segment.media_sequence.to_string(),
        "disc" => segment.discontinuity_sequence.to_string(),
        "pdt" => optional(segment.program_date_time.map(millis)),
        "date" => optional(media.date_time_of(segment.index).map(millis)),
        "bitrate" => optional(segment.bitrate),
        _ => panic!("unknown fact {fact}"),
    }
}

fn media_fact(media: &MediaPlaylist, fact: &str) -> String {
    let count = |pick: &dyn Fn(&Segment) -> Option<String>| {
        media.segments().filter_map(|segment| pick(&segment)).collect::<BTreeSet<_>>().len().to_string()
    };
    if let Some((fact, index)) = fact.split_once('@') {
        return segment_fact(media, &media.segment(index.parse().unwrap()).unwrap(), fact);
    }
    match fact {
        "kind" => "media".to_owned(),
        "segments" => media.segments().count().to_string(),
        "duration" => seconds(media.duration()),
        "target" => seconds(media.target_duration),
        "seq" => media.media_sequence.to_string(),
        "dseq" => media.discontinuity_sequence.to_string(),
        "type" => optional(media.playlist_type.map(|kind| match kind {
            PlaylistType::Vod => "vod",
            PlaylistType::Event => "event",
        })),
        "end" => media.end_list.to_string(),
        "complete" => media.is_complete().to_string(),
        "reload" => optional(media.reload_delay(true).map(seconds)),
        "version" => media.version.to_string(),
        "independent" => media.independent_segments.to_string(),
        "lowlatency" => media.low_latency.to_string(),
        "warnings" => media.warnings.len().to_string(),
        "gaps" => media.segments().filter(|segment| segment.gap).count().to_string(),
        "discs" => {
            let indexes = media
                .segments()
                .filter(|segment| segment.discontinuity)
                .map(|segment| segment.index.to_string());
            indexes.collect::<Vec<_>>().join(",")
        }
        "keys" => {
            count(&|segment| segment.key.as_ref().map(|key| format!("{:p}", std::sync::Arc::as_ptr(key))))
        }
        "maps" => {
            count(&|segment| segment.map.as_ref().map(|map| format!("{:p}", std::sync::Arc::as_ptr(map))))
        }
        "start" => optional(media.start_position(None).map(seconds)),
        "unsupported" => optional(media.unsupported_key().map(|(index, reason)| format!("{index} {reason}"))),
        _ => panic!("unknown fact {fact}"),
    }
}

fn preference(text: &str) -> AudioPreference {
    let mut preference = AudioPreference::default();
    match text.split_once(':') {
        Some(("name", name)) => preference.name = Some(name.to_owned()),
        Some(("ch", id)) => preference.characteristics.push(id.to_owned()),
        _ if text.is_empty() => {}
        _ => preference.language = Some(text.to_owned()),
    }
    preference
}

fn master_fact(master: &MasterPlaylist, fact: &str) -> String {
    // `lo.m3u8` in the table is `https://example.com/live/lo.m3u8`.
    let short = |url: &url::Url| url.as_str().trim_start_matches("https://example.com/live/").to_owned();
    if let Some(wanted) = fact.strip_prefix("ladder") {
        let wanted = wanted.trim_start_matches('(').trim_end_matches(')');
        let ladder = audio_ladder(master, &preference(wanted));
        assert!(ladder.iter().enumerate().all(|(index, rung)| rung.index == index));
        let rungs = ladder.iter().map(|rung| format!("{}:{}", rung.bandwidth, short(&rung.playlist_url)));
        return rungs.collect::<Vec<_>>().join(",");
    }
    if let Some((fact, index)) = fact.split_once('@') {
        let index: usize = index.parse().unwrap();
        let rung = &audio_ladder(master, &AudioPreference::default())[index];
        return match fact {
            "redundant" => rung.redundant.iter().map(short).collect::<Vec<_>>().join(","),
            "codecs" => rung.codecs.to_string(),
            "video" => rung.has_video.to_string(),
            "channels" => optional(rung.channels),
            "average" => optional(master.variants[index].average_bandwidth),
            "name" => master.media[index].name.clone(),
            _ => panic!("unknown fact {fact}"),
        };
    }
    match fact {
        "kind" => "master".to_owned(),
        "variants" => master.variants.len().to_string(),
        "renditions" => master.media.len().to_string(),
        "session_keys" => master.session_keys.len().to_string(),
        "variables" => master.variables.len().to_string(),
        "independent" => master.independent_segments.to_string(),
        "warnings" => master.warnings.len().to_string(),
        "start" => optional(
            master
                .start
                .map(|start| format!("{}{}", if start.from_end { "-" } else { "" }, seconds(start.offset))),
        ),
        _ => panic!("unknown fact {fact}"),
    }
}

#[test]
fn every_playlist_of_the_corpus_gives_what_is_expected() {
    let table = std::fs::read_to_string(folder().join("expected.tsv")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').unwrap());
    let playlists = playlists();
    let imported = imported();
    let options = ParseOptions { imported: Some(&imported), ..ParseOptions::default() };
    let base = base();
    let mut failures = Vec::new();
    let mut listed = BTreeSet::new();
    for (name, facts) in rows {
        let Some(text) = playlists.get(name) else {
            failures.push(format!("{name}: no such file"));
            continue;
        };
        listed.insert(name.to_owned());
        let result = parse_with(text, &base, &options);
        for fact in facts.split("; ") {
            let (fact, expected) = fact.split_once('=').unwrap();
            let actual = match (&result, fact) {
                (Err(error), "error") => format!("{} {}", error.line, error.kind),
                (Err(error), _) => format!("error {error}"),
                (Ok(_), "error") => "no error".to_owned(),
                (Ok(Playlist::Media(media)), fact) => media_fact(media, fact),
                (Ok(Playlist::Master(master)), fact) => master_fact(master, fact),
            };
            let matches = if fact == "error" { actual.starts_with(expected) } else { actual == expected };
            if !matches {
                failures.push(format!("{name}: {fact} is {actual}, not {expected}"));
            }
        }
    }
    let unlisted = playlists.keys().filter(|name| !listed.contains(*name));
    failures.extend(unlisted.map(|name| format!("{name}: not in the table")));
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(listed.len() >= 150, "{} playlists", listed.len());
}

#[test]
fn errors_and_debug_texts_hold_no_secrets() {
    let base = base();
    for (name, text) in playlists() {
        let shown = match parse_with(&text, &base, &ParseOptions::default()) {
            Ok(Playlist::Media(media)) => {
                format!("{media:?} {:?} {:?}", media.warnings, media.segments().collect::<Vec<_>>())
            }
            Ok(Playlist::Master(master)) => {
                format!("{master:?} {:?}", audio_ladder(&master, &AudioPreference::default()))
            }
            Err(error) => format!("{error} {error:?}"),
        };
        for secret in ["s3cr", "AAAA", "0x0123", "89abcdef", "r=52", "t=1", "auth=abc"] {
            assert!(!shown.contains(secret), "{name} shows {secret}: {shown}");
        }
    }
}
