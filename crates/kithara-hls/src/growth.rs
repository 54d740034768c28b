//! Playlists without an end: when to load them again, how long to believe in them, and which loads to believe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::HlsError;
use crate::playlist::MediaPlaylist;
use crate::timeline::ReloadKind;

/// Loads are not closer together than this.
const MIN_DELAY: Duration = Duration::from_millis(500);

/// A list that was never seen to grow, and begins with number 0, is complete after so many loads without news: two
/// target durations, where a server has to bring something new within one and a half (RFC 8216, section 6.2.1). Its
/// `EXT-X-ENDLIST` was forgotten, or its encoder was stopped.
const MAX_UNCHANGED: u32 = 4;

/// What is known of the loads of a list without an end.
#[derive(Debug, Clone)]
pub(crate) struct Loads {
    /// When the last load ended.
    at: Instant,
    /// When a load last brought something new.
    changed_at: Instant,
    /// Loads in a row that brought nothing new.
    unchanged: u32,
    /// Since when loads fail, and with what.
    failing: Option<(Instant, Arc<HlsError>)>,
    /// It was seen to grow, or begins in the middle: an encoder is writing it.
    is_live: bool,
    /// A load that is only believed if the next one agrees: where it begins, and how many segments it has.
    doubted: Option<(u64, usize)>,
}

/// What to do at the end of a list that has none.
#[derive(Debug, Clone)]
pub enum Growth {
    /// Load it again then.
    ReloadAt(Instant),
    /// It has not grown for so long that it must have ended.
    Ended,
    /// It could not be loaded for so long that it is given up.
    Failed(Arc<HlsError>),
}

impl Loads {
    /// After the first load.
    pub(crate) fn first(media: &MediaPlaylist, now: Instant) -> Self {
        Self {
            at: now,
            changed_at: now,
            unchanged: 0,
            failing: None,
            is_live: media.media_sequence > 0,
            doubted: None,
        }
    }

    /// A load brought `media` where `before` was known: whether it is believed, and takes its place.
    ///
    /// Lists are read while they are written. One without segments is cut. One that starts over must say so twice. One
    /// that is older than what is known comes from a cache that is behind.
    pub(crate) fn accept(
        &mut self,
        before: &MediaPlaylist,
        media: &MediaPlaylist,
        kind: ReloadKind,
        now: Instant,
    ) -> bool {
        (self.at, self.failing) = (now, None);
        let shape = (media.media_sequence, media.len());
        let is_believed = match kind {
            _ if media.is_empty() => false,
            ReloadKind::Newer => true,
            ReloadKind::Older => false,
            ReloadKind::Restart => self.doubted.is_some_and(|(sequence, len)| {
                media.media_sequence >= sequence
                    && media.media_sequence <= sequence.saturating_add(len as u64)
            }),
        };
        self.doubted = (kind == ReloadKind::Restart && !is_believed && !media.is_empty()).then_some(shape);
        let has_grown = is_believed && end_of(before) != end_of(media);
        if has_grown || (is_believed && media.is_complete()) {
            (self.unchanged, self.changed_at) = (0, now);
        } else {
            self.unchanged += 1;
        }
        self.is_live |= has_grown || media.media_sequence > 0;
        is_believed
    }

    /// A load failed. It tells nothing of whether the list has grown.
    pub(crate) fn fail(&mut self, error: Arc<HlsError>, now: Instant) {
        self.at = now;
        let since = self.failing.take().map_or(now, |(since, _)| since);
        self.failing = Some((since, error));
    }

    /// What to do at the end of `media`, for a reader that has had no audio left since `dry_since`: a list is given up
    /// after `patience`, and not before the reader has run dry for as long.
    pub(crate) fn at_end(
        &self,
        media: &MediaPlaylist,
        dry_since: Option<Instant>,
        patience: Duration,
        now: Instant,
    ) -> Growth {
        let is_over = |since: Instant| {
            dry_since.is_some_and(|dry| now.saturating_duration_since(dry.max(since)) >= patience)
        };
        if let Some((since, error)) = &self.failing
            && is_over(*since)
        {
            return Growth::Failed(Arc::clone(error));
        }
        let is_forgotten =
            !self.is_live && !media.is_empty() && self.failing.is_none() && self.unchanged >= MAX_UNCHANGED;
        if is_forgotten
            || (self.failing.is_none() && self.unchanged >= MAX_UNCHANGED && is_over(self.changed_at))
        {
            return Growth::Ended;
        }
        let is_news = self.unchanged == 0 && self.failing.is_none() && self.doubted.is_none();
        Growth::ReloadAt(self.at + reload_delay(media, is_news))
    }
}

/// How long after a load the next one is due: as long as the segments at the end of the list last, which is how often an
/// encoder adds one, and no more than a third of the window or the target duration; half of it after a load without news.
fn reload_delay(media: &MediaPlaylist, is_news: bool) -> Duration {
    let last = (0..media.len())
        .rev()
        .take(3)
        .filter_map(|index| Some(media.start_of(index + 1)?.saturating_sub(media.start_of(index)?)));
    let longest = last.max().filter(|last| !last.is_zero()).unwrap_or(media.target_duration);
    let third = if media.len() >= 3 { media.duration() / 3 } else { media.target_duration };
    let needed = media.target_duration.min(longest).min(third);
    (if is_news { needed } else { needed / 2 }).max(MIN_DELAY)
}

/// What tells whether a list has grown: the number behind its last segment, and that segment's name, for lists whose
/// numbers stand still.
fn end_of(media: &MediaPlaylist) -> (u64, Option<&str>) {
    let last = media.len().checked_sub(1).and_then(|last| media.name_of(last));
    (media.media_sequence + media.len() as u64, last.map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::{Playlist, parse};

    const PATIENCE: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    fn list(text: &str) -> MediaPlaylist {
        let base = url::Url::parse("https://example.com/a.m3u8").unwrap();
        match parse(format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n{text}").as_bytes(), &base).unwrap() {
            Playlist::Media(media) => media,
            Playlist::Master(_) => panic!("not a media playlist"),
        }
    }

    fn error() -> Arc<HlsError> {
        Arc::new(HlsError::NoRuntime)
    }

    #[test]
    fn an_outage_is_no_end() {
        let media = list("#EXTINF:4,\na\n");
        let now = Instant::now();
        let mut loads = Loads::first(&media, now);
        for _ in 1..MAX_UNCHANGED {
            assert!(loads.accept(&media, &media, ReloadKind::Newer, now));
        }
        assert!(matches!(loads.at_end(&media, Some(now), PATIENCE, now), Growth::ReloadAt(_)));
        loads.fail(error(), now);
        let almost = now + PATIENCE - SECOND;
        assert!(matches!(loads.at_end(&media, Some(now), PATIENCE, almost), Growth::ReloadAt(_)));
        // With audio left there is no end of patience.
        let later = now + PATIENCE * 10;
        assert!(matches!(loads.at_end(&media, None, PATIENCE, later), Growth::ReloadAt(_)));
        let dry = Some(now + PATIENCE * 9);
        assert!(matches!(loads.at_end(&media, dry, PATIENCE, later - SECOND), Growth::ReloadAt(_)));
        assert!(matches!(loads.at_end(&media, dry, PATIENCE, later), Growth::Failed(_)));
        // And one more load that brings nothing new is the end.
        assert!(loads.accept(&media, &media, ReloadKind::Newer, now));
        assert!(matches!(loads.at_end(&media, None, PATIENCE, now), Growth::Ended));
    }

    #[test]
    fn a_list_that_was_growing_may_stand_still_as_long_as_there_is_audio_and_patience() {
        let (one, two) = (list("#EXTINF:4,\na\n"), list("#EXTINF:4,\na\n#EXTINF:4,\nb\n"));
        let now = Instant::now();
        let mut loads = Loads::first(&one, now);
        assert!(loads.accept(&one, &two, ReloadKind::Newer, now));
        for step in 1..=24 {
            assert!(loads.accept(&two, &two, ReloadKind::Newer, now + SECOND * step));
            let growth = loads.at_end(&two, Some(now), PATIENCE, now + SECOND * step);
            assert!(matches!(growth, Growth::ReloadAt(_)), "{step} s");
        }
        assert!(matches!(loads.at_end(&two, Some(now), PATIENCE, now + PATIENCE), Growth::Ended));
    }

    #[test]
    fn a_list_is_loaded_again_as_often_as_it_needs() {
        let delay = |text: &str, is_news| reload_delay(&list(text), is_news);
        let four = "#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n";
        assert_eq!(delay(four, true), SECOND * 4);
        assert_eq!(delay(four, false), SECOND * 2);
        // Short segments under a long target duration.
        let short = "#EXTINF:2,\na\n#EXTINF:2,\nb\n#EXTINF:2,\nc\n#EXTINF:2,\nd\n";
        assert_eq!(delay(short, true), SECOND * 2);
        assert_eq!(delay(short, false), SECOND);
        assert_eq!(delay("#EXTINF:0.1,\na\n", false), MIN_DELAY);
        // One short segment among others is no reason to hurry.
        let last = "#EXTINF:4,\na\n#EXTINF:4,\nb\n#EXTINF:4,\nc\n#EXTINF:0.2,\nd\n";
        assert_eq!(delay(last, true), SECOND * 4);
    }

    #[test]
    fn a_cut_list_is_not_believed_and_a_restart_must_be_told_twice() {
        let media = list("#EXT-X-MEDIA-SEQUENCE:70\n#EXTINF:4,\na\n#EXTINF:4,\nb\n");
        let now = Instant::now();
        let mut loads = Loads::first(&media, now);
        assert!(!loads.accept(&media, &list(""), ReloadKind::Newer, now));
        let restarted = list("#EXTINF:4,\nx\n");
        assert!(!loads.accept(&media, &restarted, ReloadKind::Restart, now));
        // The next load denies it.
        assert!(loads.accept(&media, &media, ReloadKind::Newer, now));
        assert!(!loads.accept(&media, &restarted, ReloadKind::Restart, now));
        assert!(loads.accept(&media, &list("#EXTINF:4,\nx\n#EXTINF:4,\ny\n"), ReloadKind::Restart, now));
    }
}
