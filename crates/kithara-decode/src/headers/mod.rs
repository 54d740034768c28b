//! One parser for each header that several containers share.
//!
//! Pure: bytes in, fields out. Which fields a reader believes, and how many headers in a row it asks for, is the reader's
//! decision.

pub(crate) mod adts;
pub(crate) mod flac;
pub(crate) mod mpa;
pub(crate) mod opus;
pub(crate) mod xing;
