//! The simulation itself: events in the order of virtual time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kithara_decode::DecodeError;
use kithara_net::{NetError, Phase, StatusCode};
use url::Url;

use super::link::{link_at, next_change};
use super::listener::{ListenerState, Reading};
use super::log::{FetchLog, FetchResult, Log, Outcome, Played, Stall};
use super::origin::{ListAnswer, Origin, master, root, segment_of};
use super::scenario::{FaultKind, Scenario};
use crate::abr::{AbrController, SwitchReason};
use crate::error::{Fetching, HlsError};
use crate::message::{Failure, HlsCommand};
use crate::playlist::AudioPreference;
use crate::playlists::PlaylistManager;
use crate::presentation::{Document, Presentation};
use crate::scheduler::{Action, Event, FetchOrder, Planner, Ticket, Transfer};
use crate::segment::{SegmentPlace, SegmentPlan};

/// Between two looks at transfers that are under way.
const TICK: Duration = Duration::from_millis(100);

/// Busy time that makes a measurement of throughput, as in the crate's own meter.
const SAMPLE: Duration = Duration::from_millis(200);

/// How long the network waits for the next bytes of a body.
const IDLE: Duration = Duration::from_secs(10);

/// What a codec needs to get going.
const PREROLL: Duration = Duration::from_millis(46);

/// Steps without any passing of time after which the simulation turns in circles.
const MAX_STEPS: u32 = 5_000;

/// Plays a scenario.
#[must_use]
pub fn run(scenario: &Scenario) -> Log {
    match Simulation::new(scenario) {
        Ok(mut simulation) => {
            let outcome = simulation.play();
            simulation.finish(outcome)
        }
        Err(error) => Log::of_failure(error.to_string()),
    }
}

impl Log {
    fn of_failure(error: String) -> Self {
        Self {
            outcome: Outcome::Failed(error),
            ended: Duration::ZERO,
            fetches: Vec::new(),
            played: Vec::new(),
            stalls: Vec::new(),
            startup: None,
            list_loads: 0,
            events: Vec::new(),
        }
    }
}

/// A fetch that the planner has ordered.
struct Download {
    plan: SegmentPlan,
    reason: SwitchReason,
    segment: usize,
    total: f64,
    received: f64,
    fault: Option<FaultKind>,
    begun: Duration,
    first_byte_at: Duration,
    last_byte_at: Duration,
    state: State,
    /// Index in the log; `None` for what was in the store.
    log: Option<usize>,
    is_damaged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Asked for, or coming.
    Open,
    Complete,
    Failed,
}

impl Download {
    /// Bytes after which its fault strikes.
    fn limit(&self) -> f64 {
        match self.fault {
            Some(FaultKind::Reset(part) | FaultKind::Stall(part)) => {
                self.total * f64::from(part.min(1000)) / 1000.0
            }
            _ => self.total,
        }
    }

    /// Bytes are coming.
    fn is_flowing(&self, now: Duration) -> bool {
        self.state == State::Open && self.first_byte_at <= now && self.received < self.limit()
    }

    fn fraction(&self) -> f64 {
        if self.state == State::Complete { 1.0 } else { (self.received / self.total.max(1.0)).min(0.999) }
    }

    fn transfer(&self) -> Transfer {
        Transfer {
            received: self.received as u64,
            len: Some(self.total as u64),
            is_complete: self.state == State::Complete,
        }
    }
}

struct Simulation<'s> {
    scenario: &'s Scenario,
    /// An instant that stands for the beginning; only differences count.
    base: Instant,
    now: Duration,
    planner: Planner<PlaylistManager>,
    origin: Origin,
    downloads: BTreeMap<Ticket, Download>,
    stored: HashSet<(usize, usize)>,
    loads: Vec<(Duration, Document)>,
    listener: ListenerState<Ticket>,
    /// Busy time and bytes since the last measurement.
    measured: (Duration, f64),
    seeks_done: usize,
    log: Log,
}

impl<'s> Simulation<'s> {
    fn new(scenario: &'s Scenario) -> Result<Self, HlsError> {
        let base = Instant::now();
        let mut origin = Origin::default();
        let patience = scenario.live_patience;
        let mut playlists =
            PlaylistManager::new(root(), master(scenario), AudioPreference::default(), patience, base)?;
        let bandwidths = playlists.bandwidths();
        let mut abr = AbrController::new(scenario.abr.clone(), &bandwidths, scenario.mode);
        let first = abr.choose(base, Duration::ZERO).map_or(0, |decision| decision.variant);
        let document = Document::Variant { variant: first, is_fresh: false };
        if let ListAnswer::Loaded(loaded) = origin.list(scenario, first, Duration::ZERO) {
            playlists.accept(document, *loaded, base)?;
        }
        let start = playlists.start(first, None, scenario.live_start);
        let listener = ListenerState::new(scenario.listener.speed, start.position);
        Ok(Self {
            scenario,
            base,
            now: Duration::ZERO,
            planner: Planner::new(playlists, abr, scenario.look_ahead, start.position),
            origin,
            downloads: BTreeMap::new(),
            stored: HashSet::new(),
            loads: Vec::new(),
            listener,
            measured: (Duration::ZERO, 0.0),
            seeks_done: 0,
            log: Log { list_loads: 1, ..Log::of_failure(String::new()) },
        })
    }

    fn at(&self) -> Instant {
        self.base + self.now
    }

    fn play(&mut self) -> Outcome {
        let mut standing = 0;
        loop {
            let due = match self.settle() {
                Ok(due) => due,
                Err(outcome) => return outcome,
            };
            let Some(next) = self.next_event(due) else { return Outcome::Hung };
            standing = if next > self.now { 0 } else { standing + 1 };
            if standing > MAX_STEPS {
                return Outcome::Hung;
            }
            if next > self.scenario.limit {
                return Outcome::OutOfTime;
            }
            self.advance(next.max(self.now));
        }
    }

    /// Lets the planner and the listener do all that they can do now. Gives the time that the planner waits for.
    fn settle(&mut self) -> Result<Option<Duration>, Outcome> {
        for _ in 0..MAX_STEPS {
            self.listen();
            self.planner.handle(Event::Reader(self.listener.told), self.at());
            let action = self.planner.poll(self.at());
            for event in self.planner.take_events() {
                self.log.events.push((self.now, format!("{event:?}")));
            }
            match action {
                Action::Fetch(order) => self.fetch(*order),
                Action::Drop(ticket) | Action::Release(ticket) => self.let_go(ticket),
                Action::Discard(plan) => {
                    if let Some(segment) = segment_of(&plan) {
                        self.stored.remove(&(plan.variant(), segment));
                    }
                }
                Action::Load(document) => {
                    self.log.list_loads += 1;
                    let latency = link_at(&self.scenario.link, self.now).latency;
                    self.loads.push((self.now + latency, document));
                }
                Action::Emit(ticket) => self.begin_segment(ticket),
                Action::EmitGap { plan, reason, .. } => {
                    self.received(plan.place.start);
                    let until = plan.place.end();
                    let played = self.played(plan.place, None, reason);
                    self.note_played(played);
                    self.listener.reading = Reading::Silence { until };
                }
                Action::Wait(until) => {
                    self.note_stall();
                    return Ok(until.map(|until| until.saturating_duration_since(self.base)));
                }
                Action::End => return Err(Outcome::Ended),
                Action::Fail(error) => return Err(Outcome::Failed(crate::error::chain(&error))),
            }
        }
        Err(Outcome::Hung)
    }

    fn is_paused(&self) -> bool {
        self.scenario.listener.pauses.iter().any(|(at, len)| *at <= self.now && self.now < *at + *len)
    }

    // The listener.

    fn received(&mut self, segment: Duration) {
        self.listener.told.taken += 1;
        self.listener.told.is_waiting = false;
        self.listener.told.segment = segment;
    }

    fn played(&self, place: SegmentPlace, segment: Option<usize>, reason: SwitchReason) -> Played {
        Played {
            variant: place.id.variant,
            segment,
            start: place.start,
            reason,
            from: self.listener.position.max(place.start).min(place.end()),
            to: place.end(),
            at: self.now,
            buffered: self.planner.buffered(),
        }
    }

    /// What was begun before ends where this begins.
    fn note_played(&mut self, played: Played) {
        if let Some(last) = self.log.played.last_mut() {
            last.to = last.to.min(self.listener.position).max(last.from);
        }
        self.log.played.push(played);
    }

    fn begin_segment(&mut self, ticket: Ticket) {
        let Some(download) = self.downloads.get(&ticket) else { return };
        let place = download.plan.place;
        let (segment, reason) = (download.segment, download.reason);
        self.received(place.start);
        // What was heard of it before is only decoded again.
        if place.end() > self.listener.position {
            let played = self.played(place, Some(segment), reason);
            self.note_played(played);
        }
        self.listener.reading = Reading::Segment { key: ticket, place };
    }

    fn listen(&mut self) {
        loop {
            match self.listener.reading {
                Reading::Between => {
                    self.listener.told.is_waiting = true;
                    return;
                }
                Reading::Silence { until } => {
                    let rest = until.saturating_sub(self.listener.position);
                    self.hear(rest);
                    if self.listener.position < until {
                        return;
                    }
                    self.listener.reading = Reading::Between;
                }
                Reading::Segment { key, place } => {
                    let Some(download) = self.downloads.get(&key) else {
                        // It was given up while it was read.
                        self.fail(
                            place,
                            HlsError::from_storage(
                                Fetching::Segment(0),
                                root(),
                                kithara_storage::StorageError::NotAvailable { offset: 0 },
                            ),
                        );
                        return;
                    };
                    if download.is_damaged && download.received > 0.0 {
                        let error = damaged(&download.plan.url);
                        self.fail(place, error);
                        return;
                    }
                    let (fraction, state) = (download.fraction(), download.state);
                    let fault = download.fault;
                    let there = place.start + place.duration.mul_f64(fraction);
                    // A segment that begins later than the last one ended: the decoder fills the hole.
                    self.listener.position = match self.listener.position < place.start {
                        true => place.start,
                        false => self.listener.position,
                    };
                    self.hear(there.saturating_sub(self.listener.position));
                    if self.listener.position < there {
                        return;
                    }
                    match state {
                        State::Complete => self.listener.reading = Reading::Between,
                        State::Failed => {
                            let error = error_of(fault, &root());
                            self.fail(place, error);
                            return;
                        }
                        State::Open => return,
                    }
                }
            }
        }
    }

    fn hear(&mut self, available: Duration) {
        let taken = self.listener.take(available);
        if taken.is_zero() {
            return;
        }
        if self.log.startup.is_none() {
            self.log.startup = Some(self.now);
        }
        if let Some(since) = self.listener.dry_since.take() {
            let len = self.now.saturating_sub(since);
            if len > Duration::from_millis(1) {
                let position = self.listener.position.saturating_sub(taken);
                self.log.stalls.push(Stall { at: since, len, position });
            }
        }
    }

    /// The listener has nothing to take: it waits from now on, and what it could have taken is lost.
    fn note_stall(&mut self) {
        if self.listener.speed.is_none() || self.listener.budget.is_zero() {
            return;
        }
        let is_new = self.listener.dry_since.is_none() && self.listener.told.has_played;
        if is_new {
            self.listener.dry_since = Some(self.now);
            if self.listener.told.speed.is_some() && matches!(self.listener.reading, Reading::Segment { .. })
            {
                self.listener.told.stalls += 1;
            }
        }
        self.listener.budget = Duration::ZERO;
    }

    fn fail(&mut self, segment: SegmentPlace, error: HlsError) {
        let resume_at = self.listener.position.saturating_sub(PREROLL).min(segment.start);
        self.command(resume_at, HlsCommand::Failed { segment, resume_at, failure: Failure::new(error) });
    }

    fn command(&mut self, at: Duration, command: HlsCommand) {
        self.listener.reading = Reading::Between;
        self.listener.told.segment = at;
        self.listener.told.is_waiting = false;
        self.planner.handle(Event::Reader(self.listener.told), self.at());
        self.planner.handle(Event::Command(command), self.at());
    }

    fn seek_if_due(&mut self) {
        let Some((at, to)) = self.scenario.listener.seeks.get(self.seeks_done).copied() else { return };
        if at > self.now {
            return;
        }
        self.seeks_done += 1;
        let to = match self.scenario.live {
            Some(_) => {
                let playlists = self.planner.presentation();
                let variant = self.planner.variant().unwrap_or(0);
                let window = playlists.window(variant).unwrap_or(Duration::ZERO..Duration::MAX);
                to.clamp(window.start, playlists.live_edge(variant).unwrap_or(window.end))
            }
            None => to,
        };
        self.listener.position = to;
        self.listener.told.played = to;
        self.listener.dry_since = None;
        self.command(to.saturating_sub(PREROLL), HlsCommand::Seek { to: to.saturating_sub(PREROLL) });
    }

    // Fetches.

    fn fetch(&mut self, order: FetchOrder) {
        let is_stored = |plan: &SegmentPlan| {
            segment_of(plan).is_some_and(|segment| self.stored.contains(&(plan.variant(), segment)))
        };
        let above = order.if_stored_above.iter().find(|plan| is_stored(plan));
        let below = || order.if_stored_below.iter().find(|plan| is_stored(plan));
        let plan = match above {
            Some(plan) => plan.clone(),
            None if is_stored(&order.plan) => order.plan.clone(),
            None => below().unwrap_or(&order.plan).clone(),
        };
        let Some(segment) = segment_of(&plan) else { return };
        let variant = plan.variant();
        let is_cached = self.stored.contains(&(variant, segment));
        let bytes = self.scenario.variants[variant].segments[segment].bytes.max(1) as f64;
        let fault =
            if is_cached { None } else { self.origin.request(self.scenario, variant, segment, self.now) };
        let log = (!is_cached).then(|| {
            let (begun, ended) = (self.now, self.now);
            let result = FetchResult::Pending;
            self.log.fetches.push(FetchLog { variant, segment, begun, ended, bytes: 0, result });
            self.log.fetches.len() - 1
        });
        let latency = link_at(&self.scenario.link, self.now).latency;
        let download = Download {
            reason: order.reason,
            segment,
            total: bytes,
            received: if is_cached { bytes } else { 0.0 },
            fault,
            begun: self.now,
            first_byte_at: self.now + latency,
            last_byte_at: self.now + latency,
            state: if is_cached { State::Complete } else { State::Open },
            log,
            is_damaged: fault == Some(FaultKind::Damaged),
            plan: plan.clone(),
        };
        let transfer = download.transfer();
        let ticket = order.ticket;
        self.downloads.insert(ticket, download);
        let at = self.at();
        self.planner.handle(Event::Started { ticket, plan: Box::new(plan), transfer }, at);
        self.planner.handle(Event::Prepared { ticket }, at);
    }

    fn let_go(&mut self, ticket: Ticket) {
        if let Some(download) = self.downloads.remove(&ticket)
            && download.state == State::Open
        {
            self.note(&download, FetchResult::Cancelled);
        }
    }

    fn note(&mut self, download: &Download, result: FetchResult) {
        if let Some(log) = download.log.and_then(|log| self.log.fetches.get_mut(log)) {
            (log.ended, log.bytes, log.result) = (self.now, download.received as u64, result);
        }
    }

    /// When something happens next.
    fn next_event(&self, due: Option<Duration>) -> Option<Duration> {
        let now = self.now;
        let flowing = self.downloads.values().filter(|download| download.is_flowing(now)).count();
        let rate = link_at(&self.scenario.link, now).bits_per_second as f64 / 8.0 / flowing.max(1) as f64;
        let of_download = |download: &Download| {
            if download.state != State::Open {
                return None;
            }
            if download.first_byte_at > now {
                return Some(download.first_byte_at);
            }
            let idle = download.last_byte_at + IDLE;
            if !download.is_flowing(now) {
                return Some(if matches!(download.fault, Some(FaultKind::Stall(_))) { idle } else { now });
            }
            let rest = (download.limit() - download.received) / rate.max(1e-9);
            Some((now + Duration::from_secs_f64(rest.clamp(1e-6, 1e6))).min(idle))
        };
        let downloads = self.downloads.values().filter_map(of_download);
        let tick = (flowing > 0).then_some(now + TICK);
        let link = (flowing > 0).then(|| next_change(&self.scenario.link, now)).flatten();
        let loads = self.loads.iter().map(|(at, _)| *at);
        let listener = &self.scenario.listener;
        let seek = listener.seeks.get(self.seeks_done).map(|(at, _)| (*at).max(now));
        let pauses = listener.pauses.iter().flat_map(|(at, len)| [*at, *at + *len]).filter(|at| *at > now);
        let all = downloads.chain(tick).chain(link).chain(loads).chain(seek).chain(pauses);
        all.chain(due.map(|due| due.max(now + Duration::from_micros(1)))).chain(self.listener_due()).min()
    }

    /// When the listener will have taken what is there.
    fn listener_due(&self) -> Option<Duration> {
        let speed = self.listener.speed.filter(|_| !self.is_paused())?;
        let until = match self.listener.reading {
            Reading::Between => return None,
            Reading::Silence { until } => until,
            Reading::Segment { key, place } => {
                let download = self.downloads.get(&key)?;
                place.start + place.duration.mul_f64(download.fraction())
            }
        };
        let rest = until.saturating_sub(self.listener.position);
        let step = rest.div_f64(speed.max(1e-3)).max(Duration::from_micros(1));
        (!rest.is_zero()).then(|| self.now + step)
    }

    /// Lets time pass.
    fn advance(&mut self, to: Duration) {
        let time = to - self.now;
        let (now, link) = (self.now, link_at(&self.scenario.link, self.now));
        let flowing = self.downloads.values().filter(|download| download.is_flowing(now)).count();
        let share = link.bits_per_second as f64 / 8.0 / flowing.max(1) as f64 * time.as_secs_f64();
        let mut bytes = 0.0;
        for download in self.downloads.values_mut().filter(|download| download.is_flowing(now)) {
            let before = download.received;
            download.received = (before + share).min(download.limit());
            if download.received > before {
                download.last_byte_at = to;
            }
            bytes += download.received - before;
        }
        let is_paused = self.is_paused();
        self.now = to;
        self.listener.pass(time, is_paused);
        if flowing > 0 {
            self.measured = (self.measured.0 + time, self.measured.1 + bytes);
        }
        let ended = self.end_downloads();
        self.measure(ended);
        self.end_loads();
        self.seek_if_due();
    }

    /// Ends the downloads that have come to their end, and tells of the others. Whether one ended.
    fn end_downloads(&mut self) -> bool {
        let (now, at) = (self.now, self.at());
        let mut has_ended = false;
        let open: Vec<Ticket> =
            self.downloads.iter().filter(|(_, of)| of.state == State::Open).map(|(of, _)| *of).collect();
        for ticket in open {
            let Some(download) = self.downloads.get_mut(&ticket) else { continue };
            if download.first_byte_at > now {
                continue;
            }
            let is_refused = matches!(download.fault, Some(FaultKind::Status(_)));
            let is_broken = matches!(download.fault, Some(FaultKind::Reset(_)))
                && download.received >= download.limit() - 0.5;
            let is_idle = now >= download.last_byte_at + IDLE;
            if is_refused || is_broken || is_idle {
                download.state = State::Failed;
                let fault = download.fault.filter(|_| is_refused);
                let error = error_of(fault, &download.plan.url);
                download.fault = fault;
                has_ended = true;
                let download = &self.downloads[&ticket];
                if let Some(log) = download.log {
                    let bytes = download.received as u64;
                    let log = &mut self.log.fetches[log];
                    (log.ended, log.bytes, log.result) = (now, bytes, FetchResult::Failed);
                }
                self.planner.handle(Event::Failed { ticket, failure: Failure::new(error) }, at);
                continue;
            }
            if download.received >= download.total - 0.5 {
                (download.state, download.received) = (State::Complete, download.total);
                has_ended = true;
                let (variant, segment) = (download.plan.variant(), download.segment);
                let event = Event::Stored {
                    place: download.plan.place,
                    index: download.plan.index,
                    bytes: download.total as u64,
                    len: download.total as u64,
                    elapsed: now - download.begun,
                };
                if let Some(log) = download.log {
                    let log = &mut self.log.fetches[log];
                    (log.ended, log.bytes, log.result) = (now, download.total as u64, FetchResult::Complete);
                }
                self.stored.insert((variant, segment));
                self.planner.handle(event, at);
            }
            let transfer = self.downloads[&ticket].transfer();
            self.planner.handle(Event::Progress { ticket, transfer }, at);
        }
        has_ended
    }

    fn measure(&mut self, has_ended: bool) {
        let (elapsed, bytes) = self.measured;
        if (has_ended || elapsed >= SAMPLE) && bytes >= 1.0 {
            self.measured = (Duration::ZERO, 0.0);
            let at = self.at();
            self.planner.handle(Event::Throughput { bytes: bytes as u64, elapsed }, at);
        }
    }

    fn end_loads(&mut self) {
        let at = self.at();
        while let Some(index) = self.loads.iter().position(|(due, _)| *due <= self.now) {
            let (_, document) = self.loads.remove(index);
            let result = match document {
                Document::Root { .. } => Ok(master(self.scenario)),
                Document::Variant { variant, .. } => {
                    match self.origin.list(self.scenario, variant, self.now) {
                        ListAnswer::Loaded(loaded) => Ok(*loaded),
                        ListAnswer::Status(status) => {
                            Err(status_error(status, &root(), Fetching::MediaPlaylist))
                        }
                    }
                }
            };
            self.planner.handle(Event::Loaded { document, result }, at);
        }
    }

    fn finish(mut self, outcome: Outcome) -> Log {
        let open: Vec<Ticket> = self.downloads.keys().copied().collect();
        for ticket in open {
            if let Some(download) = self.downloads.remove(&ticket)
                && download.state == State::Open
            {
                self.note(&download, FetchResult::Pending);
            }
        }
        // What was begun last may not have been heard to its end.
        let position = self.listener.position;
        if let Some(last) = self.log.played.last_mut() {
            last.to = last.to.min(position.max(last.from));
        }
        Log { outcome, ended: self.now, ..self.log }
    }
}

fn error_of(fault: Option<FaultKind>, url: &Url) -> HlsError {
    match fault {
        Some(FaultKind::Status(status)) => status_error(status, url, Fetching::Segment(0)),
        _ => HlsError::Net {
            what: Fetching::Segment(0),
            url: url.clone(),
            source: NetError::Timeout { url: url.as_str().into(), phase: Phase::Idle, after: IDLE },
        },
    }
}

fn status_error(status: u16, url: &Url, what: Fetching) -> HlsError {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let source = NetError::Status { url: url.as_str().into(), status, retry_after: None };
    HlsError::Net { what, url: url.clone(), source }
}

fn damaged(url: &Url) -> HlsError {
    let source = Arc::new(DecodeError::NotMedia("text".to_owned()));
    HlsError::Decode { what: Fetching::Segment(0), url: url.clone(), source }
}
