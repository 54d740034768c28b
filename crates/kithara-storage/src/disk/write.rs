//! Operations that change the files. Only the process that has `NAME.part` locked runs them.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::warn;

use super::file::{DataFile, Writing};
use super::journal::{Journal, open_map, sync_map};
use super::paths::Paths;
use super::sums::{self, SUMS_SUFFIX};
use super::{Checked, Disk};
use crate::range_tracker::RangeTracker;
use crate::{RangeSet, StorageError};

/// The bytes of a synchronisation. Holds no lock.
#[derive(Debug)]
pub(crate) struct SyncData {
    file: Arc<DataFile>,
    /// Ranges stored when it began, less those forgotten since, which may have been written again without a synchronisation.
    ranges: Arc<Mutex<RangeSet>>,
}

impl SyncData {
    /// Blocks for as long as the disk takes.
    pub(crate) fn run(&self) -> io::Result<()> {
        self.file.file.sync_data()
    }
}

/// The record that ends a synchronisation.
#[derive(Debug)]
#[must_use = "the note is not durable yet"]
pub(crate) struct SyncMap(Option<(File, Paths)>);

impl SyncMap {
    /// Blocks for as long as the disk takes.
    pub(crate) fn run(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |(map, paths)| sync_map(map, paths))
    }
}

impl Disk {
    /// Writes to the page cache. `expected_len`: where the file will probably end.
    pub(crate) fn write(
        &self,
        offset: u64,
        data: &[u8],
        expected_len: Option<u64>,
    ) -> Result<Writing, StorageError> {
        let file = self.file().ok_or(StorageError::NotClaimed)?;
        let range = offset..offset + data.len() as u64;
        let writing = Arc::clone(&file).begin_write(range, expected_len.unwrap_or(0));
        file.write_all(data, offset).map_err(|e| self.error("write", e))?;
        Ok(writing)
    }

    /// Counts `n` announced bytes, and notes from time to time what is stored. True: it is time to synchronise, and the
    /// caller has been entrusted with it.
    pub(crate) fn wrote(&self, tracker: &RangeTracker, writing: Writing, n: u64) -> bool {
        writing.end(tracker);
        let mut journal = self.journal.lock();
        journal.bytes_since_record += n;
        journal.bytes_since_sync += n;
        if journal.is_record_due(&self.options) {
            self.record_if_possible(&mut journal, tracker);
        }
        let due = journal.is_sync_due(self.options.sync_every);
        journal.syncing |= due;
        due
    }

    fn note(&self, journal: &mut Journal, tracker: &RangeTracker) -> io::Result<()> {
        match self.file() {
            Some(file) => journal.note(&self.paths, &file.file, tracker),
            None => Ok(()),
        }
    }

    /// A note that cannot be written costs a download after a crash, and is no reason to stop this one.
    fn record_if_possible(&self, journal: &mut Journal, tracker: &RangeTracker) {
        if let Err(error) = self.note(journal, tracker) {
            journal.bytes_since_record = 0;
            warn!(path = %self.paths.map().path().display(), %error, "cannot note what of an unfinished resource is stored");
        }
    }

    /// Makes the announced ranges durable, then records that. Blocks for as long as the disk takes.
    pub(crate) fn sync(&self, tracker: &RangeTracker) -> Result<(), StorageError> {
        let _exclusive = self.exclusive.lock();
        let sync = || match self.begin_sync(tracker) {
            Some(synced) => synced.run().and_then(|()| self.end_sync(tracker, synced)?.run()),
            None => Ok(()),
        };
        sync().map_err(|e| self.error("sync", e))
    }

    /// Begins a synchronisation of the stored ranges.
    pub(crate) fn begin_sync(&self, tracker: &RangeTracker) -> Option<SyncData> {
        let mut journal = self.journal.lock();
        let (true, Some(file)) = (journal.locked, self.file()) else { return None };
        journal.sync_begins();
        let ranges = Arc::new(Mutex::new(tracker.lock().ranges.clone()));
        journal.track_sync(&ranges);
        Some(SyncData { file, ranges })
    }

    /// Notes that it is durable, as far as that still matters.
    pub(crate) fn end_sync(&self, tracker: &RangeTracker, synced: SyncData) -> io::Result<SyncMap> {
        let mut journal = self.journal.lock();
        if !journal.locked {
            return Ok(SyncMap(None));
        }
        journal.durable.extend(&synced.ranges.lock());
        self.note(&mut journal, tracker)?;
        Ok(SyncMap(Some((open_map(&self.paths)?, self.paths.clone()))))
    }

    /// The synchronisation is over that [`wrote`](Self::wrote) asked for, or will not be.
    pub(crate) fn sync_is_over(&self) {
        self.journal.lock().syncing = false;
    }

    /// Whether `len` bytes are in the file, before anybody is told that they are all: the length of the file.
    pub(crate) fn check_len(&self, tracker: &RangeTracker, len: u64) -> Result<u64, StorageError> {
        let actual = match self.file() {
            Some(file) => file.len().map_err(|e| self.error("open", e))?,
            None => 0,
        };
        if actual < len {
            self.forget(tracker, actual..u64::MAX);
            return Err(StorageError::Truncated { expected: len, actual, committed: false });
        }
        Ok(actual)
    }

    /// Brings the file of a committed resource to the disk and to its final name. `found`: its length, where known.
    pub(crate) fn persist(
        &self,
        tracker: &RangeTracker,
        len: u64,
        found: Option<u64>,
    ) -> Result<(), StorageError> {
        let _exclusive = self.exclusive.lock();
        // A commit whose future was dropped may run after a reset.
        let is_reset = tracker.lock().len() != Some(len);
        if is_reset || self.journal.lock().persisted {
            return Ok(());
        }
        let file = self.file().ok_or(StorageError::NotClaimed)?;
        file.end_at(len, found).map_err(|e| self.error("sync", e))?;
        if self.options.checksums {
            let stored = sums::store(&self.paths.committed, &file, len);
            if !stored.map_err(|e| self.error("read", e))? {
                let actual = file.len().map_err(|e| self.error("read", e))?;
                return Err(StorageError::Truncated { expected: len, actual, committed: true });
            }
        }
        file.file.sync_all().map_err(|e| self.error("sync", e))?;
        let mut journal = self.journal.lock();
        match self.rename(&mut journal, &file, len).map_err(|e| self.error("rename", e))? {
            Some(actual) => Err(StorageError::Truncated { expected: len, actual, committed: true }),
            None => {
                self.written_here(tracker);
                Ok(())
            }
        }
    }

    /// This process wrote the bytes, so it need not verify them.
    fn written_here(&self, tracker: &RangeTracker) {
        let generation = tracker.lock().generation;
        *self.sums.lock() = Some(Checked { generation, sums: None });
    }

    /// `Some`: the file has become shorter than the resource, and has this length.
    fn rename(&self, journal: &mut Journal, file: &DataFile, len: u64) -> io::Result<Option<u64>> {
        let found = if journal.locked { self.paths.part().len_of(&file.file)? } else { None };
        let Some(found) = found else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the unfinished file was replaced or removed",
            ));
        };
        if found < len {
            return Ok(Some(found));
        }
        if found != len {
            // A write that was under way when the resource ended.
            file.end_at(len, Some(found))?;
            file.file.sync_all()?;
        }
        self.paths.part().rename(&self.paths.committed)?;
        journal.persisted = true;
        journal.unlocked();
        if journal.has_map()
            && let Err(error) = self.paths.map().remove()
        {
            warn!(path = %self.paths.map().path().display(), %error, "cannot remove the map of a finished resource");
        }
        // It is finished all the same; at the latest, closing the file unlocks it.
        file.unlock();
        Ok(None)
    }

    /// Replaces the file by an empty one. Readers of the old one keep it open.
    pub(crate) fn reset(&self, tracker: &RangeTracker) -> Result<(), StorageError> {
        let _exclusive = self.exclusive.lock();
        let mut journal = self.journal.lock();
        // The lock on the file at `NAME.part` is the right to put another one in its place.
        let part = if journal.locked { None } else { Some(DataFile::new(self.lock_part()?.0)) };
        tracker.reset();
        let replaced = self.replace(&mut journal).map_err(|e| self.error("replace", e));
        if let Some(part) = part {
            part.unlock();
        }
        replaced
    }

    fn replace(&self, journal: &mut Journal) -> io::Result<()> {
        journal.remove(&self.paths)?;
        let new = self.paths.part().with_suffix(".new");
        let file = new.create()?;
        file.try_lock()?;
        new.rename(&self.paths.part())?;
        journal.load(&self.paths, &file, 0)?;
        journal.locked = true;
        *self.file.lock() = Some(Arc::new(DataFile::new(file)));
        if self.paths.committed.remove()? {
            self.paths.committed.sync_folder()?;
            self.paths.committed.with_suffix(SUMS_SUFFIX).remove()?;
        }
        Ok(())
    }

    /// Forgets `range`, as [`RangeTracker::forget`] does: nor is it durable any more, whatever is written there next.
    pub(crate) fn forget(&self, tracker: &RangeTracker, range: Range<u64>) -> bool {
        let mut journal = self.journal.lock();
        journal.forget(range.clone());
        tracker.forget(range)
    }

    /// Gives the space of `range`, which is forgotten, back to the file system, but for what was written there since.
    pub(crate) fn discard(&self, tracker: &RangeTracker, range: Range<u64>) -> Result<(), StorageError> {
        let _exclusive = self.exclusive.lock();
        self.discard_inner(tracker, range).map_err(|e| self.error("discard", e))
    }

    fn discard_inner(&self, tracker: &RangeTracker, range: Range<u64>) -> io::Result<()> {
        let mut journal = self.journal.lock();
        let (true, Some(file)) = (journal.locked, self.file()) else { return Ok(()) };
        if journal.has_map() {
            // Before the bytes go, the disk must have ceased to claim them.
            self.note(&mut journal, tracker)?;
            let map = open_map(&self.paths)?;
            drop(journal);
            sync_map(&map, &self.paths)?;
        }
        let end = range.end.min(file.len()?);
        if range.start < end {
            file.punch_hole(range.start..end, tracker);
        }
        Ok(())
    }

    /// Records the stored ranges and unlocks the file. While a commit is on its way to the disk the lock stays.
    pub(crate) fn release(&self, tracker: &RangeTracker) {
        let mut journal = self.journal.lock();
        if !journal.locked || (tracker.is_committed() && !journal.persisted) {
            return;
        }
        if journal.bytes_since_record > 0
            && let Err(error) = self.note(&mut journal, tracker)
        {
            // The journal knows fewer ranges than this process: the lock stays until the resource is closed.
            warn!(path = %self.paths.map().path().display(), %error, "cannot note what of an unfinished resource is stored");
            return;
        }
        if let Some(file) = self.file()
            && file.unlock()
        {
            journal.unlocked();
        }
    }

    /// The last handle goes.
    pub(crate) fn close(&self, tracker: &RangeTracker) {
        let mut journal = self.journal.lock();
        if journal.locked && journal.bytes_since_record > 0 {
            self.record_if_possible(&mut journal, tracker);
        }
        if let Some(file) = self.file().filter(|_| journal.locked) {
            file.unlock();
        }
    }
}
