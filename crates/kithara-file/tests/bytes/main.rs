//! The download engine at the level of bytes, against a server in memory, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bed;
mod cache;
mod endless;
mod faults;
mod moves;
mod pace;
mod schedules;
mod servers;
