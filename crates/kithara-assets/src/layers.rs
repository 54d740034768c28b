//! Layers over a store: eviction, idle handles, leases.

pub(crate) mod evict;

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use kithara_storage::{Atomic, RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome, WriteClaim};
use lru::LruCache;
use parking_lot::Mutex;

use crate::catalog::{Catalog, LeaseGuard, RemovalObserver, Rights, VerifyReport};
use crate::processing::ProcessorId;
use crate::store::FlushOnDrop;
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
        // The evicted handle is dropped after the lock: closing a file is I/O.
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

/// Leases every resource while a handle on it lives, so that no eviction or removal takes it away.
///
/// It has to stand outside of every layer that keeps handles by itself: `Cached(Lease(..))` would lease whatever the
/// cache keeps, and no resource could be evicted.
#[derive(Clone)]
pub struct LeaseAssets<A> {
    inner: A,
    /// Shared by the clones of a whole stack only.
    end: Option<Arc<FlushOnDrop>>,
}

impl<A> LeaseAssets<A> {
    /// Puts the layer over a store.
    pub fn new(inner: A) -> Self {
        Self { inner, end: None }
    }

    /// The layer of a stack whose indexes are written when its last clone is dropped.
    pub(crate) fn ending(inner: A, end: FlushOnDrop) -> Self {
        Self { inner, end: Some(Arc::new(end)) }
    }

    /// The store below.
    pub fn inner(&self) -> &A {
        &self.inner
    }
}

impl<A: fmt::Display> fmt::Debug for LeaseAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseAssets")
            .field("inner", &format_args!("{}", self.inner))
            .field("ends_store", &self.end.is_some())
            .finish()
    }
}

impl<A: fmt::Display> fmt::Display for LeaseAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Assets> Assets for LeaseAssets<A> {
    type Streaming = LeasedResource<A::Streaming>;
    type Atomic = LeasedResource<A::Atomic>;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        let lease = Arc::new(self.catalog().lease(key).await);
        Ok(LeasedResource { inner: self.inner.open_streaming_resource(key).await?, lease })
    }

    async fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        let lease = Arc::new(self.catalog().lease(key).await);
        Ok(LeasedResource { inner: self.inner.open_processed_resource(key, processor).await?, lease })
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        let lease = Arc::new(self.catalog().lease(key).await);
        Ok(LeasedResource { inner: self.inner.open_atomic_resource(key).await?, lease })
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

/// A handle that holds a lease; all clones share one.
#[derive(Debug, Clone)]
pub struct LeasedResource<R> {
    inner: R,
    lease: Arc<LeaseGuard>,
}

impl<R> LeasedResource<R> {
    /// The handle of the layer below. It is not leased by itself.
    pub fn inner(&self) -> &R {
        &self.inner
    }

    /// Another handle under the same lease.
    pub(crate) fn with<T>(&self, inner: T) -> LeasedResource<T> {
        LeasedResource { inner, lease: self.lease.clone() }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<R: Streaming> Streaming for LeasedResource<R> {
    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        self.inner.wait_range(range).await
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.inner.read_at(offset, buf).await
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.inner.write_at(offset, data).await
    }

    fn available(&self) -> RangeSet {
        self.inner.available()
    }

    fn available_at(&self, offset: u64) -> u64 {
        self.inner.available_at(offset)
    }

    fn status(&self) -> ResourceStatus {
        self.inner.status()
    }

    fn len(&self) -> Option<u64> {
        self.inner.len()
    }

    fn expected_len(&self) -> Option<u64> {
        self.inner.expected_len()
    }

    fn set_expected_len(&self, len: u64) {
        self.inner.set_expected_len(len);
    }

    fn tag(&self) -> Option<Bytes> {
        self.inner.tag()
    }

    fn set_tag(&self, tag: Option<Bytes>) {
        self.inner.set_tag(tag);
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    async fn commit(&self, len: u64) -> Result<(), StorageError> {
        self.inner.commit(len).await
    }

    fn fail(&self, error: StorageError) {
        self.inner.fail(error);
    }

    async fn reset(&self) -> Result<(), StorageError> {
        self.inner.reset().await
    }

    async fn discard(&self, range: Range<u64>) -> Result<(), StorageError> {
        self.inner.discard(range).await
    }

    async fn flush(&self) -> Result<(), StorageError> {
        self.inner.flush().await
    }

    async fn claim(&self) -> Result<WriteClaim, StorageError> {
        self.inner.claim().await
    }

    fn try_claim(&self) -> Result<Option<WriteClaim>, StorageError> {
        self.inner.try_claim()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<R: Atomic> Atomic for LeasedResource<R> {
    async fn read(&self) -> Result<Option<Bytes>, StorageError> {
        self.inner.read().await
    }

    async fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        self.inner.write(content).await
    }

    async fn remove(&self) -> Result<(), StorageError> {
        self.inner.remove().await
    }
}
