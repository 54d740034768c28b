//! What the planner asks of a presentation: all that a protocol has to implement to be played by it.

use std::time::{Duration, Instant};

use url::Url;

use crate::error::HlsError;
use crate::events::HlsEvent;
use crate::growth::Growth;
use crate::segment::{SegmentId, SegmentPlace, SegmentPlan};

/// A document that describes a part of the presentation, to be loaded by the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Document {
    /// The segments of a variant. `is_fresh`: past every store, because what is stored is known to be out of date.
    Variant {
        /// Index in the ladder.
        variant: usize,
        /// Not from the store.
        is_fresh: bool,
    },
    /// The description of all variants, for new URLs. On behalf of this variant.
    Root {
        /// Index in the ladder.
        variant: usize,
    },
}

impl Document {
    /// The variant that it is loaded for.
    #[must_use]
    pub fn variant(&self) -> usize {
        let (Self::Variant { variant, .. } | Self::Root { variant }) = self;
        *variant
    }
}

/// What lies at the end of a variant's known segments.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Continuation {
    /// The presentation is over.
    Complete,
    /// It may go on: load the variant again then.
    ReloadAt(Instant),
    /// It never said that it was over, and has not gone on for so long that it must be.
    Abandoned,
    /// It cannot be had any more.
    Failed(std::sync::Arc<HlsError>),
}

impl From<Growth> for Continuation {
    fn from(growth: Growth) -> Self {
        match growth {
            Growth::ReloadAt(at) => Self::ReloadAt(at),
            Growth::Ended => Self::Abandoned,
            Growth::Failed(error) => Self::Failed(error),
        }
    }
}

/// A ladder of variants, each a row of segments on one timeline.
///
/// Pure: documents are handed in as they arrive, and time is an argument. Implemented for HLS by the crate's playlist
/// manager, by the simulator's origin through it, and by whatever else is to be played by the planner.
pub trait Presentation {
    /// A loaded document.
    type Content;

    /// The URL that was opened, for errors.
    fn url(&self) -> &Url;

    /// Number of variants, in ascending order of bandwidth.
    fn variants(&self) -> usize;

    /// The document that names the segments of `variant`, where it is not known yet.
    fn missing_document(&self, variant: usize) -> Option<Document>;

    /// The document to load for new URLs after those of `variant` were refused.
    fn renewal(&self, variant: usize) -> Document;

    /// Whether a refused document of a variant may have another URL by now.
    fn can_renew(&self) -> bool;

    /// Takes in a document.
    ///
    /// # Errors
    /// It is not what it should be.
    fn accept(&mut self, document: Document, content: Self::Content, now: Instant) -> Result<(), HlsError>;

    /// A document could not be had. Whether its variant can go on without for now.
    fn bear(&mut self, document: Document, error: &std::sync::Arc<HlsError>, now: Instant) -> bool;

    /// The segment of `variant` that holds `position`; `None` at or after the end. With `is_joined` another variant was
    /// played up to here, and a rest of no more than [`SAME_TIME`](crate::segment::SAME_TIME) is not fetched.
    fn segment_at(&self, variant: usize, position: Duration, is_joined: bool) -> Option<SegmentPlan>;

    /// The segment after this one in the same variant, or the first that the list still has behind it.
    fn after(&self, place: &SegmentPlace) -> Option<SegmentPlan>;

    /// A segment by its name, with its present URL; `None` where it has left the list.
    fn find(&self, id: SegmentId) -> Option<SegmentPlan>;

    /// The segment of another variant that begins where this one does; `None` where there is none, or that variant is
    /// not known.
    fn aligned(&self, plan: &SegmentPlan, variant: usize) -> Option<SegmentPlan>;

    /// What lies behind the last known segment of a variant, for a reader that has had no audio left since `dry_since`.
    fn continuation(&self, variant: usize, dry_since: Option<Instant>, now: Instant) -> Continuation;

    /// Whether segments are still being added: what is missing now may be there in a moment.
    fn is_live(&self, variant: usize) -> bool;

    /// The span that can be played now: from the oldest listed segment to the end of the newest.
    fn window(&self, variant: usize) -> Option<std::ops::Range<Duration>>;

    /// Goes over to the next redundant source of a variant, if there is one that was not tried.
    fn failover(&mut self, variant: usize) -> bool;

    /// What the application is to be told.
    fn take_events(&mut self) -> Vec<HlsEvent>;
}
