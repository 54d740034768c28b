//! Keeps a store within its limits.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::catalog::{AssetEvent, Catalog, GrowthObserver, VerifyReport};
use crate::{Assets, AssetsError, Processor, ResourceKey};

/// Evicts what was not used for longest when a limit is exceeded: the least recently used asset first, and of it the least
/// recently used resource. Never what is pinned, leased or being written. Files go before the catalog forgets them.
///
/// The store below calls it when a resource has grown beyond a limit, and it looks at each open; there is no task of its own.
/// Pinned, leased and in-progress entries may exceed a limit, and are evicted by the next look after their lease has ended.
/// Handles are those of the layer below, and do not keep this one: they may outlive it, and then nothing evicts.
#[derive(Clone)]
pub struct EvictAssets<A> {
    evictor: Arc<Evictor<A>>,
}

struct Evictor<A> {
    inner: A,
    /// One at a time: others need not wait for it.
    running: AtomicBool,
    /// The catalog's count of free_epoch at which no victim was found, plus one.
    no_victim_epoch: AtomicU64,
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
        let (running, no_victim_epoch) = (AtomicBool::new(false), AtomicU64::new(0));
        let evictor = Arc::new(Evictor { inner, running, no_victim_epoch });
        let observer: Arc<dyn GrowthObserver> = evictor.clone();
        evictor.inner.catalog().observe_growth(Arc::downgrade(&observer));
        Self { evictor }
    }
}

impl<A> EvictAssets<A> {
    /// The store below.
    pub fn inner(&self) -> &A {
        &self.evictor.inner
    }
}

impl<A: Assets> GrowthObserver for Evictor<A> {
    fn make_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.evict())
    }
}

impl<A: Assets> Evictor<A> {
    /// Evicts until the limits are kept, or no victim is left.
    async fn evict(&self) {
        let catalog = self.inner.catalog();
        let Some(mut overflow) = catalog.overflow() else { return };
        if catalog.free_epoch() + 1 == self.no_victim_epoch.load(Ordering::Relaxed)
            || self.running.swap(true, Ordering::Acquire)
        {
            return;
        }
        let _running = Running(&self.running);
        let mut skip = HashSet::new();
        loop {
            let free_epoch = catalog.free_epoch();
            let Some(removal) = catalog.begin_eviction(overflow, &skip) else {
                self.no_victim_epoch.store(free_epoch + 1, Ordering::Relaxed);
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

impl<A: fmt::Display> fmt::Debug for EvictAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: fmt::Display> fmt::Display for EvictAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evict({})", self.evictor.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Assets> Assets for EvictAssets<A> {
    type Streaming = A::Streaming;
    type Atomic = A::Atomic;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        self.evictor.evict().await;
        self.inner().open_streaming_resource(key).await
    }

    async fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        self.evictor.evict().await;
        self.inner().open_processed_resource(key, processor).await
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        self.evictor.evict().await;
        self.inner().open_atomic_resource(key).await
    }

    async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        let Some(_removal) = self.catalog().begin_removal(key) else {
            return Err(AssetsError::InUse { what: key.to_string() });
        };
        self.inner().remove_resource(key).await
    }

    async fn verify(&self) -> Result<VerifyReport, AssetsError> {
        let report = self.inner().verify().await?;
        self.evictor.evict().await;
        Ok(report)
    }

    async fn flush(&self) -> Result<(), AssetsError> {
        self.inner().flush().await
    }

    fn catalog(&self) -> &Arc<Catalog> {
        self.inner().catalog()
    }
}
