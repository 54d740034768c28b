#![doc = include_str!("../README.md")]

mod bridge;
mod park;
mod runtime;

pub use bridge::{Bridge, WouldBlock};
pub use park::{block_on, with_thread_waker};
pub use runtime::drives_a_runtime;
