//! What is simulated.

use std::time::Duration;

use super::link::LinkStep;
use crate::abr::{AbrOptions, VariantMode};
use crate::options::{LiveStart, LookAhead};

/// A segment of the model origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentModel {
    /// Its length.
    pub duration: Duration,
    /// Its bytes.
    pub bytes: u64,
}

impl SegmentModel {
    /// A segment of this length and size.
    #[must_use]
    pub fn new(duration: Duration, bytes: u64) -> Self {
        Self { duration, bytes }
    }
}

/// A variant of the model origin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VariantModel {
    /// Declared bits per second.
    pub bandwidth: u64,
    /// All segments that it will ever have.
    pub segments: Vec<SegmentModel>,
    /// Media sequence number of the first: encoders may number each variant from elsewhere.
    pub first_number: u64,
}

impl VariantModel {
    /// A variant of these segments, numbered from 0.
    #[must_use]
    pub fn new(bandwidth: u64, segments: Vec<SegmentModel>) -> Self {
        Self { bandwidth, segments, first_number: 0 }
    }

    /// Where a segment begins.
    #[must_use]
    pub fn start_of(&self, index: usize) -> Duration {
        self.segments.iter().take(index).map(|segment| segment.duration).sum()
    }
}

/// How a list grows, in place of one that is complete from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Live {
    /// Segments that are listed when the simulation begins. Each further one is listed when the encoder has written it.
    pub listed: usize,
    /// Segments that the list shows at most.
    pub window: usize,
    /// The list ends with `EXT-X-ENDLIST` behind the last segment.
    pub ends: bool,
    /// The list has `EXT-X-PROGRAM-DATE-TIME`.
    pub is_dated: bool,
    /// How much later than the list says segments can be had.
    pub lag: Duration,
    /// `EXT-X-TARGETDURATION` in whole seconds; `None`: the longest segment.
    pub target: Option<u64>,
}

impl Live {
    /// A live list of at most `window` segments.
    #[must_use]
    pub fn new(listed: usize, window: usize) -> Self {
        Self { listed, window, ends: true, is_dated: false, lag: Duration::ZERO, target: None }
    }
}

/// How long a fault of a segment lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Up to this moment.
    Time(Duration),
    /// For so many requests.
    Requests(u32),
    /// For good.
    Never,
}

/// How a request of a segment fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The server answers with this status.
    Status(u16),
    /// The connection breaks after so many thousandths of the body.
    Reset(u16),
    /// Nothing more comes after so many thousandths of the body, until the network's patience (10 s) is over.
    Stall(u16),
    /// What comes is no media.
    Damaged,
}

/// A fault of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Of which variant; `None`: of all.
    pub variant: Option<usize>,
    /// Index of the segment in [`VariantModel::segments`].
    pub segment: usize,
    /// What happens.
    pub kind: FaultKind,
    /// For how long.
    pub until: Until,
}

/// How the loads of a list fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFaultKind {
    /// The server answers with this status.
    Status(u16),
    /// The list stays as it was.
    Freeze,
    /// The list is cut before its first segment.
    Cut,
    /// Every second load comes from an edge that is so many segments behind.
    Behind(usize),
}

/// A fault of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListFault {
    /// Of which variant; `None`: of all.
    pub variant: Option<usize>,
    /// What happens.
    pub kind: ListFaultKind,
    /// From when on.
    pub from: Duration,
    /// Until when.
    pub until: Duration,
}

/// Who listens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Listener {
    /// Multiple of playback speed; `None`: everything is taken as soon as it is there.
    pub speed: Option<f64>,
    /// Seeks: when, and to where.
    pub seeks: Vec<(Duration, Duration)>,
    /// Pauses: when, and for how long.
    pub pauses: Vec<(Duration, Duration)>,
}

impl Default for Listener {
    fn default() -> Self {
        Self { speed: Some(1.0), seeks: Vec::new(), pauses: Vec::new() }
    }
}

/// Everything that [`run`](super::run) plays.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scenario {
    /// The ladder, by ascending bandwidth.
    pub variants: Vec<VariantModel>,
    /// How the lists grow; `None`: they are complete.
    pub live: Option<Live>,
    /// Where a live presentation is joined.
    pub live_start: LiveStart,
    /// How long a live list that brings nothing is waited for. Default 30 s.
    pub live_patience: Duration,
    /// The link, by ascending time. Default 10 Mbit/s with a latency of 20 ms.
    pub link: Vec<LinkStep>,
    /// Faults of segments.
    pub faults: Vec<Fault>,
    /// Faults of lists.
    pub list_faults: Vec<ListFault>,
    /// When the encoder restarts: it numbers from 0 and uses other names.
    pub restarts: Vec<Duration>,
    /// Who listens.
    pub listener: Listener,
    /// Bounds of the look-ahead.
    pub look_ahead: LookAhead,
    /// Settings of the bitrate decisions.
    pub abr: AbrOptions,
    /// How the variant is chosen.
    pub mode: VariantMode,
    /// When the simulation is given up.
    pub limit: Duration,
}

impl Scenario {
    /// A complete presentation of `count` segments, each `duration` long, in variants of these bits per second.
    #[must_use]
    pub fn ladder(bandwidths: &[u64], duration: Duration, count: usize) -> Self {
        let variant = |bandwidth: &u64| {
            let bytes = (*bandwidth as f64 / 8.0 * duration.as_secs_f64()) as u64;
            VariantModel::new(*bandwidth, vec![SegmentModel::new(duration, bytes); count])
        };
        Self {
            variants: bandwidths.iter().map(variant).collect(),
            live: None,
            live_start: LiveStart::Edge,
            live_patience: Duration::from_secs(30),
            link: Vec::new(),
            faults: Vec::new(),
            list_faults: Vec::new(),
            restarts: Vec::new(),
            listener: Listener::default(),
            look_ahead: LookAhead::default(),
            abr: AbrOptions::default(),
            mode: VariantMode::Auto,
            limit: Duration::from_secs(3600),
        }
    }
}
