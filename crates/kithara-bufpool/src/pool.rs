use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::limit::Limit;
use crate::pooled::Pooled;
use crate::shard::Limits;
use crate::slot::Slot;
use crate::{PoolSettings, Poolable};

/// Bytes on their way through the layers: network, storage, demuxers.
pub type BytePool = SharedPool<32, Vec<u8>>;
/// Interleaved samples on their way out of the decoder.
pub type SamplePool = SharedPool<32, Vec<f32>>;

/// A pool of values that are expensive to make and cheap to use again, shared by cloning (an `Arc`).
///
/// A thread works on one of `SHARDS` stacks. A value remembers the shard that it was taken from and returns there, whoever
/// drops it: a thread that fills buffers for another one finds them again. An empty shard looks into the others before it
/// makes a new value.
///
/// There is no hidden global pool: whoever wants to share one passes it on.
///
/// A shard is made when a thread first takes from it: a pool that one thread works with costs one, not `SHARDS`.
pub struct SharedPool<const SHARDS: usize, T: Poolable> {
    inner: Arc<Inner<SHARDS, T>>,
}

struct Inner<const SHARDS: usize, T> {
    shards: [OnceLock<Arc<Slot<T>>>; SHARDS],
    limits: Arc<Limits>,
}

impl<const SHARDS: usize, T: Poolable> SharedPool<SHARDS, T> {
    const HAS_SHARDS: () = assert!(SHARDS > 0, "a pool needs at least one shard");

    /// An empty pool with these limits.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Self {
        let () = Self::HAS_SHARDS;
        let limits = Arc::new(Limits {
            buffers: Limit::new(settings.max_buffers, SHARDS),
            bytes: Limit::new(settings.retained_budget_bytes, SHARDS),
            trim_bytes: settings.trim_bytes,
        });
        Self { inner: Arc::new(Inner { shards: [const { OnceLock::new() }; SHARDS], limits }) }
    }

    /// An empty value: one that was used before, else a new `T::default()`.
    #[inline]
    #[must_use]
    pub fn get(&self) -> Pooled<SHARDS, T> {
        let home = thread_number() % SHARDS;
        let slot = self.inner.shards[home].get_or_init(|| Slot::new(&self.inner.limits));
        let own = slot.shard.take();
        #[cfg(feature = "counters")]
        let stolen = own.is_none();
        let value = own.or_else(|| self.steal(home));
        #[cfg(feature = "counters")]
        slot.counters.count(value.is_some(), stolen);
        Pooled::new(value.unwrap_or_default(), Arc::clone(slot))
    }

    /// As [`get`](Self::get), and lets `init` prepare the value (reserve, resize, fill).
    #[inline]
    #[must_use]
    pub fn get_with(&self, init: impl FnOnce(&mut T)) -> Pooled<SHARDS, T> {
        let mut value = self.get();
        init(&mut value);
        value
    }

    /// Bytes that rest in the pool now. Locks the shards one after the other.
    #[must_use]
    pub fn retained_bytes(&self) -> usize {
        self.slots().map(|slot| slot.shard.retained_bytes()).sum()
    }

    /// Frees everything that rests in the pool. Values in use return as ever.
    pub fn clear(&self) {
        for slot in self.slots() {
            while slot.shard.take().is_some() {}
        }
    }

    /// What happened so far, summed over the shards (feature `counters`).
    #[cfg(feature = "counters")]
    #[must_use]
    pub fn stats(&self) -> crate::PoolStats {
        let mut sum = crate::PoolStats::default();
        for counters in self.slots().map(|slot| &slot.counters) {
            sum.hits += counters.hits.load(Ordering::Relaxed);
            sum.misses += counters.misses.load(Ordering::Relaxed);
            sum.steals += counters.steals.load(Ordering::Relaxed);
            sum.dropped += counters.dropped.load(Ordering::Relaxed);
        }
        sum
    }

    #[cold]
    fn steal(&self, home: usize) -> Option<T> {
        let mut others = (1..SHARDS).filter_map(|step| self.inner.shards[(home + step) % SHARDS].get());
        others.find_map(|slot| slot.shard.steal())
    }

    /// Those that were ever used.
    fn slots(&self) -> impl Iterator<Item = &Arc<Slot<T>>> {
        self.inner.shards.iter().filter_map(OnceLock::get)
    }
}

impl<const SHARDS: usize, T: Poolable> Clone for SharedPool<SHARDS, T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<const SHARDS: usize, T: Poolable> Default for SharedPool<SHARDS, T> {
    fn default() -> Self {
        Self::new(PoolSettings::default())
    }
}

impl<const SHARDS: usize, T: Poolable> fmt::Debug for SharedPool<SHARDS, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPool")
            .field("shards", &SHARDS)
            .field("retained_bytes", &self.retained_bytes())
            .finish()
    }
}

/// Numbers the threads in the order of their first `get`, so that the first `SHARDS` of them never share a shard.
#[inline]
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    thread_local! { static NUMBER: Cell<usize> = const { Cell::new(0) }; }
    match NUMBER.get() {
        0 => {
            let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
            NUMBER.set(fresh);
            fresh
        }
        known => known,
    }
}
