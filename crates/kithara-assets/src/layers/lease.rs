//! The outermost layer: what is open stays.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use kithara_storage::{Atomic, RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome, WriteClaim};

use crate::catalog::{Catalog, LeaseGuard, VerifyReport};
use crate::store::EndOfStore;
use crate::{Assets, AssetsError, Processor, ResourceKey};

/// Leases every resource while a handle on it lives, so that no eviction or removal takes it away.
///
/// It has to stand outside of every layer that keeps handles by itself: `Cached(Lease(..))` would lease whatever the
/// cache keeps, and nothing could be evicted.
#[derive(Clone)]
pub struct LeaseAssets<A> {
    inner: A,
    /// Shared by the clones of a whole stack only.
    end: Option<Arc<EndOfStore>>,
}

impl<A> LeaseAssets<A> {
    /// Puts the layer over a store.
    pub fn new(inner: A) -> Self {
        Self { inner, end: None }
    }

    /// The layer of a stack whose indexes are written when its last clone is dropped.
    pub(crate) fn ending(inner: A, end: EndOfStore) -> Self {
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
