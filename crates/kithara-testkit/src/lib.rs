#![doc = include_str!("../README.md")]

pub mod alloc;
mod clock;
mod host;
pub mod media;
pub mod odd;
mod origin;
pub mod pattern;
pub mod process;
mod proxy;
pub mod signal;
pub mod wav;

pub use clock::HeldClock;
pub use origin::{Content, Control, Counters, Cut, Gate, Gone, Origin, Received, Reply, Resource};
pub use proxy::DelayProxy;
