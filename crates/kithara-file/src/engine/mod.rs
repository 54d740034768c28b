//! [`Engine`]: the task that owns the connection and brings bytes where they are needed.
//!
//! One loop: ask the plan ([`View::decide`]) what to do, do one step of it, ask again. Whoever reads elsewhere pokes the
//! engine, so each await on the network also waits for a poke.

mod accept;
mod fetch;
mod jumps;
mod keep;
mod live;
mod transfer;

use std::sync::Arc;
use std::time::Duration;

use kithara_net::{HeaderMap, Net, RetryPolicy, Url};
use kithara_storage::{Atomic, ResourceStatus, Streaming};
use kithara_stream::{EntityWriter, Found, StoredEntity, Validation};
use tokio::time::{Instant, sleep};

use crate::plan::{Decision, TransferView, View};
use crate::shared::Shared;
use crate::stats::Counters;
use crate::{FileError, FileEvent};

use self::accept::OtherLen;
use self::jumps::Jumps;
use self::transfer::{Pace, Transfer};

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
    pub(crate) station_patience: Duration,
    pub(crate) icy: bool,
    /// No request may be sent.
    pub(crate) offline: bool,
    /// Keeps what the server says not to store, too.
    pub(crate) store_private: bool,
}

/// The downloading side of one file.
pub(crate) struct Engine<N: Net, R: Streaming, T> {
    shared: Arc<Shared<R>>,
    net: N,
    /// Keeps what is known of a complete file.
    record: T,
    settings: EngineSettings,
    transfer: Option<Transfer<N::Body>>,
    /// A transfer that was left where it was when another place was needed more.
    parked: Option<Transfer<N::Body>>,
    /// The claim on the resource.
    writer: Option<EntityWriter<R>>,
    /// Of the resource, when this engine looked last.
    generation: u64,
    pace: Pace,
    paused: bool,
    /// The server sends whole files only.
    sequential: bool,
    /// What answers say of the length of the version that is stored, against what is known.
    other_len: Option<OtherLen>,
    /// What was known of bytes that could not be continued, and were dropped.
    earlier: Option<StoredEntity>,
    /// The entity was compared with the server's by this engine, or is of it.
    checked: bool,
    /// The server allows that the file outlives its playback.
    is_kept: bool,
    /// Failures since bytes arrived last.
    tries: u32,
    /// Windows in a row in which bytes came too slowly.
    slow: u32,
    /// No length, validator or range support names the body: it may be a station that does not say so.
    may_be_station: bool,
    /// When an endless body brought bytes last.
    heard: Option<Instant>,
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
            writer: None,
            pace: Pace::default(),
            paused: false,
            sequential: false,
            other_len: None,
            earlier: None,
            checked: false,
            is_kept: true,
            tries: 0,
            slow: 0,
            may_be_station: false,
            heard: None,
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
        let Some(writer) = EntityWriter::try_claim(&resource)? else {
            // Another download is running, and knows the entity.
            self.learn_from_resource();
            self.shared.set_ready_if_stored();
            return Ok(());
        };
        match writer.find().await? {
            Found::Resumable(entity) => {
                self.shared.set_entity(entity);
                self.shared.emit(&FileEvent::Continued { stored: resource.available().covered() });
            }
            Found::Empty { earlier } => {
                self.earlier = earlier;
                self.forget();
            }
            _ => {}
        }
        self.writer = Some(writer);
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
        if self.writer.is_some()
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

    fn disconnect(&mut self) {
        self.transfer = None;
        self.parked = None;
    }

    /// After a failure: tries again after a pause, or gives up until somebody needs bytes anew.
    async fn recover(&mut self, trouble: Trouble) {
        self.transfer = None;
        let Trouble { error, permanent, earned } = trouble;
        let is_missed = self.heard.is_some_and(|heard| heard.elapsed() < self.settings.station_patience);
        if !permanent && (is_missed || self.tries < self.settings.retry.max_retries) {
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
        self.writer = None;
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
        let pause = ceiling.mul_f64(fastrand::f64());
        let asked = match error {
            FileError::Net(error) => error.retry_after().map(|after| after.min(policy.retry_after_cap)),
            _ => None,
        };
        asked.map_or(pause, |asked| asked.max(pause))
    }
}
