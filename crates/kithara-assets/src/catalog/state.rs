//! The catalog's memory: a plain structure without I/O, locks or clocks of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::ResourceKey;
use crate::index::record::{AssetRecord, Change, ResourceRecord, Snapshot};

/// Where bytes of a resource are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// In the store's folder.
    Disk,
    /// In this process's memory.
    Memory,
}

/// What the catalog knows of one resource.
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
}

/// Which limit is exceeded, and hence what kind of victim is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    Bytes(Place),
    Resources,
    Assets,
}

/// What the index on disk does not say yet.
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
    pub(crate) releases: u64,
    leases: HashMap<ResourceKey, usize>,
    asset_leases: HashMap<Arc<str>, usize>,
    removing: HashSet<ResourceKey>,
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

    /// Sets what a resource holds at one place. Returns whether the catalog had nothing there before.
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
            self.releases += 1;
        }
        changed
    }

    // ---- leases ----

    /// Leases a resource, unless it is being removed at this moment.
    pub(crate) fn lease(&mut self, key: &ResourceKey) -> bool {
        if self.removing.contains(key) {
            return false;
        }
        *self.leases.entry(key.clone()).or_default() += 1;
        true
    }

    pub(crate) fn release(&mut self, key: &ResourceKey) {
        if let Some(count) = self.leases.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                self.leases.remove(key);
                self.releases += 1;
            }
        }
    }

    pub(crate) fn lease_asset(&mut self, root: &Arc<str>) {
        *self.asset_leases.entry(root.clone()).or_default() += 1;
    }

    pub(crate) fn release_asset(&mut self, root: &str) {
        if let Some(count) = self.asset_leases.get_mut(root) {
            *count -= 1;
            if *count == 0 {
                self.asset_leases.remove(root);
                self.releases += 1;
            }
        }
    }

    pub(crate) fn is_leased(&self, key: &ResourceKey) -> bool {
        self.leases.contains_key(key) || self.asset_leases.contains_key(key.asset_root())
    }

    /// The assets of which something is in use.
    pub(crate) fn leased_assets(&self) -> HashSet<&str> {
        self.asset_leases
            .keys()
            .map(|root| &**root)
            .chain(self.leases.keys().map(ResourceKey::asset_root))
            .collect()
    }

    // ---- removal ----

    /// Marks a resource as being removed. `false` if somebody uses it or removes it already.
    pub(crate) fn begin_removal(&mut self, key: &ResourceKey) -> bool {
        !self.is_leased(key) && self.removing.insert(key.clone())
    }

    pub(crate) fn end_removal(&mut self, key: &ResourceKey) {
        self.removing.remove(key);
        self.releases += 1;
    }

    /// The limit that is exceeded, if any.
    pub(crate) fn overflow(&self) -> Option<Overflow> {
        let over = |limit: Option<u64>, is: u64| limit.is_some_and(|limit| is > limit);
        let over_count = |limit: Option<usize>, is: usize| limit.is_some_and(|limit| is > limit);
        if over(self.limits.disk_bytes, self.disk_bytes) {
            Some(Overflow::Bytes(Place::Disk))
        } else if over(self.limits.memory_bytes, self.memory_bytes) {
            Some(Overflow::Bytes(Place::Memory))
        } else if over_count(self.limits.resources, self.resources) {
            Some(Overflow::Resources)
        } else if over_count(self.limits.assets, self.assets.len()) {
            Some(Overflow::Assets)
        } else {
            None
        }
    }

    /// The least recently used resource of the least recently used asset that may go.
    pub(crate) fn victim(&self, overflow: Overflow, skip: &HashSet<ResourceKey>) -> Option<ResourceKey> {
        let leased: HashSet<&str> = match overflow {
            // A whole asset is to go: not one that is used in part.
            Overflow::Assets => self.leases.keys().map(ResourceKey::asset_root).collect(),
            _ => HashSet::new(),
        };
        let may_go = |root: &Arc<str>, asset: &Asset| {
            let counts = match overflow {
                Overflow::Bytes(Place::Disk) => asset.disk > 0,
                Overflow::Bytes(Place::Memory) => asset.memory > 0,
                Overflow::Resources | Overflow::Assets => true,
            };
            counts
                && !self.pins.contains(root)
                && !self.asset_leases.contains_key(root)
                && !leased.contains(&**root)
        };
        // The first look mostly finds one. Only an asset whose every resource is in use makes another one necessary.
        let mut tried = None;
        loop {
            let (at, asset) = self
                .assets
                .iter()
                .map(|(root, asset)| ((asset.touched, root), asset))
                .filter(|(at, asset)| tried.is_none_or(|tried| *at > tried) && may_go(at.1, asset))
                .min_by_key(|(at, _)| *at)?;
            if let Some(victim) = self.victim_in(at.1, asset, overflow, skip) {
                return Some(victim);
            }
            tried = Some(at);
        }
    }

    fn victim_in(
        &self,
        root: &Arc<str>,
        asset: &Asset,
        overflow: Overflow,
        skip: &HashSet<ResourceKey>,
    ) -> Option<ResourceKey> {
        let counts = |entry: &Entry| match overflow {
            Overflow::Bytes(Place::Disk) => entry.disk > 0,
            Overflow::Bytes(Place::Memory) => entry.memory > 0,
            Overflow::Resources | Overflow::Assets => true,
        };
        asset
            .resources
            .iter()
            .filter(|(_, entry)| counts(entry))
            .map(|(rel, entry)| (entry.touched, ResourceKey::from_parts(root.clone(), rel.clone())))
            .filter(|(_, key)| {
                !self.leases.contains_key(key) && !self.removing.contains(key) && !skip.contains(key)
            })
            .min_by_key(|(touched, _)| *touched)
            .map(|(_, key)| key)
    }

    // ---- index ----

    /// Everything the index says, as one record.
    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        let assets = self.assets.iter().map(|(root, asset)| AssetRecord {
            root,
            pinned: self.pins.contains(root),
            resources: asset
                .resources
                .iter()
                .filter(|(_, entry)| entry.on_disk)
                .map(|(rel, entry)| resource_record(rel, entry))
                .collect(),
        });
        // An asset may be pinned before anything of it is here.
        let pinned_only = self
            .pins
            .iter()
            .filter(|root| !self.assets.contains_key(*root))
            .map(|root| AssetRecord { root, pinned: true, resources: Vec::new() });
        let assets = assets.chain(pinned_only).filter(|asset| asset.pinned || !asset.resources.is_empty());
        Snapshot { clock: self.clock, assets: assets.collect() }
    }

    /// What the index does not say yet, as the changes that make it say so.
    pub(crate) fn changes(&self) -> Vec<Change<'_>> {
        let resources = self.unsaved.keys.iter().map(|key| match self.entry(key) {
            Some(entry) if entry.on_disk => {
                Change::Put { root: key.asset_root(), resource: resource_record(key.rel_path(), entry) }
            }
            _ => Change::Remove { root: key.asset_root(), rel: key.rel_path() },
        });
        let pins =
            self.unsaved.pins.iter().map(|root| Change::Pin { root, pinned: self.pins.contains(root) });
        resources.chain(pins).collect()
    }
}

fn resource_record<'a>(rel: &'a str, entry: &Entry) -> ResourceRecord<'a> {
    ResourceRecord { rel, bytes: entry.disk, touched: entry.touched, complete: entry.complete }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(root: &str, rel: &str) -> ResourceKey {
        ResourceKey::new(root, rel).unwrap()
    }

    fn filled() -> State {
        let mut state = State::default();
        for (now, (root, rel)) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")].into_iter().enumerate() {
            state.put(&key(root, rel), Place::Disk, 100, true, now as u64 + 1);
        }
        state
    }

    fn victims(state: &State, overflow: Overflow) -> Vec<String> {
        let mut skip = HashSet::new();
        while let Some(victim) = state.victim(overflow, &skip) {
            skip.insert(victim);
        }
        let mut order: Vec<_> =
            skip.into_iter().map(|key| (state.entry(&key).unwrap().touched, key)).collect();
        order.sort();
        order.into_iter().map(|(_, key)| key.to_string()).collect()
    }

    #[test]
    fn totals_follow_every_change() {
        let mut state = filled();
        assert_eq!((state.disk_bytes, state.memory_bytes, state.resources), (400, 0, 4));
        state.put(&key("a", "1"), Place::Disk, 40, false, 9);
        state.put(&key("a", "1"), Place::Memory, 7, false, 9);
        assert_eq!((state.disk_bytes, state.memory_bytes, state.assets["a"].bytes()), (340, 7, 147));
        assert_eq!(state.forget(&key("a", "1")).unwrap().memory, 7);
        assert_eq!(state.forget(&key("a", "1")), None);
        state.forget(&key("a", "2"));
        assert_eq!(
            (state.disk_bytes, state.memory_bytes, state.resources, state.assets.len()),
            (200, 0, 2, 2)
        );
    }

    #[test]
    fn the_oldest_asset_goes_first_and_within_it_the_oldest_resource() {
        let mut state = filled();
        let next =
            |state: &State| state.victim(Overflow::Bytes(Place::Disk), &HashSet::new()).unwrap().to_string();
        assert_eq!(next(&state), "b/1");
        state.touch(&key("b", "1"), 0);
        assert_eq!(next(&state), "a/1", "the clock goes on although the time stands still");
        state.touch(&key("a", "1"), 10);
        assert_eq!(next(&state), "c/1");
        state.forget(&key("c", "1"));
        state.forget(&key("b", "1"));
        assert_eq!(next(&state), "a/2");
    }

    #[test]
    fn what_is_pinned_leased_or_going_is_no_victim() {
        let mut state = filled();
        assert_eq!(victims(&state, Overflow::Resources).len(), 4);
        state.set_pin("b", true);
        assert!(state.lease(&key("a", "1")));
        state.lease_asset(&"c".into());
        assert_eq!(victims(&state, Overflow::Resources), ["a/2"]);
        assert_eq!(victims(&state, Overflow::Assets), [""; 0], "a partly used asset is used");
        assert!(state.begin_removal(&key("a", "2")));
        assert!(!state.begin_removal(&key("a", "2")) && !state.begin_removal(&key("a", "1")));
        assert!(!state.lease(&key("a", "2")));
        assert_eq!(victims(&state, Overflow::Resources), [""; 0]);
        state.end_removal(&key("a", "2"));
        state.release(&key("a", "1"));
        state.release_asset("c");
        state.set_pin("b", false);
        assert_eq!(victims(&state, Overflow::Assets).len(), 4);
        assert_eq!(victims(&state, Overflow::Bytes(Place::Memory)), [""; 0]);
    }

    #[test]
    fn limits_are_told_apart() {
        let mut state = filled();
        assert_eq!(state.overflow(), None);
        state.limits =
            Limits { disk_bytes: Some(400), assets: Some(3), resources: Some(4), memory_bytes: Some(0) };
        assert_eq!(state.overflow(), None, "a limit is what may be there");
        state.put(&key("d", "1"), Place::Memory, 1, true, 9);
        assert_eq!(state.overflow(), Some(Overflow::Bytes(Place::Memory)));
        state.limits.memory_bytes = None;
        assert_eq!(state.overflow(), Some(Overflow::Resources));
        state.limits.resources = None;
        assert_eq!(state.overflow(), Some(Overflow::Assets));
        state.limits.disk_bytes = Some(399);
        assert_eq!(state.overflow(), Some(Overflow::Bytes(Place::Disk)));
    }
}
