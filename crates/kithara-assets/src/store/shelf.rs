//! What a store keeps in memory.

use std::collections::HashMap;

use kithara_storage::{AtomicResource, StreamingResource};
use parking_lot::Mutex;

use crate::ResourceKey;

/// Resources in memory, by key. The catalog says how much it is, and eviction takes it away.
#[derive(Default)]
pub(super) struct Shelf {
    streaming: Mutex<HashMap<ResourceKey, StreamingResource>>,
    atomic: Mutex<HashMap<ResourceKey, AtomicResource>>,
}

impl Shelf {
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
