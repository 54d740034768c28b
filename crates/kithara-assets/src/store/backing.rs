//! The state that all handles on a store share: its catalog, its folder if any, its memory tier, and the open resources.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use kithara_storage::{
    AtomicResource, ResourceStatus, SUMS_SUFFIX, StorageError, Streaming, StreamingResource,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::OnceCell;

use super::entry::OpenEntry;
use super::files;
use super::folder::{Folder, limits};
use super::resource::BaseResource;
use crate::catalog::{Catalog, Entry, Place, Rights, State};
use crate::{AssetSettings, AssetsError, ResourceKey};

/// The folders that this process has open. Two stores on one folder share everything: the lock would make the second one a
/// guest, and neither would know of the other's downloads.
static OPEN: Mutex<Vec<OpenFolder>> = Mutex::new(Vec::new());

struct OpenFolder {
    path: PathBuf,
    backing: Weak<StoreInner>,
    closing: Weak<Closing>,
}

pub(crate) struct StoreInner {
    catalog: Arc<Catalog>,
    folder: Option<Folder>,
    pub(super) memory_tier: MemoryTier,
    slots: Mutex<HashMap<ResourceKey, EntrySlot>>,
    /// Told when the folder has been let go.
    closing: Arc<Closing>,
}

/// Lives as long as a store holds its folder: a little longer than its last user.
#[derive(Default)]
struct Closing {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Drop for StoreInner {
    fn drop(&mut self) {
        // In this order: the folder is released when the waiters are woken.
        drop(self.folder.take());
        *self.closing.closed.lock() = true;
        self.closing.changed.notify_all();
    }
}

/// A resource that is open, or being opened by somebody: others wait for him.
enum EntrySlot {
    Opening(Arc<OnceCell<Arc<OpenEntry>>>),
    Open(Weak<OpenEntry>),
}

/// How a file compares with its catalog entry.
enum Opened {
    Sound,
    /// A complete resource has another length than it had.
    Lost {
        expected: u64,
        found: u64,
    },
    /// A file has the name of a complete resource, without an index entry or checksums to prove it.
    Unproven,
    /// There may be an unfinished file, but no byte of it is valid.
    Invalid,
}

impl StoreInner {
    pub(super) fn memory(settings: &AssetSettings) -> Arc<Self> {
        let mut state = State::default();
        state.limits = settings.memory_limits();
        Arc::new(Self::new(Catalog::new(state, Rights::Memory), None))
    }

    pub(super) fn disk(path: &Path, settings: &AssetSettings) -> Result<Arc<Self>, AssetsError> {
        let path = Folder::prepare(path)?;
        // Held while a folder is opened: a second opener would find it locked, by us.
        let mut open = OPEN.lock();
        open.retain(|folder| folder.closing.strong_count() > 0);
        if let Some(known) = open.iter().find(|known| known.path == path) {
            if let Some(backing) = known.backing.upgrade() {
                backing.catalog.set_limits(limits(backing.catalog.rights(), settings));
                return Ok(backing);
            }
            if let Some(closing) = known.closing.upgrade() {
                // Its last user is gone, and the indexes are being written: a moment.
                let mut closed = closing.closed.lock();
                closing.changed.wait_while(&mut closed, |closed| !*closed);
            }
            open.retain(|known| known.path != path);
        }
        let (folder, catalog) = Folder::open(path.clone(), settings)?;
        let backing = Arc::new(Self::new(catalog, Some(folder)));
        open.push(OpenFolder {
            path,
            backing: Arc::downgrade(&backing),
            closing: Arc::downgrade(&backing.closing),
        });
        Ok(backing)
    }

    fn new(catalog: Arc<Catalog>, folder: Option<Folder>) -> Self {
        Self {
            catalog,
            folder,
            memory_tier: MemoryTier::default(),
            slots: Mutex::default(),
            closing: Arc::default(),
        }
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    pub(super) fn folder(&self) -> Option<&Folder> {
        self.folder.as_ref()
    }

    /// The folder, if new bytes may go there.
    pub(super) fn writable_folder(&self) -> Option<&Folder> {
        self.folder.as_ref().filter(|_| self.catalog.rights().may_write())
    }

    /// Tells the indexes, before the first byte goes to disk, that this asset is about to change.
    pub(super) fn note_change(&self, key: &ResourceKey) {
        if let Some(folder) = self.writable_folder() {
            folder.note_change(&self.catalog, key);
        }
    }

    // ---- opening ----

    /// A handle on a resource; all opens of one key share it.
    pub(super) async fn open(self: &Arc<Self>, key: &ResourceKey) -> Result<BaseResource, AssetsError> {
        self.catalog.touch(key);
        let hold = match self.slot(key) {
            Ok(hold) => hold,
            Err(opening) => {
                let open = async { self.open_new(key).await.map(Arc::new) };
                let hold = opening.get_or_try_init(|| open).await;
                let mut slots = self.slots.lock();
                if matches!(slots.get(key), Some(EntrySlot::Opening(known)) if Arc::ptr_eq(known, &opening)) {
                    match hold {
                        Ok(hold) => drop(slots.insert(key.clone(), EntrySlot::Open(Arc::downgrade(hold)))),
                        Err(_) => drop(slots.remove(key)),
                    }
                }
                drop(slots);
                hold.cloned().map_err(|error| AssetsError::storage(key, error))?
            }
        };
        hold.start_over_if_lost().await;
        Ok(BaseResource::new(hold))
    }

    fn slot(&self, key: &ResourceKey) -> Result<Arc<OpenEntry>, Arc<OnceCell<Arc<OpenEntry>>>> {
        let mut slots = self.slots.lock();
        match slots.get(key) {
            Some(EntrySlot::Opening(opening)) => return Err(opening.clone()),
            Some(EntrySlot::Open(hold)) => {
                if let Some(hold) = hold.upgrade() {
                    return Ok(hold);
                }
            }
            None => {}
        }
        let opening = Arc::new(OnceCell::new());
        slots.insert(key.clone(), EntrySlot::Opening(opening.clone()));
        Err(opening)
    }

    async fn open_new(self: &Arc<Self>, key: &ResourceKey) -> Result<OpenEntry, StorageError> {
        if let Some(resource) = self.memory_tier.streaming(key) {
            return Ok(OpenEntry::new(self.clone(), key.clone(), resource, Place::Memory));
        }
        let Some(folder) = &self.folder else {
            return Ok(OpenEntry::new(self.clone(), key.clone(), StreamingResource::memory(), Place::Memory));
        };
        let resource = match StreamingResource::at(key.file_in(&folder.path), folder.storage) {
            Ok(resource) => resource,
            Err(error @ StorageError::Io { .. }) => {
                self.catalog.note_trouble(&AssetsError::storage(key, error));
                return Ok(OpenEntry::new(
                    self.clone(),
                    key.clone(),
                    StreamingResource::memory(),
                    Place::Memory,
                ));
            }
            Err(error) => return Err(error),
        };
        let opened = self.compare(key, &resource);
        let hold = OpenEntry::new(self.clone(), key.clone(), resource, Place::Disk);
        match opened {
            Opened::Sound => {}
            Opened::Lost { expected, found } => {
                tracing::warn!(%key, expected, found, "a stored file has changed its length");
                hold.note_lost();
            }
            Opened::Unproven => {
                tracing::warn!(%key, "a file that no store completed is replaced");
                hold.note_lost();
            }
            Opened::Invalid => hold.note_invalid_file(),
        }
        Ok(hold)
    }

    /// Compares the files with the catalog entry, and updates the entry.
    fn compare(&self, key: &ResourceKey, resource: &StreamingResource) -> Opened {
        let known = self.catalog.entry(key).filter(|entry| entry.on_disk);
        match (known, resource.status()) {
            (Some(known), ResourceStatus::Committed { len })
                if known.complete && known.disk != len && self.owns_files() =>
            {
                return Opened::Lost { expected: known.disk, found: len };
            }
            (Some(known), ResourceStatus::Committed { len }) if known.complete && known.disk == len => {}
            // Another process completed it, or the index was lost: the checksums show that it is whole.
            (_, ResourceStatus::Committed { len }) => {
                if self.owns_files() && !resource.has_checksums() {
                    return Opened::Unproven;
                }
                self.catalog.completed(key, Place::Disk, len);
            }
            (Some(known), _) => match resource.available().covered() {
                0 => {
                    if self.folder.as_ref().is_some_and(|folder| files::is_begun(&key.file_in(&folder.path)))
                    {
                        // Counted until somebody writes it anew or takes it away.
                        self.catalog.grown(key, Place::Disk, 0);
                    } else {
                        self.catalog.forget_place(key, Place::Disk);
                    }
                    return Opened::Invalid;
                }
                bytes if bytes != known.disk || known.complete => {
                    self.catalog.grown(key, Place::Disk, bytes);
                }
                _ => {}
            },
            (None, _) => match resource.available().covered() {
                0 => {}
                bytes => {
                    self.catalog.grown(key, Place::Disk, bytes);
                    self.catalog.changed(key);
                }
            },
        }
        Opened::Sound
    }

    /// A hold is gone: so is its slot, unless somebody opened the resource anew.
    pub(super) fn closed(&self, key: &ResourceKey) {
        let mut slots = self.slots.lock();
        if matches!(slots.get(key), Some(EntrySlot::Open(hold)) if hold.strong_count() == 0) {
            slots.remove(key);
        }
    }

    pub(super) fn open_entry(&self, key: &ResourceKey) -> Option<Arc<OpenEntry>> {
        match self.slots.lock().get(key)? {
            EntrySlot::Open(hold) => hold.upgrade(),
            EntrySlot::Opening(opening) => opening.get().cloned(),
        }
    }

    // ---- removing ----

    pub(super) async fn remove(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        let entry = self.catalog.entry(key).unwrap_or_default();
        if let Some(folder) = &self.folder {
            self.may_remove(folder, key, &entry)?;
        }
        // First drops idle handles, so that the file is closed.
        self.catalog.announce_removal(key);
        if let Some(hold) = self.open_entry(key) {
            hold.empty().await?;
        } else if self.owns_files() && (entry.on_disk || !entry.in_memory) {
            self.remove_files(key, false).await?;
        }
        self.memory_tier.take(key);
        self.catalog.forget(key);
        if let Some(folder) = self.folder.as_ref().filter(|_| !self.catalog.knows_asset(key.asset_root())) {
            files::prune(&folder.path, key);
        }
        Ok(entry.disk.saturating_add(entry.memory))
    }

    pub(super) fn owns_files(&self) -> bool {
        self.folder.is_some() && self.catalog.rights().owns_files()
    }

    fn may_remove(&self, folder: &Folder, key: &ResourceKey, entry: &Entry) -> Result<(), AssetsError> {
        match self.catalog.rights() {
            Rights::Guest if entry.on_disk => Err(AssetsError::OwnedElsewhere { path: folder.path.clone() }),
            Rights::ReadOnly if entry.on_disk => {
                let error = std::io::ErrorKind::ReadOnlyFilesystem.into();
                Err(AssetsError::folder(key.path_in(&folder.path), "remove a file of", error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the files of a resource. `is_locked`: this process has its unfinished file locked.
    pub(super) async fn remove_files(&self, key: &ResourceKey, is_locked: bool) -> Result<(), AssetsError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = key.file_in(&folder.path);
        let removed =
            blocking(move || files::remove(&file, is_locked).map_err(|error| (file, error))).await?;
        match removed {
            Ok(true) => Ok(()),
            Ok(false) => Err(AssetsError::InUse { what: key.to_string() }),
            Err((file, error)) => Err(AssetsError::folder(file.path(), "remove a file of", error)),
        }
    }

    /// Removes the checksums of a damaged resource, so that it does not count as complete any more.
    pub(super) fn remove_sums(&self, key: &ResourceKey) {
        let Some(folder) = self.writable_folder() else { return };
        if let Err(error) = files::remove_if_present(&key.file_in(&folder.path).with_suffix(SUMS_SUFFIX)) {
            tracing::debug!(%key, %error, "the checksums of a damaged resource stay");
        }
    }

    /// Takes away the empty file of a resource that was claimed and never written.
    pub(super) fn sweep(&self, key: &ResourceKey, is_invalid: bool) {
        let Some(folder) = self.writable_folder() else { return };
        let file = key.file_in(&folder.path);
        if let Err(error) = files::remove_empty(&file, is_invalid) {
            tracing::debug!(%key, %error, "an empty file stays");
        } else if self.catalog.entry(key).is_some_and(|entry| entry.on_disk) {
            self.catalog.forget_place(key, Place::Disk);
        }
        if !self.catalog.knows_asset(key.asset_root()) {
            files::prune(&folder.path, key);
        }
    }

    // ---- indexes ----

    pub(super) async fn flush(self: &Arc<Self>) -> Result<(), AssetsError> {
        let this = self.clone();
        blocking(move || this.folder.as_ref().map_or(Ok(()), Folder::flush)).await?
    }
}

/// Runs `work` on a blocking thread of the runtime; without a runtime, on this thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AssetsError> {
    match tokio::runtime::Handle::try_current() {
        Err(_) => Ok(work()),
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|error| {
            // Only while the runtime shuts down, or by a bug.
            AssetsError::folder("", "work on", std::io::Error::other(error))
        }),
    }
}

/// Writes the indexes when the last handle on a store goes, although handles on its resources may live on.
pub(crate) struct FlushOnDrop {
    backing: Arc<StoreInner>,
}

impl FlushOnDrop {
    pub(super) fn new(backing: Arc<StoreInner>) -> Self {
        Self { backing }
    }
}

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        let Some(folder) = &self.backing.folder else { return };
        if let Err(error) = folder.flush() {
            tracing::warn!(%error, "the indexes are not up to date");
        }
    }
}

/// Resources in memory, by key. The catalog says how much it is, and eviction takes it away.
#[derive(Default)]
pub(super) struct MemoryTier {
    streaming: Mutex<HashMap<ResourceKey, StreamingResource>>,
    atomic: Mutex<HashMap<ResourceKey, AtomicResource>>,
}

impl MemoryTier {
    pub(super) fn streaming(&self, key: &ResourceKey) -> Option<StreamingResource> {
        self.streaming.lock().get(key).cloned()
    }

    pub(super) fn put_streaming(&self, key: &ResourceKey, resource: &StreamingResource) {
        self.streaming.lock().insert(key.clone(), resource.clone());
    }

    pub(super) fn atomic(&self, key: &ResourceKey) -> Option<AtomicResource> {
        self.atomic.lock().get(key).cloned()
    }

    pub(super) fn atomic_or_new(&self, key: &ResourceKey) -> AtomicResource {
        self.atomic.lock().entry(key.clone()).or_insert_with(AtomicResource::memory).clone()
    }

    /// Whether there was one.
    pub(super) fn take_atomic(&self, key: &ResourceKey) -> bool {
        self.atomic.lock().remove(key).is_some()
    }

    /// Takes a resource away; the bytes go with its last handle. What is freed is freed after the lock.
    pub(super) fn take(&self, key: &ResourceKey) {
        let streaming = self.streaming.lock().remove(key);
        let atomic = self.atomic.lock().remove(key);
        drop((streaming, atomic));
    }
}
