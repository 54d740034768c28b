//! Keeps the handles that were used last open.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use kithara_storage::{ResourceStatus, Streaming};
use lru::LruCache;
use parking_lot::Mutex;

use crate::catalog::{Catalog, RemovalObserver, Rights, VerifyReport};
use crate::processing::ProcessorId;
use crate::{Assets, AssetsError, Processor, ResourceKey};

/// Keeps a few streaming handles open after their last user is gone, so that opening them again costs no system call, and
/// an encrypted resource keeps what was decrypted.
///
/// It keeps nothing where the bytes themselves would be kept alive with the handle ([`Rights::Memory`]), and lets go of a
/// handle whose resource failed or was removed.
pub struct CachedAssets<A: Assets> {
    inner: A,
    idle: Option<Arc<Idle<A::Streaming>>>,
}

struct Idle<S> {
    capacity: usize,
    handles: Mutex<LruCache<(ResourceKey, Option<ProcessorId>), S>>,
}

impl<S: Streaming> Idle<S> {
    fn get(&self, key: &ResourceKey, processor: Option<ProcessorId>) -> Option<S> {
        let slot = (key.clone(), processor);
        let mut handles = self.handles.lock();
        let handle = handles.get(&slot)?.clone();
        if matches!(handle.status(), ResourceStatus::Failed(_)) {
            let stale = handles.pop(&slot);
            drop(handles);
            drop(stale);
            return None;
        }
        Some(handle)
    }

    fn put(&self, key: &ResourceKey, processor: Option<ProcessorId>, handle: &S) {
        // What falls out is dropped after the lock: closing a file is I/O.
        let out = self.handles.lock().push((key.clone(), processor), handle.clone());
        drop(out);
    }
}

impl<S: Streaming> RemovalObserver for Idle<S> {
    fn removed(&self, key: &ResourceKey) {
        let mut handles = self.handles.lock();
        let slots: Vec<_> =
            handles.iter().filter(|((kept, _), _)| kept == key).map(|(slot, _)| slot.clone()).collect();
        let out: Vec<_> = slots.iter().filter_map(|slot| handles.pop(slot)).collect();
        drop(handles);
        drop(out);
    }
}

impl<A: Assets> CachedAssets<A> {
    /// Puts the layer over a store; it keeps up to `capacity` handles.
    pub fn new(inner: A, capacity: usize) -> Self {
        let keeps = inner.catalog().rights() != Rights::Memory;
        let idle = NonZeroUsize::new(capacity).filter(|_| keeps).map(|capacity| {
            let idle =
                Arc::new(Idle { capacity: capacity.get(), handles: Mutex::new(LruCache::new(capacity)) });
            let observer: Arc<dyn RemovalObserver> = idle.clone();
            inner.catalog().observe_removals(Arc::downgrade(&observer));
            idle
        });
        Self { inner, idle }
    }

    /// The store below.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// Lets go of the handles that are kept.
    pub fn close_idle(&self) {
        let Some(idle) = &self.idle else { return };
        let mut handles = idle.handles.lock();
        let capacity = handles.cap();
        let out = std::mem::replace(&mut *handles, LruCache::new(capacity));
        drop(handles);
        drop(out);
    }

    fn idle_get(&self, key: &ResourceKey, processor: Option<ProcessorId>) -> Option<A::Streaming> {
        let handle = self.idle.as_ref()?.get(key, processor)?;
        self.catalog().touch(key);
        Some(handle)
    }

    fn idle_put(&self, key: &ResourceKey, processor: Option<ProcessorId>, handle: &A::Streaming) {
        if let Some(idle) = &self.idle {
            idle.put(key, processor, handle);
        }
    }
}

impl<A: Assets> Clone for CachedAssets<A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), idle: self.idle.clone() }
    }
}

impl<A: Assets> fmt::Debug for CachedAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: Assets> fmt::Display for CachedAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.idle.as_ref().map_or(0, |idle| idle.capacity);
        write!(f, "Cached({capacity}, {})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Assets> Assets for CachedAssets<A> {
    type Streaming = A::Streaming;
    type Atomic = A::Atomic;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        if let Some(handle) = self.idle_get(key, None) {
            return Ok(handle);
        }
        let handle = self.inner.open_streaming_resource(key).await?;
        self.idle_put(key, None, &handle);
        Ok(handle)
    }

    async fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        let id = Some(processor.id());
        if let Some(handle) = self.idle_get(key, id) {
            return Ok(handle);
        }
        let handle = self.inner.open_processed_resource(key, processor).await?;
        self.idle_put(key, id, &handle);
        Ok(handle)
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        self.inner.open_atomic_resource(key).await
    }

    async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        self.inner.remove_resource(key).await
    }

    async fn verify(&self) -> Result<VerifyReport, AssetsError> {
        self.inner.verify().await
    }

    async fn flush(&self) -> Result<(), AssetsError> {
        self.inner.flush().await
    }

    fn catalog(&self) -> &Arc<Catalog> {
        self.inner.catalog()
    }
}
