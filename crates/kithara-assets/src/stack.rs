//! The default stack.

use std::path::Path;

use crate::catalog::Place;
use crate::layers::cached::CachedAssets;
use crate::layers::evict::EvictAssets;
use crate::layers::lease::{LeaseAssets, LeasedResource};
use crate::processing::{ProcessedResource, ProcessingAssets};
use crate::store::{BaseResource, BaseStore, DiskAssetStore, MemoryAssetStore};
use crate::{AssetSettings, Assets, AssetsError, AssetsExt};

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
        let end = base.end_of_store();
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
