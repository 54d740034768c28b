//! One open resource: where its bytes are, how many, and how it moves from the disk to memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kithara_storage::{ReleaseClaim, StorageError, Streaming, StreamingResource, WriteClaim};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, OnceCell};

use super::backing::Backing;
use crate::catalog::Place;
use crate::{AssetsError, ResourceKey};

/// Bytes copied at a time when a resource moves.
const PIECE: usize = 64 << 10;

/// What all handles on a resource share.
pub(super) struct Hold {
    backing: Arc<Backing>,
    pub(super) key: ResourceKey,
    current: RwLock<Current>,
    /// Woken when `current` is another resource.
    pub(super) moved: Notify,
    moving: OnceCell<()>,
    /// The claim that somebody has, so that he keeps it over a move.
    claim: Mutex<std::sync::Weak<Held>>,
    stored: AtomicU64,
    /// Whether the catalog has to hear of it when the last handle goes.
    unsaved: AtomicBool,
    /// Whether there may be an unfinished file on disk although nothing is stored in it.
    claimed: AtomicBool,
    /// Whether that was so when it was opened.
    worthless: AtomicBool,
    /// Whether it moved to memory with nothing of it on disk but an empty file.
    left_empty: AtomicBool,
    /// Whether stored bytes of a complete resource are gone, so that it has to start over.
    lost: AtomicBool,
}

/// Where a resource is at the moment.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) resource: StreamingResource,
    pub(super) place: Place,
    /// Generations of the resources that stood here before.
    pub(super) past_generations: u64,
}

impl Hold {
    pub(super) fn new(
        backing: Arc<Backing>,
        key: ResourceKey,
        resource: StreamingResource,
        place: Place,
    ) -> Self {
        let stored = AtomicU64::new(resource.available().covered());
        Self {
            backing,
            key,
            current: RwLock::new(Current { resource, place, past_generations: 0 }),
            moved: Notify::new(),
            moving: OnceCell::new(),
            claim: Mutex::default(),
            stored,
            unsaved: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
            worthless: AtomicBool::new(false),
            left_empty: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    pub(super) fn current(&self) -> Current {
        self.current.read().clone()
    }

    /// Looks at the resource without a new handle on it.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Current) -> T) -> T {
        look(&self.current.read())
    }

    // ---- accounting ----

    /// Called before anything is written: the indexes hear of the asset, and the shelf of the resource.
    pub(super) fn before_write(&self, current: &Current) {
        if self.unsaved.swap(true, Ordering::Relaxed) {
            return;
        }
        match current.place {
            Place::Disk => self.backing.note_change(&self.key),
            Place::Memory => self.backing.shelf.put_streaming(&self.key, &current.resource),
        }
    }

    /// Whether `new` bytes more may be stored.
    pub(super) fn check_growth(&self, current: &Current, new: u64) -> Result<(), StorageError> {
        let size = self.stored.load(Ordering::Relaxed).saturating_add(new);
        let declared = current.resource.expected_len();
        let limit = self.backing.catalog().limit_of_resource(current.place, declared);
        if size > limit { Err(StorageError::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// `new` bytes are stored that were not.
    pub(super) fn grew(&self, place: Place, new: u64) {
        let stored = self.stored.fetch_add(new, Ordering::Relaxed).saturating_add(new);
        self.backing.catalog().grown(&self.key, place, stored);
    }

    pub(super) fn completed(&self, place: Place, len: u64) {
        self.stored.store(len, Ordering::Relaxed);
        self.unsaved.store(false, Ordering::Relaxed);
        self.backing.catalog().completed(&self.key, place, len);
    }

    /// Bytes were given back.
    pub(super) fn shrank(&self, current: &Current) {
        let stored = current.resource.available().covered();
        self.stored.store(stored, Ordering::Relaxed);
        self.backing.catalog().grown(&self.key, current.place, stored);
    }

    pub(super) fn emptied(&self, place: Place) {
        if place == Place::Memory {
            self.backing.shelf.take(&self.key);
        }
        self.stored.store(0, Ordering::Relaxed);
        self.unsaved.store(false, Ordering::Relaxed);
        self.backing.catalog().forget_place(&self.key, place);
    }

    /// A commit whose bytes are all there but may not survive the process.
    pub(super) fn note_unsafe_commit(&self, error: &StorageError) {
        self.backing.catalog().note_trouble(&AssetsError::storage(&self.key, error.clone()));
    }

    // ---- loss ----

    pub(super) fn note_lost(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// A reader found bytes of the complete resource missing or changed. Over the last handle, and over a restart, the index
    /// and the absence of checksums remember that it has to start over.
    pub(super) fn note_damage(&self, error: &StorageError) {
        if self.lost.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(key = %self.key, %error, "a stored resource is damaged and will be fetched anew");
        let current = self.current();
        if current.place == Place::Disk {
            self.backing.catalog().grown(&self.key, Place::Disk, current.resource.len().unwrap_or(0));
            self.backing.catalog().changed(&self.key);
            self.backing.remove_sums(&self.key);
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// What is in the file, if there is one, does not count.
    pub(super) fn note_worthless(&self) {
        self.worthless.store(true, Ordering::Relaxed);
    }

    /// Whoever opens a resource whose bytes have vanished gets it empty.
    pub(super) async fn start_over_if_lost(&self) {
        if !self.is_lost() {
            return;
        }
        let current = self.current();
        // Whoever has the claim is about to reset it: until then it stays lost.
        let Ok(Some(claim)) = current.resource.try_claim() else { return };
        if !self.lost.swap(false, Ordering::AcqRel) {
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

    /// Takes away everything stored. Those who wait for bytes are told.
    pub(super) async fn empty(&self) -> Result<(), AssetsError> {
        let current = self.current();
        let in_use = || AssetsError::InUse { what: self.key.to_string() };
        let claim = match current.resource.try_claim() {
            Ok(Some(claim)) => claim,
            Ok(None) | Err(StorageError::LockedElsewhere { .. }) => return Err(in_use()),
            Err(error) => return Err(AssetsError::storage(&self.key, error)),
        };
        current.resource.reset().await.map_err(|error| AssetsError::storage(&self.key, error))?;
        self.stored.store(0, Ordering::Relaxed);
        self.unsaved.store(false, Ordering::Relaxed);
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
        if current.place == Place::Disk && !self.claimed.swap(true, Ordering::Relaxed) {
            self.backing.note_change(&self.key);
        }
    }

    /// With the claim on a file comes what other processes have done with it.
    fn take_over(&self, current: &Current) {
        if current.place != Place::Disk {
            return;
        }
        match current.resource.len() {
            Some(len) if self.backing.catalog().entry(&self.key).is_none_or(|entry| !entry.complete) => {
                self.completed(Place::Disk, len);
            }
            Some(_) => {}
            None => {
                let stored = current.resource.available().covered();
                if self.stored.swap(stored, Ordering::Relaxed) != stored {
                    self.backing.catalog().grown(&self.key, Place::Disk, stored);
                }
            }
        }
    }

    /// Hands a claim out, unless the resource has moved since it was taken.
    pub(super) fn hand_out(self: &Arc<Self>, place: Place, claim: WriteClaim) -> Option<WriteClaim> {
        let current = self.current.read();
        if current.place != place {
            return None;
        }
        self.take_over(&current);
        let held = Arc::new(Held { hold: self.clone(), claims: Mutex::new(vec![claim]) });
        *self.claim.lock() = Arc::downgrade(&held);
        drop(current);
        Some(WriteClaim::new(held))
    }

    // ---- moving ----

    /// Goes on in memory after the disk failed, with a copy of what it has. Whoever comes second waits for the first.
    pub(super) async fn move_to_memory(&self, cause: &StorageError, copy: bool) -> Result<(), StorageError> {
        let moved = self.moving.get_or_try_init(|| self.move_once(cause, copy)).await;
        moved.map(drop)
    }

    async fn move_once(&self, cause: &StorageError, copy: bool) -> Result<(), StorageError> {
        let from = self.current();
        if from.place == Place::Memory {
            return Ok(());
        }
        if !matches!(cause, StorageError::LockedElsewhere { .. }) {
            self.backing.catalog().note_trouble(&AssetsError::storage(&self.key, cause.clone()));
        }
        tracing::debug!(key = %self.key, %cause, "a resource goes on in memory");
        let memory = StreamingResource::memory();
        if copy {
            copy_all(&from.resource, &memory).await?;
        }
        let is_full = !matches!(cause, StorageError::LockedElsewhere { .. });
        if is_full && from.resource.len().is_none() && from.resource.available().is_empty() {
            self.left_empty.store(true, Ordering::Relaxed);
        }
        let claim = memory.try_claim()?;
        let stored = memory.available().covered();
        {
            let mut current = self.current.write();
            let past_generations = from.past_generations + from.resource.generation() + u64::from(!copy);
            *current = Current { resource: memory.clone(), place: Place::Memory, past_generations };
            if let (Some(held), Some(claim)) = (self.claim.lock().upgrade(), claim) {
                held.claims.lock().push(claim);
            }
        }
        self.stored.store(stored, Ordering::Relaxed);
        self.unsaved.store(false, Ordering::Relaxed);
        if stored > 0 {
            self.before_write(&self.current());
            self.backing.catalog().grown(&self.key, Place::Memory, stored);
        }
        self.moved.notify_waiters();
        Ok(())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let (stored, unsaved) = (*self.stored.get_mut(), *self.unsaved.get_mut());
        let current = self.current.get_mut();
        let on_disk = current.place == Place::Disk;
        if on_disk && unsaved && stored > 0 {
            self.backing.catalog().changed(&self.key);
        }
        let worthless = *self.worthless.get_mut();
        if stored == 0 && (*self.claimed.get_mut() || worthless) && current.resource.len().is_none() {
            // First the file is closed, so that it is not locked any more.
            current.resource = StreamingResource::memory();
            self.backing.sweep(&self.key, worthless);
        }
        if *self.left_empty.get_mut() {
            // A full disk took the name of the file and none of its bytes.
            self.backing.sweep(&self.key, true);
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
            // What cannot be read any more is fetched again.
            let Ok(read @ 1..) = from.read_at(offset, &mut piece[..want]).await else { break };
            to.write_at(offset, &piece[..read]).await?;
            offset += read as u64;
        }
    }
    Ok(())
}

/// A claim that was handed out: on the resource, and on the one that took its place.
struct Held {
    hold: Arc<Hold>,
    claims: Mutex<Vec<WriteClaim>>,
}

impl ReleaseClaim for Held {
    fn release_claim(&self) {
        let claims = std::mem::take(&mut *self.claims.lock());
        let ours = std::ptr::from_ref(self);
        {
            let mut current = self.hold.claim.lock();
            if std::ptr::eq(current.as_ptr(), ours) {
                *current = std::sync::Weak::new();
            }
        }
        drop(claims);
        self.hold.backing.catalog().released();
    }
}
