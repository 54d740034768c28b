#![doc = include_str!("../README.md")]

mod ahead;
mod download;
mod entity_writer;
mod freshness;
mod media_info;
mod park;
mod poll;
mod prefetch;
mod reader;
mod short;
mod source;
mod stored_entity;
mod sync_reader;
mod writer;

pub use download::{DownloadObserver, DownloadOptions, Downloaded, Target, download_into};
pub use entity_writer::{EntityWriter, Found};
pub use freshness::Freshness;
pub use media_info::MediaInfo;
pub use park::{CancelHandle, ReadStopped};
pub use prefetch::{ByteChunk, BytePrefetchSource, PREFETCH_CHUNK_BYTES, PREFETCH_CHUNKS, PrefetchCommand};
pub use reader::Reader;
pub use source::Source;
pub use stored_entity::StoredEntity;
pub use sync_reader::{PrefetchSettings, SyncReader};
pub use writer::{WriteError, Writer};
