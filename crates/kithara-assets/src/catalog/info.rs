//! Listings, reports and events for the application.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::state::{Asset, Entry, State};
use crate::{AssetsError, ResourceKey};

/// An asset, from `AssetsExt::list`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssetInfo {
    /// Its name.
    pub asset_root: String,
    /// Bytes of all its resources.
    pub bytes: u64,
    /// How many resources it has.
    pub resources: usize,
    /// How many of them are complete.
    pub complete: usize,
    /// When one of them was last opened.
    pub last_used: SystemTime,
    /// Whether the application pinned it.
    pub pinned: bool,
    /// Whether a handle or a lease keeps something of it in use.
    pub in_use: bool,
}

impl AssetInfo {
    pub(super) fn of(state: &State, root: &Arc<str>, asset: &Asset, in_use: bool) -> Self {
        Self {
            asset_root: root.to_string(),
            bytes: asset.bytes(),
            resources: asset.listed().count(),
            complete: asset.listed().filter(|(_, entry)| entry.complete).count(),
            last_used: time(asset.touched),
            pinned: state.pins.contains(root),
            in_use,
        }
    }
}

/// A resource, from `AssetsExt::list_resources`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceInfo {
    /// Its key.
    pub key: ResourceKey,
    /// Bytes stored.
    pub bytes: u64,
    /// Whether all of it is stored.
    pub complete: bool,
    /// When it was last opened.
    pub last_used: SystemTime,
    /// Whether a handle or a lease keeps it in use.
    pub in_use: bool,
}

impl ResourceInfo {
    pub(super) fn of(state: &State, key: ResourceKey, entry: &Entry) -> Self {
        Self {
            bytes: entry.disk.saturating_add(entry.memory),
            complete: entry.complete,
            last_used: time(entry.touched),
            in_use: state.is_leased(&key),
            key,
        }
    }
}

/// The result of a removal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removed {
    /// Resources that are gone.
    pub resources: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Resources that stayed, because they are in use (or, in `clear`, pinned).
    pub kept: usize,
}

/// The result of `verify`: differences found and corrected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Resources that the folder holds.
    pub resources: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Resources that the index named and the folder does not hold: forgotten.
    pub missing: usize,
    /// Resources that the folder holds and the index did not name: taken up.
    pub adopted: usize,
    /// Resources whose length was another than the index said: corrected; of complete ones that shrank the file is removed.
    pub corrected: usize,
    /// Left-over temporary files that were removed.
    pub temporary: usize,
}

/// How much index writing a store has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexStats {
    /// Writes to any file below `_index/`.
    pub writes: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// The access that a store has to its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rights {
    /// It owns the folder: reads, downloads, evicts, pins, writes the indexes.
    Owner,
    /// Another process owns the folder. This one reads what is there and adds what it downloads (each resource is locked
    /// while it is being written; one that the other process is writing is kept in memory). It never evicts or removes a
    /// file, and never writes an index; pins last as long as the process. The owner takes up what was added when it opens
    /// the folder the next time, or with `verify`.
    Guest,
    /// The folder cannot be written: what is complete in it is read, everything new stays in memory.
    ReadOnly,
    /// There is no folder.
    Memory,
}

impl Rights {
    /// Whether files may be removed and indexes written.
    pub(crate) fn owns_files(self) -> bool {
        matches!(self, Self::Owner)
    }

    /// Whether new bytes may go to the folder.
    pub(crate) fn may_write(self) -> bool {
        matches!(self, Self::Owner | Self::Guest)
    }
}

fn time(touched: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(touched)).unwrap_or(UNIX_EPOCH)
}

/// Events of a store for an application to show. From `AssetsExt::events`.
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
