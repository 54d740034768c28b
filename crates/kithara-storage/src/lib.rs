#![doc = include_str!("../README.md")]

mod atomic;
mod block_on;
mod claim;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod disk;
mod error;
mod ext;
pub mod fs;
mod memory;
mod options;
#[cfg(any(test, feature = "random-access"))]
mod random_access;
mod range_set;
mod range_tracker;
mod replace;
mod resource;
mod spawn_blocking;
mod streaming;
mod sync;
#[cfg(test)]
mod tests;

pub use atomic::{Atomic, AtomicResource};
pub use claim::{ReleaseClaim, WriteClaim};
pub use disk::{MAP_SUFFIX, NEW_SUFFIXES, PART_SUFFIX, SUMS_SUFFIX, has_sums};
pub use error::StorageError;
pub use ext::StreamingExt;
pub use kithara_blocking::block_on;
pub use options::StorageOptions;
pub use range_set::RangeSet;
pub use resource::StreamingResource;
pub use streaming::{ResourceStatus, Streaming, WaitOutcome};
