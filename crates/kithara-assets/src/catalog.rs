//! The catalog of a store: sizes, uses, pins, leases. Shared by all layers of a stack.

mod info;
pub(crate) mod state;
mod usage;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, broadcast};

pub use self::info::{AssetEvent, AssetInfo, IndexStats, Removed, ResourceInfo, Rights, VerifyReport};
pub use self::state::Place;
pub(crate) use self::state::{Entry, Limits, Overflow, State};
pub use self::usage::LeaseGuard;
use crate::key::check_asset_root;
use crate::{AssetsError, ResourceKey};

/// Changes after which the index is written at once.
pub(crate) const FLUSH_CHANGES: usize = 10;
/// Events that a slow subscriber may fall behind.
const EVENT_CAPACITY: usize = 64;

/// Told when a resource has been removed, so that a layer lets go of a handle that it kept.
pub(crate) trait RemovalObserver: Send + Sync {
    fn removed(&self, key: &ResourceKey);
}

/// Told when a resource has grown beyond a limit, so that a layer makes room.
pub(crate) trait GrowthObserver: Send + Sync {
    fn make_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The shared memory of a stack of layers. Its lock is held for lookups only, never across I/O.
pub struct Catalog {
    pub(crate) state: Mutex<State>,
    /// Wakes the flusher.
    pub(crate) wake: Condvar,
    removal_ended: Notify,
    events: broadcast::Sender<AssetEvent>,
    trouble: Mutex<Option<AssetsError>>,
    observers: Mutex<Vec<Weak<dyn RemovalObserver>>>,
    growth_observers: Mutex<Vec<Weak<dyn GrowthObserver>>>,
    rights: Rights,
    pub(crate) index_writes: AtomicU64,
    pub(crate) index_bytes: AtomicU64,
}

impl Default for Catalog {
    /// The empty catalog of a store of your own: without a folder, limits and entries. Its listings are empty; leases and events
    /// work.
    fn default() -> Self {
        Self::with(State::default(), Rights::Memory)
    }
}

impl Catalog {
    pub(crate) fn new(state: State, rights: Rights) -> Arc<Self> {
        Arc::new(Self::with(state, rights))
    }

    fn with(state: State, rights: Rights) -> Self {
        Self {
            state: Mutex::new(state),
            wake: Condvar::new(),
            removal_ended: Notify::new(),
            events: broadcast::Sender::new(EVENT_CAPACITY),
            trouble: Mutex::new(None),
            observers: Mutex::new(Vec::new()),
            growth_observers: Mutex::new(Vec::new()),
            rights,
            index_writes: AtomicU64::new(0),
            index_bytes: AtomicU64::new(0),
        }
    }

    // ---- what layers report ----

    /// Records a use, in memory.
    pub(crate) fn touch(&self, key: &ResourceKey) {
        self.state.lock().touch(key, now_ms());
    }

    /// Sets the bytes of a resource at a place, without requesting a flush. `true` if it had none there before.
    pub(crate) fn grown(&self, key: &ResourceKey, place: Place, bytes: u64) -> bool {
        self.state.lock().put(key, place, bytes, false, now_ms())
    }

    /// As [`grown`](Self::grown), of a resource that has its final form: the index has to say so.
    pub(crate) fn completed(&self, key: &ResourceKey, place: Place, bytes: u64) {
        self.change(|state| {
            state.put(key, place, bytes, true, now_ms());
            if place == Place::Disk {
                state.changed(key);
            }
        });
    }

    /// Requests a flush of a resource's entry.
    pub(crate) fn changed(&self, key: &ResourceKey) {
        self.change(|state| {
            state.changed(key);
        });
    }

    pub(crate) fn forget(&self, key: &ResourceKey) -> Option<Entry> {
        self.change(|state| state.forget(key))
    }

    /// Forgets the bytes of a resource at one place, and the resource if it has no others.
    pub(crate) fn forget_place(&self, key: &ResourceKey, place: Place) {
        self.change(|state| {
            let Some(mut entry) = state.entry(key).copied() else { return };
            match place {
                Place::Disk => (entry.disk, entry.on_disk) = (0, false),
                Place::Memory => (entry.memory, entry.in_memory) = (0, false),
            }
            entry.complete = false;
            if entry.on_disk || entry.in_memory {
                state.set(key, entry);
                state.changed(key);
            } else {
                state.forget(key);
            }
        });
    }

    /// The bytes in memory are on disk now: does not count them twice.
    pub(crate) fn forget_memory(&self, key: &ResourceKey) {
        let mut state = self.state.lock();
        let Some(mut entry) = state.entry(key).copied() else { return };
        (entry.memory, entry.in_memory) = (0, false);
        state.set(key, entry);
    }

    /// Puts an entry that was found in the folder.
    pub(crate) fn adopt(&self, key: &ResourceKey, entry: Entry) {
        self.change(|state| {
            state.set(key, entry);
            state.changed(key);
            state.free_epoch += 1;
        });
    }

    /// Changes the state, and wakes the flusher when the first change or the one that fills a batch was among it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let before = state.unsaved.changes;
        let result = change(&mut state);
        let after = state.unsaved.changes;
        drop(state);
        if (before == 0 && after > 0) || (before < FLUSH_CHANGES && after >= FLUSH_CHANGES) {
            self.wake.notify_all();
        }
        result
    }

    pub(crate) fn entry(&self, key: &ResourceKey) -> Option<Entry> {
        self.state.lock().entry(key).copied()
    }

    /// The most bytes that a resource may have at a place.
    pub(crate) fn limit_of_resource(&self, place: Place, declared: Option<u64>) -> u64 {
        self.state.lock().limits.of_resource(place, declared)
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        let mut state = self.state.lock();
        state.limits = limits;
        state.free_epoch += 1;
    }

    // ---- leases and removal ----

    /// Leases a resource: it is not evicted while the guard lives. Waits while it is being removed. Cancel-safe.
    pub(crate) async fn lease(self: &Arc<Self>, key: &ResourceKey) -> LeaseGuard {
        loop {
            let ended = self.removal_ended.notified();
            if self.state.lock().lease(key) {
                return LeaseGuard::resource(self.clone(), key.clone());
            }
            ended.await;
        }
    }

    pub(crate) fn lease_asset(self: &Arc<Self>, root: &str) -> Result<LeaseGuard, AssetsError> {
        check_asset_root(root)?;
        let root: Arc<str> = root.into();
        self.state.lock().lease_asset(&root);
        Ok(LeaseGuard::asset(self.clone(), root))
    }

    /// Marks a resource as being removed until the guard is dropped; `None` if it is in use.
    pub(crate) fn begin_removal(&self, key: &ResourceKey) -> Option<Removal<'_>> {
        let begun = self.state.lock().begin_removal(key);
        begun.then(|| Removal { catalog: self, key: key.clone() })
    }

    /// Notes that something may have become a victim.
    pub(crate) fn released(&self) {
        self.state.lock().free_epoch += 1;
    }

    /// Grows whenever something may have become a victim that was none.
    pub(crate) fn free_epoch(&self) -> u64 {
        self.state.lock().free_epoch
    }

    pub(crate) fn overflow(&self) -> Option<Overflow> {
        self.state.lock().overflow()
    }

    /// A resource that may go to mend an overflow, marked as being removed.
    pub(crate) fn begin_eviction(
        &self,
        overflow: Overflow,
        skip: &HashSet<ResourceKey>,
    ) -> Option<Removal<'_>> {
        let mut state = self.state.lock();
        let key = state.victim(overflow, skip)?;
        let begun = state.begin_removal(&key);
        begun.then(|| Removal { catalog: self, key })
    }

    pub(crate) fn observe_removals(&self, observer: Weak<dyn RemovalObserver>) {
        let mut observers = self.observers.lock();
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    /// Lets every layer drop the handle that it may keep of a resource.
    pub(crate) fn announce_removal(&self, key: &ResourceKey) {
        let observers: Vec<_> = self.observers.lock().iter().filter_map(Weak::upgrade).collect();
        for observer in observers {
            observer.removed(key);
        }
    }

    pub(crate) fn observe_growth(&self, observer: Weak<dyn GrowthObserver>) {
        let mut observers = self.growth_observers.lock();
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    /// Called by the store after a resource has grown: if a limit is exceeded, the layer that keeps it makes room. Cheap
    /// otherwise.
    pub(crate) async fn keep_limits(&self) {
        if self.overflow().is_none() {
            return;
        }
        let observers: Vec<_> = self.growth_observers.lock().iter().filter_map(Weak::upgrade).collect();
        for observer in observers {
            observer.make_room().await;
        }
    }

    // ---- for the application ----

    pub(crate) fn rights(&self) -> Rights {
        self.rights
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<AssetEvent> {
        self.events.subscribe()
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> AssetEvent) {
        if self.events.receiver_count() > 0 {
            // Fails only if the last receiver went meanwhile.
            let _ = self.events.send(event());
        }
    }

    /// Notes the first trouble with the folder, and tells of it once.
    pub(crate) fn note_trouble(&self, error: &AssetsError) {
        let mut trouble = self.trouble.lock();
        if trouble.is_some() {
            return;
        }
        *trouble = Some(error.clone());
        drop(trouble);
        tracing::warn!(%error, "the asset store goes on in memory");
        self.emit(|| AssetEvent::FellBackToMemory { error: error.clone() });
    }

    pub(crate) fn trouble(&self) -> Option<AssetsError> {
        self.trouble.lock().clone()
    }

    pub(crate) fn set_pin(&self, root: &str, pinned: bool) -> Result<bool, AssetsError> {
        check_asset_root(root)?;
        Ok(self.change(|state| state.set_pin(root, pinned)))
    }

    pub(crate) fn pins(&self) -> Vec<String> {
        self.state.lock().pins.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn index_stats(&self) -> IndexStats {
        IndexStats {
            writes: self.index_writes.load(Ordering::Relaxed),
            bytes: self.index_bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        let state = self.state.lock();
        state.disk_bytes.saturating_add(state.memory_bytes)
    }

    pub(crate) fn list(&self) -> Vec<AssetInfo> {
        let state = self.state.lock();
        let leased = state.leased_assets();
        let assets = state.assets.iter();
        assets.map(|(root, asset)| AssetInfo::of(&state, root, asset, leased.contains(&**root))).collect()
    }

    pub(crate) fn list_resources(&self, root: &str) -> Vec<ResourceInfo> {
        let state = self.state.lock();
        let Some((root, asset)) = state.assets.get_key_value(root) else { return Vec::new() };
        let key = |rel: &Arc<str>| ResourceKey::from_parts(root.clone(), rel.clone());
        asset.listed().map(|(rel, entry)| ResourceInfo::of(&state, key(rel), entry)).collect()
    }

    pub(crate) fn find(&self, key: &ResourceKey) -> Option<ResourceInfo> {
        let state = self.state.lock();
        Some(ResourceInfo::of(&state, key.clone(), state.entry(key)?))
    }

    /// The keys of an asset, or of all.
    pub(crate) fn keys(&self, root: Option<&str>) -> Vec<ResourceKey> {
        let state = self.state.lock();
        let assets = state.assets.iter().filter(|(name, _)| root.is_none_or(|root| root == &***name));
        assets
            .flat_map(|(root, asset)| {
                asset.resources.keys().map(|rel| ResourceKey::from_parts(root.clone(), rel.clone()))
            })
            .collect()
    }

    pub(crate) fn knows_asset(&self, root: &str) -> bool {
        self.state.lock().assets.contains_key(root)
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("rights", &self.rights).finish_non_exhaustive()
    }
}

/// A removal under way. Dropping it lets the resource be opened again.
pub(crate) struct Removal<'a> {
    catalog: &'a Catalog,
    key: ResourceKey,
}

impl Removal<'_> {
    pub(crate) fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        self.catalog.state.lock().end_removal(&self.key);
        self.catalog.removal_ended.notify_waiters();
    }
}

/// Milliseconds since 1970; 0 on a clock that is set before.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
