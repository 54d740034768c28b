//! Lists without an end: when to look again, and when to take them for complete.

use tokio::time::Instant;

use crate::playlist::MediaPlaylist;

/// What is known of the loads of a list.
#[derive(Clone, Copy)]
pub(crate) struct Loaded {
    at: Instant,
    /// Loads in a row that brought nothing new.
    unchanged: u32,
    /// Loads in a row that failed.
    failed: u32,
    /// It was seen to grow, or begins in the middle: somebody is writing it.
    is_live: bool,
}

/// A list without an end that did not grow in so many loads, two target durations, has ended: a server has to bring
/// something new within one and a half (RFC 8216, section 6.2.1).
const MAX_UNCHANGED: u32 = 4;
/// The same for a list that is known to be written: who writes it may pause for twelve target durations.
const MAX_UNCHANGED_LIVE: u32 = 24;
/// Loads in a row of a list that is known that may fail: lists are replaced, and not always at once.
const MAX_FAILED: u32 = 3;

impl Loaded {
    /// After a load that brought `media`, where `before` was known.
    pub(crate) fn after(loaded: Option<Self>, before: Option<&MediaPlaylist>, media: &MediaPlaylist) -> Self {
        let has_grown = before.is_some_and(|before| end_of(before) != end_of(media));
        let is_changed = before.is_none() || has_grown || media.is_complete();
        let unchanged = if is_changed { 0 } else { loaded.map_or(0, |loaded| loaded.unchanged) + 1 };
        let is_live = has_grown || media.media_sequence > 0 || loaded.is_some_and(|loaded| loaded.is_live);
        Self { at: Instant::now(), unchanged, failed: 0, is_live }
    }

    /// Counts a load that failed; false where there were enough. It tells nothing of whether the list has grown.
    pub(crate) fn may_fail(&mut self) -> bool {
        (self.at, self.failed) = (Instant::now(), self.failed + 1);
        self.failed <= MAX_FAILED
    }

    /// When `media` is to be loaded again; `None` where it is complete, or has not grown for so long that it must be.
    pub(crate) fn due(&self, media: &MediaPlaylist) -> Option<Instant> {
        let most = if self.is_live { MAX_UNCHANGED_LIVE } else { MAX_UNCHANGED };
        let delay = media.reload_delay(self.unchanged == 0)?;
        (self.unchanged < most).then(|| self.at + delay)
    }
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

    fn list(text: &str) -> MediaPlaylist {
        let base = url::Url::parse("https://example.com/a.m3u8").unwrap();
        match parse(format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n{text}").as_bytes(), &base).unwrap() {
            Playlist::Media(media) => media,
            Playlist::Master(_) => panic!("not a media playlist"),
        }
    }

    #[tokio::test]
    async fn an_outage_is_no_end() {
        let media = list("#EXTINF:4,\na\n");
        let mut loaded = Loaded::after(None, None, &media);
        for _ in 1..MAX_UNCHANGED {
            loaded = Loaded::after(Some(loaded), Some(&media), &media);
        }
        assert!(loaded.due(&media).is_some());
        for _ in 0..MAX_FAILED {
            assert!(loaded.may_fail() && loaded.due(&media).is_some(), "a load that failed tells of no end");
        }
        assert!(!loaded.may_fail());
        // And one more that brings nothing new does.
        let ended = Loaded::after(Some(loaded), Some(&media), &media);
        assert_eq!(ended.due(&media), None);
    }
}
