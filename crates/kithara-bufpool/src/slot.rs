//! [`Slot`]: one shard of a pool, to which its values return.

use std::sync::Arc;
#[cfg(feature = "counters")]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Poolable;
use crate::shard::{Limits, Shard};

/// A shard and, on request, its counters. Values point to their own slot rather than to the pool, so that the threads do
/// not meet at one reference count.
pub(crate) struct Slot<T> {
    pub(crate) shard: Shard<T>,
    #[cfg(feature = "counters")]
    pub(crate) counters: Counters,
}

#[cfg(feature = "counters")]
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) steals: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl<T: Poolable> Slot<T> {
    #[cold]
    pub(crate) fn new(limits: &Arc<Limits>) -> Arc<Self> {
        Arc::new(Self {
            shard: Shard::new(Arc::clone(limits)),
            #[cfg(feature = "counters")]
            counters: Counters::default(),
        })
    }

    /// Takes a used value back: empty, of acceptable size, and only within the limits.
    #[inline]
    pub(crate) fn put_back(&self, mut value: T) {
        if value.retained_bytes() == 0 {
            return;
        }
        value.reset();
        let trim = self.shard.trim_bytes();
        let mut bytes = value.retained_bytes();
        if bytes > trim {
            value.shrink(trim);
            bytes = value.retained_bytes();
        }
        let refused = if bytes == 0 || bytes > trim { Some(value) } else { self.shard.put(value, bytes) };
        #[cfg(feature = "counters")]
        if refused.is_some() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(refused);
    }
}

#[cfg(feature = "counters")]
impl Counters {
    pub(crate) fn count(&self, hit: bool, stolen: bool) {
        let counter = if hit { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        if hit && stolen {
            self.steals.fetch_add(1, Ordering::Relaxed);
        }
    }
}
