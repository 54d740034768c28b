//! The synchronisation primitives of the pool.
//!
//! The model checks in `tests/model.rs` compile `shard.rs` and `limit.rs` a second time against a module of this name
//! that is made of shuttle's primitives; so those two files take everything that synchronises from here.

pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
