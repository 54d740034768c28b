//! The files below `_index/`, and how they are written.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kithara_storage::fs::{Access, FilePath, Locked};
use parking_lot::Mutex;

use super::frame::{Frames, Kind};
use super::record::{self, MAX_INDEX, Pins};
use crate::AssetsError;
use crate::catalog::Catalog;
use crate::key::{INDEX_FOLDER, check_asset_root};

pub(crate) const LRU: &str = "lru.bin";
pub(crate) const PINS: &str = "pins.bin";
pub(crate) const OLD_LRU: &str = "lru.json";
pub(crate) const OLD_PINS: &str = "pins.json";
/// Start of the names of the files in which each process notes the assets that it changes.
pub(crate) const SESSION_PREFIX: &str = "session-";
/// Appended changes that are allowed before a snapshot takes their place: as much again as the snapshot, and this.
const SLACK: u64 = 64 << 10;

/// Reads an index file; `None` if there is none.
pub(crate) fn read(path: &FilePath) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = path.open()? else { return Ok(None) };
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if len > MAX_INDEX {
        // Cannot be ours: not worth reading, and damaged as far as the reader is concerned.
        return Ok(Some(Vec::new()));
    }
    let mut bytes = Vec::with_capacity(len);
    file.take(MAX_INDEX as u64).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Replaces a file: a crash at any moment leaves the old or the new content.
fn replace(path: &FilePath, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_suffix(".new");
    let fill = || {
        let mut file = temporary.create()?;
        file.write_all(content)?;
        file.sync_data()?;
        temporary.rename(path)
    };
    if let Err(error) = fill() {
        // On a full disk it would stay for good.
        let _ = temporary.remove();
        return Err(error);
    }
    path.sync_folder()
}

/// The file `name` below `_index/` of the trusted folder `store`.
pub(crate) fn index_file(store: &Path, name: &str) -> FilePath {
    FilePath::below(store, &Path::new(INDEX_FOLDER).join(name))
}

/// The writing end of the indexes. One flush at a time.
pub(crate) struct IndexFiles {
    store: PathBuf,
    /// Length of the LRU file and of the snapshot at its start; `None` if it has to be written anew.
    lru: Option<(u64, u64)>,
    /// Notes of processes that are gone, dispensable once the index has been written.
    stale_sessions: Vec<FilePath>,
}

impl IndexFiles {
    /// `lru`: length of the sound LRU file that was read and of the snapshot at its start, if there was one.
    pub(crate) fn new(store: &Path, lru: Option<(u64, u64)>, stale_sessions: Vec<FilePath>) -> Self {
        Self { store: store.to_owned(), lru, stale_sessions }
    }

    /// Writes the pending changes to the indexes. On an error all of them are kept for the next attempt.
    pub(crate) fn flush(&mut self, catalog: &Catalog) -> Result<(), AssetsError> {
        let Some(batch) = self.take(catalog) else { return Ok(()) };
        let appending = batch.append_at.is_some();
        let done = self.write(catalog, &batch);
        if done.is_err() {
            self.lru = None;
            let mut state = catalog.state.lock();
            state.unsaved.rewrite = true;
            state.unsaved.changes += batch.changes.max(1);
        }
        if done.is_err() && appending {
            // A whole file may go where an addition did not.
            return self.flush(catalog);
        }
        done.map_err(|error| AssetsError::folder(self.store.join(INDEX_FOLDER), "write the index of", error))
    }

    fn take(&self, catalog: &Catalog) -> Option<Batch> {
        let mut state = catalog.state.lock();
        if state.unsaved.keys.is_empty() && state.unsaved.pins.is_empty() && !state.unsaved.rewrite {
            state.unsaved.changes = 0;
            return None;
        }
        let mut batch = Batch { changes: state.unsaved.changes, ..Batch::default() };
        let append_at = self.lru.filter(|(len, snapshot)| *len <= snapshot.saturating_mul(2) + SLACK);
        batch.append_at = append_at.filter(|_| !state.unsaved.rewrite);
        let encoded = match batch.append_at {
            Some(_) => record::append(&mut batch.lru, Kind::Changes, &record::changes(&state)),
            None => record::append(&mut batch.lru, Kind::Snapshot, &record::snapshot(&state)),
        };
        debug_assert!(encoded.is_some(), "the records have no fallible parts");
        if !state.unsaved.pins.is_empty() || state.unsaved.rewrite {
            let pinned = state.pins.iter().map(|root| &**root).collect();
            let mut bytes = Vec::new();
            record::append(&mut bytes, Kind::Pins, &Pins { pinned });
            batch.pins = Some(bytes);
        }
        state.unsaved = Default::default();
        Some(batch)
    }

    fn write(&mut self, catalog: &Catalog, batch: &Batch) -> io::Result<()> {
        if let Some(pins) = &batch.pins {
            replace(&index_file(&self.store, PINS), pins)?;
            count(catalog, pins);
        }
        let path = index_file(&self.store, LRU);
        let added = batch.lru.len() as u64;
        match batch.append_at {
            // A file of another length is not the one that we know: not ours to append to.
            Some((len, snapshot)) => {
                let mut file = path.open_or_create(Access::Append)?;
                if file.metadata()?.len() != len {
                    return Err(io::Error::other("the index was changed by another program"));
                }
                // Not synchronised: a torn end is told by its checksum, and costs a look at the folder.
                file.write_all(&batch.lru)?;
                self.lru = Some((len + added, snapshot));
            }
            None => {
                replace(&path, &batch.lru)?;
                self.lru = Some((added, added));
            }
        }
        count(catalog, &batch.lru);
        for old in [OLD_LRU, OLD_PINS] {
            if batch.append_at.is_none() && batch.pins.is_some() {
                index_file(&self.store, old).remove()?;
            }
        }
        while let Some(path) = self.stale_sessions.pop() {
            path.remove()?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Batch {
    changes: usize,
    lru: Vec<u8>,
    /// Lengths of the file and of its snapshot, if the changes are appended.
    append_at: Option<(u64, u64)>,
    pins: Option<Vec<u8>>,
}

fn count(catalog: &Catalog, written: &[u8]) {
    catalog.index_writes.fetch_add(1, Ordering::Relaxed);
    catalog.index_bytes.fetch_add(written.len() as u64, Ordering::Relaxed);
}

/// Notes, before a process changes an asset for the first time, that it will: after a crash only these assets have to be
/// looked at, and nothing that was downloaded is lost to the index. One append of some 60 bytes per asset and process.
///
/// The file is locked while its process lives, so that others can tell whether its notes are still being made.
pub(crate) struct Session {
    path: FilePath,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    roots: HashSet<Arc<str>>,
    file: Option<Arc<Locked>>,
}

impl Session {
    pub(crate) fn new(store: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Unique among the processes of this machine, and among those that had the same id before.
        let (count, now) = (COUNT.fetch_add(1, Ordering::Relaxed), crate::catalog::now_ms());
        let name = format!("{SESSION_PREFIX}{}-{count}-{now:x}.bin", std::process::id());
        Self { path: index_file(store, &name), noted: Mutex::default() }
    }

    /// Notes an asset, once.
    pub(crate) fn note(&self, catalog: &Catalog, root: &Arc<str>) -> io::Result<()> {
        let file = {
            let mut noted = self.noted.lock();
            if !noted.roots.insert(root.clone()) {
                return Ok(());
            }
            noted.file.clone()
        };
        let mut bytes = Vec::new();
        record::append(&mut bytes, Kind::Session, &**root);
        // One `write` in append mode: the frames of several threads do not mix.
        let done = file.map_or_else(|| self.open(), Ok).and_then(|file| (&**file).write_all(&bytes));
        match &done {
            Ok(()) => count(catalog, &bytes),
            // Next time again.
            Err(_) => drop(self.noted.lock().roots.remove(root)),
        }
        done
    }

    fn open(&self) -> io::Result<Arc<Locked>> {
        let file = self.path.open_or_create(Access::Append)?;
        // A file system without locks only makes the notes look older than they are.
        let file = Arc::new(Locked::if_possible(file));
        Ok(self.noted.lock().file.get_or_insert(file).clone())
    }

    /// The index says it all: the notes are not needed any more.
    pub(crate) fn end(&self) -> io::Result<()> {
        let file = {
            let mut noted = self.noted.lock();
            noted.roots.clear();
            noted.file.take()
        };
        if file.is_none() { Ok(()) } else { self.path.remove().map(drop) }
    }
}

/// Whether a file is not locked.
fn is_unlocked(file: File) -> bool {
    !matches!(Locked::new(file), Err(TryLockError::WouldBlock))
}

/// The assets that processes noted which do not run any more, and the files in which they did.
pub(crate) fn stale_sessions(store: &Path) -> io::Result<(BTreeSet<String>, Vec<FilePath>)> {
    let (mut roots, mut files) = (BTreeSet::new(), Vec::new());
    let folder = match index_file(store, LRU).folder() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((roots, files)),
        folder => folder?,
    };
    for entry in folder.entries()? {
        let Some(name) = entry.name.to_str().filter(|name| name.starts_with(SESSION_PREFIX)) else {
            continue;
        };
        let path = index_file(store, name);
        // A running process keeps its file; the assets in it are compared all the same.
        let stale = path.open().is_ok_and(|file| file.is_none_or(is_unlocked));
        let Some(bytes) = read(&path)? else { continue };
        let names = Frames::new(&bytes).map_while(Result::ok).filter(|(kind, _)| *kind == Kind::Session);
        let names = names.filter_map(|(_, payload)| record::decode::<&str>(payload).ok());
        roots.extend(names.filter(|root| check_asset_root(root).is_ok()).map(str::to_owned));
        if stale {
            files.push(path);
        }
    }
    Ok((roots, files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Rights, State};

    #[test]
    fn a_copy_in_a_process_that_is_being_started_does_not_keep_notes_from_being_stale() {
        let store = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(State::default(), Rights::Owner);
        let session = Session::new(store.path());
        session.note(&catalog, &Arc::from("album")).unwrap();
        let copy = session.noted.lock().file.as_ref().map(|file| file.try_clone().unwrap());
        let stale = || stale_sessions(store.path()).unwrap().1.len();
        assert_eq!(stale(), 0, "it runs");
        drop(session);
        assert_eq!(stale(), 1);
        drop(copy);
        let file = stale_sessions(store.path()).unwrap().1[0].open().unwrap().unwrap();
        assert!(is_unlocked(file.try_clone().unwrap()));
        let other = stale_sessions(store.path()).unwrap().1[0].open().unwrap().unwrap();
        other.try_lock().unwrap();
        assert!(!is_unlocked(file));
    }
}
