//! The innermost stores: a folder, or memory.

mod backing;
mod entry;
mod files;
mod folder;
mod resource;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::backing::FlushOnDrop;
use self::backing::StoreInner;
pub use self::resource::{BaseAtomic, BaseResource};
use crate::catalog::{Catalog, VerifyReport};
use crate::{AssetSettings, Assets, AssetsError, Processor, ResourceKey};

/// Keeps resources as files below a folder.
///
/// What the folder cannot take (it is full, read-only, or another process is writing that very resource) is kept in
/// memory, so that whoever downloads and plays it does not notice; `trouble` and an event tell the application.
/// The folder belongs to the store: files in it with names that the store could have given are taken for its own.
///
/// Two stores of one process on one folder share everything; the limits of the later one count.
#[derive(Clone)]
pub struct DiskAssetStore(Arc<StoreInner>);

/// Keeps resources in memory, as far as a limit allows.
#[derive(Clone)]
pub struct MemoryAssetStore(Arc<StoreInner>);

/// A [`DiskAssetStore`] or a [`MemoryAssetStore`], chosen at run time.
#[derive(Clone)]
pub enum BaseStore {
    /// Files.
    Disk(DiskAssetStore),
    /// Memory.
    Memory(MemoryAssetStore),
}

impl DiskAssetStore {
    /// Opens a folder; makes it if need be. With a sound index that is one read of it, and no look at the resources.
    ///
    /// A folder that another process owns is opened as a guest, one that cannot be written read-only: see
    /// [`Rights`](crate::Rights).
    ///
    /// # Errors
    /// [`AssetsError::Folder`] when the folder cannot be made or not even read.
    pub fn open(path: impl AsRef<Path>, settings: &AssetSettings) -> Result<Self, AssetsError> {
        StoreInner::disk(path.as_ref(), settings).map(Self)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.folder().map_or(Path::new(""), |folder| &folder.path)
    }

    fn backing(&self) -> &Arc<StoreInner> {
        &self.0
    }
}

impl MemoryAssetStore {
    /// An empty store.
    #[must_use]
    pub fn new(settings: &AssetSettings) -> Self {
        Self(StoreInner::memory(settings))
    }

    fn backing(&self) -> &Arc<StoreInner> {
        &self.0
    }
}

impl BaseStore {
    fn backing(&self) -> &Arc<StoreInner> {
        match self {
            Self::Disk(store) => store.backing(),
            Self::Memory(store) => store.backing(),
        }
    }

    pub(crate) fn flush_on_drop(&self) -> FlushOnDrop {
        FlushOnDrop::new(self.backing().clone())
    }
}

impl fmt::Display for DiskAssetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({})", self.path().display())
    }
}

impl fmt::Display for MemoryAssetStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl fmt::Display for BaseStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(store) => store.fmt(f),
            Self::Memory(store) => store.fmt(f),
        }
    }
}

macro_rules! assets_of_backing {
    ($store:ty) => {
        impl fmt::Debug for $store {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl Assets for $store {
            type Streaming = BaseResource;
            type Atomic = BaseAtomic;

            async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<BaseResource, AssetsError> {
                self.backing().open(key).await
            }

            async fn open_processed_resource(
                &self,
                _: &ResourceKey,
                _: Processor,
            ) -> Result<BaseResource, AssetsError> {
                Err(AssetsError::NoProcessing)
            }

            async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<BaseAtomic, AssetsError> {
                self.backing().catalog().touch(key);
                Ok(BaseAtomic::new(self.backing().clone(), key.clone()))
            }

            async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
                self.backing().remove(key).await
            }

            async fn verify(&self) -> Result<VerifyReport, AssetsError> {
                self.backing().verify().await
            }

            async fn flush(&self) -> Result<(), AssetsError> {
                self.backing().flush().await
            }

            fn catalog(&self) -> &Arc<Catalog> {
                self.backing().catalog()
            }
        }
    };
}

assets_of_backing!(DiskAssetStore);
assets_of_backing!(MemoryAssetStore);
assets_of_backing!(BaseStore);
