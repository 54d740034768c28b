// Where the README's links lead from here: the first definition counts.
//! [`kithara-play`]: https://docs.rs/kithara-play
//! [`kithara-hls`]: hls
//! [`kithara-file`]: mod@file
//! [`kithara-decode`]: decode
//! [`kithara-stream`]: stream
//! [`kithara-net`]: net
//! [`kithara-assets`]: assets
//! [`kithara-worker`]: worker
//! [`kithara-storage`]: storage
//! [`kithara-bufpool`]: bufpool
//! [`examples/hls_decode.rs`]: https://docs.rs/crate/kithara/latest/source/examples/hls_decode.rs
//! [`examples/file_decode.rs`]: https://docs.rs/crate/kithara/latest/source/examples/file_decode.rs
//! [`docs/performance.md`]: https://docs.rs/crate/kithara/latest/source/docs/performance.md
//! [`ARCHITECTURE.md`]: https://docs.rs/crate/kithara/latest/source/ARCHITECTURE.md
//!
#![doc = include_str!("../README.md")]

pub mod blocking;

mod error;
mod events;
mod handle;
mod lists;
mod local;
mod open;
mod opened;
mod options;

pub use error::Error;
pub use events::{StreamEvent, StreamState};
pub use handle::StreamHandle;
pub use open::open_target as open;
pub use opened::{Stream, StreamStats};
pub use options::Options;

pub use kithara_assets as assets;
pub use kithara_bufpool as bufpool;
pub use kithara_decode as decode;
pub use kithara_file as file;
pub use kithara_hls as hls;
pub use kithara_net as net;
pub use kithara_storage as storage;
pub use kithara_stream as stream;
pub use kithara_worker as worker;
