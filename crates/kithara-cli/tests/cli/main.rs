//! The built tool against a scripted origin: what it prints, writes, keeps, asks for and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abr;
mod cache;
mod errors;
mod interrupt;
mod network;
mod output;
mod places;
mod report;
mod tool;
