//! What an HLS stream tells its application while it plays.

use std::time::Duration;

use kithara_decode::AudioSpec;
use url::Url;

use crate::abr::{Decision, DecisionInputs, SwitchReason};
use crate::options::VariantInfo;

/// Something that happened in an HLS stream.
///
/// Events are sent over a `tokio::sync::broadcast` channel: a receiver that falls behind loses the oldest and is told
/// how many. They carry no secrets: URLs have lost query values and credentials.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HlsEvent {
    /// The playlists are known.
    Opened {
        /// The audio ladder, by ascending bandwidth.
        variants: Vec<VariantInfo>,
        /// Sum of the segments' durations; `None` while the playlist may still grow.
        duration: Option<Duration>,
    },
    /// The playlist has no `EXT-X-ENDLIST`: it may grow, and its end is not known.
    EndListMissing {
        /// The media playlist, without query and credentials.
        url: Url,
    },
    /// Another variant is heard from this place of the audio on.
    VariantSwitched {
        /// Place in the audio.
        at: Duration,
        /// The variant before, an index of the ladder.
        from: usize,
        /// The variant from here on, an index of the ladder.
        to: usize,
        /// Why.
        reason: SwitchReason,
    },
    /// The variant of the next segment was chosen.
    Decision {
        /// The variant, an index of the ladder.
        variant: usize,
        /// It differs from the one before.
        switched: bool,
        /// Why this variant was chosen, now or when it was.
        reason: SwitchReason,
        /// What the decision was based on.
        inputs: DecisionInputs,
    },
    /// A variant left the ladder, for a while or for good.
    VariantExcluded {
        /// An index of the ladder.
        variant: usize,
        /// `None`: for good.
        penalty: Option<Duration>,
        /// What was wrong with it.
        error: String,
    },
    /// A segment's body begins to be decoded.
    SegmentStarted {
        /// An index of the ladder.
        variant: usize,
        /// Index in the media playlist.
        segment: usize,
        /// Its place on the timeline.
        start: Duration,
        /// Its body was in the store already.
        cached: bool,
    },
    /// A segment arrived so slowly that it would have come too late, and is fetched again from a lesser variant.
    SegmentAbandoned {
        /// An index of the ladder.
        variant: usize,
        /// Index in the media playlist.
        segment: usize,
    },
    /// A segment's body is complete in the store.
    SegmentStored {
        /// An index of the ladder.
        variant: usize,
        /// Index in the media playlist.
        segment: usize,
        /// Bytes that came over the network for it.
        bytes: u64,
        /// From the request to the last byte.
        elapsed: Duration,
    },
    /// The PCM has another rate or other channels from here on. Only with
    /// [`HlsOptions::native_format`](crate::HlsOptions::native_format).
    FormatChanged {
        /// Place in the audio.
        at: Duration,
        /// The format of the chunk that comes next.
        spec: AudioSpec,
    },
    /// A part of the audio is silence: `EXT-X-GAP`, or a segment that nobody could deliver.
    Gap {
        /// Index in the media playlist.
        segment: usize,
        /// Its place on the timeline.
        start: Duration,
        /// How much silence stands in its place.
        duration: Duration,
        /// What was wrong; `None` where the playlist itself declared the gap.
        error: Option<String>,
    },
    /// The cache cannot be used; playback goes on from memory.
    CacheUnavailable {
        /// What was wrong.
        error: String,
    },
    /// A live playlist has not grown for so long that the presentation must be over, though nothing said so
    /// ([`HlsOptions::live_patience`](crate::HlsOptions::live_patience)).
    EndedWithoutEndList {
        /// Where it ends on the timeline.
        at: Duration,
    },
    /// A start or a seek went beyond the edge of a live presentation, and was moved to it.
    SeekClamped {
        /// Position that was wanted.
        wanted: Duration,
        /// Position of the edge.
        to: Duration,
    },
    /// Playback ran dry: the PCM that comes next is not there yet.
    Stalled {
        /// Position of that PCM.
        at: Duration,
    },
    /// The PCM that was waited for is there.
    Resumed {
        /// Its position.
        at: Duration,
        /// How long it was waited for.
        after: Duration,
    },
    /// The last frame was given out.
    Ended,
}

impl HlsEvent {
    /// The event of a decision.
    pub(crate) fn decision(decision: &Decision, inputs: &DecisionInputs) -> Self {
        let Decision { variant, switched, reason } = *decision;
        Self::Decision { variant, switched, reason, inputs: *inputs }
    }
}

/// A URL as an event may carry it.
pub(crate) fn without_secrets(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    // A URL that cannot have them has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_tells_which_list_and_no_secret() {
        let url = Url::parse("https://me:hunter2@example.com:8443/a/b.m3u8?token=hunter2#x").unwrap();
        assert_eq!(without_secrets(&url).as_str(), "https://example.com:8443/a/b.m3u8");
        let url = Url::parse("data:text/plain,x").unwrap();
        assert_eq!(without_secrets(&url), url);
    }
}
