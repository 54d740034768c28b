//! What a simulation gives.

use std::time::Duration;

use crate::abr::SwitchReason;

/// How a fetch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchResult {
    /// All bytes came.
    Complete,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
    /// It was under way at the end.
    Pending,
}

/// A request for a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FetchLog {
    /// Index in the ladder.
    pub variant: usize,
    /// Index of the segment at the origin.
    pub segment: usize,
    /// When it was asked for.
    pub begun: Duration,
    /// When it ended.
    pub ended: Duration,
    /// Bytes that came.
    pub bytes: u64,
    /// How it ended.
    pub result: FetchResult,
}

/// A stretch of audio that was heard.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Played {
    /// Index in the ladder.
    pub variant: usize,
    /// Index of the segment at the origin; `None`: silence.
    pub segment: Option<usize>,
    /// Where the segment begins on the timeline.
    pub start: Duration,
    /// Why its variant was chosen.
    pub reason: SwitchReason,
    /// Where it begins on the timeline.
    pub from: Duration,
    /// Where it ends.
    pub to: Duration,
    /// When it began to be heard.
    pub at: Duration,
    /// Audio that was buffered at that moment.
    pub buffered: Duration,
}

/// A wait of the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// When it began.
    pub at: Duration,
    /// How long it took.
    pub len: Duration,
    /// The position that was waited for.
    pub position: Duration,
}

/// How a simulation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The presentation was played to its end.
    Ended,
    /// The stream failed.
    Failed(String),
    /// The limit was reached.
    OutOfTime,
    /// Nothing was under way, and nothing waited for a time: it would wait for ever.
    Hung,
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Log {
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended.
    pub ended: Duration,
    /// Requests for segments, in order.
    pub fetches: Vec<FetchLog>,
    /// What was heard, in order.
    pub played: Vec<Played>,
    /// Waits of the listener after the first PCM, longer than a millisecond.
    pub stalls: Vec<Stall>,
    /// From the beginning to the first PCM.
    pub startup: Option<Duration>,
    /// Loads of lists.
    pub list_loads: usize,
    /// What the application was told, as debug text with its time.
    pub events: Vec<(Duration, String)>,
}

impl Log {
    /// How often the variant changed.
    #[must_use]
    pub fn switches(&self) -> usize {
        let heard: Vec<_> = self.played.iter().filter(|played| played.segment.is_some()).collect();
        heard.windows(2).filter(|pair| pair[0].variant != pair[1].variant).count()
    }

    /// Silence that was heard.
    #[must_use]
    pub fn silence(&self) -> Duration {
        let silent = self.played.iter().filter(|played| played.segment.is_none());
        silent.map(|played| played.to.saturating_sub(played.from)).sum()
    }

    /// Time that the listener waited.
    #[must_use]
    pub fn stalled(&self) -> Duration {
        self.stalls.iter().map(|stall| stall.len).sum()
    }

    /// Bits per second of what was heard, by the declared bandwidths, weighed by time.
    #[must_use]
    pub fn mean_bandwidth(&self, bandwidths: &[u64]) -> f64 {
        let heard = self.played.iter().filter(|played| played.segment.is_some());
        let (bits, seconds) = heard.fold((0.0, 0.0), |(bits, seconds), played| {
            let lasts = played.to.saturating_sub(played.from).as_secs_f64();
            let bandwidth = bandwidths.get(played.variant).copied().unwrap_or_default() as f64;
            (bits + bandwidth * lasts, seconds + lasts)
        });
        bits / f64::max(seconds, 1e-9)
    }
}
