#![doc = include_str!("../README.md")]

mod limit;
mod pool;
mod poolable;
mod pooled;
mod settings;
mod shard;
mod slot;
mod sync;

pub use pool::{BytePool, SamplePool, SharedPool};
pub use poolable::Poolable;
pub use pooled::{Pooled, PooledBytes, PooledSamples};
pub use settings::PoolSettings;
#[cfg(feature = "counters")]
pub use settings::PoolStats;
