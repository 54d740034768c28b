//! What is done about a segment, a playlist or a variant that fails.

use std::sync::Arc;
use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use tokio::time::Instant;

use super::source::{HlsWorkerSource, Parts};
use crate::error::HlsError;
use crate::message::{Failure, SegmentPlace};
use crate::playlists::SegmentPlan;

/// Segments in a row that may be replaced by silence before the presentation is given up.
const MAX_GAPS: usize = 3;

/// Silent segments that are remembered, of a stream that runs for weeks.
const MAX_SILENT: usize = 1000;

/// Reloads of the playlists for refused segments of one variant before the refusal is final.
const MAX_RELOADS: u32 = 2;

/// How often a segment whose bytes changed or vanished under the reader is asked for again at the same source.
const MAX_AGAIN: u32 = 2;

/// Before what has failed in all variants ahead of the reader is tried again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How often that pause doubles.
const MAX_DOUBLINGS: u32 = 5;

/// Reasons kept for the error that ends the stream, should every variant fail.
const MAX_REASONS: usize = 32;

/// What went wrong lately.
#[derive(Default)]
pub(super) struct Trouble {
    /// The variant whose URLs were refused: new ones are wanted.
    pub(super) reload_wanted: Option<usize>,
    /// What is stored of segments that are no media.
    spoiled: Vec<SegmentPlan>,
    /// Segments to be replaced by silence, in any variant.
    silent: Vec<(SegmentPlace, Arc<HlsError>)>,
    /// Reloads of the playlists on behalf of each variant, since a segment of it last arrived.
    pub(super) reloads: Vec<(usize, u32)>,
    /// Why variants left the ladder.
    reasons: Vec<String>,
    last: Option<Arc<HlsError>>,
    /// The place that failed last.
    pub(super) place: Option<Place>,
    /// How often everything was tried again ahead of the reader, since a segment last arrived.
    pub(super) tries: u32,
    /// When it is tried again.
    next_try: Option<Instant>,
}

/// A place of the timeline that failed, and what was tried there.
#[derive(Default)]
pub(super) struct Place {
    start: Duration,
    again: u32,
    /// The variants that failed here.
    failed: Vec<usize>,
}

impl Trouble {
    /// Counts a reload on behalf of a variant; false where there were enough.
    fn may_reload_for(&mut self, variant: usize) -> bool {
        let known = self.reloads.iter().position(|(of, _)| *of == variant);
        let index = known.unwrap_or_else(|| {
            self.reloads.push((variant, 0));
            self.reloads.len() - 1
        });
        let count = &mut self.reloads[index].1;
        *count += 1;
        *count <= MAX_RELOADS
    }
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// Goes over to the variant's next source, or leaves it alone for a while.
    pub(super) fn exclude(&mut self, variant: usize, error: Arc<HlsError>) {
        if !error.is_unsupported() && self.parts.playlists.failover(variant) {
            return;
        }
        self.trouble.reasons.truncate(MAX_REASONS);
        let Parts { playlists, abr, .. } = &mut self.parts;
        playlists.leave_out(abr, variant, &error, &mut self.trouble.reasons);
        self.trouble.last = Some(error);
    }

    pub(super) fn no_variant(&mut self) -> HlsError {
        let reasons = std::mem::take(&mut self.trouble.reasons);
        match self.trouble.last.take().map(Arc::try_unwrap) {
            // One variant, one reason: that reason is the whole story.
            Some(Ok(error)) if reasons.len() == 1 => error,
            Some(Ok(error)) => self.no_variant_because(reasons, Some(Arc::new(error))),
            Some(Err(error)) => self.no_variant_because(reasons, Some(error)),
            None => self.no_variant_because(reasons, None),
        }
    }

    /// When to try again what has failed in all variants, ahead of a reader that still has something to play: each time
    /// after twice as long. `None` where no time can help.
    pub(super) fn next_try(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.parts.abr.next_return(now.into_std())?;
        let pause = FIRST_PAUSE.saturating_mul(1 << self.trouble.tries.min(MAX_DOUBLINGS));
        Some(*self.trouble.next_try.get_or_insert(now + pause))
    }

    /// Tries again what has failed in all variants, if it has.
    pub(super) fn try_again(&mut self) {
        if self.trouble.next_try.take().is_some() {
            self.trouble.tries += 1;
            self.parts.abr.forgive();
        }
    }

    fn no_variant_because(&self, reasons: Vec<String>, source: Option<Arc<HlsError>>) -> HlsError {
        HlsError::NoPlayableVariant { url: self.parts.playlists.url().clone(), reasons, source }
    }

    /// Whether there is a variant that may be chosen now and did not fail at the present place.
    fn has_untried(&self) -> bool {
        let now = Instant::now().into_std();
        let failed = self.trouble.place.as_ref().map_or(&[][..], |place| &place.failed);
        let count = self.parts.playlists.bandwidths().len();
        (0..count).any(|variant| !failed.contains(&variant) && !self.parts.abr.is_excluded(variant, now))
    }

    /// Has the playlists loaded again for a refusal; false where it is none, or that was tried often enough.
    pub(super) fn wants_reload(&mut self, variant: usize, error: &HlsError) -> bool {
        let is_wanted = error.is_refusal() && self.trouble.may_reload_for(variant);
        if is_wanted {
            self.trouble.reload_wanted = Some(variant);
        }
        is_wanted
    }

    /// Has the master loaded again for a media playlist that was refused; false where there is none, as for
    /// [`wants_reload`](Self::wants_reload).
    pub(super) fn wants_new_url(&mut self, variant: usize, error: &HlsError) -> bool {
        self.parts.playlists.has_master() && self.wants_reload(variant, error)
    }

    /// What was tried at `start` so far.
    fn place_at(&mut self, start: Duration) -> &mut Place {
        let place = self.trouble.place.take().filter(|place| place.start == start);
        self.trouble.place.insert(place.unwrap_or_else(|| Place { start, ..Place::default() }))
    }

    /// The remedies, in this order: the same source again where the entity changed or is no media; new URLs where access was refused;
    /// the variant's redundant sources; another variant; silence, where a server says that it does not have the segment, or
    /// sends something else under its name.
    pub(super) fn on_failed(&mut self, segment: SegmentPlace, failure: Failure) {
        let SegmentPlace { variant, start, .. } = segment;
        if self.wants_reload(variant, &failure.error) {
            return;
        }
        let may_be_whole = match failure.is_damaged {
            true => failure.error.is_of_init() || self.forget(segment),
            false => failure.error.is_of_other_bytes(),
        };
        let place = self.place_at(start);
        let again = if failure.is_damaged { 1 } else { MAX_AGAIN };
        if may_be_whole && place.again < again {
            place.again += 1;
            return;
        }
        if !failure.is_unsupported && self.parts.playlists.failover(variant) {
            return;
        }
        let place = self.place_at(start);
        if !place.failed.contains(&variant) {
            place.failed.push(variant);
        }
        // In what was heard until now, an advertisement of another codec, or without any audio.
        let is_foreign = failure.is_unsupported && self.parts.shared.stats().frames > 0;
        let missing = failure.is_damaged || is_foreign || matches!(failure.status, Some(404 | 410 | 500..));
        // Pictures alone are silent however long they go on; of everything else so much is too much.
        let is_bearable = || failure.error.is_without_audio() || self.gaps_around(segment) < MAX_GAPS;
        // Without anything before it, there is not even a format to be silent in.
        if missing && !start.is_zero() && !self.has_untried() && is_bearable() {
            self.silence(segment, failure.error);
            return;
        }
        self.exclude(variant, failure.error);
    }

    /// Has what is stored of a segment that is no media forgotten: neither another stream nor another run should hear it.
    /// False where it has left the list, and cannot be asked for again.
    fn forget(&mut self, segment: SegmentPlace) -> bool {
        let Some(plan) = self.parts.playlists.planned_before(segment) else { return false };
        self.trouble.spoiled.push(plan);
        true
    }

    /// Forgets what is stored of segments that are no media. Offline there is nothing better to be had.
    pub(super) async fn discard_spoiled(&mut self) {
        while let Some(plan) = self.trouble.spoiled.last() {
            if let Err(error) = self.parts.fetches.discard(plan).await {
                tracing::debug!(%error, "a segment that is no media stays in the store");
            }
            // Not before: a command drops this future at its await.
            self.trouble.spoiled.pop();
        }
    }

    /// Whether there is something to forget.
    pub(super) fn has_spoiled(&self) -> bool {
        !self.trouble.spoiled.is_empty()
    }

    /// Segments right before and behind this one that are silent already, be they still in the list or not.
    fn gaps_around(&self, segment: SegmentPlace) -> usize {
        let silent = || self.trouble.silent.iter().map(|(silent, _)| silent);
        let before =
            std::iter::successors(Some(&segment), |of| silent().find(|silent| silent.end() == of.start));
        let behind =
            std::iter::successors(Some(&segment), |of| silent().find(|silent| silent.start == of.end()));
        before.skip(1).take(MAX_GAPS).count() + behind.skip(1).take(MAX_GAPS).count()
    }

    /// Why the segment that starts here is to be silent, if it is.
    pub(super) fn silence_at(&self, start: Duration) -> Option<&Arc<HlsError>> {
        self.trouble.silent.iter().find(|(silent, _)| silent.start == start).map(|(_, error)| error)
    }

    /// Puts silence in the place of a segment that no variant has: none of them is to blame.
    fn silence(&mut self, segment: SegmentPlace, error: Arc<HlsError>) {
        let now = Instant::now().into_std();
        for variant in self.trouble.place.take().map(|place| place.failed).unwrap_or_default() {
            self.parts.abr.exclude(variant, now, Some(Duration::ZERO));
        }
        if self.trouble.silent.len() >= MAX_SILENT {
            self.trouble.silent.remove(0);
        }
        self.trouble.silent.push((segment, error));
    }
}
