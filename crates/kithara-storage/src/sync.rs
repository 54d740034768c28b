//! The lock of the tracker. `tests/model.rs` compiles `range_tracker.rs` a second time, with shuttle's mutex under this name.

pub(crate) use parking_lot::{Mutex, MutexGuard};
