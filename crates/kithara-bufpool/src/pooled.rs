use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use bytes::Bytes;

use crate::Poolable;
use crate::slot::Slot;

/// A pooled buffer of bytes.
pub type PooledBytes = Pooled<32, Vec<u8>>;
/// A pooled buffer of samples.
pub type PooledSamples = Pooled<32, Vec<f32>>;

/// A value on loan from a [`SharedPool`](crate::SharedPool): use it like the value itself; dropping it returns it.
pub struct Pooled<const SHARDS: usize, T: Poolable> {
    value: T,
    home: Arc<Slot<T>>,
}

impl<const SHARDS: usize, T: Poolable> Pooled<SHARDS, T> {
    #[inline]
    pub(crate) fn new(value: T, home: Arc<Slot<T>>) -> Self {
        Self { value, home }
    }

    /// The value for good: it leaves the pool.
    #[must_use]
    pub fn into_inner(mut self) -> T {
        std::mem::take(&mut self.value)
    }
}

impl<const SHARDS: usize> Pooled<SHARDS, Vec<u8>> {
    /// The bytes as shareable, immutable [`Bytes`], without a copy. The buffer returns to its pool when the last clone or
    /// slice of them is dropped. Costs one small allocation (the shared count).
    #[must_use]
    pub fn freeze(self) -> Bytes {
        if self.value.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl<const SHARDS: usize, T: Poolable> Drop for Pooled<SHARDS, T> {
    #[inline]
    fn drop(&mut self) {
        self.home.put_back(std::mem::take(&mut self.value));
    }
}

impl<const SHARDS: usize, T: Poolable> Deref for Pooled<SHARDS, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<const SHARDS: usize, T: Poolable> DerefMut for Pooled<SHARDS, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<const SHARDS: usize, T: Poolable + AsRef<U>, U: ?Sized> AsRef<U> for Pooled<SHARDS, T> {
    fn as_ref(&self) -> &U {
        self.value.as_ref()
    }
}

impl<const SHARDS: usize, T: Poolable + fmt::Debug> fmt::Debug for Pooled<SHARDS, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
