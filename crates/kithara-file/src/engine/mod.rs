//! [`Engine`]: the task that owns the connection and brings bytes where they are needed.
//!
//! One loop: ask the plan ([`View::decide`]) what to do, do one step of it, ask again. Whoever reads elsewhere pokes the
//! engine, so each await on the network also waits for a poke.

mod accept;
mod jumps;
mod live;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use kithara_net::{HeaderMap, Net, NetError, Request, RetryPolicy, Url};
use kithara_storage::{Atomic, ResourceStatus, Streaming, WriteClaim};
use tokio::time::{Instant, sleep, sleep_until};

use crate::entity::Entity;
use crate::plan::{Decision, TransferView, View};
use crate::shared::Shared;
use crate::stats::Counters;
use crate::{FileError, FileEvent, Validation};

use self::jumps::Jumps;
use self::transfer::{Pace, Step, Transfer};

/// A pause that lasts longer than this gives the write claim back, so that another store user may go on.
const KEEP_CLAIM: Duration = Duration::from_millis(250);

/// A connection that brought this much is opened anew without a pause when it breaks.
const EARNED: u64 = 64 * 1024;

/// What the engine is told.
#[derive(Clone, Debug)]
pub(crate) struct EngineSettings {
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) validation: Validation,
    pub(crate) retry: RetryPolicy,
    pub(crate) keep_paused: Duration,
    pub(crate) fill_holes: bool,
    pub(crate) max_unknown_len: u64,
    pub(crate) icy: bool,
    /// No request may be sent.
    pub(crate) offline: bool,
}

/// The downloading side of one file.
pub(crate) struct Engine<N: Net, R: Streaming, T> {
    shared: Arc<Shared<R>>,
    net: N,
    /// Keeps what is known of a complete file.
    record: T,
    settings: EngineSettings,
    transfer: Option<Transfer<N::Body, R>>,
    /// A transfer that was left where it was when another place was needed more.
    parked: Option<Transfer<N::Body, R>>,
    claim: Option<WriteClaim>,
    /// Of the resource, when this engine looked last.
    generation: u64,
    pace: Pace,
    paused: bool,
    /// The server sends whole files only.
    sequential: bool,
    /// The entity was compared with the server's by this engine, or is of it.
    checked: bool,
    /// Failures since bytes arrived last.
    tries: u32,
    jumps: Jumps,
    /// Where the last transfer or request ended: going on there is no jump.
    resume_at: u64,
    /// Bytes stored when the last progress event was sent.
    reported: u64,
    /// Storing the end failed: not tried again.
    uncommittable: bool,
}

/// What stops the engine for a while or for good.
#[derive(Debug)]
struct Trouble {
    error: FileError,
    /// Asking again later is of no use.
    permanent: bool,
    /// The connection had brought enough to be tried again at once.
    earned: bool,
}

impl<E: Into<FileError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        let error = error.into();
        Self { permanent: !error.is_retryable(), error, earned: false }
    }
}

impl<N: Net, R: Streaming, T: Atomic> Engine<N, R, T> {
    pub(crate) fn new(shared: Arc<Shared<R>>, net: N, record: T, settings: EngineSettings) -> Self {
        let generation = shared.resource.generation();
        Self {
            generation,
            shared,
            net,
            record,
            settings,
            transfer: None,
            parked: None,
            claim: None,
            pace: Pace::default(),
            paused: false,
            sequential: false,
            checked: false,
            tries: 0,
            jumps: Jumps::new(Instant::now()),
            resume_at: 0,
            reported: 0,
            uncommittable: false,
        }
    }

    /// Downloads what its readers need until it is dropped.
    pub(crate) async fn run(mut self) {
        if self.settings.offline {
            return std::future::pending().await;
        }
        while let Err(trouble) = self.begin().await {
            self.recover(trouble).await;
        }
        if let Err(trouble) = self.revalidate().await {
            self.recover(trouble).await;
        }
        loop {
            let done = if self.shared.is_live() { self.live().await } else { self.advance().await };
            if let Err(trouble) = done {
                self.recover(trouble).await;
            }
        }
    }

    /// Finds out what the stored bytes are part of, and drops them if nobody can tell.
    async fn begin(&mut self) -> Result<(), Trouble> {
        let resource = self.shared.resource.clone();
        if resource.available().is_empty() || matches!(resource.status(), ResourceStatus::Committed { .. }) {
            return Ok(());
        }
        self.claim = resource.try_claim()?;
        if self.claim.is_none() {
            // Somebody is downloading it right now, and knows what is stored.
            self.learn_from_resource();
            self.shared.set_ready_if_stored();
            return Ok(());
        }
        if matches!(resource.status(), ResourceStatus::Committed { .. }) {
            return Ok(());
        }
        match resource.tag().and_then(|note| Entity::from_bytes(&note)).filter(Entity::can_be_continued) {
            Some(entity) => {
                self.shared.set_entity(entity);
                self.shared.emit(&FileEvent::Continued { stored: resource.available().covered() });
            }
            None => {
                resource.reset().await?;
                self.shared.forget();
            }
        }
        Ok(())
    }

    /// Asks whether what is stored is still current, before any of it is used.
    async fn revalidate(&mut self) -> Result<(), Trouble> {
        let resource = self.shared.resource.clone();
        if matches!(resource.status(), ResourceStatus::Committed { .. }) {
            self.validate().await?;
            self.shared.set_ready();
            return Ok(());
        }
        // The request for the rest, which is needed anyway, tells.
        let missing = resource.available_at(0);
        if self.claim.is_some()
            && !resource.available().is_empty()
            && self.shared.end().is_none_or(|end| missing < end)
        {
            self.open(missing).await?;
        }
        Ok(())
    }

    /// One step of the plan.
    async fn advance(&mut self) -> Result<(), Trouble> {
        if let Some(error) = self.shared.take_damage() {
            return self.start_anew(error).await;
        }
        match self.decide(self.transfer_view()) {
            Decision::Fetch(offset) => {
                self.paused = false;
                self.fetch(offset).await
            }
            Decision::Pause => {
                self.pause().await;
                Ok(())
            }
            Decision::Complete => self.complete().await,
        }
    }

    fn transfer_view(&self) -> Option<TransferView> {
        self.transfer.as_ref().map(Transfer::view)
    }

    fn decide(&self, transfer: Option<TransferView>) -> Decision {
        let view = View {
            total: self.shared.end(),
            transfer,
            reach: self.pace.reach(),
            sequential: self.sequential,
            paused: self.paused,
            fill_holes: self.settings.fill_holes,
        };
        view.decide(&self.shared.views(), |offset| self.shared.resource.available_at(offset))
    }

    /// Gets bytes at `offset`: goes on with a transfer that is there, or opens one.
    async fn fetch(&mut self, offset: u64) -> Result<(), Trouble> {
        if self.claim.is_none() {
            // Whoever held it may have done the work meanwhile: think again.
            return self.claim().await;
        }
        let shared = Arc::clone(&self.shared);
        let patience = self.pace.patience();
        let may_skip = !self.sequential && !self.pace.is_stalled();
        let waited_for = self.waited_for();
        let Some(transfer) = self.aim(offset) else { return self.jump(offset).await };
        let is_new = shared.resource.available_at(transfer.offset()) == 0;
        // Waiting for bytes that lie further on pays only while bytes come.
        let is_skipping = may_skip && transfer.offset() < waited_for;
        let step = tokio::select! {
            biased;
            () = shared.engine.notified() => return Ok(()),
            step = transfer.step() => step,
            () = sleep_until(patience), if is_skipping => {
                self.pace.stalled();
                return Ok(());
            }
        };
        self.stepped(step, is_new).await
    }

    /// The transfer that will bring `offset` soon: the current one, or the parked one, which is then made current.
    fn aim(&mut self, offset: u64) -> Option<&mut Transfer<N::Body, R>> {
        let reach = self.pace.reach();
        let sequential = self.sequential;
        let serves = |transfer: &Transfer<N::Body, R>| {
            offset.checked_sub(transfer.offset()).is_some_and(|distance| sequential || distance <= reach)
        };
        if !self.transfer.as_ref().is_some_and(serves) && self.parked.as_ref().is_some_and(serves) {
            std::mem::swap(&mut self.transfer, &mut self.parked);
            self.pace.interrupted();
        }
        self.transfer.as_mut().filter(|transfer| serves(transfer))
    }

    /// The furthest byte that somebody waits for.
    fn waited_for(&self) -> u64 {
        let views = self.shared.views();
        views.iter().filter(|view| view.waits_since.is_some()).map(|view| view.position).max().unwrap_or(0)
    }

    /// Opens a transfer at `offset`, unless readers jump about so fast that it pays to see where they land.
    async fn jump(&mut self, offset: u64) -> Result<(), Trouble> {
        if offset != self.resume_at
            && let Err(later) = self.jumps.allow(offset, Instant::now())
        {
            tokio::select! {
                biased;
                () = self.shared.engine.notified() => {}
                () = sleep_until(later) => {}
            }
            return Ok(());
        }
        self.open(offset).await
    }

    /// Sends a request for the bytes from `offset` on, unless something else is needed more before it is answered.
    async fn open(&mut self, offset: u64) -> Result<(), Trouble> {
        self.park();
        let start = if self.sequential { 0 } else { offset };
        self.resume_at = start;
        let request = self.request(start);
        let asked = request.range.is_some();
        Counters::add(&self.shared.counters.requests, 1);
        self.shared.emit(&FileEvent::Request { offset: start });
        let began = Instant::now();
        let Some(response) = self.answer(request, start).await else { return Ok(()) };
        let latency = began.elapsed();
        self.pace.opened(latency);
        match response {
            Ok(response) => self.accept(response, start, asked, latency).await,
            Err(error) => self.refused(error, start).await,
        }
    }

    /// Waits for the answer; `None` if the request was given up.
    async fn answer(
        &mut self,
        request: Request,
        start: u64,
    ) -> Option<Result<kithara_net::Response<N::Body>, NetError>> {
        let net = self.net.clone();
        let shared = Arc::clone(&self.shared);
        let mut response = std::pin::pin!(net.open(request));
        let began = Instant::now();
        let mut give_up: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                response = &mut response => return Some(response),
                () = shared.engine.notified() => {}
                () = sleep_until(give_up.unwrap_or(began)), if give_up.is_some() => {}
            }
            let Some(offset) = self.needed_elsewhere(start) else {
                give_up = None;
                continue;
            };
            match self.jumps.allow(offset, Instant::now()) {
                Ok(()) => {
                    self.resume_at = offset;
                    return None;
                }
                Err(later) => give_up = Some(later),
            }
        }
    }

    /// What is needed more than an answer to the request for `start`.
    fn needed_elsewhere(&self, start: u64) -> Option<u64> {
        let opening = TransferView { offset: start, delivered: 0 };
        match self.decide(Some(opening)) {
            Decision::Fetch(offset) if offset != start => Some(offset),
            _ => None,
        }
    }

    /// Leaves the current transfer where it is, if it may be wanted again.
    fn park(&mut self) {
        self.pace.interrupted();
        if let Some(transfer) = self.transfer.take()
            && self.shared.resource.available_at(transfer.offset()) == 0
            && self.shared.end().is_none_or(|end| transfer.offset() < end)
        {
            self.parked = Some(transfer);
        }
    }

    fn request(&self, start: u64) -> Request {
        let mut request = Request::new(self.settings.url.clone())
            .with_headers(&self.settings.headers)
            .with_tag("file")
            .without_retry();
        let entity = self.shared.entity();
        let end = self.hole_end(start);
        if start > 0 || end.is_some() {
            let range = kithara_net::ByteRange { start, end };
            request = request.with_range(range).with_if_range(entity.validator());
        } else if self.settings.icy && !self.checked {
            request.headers.entry("icy-metadata").or_insert(kithara_net::HeaderValue::from_static("1"));
        }
        request
    }

    /// Where the hole that begins at `start` ends, if what follows is worth a request of its own later; `None`: ask for
    /// everything.
    fn hole_end(&self, start: u64) -> Option<u64> {
        const WORTH: u64 = 256 * 1024;
        let end = self.shared.end();
        let stored = self.shared.resource.available();
        let next = stored.iter().find(|range| {
            range.start > start
                && (range.end - range.start >= WORTH || end.is_some_and(|end| range.end >= end))
        });
        next.map(|range| range.start)
    }

    /// `is_new`: what was written was not stored before.
    async fn stepped(&mut self, step: Step, is_new: bool) -> Result<(), Trouble> {
        match step {
            Step::Wrote(len) => {
                if is_new {
                    self.tries = 0;
                }
                self.pace.received(len);
                Counters::add(&self.shared.counters.bytes, len);
                self.report();
                self.guard_unknown_len();
                Ok(())
            }
            Step::End { at, proven, delivered, is_last } => {
                self.leave();
                self.pace.interrupted();
                match self.shared.end() {
                    None if is_last => self.shared.set_end(at, proven),
                    Some(end) if is_last && at < end => {
                        return Err(self.passing("a body that ends before the file"));
                    }
                    _ if delivered == 0 => return Err(self.passing("an empty part")),
                    _ => {}
                }
                Ok(())
            }
            Step::Failed { error, delivered } => {
                self.leave();
                self.pace.interrupted();
                Err(Trouble { earned: delivered >= EARNED, ..Trouble::from(error) })
            }
        }
    }

    /// A body of unknown length that outgrows its bound is kept only as it is played from here on.
    fn guard_unknown_len(&mut self) {
        if let Some(transfer) = &self.transfer
            && self.shared.end().is_none()
            && transfer.offset() >= self.settings.max_unknown_len
        {
            tracing::debug!(offset = transfer.offset(), "a body without a length is no longer stored");
            self.shared.set_live(transfer.offset());
        }
    }

    fn nonsense(&self, what: &'static str) -> Trouble {
        let error = FileError::Server { url: self.shared.url.clone(), what };
        Trouble { error, permanent: true, earned: false }
    }

    fn report(&mut self) {
        const EVERY: u64 = 256 * 1024;
        let received = self.shared.counters.bytes.load(std::sync::atomic::Ordering::Relaxed);
        if received - self.reported >= EVERY {
            self.reported = received;
            self.emit_progress();
        }
    }

    fn emit_progress(&self) {
        let stored = self.shared.resource.available().covered();
        self.shared.emit(&FileEvent::Progress { stored, total: self.shared.end() });
    }

    /// Gets the exclusive right to write, and learns what others did who had it. What they store can be read meanwhile.
    async fn claim(&mut self) -> Result<(), Trouble> {
        let resource = self.shared.resource.clone();
        let mut claim = std::pin::pin!(resource.claim());
        let mut first_byte = std::pin::pin!(resource.wait_range(0..1));
        let mut is_waiting = true;
        self.claim = loop {
            tokio::select! {
                biased;
                claim = &mut claim => break Some(claim?),
                _ = &mut first_byte, if is_waiting => {
                    is_waiting = false;
                    self.learn_from_resource();
                    self.shared.set_ready_if_stored();
                }
            }
        };
        self.learn_from_resource();
        Ok(())
    }

    /// What others noted who wrote to the resource.
    fn learn_from_resource(&mut self) {
        let resource = &self.shared.resource;
        if resource.generation() != self.generation {
            self.generation = resource.generation();
            self.shared.forget();
        }
        if let Some(entity) = resource.tag().and_then(|note| Entity::from_bytes(&note))
            && !resource.available().is_empty()
        {
            self.shared.set_entity(entity);
        }
        if let ResourceStatus::Committed { len } = resource.status() {
            self.shared.set_end(len, true);
        }
    }

    /// Nobody needs anything. Waits for a poke; gives up the claim and then the connections as time passes.
    async fn pause(&mut self) {
        if !self.shared.views().is_empty() {
            self.shared.set_ready();
        }
        self.pace.interrupted();
        self.paused = true;
        self.shared.arm();
        // A reader that moved before it was armed did not poke.
        if self.decide(self.transfer_view()) != Decision::Pause {
            return;
        }
        let began = Instant::now();
        loop {
            let connected = self.transfer.is_some() || self.parked.is_some();
            tokio::select! {
                biased;
                () = self.shared.engine.notified() => return,
                () = sleep_until(began + KEEP_CLAIM), if self.claim.is_some() => self.claim = None,
                () = sleep_until(began + self.settings.keep_paused), if connected => self.disconnect(),
            }
        }
    }

    /// The current transfer has ended.
    fn leave(&mut self) {
        if let Some(transfer) = self.transfer.take() {
            self.resume_at = transfer.offset();
        }
    }

    fn disconnect(&mut self) {
        self.transfer = None;
        self.parked = None;
    }

    /// Everything is there: keeps it for good, and waits.
    async fn complete(&mut self) -> Result<(), Trouble> {
        self.disconnect();
        self.shared.set_ready();
        let committed = matches!(self.shared.resource.status(), ResourceStatus::Committed { .. });
        if let Some(len) = self.shared.end()
            && !committed
            && !self.uncommittable
            && self.shared.end_is_proven()
        {
            if self.claim.is_none() {
                self.claim().await?;
            }
            self.emit_progress();
            if let Err(error) = self.commit(len).await {
                // It plays all the same, from what is stored.
                self.uncommittable = true;
                self.shared.emit(&FileEvent::CacheUnavailable { error });
            } else {
                self.shared.emit(&FileEvent::Complete { len });
            }
        }
        self.claim = None;
        self.shared.set_kept();
        self.shared.engine.notified().await;
        Ok(())
    }

    /// What was stored is damaged: all of it is dropped. An error if some of it was given out.
    async fn start_anew(&mut self, error: FileError) -> Result<(), Trouble> {
        self.disconnect();
        let delivered = self.shared.was_delivered();
        if self.claim.is_none() {
            self.claim().await?;
        }
        self.shared.resource.reset().await?;
        self.generation = self.shared.resource.generation();
        self.shared.forget();
        self.checked = false;
        self.uncommittable = false;
        if delivered {
            return Err(Trouble { error, permanent: true, earned: false });
        }
        // Whoever waits looks again, and waits for the new bytes.
        self.shared.set_ready();
        Ok(())
    }

    async fn commit(&mut self, len: u64) -> Result<(), FileError> {
        self.save_record().await?;
        Ok(self.shared.resource.commit(len).await?)
    }

    /// Writes down which version the bytes are of, for a later question to the server.
    async fn save_record(&mut self) -> Result<(), FileError> {
        match self.shared.entity().to_bytes() {
            Some(note) => Ok(self.record.write(&note).await?),
            None => Ok(()),
        }
    }

    /// After a failure: tries again after a pause, or gives up until somebody needs bytes anew.
    async fn recover(&mut self, trouble: Trouble) {
        self.transfer = None;
        let Trouble { error, permanent, earned } = trouble;
        if !permanent && self.tries < self.settings.retry.max_retries {
            let pause = if earned && self.tries == 0 { Duration::ZERO } else { self.backoff(&error) };
            self.tries += 1;
            Counters::add(&self.shared.counters.retries, 1);
            self.shared.emit(&FileEvent::Retry { error, pause });
            sleep(pause).await;
            return;
        }
        tracing::debug!(%error, url = %self.shared.url, "the download gave up");
        self.tries = 0;
        self.disconnect();
        self.claim = None;
        self.shared.fail(error, permanent);
        // What is stored can be read, although the server could not be asked about it.
        self.shared.set_ready_if_stored();
        while !self.shared.is_wanted_again() {
            self.shared.engine.notified().await;
        }
    }

    /// Exponential with full jitter, or what the server asked for.
    fn backoff(&self, error: &FileError) -> Duration {
        let policy = &self.settings.retry;
        let ceiling = policy.base.saturating_mul(2u32.saturating_pow(self.tries.min(31))).min(policy.cap);
        let pause = ceiling.mul_f64(self.pace.jitter());
        let asked = match error {
            FileError::Net(error) => error.retry_after().map(|after| after.min(policy.retry_after_cap)),
            _ => None,
        };
        asked.map_or(pause, |asked| asked.max(pause))
    }
}
