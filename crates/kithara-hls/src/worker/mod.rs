//! The two ends of the chunk channel: the planner that fills it, and the adapter that the decoder reads from.

mod adapter;
mod compose;
mod foresight;
mod init;
mod pace;
mod plan;
mod remedies;
mod room;
mod source;

pub use adapter::{HlsSourceAdapter, MAX_BUFFERED_CHUNKS};
pub use source::HLS_CHUNK_CHANNEL_CAPACITY;
pub(crate) use source::{HlsWorkerSource, Parts};
