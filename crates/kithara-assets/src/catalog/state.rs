//! The catalog's memory: a plain structure without I/O, locks or clocks of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::ResourceKey;
use crate::key::MANIFEST_FOLDER;

/// Where bytes of a resource are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the store's folder.
    Disk,
    /// In this process's memory.
    Memory,
}

/// The catalog's entry of one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) disk: u64,
    pub(crate) memory: u64,
    /// Set while the resource has a place there, even if it is empty.
    pub(crate) on_disk: bool,
    pub(crate) in_memory: bool,
    pub(crate) touched: u64,
    pub(crate) complete: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Asset {
    pub(crate) resources: BTreeMap<Arc<str>, Entry>,
    pub(crate) touched: u64,
    pub(crate) disk: u64,
    pub(crate) memory: u64,
}

impl Asset {
    /// The resources without the manifests.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        self.resources.iter().filter(|(rel, _)| !rel.starts_with(MANIFEST_FOLDER))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.disk.saturating_add(self.memory)
    }
}

/// Limits that eviction keeps; see `AssetSettings`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) assets: Option<usize>,
    pub(crate) resources: Option<usize>,
    /// Bytes of one resource; see [`Limits::of_resource`].
    pub(crate) resource_bytes: Option<u64>,
}

/// Bytes in memory of a resource without a declared length, whatever the limit of the store.
const MEMORY_UNDECLARED: u64 = 256 << 20;
/// Bytes in memory of a resource of declared length.
const MEMORY_DECLARED: u64 = 1 << 30;

impl Limits {
    /// The most bytes that a resource may have at a place; `declared`: the length that its server announced.
    pub(crate) fn of_resource(&self, place: Place, declared: Option<u64>) -> u64 {
        if let Some(limit) = self.resource_bytes {
            return limit;
        }
        match (place, declared) {
            (Place::Disk, declared) => {
                let limit = self.disk_bytes.unwrap_or(u64::MAX);
                declared.map_or(limit, |declared| declared.max(limit))
            }
            (Place::Memory, Some(declared)) => declared.min(MEMORY_DECLARED).max(self.memory_undeclared()),
            (Place::Memory, None) => self.memory_undeclared(),
        }
    }

    fn memory_undeclared(&self) -> u64 {
        self.memory_bytes.map_or(u64::MAX, |bytes| bytes.max(MEMORY_UNDECLARED))
    }
}

/// The limit that is exceeded, which decides the kind of victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    Bytes(Place),
    Resources,
    Assets,
}

/// Changes that the index on disk does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Resources whose record is written with the next flush; looked up only then, so that the last state counts.
    pub(crate) keys: HashSet<ResourceKey>,
    pub(crate) pins: BTreeSet<Arc<str>>,
    /// Changes that call for a flush. Uses (touches) do not: they travel with the next one.
    pub(crate) changes: usize,
    /// The whole snapshot is due (rebuilt, or loaded from an old form).
    pub(crate) rewrite: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) assets: BTreeMap<Arc<str>, Asset>,
    pub(crate) pins: BTreeSet<Arc<str>>,
    pub(crate) clock: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) resources: usize,
    pub(crate) limits: Limits,
    pub(crate) unsaved: Unsaved,
    /// Grows whenever something may have become a victim that was none.
    pub(crate) free_epoch: u64,
    pub(super) leases: HashMap<ResourceKey, usize>,
    pub(super) asset_leases: HashMap<Arc<str>, usize>,
    pub(super) removing: HashSet<ResourceKey>,
}

impl State {
    /// The next value of the clock: the time in milliseconds, or one more than the last value.
    fn tick(&mut self, now_ms: u64) -> u64 {
        self.clock = now_ms.max(self.clock.saturating_add(1));
        self.clock
    }

    pub(crate) fn entry(&self, key: &ResourceKey) -> Option<&Entry> {
        self.assets.get(key.asset_root())?.resources.get(key.rel_path())
    }

    /// Notes a use. It reaches the index with the next flush that something else causes.
    pub(crate) fn touch(&mut self, key: &ResourceKey, now_ms: u64) {
        let clock = self.tick(now_ms);
        let Some(asset) = self.assets.get_mut(key.asset_root()) else { return };
        asset.touched = clock;
        if let Some(entry) = asset.resources.get_mut(key.rel_path()) {
            entry.touched = clock;
            if entry.on_disk {
                self.unsaved.keys.insert(key.clone());
            }
        }
    }

    /// Sets the bytes of a resource at one place. Returns whether it had none there before.
    pub(crate) fn put(
        &mut self,
        key: &ResourceKey,
        place: Place,
        bytes: u64,
        complete: bool,
        now_ms: u64,
    ) -> bool {
        let known = self.entry(key).copied();
        let clock = match known {
            Some(entry) => entry.touched,
            None => self.tick(now_ms),
        };
        let mut entry = known.unwrap_or_default();
        entry.touched = clock;
        entry.complete = complete;
        let is_new = match place {
            Place::Disk => !std::mem::replace(&mut entry.on_disk, true),
            Place::Memory => !std::mem::replace(&mut entry.in_memory, true),
        };
        match place {
            Place::Disk => entry.disk = bytes,
            Place::Memory => entry.memory = bytes,
        }
        self.set(key, entry);
        is_new
    }

    /// Puts an entry in the place of the one that was there.
    pub(crate) fn set(&mut self, key: &ResourceKey, entry: Entry) {
        self.clock = self.clock.max(entry.touched);
        let asset = match self.assets.get_mut(key.asset_root()) {
            Some(asset) => asset,
            None => self.assets.entry(key.root_arc().clone()).or_default(),
        };
        asset.touched = asset.touched.max(entry.touched);
        let old = match asset.resources.get_mut(key.rel_path()) {
            Some(slot) => std::mem::replace(slot, entry),
            None => {
                self.resources += 1;
                asset.resources.insert(key.rel_arc().clone(), entry);
                Entry::default()
            }
        };
        asset.disk = asset.disk.saturating_sub(old.disk).saturating_add(entry.disk);
        asset.memory = asset.memory.saturating_sub(old.memory).saturating_add(entry.memory);
        self.disk_bytes = self.disk_bytes.saturating_sub(old.disk).saturating_add(entry.disk);
        self.memory_bytes = self.memory_bytes.saturating_sub(old.memory).saturating_add(entry.memory);
    }

    /// Takes in a whole asset that was not known: as `set` for each of its resources, but in one go.
    pub(crate) fn insert_asset(&mut self, root: Arc<str>, resources: BTreeMap<Arc<str>, Entry>) {
        if resources.is_empty() || self.assets.contains_key(&root) {
            return;
        }
        let mut asset = Asset { resources, ..Asset::default() };
        for entry in asset.resources.values() {
            asset.touched = asset.touched.max(entry.touched);
            asset.disk = asset.disk.saturating_add(entry.disk);
        }
        self.clock = self.clock.max(asset.touched);
        self.disk_bytes = self.disk_bytes.saturating_add(asset.disk);
        self.resources += asset.resources.len();
        self.assets.insert(root, asset);
    }

    /// Forgets a resource.
    pub(crate) fn forget(&mut self, key: &ResourceKey) -> Option<Entry> {
        let asset = self.assets.get_mut(key.asset_root())?;
        let entry = asset.resources.remove(key.rel_path())?;
        asset.disk = asset.disk.saturating_sub(entry.disk);
        asset.memory = asset.memory.saturating_sub(entry.memory);
        if asset.resources.is_empty() {
            self.assets.remove(key.asset_root());
        }
        self.resources -= 1;
        self.disk_bytes = self.disk_bytes.saturating_sub(entry.disk);
        self.memory_bytes = self.memory_bytes.saturating_sub(entry.memory);
        if entry.on_disk {
            self.changed(key);
        }
        Some(entry)
    }

    /// Notes that the index has to say something new about a resource. Returns the number of such changes.
    pub(crate) fn changed(&mut self, key: &ResourceKey) -> usize {
        self.unsaved.keys.insert(key.clone());
        self.unsaved.changes += 1;
        self.unsaved.changes
    }

    pub(crate) fn set_pin(&mut self, root: &str, pinned: bool) -> bool {
        let root: Arc<str> = match self.assets.get_key_value(root) {
            Some((root, _)) => root.clone(),
            None => root.into(),
        };
        let changed = if pinned { self.pins.insert(root.clone()) } else { self.pins.remove(&root) };
        if changed {
            self.unsaved.pins.insert(root);
            self.unsaved.changes += 1;
            self.free_epoch += 1;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_bounded_by_its_declared_length_and_the_store() {
        const MIB: u64 = 1 << 20;
        let limits =
            Limits { disk_bytes: Some(1024 * MIB), memory_bytes: Some(8 * MIB), ..Limits::default() };
        for (place, declared, limit) in [
            (Place::Disk, None, 1024 * MIB),
            (Place::Disk, Some(5), 1024 * MIB),
            (Place::Disk, Some(3000 * MIB), 3000 * MIB),
            (Place::Memory, None, 256 * MIB),
            (Place::Memory, Some(5), 256 * MIB),
            (Place::Memory, Some(600 * MIB), 600 * MIB),
            (Place::Memory, Some(u64::MAX), 1024 * MIB),
        ] {
            assert_eq!(limits.of_resource(place, declared), limit, "{place:?} {declared:?}");
            let set = Limits { resource_bytes: Some(7), ..limits };
            assert_eq!(set.of_resource(place, declared), 7);
        }
    }
}
