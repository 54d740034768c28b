//! What the fuzz targets do with their bytes: no panic, no endless loop, no memory beyond bounds, and the invariants that
//! each parser promises.
//!
//! The parsers are pure, so they are included by path: a target builds in seconds although everything is instrumented, and
//! reaches the private ones without a door in their crates. Files of whole containers and index files
//! go through the crates themselves.

#![allow(dead_code, unused_imports, missing_docs)]

// The playlist parser takes one pure type from `kithara-net`, which stands here.
extern crate self as kithara_net;

#[path = "../../crates/kithara-decode/src/demux/mod.rs"]
pub mod demux_parsers;
pub(crate) use demux_parsers as demux;
#[path = "../../crates/kithara-decode/src/headers/mod.rs"]
mod headers;
#[path = "../../crates/kithara-decode/src/rescale.rs"]
mod rescale;
#[path = "../../crates/kithara-hls/src/playlist/mod.rs"]
pub mod playlists;
#[path = "../../crates/kithara-net/src/redact.rs"]
mod redact;
mod decoding;
mod demuxing;
mod indexing;
mod media;
mod playing;

pub use demux_parsers::Container;
pub use decoding::aac;
pub use demuxing::{demux, id3, mp4_file};
pub use indexing::index_frame;
pub use media::media;
pub use playing::playlist;
pub use redact::RedactedUrl;
