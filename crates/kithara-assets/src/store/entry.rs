//! One open resource: a state machine behind one lock. It says where the bytes are, how many, whether they are all, and it
//! moves from the disk to memory.

use std::sync::{Arc, Weak};

use kithara_storage::{ReleaseClaim, StorageError, Streaming, StreamingResource, WriteClaim};
use parking_lot::Mutex;
use tokio::sync::{Notify, OnceCell};

use super::backing::StoreInner;
use crate::catalog::Place;
use crate::{AssetsError, ResourceKey};

/// Bytes copied at a time when a resource moves.
const PIECE: usize = 64 << 10;

/// How much of an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryState {
    /// No byte.
    Empty,
    /// Some bytes.
    Partial,
    /// Every byte; the resource is committed.
    Complete,
    /// The resource was complete, and stored bytes are missing or changed: the next open empties it.
    Lost,
}

/// The unfinished file of an entry of which no byte is stored in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leftover {
    /// There is none.
    None,
    /// An empty one, from a claim.
    Empty,
    /// One whose content does not count.
    Invalid,
}

/// The state that all handles on a resource share.
pub(super) struct OpenEntry {
    backing: Arc<StoreInner>,
    pub(super) key: ResourceKey,
    /// Never held across I/O or an await. Taken before the catalog's lock, never after.
    inner: Mutex<Inner>,
    /// Woken when `current` is another resource.
    pub(super) moved: Notify,
    /// Lets one caller move the entry while others wait.
    moving: OnceCell<()>,
}

struct Inner {
    current: Current,
    state: EntryState,
    stored: u64,
    /// The catalog has to hear of it when the last handle goes.
    unsaved: bool,
    leftover: Leftover,
    /// The claim that was handed out, so that its holder keeps it over a move.
    relay: Weak<ClaimRelay>,
}

/// Where a resource is at the moment.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) resource: StreamingResource,
    pub(super) place: Place,
    /// Generations of the resources that stood here before.
    pub(super) past_generations: u64,
}

impl Inner {
    fn set_stored(&mut self, stored: u64) {
        self.stored = stored;
        if self.state != EntryState::Lost {
            self.state = match (self.current.resource.len(), stored) {
                (Some(_), _) => EntryState::Complete,
                (None, 0) => EntryState::Empty,
                (None, _) => EntryState::Partial,
            };
        }
    }

    fn clear(&mut self) {
        (self.state, self.stored, self.unsaved) = (EntryState::Empty, 0, false);
    }
}

impl OpenEntry {
    pub(super) fn new(
        backing: Arc<StoreInner>,
        key: ResourceKey,
        resource: StreamingResource,
        place: Place,
    ) -> Self {
        let stored = resource.available().covered();
        let mut inner = Inner {
            current: Current { resource, place, past_generations: 0 },
            state: EntryState::Empty,
            stored: 0,
            unsaved: false,
            leftover: Leftover::None,
            relay: Weak::new(),
        };
        inner.set_stored(stored);
        Self { backing, key, inner: Mutex::new(inner), moved: Notify::new(), moving: OnceCell::new() }
    }

    pub(super) fn current(&self) -> Current {
        self.inner.lock().current.clone()
    }

    /// Looks at the resource without a new handle on it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Current) -> T) -> T {
        look(&self.inner.lock().current)
    }

    // ---- accounting ----

    /// Called before anything is written: the indexes hear of the asset, and the memory tier of the resource.
    pub(super) fn before_write(&self, current: &Current) {
        if std::mem::replace(&mut self.inner.lock().unsaved, true) {
            return;
        }
        match current.place {
            Place::Disk => self.backing.note_change(&self.key),
            Place::Memory => self.backing.memory_tier.put_streaming(&self.key, &current.resource),
        }
    }

    /// Whether `new` bytes more may be stored.
    pub(super) fn check_growth(&self, current: &Current, new: u64) -> Result<(), StorageError> {
        let size = self.inner.lock().stored.saturating_add(new);
        let declared = current.resource.expected_len();
        let limit = self.backing.catalog().limit_of_resource(current.place, declared);
        if size > limit { Err(StorageError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// `new` bytes are stored that were not.
    pub(super) fn grew(&self, place: Place, new: u64) {
        let mut inner = self.inner.lock();
        let stored = inner.stored.saturating_add(new);
        inner.set_stored(stored);
        self.backing.catalog().grown(&self.key, place, stored);
    }

    /// After it has grown: makes room where a limit is exceeded.
    pub(super) async fn keep_limits(&self) {
        self.backing.catalog().keep_limits().await;
    }

    pub(super) fn completed(&self, place: Place, len: u64) {
        let mut inner = self.inner.lock();
        inner.set_stored(len);
        inner.unsaved = false;
        self.backing.catalog().completed(&self.key, place, len);
    }

    /// Bytes were given back.
    pub(super) fn shrank(&self, current: &Current) {
        let mut inner = self.inner.lock();
        let stored = current.resource.available().covered();
        inner.set_stored(stored);
        self.backing.catalog().grown(&self.key, current.place, stored);
    }

    pub(super) fn emptied(&self, place: Place) {
        if place == Place::Memory {
            self.backing.memory_tier.take(&self.key);
        }
        let mut inner = self.inner.lock();
        inner.clear();
        self.backing.catalog().forget_place(&self.key, place);
    }

    /// A commit whose bytes are all there but may not survive the process.
    pub(super) fn note_unsafe_commit(&self, error: &StorageError) {
        self.backing.catalog().note_trouble(&AssetsError::storage(&self.key, error.clone()));
    }

    // ---- loss ----

    pub(super) fn note_lost(&self) {
        self.inner.lock().state = EntryState::Lost;
    }

    /// A reader found bytes of the complete resource missing or changed. Over the last handle, and over a restart, the index
    /// and the absence of checksums remember that it has to start over.
    pub(super) fn note_damage(&self, error: &StorageError) {
        let current = {
            let mut inner = self.inner.lock();
            if std::mem::replace(&mut inner.state, EntryState::Lost) == EntryState::Lost {
                return;
            }
            inner.current.clone()
        };
        tracing::warn!(key = %self.key, %error, "a stored resource is damaged and will be fetched anew");
        if current.place == Place::Disk {
            self.backing.catalog().grown(&self.key, Place::Disk, current.resource.len().unwrap_or(0));
            self.backing.catalog().changed(&self.key);
            self.backing.remove_sums(&self.key);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.inner.lock().state == EntryState::Lost
    }

    /// The content of the file, if there is one, does not count.
    pub(super) fn note_invalid_file(&self) {
        self.inner.lock().leftover = Leftover::Invalid;
    }

    /// Empties a lost resource before it is opened again.
    pub(super) async fn start_over_if_lost(&self) {
        if !self.is_lost() {
            return;
        }
        let current = self.current();
        // The holder of the claim is about to reset it: until then it stays lost.
        let Ok(Some(claim)) = current.resource.try_claim() else { return };
        if !self.is_lost() {
            return;
        }
        match current.resource.reset().await {
            Ok(()) => self.emptied(current.place),
            Err(error) => {
                tracing::warn!(key = %self.key, %error, "what is left of a damaged resource cannot be removed");
                drop(claim);
                let _ = self.move_to_memory(&error, false).await;
            }
        }
    }

    /// Removes all stored bytes and fails the waiting readers.
    pub(super) async fn empty(&self) -> Result<(), AssetsError> {
        let current = self.current();
        let in_use = || AssetsError::InUse { what: self.key.to_string() };
        let claim = match current.resource.try_claim() {
            Ok(Some(claim)) => claim,
            Ok(None) | Err(StorageError::LockedElsewhere { .. }) => return Err(in_use()),
            Err(error) => return Err(AssetsError::storage(&self.key, error)),
        };
        current.resource.reset().await.map_err(|error| AssetsError::storage(&self.key, error))?;
        self.inner.lock().clear();
        if current.place == Place::Disk {
            self.backing.remove_files(&self.key, true).await?;
        }
        current.resource.fail(StorageError::source("the resource was removed", true));
        drop(claim);
        Ok(())
    }

    // ---- claims ----

    /// Called before a claim is taken, which makes and locks a file.
    pub(super) fn before_claim(&self, current: &Current) {
        let is_first = {
            let mut inner = self.inner.lock();
            let is_first = inner.leftover == Leftover::None;
            if is_first {
                inner.leftover = Leftover::Empty;
            }
            is_first
        };
        if current.place == Place::Disk && is_first {
            self.backing.note_change(&self.key);
        }
    }

    /// Takes over the changes that other processes made before this one got the claim.
    fn take_over(&self, inner: &mut Inner) {
        if inner.current.place != Place::Disk {
            return;
        }
        match inner.current.resource.len() {
            Some(len) if self.backing.catalog().entry(&self.key).is_none_or(|entry| !entry.complete) => {
                if inner.state != EntryState::Lost {
                    inner.set_stored(len);
                    inner.unsaved = false;
                    self.backing.catalog().completed(&self.key, Place::Disk, len);
                }
            }
            Some(_) => {}
            None => {
                let stored = inner.current.resource.available().covered();
                if inner.stored != stored {
                    inner.set_stored(stored);
                    self.backing.catalog().grown(&self.key, Place::Disk, stored);
                }
            }
        }
    }

    /// Hands a claim out, unless the resource has moved since it was taken.
    pub(super) fn hand_out(self: &Arc<Self>, place: Place, claim: WriteClaim) -> Option<WriteClaim> {
        let relay = Arc::new(ClaimRelay { entry: self.clone(), claims: Mutex::new(vec![claim]) });
        let mut inner = self.inner.lock();
        if inner.current.place != place {
            drop(inner);
            return None;
        }
        self.take_over(&mut inner);
        inner.relay = Arc::downgrade(&relay);
        drop(inner);
        Some(WriteClaim::new(relay))
    }

    // ---- moving ----

    /// Continues in memory after the disk failed, with a copy of the stored bytes. A second caller waits for the first.
    pub(super) async fn move_to_memory(&self, cause: &StorageError, copy: bool) -> Result<(), StorageError> {
        let moved = self.moving.get_or_try_init(|| self.move_once(cause, copy)).await;
        moved.map(drop)
    }

    async fn move_once(&self, cause: &StorageError, copy: bool) -> Result<(), StorageError> {
        let from = self.current();
        if from.place == Place::Memory {
            return Ok(());
        }
        let is_locked = matches!(cause, StorageError::LockedElsewhere { .. });
        if !is_locked {
            self.backing.catalog().note_trouble(&AssetsError::storage(&self.key, cause.clone()));
        }
        tracing::debug!(key = %self.key, %cause, "a resource goes on in memory");
        let memory = StreamingResource::memory();
        if copy {
            copy_all(&from.resource, &memory).await?;
        }
        let claim = memory.try_claim()?;
        let stored = memory.available().covered();
        let leaves_bytes = from.resource.len().is_some() || !from.resource.available().is_empty();
        {
            let mut inner = self.inner.lock();
            let past_generations = from.past_generations + from.resource.generation() + u64::from(!copy);
            inner.current = Current { resource: memory.clone(), place: Place::Memory, past_generations };
            inner.clear();
            inner.set_stored(stored);
            // A full disk took the name of the file and none of its bytes.
            inner.leftover = if leaves_bytes || is_locked { Leftover::None } else { Leftover::Invalid };
            if let (Some(relay), Some(claim)) = (inner.relay.upgrade(), claim) {
                relay.claims.lock().push(claim);
            }
        }
        if stored > 0 {
            self.before_write(&self.current());
            self.backing.catalog().grown(&self.key, Place::Memory, stored);
        }
        self.moved.notify_waiters();
        Ok(())
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        let on_disk = inner.current.place == Place::Disk;
        if on_disk && inner.unsaved && inner.stored > 0 {
            self.backing.catalog().changed(&self.key);
        }
        let is_unused = !on_disk || (inner.stored == 0 && inner.current.resource.len().is_none());
        // In memory only a file that was left behind on the way counts.
        let leftover =
            if on_disk || inner.leftover == Leftover::Invalid { inner.leftover } else { Leftover::None };
        if is_unused && leftover != Leftover::None {
            // First the file is closed, so that it is not locked any more.
            inner.current.resource = StreamingResource::memory();
            self.backing.sweep(&self.key, leftover == Leftover::Invalid);
        }
        self.backing.closed(&self.key);
    }
}

async fn copy_all(from: &StreamingResource, to: &StreamingResource) -> Result<(), StorageError> {
    if let Some(len) = from.expected_len() {
        to.set_expected_len(len);
    }
    to.set_tag(from.tag());
    let mut piece = vec![0; PIECE];
    for range in from.available().iter() {
        let mut offset = range.start;
        while offset < range.end {
            let want = usize::try_from(range.end - offset).unwrap_or(PIECE).min(PIECE);
            // Unreadable bytes are fetched again.
            let Ok(read @ 1..) = from.read_at(offset, &mut piece[..want]).await else { break };
            to.write_at(offset, &piece[..read]).await?;
            offset += read as u64;
        }
    }
    Ok(())
}

/// A claim that was handed out: on the resource, and on the one that took its place.
struct ClaimRelay {
    entry: Arc<OpenEntry>,
    claims: Mutex<Vec<WriteClaim>>,
}

impl ReleaseClaim for ClaimRelay {
    fn release_claim(&self) {
        let claims = std::mem::take(&mut *self.claims.lock());
        let ours = std::ptr::from_ref(self);
        {
            let mut inner = self.entry.inner.lock();
            if std::ptr::eq(inner.relay.as_ptr(), ours) {
                inner.relay = Weak::new();
            }
        }
        drop(claims);
        self.entry.backing.catalog().released();
    }
}
