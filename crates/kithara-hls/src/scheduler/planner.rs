//! The planner: which segment is fetched next, of which variant, what is done when one fails, and what the reader gets.
//!
//! Pure. [`Planner::handle`] takes in what happened, [`Planner::poll`] says what to do next; both are given the time. The
//! driver does it, and nothing else decides.
//!
//! The plan is a queue of segments in the order of the timeline. Each poll looks for the first thing to be done: let go of
//! what is out of date, act on failures, give up what arrives too slowly, hand out the segment that the reader waits for,
//! and fetch what the first hole of the queue wants.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lookahead::{Conditions, LookAheadPolicy, arriving};
use super::queue::{Cursor, Entry, EntryState, Hole, SegmentQueue, Ticket, Transfer};
use super::recovery::{Due, FailureKind, MAX_AGAIN, MAX_GAPS, Recovery};
use crate::abr::{AbrController, SwitchReason, TransferProgress, VariantMode};
use crate::error::HlsError;
use crate::events::HlsEvent;
use crate::message::{Failure, HlsCommand};
use crate::options::LookAhead;
use crate::presentation::{Continuation, Document, Presentation};
use crate::reader_state::ReaderState;
use crate::segment::{SAME_TIME, SegmentId, SegmentPlace, SegmentPlan};

/// A transfer that brought nothing at all is looked at after this long.
const FIRST_LOOK: Duration = Duration::from_millis(600);

/// Segments handed out last whose plans are kept, to begin decoding before a segment that failed.
const HISTORY: usize = 3;

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<C> {
    /// The reader moved, or waits.
    Reader(ReaderState),
    /// The reader wants something.
    Command(HlsCommand),
    /// The fetch of a segment has begun.
    Started {
        /// Of the order.
        ticket: Ticket,
        /// What is fetched: the ordered segment, or a stored one in its place.
        plan: Box<SegmentPlan>,
        /// What was there already.
        transfer: Transfer,
    },
    /// Bytes of a segment have arrived.
    Progress {
        /// Of the order.
        ticket: Ticket,
        /// What is there now.
        transfer: Transfer,
    },
    /// The init section and the key of a segment are there.
    Prepared {
        /// Of the order.
        ticket: Ticket,
    },
    /// A segment, its init section or its key cannot be had.
    Failed {
        /// Of the order.
        ticket: Ticket,
        /// Why.
        failure: Failure,
    },
    /// A download has ended well.
    Stored {
        /// The segment.
        place: SegmentPlace,
        /// Index in its list.
        index: usize,
        /// Bytes that came over the network.
        bytes: u64,
        /// Bytes of the whole segment.
        len: u64,
        /// From the request to the last byte.
        elapsed: Duration,
    },
    /// A document was loaded, or could not be.
    Loaded {
        /// Which one.
        document: Document,
        /// Its content.
        result: Result<C, HlsError>,
    },
    /// The network brought so many bytes in so much time of transfer.
    Throughput {
        /// Bytes.
        bytes: u64,
        /// Time in which at least one transfer was under way.
        elapsed: Duration,
    },
    /// The first byte of an answer came so long after its request.
    FirstByte {
        /// From the request on.
        elapsed: Duration,
    },
}

/// A segment to be fetched.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetchOrder {
    /// Names the fetch in events.
    pub ticket: Ticket,
    /// The segment.
    pub plan: SegmentPlan,
    /// Why its variant was chosen.
    pub reason: SwitchReason,
    /// Segments of better variants in the same place: the first of them that is complete in the store is taken instead.
    pub if_stored_above: Vec<SegmentPlan>,
    /// The same of lesser variants, where the segment itself is not in the store.
    pub if_stored_below: Vec<SegmentPlan>,
}

/// What to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Begin to fetch a segment, and say [`Event::Started`].
    Fetch(Box<FetchOrder>),
    /// Let go of a segment: stop its download unless another ticket is for the same one.
    Drop(Ticket),
    /// Let go of a segment that the reader has passed: its download may go on to its end.
    Release(Ticket),
    /// Remove what is stored of a segment that is no media.
    Discard(Box<SegmentPlan>),
    /// Load a document, and say [`Event::Loaded`].
    Load(Document),
    /// Give the reader a segment.
    Emit(Ticket),
    /// Give the reader silence in place of a segment.
    EmitGap {
        /// The segment.
        plan: Box<SegmentPlan>,
        /// Why its variant was chosen.
        reason: SwitchReason,
        /// What was wrong; `None` where the playlist itself declares the gap.
        error: Option<Arc<HlsError>>,
    },
    /// Nothing, until an event or this time.
    Wait(Option<Instant>),
    /// Tell the reader that the presentation is over.
    End,
    /// Tell the reader that it goes no further.
    Fail(HlsError),
}

/// Plans the segments of one stream.
pub struct Planner<P> {
    presentation: P,
    abr: AbrController,
    queue: SegmentQueue,
    recovery: Recovery,
    look_ahead: LookAheadPolicy,
    reader: ReaderState,
    /// Where the reader goes on.
    cursor: Cursor,
    /// The mode was changed: the next segment is not held up by what is arriving for the one before.
    is_urgent: bool,
    /// A segment that was heard before, to begin decoding in.
    preroll: Option<SegmentPlan>,
    history: VecDeque<SegmentPlan>,
    /// Messages that the reader must have received before it is given another.
    expected_taken: u64,
    /// Since when the reader waits for something that is not there.
    dry_since: Option<Instant>,
    /// The variant that was planned last.
    variant: Option<usize>,
    loading: Vec<Document>,
    /// The variant whose URLs are being renewed.
    renewing: Option<usize>,
    /// Its own document, to be loaded next.
    follow_up: Option<Document>,
    /// The handed-out segment that was given up: its reader is about to say so.
    abandoned: Option<SegmentId>,
    /// The arriving segment that was looked at last.
    looked_at: Option<Ticket>,
    is_offline: bool,
    next_ticket: u64,
    dropped: Vec<Ticket>,
    passed: Vec<Ticket>,
    events: Vec<HlsEvent>,
}

impl<P: Presentation> Planner<P> {
    /// A planner that begins at `position`.
    pub fn new(presentation: P, abr: AbrController, look_ahead: LookAhead, position: Duration) -> Self {
        Self {
            presentation,
            abr,
            queue: SegmentQueue::default(),
            recovery: Recovery::default(),
            look_ahead: LookAheadPolicy {
                bounds: look_ahead,
                latency: Default::default(),
                only_first: false,
            },
            reader: ReaderState::default(),
            cursor: Cursor { position, after: None, is_joined: false },
            is_urgent: false,
            preroll: None,
            history: VecDeque::new(),
            expected_taken: 0,
            dry_since: None,
            variant: None,
            loading: Vec::new(),
            renewing: None,
            follow_up: None,
            abandoned: None,
            looked_at: None,
            is_offline: false,
            next_ticket: 0,
            dropped: Vec::new(),
            passed: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Fetches no more than the first segment until a command comes, or the reader wants more.
    #[must_use]
    pub fn only_first(mut self, only_first: bool) -> Self {
        self.look_ahead.only_first = only_first;
        self
    }

    /// Never takes a request for cheap: what is stored is preferred whatever its variant.
    #[must_use]
    pub fn offline(mut self, is_offline: bool) -> Self {
        self.is_offline = is_offline;
        self
    }

    /// What is planned.
    pub fn presentation(&self) -> &P {
        &self.presentation
    }

    /// The bitrate decisions.
    pub fn abr(&self) -> &AbrController {
        &self.abr
    }

    /// What the application is to be told, in order.
    pub fn take_events(&mut self) -> Vec<HlsEvent> {
        self.events.extend(self.presentation.take_events());
        std::mem::take(&mut self.events)
    }

    /// Whether a fetch is still wanted.
    pub fn holds(&self, ticket: Ticket) -> bool {
        self.queue.iter().any(|entry| entry.ticket == ticket)
    }

    /// Whether a segment is planned.
    pub fn wants(&self, id: SegmentId) -> bool {
        self.queue.iter().any(|entry| entry.place().id == id)
    }

    /// Audio that is there without a gap, from the reader's position on.
    pub fn buffered(&self) -> Duration {
        self.queue.buffered(self.reader.played)
    }

    /// Stretches of audio that are there, ascending.
    pub fn buffered_ranges(&self) -> Vec<std::ops::Range<Duration>> {
        self.queue.ranges()
    }

    /// The variant that was planned last.
    pub fn variant(&self) -> Option<usize> {
        self.variant
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event<P::Content>, now: Instant) {
        match event {
            Event::Reader(state) => self.reader = state,
            Event::Command(command) => self.command(command, now),
            Event::Started { ticket, plan, transfer } => self.started(ticket, *plan, transfer, now),
            Event::Progress { ticket, transfer } => {
                if let Some(entry) = self.queue.get_mut(ticket)
                    && matches!(entry.state, EntryState::Starting | EntryState::Fetched(_))
                {
                    entry.state = EntryState::Fetched(transfer);
                    if transfer.received > entry.found && entry.first_byte.is_none() {
                        let waited = now.saturating_duration_since(entry.begun);
                        entry.first_byte = Some(waited);
                        self.abr.record_first_byte(waited);
                    }
                }
            }
            Event::Prepared { ticket } => {
                if let Some(entry) = self.queue.get_mut(ticket) {
                    entry.is_prepared = true;
                }
            }
            Event::Failed { ticket, failure } => {
                if let Some(entry) = self.queue.get_mut(ticket) {
                    entry.state = EntryState::Failed(failure);
                }
            }
            Event::Stored { place, index, bytes, len, elapsed } => {
                let variant = place.id.variant;
                self.abr.observe_segment(variant, len, place.duration);
                if bytes > 0 {
                    self.look_ahead.latency.observe(elapsed);
                    self.abr.segment_arrived(now, self.buffered(), variant, elapsed);
                }
                self.recovery.succeed(place.id);
                self.events.push(HlsEvent::SegmentStored { variant, segment: index, bytes, elapsed });
            }
            Event::Loaded { document, result } => self.loaded(document, result, now),
            Event::Throughput { bytes, elapsed } => self.abr.record(bytes, elapsed),
            Event::FirstByte { elapsed } => self.abr.record_first_byte(elapsed),
        }
    }

    /// What to do next. Ask again until it is [`Action::Wait`].
    pub fn poll(&mut self, now: Instant) -> Action {
        self.heed_reader();
        loop {
            self.act_on_failures(now);
            self.give_up_what_is_too_slow(now);
            if let Some(ticket) = self.dropped.pop() {
                return Action::Drop(ticket);
            }
            if let Some(ticket) = self.passed.pop() {
                return Action::Release(ticket);
            }
            if let Some(plan) = self.recovery.corrupt.pop() {
                return Action::Discard(Box::new(plan));
            }
            let next = self.renew().or_else(|| self.emit(now)).or_else(|| self.start_waiting(now));
            let until = match next.map_or_else(|| self.plan(now), Next::Do) {
                Next::Do(action) => return action,
                Next::Again => continue,
                Next::Wait(until) => until,
            };
            let due = [until, self.look_due(now), self.retry_due(), self.parallel_fetch_at(now)];
            return Action::Wait(due.into_iter().flatten().min());
        }
    }

    // The reader.

    fn heed_reader(&mut self) {
        self.abr.set_speed(self.reader.speed.unwrap_or(1.0));
        if let Some(capacity) = self.look_ahead.capacity(&self.queue) {
            self.abr.set_capacity(capacity);
        }
        let passed = self.queue.pass(self.reader.segment);
        self.passed.extend(passed);
    }

    /// The reader waits for the next segment, and none is on its way to it.
    fn is_wanted(&self) -> bool {
        self.reader.is_waiting && self.reader.taken >= self.expected_taken
    }

    fn command(&mut self, command: HlsCommand, now: Instant) {
        // What was handed out and not received is void.
        self.expected_taken = self.reader.taken;
        self.look_ahead.only_first = false;
        match command {
            HlsCommand::Seek { to } => {
                self.restart(to, false);
                self.abr.moved();
                self.recovery.forget_spot();
                self.try_again(now);
            }
            HlsCommand::SetMode { mode, from } => {
                self.abr.set_mode(mode);
                let reading = self.queue.iter().rfind(|entry| entry.is_emitted && entry.place().start < from);
                let reading = reading.map(Entry::place);
                let is_before = |entry: &Entry| entry.is_emitted && entry.place().start < from;
                let dropped = self.queue.retain(is_before);
                self.dropped.extend(dropped);
                self.cursor = Cursor { position: from, after: reading, is_joined: true };
                (self.preroll, self.is_urgent) = (None, true);
            }
            HlsCommand::Failed { segment, resume_at, failure } => {
                let was_abandoned = self.abandoned == Some(segment.id);
                let planned = self.queue.iter().find(|entry| entry.place().id == segment.id);
                let is_outdated =
                    failure.error.is_refusal() && planned.is_some_and(|entry| self.is_outdated(&entry.plan));
                let dropped = self.queue.retain(|entry| entry.place().id != segment.id);
                self.dropped.extend(dropped);
                self.restart(resume_at, true);
                let heard = self.history.iter().find(|plan| {
                    plan.place.id != segment.id
                        && plan.place.start <= resume_at
                        && resume_at < plan.place.end()
                });
                self.preroll = heard.filter(|_| resume_at < segment.start).cloned();
                if was_abandoned || is_outdated {
                    self.try_again(now);
                } else {
                    self.recover(segment, failure, true, now);
                }
            }
        }
    }

    /// Goes on at `to`. What is planned from there on is kept.
    fn restart(&mut self, to: Duration, is_joined: bool) {
        self.reader.segment = to;
        self.cursor = Cursor { position: to, after: None, is_joined };
        self.preroll = None;
        self.abandoned = None;
        self.dry_since = None;
        self.queue.recall();
        let span = self.look_ahead.bounds.duration;
        let dropped = self.queue.retain(|entry| {
            let place = entry.place();
            place.end() > to && place.start < to.saturating_add(span)
        });
        self.dropped.extend(dropped);
    }

    /// Tries again what has failed in all variants, if it has.
    fn try_again(&mut self, now: Instant) {
        if self.recovery.forget_tries()
            || (0..self.presentation.variants()).all(|of| self.abr.is_excluded(of, now))
        {
            self.abr.forgive();
        }
    }

    /// Hands out the segment that the reader waits for.
    fn emit(&mut self, now: Instant) -> Option<Action> {
        if !self.is_wanted() {
            self.dry_since = None;
            return None;
        }
        let taken = self.reader.taken;
        let next = self.queue.next(self.cursor).filter(|entry| match entry.state {
            EntryState::Gap { .. } => true,
            EntryState::Fetched(_) => entry.is_prepared,
            _ => false,
        });
        let Some(entry) = next else {
            self.dry_since.get_or_insert(now);
            return None;
        };
        entry.is_emitted = true;
        let place = entry.place();
        let action = match &entry.state {
            EntryState::Gap { error } => Action::EmitGap {
                plan: Box::new(entry.plan.clone()),
                reason: entry.reason,
                error: error.clone(),
            },
            _ => {
                self.history.truncate(HISTORY - 1);
                self.history.push_front(entry.plan.clone());
                Action::Emit(entry.ticket)
            }
        };
        self.cursor = Cursor::behind(place, self.cursor.position);
        self.expected_taken = taken + 1;
        self.dry_since = None;
        Some(action)
    }

    // Fetching.

    fn started(&mut self, ticket: Ticket, plan: SegmentPlan, transfer: Transfer, now: Instant) {
        let Some(index) = self.queue.index_of(ticket) else { return };
        let estimate = self.estimate(&plan);
        let variant = plan.variant();
        if let Some(entry) = self.queue.get_mut(ticket) {
            let end = plan.place.end();
            entry.plan = plan;
            entry.state = EntryState::Fetched(transfer);
            (entry.begun, entry.first_byte) = (now, None);
            (entry.found, entry.estimate) = (transfer.received, estimate);
            let dropped = self.queue.drop_overlapped(index, end);
            self.dropped.extend(dropped);
        }
        self.variant = Some(variant);
    }

    /// Bytes that a segment may have where nothing is declared: by what was seen of its variant.
    fn estimate(&self, plan: &SegmentPlan) -> u64 {
        let seen = || {
            let bandwidth = self.abr.bandwidth(plan.variant());
            bandwidth.saturating_mul(plan.place.duration.as_millis() as u64) / 8000
        };
        plan.window.map_or_else(seen, |window| window.len)
    }

    /// Fetches what was planned for later, once its time has come.
    fn start_waiting(&mut self, now: Instant) -> Option<Action> {
        let is_due = |entry: &&Entry| matches!(entry.state, EntryState::Waiting { until } if until <= now);
        let (ticket, id, reason) =
            self.queue.iter().find(is_due).map(|entry| (entry.ticket, entry.place().id, entry.reason))?;
        if let Some(found) = self.presentation.find(id) {
            if found.shares_file() && self.queue.iter().any(Entry::is_arriving) {
                return None;
            }
            let entry = self.queue.get_mut(ticket)?;
            entry.plan = found.clone();
            entry.state = EntryState::Starting;
            entry.begun = now;
            return Some(Action::Fetch(Box::new(FetchOrder {
                ticket,
                plan: found,
                reason,
                if_stored_above: Vec::new(),
                if_stored_below: Vec::new(),
            })));
        }
        // It has left the list in the meantime: a hole, for which there may be something else.
        let dropped = self.queue.retain(|entry| entry.ticket != ticket);
        self.dropped.extend(dropped);
        None
    }

    fn retry_due(&self) -> Option<Instant> {
        let until = self.queue.iter().filter_map(|entry| match entry.state {
            EntryState::Waiting { until } => Some(until),
            _ => None,
        });
        until.min()
    }

    fn parallel_fetch_at(&self, now: Instant) -> Option<Instant> {
        self.look_ahead.parallel_fetch_at(&self.queue, &self.abr, now)
    }

    /// Plans a segment for the first hole.
    fn plan(&mut self, now: Instant) -> Next {
        if self.renewing.is_some() {
            return Next::Wait(None);
        }
        let hole = self.queue.hole(self.cursor);
        let on = Conditions {
            abr: &self.abr,
            variant: self.variant,
            reader: self.reader.segment,
            played: self.reader.played,
            is_awaited: self.is_wanted() && hole.index == self.queue.emitted(),
            now,
        };
        if !self.is_urgent && !self.look_ahead.may_fetch(&self.queue, &on) {
            return Next::Wait(None);
        }
        let holds = |plan: &SegmentPlan| {
            let position = hole.cursor.position;
            hole.cursor.after.is_none() && plan.place.start <= position && position < plan.place.end()
        };
        if let Some(plan) = self.preroll.take().filter(holds) {
            return self.fetch(hole, plan, SwitchReason::Initial, now);
        }
        if self.recovery.take_try(now) {
            self.abr.forgive();
        }
        if let Some(last) = self.queue.iter().next_back() {
            self.abr.set_upcoming(last.place().duration, None, &[]);
        }
        let Some(decision) = self.abr.choose(now, self.buffered()) else {
            return self.without_variant(&hole, now);
        };
        let variant = decision.variant;
        if let Some(document) = self.presentation.missing_document(variant) {
            return self.load(document);
        }
        let plan = match hole.cursor.after.filter(|after| after.id.variant == variant) {
            Some(after) => self.presentation.after(&after),
            None => self.presentation.segment_at(variant, hole.cursor.position, hole.cursor.is_joined),
        };
        let Some(plan) = plan else { return self.at_end(variant, &hole, now) };
        if !hole.cursor.is_joined && plan.place.start > hole.cursor.position {
            // A seek to before the first segment that is listed leads to that.
            self.cursor.position = plan.place.start;
        }
        if let Some(lost) = self.lost_before(&plan, &hole) {
            return self.gap(hole, lost, decision.reason, None, now);
        }
        if let Some(error) = self.recovery.silence_at(plan.place.start).cloned() {
            return self.gap(hole, plan, decision.reason, Some(error), now);
        }
        if plan.gap {
            return self.around_gap(hole, plan, decision.reason, now);
        }
        self.fetch(hole, plan, decision.reason, now)
    }

    /// The hole that a live list has left by moving on before what was in it could be fetched, as a segment to be silent.
    fn lost_before(&self, plan: &SegmentPlan, hole: &Hole) -> Option<SegmentPlan> {
        let Cursor { position, is_joined, .. } = hole.cursor;
        let is_lost = is_joined && plan.place.start > position + SAME_TIME;
        let number = plan.place.id.number.saturating_sub(1);
        is_lost.then(|| SegmentPlan {
            place: SegmentPlace {
                id: SegmentId { number, ..plan.place.id },
                start: position,
                duration: plan.place.start.saturating_sub(position),
                ..plan.place
            },
            gap: true,
            ..plan.clone()
        })
    }

    fn entry(&mut self, plan: SegmentPlan, reason: SwitchReason, state: EntryState, now: Instant) -> Entry {
        self.next_ticket += 1;
        let estimate = self.estimate(&plan);
        Entry {
            ticket: Ticket(self.next_ticket),
            plan,
            reason,
            state,
            is_prepared: false,
            is_emitted: false,
            begun: now,
            first_byte: None,
            found: 0,
            estimate,
        }
    }

    fn fetch(&mut self, hole: Hole, plan: SegmentPlan, reason: SwitchReason, now: Instant) -> Next {
        // The parts of one file are written one after the other: a second fetch could only stand in line.
        if plan.shares_file() && self.queue.iter().any(Entry::is_arriving) {
            return Next::Wait(None);
        }
        let later = self.recovery.not_before(plan.place.id).filter(|until| *until > now);
        let state = later.map_or(EntryState::Starting, |until| EntryState::Waiting { until });
        let Cursor { position, is_joined, .. } = hole.cursor;
        // Behind a seek the segment must hold the position; elsewhere a little later will do.
        let latest = if is_joined { Duration::MAX } else { position.max(plan.place.start) };
        let (above, below) = self.stored_alternatives(&plan, latest, now);
        let again = self.queue.retain(|entry| entry.is_emitted || entry.place().id != plan.place.id);
        self.dropped.extend(again);
        let entry = self.entry(plan.clone(), reason, state, now);
        let ticket = entry.ticket;
        let dropped = self.queue.insert(hole.index, entry);
        self.dropped.extend(dropped);
        self.is_urgent = false;
        match later {
            Some(_) => Next::Again,
            None => Next::Do(Action::Fetch(Box::new(FetchOrder {
                ticket,
                plan,
                reason,
                if_stored_above: above,
                if_stored_below: below,
            }))),
        }
    }

    fn gap(
        &mut self,
        hole: Hole,
        plan: SegmentPlan,
        reason: SwitchReason,
        error: Option<Arc<HlsError>>,
        now: Instant,
    ) -> Next {
        let entry = self.entry(plan, reason, EntryState::Gap { error }, now);
        let dropped = self.queue.insert(hole.index, entry);
        self.dropped.extend(dropped);
        Next::Again
    }

    /// A segment that its variant's list declares to be missing, from the nearest variant that has it; rather a lesser one.
    fn around_gap(&mut self, hole: Hole, plan: SegmentPlan, reason: SwitchReason, now: Instant) -> Next {
        let below = (0..plan.variant()).rev();
        for other in below.chain(plan.variant() + 1..self.presentation.variants()) {
            if self.abr.is_excluded(other, now) {
                continue;
            }
            if let Some(document) = self.presentation.missing_document(other) {
                return self.load(document);
            }
            if let Some(twin) = self.presentation.aligned(&plan, other).filter(|twin| !twin.gap) {
                return self.fetch(hole, twin, SwitchReason::Failover, now);
            }
        }
        self.gap(hole, plan, reason, None, now)
    }

    /// In automatic mode a segment that is complete in the store beats a request: in a better variant always, in a
    /// lesser one while the throughput is not known, or where it was heard before.
    fn stored_alternatives(
        &self,
        plan: &SegmentPlan,
        latest: Duration,
        now: Instant,
    ) -> (Vec<SegmentPlan>, Vec<SegmentPlan>) {
        if self.abr.mode() != VariantMode::Auto {
            return Default::default();
        }
        // What was heard already is planned again only to get the codec going.
        let is_heard = plan.place.end() <= self.reader.played + SAME_TIME;
        let any_will_do = is_heard || self.abr.throughput().is_none() || self.is_offline;
        let twins = (0..self.presentation.variants()).rev().filter(|other| *other != plan.variant());
        let usable = twins.filter(|other| !self.abr.is_excluded(*other, now));
        let twins = usable
            .filter_map(|other| self.presentation.aligned(plan, other))
            .filter(|twin| !twin.gap && twin.place.start <= latest);
        let (above, below): (Vec<_>, Vec<_>) = twins.partition(|twin| twin.variant() > plan.variant());
        (above, if any_will_do { below } else { Vec::new() })
    }

    fn load(&mut self, document: Document) -> Next {
        if self.loading.contains(&document) {
            return Next::Wait(None);
        }
        self.loading.push(document);
        Next::Do(Action::Load(document))
    }

    /// Behind the last segment that a variant lists.
    fn at_end(&mut self, variant: usize, hole: &Hole, now: Instant) -> Next {
        let is_awaited = self.is_wanted() && hole.index == self.queue.emitted();
        match self.presentation.continuation(variant, self.dry_since, now) {
            Continuation::ReloadAt(at) if at <= now => {
                self.load(Document::Variant { variant, is_fresh: true })
            }
            Continuation::ReloadAt(at) => Next::Wait(Some(at)),
            Continuation::Complete if is_awaited => Next::Do(Action::End),
            Continuation::Abandoned if is_awaited => {
                self.events.push(HlsEvent::EndedWithoutEndList { at: hole.cursor.position });
                Next::Do(Action::End)
            }
            Continuation::Failed(error) => {
                self.exclude(variant, error, now);
                Next::Again
            }
            _ => Next::Wait(None),
        }
    }

    /// Every variant has left the ladder.
    fn without_variant(&mut self, hole: &Hole, now: Instant) -> Next {
        let is_awaited = self.is_wanted() && hole.index == self.queue.emitted();
        if is_awaited {
            return Next::Do(Action::Fail(self.recovery.no_variant(self.presentation.url())));
        }
        // Ahead of a reader that still has something to play there is time, where time can help.
        let may_return = self.abr.next_return(now).is_some();
        Next::Wait(may_return.then(|| self.recovery.next_try(now)))
    }

    // Documents.

    /// Loads the playlists again if a server refused what they name: the root, then the variant's own.
    fn renew(&mut self) -> Option<Action> {
        if let Some(document) = self.follow_up.take() {
            self.loading.push(document);
            return Some(Action::Load(document));
        }
        if self.renewing.is_some() {
            return None;
        }
        let variant = self.recovery.renewal_wanted.take()?;
        self.renewing = Some(variant);
        let document = self.presentation.renewal(variant);
        self.loading.push(document);
        Some(Action::Load(document))
    }

    fn loaded(&mut self, document: Document, result: Result<P::Content, HlsError>, now: Instant) {
        self.loading.retain(|loading| *loading != document);
        let variant = document.variant();
        let is_renewal = self.renewing == Some(variant);
        let error = match result.and_then(|content| self.presentation.accept(document, content, now)) {
            Ok(()) if is_renewal && matches!(document, Document::Root { .. }) => {
                self.follow_up = Some(Document::Variant { variant, is_fresh: true });
                return;
            }
            result => {
                self.renewing = self.renewing.filter(|_| !is_renewal);
                let Err(error) = result else { return };
                Arc::new(error)
            }
        };
        if self.presentation.bear(document, &error, now) {
            return;
        }
        let may_have_moved = !is_renewal && self.presentation.can_renew() && error.is_refusal();
        if may_have_moved && self.recovery.may_reload_for(variant) {
            self.recovery.renewal_wanted = Some(variant);
        } else {
            self.exclude(variant, error, now);
        }
    }

    // Failures.

    /// Goes over to the variant's next source, or leaves it alone for a while.
    fn exclude(&mut self, variant: usize, error: Arc<HlsError>, now: Instant) {
        if !error.is_unsupported() && self.presentation.failover(variant) {
            return;
        }
        let penalty = (!error.is_unsupported()).then(|| self.abr.penalty());
        self.abr.exclude(variant, now, penalty);
        let text = crate::error::chain(&*error);
        self.recovery.blame(variant, error);
        self.events.push(HlsEvent::VariantExcluded { variant, penalty, error: text });
    }

    /// Segments that failed ahead of the reader: the remedy is applied now, not when the reader gets there. One that the
    /// reader has begun is its to tell: it may have been decoded by then.
    fn act_on_failures(&mut self, now: Instant) {
        loop {
            let failed = self.queue.iter().find_map(|entry| match &entry.state {
                EntryState::Failed(failure) if !entry.is_emitted => {
                    Some((entry.ticket, entry.plan.clone(), failure.clone()))
                }
                _ => None,
            });
            let Some((ticket, plan, failure)) = failed else { return };
            let dropped = self.queue.retain(|entry| entry.ticket != ticket);
            self.dropped.extend(dropped);
            if !(failure.error.is_refusal() && self.is_outdated(&plan)) {
                let start = plan.place.start;
                let is_awaited = self.is_wanted() && start <= self.cursor.position.saturating_add(SAME_TIME);
                self.recover(plan.place, failure, is_awaited, now);
            }
        }
    }

    /// A segment's URLs have been replaced, or are being, since it was planned: a refusal says nothing of the new ones.
    fn is_outdated(&self, plan: &SegmentPlan) -> bool {
        let found = || self.presentation.find(plan.place.id);
        self.renewing == Some(plan.variant()) || found().is_some_and(|found| found.url != plan.url)
    }

    /// When the reader comes to `start`.
    fn due(&self, start: Duration, variant: usize, now: Instant) -> Due {
        let at = self.reader.speed.map(|speed| {
            now + start
                .saturating_sub(self.reader.played)
                .div_f64(speed.max(0.01))
                .min(Duration::from_secs(3600))
        });
        let lowest = self.abr.bandwidth(0);
        let lead = match self.has_untried(variant, now).then(|| self.abr.throughput()).flatten() {
            Some(throughput) if throughput > 0 && lowest > 0 => {
                Duration::from_secs(1)
                    + Duration::from_secs(8).mul_f64((lowest as f64 / throughput as f64).min(1.0))
            }
            _ => Duration::ZERO,
        };
        Due { at, lead, has_played: self.reader.has_played, is_awaited: false }
    }

    /// Whether there is a variant beside this one that may be chosen now and did not fail at the present spot.
    fn has_untried(&self, variant: usize, now: Instant) -> bool {
        (0..self.presentation.variants()).any(|other| {
            other != variant && !self.recovery.has_failed(other) && !self.abr.is_excluded(other, now)
        })
    }

    /// The remedies, in this order: new URLs where access was refused; the same source again, for as long as the failure
    /// may pass and the segment is not due; the variant's redundant sources; another variant; silence, where a server says
    /// that it does not have the segment, or sends something else under its name. `is_awaited`: the reader needs it now.
    fn recover(&mut self, segment: SegmentPlace, failure: Failure, is_awaited: bool, now: Instant) {
        let SegmentPlace { id, start, .. } = segment;
        let variant = id.variant;
        let kind = FailureKind::of(&failure, self.presentation.is_live(variant));
        if kind == FailureKind::Refused && self.recovery.may_reload_for(variant) {
            self.recovery.renewal_wanted = Some(variant);
            return;
        }
        if self.may_be_whole(segment, &failure, kind) {
            return;
        }
        let due = Due { is_awaited, ..self.due(start, variant, now) };
        let is_passing = matches!(kind, FailureKind::PassingAnswer | FailureKind::Passing);
        if is_passing && self.recovery.retry(id, kind, due, now).is_some() {
            return;
        }
        if kind != FailureKind::Unsupported && self.presentation.failover(variant) {
            return;
        }
        self.recovery.fail(start, variant);
        let has_untried = self.has_untried(variant, now);
        // There is time until the reader is there, and nothing better to do with it.
        let may_wait = kind == FailureKind::Missing && !has_untried;
        if may_wait && self.recovery.retry(id, kind, due, now).is_some() {
            return;
        }
        if self.may_be_silent(segment, &failure, kind) && !has_untried {
            for failed in self.recovery.silence(segment, failure.error) {
                self.abr.exclude(failed, now, Some(Duration::ZERO));
            }
            return;
        }
        // What follows in its variant is planned anew with it: to and fro is worse than the lesser variant.
        let dropped = self.queue.retain(|entry| {
            entry.is_emitted || entry.place().id.variant != variant || entry.place().start < start
        });
        self.dropped.extend(dropped);
        self.exclude(variant, failure.error, now);
    }

    /// Asks the same source again where the bytes were no media, or changed.
    fn may_be_whole(&mut self, segment: SegmentPlace, failure: &Failure, kind: FailureKind) -> bool {
        match kind {
            FailureKind::Damaged => {
                let is_forgotten = failure.error.is_of_init() || self.forget(segment);
                is_forgotten && self.recovery.may_ask_again(segment.start, 1)
            }
            FailureKind::OtherBytes => self.recovery.may_ask_again(segment.start, MAX_AGAIN),
            _ => false,
        }
    }

    /// Has what is stored of a segment that is no media removed: neither another stream nor another run should hear it.
    /// False where it has left the list, and cannot be asked for again.
    fn forget(&mut self, segment: SegmentPlace) -> bool {
        let Some(plan) = self.presentation.find(segment.id) else { return false };
        self.recovery.corrupt.push(plan);
        true
    }

    fn may_be_silent(&self, segment: SegmentPlace, failure: &Failure, kind: FailureKind) -> bool {
        // In what was heard until now, an advertisement of another codec, or without any audio.
        let is_foreign = kind == FailureKind::Unsupported && self.reader.has_played;
        let is_missing = match kind {
            FailureKind::Damaged | FailureKind::Missing => true,
            FailureKind::PassingAnswer => matches!(failure.status, Some(404 | 500..)),
            FailureKind::Refused => failure.status == Some(410) && !segment.start.is_zero(),
            _ => is_foreign,
        };
        // Pictures alone are silent however long they go on; of everything else so much is too much.
        is_missing && (failure.error.is_without_audio() || self.recovery.gaps_around(segment) < MAX_GAPS)
    }

    // What arrives too slowly.

    /// Gives up the arriving segment, and what follows it in its variant, if it would come too late and a lesser variant's
    /// would be here sooner.
    fn give_up_what_is_too_slow(&mut self, now: Instant) {
        let Some(entry) = arriving(&self.queue) else { return };
        let EntryState::Fetched(transfer) = entry.state else { return };
        let (place, index, is_emitted) = (entry.place(), entry.plan.index, entry.is_emitted);
        let variant = place.id.variant;
        let received = transfer.received.saturating_sub(entry.found);
        let total = entry.expected_len().saturating_sub(entry.found);
        let elapsed = now.saturating_duration_since(entry.begun);
        let progress = TransferProgress::new(variant, total, place.duration).with_received(
            received,
            elapsed,
            entry.first_byte,
        );
        if self.abandoned == Some(place.id)
            || !self.abr.should_abandon(now, self.queue.buffered(self.reader.played), &progress)
        {
            return;
        }
        tracing::debug!(variant, segment = index, ?progress, "a segment arrives too slowly");
        self.abr.abandoned(now, &progress);
        let dropped = self
            .queue
            .retain(|entry| entry.place().start < place.start || entry.place().id.variant != variant);
        self.dropped.extend(dropped);
        if is_emitted {
            // Its reader meets the end of its bytes, and asks for what comes instead.
            self.abandoned = Some(place.id);
            self.cursor = Cursor { position: place.start, after: None, is_joined: true };
        }
        self.events.push(HlsEvent::SegmentAbandoned { variant, segment: index });
    }

    /// When to look at the arriving segment even if nothing more is heard of it: when the reader will have run dry. Once
    /// for each segment, because what comes later is told by the transfer itself.
    fn look_due(&mut self, now: Instant) -> Option<Instant> {
        let entry = arriving(&self.queue)?;
        if self.abr.mode() != VariantMode::Auto || self.looked_at == Some(entry.ticket) {
            return None;
        }
        let lasts = self.queue.buffered(self.reader.played).div_f64(self.abr.speed());
        let due = (now + lasts).max(entry.begun + FIRST_LOOK);
        if due <= now {
            self.looked_at = Some(entry.ticket);
            return None;
        }
        Some(due)
    }
}

/// What planning led to.
enum Next {
    Do(Action),
    /// The plan has changed: look again.
    Again,
    /// Nothing to be planned before this time.
    Wait(Option<Instant>),
}
