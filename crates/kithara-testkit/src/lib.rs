#![doc = include_str!("../README.md")]

mod host;
pub mod media;
mod origin;
pub mod pattern;

pub use origin::{Content, Control, Counters, Cut, Gate, Gone, Origin, Received, Reply, Resource};
