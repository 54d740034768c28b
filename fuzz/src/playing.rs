//! Playlists: whatever is accepted can be walked through.

use std::time::Duration;

use url::Url;

use crate::playlists::{
    AudioPreference, MediaPlaylist, ParseOptions, Playlist, audio_ladder, parse, parse_with,
};

/// Parses a playlist, and asks everything of it that the engine asks.
pub fn playlist(data: &[u8]) {
    let Ok(base) = Url::parse("https://example.com/a/b.m3u8?x=1&y=%20") else { return };
    match parse(data, &base) {
        Ok(Playlist::Media(media)) => walk(&media),
        Ok(Playlist::Master(master)) => {
            let ladder = audio_ladder(&master, &AudioPreference::default());
            assert!(ladder.len() <= master.variants.len());
            // What it defines may be imported by its media playlists.
            let options = ParseOptions { imported: Some(&master.variables), ..ParseOptions::default() };
            let _ = parse_with(b"#EXTM3U\n#EXT-X-DEFINE:IMPORT=\"a\"\n", &base, &options);
        }
        Err(error) => {
            let lines = data.iter().filter(|&&byte| byte == b'\n' || byte == b'\r').count() + 1;
            assert!(error.line <= lines, "{error} in a text of {lines} lines");
        }
    }
}

fn walk(media: &MediaPlaylist) {
    let mut end = Duration::ZERO;
    for (index, segment) in media.segments().enumerate() {
        assert_eq!(segment.index, index);
        assert_eq!(segment.start, end, "segments follow each other");
        assert_eq!(media.start_of(index), Some(segment.start));
        end += segment.duration;
        if let Some(range) = &segment.byte_range {
            assert!(range.start <= range.end);
        }
        let _ = (segment.iv(), media.date_time_of(index), media.discontinuity_sequence_of(index));
        assert!(media.discontinuity_domain(segment.discontinuity_sequence).contains(&index));
    }
    assert_eq!(media.duration(), end);
    assert_eq!(media.segments().count(), media.len());
    assert!(media.segment(media.len()).is_none());
    for position in [Duration::ZERO, end / 2, end, end + Duration::from_secs(1), Duration::MAX] {
        assert!(media.index_at(position).is_none_or(|index| index < media.len()));
    }
    let _ = (media.start_position(None), media.reload_delay(true), media.reload_delay(false));
    let _ = (media.unsupported_key(), media.begins_with_discontinuity(), media.is_complete());
}
