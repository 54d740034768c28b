//! Segments that will not be here in time, or not at all: found out before the reader comes to them.

use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use tokio::time::Instant;

use super::room::Planned;
use super::source::HlsWorkerSource;
use crate::abr::{TransferProgress, VariantMode};
use crate::body::SegmentBody;
use crate::error::{Fetching, HlsError};
use crate::events::HlsEvent;
use crate::message::{Failure, SegmentPlace};

/// A transfer that brought nothing at all is looked at after this long.
const FIRST_LOOK: Duration = Duration::from_millis(600);

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// The first planned segment that is still arriving, and its place in the plan.
    pub(super) fn arriving(&self) -> Option<(usize, &Planned<A::Streaming>)> {
        let arrives = |planned: &Planned<_>| planned.body.as_ref().is_some_and(SegmentBody::is_arriving);
        self.planned().enumerate().find(|(_, planned)| arrives(planned))
    }

    /// Looks at what is ahead of the reader, and gives up what it would wait for in vain.
    pub(super) fn look_ahead(&mut self) {
        // A message that was not sent yet would never tell the reader.
        self.is_refused = false;
        if self.pending.is_none() {
            self.replace_what_failed();
            self.give_up_what_is_too_slow();
        }
    }

    /// A download ahead of the reader has failed: applies the remedy now, not when the reader gets there. One after the
    /// other: what is behind a segment that still arrives may be planned anew with it.
    fn replace_what_failed(&mut self) {
        let is_missing = |planned: &Planned<_>| planned.body.as_ref().is_some_and(|body| !body.is_complete());
        let missing = self.planned().enumerate().find(|(_, planned)| is_missing(planned));
        let Some((place, Planned { segment, body, .. })) = missing else { return };
        let Some(error) = body.as_ref().and_then(SegmentBody::failure) else { return };
        // One that left a live list in the meantime is the reader's to find: nothing can be asked for in its place.
        let Some(plan) = self.parts.playlists.planned_before(*segment) else { return };
        let segment = *segment;
        let error = HlsError::from_storage(Fetching::Segment(plan.index), plan.url, error);
        // Who waits for the first byte of it tells at once, and would interrupt the playlists' reload. What follows it would
        // be refused as well.
        self.is_refused = error.is_refusal() && segment.start <= self.parts.shared.reader();
        if self.is_refused {
            return;
        }
        self.on_failed(segment, Failure::new(error));
        self.give_up(place, segment);
    }

    /// How long the audio that is here lasts.
    fn lasts(&self) -> Duration {
        self.buffered().div_f64(self.parts.abr.speed())
    }

    /// When to look at the arriving segment even if nothing more is heard of it: when the reader will have run dry. Once
    /// for each segment, because what comes later is told by the transfer itself.
    pub(super) fn look_due(&self) -> Option<Instant> {
        let (_, planned) = self.arriving()?;
        let is_new = self.looked_at != Some(planned.segment);
        let may_change = self.parts.abr.mode() == VariantMode::Auto;
        (is_new && may_change).then(|| (Instant::now() + self.lasts()).max(planned.begun + FIRST_LOOK))
    }

    /// The look that was due was taken.
    pub(super) fn looked(&mut self) {
        self.looked_at = self.arriving().map(|(_, planned)| planned.segment);
    }

    /// Gives up the arriving segment, and what follows it in its variant, if it would come too late and a lesser variant's
    /// would be here sooner.
    fn give_up_what_is_too_slow(&mut self) {
        let Some((place, planned)) = self.arriving() else { return };
        let Some(body) = &planned.body else { return };
        let (segment, index) = (planned.segment, planned.index);
        let variant = segment.variant;
        let received = body.received().saturating_sub(planned.found);
        let total = planned.expected_len().saturating_sub(planned.found);
        let first_byte = (received > 0).then_some(Duration::ZERO);
        let progress = TransferProgress::new(variant, total, segment.duration).with_received(
            received,
            planned.begun.elapsed(),
            first_byte,
        );
        let buffered = self.buffered();
        if !self.parts.abr.should_abandon(Instant::now().into_std(), buffered, &progress) {
            return;
        }
        tracing::debug!(variant, segment = index, ?progress, "a segment arrives too slowly");
        self.parts.abr.abandoned(Instant::now().into_std(), &progress);
        self.give_up(place, segment);
        self.parts.shared.emit(HlsEvent::SegmentAbandoned { variant, segment: index });
    }

    /// Stops what is under way from this place of the plan on. What comes instead is planned at once; but a reader that was
    /// told of it has to ask for that first, and until then it is withheld.
    fn give_up(&mut self, place: usize, segment: SegmentPlace) {
        self.parts.fetches.cancel_unless(|of| of.variant != segment.variant || of.start < segment.start);
        // It is further back while the reader is led again to what was withheld.
        self.cursor = self.cursor.min(segment.start);
        self.next = None;
        let told = self.ahead.len();
        self.withheld.truncate(place.saturating_sub(told));
        if place < told {
            self.ahead.truncate(place);
            self.given_up = Some(segment);
            self.parts.shared.change_plan(segment.start);
        }
    }

    /// Whether the reader tells of what was given up here, rather than of something new.
    pub(super) fn is_given_up(&self, segment: SegmentPlace) -> bool {
        self.given_up.is_some_and(|given| given.variant == segment.variant && given.start <= segment.start)
    }
}
