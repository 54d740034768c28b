//! Leases, and the resources that may be evicted.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::Catalog;
use super::state::{Asset, Entry, Overflow, Place, State};
use crate::ResourceKey;

impl State {
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
                self.free_epoch += 1;
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
                self.free_epoch += 1;
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
        self.free_epoch += 1;
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
}

/// Keeps a resource, or a whole asset, from being evicted or removed while it lives.
///
/// Leases are of this process and of this moment: they are counted in memory, dropping one is a lock of nanoseconds, and
/// a crash leaves none behind. For a promise that outlives the process there is `pin`.
#[must_use = "dropping a lease ends it"]
pub struct LeaseGuard {
    catalog: Arc<Catalog>,
    what: What,
}

enum What {
    Resource(ResourceKey),
    Asset(Arc<str>),
}

impl LeaseGuard {
    pub(super) fn resource(catalog: Arc<Catalog>, key: ResourceKey) -> Self {
        Self { catalog, what: What::Resource(key) }
    }

    pub(super) fn asset(catalog: Arc<Catalog>, root: Arc<str>) -> Self {
        Self { catalog, what: What::Asset(root) }
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        let mut state = self.catalog.state.lock();
        match &self.what {
            What::Resource(key) => state.release(key),
            What::Asset(root) => state.release_asset(root),
        }
    }
}

impl fmt::Debug for LeaseGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Resource(key) => write!(f, "LeaseGuard({key})"),
            What::Asset(root) => write!(f, "LeaseGuard({root})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::Limits;
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
        state.limits = Limits {
            disk_bytes: Some(400),
            assets: Some(3),
            resources: Some(4),
            memory_bytes: Some(0),
            resource_bytes: None,
        };
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
