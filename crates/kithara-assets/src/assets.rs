//! The trait that every store and every layer implements, and the conveniences over it.

use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;

use kithara_storage::{Atomic, Streaming};
use tokio::sync::broadcast;

use crate::catalog::{
    AssetEvent, AssetInfo, Catalog, IndexStats, LeaseGuard, Removed, ResourceInfo, Rights, VerifyReport,
};
use crate::manifest::{self, Completeness, Manifest};
use crate::{AssetsError, Processor, ResourceKey};

/// Resources by key.
///
/// Two opens of one key give handles on one underlying resource: readers share a download, and whoever holds its
/// `claim` writes. Opening creates nothing on disk and writes no index. Every future may be dropped at any await.
///
/// # A store of your own
/// The traits of `kithara-storage` are implemented by its resources, so that a map is a store. Layers go over it as over any other
/// (`ProcessingAssets` decrypts), and protocols take it for their `assets`.
/// ```
/// # use std::{collections::HashMap, fmt, sync::{Arc, Mutex}};
/// # use kithara_assets::{Assets, AssetsError, Catalog, Processor, ResourceKey, VerifyReport};
/// # use kithara_storage::{AtomicResource, Streaming, StreamingResource};
/// #[derive(Clone, Default)]
/// struct MapAssets {
///     catalog: Arc<Catalog>,
///     bodies: Arc<Mutex<HashMap<ResourceKey, StreamingResource>>>,
///     objects: Arc<Mutex<HashMap<ResourceKey, AtomicResource>>>,
/// }
/// # impl fmt::Display for MapAssets {
/// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str("Map") }
/// # }
///
/// impl Assets for MapAssets {
///     type Streaming = StreamingResource;
///     type Atomic = AtomicResource;
///
///     async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<StreamingResource, AssetsError> {
///         let mut bodies = self.bodies.lock().unwrap();
///         Ok(bodies.entry(key.clone()).or_insert_with(StreamingResource::memory).clone())
///     }
///
///     async fn open_processed_resource(
///         &self, _: &ResourceKey, _: Processor,
///     ) -> Result<StreamingResource, AssetsError> {
///         Err(AssetsError::NoProcessing)
///     }
///
///     async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<AtomicResource, AssetsError> {
///         let mut objects = self.objects.lock().unwrap();
///         Ok(objects.entry(key.clone()).or_insert_with(AtomicResource::memory).clone())
///     }
///
///     async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
///         self.objects.lock().unwrap().remove(key);
///         let body = self.bodies.lock().unwrap().remove(key);
///         Ok(body.map_or(0, |body| body.available().covered()))
///     }
///
///     async fn verify(&self) -> Result<VerifyReport, AssetsError> { Ok(VerifyReport::default()) }
///     async fn flush(&self) -> Result<(), AssetsError> { Ok(()) }
///     fn catalog(&self) -> &Arc<Catalog> { &self.catalog }
/// }
/// ```
///
/// `Display` prints the stack, from the outside in. The trait has no default methods, so that a decorator has to decide
/// about each of them.
pub trait Assets: Clone + Display + Send + Sync + 'static {
    /// Handles on bodies that are read while they arrive.
    type Streaming: Streaming;
    /// Handles on small objects that are read and replaced as a whole.
    type Atomic: Atomic;

    /// A handle on the resource, which need not exist yet: see its `status`.
    ///
    /// # Errors
    /// [`AssetsError::Storage`]. Trouble with writing to the folder is no error here: the resource then is in memory.
    fn open_streaming_resource(
        &self,
        key: &ResourceKey,
    ) -> impl Future<Output = Result<Self::Streaming, AssetsError>> + Send;

    /// A handle that reads the output of `processor`, chunk by chunk while the resource arrives.
    ///
    /// # Errors
    /// As [`open_streaming_resource`](Self::open_streaming_resource); [`AssetsError::NoProcessing`] from a layer below
    /// the one that processes.
    fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> impl Future<Output = Result<Self::Streaming, AssetsError>> + Send;

    /// A handle on a small object, which need not exist yet.
    ///
    /// # Errors
    /// [`AssetsError::Storage`].
    fn open_atomic_resource(
        &self,
        key: &ResourceKey,
    ) -> impl Future<Output = Result<Self::Atomic, AssetsError>> + Send;

    /// Removes a resource, finished or not. Fine if there is none. Returns its bytes.
    ///
    /// # Errors
    /// [`AssetsError::InUse`] while it is leased or being written; [`AssetsError::OwnedElsewhere`] and
    /// [`AssetsError::Folder`] where the store may not remove files ([`Rights`]).
    fn remove_resource(&self, key: &ResourceKey) -> impl Future<Output = Result<u64, AssetsError>> + Send;

    /// Compares what the store knows with what its folder holds, and puts the difference right. Reads the whole folder
    /// (names and sizes): for a settings screen or after a suspicion, not for every start.
    ///
    /// # Errors
    /// [`AssetsError::Folder`].
    fn verify(&self) -> impl Future<Output = Result<VerifyReport, AssetsError>> + Send;

    /// Writes to the indexes what they do not say yet. Otherwise that happens after 1 s or 10 changes, and when the last
    /// handle on the store is dropped.
    ///
    /// # Errors
    /// [`AssetsError::Folder`]; the changes are kept for the next attempt.
    fn flush(&self) -> impl Future<Output = Result<(), AssetsError>> + Send;

    /// The catalog that the layers of the stack share.
    fn catalog(&self) -> &Arc<Catalog>;
}

/// Conveniences over [`Assets`], for every stack.
pub trait AssetsExt: Assets {
    /// Everything the store holds, by asset, in the order of names. Reads nothing from disk.
    fn list(&self) -> Vec<AssetInfo> {
        self.catalog().list()
    }

    /// The resources of an asset in the order of their paths; none if there is no such asset.
    fn list_resources(&self, asset_root: &str) -> Vec<ResourceInfo> {
        self.catalog().list_resources(asset_root)
    }

    /// The catalog's entry of a resource; `None` if no byte of it is stored.
    fn find(&self, key: &ResourceKey) -> Option<ResourceInfo> {
        self.catalog().find(key)
    }

    /// Bytes that the store holds, on disk and in memory.
    fn size(&self) -> u64 {
        self.catalog().size()
    }

    /// Keeps an asset for good, over restarts too: it is never evicted until [`unpin`](Self::unpin). It need not be there
    /// yet. `Ok(true)` if it was not pinned. On disk with the next flush: call [`flush`](Assets::flush) to be sure.
    ///
    /// # Errors
    /// [`AssetsError::InvalidKey`].
    fn pin(&self, asset_root: &str) -> Result<bool, AssetsError> {
        self.catalog().set_pin(asset_root, true)
    }

    /// Ends a [`pin`](Self::pin). `Ok(true)` if there was one.
    ///
    /// # Errors
    /// [`AssetsError::InvalidKey`].
    fn unpin(&self, asset_root: &str) -> Result<bool, AssetsError> {
        self.catalog().set_pin(asset_root, false)
    }

    /// The pinned assets in the order of names.
    fn pins(&self) -> Vec<String> {
        self.catalog().pins()
    }

    /// Keeps a whole asset from being evicted or removed while the guard lives. (An open handle does so for its resource.)
    ///
    /// # Errors
    /// [`AssetsError::InvalidKey`].
    fn lease_asset(&self, asset_root: &str) -> Result<LeaseGuard, AssetsError> {
        self.catalog().lease_asset(asset_root)
    }

    /// Removes an asset, pinned or not; its pin goes with it. What is in use stays and is counted.
    ///
    /// # Errors
    /// As [`remove_resource`](Assets::remove_resource), but for [`AssetsError::InUse`].
    fn remove_asset(&self, asset_root: &str) -> impl Future<Output = Result<Removed, AssetsError>> + Send {
        async move {
            let removed = remove_all(self, self.catalog().keys(Some(asset_root))).await?;
            if removed.kept == 0 {
                self.catalog().set_pin(asset_root, false)?;
            }
            Ok(removed)
        }
    }

    /// Removes every resource that is neither pinned nor in use.
    ///
    /// # Errors
    /// As [`remove_asset`](Self::remove_asset).
    fn clear(&self) -> impl Future<Output = Result<Removed, AssetsError>> + Send {
        async move {
            let pins: std::collections::HashSet<String> = self.pins().into_iter().collect();
            let (kept, keys): (Vec<_>, Vec<_>) =
                self.catalog().keys(None).into_iter().partition(|key| pins.contains(key.asset_root()));
            let mut removed = remove_all(self, keys).await?;
            removed.kept += kept.len();
            Ok(removed)
        }
    }

    /// Keeps with an asset what one variant of it needs, so that [`completeness`](Self::completeness) can be answered later.
    /// Replaces the manifest of the same name. Resources of other assets are left out.
    ///
    /// # Errors
    /// [`AssetsError::InvalidKey`], [`AssetsError::Storage`].
    fn write_manifest(
        &self,
        asset_root: &str,
        manifest: &Manifest,
    ) -> impl Future<Output = Result<(), AssetsError>> + Send {
        manifest::write(self, asset_root, manifest)
    }

    /// How much of each variant of an asset is stored, in the order of names: what a listener hears without a network. Empty
    /// if no manifest was written. Opens the resources of which a part is needed.
    ///
    /// # Errors
    /// [`AssetsError::Storage`].
    fn completeness(
        &self,
        asset_root: &str,
    ) -> impl Future<Output = Result<Vec<Completeness>, AssetsError>> + Send {
        async move {
            let mut all = Vec::new();
            for manifest in manifest::read(self, asset_root).await? {
                all.push(manifest::completeness(self, manifest).await?);
            }
            Ok(all)
        }
    }

    /// Events from now on. A subscriber that falls 64 events behind loses the oldest.
    fn events(&self) -> broadcast::Receiver<AssetEvent> {
        self.catalog().subscribe()
    }

    /// The first trouble with the folder, if there was any: since then new bytes may be in memory only.
    fn trouble(&self) -> Option<AssetsError> {
        self.catalog().trouble()
    }

    /// The access that this store has to its folder.
    fn rights(&self) -> Rights {
        self.catalog().rights()
    }

    /// How much index writing was done.
    fn index_stats(&self) -> IndexStats {
        self.catalog().index_stats()
    }
}

impl<A: Assets> AssetsExt for A {}

async fn remove_all<A: Assets>(assets: &A, keys: Vec<ResourceKey>) -> Result<Removed, AssetsError> {
    let mut removed = Removed::default();
    for key in keys {
        match assets.remove_resource(&key).await {
            Ok(bytes) => {
                removed.resources += 1;
                removed.bytes += bytes;
            }
            Err(AssetsError::InUse { .. }) => removed.kept += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
