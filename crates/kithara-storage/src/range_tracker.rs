//! The available ranges of a resource and the readers that wait for them: the wait/announce protocol, without any I/O.
//!
//! One lock guards the knowledge and the list of waiters, and a waiter looks at the one and enters the other under that same
//! lock: so an announcement either comes before the look, or finds the waiter in the list. `tests/model.rs` runs this file
//! under shuttle.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::sync::{Mutex, MutexGuard};
use crate::{RangeSet, ResourceStatus, StorageError, WaitOutcome};

/// Wakers are called outside of the lock, at most this many per turn of it, so that waking allocates nothing.
const WAKE_BATCH: usize = 8;

#[derive(Debug)]
pub(crate) struct RangeTracker {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ranges: RangeSet,
    pub(crate) status: ResourceStatus,
    pub(crate) expected_len: Option<u64>,
    pub(crate) tag: Option<Bytes>,
    pub(crate) generation: u64,
    /// Incremented when stored bytes are dropped or replaced: a read that began before must be repeated.
    revision: u64,
    claimed: bool,
    waiters: Vec<Waiter>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    kind: WaitKind,
    /// `None` once woken.
    waker: Option<Waker>,
}

#[derive(Debug, Clone)]
enum WaitKind {
    Range(Range<u64>),
    Claim,
}

/// The result of a read attempt at an offset.
#[derive(Debug)]
pub(crate) enum Readable {
    /// So many bytes, as of this revision.
    Bytes { len: u64, revision: u64 },
    /// The end of a committed resource.
    End,
}

impl State {
    pub(crate) fn len(&self) -> Option<u64> {
        match self.status {
            ResourceStatus::Committed { len } => Some(len),
            _ => None,
        }
    }

    /// How a wait for `range` would end now, or `None`: it must wait.
    fn outcome(&self, range: &Range<u64>) -> Option<Result<WaitOutcome, StorageError>> {
        let mut needed = range.clone();
        if let Some(len) = self.len() {
            if range.start >= len {
                return Some(Ok(WaitOutcome::Eof));
            }
            needed.end = needed.end.min(len);
        }
        if self.ranges.contains(&needed) {
            return Some(Ok(WaitOutcome::Ready));
        }
        match &self.status {
            ResourceStatus::Failed(error) => Some(Err(error.clone())),
            _ => None,
        }
    }

    fn is_satisfied(&self, kind: &WaitKind) -> bool {
        match kind {
            WaitKind::Range(range) => self.outcome(range).is_some(),
            WaitKind::Claim => !self.claimed,
        }
    }

    /// Moves the wakers of satisfied waiters into `batch`. True if it became full: there may be more.
    fn collect(&mut self, batch: &mut [Option<Waker>; WAKE_BATCH]) -> bool {
        let mut free = batch.iter_mut();
        for at in 0..self.waiters.len() {
            let waiter = &self.waiters[at];
            if waiter.waker.is_none() || !self.is_satisfied(&waiter.kind) {
                continue;
            }
            match free.next() {
                Some(slot) => *slot = self.waiters[at].waker.take(),
                None => return true,
            }
        }
        false
    }

    fn register(&mut self, id: &mut Option<u64>, kind: &WaitKind, waker: &Waker) {
        let known = id.and_then(|id| self.waiters.iter_mut().find(|waiter| waiter.id == id));
        if let Some(waiter) = known {
            match &mut waiter.waker {
                Some(old) => old.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return;
        }
        self.next_id += 1;
        *id = Some(self.next_id);
        self.waiters.push(Waiter { id: self.next_id, kind: kind.clone(), waker: Some(waker.clone()) });
    }

    fn deregister(&mut self, id: &mut Option<u64>) {
        let Some(id) = id.take() else { return };
        if let Some(at) = self.waiters.iter().position(|waiter| waiter.id == id) {
            self.waiters.swap_remove(at);
        }
    }
}

impl RangeTracker {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                ranges: RangeSet::new(),
                status: ResourceStatus::Open,
                expected_len: None,
                tag: None,
                generation: 0,
                revision: 0,
                claimed: false,
                waiters: Vec::new(),
                next_id: 0,
            }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Changes the state and wakes exactly the waiters that the change satisfies.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut batch = [const { None }; WAKE_BATCH];
        let mut state = self.state.lock();
        let result = change(&mut state);
        let mut more = state.collect(&mut batch);
        drop(state);
        loop {
            batch.iter_mut().filter_map(Option::take).for_each(Waker::wake);
            if !more {
                return result;
            }
            more = self.state.lock().collect(&mut batch);
        }
    }

    /// Waits for `range`. Leaves the list of waiters when dropped.
    pub(crate) fn wait_range(&self, range: Range<u64>) -> Wait<'_> {
        Wait { tracker: self, kind: WaitKind::Range(range), id: None }
    }

    /// Waits for the claim and takes it.
    pub(crate) async fn take_claim(&self) {
        while !self.try_take_claim() {
            // Being woken is no guarantee: another waiter may take the claim first.
            let _ = Wait { tracker: self, kind: WaitKind::Claim, id: None }.await;
        }
    }

    pub(crate) fn try_take_claim(&self) -> bool {
        !std::mem::replace(&mut self.state.lock().claimed, true)
    }

    pub(crate) fn release_claim(&self) {
        self.update(|state| state.claimed = false);
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().waiters.len()
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.state.lock().len().is_some()
    }

    pub(crate) fn is_claimed(&self) -> bool {
        self.state.lock().claimed
    }

    /// A new attempt to fill the resource begins: an earlier failure no longer counts.
    pub(crate) fn clear_failure(&self) {
        let mut state = self.state.lock();
        if matches!(state.status, ResourceStatus::Failed(_)) {
            state.status = ResourceStatus::Open;
        }
    }

    /// Announces `range`, unless the resource was reset since `generation`. False: it was, or it is committed.
    pub(crate) fn announce(&self, range: Range<u64>, generation: u64) -> bool {
        self.update(|state| {
            let current = state.generation == generation && state.len().is_none();
            if current {
                state.ranges.insert(range);
            }
            current
        })
    }

    /// The number of bytes that a read of up to `want` bytes at `offset` may return.
    pub(crate) fn readable(&self, offset: u64, want: u64) -> Result<Readable, StorageError> {
        let state = self.state.lock();
        if state.len().is_some_and(|len| offset >= len) {
            return Ok(Readable::End);
        }
        let len = state.ranges.contiguous_from(offset).min(want);
        if len > 0 || want == 0 {
            return Ok(Readable::Bytes { len, revision: state.revision });
        }
        match &state.status {
            ResourceStatus::Failed(error) => Err(error.clone()),
            _ => Err(StorageError::NotAvailable { offset }),
        }
    }

    /// Whether `revision` is still current, so that bytes read under it are valid.
    pub(crate) fn is_current(&self, revision: u64) -> bool {
        self.state.lock().revision == revision
    }

    /// Sets the final length and wakes the waiters that it satisfies. True: committed by this call.
    pub(crate) fn commit(&self, len: u64) -> Result<bool, StorageError> {
        self.update(|state| {
            if let Some(committed) = state.len() {
                return if committed == len {
                    Ok(false)
                } else {
                    Err(StorageError::AlreadyCommitted { len: committed })
                };
            }
            if let Some(gap) = state.ranges.first_gap(0..len) {
                return Err(StorageError::Incomplete { len, gap });
            }
            state.set_committed(len);
            Ok(true)
        })
    }

    /// Replaces the state by the one that was found on disk.
    pub(crate) fn adopt(&self, found: Found) {
        self.update(|state| {
            let replaced = found.is_another_file && !state.ranges.is_empty();
            if replaced {
                state.generation += 1;
                state.tag = None;
                state.expected_len = None;
            }
            state.revision += 1;
            state.ranges = found.ranges;
            state.tag = found.tag.or(state.tag.take());
            state.expected_len = found.expected_len.or(state.expected_len);
            if let Some(len) = found.committed {
                state.ranges.insert(0..len);
                state.set_committed(len);
            }
        });
    }

    pub(crate) fn reset(&self) {
        self.update(|state| {
            state.generation += 1;
            state.revision += 1;
            state.ranges.clear();
            state.status = ResourceStatus::Open;
            state.expected_len = None;
            state.tag = None;
        });
    }

    /// Forgets `range`, unless the resource is committed. True: something was forgotten.
    pub(crate) fn forget(&self, range: Range<u64>) -> bool {
        self.update(|state| {
            if state.len().is_some() {
                return false;
            }
            state.revision += 1;
            state.ranges.remove(range);
            true
        })
    }
}

impl State {
    fn set_committed(&mut self, len: u64) {
        self.ranges.truncate(len);
        self.status = ResourceStatus::Committed { len };
        self.expected_len = Some(len);
    }
}

/// The state of a resource as found on disk.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) ranges: RangeSet,
    pub(crate) committed: Option<u64>,
    pub(crate) expected_len: Option<u64>,
    pub(crate) tag: Option<Bytes>,
    /// Not in the file that was open before.
    pub(crate) is_another_file: bool,
}

/// A place in the list of waiters.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub(crate) struct Wait<'a> {
    tracker: &'a RangeTracker,
    kind: WaitKind,
    id: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = Result<WaitOutcome, StorageError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut state = this.tracker.state.lock();
        let outcome = match &this.kind {
            WaitKind::Range(range) => state.outcome(range),
            WaitKind::Claim => (!state.claimed).then_some(Ok(WaitOutcome::Ready)),
        };
        match outcome {
            Some(outcome) => {
                state.deregister(&mut this.id);
                Poll::Ready(outcome)
            }
            None => {
                state.register(&mut this.id, &this.kind, context.waker());
                Poll::Pending
            }
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.id.is_some() {
            self.tracker.state.lock().deregister(&mut self.id);
        }
    }
}
