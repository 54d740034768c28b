#![doc = include_str!("../README.md")]

mod cached_net;
mod download;
mod entity_writer;
mod freshness;
mod media_info;
mod park;
mod poll;
mod prefetch;
mod prefetch_reader;
mod read_buffer;
mod reader;
mod source;
mod stored_entity;
mod sync_reader;
mod writer;

pub use cached_net::{CachedBody, CachedNet, CachedNetBody, Validation};
pub use download::{DownloadObserver, DownloadOptions, Downloaded, Target, download_into};
pub use entity_writer::{EntityWriter, Found};
pub use freshness::Freshness;
pub use media_info::MediaInfo;
pub use park::{CancelHandle, ReadStopped};
pub use prefetch::{
    ByteChunk, BytePrefetchSource, PREFETCH_CHUNK_BYTES, PREFETCH_CHUNKS, PrefetchCommand, PrefetchSettings,
};
pub use reader::Reader;
pub use source::Source;
pub use stored_entity::StoredEntity;
pub use sync_reader::SyncReader;
pub use writer::{WriteError, Writer};
