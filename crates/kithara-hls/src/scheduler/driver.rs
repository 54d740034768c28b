//! The driver: does what the planner says, and tells it what happened. The only one that waits, and that reads the clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kithara_assets::{Assets, ResourceKey};
use kithara_net::Net;
use kithara_worker::{AsyncWorkerSource, CommandOutcome};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::init::InitId;
use super::message_builder::{Prepared, init_id, message, prepare};
use super::planner::{Action, Event, FetchOrder, Planner};
use super::queue::{Ticket, Transfer};
use crate::abr::SwitchReason;
use crate::body::SegmentBody;
use crate::error::{Fetching, HlsError};
use crate::fetch::{FetchManager, FetchOutcome, Started};
use crate::keys::KeyStore;
use crate::loader;
use crate::message::{Content, Failure, HlsCommand, HlsMessage};
use crate::playlists::{LoadedPlaylist, PlaylistManager};
use crate::presentation::{Document, Presentation};
use crate::reader_state::ReaderState;
use crate::segment::SegmentPlan;
use crate::shared::{Shared, StreamState};

/// Messages that the channel between the planner and the reader holds. It never fills: a message is handed out when the
/// reader waits for it, so that what was planned can be changed up to that moment.
pub const HLS_CHUNK_CHANNEL_CAPACITY: usize = 8;

/// Init sections that are kept: those of a variant, and of one beside it.
const MAX_INITS: usize = 4;

/// What a driver is made of.
pub(crate) struct Parts<N, A> {
    pub(crate) planner: Planner<PlaylistManager>,
    pub(crate) fetches: FetchManager<N, A>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) reader: watch::Receiver<ReaderState>,
}

/// A segment whose fetch has begun.
struct Fetch<A: Assets> {
    ticket: Ticket,
    plan: SegmentPlan,
    reason: SwitchReason,
    key: ResourceKey,
    started: Started<A::Streaming>,
    body: SegmentBody<A::Streaming>,
    /// What the planner was told last.
    told: Option<Transfer>,
    prepared: Option<Prepared>,
}

impl<A: Assets> Fetch<A> {
    fn start(&self) -> std::time::Duration {
        self.plan.place.start
    }
}

/// A small thing that was waited for beside the downloads.
enum Completion {
    Loaded { document: Document, result: Result<LoadedPlaylist, HlsError> },
    Prepared { ticket: Ticket, init: Option<InitId>, result: Result<Prepared, HlsError> },
}

/// What ended a wait.
enum Woken {
    Download(Box<FetchOutcome>),
    Completion(Box<Completion>),
    Otherwise,
}

/// Plans the segments of one stream, and sends a message for each when the reader wants it.
pub(crate) struct HlsWorkerSource<N: Net, A: Assets> {
    parts: Parts<N, A>,
    keys: Arc<KeyStore>,
    init_segments_cache: VecDeque<(InitId, Bytes)>,
    fetched: Vec<Fetch<A>>,
    /// Loads of playlists, init sections and keys under way.
    loads: JoinSet<Completion>,
    /// The fetch whose init section and key are being loaded: one after the other, because segments share them.
    preparing: Option<Ticket>,
    /// An order that was being obeyed when a command came.
    starting: Option<Box<FetchOrder>>,
    /// What was being removed from the store when a command came.
    discarding: Option<Box<SegmentPlan>>,
    /// A message that was being made when a command came.
    emitting: Option<Ticket>,
}

impl<N: Net, A: Assets> HlsWorkerSource<N, A> {
    pub(crate) fn new(parts: Parts<N, A>) -> Self {
        Self {
            parts,
            keys: Arc::default(),
            init_segments_cache: VecDeque::new(),
            fetched: Vec::new(),
            loads: JoinSet::new(),
            preparing: None,
            starting: None,
            discarding: None,
            emitting: None,
        }
    }

    /// Tells the planner what happened since the last look.
    fn process_events(&mut self, now: Instant) {
        let state = *self.parts.reader.borrow_and_update();
        self.parts.planner.handle(Event::Reader(state), now);
        while let Some(outcome) = self.parts.fetches.try_ended() {
            self.download_ended(outcome, now);
        }
        while let Some(Ok(completion)) = self.loads.try_join_next() {
            self.completed(completion, now);
        }
        if let Some((bytes, elapsed)) = self.parts.shared.meter.take_sample() {
            self.parts.planner.handle(Event::Throughput { bytes, elapsed }, now);
        }
        if let Some(elapsed) = self.parts.shared.meter.take_first_byte() {
            self.parts.planner.handle(Event::FirstByte { elapsed }, now);
        }
        for fetch in &mut self.fetched {
            if fetch.told.is_some_and(|told| told.is_complete) {
                continue;
            }
            let event = match fetch.body.failure() {
                // A key that is refused is the reason to tell, whatever becomes of the body.
                Some(_) if fetch.prepared.is_none() && self.preparing == Some(fetch.ticket) => continue,
                Some(error) => {
                    let what = Fetching::Segment(fetch.plan.index);
                    let error = HlsError::from_storage(what, fetch.plan.url.clone(), error);
                    fetch.told = Some(Transfer { is_complete: true, received: 0, len: None });
                    Event::Failed { ticket: fetch.ticket, failure: Failure::new(error) }
                }
                None => {
                    let transfer = transfer_of(&fetch.body);
                    if fetch.told.replace(transfer) == Some(transfer) {
                        continue;
                    }
                    Event::Progress { ticket: fetch.ticket, transfer }
                }
            };
            self.parts.planner.handle(event, now);
        }
    }

    fn download_ended(&mut self, outcome: FetchOutcome, now: Instant) {
        let Some(len) = outcome.len.filter(|_| outcome.is_ok) else { return };
        let event = Event::Stored {
            place: outcome.fetch.place,
            index: outcome.fetch.segment,
            bytes: outcome.bytes,
            len,
            elapsed: outcome.elapsed,
        };
        self.parts.planner.handle(event, now);
    }

    fn completed(&mut self, completion: Completion, now: Instant) {
        let event = match completion {
            Completion::Loaded { document, result } => {
                if matches!(document, Document::Root { .. }) {
                    // A reloaded playlist may name others, or the same URL may give another.
                    self.keys.clear();
                    self.init_segments_cache.clear();
                }
                Event::Loaded { document, result }
            }
            Completion::Prepared { ticket, init, result } => match result {
                _ if self.preparing.take() != Some(ticket) => return,
                Ok(prepared) => {
                    if let Some((id, bytes)) = init.zip(prepared.init.clone()) {
                        self.keep_init(id, bytes);
                    }
                    let Some(fetch) = self.fetched.iter_mut().find(|fetch| fetch.ticket == ticket) else {
                        return;
                    };
                    fetch.prepared = Some(prepared);
                    Event::Prepared { ticket }
                }
                Err(error) => {
                    self.fetched.retain(|fetch| fetch.ticket != ticket);
                    Event::Failed { ticket, failure: Failure::new(error) }
                }
            },
        };
        self.parts.planner.handle(event, now);
    }

    fn keep_init(&mut self, id: InitId, bytes: Bytes) {
        if !self.init_segments_cache.iter().any(|(known, _)| *known == id) {
            self.init_segments_cache.truncate(MAX_INITS - 1);
            self.init_segments_cache.push_front((id, bytes));
        }
    }

    /// Begins the fetch that was ordered. Cancel-safe: an order that was not obeyed is obeyed the next time.
    async fn start(&mut self) {
        let Some(order) = &self.starting else { return };
        if !self.parts.planner.holds(order.ticket) {
            self.starting = None;
            return;
        }
        let plan = self.choose_stored(order).await;
        let key = self.parts.fetches.segment_key(&plan);
        let started = self.parts.fetches.start(&plan, &key).await;
        let Some(order) = self.starting.take() else { return };
        let FetchOrder { ticket, reason, .. } = *order;
        let now = tokio::time::Instant::now().into_std();
        let started = match started {
            Ok(started) => started,
            Err(error) => {
                let failure = Failure::new(error);
                self.parts.planner.handle(Event::Failed { ticket, failure }, now);
                return;
            }
        };
        let window = self.parts.fetches.window_in_resource(&plan);
        let body = SegmentBody::new(started.resource.clone(), window, started.fate.clone());
        let transfer = transfer_of(&body);
        let event = Event::Started { ticket, plan: Box::new(plan.clone()), transfer };
        self.parts.planner.handle(event, now);
        let prepared = self.known_preparation(&plan);
        if prepared.is_some() {
            self.parts.planner.handle(Event::Prepared { ticket }, now);
        }
        self.fetched.push(Fetch { ticket, plan, reason, key, started, body, told: Some(transfer), prepared });
    }

    /// The ordered segment, or one that is in the store in its place.
    async fn choose_stored(&self, order: &FetchOrder) -> SegmentPlan {
        let fetches = &self.parts.fetches;
        for plan in &order.if_stored_above {
            if fetches.is_stored(plan).await {
                return plan.clone();
            }
        }
        if !order.if_stored_below.is_empty() && !fetches.is_stored(&order.plan).await {
            for plan in &order.if_stored_below {
                if fetches.is_stored(plan).await {
                    return plan.clone();
                }
            }
        }
        order.plan.clone()
    }

    /// What a segment's message needs, if it is there.
    fn known_preparation(&self, plan: &SegmentPlan) -> Option<Prepared> {
        let init = self.known_init(plan);
        (plan.key.is_none() && init.is_some() == plan.map.is_some())
            .then_some(Prepared { init, processor: None })
    }

    fn known_init(&self, plan: &SegmentPlan) -> Option<Bytes> {
        let id = init_id(plan)?;
        self.init_segments_cache.iter().find(|(known, _)| *known == id).map(|(_, init)| init.clone())
    }

    /// Gets what the message of the first segment needs that lacks it.
    fn prepare_next(&mut self, now: Instant) -> bool {
        if self.preparing.is_some() {
            return false;
        }
        let lacking = self.fetched.iter().enumerate().filter(|(_, fetch)| fetch.prepared.is_none());
        let Some((index, _)) = lacking.min_by_key(|(_, fetch)| fetch.start()) else { return false };
        let (ticket, plan) = (self.fetched[index].ticket, self.fetched[index].plan.clone());
        if let Some(prepared) = self.known_preparation(&plan) {
            self.fetched[index].prepared = Some(prepared);
            self.parts.planner.handle(Event::Prepared { ticket }, now);
            return true;
        }
        let (fetches, keys) = (self.parts.fetches.small().clone(), Arc::clone(&self.keys));
        let id = init_id(&plan);
        let preparing = prepare(fetches, keys, self.known_init(&plan), plan);
        let preparing = async move { Completion::Prepared { ticket, init: id, result: preparing.await } };
        self.loads.spawn(preparing.in_current_span());
        self.preparing = Some(ticket);
        false
    }

    fn load(&mut self, document: Document) {
        let playlists = self.parts.planner.presentation();
        let (what, is_stored) = loader::kind_of(playlists, document);
        let (url, variables) = (playlists.document_url(document).clone(), playlists.variables().clone());
        let fetches = self.parts.fetches.small().clone();
        let loading = async move {
            let result = loader::load(&fetches, what, &url, &variables, is_stored).await;
            Completion::Loaded { document, result }
        };
        self.loads.spawn(loading.in_current_span());
    }

    /// The message of a fetch. Cancel-safe.
    async fn emit(&mut self, ticket: Ticket) -> Result<Option<HlsMessage<A::Streaming>>, HlsError> {
        let Some(fetch) = self.fetched.iter().find(|fetch| fetch.ticket == ticket) else { return Ok(None) };
        let (init, processor) = match &fetch.prepared {
            Some(prepared) => (prepared.init.clone(), prepared.processor.clone()),
            None => (None, None),
        };
        let Started { resource, cached, fate } = &fetch.started;
        let (resource, window) = match processor {
            None => (resource.clone(), self.parts.fetches.window_in_resource(&fetch.plan)),
            Some(processor) => {
                (self.parts.fetches.open_processed(&fetch.key, processor, &fetch.plan).await?, None)
            }
        };
        let content =
            Content::Body { body: SegmentBody::new(resource, window, fate.clone()), cached: *cached };
        Ok(Some(message(&fetch.plan, fetch.reason, init, content)))
    }

    /// Hands out the message that is being made.
    async fn finish_emission(&mut self, ticket: Ticket) -> Option<HlsMessage<A::Streaming>> {
        let made = self.emit(ticket).await;
        self.emitting = None;
        match made {
            Ok(message) => message,
            Err(error) => {
                let now = tokio::time::Instant::now().into_std();
                let failure = Failure::new(error);
                self.parts.planner.handle(Event::Failed { ticket, failure }, now);
                None
            }
        }
    }

    /// Lets go of a fetch, and stops its download unless the segment is planned under another ticket.
    fn drop_fetch(&mut self, ticket: Ticket) {
        let Some(index) = self.fetched.iter().position(|fetch| fetch.ticket == ticket) else { return };
        let fetch = self.fetched.remove(index);
        let place = fetch.plan.place;
        if !self.parts.planner.wants(place.id) {
            self.parts.fetches.cancel_unless(|of| of.id != place.id);
        }
    }

    /// Waits until something happens, or until this time.
    async fn wait(&mut self, until: Option<Instant>) {
        self.publish();
        let Self { parts: Parts { fetches, shared, reader, .. }, loads, .. } = self;
        let due = until.map(tokio::time::Instant::from_std);
        let woken = tokio::select! {
            // An error: the reader is gone, and the worker will be in a moment.
            Ok(()) = reader.changed() => Woken::Otherwise,
            () = shared.moved.notified() => Woken::Otherwise,
            Some(outcome) = fetches.ended() => Woken::Download(Box::new(outcome)),
            Some(Ok(completion)) = loads.join_next() => Woken::Completion(Box::new(completion)),
            () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                Woken::Otherwise
            }
            else => std::future::pending().await,
        };
        let now = tokio::time::Instant::now().into_std();
        match woken {
            Woken::Otherwise => {}
            Woken::Download(outcome) => self.download_ended(*outcome, now),
            Woken::Completion(completion) => self.completed(*completion, now),
        }
    }

    /// Tells the application how things stand.
    fn publish(&mut self) {
        let planner = &self.parts.planner;
        let playlists = planner.presentation();
        let live = planner.variant().filter(|variant| playlists.is_live(*variant));
        let state = StreamState {
            mode: planner.abr().mode(),
            buffered: planner.buffered_ranges(),
            window: live.and_then(|variant| playlists.window(variant)),
            live_edge: live.and_then(|variant| playlists.live_edge(variant)),
        };
        self.parts.shared.publish(state);
    }

    fn tell_application(&mut self) {
        for event in self.parts.planner.take_events() {
            self.parts.shared.emit(event);
        }
    }
}

fn transfer_of<R: kithara_storage::Streaming>(body: &SegmentBody<R>) -> Transfer {
    Transfer { received: body.received(), len: body.len(), is_complete: body.is_complete() }
}

impl<N: Net, A: Assets> AsyncWorkerSource for HlsWorkerSource<N, A> {
    type Item = HlsMessage<A::Streaming>;
    type Command = HlsCommand;
    type Error = HlsError;

    async fn fetch_next(&mut self) -> Result<Option<Self::Item>, HlsError> {
        loop {
            if self.starting.is_some() {
                self.start().await;
            }
            if let Some(plan) = &self.discarding {
                if let Err(error) = self.parts.fetches.discard(plan).await {
                    tracing::debug!(%error, "a segment that is no media stays in the store");
                }
                self.discarding = None;
            }
            if let Some(ticket) = self.emitting
                && let Some(message) = self.finish_emission(ticket).await
            {
                return Ok(Some(message));
            }
            let now = tokio::time::Instant::now().into_std();
            self.process_events(now);
            let action = self.parts.planner.poll(now);
            self.tell_application();
            match action {
                Action::Fetch(order) => self.starting = Some(order),
                Action::Drop(ticket) => self.drop_fetch(ticket),
                Action::Release(ticket) => self.fetched.retain(|fetch| fetch.ticket != ticket),
                Action::Discard(plan) => self.discarding = Some(plan),
                Action::Load(document) => self.load(document),
                Action::Emit(ticket) => self.emitting = Some(ticket),
                Action::EmitGap { plan, reason, error } => {
                    return Ok(Some(message(&plan, reason, None, Content::Gap { error })));
                }
                Action::Wait(_) if self.prepare_next(now) => {}
                Action::Wait(until) => self.wait(until).await,
                // The reader has the last byte before the store has committed it.
                Action::End if self.parts.fetches.in_flight() > 0 => self.wait(None).await,
                Action::End => return Ok(None),
                Action::Fail(error) => return Err(error),
            }
        }
    }

    fn handle_command(&mut self, command: HlsCommand) -> CommandOutcome {
        let now = tokio::time::Instant::now().into_std();
        // A message that was being made is planned anew.
        self.emitting = None;
        let state = *self.parts.reader.borrow();
        self.parts.planner.handle(Event::Reader(state), now);
        self.parts.planner.handle(Event::Command(command), now);
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
