//! A resource in the file system: see [`Paths`] for its files and `record.rs` for the journal of an unfinished one.

mod file;
mod journal;
mod paths;
pub(crate) mod record;
pub(crate) mod sums;
mod write;

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::fs::{Access, FilePath};
use crate::range_tracker::{Found, RangeTracker};
use crate::{StorageError, StorageOptions};
pub(crate) use file::DataFile;
#[cfg(windows)]
pub(crate) use file::is_same;
use journal::{Journal, inspect};
use paths::Paths;
pub use paths::{MAP_SUFFIX, NEW_SUFFIXES, PART_SUFFIX};
pub(crate) use record::MAX_TAG;
pub use sums::{SUMS_SUFFIX, has_sums};
use sums::{Sums, Verdict};

/// How often we follow a file that others rename beneath us, before we call it busy.
const MAX_ATTEMPTS: usize = 16;

/// The checksums of a committed resource.
#[derive(Debug)]
struct Checked {
    /// The generation of the resource that was committed.
    generation: u64,
    /// `None`: every block is known to be sound, or there are no checksums.
    sums: Option<Arc<Sums>>,
}

#[derive(Debug)]
pub(crate) struct Disk {
    paths: Paths,
    options: StorageOptions,
    /// The open file; `None` until there is one. Readers clone it.
    file: Mutex<Option<Arc<DataFile>>>,
    /// Held for small appends and renames, by whoever fills the resource and by nobody who reads it. Taken before the
    /// tracker's lock, never after.
    journal: Mutex<Journal>,
    /// The checksums of the committed file that is open, once they were looked for.
    sums: Mutex<Option<Checked>>,
    /// Serialises operations that block for long. Taken on blocking threads only.
    exclusive: Mutex<()>,
}

impl Disk {
    /// Looks for the files of the resource. Writes nothing.
    pub(crate) fn open(path: FilePath, options: StorageOptions) -> Result<(Self, Found), StorageError> {
        let paths = Paths::new(path);
        let (file, found) = look_for(&paths)?;
        let mut journal = Journal::default();
        journal.persisted = found.committed.is_some();
        let disk = Self {
            paths,
            options,
            file: Mutex::new(file.map(|file| Arc::new(DataFile::new(file)))),
            journal: Mutex::new(journal),
            sums: Mutex::new(None),
            exclusive: Mutex::new(()),
        };
        Ok((disk, found))
    }

    pub(crate) fn path(&self) -> &Path {
        self.paths.committed.path()
    }

    /// Whether we may write.
    pub(crate) fn is_locked(&self) -> bool {
        self.journal.lock().locked
    }

    /// The file to read from.
    pub(crate) fn file(&self) -> Option<Arc<DataFile>> {
        self.file.lock().clone()
    }

    /// The checksums by which a read of the committed resource is verified; `None` where that is not needed, or not possible.
    pub(crate) fn sums(&self, len: u64, generation: u64) -> Option<Arc<Sums>> {
        if !self.options.checksums {
            return None;
        }
        if let Some(checked) = &*self.sums.lock()
            && checked.generation == generation
        {
            return checked.sums.clone();
        }
        let sums = Sums::load(&self.paths.committed, len).map(Arc::new);
        let mut known = self.sums.lock();
        match &*known {
            Some(checked) if checked.generation >= generation => checked.sums.clone(),
            _ => known.insert(Checked { generation, sums }).sums.clone(),
        }
    }

    /// Verifies the blocks of `range` that were not read before. `Ok(false)`: the file ends before.
    ///
    /// # Errors
    /// `WouldBlock` from `read`; [`StorageError::Damaged`].
    pub(crate) fn verify(
        &self,
        sums: &Sums,
        range: Range<u64>,
        mut read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
    ) -> io::Result<Result<bool, StorageError>> {
        for block in sums.unverified(range) {
            match sums.verify(block, &mut read)? {
                Verdict::Sound => {}
                Verdict::Short => return Ok(Ok(false)),
                Verdict::Damaged(range) => {
                    let path = self.path().to_owned();
                    return Ok(Err(StorageError::Damaged { path, range }));
                }
            }
        }
        Ok(Ok(true))
    }

    /// Whether the committed resource of `len` bytes has checksums.
    pub(crate) fn has_sums(&self, len: u64) -> bool {
        has_sums(&self.paths.committed, len).unwrap_or(false)
    }

    /// The file to read from after a read of `file` failed, if it is another one by now. On Windows a lock lets nobody read
    /// through an earlier handle, and such a read may begin while [`acquire`](Self::acquire) is at work: this waits for it.
    pub(crate) fn newer_file(&self, file: &Arc<DataFile>) -> Option<Arc<DataFile>> {
        let _acquired = self.journal.lock();
        self.file().filter(|newer| !Arc::ptr_eq(newer, file))
    }

    fn error(&self, action: &'static str, source: io::Error) -> StorageError {
        StorageError::io(action, self.paths.part().path(), source)
    }

    /// Locks the unfinished file against other processes and takes over its ranges. No effect on a committed resource.
    pub(crate) fn acquire(&self, tracker: &RangeTracker) -> Result<(), StorageError> {
        let mut journal = self.journal.lock();
        if journal.locked || tracker.is_committed() {
            return Ok(());
        }
        let (part, len) = self.lock_part()?;
        let mut part = DataFile::new(part);
        match self.take_over(&mut journal, &mut part, len, tracker) {
            Ok(Some(found)) => {
                *self.file.lock() = Some(Arc::new(part));
                tracker.adopt(found);
                journal.locked = true;
                Ok(())
            }
            otherwise => {
                part.unlock();
                otherwise.map(drop)
            }
        }
    }

    /// The state of the unfinished file, which this process has locked. `None`: it was finished meanwhile.
    fn take_over(
        &self,
        journal: &mut Journal,
        part: &mut DataFile,
        len: u64,
        tracker: &RangeTracker,
    ) -> Result<Option<Found>, StorageError> {
        if let Some(committed) = self.paths.committed.open().map_err(|e| self.error("open", e))? {
            return self.adopt_committed(journal, committed, tracker).map(|()| None);
        }
        let found = self.load(journal, part, len).map_err(|e| self.error("open", e))?;
        if let Some(earlier) = self.file().filter(|_| !found.is_another_file) {
            part.continues(&earlier);
        }
        Ok(Some(found))
    }

    fn load(&self, journal: &mut Journal, part: &DataFile, len: u64) -> io::Result<Found> {
        let mut found = journal.load(&self.paths, &part.file, len)?;
        found.is_another_file = self.is_another_file(part)?;
        Ok(found)
    }

    /// Whether `file` is not the one that was read from so far.
    fn is_another_file(&self, file: &DataFile) -> io::Result<bool> {
        match &*self.file.lock() {
            Some(known) => Ok(!known.is_same(file)?),
            None => Ok(false),
        }
    }

    /// Opens `NAME.part`, makes it if need be, and locks it: the file and its length.
    fn lock_part(&self) -> Result<(File, u64), StorageError> {
        let part = self.paths.part();
        for _ in 0..MAX_ATTEMPTS {
            let file = part.open_or_create(Access::Write).map_err(|e| self.error("open", e))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(self.error("lock", error)),
            }
            // Between the two, the one before us may have renamed it (a commit) or replaced it (a reset).
            if let Some(len) = part.len_of(&file).map_err(|e| self.error("open", e))? {
                return Ok((file, len));
            }
        }
        Err(StorageError::LockedElsewhere { path: part.path().to_owned() })
    }

    /// Another process has completed the resource: removes the leftovers of the unfinished one, which this process has locked.
    fn adopt_committed(
        &self,
        journal: &mut Journal,
        file: File,
        tracker: &RangeTracker,
    ) -> Result<(), StorageError> {
        let committed = file.metadata().map_err(|e| self.error("open", e))?.len();
        let _ = self.paths.map().remove();
        let _ = self.paths.part().remove();
        let file = DataFile::new(file);
        let is_another_file = self.is_another_file(&file).map_err(|e| self.error("open", e))?;
        *self.file.lock() = Some(Arc::new(file));
        journal.persisted = true;
        tracker.adopt(Found { committed: Some(committed), is_another_file, ..Found::default() });
        Ok(())
    }
}

/// The committed file, else the unfinished one and the ranges in its journal.
fn look_for(paths: &Paths) -> Result<(Option<File>, Found), StorageError> {
    let error = |path: &FilePath, source| StorageError::io("open", path.path(), source);
    let committed = || -> Result<_, StorageError> {
        let file = paths.committed.open().map_err(|e| error(&paths.committed, e))?;
        let Some(file) = file else { return Ok(None) };
        let len = file.metadata().map_err(|e| error(&paths.committed, e))?.len();
        Ok(Some((Some(file), Found { committed: Some(len), ..Found::default() })))
    };
    if let Some(found) = committed()? {
        return Ok(found);
    }
    if let Some(file) = paths.part().open().map_err(|e| error(&paths.part(), e))? {
        let look = |file: &File| inspect(paths, file, file.metadata()?.len());
        let found = look(&file).map_err(|e| error(&paths.map(), e))?;
        return Ok((Some(file), found));
    }
    // Between the two looks, another process may have renamed the one to the other.
    Ok(committed()?.unwrap_or_default())
}
