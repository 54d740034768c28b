//! The default stack and its settings.

use std::path::Path;

use kithara_storage::StorageOptions;

use crate::catalog::{Limits, Place};
use crate::layers::evict::EvictAssets;
use crate::layers::{CachedAssets, LeaseAssets, LeasedResource};
use crate::processing::{ProcessedResource, ProcessingAssets};
use crate::store::{BaseResource, BaseStore, DiskAssetStore, MemoryAssetStore};
use crate::{Assets, AssetsError, AssetsExt};

/// The store that an application opens: files or memory, evicted by use, decrypted on the way, shared and leased.
///
/// The order counts. Leases stand outside of the cache of idle handles, which would otherwise lease for ever what it keeps;
/// processing stands below that cache, so that an encrypted resource opened again finds what was decrypted; and eviction
/// stands next to the files, which tell it when they have grown.
pub type AssetStore = LeaseAssets<CachedAssets<ProcessingAssets<EvictAssets<BaseStore>>>>;

/// A handle on a body in an [`AssetStore`].
pub type AssetResource = <AssetStore as Assets>::Streaming;

/// A handle on a small object in an [`AssetStore`].
pub type AssetObject = <AssetStore as Assets>::Atomic;

impl AssetStore {
    /// A store in a folder, which is made if need be.
    ///
    /// With a sound index this is one read of it. A second process on the same folder gets a store too: as a guest, see
    /// [`Rights`](crate::Rights). So does whoever may only read the folder: look at
    /// [`trouble`](AssetsExt::trouble), or open with [`disk_or_memory`](Self::disk_or_memory).
    ///
    /// # Errors
    /// [`AssetsError::Folder`] when the folder cannot be made or not even read.
    pub fn disk(path: impl AsRef<Path>, settings: AssetSettings) -> Result<Self, AssetsError> {
        Ok(Self::stack(BaseStore::Disk(DiskAssetStore::open(path, &settings)?), &settings))
    }

    /// A store in memory. It ends with its last handle.
    #[must_use]
    pub fn memory(settings: AssetSettings) -> Self {
        Self::stack(BaseStore::Memory(MemoryAssetStore::new(&settings)), &settings)
    }

    /// A store in a folder, or in memory where there can be none; then, or if the folder can only be read, with the error,
    /// for the application to show. Playback goes on in any case.
    #[must_use]
    pub fn disk_or_memory(path: impl AsRef<Path>, settings: AssetSettings) -> (Self, Option<AssetsError>) {
        match Self::disk(path, settings.clone()) {
            Ok(store) => {
                let trouble = store.trouble();
                (store, trouble)
            }
            Err(error) => {
                let store = Self::memory(settings);
                store.catalog().note_trouble(&error);
                (store, Some(error))
            }
        }
    }

    fn stack(base: BaseStore, settings: &AssetSettings) -> Self {
        let end = base.flush_on_drop();
        let evict = EvictAssets::new(base);
        let processing = ProcessingAssets::new(evict, settings.processed_window);
        LeaseAssets::ending(CachedAssets::new(processing, settings.idle_handles), end)
    }

    /// Ends the store in good order: lets go of idle handles and writes the indexes. Dropping the last clone does the same,
    /// without telling whether it worked.
    ///
    /// # Errors
    /// [`AssetsError::Folder`] when an index could not be written.
    pub async fn shutdown(self) -> Result<(), AssetsError> {
        self.inner().close_idle();
        self.flush().await
    }
}

impl LeasedResource<ProcessedResource<BaseResource>> {
    /// The resource as it is stored, under the same lease: what the downloader writes to when this handle decrypts.
    #[must_use]
    pub fn raw(&self) -> Self {
        self.with(self.inner().raw())
    }

    /// Whether this handle decrypts.
    #[must_use]
    pub fn is_processed(&self) -> bool {
        self.inner().is_processed()
    }

    /// Where the bytes are: [`Place::Memory`] in a disk store means that the disk could not take them.
    #[must_use]
    pub fn place(&self) -> Place {
        self.inner().inner().place()
    }
}

/// How an asset store behaves. Start from [`AssetSettings::default`] and set what differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AssetSettings {
    /// Bytes that a disk store keeps in its folder. Default 1 GiB; `None`: no limit. A limit bends for what is pinned, leased
    /// or being written, all of which count.
    pub max_bytes: Option<u64>,
    /// Assets that a store keeps. Default `None`: no limit. Whole assets are evicted for it.
    pub max_assets: Option<usize>,
    /// Resources that a store keeps. Default `None`: no limit.
    pub max_resources: Option<usize>,
    /// Bytes kept in memory: by a memory store (together with `max_bytes`: the smaller counts), and by a disk store for
    /// what its folder could not take. Default 8 MiB. Use at least two segments; open resources are kept in any case.
    pub max_memory_bytes: u64,
    /// Bytes that one resource may have in this store. Default `None`: of a body of declared length, that length, and in memory at
    /// most 1 GiB; of one without, [`max_bytes`](Self::max_bytes) in a folder, and the larger of
    /// [`max_memory_bytes`](Self::max_memory_bytes) and 256 MiB in memory. A write beyond is an error
    /// (`StorageError::TooLarge`), so that a body without an end neither fills the memory nor passes the limit of a folder.
    pub max_resource_bytes: Option<u64>,
    /// Handles kept open after their last user is gone, so that the next open costs no system call. Default 5. Each is one
    /// file descriptor in a disk store; a memory store keeps none.
    pub idle_handles: usize,
    /// Decrypted bytes kept per open encrypted resource, so that readers side by side share one decryption. Default 256 KiB.
    /// A reader further behind than that decrypts again.
    pub processed_window: usize,
    /// How the disk storage notes what an unfinished resource has.
    pub storage: StorageOptions,
}

impl Default for AssetSettings {
    fn default() -> Self {
        Self {
            max_bytes: Some(1 << 30),
            max_assets: None,
            max_resources: None,
            max_memory_bytes: 8 << 20,
            max_resource_bytes: None,
            idle_handles: 5,
            processed_window: 256 << 10,
            storage: StorageOptions::default(),
        }
    }
}

impl AssetSettings {
    /// Sets [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_bytes = bytes.into();
        self
    }

    /// Sets [`max_assets`](Self::max_assets).
    #[must_use]
    pub fn with_max_assets(mut self, assets: impl Into<Option<usize>>) -> Self {
        self.max_assets = assets.into();
        self
    }

    /// Sets [`max_resources`](Self::max_resources).
    #[must_use]
    pub fn with_max_resources(mut self, resources: impl Into<Option<usize>>) -> Self {
        self.max_resources = resources.into();
        self
    }

    /// Sets [`max_memory_bytes`](Self::max_memory_bytes).
    #[must_use]
    pub fn with_max_memory_bytes(mut self, bytes: u64) -> Self {
        self.max_memory_bytes = bytes;
        self
    }

    /// Sets [`max_resource_bytes`](Self::max_resource_bytes).
    #[must_use]
    pub fn with_max_resource_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_resource_bytes = bytes.into();
        self
    }

    /// Sets [`idle_handles`](Self::idle_handles).
    #[must_use]
    pub fn with_idle_handles(mut self, handles: usize) -> Self {
        self.idle_handles = handles;
        self
    }

    /// Sets [`processed_window`](Self::processed_window).
    #[must_use]
    pub fn with_processed_window(mut self, bytes: usize) -> Self {
        self.processed_window = bytes;
        self
    }

    pub(crate) fn disk_limits(&self) -> Limits {
        Limits {
            disk_bytes: self.max_bytes,
            memory_bytes: Some(self.max_memory_bytes),
            resource_bytes: self.max_resource_bytes,
            assets: self.max_assets,
            resources: self.max_resources,
        }
    }

    pub(crate) fn memory_limits(&self) -> Limits {
        let bytes = self.max_bytes.map_or(self.max_memory_bytes, |bytes| bytes.min(self.max_memory_bytes));
        Limits {
            disk_bytes: None,
            memory_bytes: Some(bytes),
            resource_bytes: self.max_resource_bytes,
            assets: self.max_assets,
            resources: self.max_resources,
        }
    }
}
