//! The embedded media: every fixture's bytes, and what its decode must give.
//!
//! `media/make.sh` synthesises, encodes, packages and decodes all of it (see there); the results are committed, so
//! nothing here needs a tool or a network. [`all`] lists the fixtures; [`Fixture::reference`] checks a decode.

#[rustfmt::skip]
mod embedded;
mod fixture;
mod reference;

pub use fixture::{Fixture, Folder, Kind, all, content_type, file, find, folder, hls_aac4, hls_aac6};
pub use reference::{MaxError, Mismatch, Reference};
