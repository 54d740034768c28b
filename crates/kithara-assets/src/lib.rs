#![doc = include_str!("../README.md")]

mod assets;
mod catalog;
mod error;
mod index;
mod key;
mod layers;
mod manifest;
mod processing;
mod stack;
mod store;

pub use assets::{Assets, AssetsExt};
pub use catalog::{
    AssetEvent, AssetInfo, Catalog, IndexStats, LeaseGuard, Place, Removed, ResourceInfo, Rights,
    VerifyReport,
};
pub use error::AssetsError;
pub use key::{KeyFault, KeyPolicy, ResourceKey};
pub use layers::evict::EvictAssets;
pub use layers::{CachedAssets, LeaseAssets, LeasedResource};
pub use manifest::{Completeness, Manifest, Need};
pub use processing::{ChunkProcessor, ProcessError, ProcessedResource, ProcessingAssets, Processor};
pub use stack::{AssetObject, AssetResource, AssetSettings, AssetStore};
pub use store::{BaseAtomic, BaseResource, BaseStore, DiskAssetStore, MemoryAssetStore};
