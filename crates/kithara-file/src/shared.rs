//! [`Shared`]: what a download and its readers know of each other.
//!
//! The engine (one task) writes the state and wakes the readers through `changed`; the readers announce where they are and
//! wake the engine through `poke`. No lock is held across an await or across I/O.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kithara_storage::{ResourceStatus, Streaming};
use kithara_stream::StoredEntity;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use crate::plan::{ReaderView, resume_below};
use crate::ring::Ring;
use crate::stats::{Change, Counters, StallMeter};
use crate::{FileError, FileEvent};

/// Bytes of an endless body between the network and its reader: 16 s at 128 kbit/s.
const RING_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Shared<R> {
    /// The URL, redacted, for errors.
    pub(crate) url: String,
    pub(crate) resource: R,
    pub(crate) ring: Ring,
    pub(crate) counters: Counters,
    /// Wakes the engine.
    pub(crate) engine: Notify,
    /// Wakes the readers: end, failure, or bytes in the ring.
    pub(crate) changed: Notify,
    pub(crate) offline: bool,
    state: Mutex<State>,
    readers: Mutex<Vec<Arc<ReaderCell>>>,
    /// Numbers waits and failures in the order in which they begin. Zero is no number.
    order: AtomicU64,
    /// Some byte was given to a reader.
    delivered: AtomicBool,
    /// The byte that the engine waits for on the network right now; [`NOWHERE`] while it does something else.
    heading: AtomicU64,
}

/// No offset.
const NOWHERE: u64 = u64::MAX;

#[derive(Debug, Default)]
struct State {
    /// Enough is known to begin to read.
    ready: bool,
    entity: StoredEntity,
    /// Where the file ends, however that became known.
    end: Option<u64>,
    /// Nothing promises that the end is the true one: a closed connection said it.
    end_is_unproven: bool,
    live: bool,
    /// Stored bytes have vanished: everything has to be fetched anew.
    damage: Option<FileError>,
    /// The engine has kept the complete file, or found that it cannot.
    kept: bool,
    failure: Option<Failure>,
}

#[derive(Clone, Debug)]
struct Failure {
    error: FileError,
    /// Waits that began before are answered with it.
    order: u64,
    /// So are all later ones.
    permanent: bool,
}

/// One reader's part.
#[derive(Debug)]
pub(crate) struct ReaderCell {
    position: AtomicU64,
    /// The engine pauses until the position reaches this.
    wake_at: AtomicU64,
    waits_since: AtomicU64,
    look_ahead: AtomicU64,
    /// Generation of the resource that the first byte was of, plus 1; zero before.
    generation: AtomicU64,
    pub(crate) meter: StallMeter,
    events: broadcast::Sender<FileEvent>,
}

impl ReaderCell {
    pub(crate) fn new(look_ahead: u64, events: broadcast::Sender<FileEvent>) -> Self {
        Self {
            position: AtomicU64::new(0),
            wake_at: AtomicU64::new(u64::MAX),
            waits_since: AtomicU64::new(0),
            look_ahead: AtomicU64::new(look_ahead),
            generation: AtomicU64::new(0),
            meter: StallMeter::default(),
            events,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::SeqCst)
    }

    pub(crate) fn set_position(&self, offset: u64) {
        self.position.store(offset, Ordering::SeqCst);
    }

    pub(crate) fn set_look_ahead(&self, bytes: u64) {
        self.look_ahead.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<FileEvent> {
        self.events.subscribe()
    }

    pub(crate) fn emit(&self, event: FileEvent) {
        // Nobody listens: nothing to do.
        let _ = self.events.send(event);
    }

    /// Passes a change of the stall meter on.
    pub(crate) fn emit_stall(&self, change: Change) {
        match change {
            Change::Nothing => {}
            Change::Stalled => self.emit(FileEvent::Stalled { offset: self.position() }),
            Change::Resumed(waited) => self.emit(FileEvent::Resumed { waited }),
        }
    }

    fn view(&self) -> ReaderView {
        let since = self.waits_since.load(Ordering::SeqCst);
        ReaderView {
            position: self.position(),
            waits_since: (since > 0).then_some(since),
            look_ahead: self.look_ahead.load(Ordering::SeqCst),
        }
    }
}

impl<R: Streaming> Shared<R> {
    /// `trusted`: what is stored whole may be read before the engine has said anything.
    pub(crate) fn new(url: String, resource: R, trusted: bool, offline: bool) -> Self {
        let end = match resource.status() {
            ResourceStatus::Committed { len } => Some(len),
            _ => None,
        };
        let state = State { end, ready: (end.is_some() && trusted) || offline, ..State::default() };
        Self {
            url,
            resource,
            ring: Ring::new(RING_BYTES),
            counters: Counters::default(),
            engine: Notify::new(),
            changed: Notify::new(),
            offline,
            state: Mutex::new(state),
            readers: Mutex::default(),
            order: AtomicU64::new(0),
            delivered: AtomicBool::new(false),
            heading: AtomicU64::new(NOWHERE),
        }
    }

    // ---- what the engine says ----

    /// The state that a file begins in: `entity` is what is known of the stored bytes.
    pub(crate) fn set_entity(&self, entity: StoredEntity) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.end = entity.total();
            state.end_is_unproven = !entity.is_length_proven();
        }
        state.entity = entity;
    }

    pub(crate) fn entity(&self) -> StoredEntity {
        self.state.lock().entity.clone()
    }

    /// Everything known is void: another version of the file begins.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        state.entity = StoredEntity::default();
        state.end = None;
        state.end_is_unproven = false;
    }

    pub(crate) fn set_ready(&self) {
        self.state.lock().ready = true;
        self.changed.notify_waiters();
    }

    /// The engine waits for the byte at `offset`, until the guard is dropped: who waits for the same byte need not poke it.
    pub(crate) fn head_for(&self, offset: u64) -> Heading<'_> {
        self.heading.store(offset, Ordering::SeqCst);
        Heading(&self.heading)
    }

    /// There is something to read, although the server could not be asked.
    pub(crate) fn set_ready_if_stored(&self) {
        if self.resource.available_at(0) > 0 {
            self.set_ready();
        }
    }

    /// The file ends here. `proven`: by a declared length or by the protocol.
    pub(crate) fn set_end(&self, end: u64, proven: bool) {
        let mut state = self.state.lock();
        state.end = Some(end);
        state.end_is_unproven = !proven;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The complete file is kept, or cannot be.
    pub(crate) fn set_kept(&self) {
        self.state.lock().kept = true;
        self.changed.notify_waiters();
    }

    /// What was found to be wrong with the stored bytes since this was asked last.
    pub(crate) fn take_damage(&self) -> Option<FileError> {
        self.state.lock().damage.take()
    }

    /// From here on only what comes next is kept.
    pub(crate) fn set_live(&self, from: u64) {
        self.ring.begin(from);
        let mut state = self.state.lock();
        state.live = true;
        state.end = None;
    }

    /// The download gave up. Those who wait now get the error; later waits begin a new attempt, unless it is permanent.
    pub(crate) fn fail(&self, error: FileError, permanent: bool) {
        let order = self.order.fetch_add(1, Ordering::SeqCst) + 1;
        self.emit(&FileEvent::Failed { error: error.clone() });
        self.state.lock().failure = Some(Failure { error, order, permanent });
        self.changed.notify_waiters();
    }

    /// Whether somebody has begun to wait since the last failure. Clears the failure if so.
    pub(crate) fn is_wanted_again(&self) -> bool {
        let mut state = self.state.lock();
        let Some(failure) = &state.failure else { return true };
        let order = failure.order;
        if failure.permanent
            || !self.views().iter().any(|view| view.waits_since.is_some_and(|since| since > order))
        {
            return false;
        }
        state.failure = None;
        true
    }

    pub(crate) fn emit(&self, event: &FileEvent) {
        for reader in self.readers.lock().iter() {
            reader.emit(event.clone());
        }
    }

    pub(crate) fn views(&self) -> Vec<ReaderView> {
        self.readers.lock().iter().map(|cell| cell.view()).collect()
    }

    /// Makes each reader wake the engine once it has used up enough.
    pub(crate) fn arm(&self) {
        for cell in self.readers.lock().iter() {
            let position = cell.position();
            let missing = position.saturating_add(self.resource.available_at(position));
            let enough = resume_below(cell.look_ahead.load(Ordering::SeqCst));
            let at = missing.saturating_sub(enough).saturating_add(1);
            cell.wake_at.store(at, Ordering::SeqCst);
        }
    }

    // ---- what both ask ----

    /// Where the file ends, if known.
    pub(crate) fn end(&self) -> Option<u64> {
        self.state.lock().end
    }

    pub(crate) fn end_is_proven(&self) -> bool {
        let state = self.state.lock();
        state.end.is_some() && !state.end_is_unproven
    }

    pub(crate) fn is_live(&self) -> bool {
        self.state.lock().live
    }

    /// Whether another stream may join.
    pub(crate) fn can_be_shared(&self) -> bool {
        let state = self.state.lock();
        !state.live && !state.failure.as_ref().is_some_and(|failure| failure.permanent || !state.ready)
    }

    /// Whether a byte was given to a reader.
    pub(crate) fn was_delivered(&self) -> bool {
        self.delivered.load(Ordering::SeqCst)
    }

    // ---- what the readers say ----

    pub(crate) fn attach(&self, cell: Arc<ReaderCell>) {
        self.readers.lock().push(cell);
        self.poke();
    }

    pub(crate) fn detach(&self, cell: &Arc<ReaderCell>) {
        self.readers.lock().retain(|other| !Arc::ptr_eq(other, cell));
        self.poke();
    }

    /// Makes the engine think again.
    pub(crate) fn poke(&self) {
        self.engine.notify_one();
    }

    /// Waits until there is something to read, or a reason why not.
    pub(crate) async fn wait_ready(&self) -> Result<(), FileError> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state.lock();
                if state.ready {
                    return Ok(());
                }
                if let Some(failure) = &state.failure {
                    return Err(failure.error.clone());
                }
            }
            changed.await;
        }
    }

    /// Stored bytes have vanished: the engine begins anew, and fails if some were given out.
    pub(crate) fn set_damage(&self, error: FileError) {
        self.state.lock().damage = Some(error);
        self.poke();
    }

    /// Waits until the file is kept, if every byte of it is stored. Cancel-safe.
    pub(crate) async fn wait_kept(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let Some(end) = self.end().filter(|&end| self.resource.available_at(0) >= end) else { return };
            {
                let state = self.state.lock();
                if state.kept
                    || state.live
                    || state.end_is_unproven
                    || state.failure.is_some()
                    || self.offline
                {
                    return;
                }
            }
            if matches!(self.resource.status(), ResourceStatus::Committed { .. }) {
                return;
            }
            tokio::select! {
                () = changed => {}
                // Somebody else may keep it.
                _ = self.resource.wait_range(end..end + 1) => return,
            }
        }
    }

    /// `cell` has read up to `position`, beginning at `from`.
    pub(crate) fn progressed(&self, cell: &ReaderCell, from: u64, position: u64) {
        let before = cell.position.swap(position, Ordering::SeqCst);
        if before != from || position >= cell.wake_at.load(Ordering::SeqCst) {
            cell.wake_at.store(u64::MAX, Ordering::SeqCst);
            self.poke();
        }
    }

    /// The bytes that `cell` was given are of the version that its first byte was of.
    pub(crate) fn same_version(&self, cell: &ReaderCell) -> Result<(), FileError> {
        self.delivered.store(true, Ordering::SeqCst);
        let now = self.resource.generation() + 1;
        match cell.generation.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => Ok(()),
            Err(first) if first == now => Ok(()),
            Err(_) => Err(FileError::EntityChanged { url: self.url.clone() }),
        }
    }

    /// Announces that `cell` waits for the byte at `offset`, until the guard is dropped.
    pub(crate) fn begin_wait<'a>(&'a self, cell: &'a ReaderCell, offset: u64) -> Wait<'a, R> {
        let since = self.order.fetch_add(1, Ordering::SeqCst) + 1;
        cell.set_position(offset);
        cell.waits_since.store(since, Ordering::SeqCst);
        cell.emit_stall(cell.meter.lacking(true));
        if self.heading.load(Ordering::SeqCst) != offset {
            self.poke();
        }
        Wait { shared: self, cell, since }
    }

    /// What a wait that began at `since` must be told.
    fn failure_for(&self, since: u64) -> Option<FileError> {
        let state = self.state.lock();
        let failure = state.failure.as_ref()?;
        (failure.permanent || failure.order > since).then(|| failure.error.clone())
    }
}

/// The engine waits for a byte.
pub(crate) struct Heading<'a>(&'a AtomicU64);

impl Drop for Heading<'_> {
    fn drop(&mut self) {
        self.0.store(NOWHERE, Ordering::SeqCst);
    }
}

/// A reader that waits.
pub(crate) struct Wait<'a, R: Streaming> {
    shared: &'a Shared<R>,
    cell: &'a ReaderCell,
    since: u64,
}

impl<R: Streaming> Wait<'_, R> {
    pub(crate) fn check(&self) -> Result<(), FileError> {
        self.shared.failure_for(self.since).map_or(Ok(()), Err)
    }

    /// What was waited for so far is there; the byte at `offset` is next.
    pub(crate) fn go_on_at(&self, offset: u64) {
        let before = self.cell.position.swap(offset, Ordering::SeqCst);
        if before != offset && self.shared.heading.load(Ordering::SeqCst) != offset {
            self.shared.poke();
        }
    }
}

impl<R: Streaming> Drop for Wait<'_, R> {
    fn drop(&mut self) {
        self.cell.waits_since.store(0, Ordering::SeqCst);
        self.cell.emit_stall(self.cell.meter.lacking(false));
    }
}
