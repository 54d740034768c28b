//! `EXT-X-START`: where the author wants playback to begin.

use std::time::Duration;

/// `EXT-X-START`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// `TIME-OFFSET` without its sign.
    pub offset: Duration,
    /// Counted back from the end of the playlist instead of forward from its beginning.
    pub from_end: bool,
    /// `PRECISE=YES`: begin at this very place, and not at the segment that holds it.
    pub precise: bool,
}

impl Start {
    /// The place in a playlist of this duration, clamped to it.
    #[must_use]
    pub fn position(&self, duration: Duration) -> Duration {
        if self.from_end { duration.saturating_sub(self.offset) } else { self.offset.min(duration) }
    }
}
