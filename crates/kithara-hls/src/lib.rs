#![doc = include_str!("../README.md")]

pub mod abr;
pub mod playlist;
pub mod timeline;

mod body;
mod error;
mod events;
mod fetch;
mod growth;
mod hls;
mod keys;
mod message;
mod meter;
mod options;
mod pace;
mod pcm;
mod playlists;
mod shared;
mod worker;

pub use abr::{AbrControl, AbrOptions, AbrPolicyKind, SwitchReason, VariantMode};
pub use body::SegmentBody;
pub use error::{Fetching, HlsError};
pub use events::HlsEvent;
pub use hls::{Hls, HlsStream};
pub use message::{Content, Failure, HlsCommand, HlsMessage, SegmentPlace};
pub use options::{HlsOptions, LookAhead, VariantInfo};
pub use pcm::HlsPcm;
pub use playlist::AudioPreference;
pub use shared::HlsStats;
pub use worker::{HLS_CHUNK_CHANNEL_CAPACITY, HlsSourceAdapter, MAX_BUFFERED_CHUNKS};
