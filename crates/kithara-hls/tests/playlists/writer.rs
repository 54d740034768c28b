//! Writes a parsed playlist out again, so that it can be read a second time.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use kithara_hls::playlist::{KeyInfo, MasterPlaylist, MediaPlaylist, PlaylistType, Start};

fn decimal(duration: Duration) -> String {
    format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos())
}

fn start(text: &mut String, start: Option<Start>) {
    if let Some(start) = start {
        let sign = if start.from_end { "-" } else { "" };
        let precise = if start.precise { "YES" } else { "NO" };
        writeln!(text, "#EXT-X-START:TIME-OFFSET={sign}{},PRECISE={precise}", decimal(start.offset)).unwrap();
    }
}

fn key(text: &mut String, tag: &str, key: Option<&KeyInfo>) {
    let Some(key) = key else {
        writeln!(text, "#{tag}:METHOD=NONE").unwrap();
        return;
    };
    write!(text, "#{tag}:METHOD={},URI=\"{}\",KEYFORMAT=\"{}\"", key.method, key.uri, key.key_format)
        .unwrap();
    if let Some(iv) = key.iv {
        write!(text, ",IV=0x{:032x}", u128::from_be_bytes(iv)).unwrap();
    }
    if !key.key_format_versions.is_empty() {
        let versions: Vec<_> = key.key_format_versions.iter().map(u32::to_string).collect();
        write!(text, ",KEYFORMATVERSIONS=\"{}\"", versions.join("/")).unwrap();
    }
    text.push('\n');
}

/// A media playlist. A bitrate that ends before a segment without one is not written.
pub(crate) fn media(media: &MediaPlaylist) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{}\n", media.version);
    writeln!(text, "#EXT-X-TARGETDURATION:{}", decimal(media.target_duration)).unwrap();
    writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", media.media_sequence).unwrap();
    writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", media.discontinuity_sequence).unwrap();
    match media.playlist_type {
        Some(PlaylistType::Vod) => text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n"),
        Some(PlaylistType::Event) => text.push_str("#EXT-X-PLAYLIST-TYPE:EVENT\n"),
        None => {}
    }
    if media.independent_segments {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    start(&mut text, media.start);
    let (mut map, mut bitrate) = (None, None);
    for segment in media.segments() {
        if segment.map != map
            && let Some(new) = &segment.map
        {
            key(&mut text, "EXT-X-KEY", None);
            key(&mut text, "EXT-X-KEY", new.key.as_deref());
            write!(text, "#EXT-X-MAP:URI=\"{}\"", new.uri).unwrap();
            if let Some(range) = &new.byte_range {
                write!(text, ",BYTERANGE=\"{}@{}\"", range.end - range.start, range.start).unwrap();
            }
            text.push('\n');
            map = segment.map.clone();
        }
        key(&mut text, "EXT-X-KEY", None);
        if let Some(own) = segment.key.as_deref() {
            key(&mut text, "EXT-X-KEY", Some(own));
        }
        if segment.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if segment.gap {
            text.push_str("#EXT-X-GAP\n");
        }
        if let Some(date) = segment.program_date_time.and_then(|date| date.duration_since(UNIX_EPOCH).ok()) {
            // 1970-01-01 and that many seconds would be no date: the tests have dates of one day only.
            let (hours, minutes) = (date.as_secs() / 3600, date.as_secs() / 60 % 60);
            let seconds = decimal(Duration::new(date.as_secs() % 60, date.subsec_nanos()));
            writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T{hours:02}:{minutes:02}:{seconds}Z").unwrap();
        }
        if segment.bitrate != bitrate
            && let Some(new) = segment.bitrate
        {
            writeln!(text, "#EXT-X-BITRATE:{}", new / 1000).unwrap();
            bitrate = segment.bitrate;
        }
        if let Some(range) = &segment.byte_range {
            writeln!(text, "#EXT-X-BYTERANGE:{}@{}", range.end - range.start, range.start).unwrap();
        }
        writeln!(text, "#EXTINF:{},{}", decimal(segment.duration), segment.title.unwrap_or_default())
            .unwrap();
        writeln!(text, "{}", segment.uri).unwrap();
    }
    if media.end_list {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// A multivariant playlist; frame rates and variables are not written.
pub(crate) fn master(master: &MasterPlaylist) -> String {
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{}\n", master.version);
    if master.independent_segments {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    start(&mut text, master.start);
    for session_key in &master.session_keys {
        key(&mut text, "EXT-X-SESSION-KEY", Some(session_key));
    }
    let quoted = |text: &mut String, name: &str, value: Option<&str>| {
        if let Some(value) = value {
            write!(text, ",{name}=\"{value}\"").unwrap();
        }
    };
    for media in &master.media {
        write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"{}\"", media.group_id, media.name)
            .unwrap();
        quoted(&mut text, "LANGUAGE", media.language.as_deref());
        quoted(&mut text, "ASSOC-LANGUAGE", media.assoc_language.as_deref());
        quoted(&mut text, "URI", media.uri.as_ref().map(url::Url::as_str));
        quoted(&mut text, "STABLE-RENDITION-ID", media.stable_id.as_deref());
        quoted(&mut text, "CHANNELS", media.channels.map(|channels| channels.to_string()).as_deref());
        if !media.characteristics.is_empty() {
            quoted(&mut text, "CHARACTERISTICS", Some(&media.characteristics.join(",")));
        }
        let yes = |value| if value { "YES" } else { "NO" };
        writeln!(text, ",DEFAULT={},AUTOSELECT={}", yes(media.is_default), yes(media.autoselect)).unwrap();
    }
    for variant in &master.variants {
        write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={}", variant.bandwidth).unwrap();
        if let Some(average) = variant.average_bandwidth {
            write!(text, ",AVERAGE-BANDWIDTH={average}").unwrap();
        }
        if !variant.codecs.is_empty() {
            quoted(&mut text, "CODECS", Some(&variant.codecs.to_string()));
        }
        if let Some(resolution) = variant.resolution {
            write!(text, ",RESOLUTION={}x{}", resolution.width, resolution.height).unwrap();
        }
        if let Some(score) = variant.score {
            write!(text, ",SCORE={score}").unwrap();
        }
        quoted(&mut text, "AUDIO", variant.audio_group.as_deref());
        quoted(&mut text, "VIDEO", variant.video_group.as_deref());
        quoted(&mut text, "STABLE-VARIANT-ID", variant.stable_id.as_deref());
        quoted(&mut text, "PATHWAY-ID", variant.pathway_id.as_deref());
        quoted(&mut text, "NAME", variant.name.as_deref());
        writeln!(text, "\n{}", variant.uri).unwrap();
    }
    text
}
