//! The planner: what it knows, what it waits for, and what it is told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kithara_assets::Assets;
use kithara_net::Net;
use kithara_worker::{AsyncWorkerSource, CommandOutcome};
use tokio::time::Instant;

use super::compose::Pending;
use super::init::InitId;
use super::pace::FetchPace;
use super::plan::Plan;
use super::remedies::Trouble;
use super::room::{Planned, Withheld};
use crate::abr::AbrController;
use crate::error::HlsError;
use crate::events::HlsEvent;
use crate::fetch::{FetchManager, FetchOutcome};
use crate::keys::KeyStore;
use crate::message::{HlsCommand, HlsMessage, SegmentPlace};
use crate::options::LookAhead;
use crate::playlist::AudioPreference;
use crate::playlists::PlaylistManager;
use crate::shared::Shared;

/// Messages that wait between the planner and the reader, so that eight segments can be on their way.
pub const HLS_CHUNK_CHANNEL_CAPACITY: usize = 8;

/// What a planner is made of.
pub(crate) struct Parts<N, A> {
    pub(crate) playlists: PlaylistManager,
    pub(crate) fetches: FetchManager<N, A>,
    pub(crate) abr: AbrController,
    pub(crate) shared: Arc<Shared>,
    pub(crate) look_ahead: LookAhead,
    pub(crate) audio: AudioPreference,
    /// Only the first segment is wanted, for what it tells of format and time; a command follows.
    pub(crate) only_first: bool,
}

/// Plans the segments of one stream, and sends a message for each as soon as its fetch has begun.
pub(crate) struct HlsWorkerSource<N: Net, A: Assets> {
    pub(super) parts: Parts<N, A>,
    pub(super) keys: KeyStore,
    /// Init sections of the current variant.
    pub(super) init_segments_cache: Vec<(InitId, Bytes)>,
    /// Where the next segment begins.
    pub(super) cursor: Duration,
    /// The segment after the last planned one, while the variant stays.
    pub(super) next: Option<(usize, usize)>,
    pub(super) variant: Option<usize>,
    pub(super) ahead: VecDeque<Planned<A::Streaming>>,
    /// Planned behind what was given up, for a reader that has not asked for it yet.
    pub(super) withheld: VecDeque<Withheld<A::Streaming>>,
    /// Planned, and its message not yet handed out.
    pub(super) pending: Option<Pending<A>>,
    pub(super) trouble: Trouble,
    /// A variant from this segment on, given up. What is planned from here on is withheld until the reader asks anew: when it
    /// comes to this segment, or when it meets the end of its bytes, if it is in it already.
    pub(super) given_up: Option<SegmentPlace>,
    /// The reader is in a segment that was refused, and about to say so.
    pub(super) is_refused: bool,
    pub(super) pace: FetchPace,
    /// The arriving segment that was looked at last.
    pub(super) looked_at: Option<SegmentPlace>,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    /// A planner that begins at the start of the presentation.
    pub(crate) fn new(parts: Parts<N, A>) -> Self {
        Self {
            parts,
            keys: KeyStore::default(),
            init_segments_cache: Vec::new(),
            cursor: Duration::ZERO,
            next: None,
            variant: None,
            ahead: VecDeque::with_capacity(HLS_CHUNK_CHANNEL_CAPACITY),
            withheld: VecDeque::new(),
            pending: None,
            trouble: Trouble::default(),
            given_up: None,
            is_refused: false,
            pace: FetchPace::default(),
            looked_at: None,
        }
    }

    /// Takes in what happened since the last look: downloads that ended, and how far the reader is.
    fn absorb(&mut self) {
        while let Some(outcome) = self.parts.fetches.try_ended() {
            self.ended(&outcome);
        }
        if let Some((bytes, elapsed)) = self.parts.shared.meter.take_sample() {
            self.parts.abr.record(bytes, elapsed);
        }
        if let Some(elapsed) = self.parts.shared.meter.take_first_byte() {
            self.parts.abr.record_first_byte(elapsed);
        }
        self.parts.abr.set_speed(self.parts.shared.speed().unwrap_or(1.0));
        if let Some(longest) = self.planned().map(|planned| planned.segment.duration).max() {
            let LookAhead { segments, duration, .. } = self.parts.look_ahead;
            let segments = u32::try_from(segments.max(1)).unwrap_or(u32::MAX);
            self.parts.abr.set_capacity(longest.saturating_mul(segments).min(duration));
        }
        self.parts.shared.take_ran_dry();
        let reader = self.parts.shared.reader();
        while self.ahead.front().is_some_and(|planned| planned.segment.end() <= reader) {
            self.ahead.pop_front();
        }
    }

    fn ended(&mut self, outcome: &FetchOutcome) {
        let SegmentPlace { variant, duration, .. } = outcome.fetch.place;
        if let Some(len) = outcome.len {
            self.parts.abr.observe_segment(variant, len, duration);
        }
        if outcome.is_ok && outcome.bytes > 0 {
            self.pace.observe(outcome.elapsed);
        }
        if outcome.is_ok {
            self.trouble.tries = 0;
            self.trouble.reloads.retain(|(of, _)| *of != variant);
            self.parts.shared.emit(HlsEvent::SegmentStored {
                variant,
                segment: outcome.fetch.segment,
                bytes: outcome.bytes,
                elapsed: outcome.elapsed,
            });
        }
    }

    /// Waits until the reader moves, a download tells something or ends, or the reader must have run dry.
    async fn wait(&mut self) {
        let (look_due, company_due) = (self.look_due(), self.company_due());
        let Parts { fetches, shared, .. } = &mut self.parts;
        tokio::select! {
            () = shared.moved.notified() => {}
            // `None`, no download at all, leaves the reader to be waited for.
            Some(outcome) = fetches.ended() => self.ended(&outcome),
            () = tokio::time::sleep_until(look_due.unwrap_or_else(Instant::now)), if look_due.is_some() => {
                self.looked();
            }
            () = tokio::time::sleep_until(company_due.unwrap_or_else(Instant::now)), if company_due.is_some() => {}
        }
    }

    /// Loads a playlist again if a server refused what it names, or the list itself. If that fails, the variant does.
    pub(super) async fn reload_if_wanted(&mut self) {
        if let Some(variant) = self.trouble.reload_wanted {
            let Parts { playlists, fetches, audio, .. } = &mut self.parts;
            let reloaded = playlists.reload_all(variant, fetches, audio).await;
            self.trouble.reload_wanted = None;
            self.keys.clear();
            self.init_segments_cache.clear();
            if let Err(error) = reloaded {
                self.exclude(variant, Arc::new(error));
            }
        }
    }

    /// Looks whether a playlist without an end has grown. If it is refused, the master may have a new URL for it; if it cannot
    /// be had any more, its variant fails.
    async fn grow(&mut self, variant: usize) {
        if let Err(error) = self.parts.playlists.reload(variant, &self.parts.fetches).await
            && !self.wants_new_url(variant, &error)
        {
            self.exclude(variant, Arc::new(error));
        }
        // Indexes count from the list's beginning, which moves in a sliding list.
        self.next = None;
    }

    /// Plans anew from `to` on; what was withheld follows where it belongs.
    fn restart_at(&mut self, to: Duration) {
        self.cursor = to;
        self.next = None;
        self.pending = None;
        self.given_up = None;
        self.ahead.clear();
    }

    /// Stops downloads that nobody needs who reads from `from` on.
    fn drop_stale_fetches(&mut self, from: Duration) {
        let most = self.parts.look_ahead.duration;
        self.parts.fetches.cancel_unless(|segment| segment.end() > from && segment.start < from + most);
    }
}

impl<N: Net, A: Assets> AsyncWorkerSource for HlsWorkerSource<N, A> {
    type Item = HlsMessage<A::Streaming>;
    type Command = HlsCommand;
    type Error = HlsError;

    async fn fetch_next(&mut self) -> Result<Option<Self::Item>, HlsError> {
        loop {
            self.absorb();
            self.look_ahead();
            if self.has_spoiled() {
                Box::pin(self.discard_spoiled()).await;
            }
            self.reload_if_wanted().await;
            if self.pending.is_none() {
                match self.plan().await? {
                    Plan::Started => {}
                    Plan::Withheld(message) => return Ok(Some(*message)),
                    Plan::Later(Some(due)) => {
                        if tokio::time::timeout_at(due, self.wait()).await.is_err() {
                            self.try_again();
                        }
                        continue;
                    }
                    Plan::Full | Plan::Later(None) => {
                        self.wait().await;
                        continue;
                    }
                    Plan::Reload(variant, due) => {
                        // What fails meanwhile ahead of the reader is seen to at once.
                        if tokio::time::timeout_at(due, self.wait()).await.is_err() {
                            self.grow(variant).await;
                        }
                        continue;
                    }
                    // Until the last byte is here, something may have to be fetched anew.
                    Plan::End if self.parts.fetches.in_flight() > 0 => {
                        self.wait().await;
                        continue;
                    }
                    Plan::End => return Ok(None),
                }
            }
            match self.complete().await {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => self.give_up_pending(error)?,
            }
        }
    }

    fn handle_command(&mut self, command: HlsCommand) -> CommandOutcome {
        self.parts.only_first = false;
        let needed_from = match command {
            HlsCommand::Seek { to } => {
                self.restart_at(to);
                self.withheld.clear();
                self.parts.shared.set_reader(to);
                self.trouble.place = None;
                to
            }
            HlsCommand::Failed { segment, resume_at, failure } => {
                if self.is_given_up(segment) {
                    self.try_again();
                } else {
                    self.withheld.clear();
                    self.on_failed(segment, failure);
                }
                self.restart_at(resume_at);
                self.parts.shared.set_reader(resume_at);
                resume_at
            }
            HlsCommand::Replan { from } => {
                self.try_again();
                self.restart_at(from);
                from
            }
            HlsCommand::SetMode { mode, from } => {
                self.parts.abr.set_mode(mode);
                self.restart_at(from);
                self.withheld.clear();
                // The reader is still in the segment before.
                self.parts.shared.reader()
            }
        };
        self.drop_stale_fetches(needed_from);
        CommandOutcome::NewEpoch
    }

    fn starts_epoch(_: &HlsCommand) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use kithara_assets::AssetStore;
    use kithara_net::DefaultNet;

    use super::*;

    type Source = HlsWorkerSource<DefaultNet, AssetStore>;

    fn size<'a, T: 'a, F: 'a>(_: fn(&'a mut T) -> F) -> usize {
        size_of::<F>()
    }

    /// A thousand streams hold a thousand of these for as long as they play: what is rare stands on the heap.
    #[test]
    fn a_planner_that_waits_is_small() {
        assert!(size_of::<Source>() <= 3 << 10, "{}", size_of::<Source>());
        let future = size(<Source as AsyncWorkerSource>::fetch_next);
        assert!(future <= 6 << 10, "{future}");
    }
}
