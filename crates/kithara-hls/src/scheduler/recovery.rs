//! What is done about a segment, a playlist or a variant that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::HlsError;
use crate::message::Failure;
use crate::segment::{SAME_TIME, SegmentId, SegmentPlace, SegmentPlan, is_same_time};

/// Segments in a row that may be replaced by silence before the presentation is given up.
pub(super) const MAX_GAPS: usize = 3;

/// Silent segments that are remembered, of a stream that runs for weeks.
const MAX_SILENT: usize = 1000;

/// Reloads of the playlists for refused segments of one variant before the refusal is final.
const MAX_RELOADS: u32 = 2;

/// How often a segment whose bytes changed or vanished under the reader is asked for again at the same source.
pub(super) const MAX_AGAIN: u32 = 2;

/// Before what has failed in all variants ahead of the reader is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How often that pause doubles.
const MAX_DOUBLINGS: u32 = 5;

/// Reasons kept for the error that ends the stream, should every variant fail.
const MAX_REASONS: usize = 32;

/// Before a segment that failed for a passing reason is asked for again: doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(250);

/// The longest pause between two tries of one segment.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// Segments whose tries are remembered.
const MAX_ATTEMPTS: usize = 64;

/// How long a passing failure is borne, however soon the segment is due.
const MIN_PATIENCE: Duration = Duration::from_millis(1500);

/// The same before anything was played, where something else could be begun with.
const START_PATIENCE: Duration = Duration::from_secs(3);

/// The same for a reader that has no speed, and so no time at which a segment is due.
const PATIENCE: Duration = Duration::from_secs(10);

/// What kind of failure it is, as far as the remedy depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// Access was refused: the URLs may have expired (401, 403, 410).
    Refused,
    /// What came is no media.
    Damaged,
    /// The bytes changed or vanished while they were read.
    OtherBytes,
    /// It may be gone in a moment, and a server answered.
    PassingAnswer,
    /// It may be gone in a moment: no answer, or only a part of it.
    Passing,
    /// The server does not have it, or not in a form that is understood.
    Missing,
    /// This build cannot decode it.
    Unsupported,
    /// Anything else.
    Fatal,
}

impl FailureKind {
    /// The kind of a failure of a segment, of a list that `is_live`: what such a list names may only be on its way.
    pub(super) fn of(failure: &Failure, is_live: bool) -> Self {
        let error = &failure.error;
        match failure.status {
            _ if error.is_refusal() => Self::Refused,
            _ if failure.is_damaged => Self::Damaged,
            _ if error.is_of_other_bytes() => Self::OtherBytes,
            _ if failure.is_unsupported => Self::Unsupported,
            Some(404) if is_live => Self::PassingAnswer,
            Some(_) if error.is_retryable() => Self::PassingAnswer,
            None if error.is_retryable() => Self::Passing,
            Some(_) => Self::Missing,
            None if matches!(**error, HlsError::Net { .. }) => Self::Missing,
            None => Self::Fatal,
        }
    }
}

/// When a segment is due, as far as a passing failure is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// When the reader comes to it; `None` for a reader without speed.
    pub(super) at: Option<Instant>,
    /// How long something else in its place would take to get.
    pub(super) lead: Duration,
    /// Something was played already.
    pub(super) has_played: bool,
    /// The reader waits for it.
    pub(super) is_awaited: bool,
}

/// The tries of one segment.
#[derive(Debug)]
struct Attempts {
    id: SegmentId,
    first: Instant,
    count: u32,
    until: Instant,
}

/// A position of the timeline that failed, and what was tried there.
#[derive(Debug, Default)]
struct Spot {
    start: Duration,
    again: u32,
    /// The variants that failed here.
    failed: Vec<usize>,
}

/// What went wrong lately. Decides nothing by itself but how often and when something is tried again.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The variant whose URLs were refused: new ones are wanted.
    pub(super) renewal_wanted: Option<usize>,
    /// Segments that are no media: what is stored of them is to be removed.
    pub(super) corrupt: Vec<SegmentPlan>,
    /// Segments to be replaced by silence, in any variant.
    silent: Vec<(SegmentPlace, Arc<HlsError>)>,
    attempts: Vec<Attempts>,
    /// Reloads of the playlists on behalf of each variant, since a segment of it last arrived.
    reloads: Vec<(usize, u32)>,
    /// Why variants left the ladder.
    reasons: Vec<String>,
    last: Option<Arc<HlsError>>,
    spot: Option<Spot>,
    /// How often everything was tried again ahead of the reader, since a segment last arrived.
    tries: u32,
    next_try: Option<Instant>,
}

impl Recovery {
    /// A segment of `variant` has arrived.
    pub(super) fn succeed(&mut self, id: SegmentId) {
        self.tries = 0;
        self.reloads.retain(|(of, _)| *of != id.variant);
        self.attempts.retain(|attempts| attempts.id != id);
    }

    /// The reader goes elsewhere.
    pub(super) fn forget_spot(&mut self) {
        self.spot = None;
    }

    /// Counts a reload on behalf of a variant; false where there were enough.
    pub(super) fn may_reload_for(&mut self, variant: usize) -> bool {
        let known = self.reloads.iter().position(|(of, _)| *of == variant);
        let index = known.unwrap_or_else(|| {
            self.reloads.push((variant, 0));
            self.reloads.len() - 1
        });
        let count = &mut self.reloads[index].1;
        *count += 1;
        *count <= MAX_RELOADS
    }

    /// Counts a passing failure of a segment, and says when to try again; `None` once the patience for it is over.
    pub(super) fn retry(
        &mut self,
        id: SegmentId,
        kind: FailureKind,
        due: Due,
        now: Instant,
    ) -> Option<Instant> {
        let known = self.attempts.iter().position(|attempts| attempts.id == id);
        let index = known.unwrap_or_else(|| {
            if self.attempts.len() >= MAX_ATTEMPTS {
                self.attempts.remove(0);
            }
            self.attempts.push(Attempts { id, first: now, count: 0, until: now });
            self.attempts.len() - 1
        });
        let attempts = &mut self.attempts[index];
        let over = match due.at {
            // Without any answer there is no silence to be played instead: it is waited for.
            Some(at) if kind == FailureKind::Passing => at.max(attempts.first) + PATIENCE,
            Some(at) => at.checked_sub(due.lead).unwrap_or(now).max(attempts.first + MIN_PATIENCE),
            // The reader of a complete list may take its time, or be there at once.
            None if kind == FailureKind::Missing && due.is_awaited => attempts.first + FIRST_RETRY,
            None if kind == FailureKind::Missing => attempts.first + MAX_RETRY,
            None if due.has_played || kind == FailureKind::Passing => attempts.first + PATIENCE,
            None => attempts.first + START_PATIENCE,
        };
        if now >= over {
            return None;
        }
        let pause = FIRST_RETRY.saturating_mul(1 << attempts.count.min(16)).min(MAX_RETRY);
        attempts.count += 1;
        // The last try is not later than the patience lasts.
        attempts.until = (now + pause).min(over.max(now + FIRST_RETRY));
        Some(attempts.until)
    }

    /// Before when a segment is not to be asked for.
    pub(super) fn not_before(&self, id: SegmentId) -> Option<Instant> {
        self.attempts.iter().find(|attempts| attempts.id == id).map(|attempts| attempts.until)
    }

    /// What was tried at `start` so far.
    fn spot_at(&mut self, start: Duration) -> &mut Spot {
        let spot = self.spot.take().filter(|spot| is_same_time(spot.start, start));
        self.spot.insert(spot.unwrap_or_else(|| Spot { start, ..Spot::default() }))
    }

    /// Counts another try at the same source; false where there were `most` of them.
    pub(super) fn may_ask_again(&mut self, start: Duration, most: u32) -> bool {
        let spot = self.spot_at(start);
        spot.again += 1;
        spot.again <= most
    }

    /// A variant has failed at `start`.
    pub(super) fn fail(&mut self, start: Duration, variant: usize) {
        let spot = self.spot_at(start);
        if !spot.failed.contains(&variant) {
            spot.failed.push(variant);
        }
    }

    /// Whether a variant has failed at the present spot.
    pub(super) fn has_failed(&self, variant: usize) -> bool {
        self.spot.as_ref().is_some_and(|spot| spot.failed.contains(&variant))
    }

    /// Puts silence in the place of a segment that no variant has. Gives the variants that failed there: none of them is
    /// to blame.
    pub(super) fn silence(&mut self, segment: SegmentPlace, error: Arc<HlsError>) -> Vec<usize> {
        if self.silent.len() >= MAX_SILENT {
            self.silent.remove(0);
        }
        self.silent.push((segment, error));
        self.spot.take().map(|spot| spot.failed).unwrap_or_default()
    }

    /// Why the segment that starts here is to be silent, if it is.
    pub(super) fn silence_at(&self, start: Duration) -> Option<&Arc<HlsError>> {
        let is_here =
            |silent: &SegmentPlace| silent.start.abs_diff(start) <= SAME_TIME.min(silent.duration / 2);
        self.silent.iter().find(|(silent, _)| is_here(silent)).map(|(_, error)| error)
    }

    /// Segments right before and behind this one that are silent already, be they still in the list or not.
    pub(super) fn gaps_around(&self, segment: SegmentPlace) -> usize {
        let silent = || self.silent.iter().map(|(silent, _)| silent);
        let before = std::iter::successors(Some(&segment), |of| {
            silent().find(|silent| silent.start < of.start && is_same_time(silent.end(), of.start))
        });
        let behind = std::iter::successors(Some(&segment), |of| {
            silent().find(|silent| silent.start > of.start && is_same_time(silent.start, of.end()))
        });
        before.skip(1).take(MAX_GAPS).count() + behind.skip(1).take(MAX_GAPS).count()
    }

    /// A variant left the ladder.
    pub(super) fn blame(&mut self, variant: usize, error: Arc<HlsError>) {
        self.reasons.truncate(MAX_REASONS);
        self.reasons.push(format!("variant {variant}: {}", crate::error::chain(&*error)));
        self.last = Some(error);
    }

    /// The error of a presentation without a variant that can be played.
    pub(super) fn no_variant(&mut self, url: &url::Url) -> HlsError {
        let reasons = std::mem::take(&mut self.reasons);
        let source = match self.last.take().map(Arc::try_unwrap) {
            // One variant, one reason: that reason is the whole story.
            Some(Ok(error)) if reasons.len() == 1 => return error,
            Some(Ok(error)) => Some(Arc::new(error)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        HlsError::NoPlayableVariant { url: url.clone(), reasons, source }
    }

    /// When to try again what has failed in all variants, ahead of a reader that still has something to play: each time
    /// after twice as long.
    pub(super) fn next_try(&mut self, now: Instant) -> Instant {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.tries.min(MAX_DOUBLINGS));
        *self.next_try.get_or_insert(now + pause)
    }

    /// Whether what has failed in all variants is to be tried again now.
    pub(super) fn take_try(&mut self, now: Instant) -> bool {
        let is_due = self.next_try.is_some_and(|at| at <= now);
        if is_due {
            self.next_try = None;
            self.tries += 1;
        }
        is_due
    }

    /// What has failed in all variants may be tried again at once: the reader has moved.
    pub(super) fn forget_tries(&mut self) -> bool {
        self.next_try.take().is_some()
    }
}
