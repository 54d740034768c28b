//! Keeps a store within its limits.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use kithara_storage::{Atomic, RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome, WriteClaim};

use crate::catalog::{AssetEvent, Catalog, VerifyReport};
use crate::{Assets, AssetsError, Processor, ResourceKey};

/// Evicts what was not used for longest when a limit is exceeded: the least recently used asset first, and of it the least
/// recently used resource. Never what is pinned, leased or being written. Files go before the catalog forgets them.
///
/// It looks after each write, commit and open; there is no task of its own. What is leased bends a limit, and is evicted by the
/// next look after its lease has ended.
pub struct EvictAssets<A> {
    inner: A,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// One evictor at a time: others need not wait for it.
    running: AtomicBool,
    /// State of the catalog's releases at which nothing could be evicted, plus one.
    stuck_at: AtomicU64,
}

struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl<A: Assets> EvictAssets<A> {
    /// Puts the layer over a store.
    pub fn new(inner: A) -> Self {
        Self { inner, shared: Arc::default() }
    }

    /// The store below.
    pub fn inner(&self) -> &A {
        &self.inner
    }

    /// Evicts until the limits are kept, or nothing more may go.
    async fn evict(&self) {
        let catalog = self.catalog();
        let Some(mut overflow) = catalog.overflow() else { return };
        if catalog.releases() + 1 == self.shared.stuck_at.load(Ordering::Relaxed)
            || self.shared.running.swap(true, Ordering::Acquire)
        {
            return;
        }
        let _running = Running(&self.shared.running);
        let mut skip = HashSet::new();
        loop {
            let releases = catalog.releases();
            let Some(removal) = catalog.begin_eviction(overflow, &skip) else {
                self.shared.stuck_at.store(releases + 1, Ordering::Relaxed);
                return;
            };
            let key = removal.key();
            match self.inner.remove_resource(key).await {
                Ok(bytes) => {
                    tracing::debug!(%key, bytes, "evicted");
                    catalog.emit(|| AssetEvent::Evicted { key: key.clone(), bytes });
                }
                Err(error) => {
                    if !matches!(error, AssetsError::InUse { .. }) {
                        tracing::warn!(%key, %error, "cannot evict");
                    }
                    skip.insert(key.clone());
                }
            }
            drop(removal);
            match catalog.overflow() {
                Some(next) => overflow = next,
                None => return,
            }
        }
    }
}

impl<A: Clone> Clone for EvictAssets<A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone() }
    }
}

impl<A: fmt::Display> fmt::Debug for EvictAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: fmt::Display> fmt::Display for EvictAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evict({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Assets> Assets for EvictAssets<A> {
    type Streaming = EvictResource<A::Streaming, A>;
    type Atomic = EvictResource<A::Atomic, A>;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        self.evict().await;
        Ok(EvictResource { inner: self.inner.open_streaming_resource(key).await?, assets: self.clone() })
    }

    async fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        self.evict().await;
        let inner = self.inner.open_processed_resource(key, processor).await?;
        Ok(EvictResource { inner, assets: self.clone() })
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        self.evict().await;
        Ok(EvictResource { inner: self.inner.open_atomic_resource(key).await?, assets: self.clone() })
    }

    async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        let Some(_removal) = self.catalog().begin_removal(key) else {
            return Err(AssetsError::InUse { what: key.to_string() });
        };
        self.inner.remove_resource(key).await
    }

    async fn verify(&self) -> Result<VerifyReport, AssetsError> {
        let report = self.inner.verify().await?;
        self.evict().await;
        Ok(report)
    }

    async fn flush(&self) -> Result<(), AssetsError> {
        self.inner.flush().await
    }

    fn catalog(&self) -> &Arc<Catalog> {
        self.inner.catalog()
    }
}

/// A handle after whose writes the store looks at its limits.
pub struct EvictResource<R, A> {
    inner: R,
    assets: EvictAssets<A>,
}

impl<R, A> EvictResource<R, A> {
    /// The handle of the layer below.
    pub fn inner(&self) -> &R {
        &self.inner
    }
}

impl<R: Clone, A: Clone> Clone for EvictResource<R, A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), assets: self.assets.clone() }
    }
}

impl<R: fmt::Debug, A> fmt::Debug for EvictResource<R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EvictResource").field(&self.inner).finish()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<R: Streaming, A: Assets> Streaming for EvictResource<R, A> {
    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        self.inner.wait_range(range).await
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        self.inner.read_at(offset, buf).await
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.inner.write_at(offset, data).await?;
        self.assets.evict().await;
        Ok(())
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
        self.inner.commit(len).await?;
        self.assets.evict().await;
        Ok(())
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
impl<R: Atomic, A: Assets> Atomic for EvictResource<R, A> {
    async fn read(&self) -> Result<Option<Bytes>, StorageError> {
        self.inner.read().await
    }

    async fn write(&self, content: &[u8]) -> Result<(), StorageError> {
        self.inner.write(content).await?;
        self.assets.evict().await;
        Ok(())
    }

    async fn remove(&self) -> Result<(), StorageError> {
        self.inner.remove().await
    }
}
