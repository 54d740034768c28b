//! Segments that arrive too slowly to be heard in time.

use std::time::Duration;

use kithara_assets::Assets;
use kithara_net::Net;
use tokio::time::Instant;

use super::source::{HlsWorkerSource, Planned};
use crate::abr::{TransferProgress, VariantMode};
use crate::events::HlsEvent;
use crate::fetch::SegmentFetch;

/// A transfer that brought nothing at all is looked at after this long.
const FIRST_LOOK: Duration = Duration::from_millis(600);

/// A variant from this segment on, given up because it arrived too slowly. The reader meets the end of its bytes, says so,
/// and everything is planned anew from where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenUp {
    pub(super) variant: usize,
    pub(super) segment: usize,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// The first planned segment whose bytes are not all here, and its place in the plan.
    fn arriving(&self) -> Option<(usize, &Planned<A::Streaming>)> {
        let arrives = |planned: &Planned<_>| planned.body.as_ref().is_some_and(|body| !body.is_complete());
        self.ahead.iter().enumerate().find(|(_, planned)| arrives(planned))
    }

    /// How long the audio that is here lasts.
    fn lasts(&self) -> Duration {
        self.buffered().div_f64(self.parts.shared.speed().unwrap_or(1.0).max(1.0))
    }

    /// When to look at the arriving segment even if nothing more is heard of it: when the reader will have run dry. Once
    /// for each segment, because what comes later is told by the transfer itself.
    pub(super) fn look_due(&self) -> Option<Instant> {
        let (_, planned) = self.arriving()?;
        let is_new = self.looked_at != Some((planned.variant, planned.segment));
        let may_change = self.parts.abr.mode() == VariantMode::Auto && self.given_up.is_none();
        (is_new && may_change).then(|| (Instant::now() + self.lasts()).max(planned.begun + FIRST_LOOK))
    }

    /// The look that was due was taken.
    pub(super) fn looked(&mut self) {
        self.looked_at = self.arriving().map(|(_, planned)| (planned.variant, planned.segment));
    }

    /// Gives up the arriving segment, and what follows it in its variant, if it would come too late and a lesser variant's
    /// would be here sooner; begins to fetch that one.
    pub(super) async fn give_up_what_is_too_slow(&mut self) {
        // A message that was not sent yet would never tell the reader.
        if self.given_up.is_some() || self.pending.is_some() {
            return;
        }
        let Some((place, planned)) = self.arriving() else { return };
        let Some(body) = &planned.body else { return };
        let (variant, segment, start) = (planned.variant, planned.segment, planned.start);
        let progress = TransferProgress {
            variant,
            received: body.received().saturating_sub(planned.found),
            total: planned.expected_len().saturating_sub(planned.found),
            elapsed: planned.begun.elapsed(),
            duration: planned.duration,
        };
        let buffered = self.buffered();
        if !self.parts.abr.should_abandon(Instant::now().into_std(), buffered, &progress) {
            return;
        }
        tracing::debug!(variant, segment, ?progress, "a segment arrives too slowly");
        self.parts.abr.abandoned(&progress);
        self.parts.fetches.cancel_unless(|of, index| of != variant || index < segment);
        self.ahead.truncate(place);
        self.cursor = start;
        self.next = None;
        self.given_up = Some(GivenUp { variant, segment });
        self.parts.shared.emit(HlsEvent::SegmentAbandoned { variant, segment });
        self.fetch_instead().await;
    }

    /// Begins to fetch what will be planned next, before the reader asks for it. Whatever is wrong with it shows then.
    async fn fetch_instead(&mut self) {
        let Ok((variant, _)) = self.choose().await else { return };
        let index = self.parts.playlists.index_at(variant, self.cursor);
        let Some(plan) = index.and_then(|index| self.parts.playlists.segment(variant, index)) else { return };
        if !plan.gap {
            let key = self.parts.fetches.segment_key(&plan);
            let _ = self.parts.fetches.start(SegmentFetch::of(&plan), &key).await;
        }
    }

    /// Whether the reader tells of what was given up here, rather than of something new.
    pub(super) fn is_given_up(&self, variant: usize, segment: usize) -> bool {
        self.given_up.is_some_and(|given| given.variant == variant && given.segment <= segment)
    }
}
