//! What the worker sends to the reader: one message for each segment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kithara_net::RedactedUrl;
use kithara_storage::Streaming;
use url::Url;

use crate::abr::SwitchReason;
use crate::body::SegmentBody;
use crate::error::HlsError;
use crate::playlist::MediaPlaylist;
use crate::segment::{SegmentId, SegmentPlace};

/// One segment, in the order of the timeline.
///
/// A message is a handle: queued, it holds no media bytes but the init section, which all messages of a variant share.
#[derive(Clone)]
#[non_exhaustive]
pub struct HlsMessage<R> {
    /// Index in the ladder.
    pub variant: usize,
    /// Why this variant was chosen.
    pub reason: SwitchReason,
    /// Index in the media playlist, as it was when the segment was planned: live lists slide.
    pub segment: usize,
    /// Its number among all segments that the variant ever listed.
    pub number: u64,
    /// Whether it is the first of the presentation.
    pub is_first: bool,
    /// Its place on the timeline: the sum of the durations before it.
    pub start: Duration,
    /// Its duration by the playlist.
    pub duration: Duration,
    /// Number of its discontinuity domain: timestamps go on inside of one.
    pub discontinuity_sequence: u64,
    /// Where it comes from.
    pub url: Url,
    /// `EXT-X-MAP`, if there is one.
    pub init: Option<Bytes>,
    /// Its content.
    pub content: Content<R>,
    /// Its body is decrypted on the way out of the store.
    pub is_encrypted: bool,
    /// The list that it was planned from, in which `segment` is its index.
    pub list: Arc<MediaPlaylist>,
}

impl<R: fmt::Debug> fmt::Debug for HlsMessage<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HlsMessage")
            .field("variant", &self.variant)
            .field("segment", &self.segment)
            .field("start", &self.start)
            .field("duration", &self.duration)
            .field("url", &RedactedUrl(&self.url))
            .field("init", &self.init.as_ref().map(Bytes::len))
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl<R> HlsMessage<R> {
    /// The segment, whatever becomes of the list.
    #[must_use]
    pub fn place(&self) -> SegmentPlace {
        let Self { variant, number, discontinuity_sequence, start, duration, .. } = *self;
        SegmentPlace { id: SegmentId { variant, number }, discontinuity_sequence, start, duration }
    }

    /// The media rules; the author should know. What the decoder holds back across segments is well below this.
    pub(crate) fn warn_of_length(&self, actual: Duration) {
        let declared = self.duration;
        if actual.abs_diff(declared) > declared / 10 + Duration::from_millis(500) {
            tracing::warn!(
                segment = self.segment,
                ?declared,
                ?actual,
                "a segment is not as long as its EXTINF says"
            );
        }
    }
}

impl<R: Streaming> HlsMessage<R> {
    /// Bytes of the body, as far as they are known.
    pub(crate) fn body_len(&self) -> u64 {
        match &self.content {
            Content::Body { body, .. } => body.len().unwrap_or(0),
            Content::Gap { .. } => 0,
        }
    }
}

/// What a message brings.
#[derive(Debug, Clone)]
pub enum Content<R> {
    /// A body, to be read while it arrives.
    Body {
        /// The window of the stored resource.
        body: SegmentBody<R>,
        /// It was complete in the store before it was asked for.
        cached: bool,
    },
    /// Nothing: silence of the segment's duration.
    Gap {
        /// Why, where the playlist itself did not declare it.
        error: Option<Arc<HlsError>>,
    },
}

/// What the reader tells the worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum HlsCommand {
    /// Go on from the segment that holds this place of the timeline.
    Seek {
        /// Place on the timeline.
        to: Duration,
    },
    /// This segment could not be delivered or decoded: bring it from elsewhere.
    Failed {
        /// Which one.
        segment: SegmentPlace,
        /// Where to go on: the reader's place, less what the codec needs to get going.
        resume_at: Duration,
        /// What was wrong.
        failure: Failure,
    },
    /// Change the variant mode; segments from `from` on are chosen anew.
    SetMode {
        /// The new mode.
        mode: crate::VariantMode,
        /// Place on the timeline of the first segment that may change.
        from: Duration,
    },
}

/// How a segment failed, as far as the remedy depends on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// HTTP status of a server's refusal.
    pub status: Option<u16>,
    /// The variant can never be decoded here.
    pub is_unsupported: bool,
    /// The segment arrived, and is not media.
    pub is_damaged: bool,
    /// What happened.
    pub error: Arc<HlsError>,
}

impl Failure {
    /// Reads from `error` what the remedy depends on.
    pub(crate) fn new(error: HlsError) -> Self {
        Self {
            status: error.status(),
            is_unsupported: error.is_unsupported(),
            is_damaged: error.is_damaged(),
            error: Arc::new(error),
        }
    }
}
