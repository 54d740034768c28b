//! The files below `_index/`, and how they are written.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::frame::{Frames, Kind};
use super::record::{self, MAX_INDEX, Pins};
use crate::AssetsError;
use crate::catalog::Catalog;
use crate::key::{INDEX_FOLDER, check_asset_root};
use crate::lock::Locked;

pub(crate) const LRU: &str = "lru.bin";
pub(crate) const PINS: &str = "pins.bin";
pub(crate) const OLD_LRU: &str = "lru.json";
pub(crate) const OLD_PINS: &str = "pins.json";
/// Start of the names of the files in which each process notes the assets that it changes.
pub(crate) const SESSION_PREFIX: &str = "session-";
/// Appended changes that are allowed before a snapshot takes their place: as much again as the snapshot, and this.
const SLACK: u64 = 64 << 10;

/// Reads an index file; `None` if there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
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
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_data()?;
    drop(file);
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(parent) if cfg!(unix) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// The writing end of the indexes. One flush at a time.
pub(crate) struct IndexFiles {
    folder: PathBuf,
    /// Length of the LRU file and of the snapshot at its start; `None` if it has to be written anew.
    lru: Option<(u64, u64)>,
    /// Notes of processes that are gone, dispensable once the index has been written.
    stale_sessions: Vec<PathBuf>,
}

impl IndexFiles {
    /// `lru`: length of the sound LRU file that was read and of the snapshot at its start, if there was one.
    pub(crate) fn new(store: &Path, lru: Option<(u64, u64)>, stale_sessions: Vec<PathBuf>) -> Self {
        Self { folder: store.join(INDEX_FOLDER), lru, stale_sessions }
    }

    /// Writes what the indexes do not say yet. On an error everything is kept for the next attempt.
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
        done.map_err(|error| AssetsError::folder(&self.folder, "write the index of", error))
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
            Some(_) => record::append(&mut batch.lru, Kind::Changes, &state.changes()),
            None => record::append(&mut batch.lru, Kind::Snapshot, &state.snapshot()),
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
        fs::create_dir_all(&self.folder)?;
        if let Some(pins) = &batch.pins {
            replace(&self.folder.join(PINS), pins)?;
            count(catalog, pins);
        }
        let path = self.folder.join(LRU);
        let added = batch.lru.len() as u64;
        match batch.append_at {
            // A file of another length is not the one that we know: not ours to append to.
            Some((len, snapshot)) if fs::metadata(&path).is_ok_and(|now| now.len() == len) => {
                // Not synchronised: a torn end is told by its checksum, and costs a look at the folder.
                OpenOptions::new().append(true).open(&path)?.write_all(&batch.lru)?;
                self.lru = Some((len + added, snapshot));
            }
            Some(_) => return Err(io::Error::other("the index was changed by somebody else")),
            None => {
                replace(&path, &batch.lru)?;
                self.lru = Some((added, added));
            }
        }
        count(catalog, &batch.lru);
        for old in [OLD_LRU, OLD_PINS] {
            if batch.append_at.is_none() && batch.pins.is_some() {
                remove_if_present(&self.folder.join(old))?;
            }
        }
        while let Some(path) = self.stale_sessions.pop() {
            remove_if_present(&path)?;
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

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Notes, before a process changes an asset for the first time, that it will: after a crash only these assets have to be
/// looked at, and nothing that was downloaded is lost to the index. One append of some 60 bytes per asset and process.
///
/// The file is locked while its process lives, so that others can tell whether its notes are still being made.
pub(crate) struct Session {
    path: PathBuf,
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
        Self { path: store.join(INDEX_FOLDER).join(name), noted: Mutex::default() }
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
        let open = || OpenOptions::new().create(true).append(true).open(&self.path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.path.parent().map_or(Ok(()), fs::create_dir_all)?;
                open()?
            }
            opened => opened?,
        };
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
        if file.is_none() { Ok(()) } else { remove_if_present(&self.path) }
    }
}

/// Whether nobody has a file locked.
fn is_unlocked(file: File) -> bool {
    !matches!(Locked::new(file), Err(TryLockError::WouldBlock))
}

/// The assets that processes noted which do not run any more, and the files in which they did.
pub(crate) fn stale_sessions(store: &Path) -> io::Result<(BTreeSet<String>, Vec<PathBuf>)> {
    let (mut roots, mut files) = (BTreeSet::new(), Vec::new());
    let entries = match fs::read_dir(store.join(INDEX_FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((roots, files)),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(SESSION_PREFIX) {
            continue;
        }
        let path = entry.path();
        // A process that runs keeps its file; what it noted until now is looked at all the same.
        let stale = File::open(&path).is_ok_and(is_unlocked);
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
        let file = File::open(&stale_sessions(store.path()).unwrap().1[0]).unwrap();
        assert!(is_unlocked(file.try_clone().unwrap()));
        let other = File::open(&stale_sessions(store.path()).unwrap().1[0]).unwrap();
        other.try_lock().unwrap();
        assert!(!is_unlocked(file));
    }
}
