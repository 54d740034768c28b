//! The lock of the board. `tests/model.rs` compiles `board.rs` a second time, with shuttle's mutex under this name.

pub(crate) use parking_lot::{Mutex, MutexGuard};
