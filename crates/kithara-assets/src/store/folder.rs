//! A store's folder: its lock and its indexes.

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kithara_storage::StorageOptions;
use kithara_storage::fs::{Access, FilePath, Folder as Handle, Locked, make_all};

use crate::catalog::{Catalog, Rights};
use crate::index::Flusher;
use crate::index::file::{IndexFiles, Session};
use crate::index::load::{Loaded, load};
use crate::key::INDEX_FOLDER;
use crate::{AssetSettings, AssetsError, ResourceKey};

/// The file that the owner of a folder keeps locked.
const LOCK: &str = "lock";

pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) storage: StorageOptions,
    session: Session,
    flusher: Option<Flusher>,
    /// The last field, so that it is dropped last: it covers the writing of the indexes.
    _lock: Option<Locked>,
}

impl Folder {
    /// Makes a folder and finds its real name.
    pub(super) fn prepare(path: &Path) -> Result<PathBuf, AssetsError> {
        let created = make_folder(path);
        // A folder that cannot be created may still be read. If it does not exist, the first error says more.
        fs::canonicalize(path)
            .map_err(|error| AssetsError::folder(path, "create", created.err().unwrap_or(error)))
    }

    pub(super) fn open(path: PathBuf, settings: &AssetSettings) -> Result<(Self, Arc<Catalog>), AssetsError> {
        let (rights, lock, trouble) = take_lock(&path);
        let Loaded { mut state, lru, stale_sessions } =
            load(&path).map_err(|error| AssetsError::folder(&path, "read", error))?;
        state.limits = limits(rights, settings);
        if !rights.owns_files() {
            state.unsaved = Default::default();
        }
        let catalog = Catalog::new(state, rights);
        if let Some(trouble) = trouble {
            catalog.note_trouble(&trouble);
        }
        let files = IndexFiles::new(&path, lru, stale_sessions);
        let flusher = rights.owns_files().then(|| Flusher::start(catalog.clone(), files));
        let session = Session::new(&path);
        Ok((Self { path, storage: settings.storage, session, flusher, _lock: lock }, catalog))
    }

    /// Notes that an asset is about to change.
    pub(super) fn note_change(&self, catalog: &Catalog, key: &ResourceKey) {
        if let Err(error) = self.session.note(catalog, key.root_arc()) {
            tracing::debug!(%error, "the session's notes cannot be written");
        }
    }

    /// Writes the indexes on this thread.
    pub(super) fn flush(&self) -> Result<(), AssetsError> {
        self.flusher.as_ref().map_or(Ok(()), Flusher::flush)
    }

    /// Writes the indexes and removes the dirty marker: after a crash no asset has to be compared with the folder.
    pub(super) fn settle(&self) {
        if self.flusher.is_none() {
            return;
        }
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the indexes are not up to date");
        } else if let Err(error) = self.session.end() {
            tracing::debug!(%error, "the session's notes cannot be removed");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.settle();
    }
}

/// The limits that a store with these rights keeps: it does not evict files that another process owns.
pub(super) fn limits(rights: Rights, settings: &AssetSettings) -> crate::catalog::Limits {
    let limits = settings.disk_limits();
    if rights.owns_files() {
        limits
    } else {
        crate::catalog::Limits { disk_bytes: None, assets: None, resources: None, ..limits }
    }
}

/// Makes the store's folder, which is trusted, and that of the indexes, which is not.
fn make_folder(path: &Path) -> io::Result<()> {
    make_all(path)?;
    Handle::open(path)?.make_folder(INDEX_FOLDER.as_ref()).map(drop)
}

fn take_lock(path: &Path) -> (Rights, Option<Locked>, Option<AssetsError>) {
    let lock = FilePath::below(path, &Path::new(INDEX_FOLDER).join(LOCK));
    match lock.open_or_create(Access::Lock).map(Locked::new) {
        Ok(Ok(lock)) => (Rights::Owner, Some(lock), None),
        Ok(Err(TryLockError::WouldBlock)) => {
            tracing::warn!(path = %path.display(), "another process owns this asset store");
            (Rights::Guest, None, None)
        }
        // A file system without locks: no other process can have one either.
        Ok(Err(TryLockError::Error(error))) => {
            tracing::debug!(%error, "the file system has no locks");
            (Rights::Owner, None, None)
        }
        Err(error) => (Rights::ReadOnly, None, Some(read_only(path, error))),
    }
}

fn read_only(path: &Path, error: io::Error) -> AssetsError {
    AssetsError::folder(path, "write", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_lock_in_a_process_that_is_being_started_does_not_keep_it() {
        let path = tempfile::tempdir().unwrap();
        let open = || Folder::open(path.path().to_owned(), &AssetSettings::default()).unwrap();
        fs::create_dir(path.path().join(INDEX_FOLDER)).unwrap();
        let (folder, catalog) = open();
        assert_eq!((catalog.rights(), open().1.rights()), (Rights::Owner, Rights::Guest));
        let copy = folder._lock.as_ref().map(|lock| lock.try_clone().unwrap());
        drop(folder);
        assert_eq!(open().1.rights(), Rights::Owner);
        drop(copy);
    }
}
