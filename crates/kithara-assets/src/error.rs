//! Errors of a store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kithara_storage::StorageError;

use crate::{KeyFault, ResourceKey};

/// Errors of a store.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AssetsError {
    /// The name breaks a rule of [`ResourceKey`].
    #[error("`{key}` is no resource key: {fault}")]
    InvalidKey {
        /// The name as it was given.
        key: String,
        /// The rule.
        fault: KeyFault,
    },
    /// The store's folder cannot be created, read or written.
    #[error("cannot {action} the store's folder {}: {source}", path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The operation: `create`, `read`, `write`, ….
        action: &'static str,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// Another process owns the folder: what is complete in it can be read, everything new stays in memory.
    #[error("another process owns the store's folder {}", path.display())]
    OwnedElsewhere {
        /// The folder.
        path: PathBuf,
    },
    /// The storage failed on one resource.
    #[error("resource {key}: {source}")]
    Storage {
        /// The resource.
        key: ResourceKey,
        /// The storage's error.
        source: StorageError,
    },
    /// A resource cannot be removed while a handle on it is open, or while its asset is leased.
    #[error("{what} is in use")]
    InUse {
        /// The resource or asset.
        what: String,
    },
    /// This layer of the stack does not process: put `ProcessingAssets` above it.
    #[error("no layer that processes stands above this store")]
    NoProcessing,
}

impl AssetsError {
    /// Whether the same call may succeed later without anything else being done first.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Storage { source, .. } => source.is_retryable(),
            Self::InUse { .. } => true,
            _ => false,
        }
    }

    /// Whether the store's folder is the trouble, so that playing on from memory is the remedy.
    #[must_use]
    pub fn is_folder_trouble(&self) -> bool {
        matches!(self, Self::Folder { .. } | Self::OwnedElsewhere { .. })
    }

    pub(crate) fn folder(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        Self::Folder { path: path.into(), action, source: Arc::new(source) }
    }

    pub(crate) fn storage(key: &ResourceKey, source: StorageError) -> Self {
        Self::Storage { key: key.clone(), source }
    }
}
