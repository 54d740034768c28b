#![doc = include_str!("../README.md")]

pub mod abr;
pub mod playlist;
pub mod sim;
pub mod timeline;

mod adapter;
mod body;
mod data_uri;
mod error;
mod events;
mod fetch;
mod growth;
mod hls;
mod keys;
mod loader;
mod message;
mod meter;
mod options;
mod pcm;
mod playback_rate;
mod playlists;
mod presentation;
mod reader_state;
mod scheduler;
mod segment;
mod shared;

pub use abr::{AbrControl, AbrOptions, AbrPolicyKind, SwitchReason, VariantMode};
pub use adapter::{HlsSourceAdapter, MAX_BUFFERED_CHUNKS};
pub use body::SegmentBody;
pub use error::{Fetching, HlsError};
pub use events::HlsEvent;
pub use hls::{Hls, HlsStream};
pub use message::{Content, Failure, HlsCommand, HlsMessage};
pub use options::{HlsOptions, LiveStart, LookAhead, VariantInfo};
pub use pcm::HlsPcm;
pub use playlist::AudioPreference;
pub use scheduler::HLS_CHUNK_CHANNEL_CAPACITY;
pub use segment::{SAME_TIME, SegmentId, SegmentPlace};
pub use shared::HlsStats;
