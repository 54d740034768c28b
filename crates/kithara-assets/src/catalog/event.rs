use crate::{AssetsError, ResourceKey};

/// What happens in a store that an application may want to show. From `AssetsExt::events`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AssetEvent {
    /// The folder cannot take any more (full, read-only, gone): new bytes stay in memory. Told once per store.
    FellBackToMemory {
        /// The first error.
        error: AssetsError,
    },
    /// A resource was evicted to keep a limit.
    Evicted {
        /// The resource.
        key: ResourceKey,
        /// Its size in bytes.
        bytes: u64,
    },
}
