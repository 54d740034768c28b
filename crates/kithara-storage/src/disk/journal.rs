use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::file::session;
use super::paths::Paths;
use super::record::{Record, RecordRef, decode_last, encode};
use crate::fs::{Access, FilePath};
use crate::range_tracker::{Found, RangeTracker};
use crate::{RangeSet, StorageOptions};

/// A map above this size is written anew as a single record.
const REWRITE_ABOVE: u64 = 256 * 1024;
/// Bytes that arrive faster than this (67 MB/s) are synchronised as often as at this rate: they are soon fetched again.
const NANOS_PER_BYTE: u64 = 15;
/// A map above this size is no map of ours.
const MAX_MAP: u64 = 64 * 1024 * 1024;

/// Writes `NAME.part.map`. Used by the process that has the file locked.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// This process holds the lock on `NAME.part`, without which no method writes.
    pub(crate) locked: bool,
    /// The file stands under its final name.
    pub(crate) persisted: bool,
    /// Bytes written since the last note.
    pub(crate) bytes_since_record: u64,
    /// Bytes written since the last synchronisation began.
    pub(crate) bytes_since_sync: u64,
    /// A background synchronisation is under way.
    pub(crate) syncing: bool,
    /// When the last record was made, or writing began.
    noted: Option<Instant>,
    /// When the last synchronisation began, or writing did.
    synced: Option<Instant>,
    /// Ranges that were synchronised with the disk.
    pub(crate) durable: RangeSet,
    /// Ranges of the synchronisations under way.
    under_way: Vec<Weak<Mutex<RangeSet>>>,
    /// Known once it is needed.
    session: Option<[u8; 16]>,
    /// The open map, once there was something to note: opening it for each note costs as much as writing a note.
    map: Option<File>,
    map_len: u64,
    buffer: Vec<u8>,
}

impl Journal {
    /// Begins with what the map says about the `part_len` bytes of the (locked) `part`, and mends a torn map.
    pub(crate) fn load(&mut self, paths: &Paths, part: &File, part_len: u64) -> io::Result<Found> {
        // Another process may have had the file since: earlier synchronisations do not cover it.
        self.forget(0..u64::MAX);
        *self = Self { synced: Some(Instant::now()), ..Self::default() };
        if part_len == 0 {
            // Nothing can be known of an empty file: the map is of an earlier one, and must be gone for good before
            // anything is written that it could seem to speak of.
            self.remove(paths)?;
            return Ok(Found::default());
        }
        let (record, found_len, valid_len) = read_map(&paths.map())?;
        if valid_len < found_len {
            paths.map().open_or_create(Access::Write)?.set_len(valid_len)?;
        }
        self.session = Some(session(part));
        self.map_len = valid_len;
        let Some(mut record) = record else { return Ok(Found::default()) };
        record.durable.truncate(part_len);
        self.durable.clone_from(&record.durable);
        Ok(known(record, self.session, part_len))
    }

    /// Appends a note of everything that the tracker knows of the file `part`.
    pub(crate) fn note(&mut self, paths: &Paths, part: &File, tracker: &RangeTracker) -> io::Result<()> {
        self.session.get_or_insert_with(|| session(part));
        self.encode(tracker);
        if self.map_len > REWRITE_ABOVE.max(4 * self.buffer.len() as u64) {
            self.rewrite(paths)?;
        } else {
            let mut map = match self.map.take() {
                Some(map) => map,
                None => paths.map().open_or_create(Access::Append)?,
            };
            if let Err(error) = map.write_all(&self.buffer) {
                self.truncate_torn_tail(&map);
                return Err(error);
            }
            self.map_len += self.buffer.len() as u64;
            self.map = Some(map);
        }
        self.bytes_since_record = 0;
        self.noted = Some(Instant::now());
        Ok(())
    }

    /// A part of a note may have been written, behind which no note would be found.
    fn truncate_torn_tail(&mut self, map: &File) {
        if map.set_len(self.map_len).is_err() {
            // The next note replaces the map.
            self.map_len = u64::MAX;
        }
    }

    fn encode(&mut self, tracker: &RangeTracker) {
        self.buffer.clear();
        let state = tracker.lock();
        // Lost or punched ranges are not durable any more.
        state.ranges.gaps(0..self.durable.end()).for_each(|gap| self.durable.remove(gap));
        let record = RecordRef {
            durable: &self.durable,
            written: &state.ranges,
            session: self.session,
            expected_len: state.expected_len,
            tag: state.tag.as_deref(),
        };
        encode(&mut self.buffer, record);
    }

    /// Not synchronised before the rename: should a power failure leave the new map empty, what is known is lost, and
    /// nothing false is claimed.
    fn rewrite(&mut self, paths: &Paths) -> io::Result<()> {
        self.map = None;
        let new = paths.map().with_suffix(".new");
        if let Err(error) = new.create()?.write_all(&self.buffer) {
            let _ = new.remove();
            return Err(error);
        }
        new.rename(&paths.map())?;
        self.map_len = self.buffer.len() as u64;
        Ok(())
    }

    /// Whether enough was written since the last record, or anything long after it.
    pub(crate) fn is_record_due(&mut self, options: &StorageOptions) -> bool {
        if !self.locked || self.bytes_since_record == 0 {
            return false;
        }
        self.bytes_since_record >= options.journal_every
            || (options.journal_every < u64::MAX
                && self.noted.get_or_insert_with(Instant::now).elapsed() >= options.journal_after)
    }

    /// Whether enough was written since the last synchronisation, and is worth another one already.
    pub(crate) fn is_sync_due(&self, sync_every: u64) -> bool {
        let pause = Duration::from_nanos(sync_every.saturating_mul(NANOS_PER_BYTE));
        self.locked
            && !self.syncing
            && self.bytes_since_sync >= sync_every
            && self.synced.is_none_or(|synced| synced.elapsed() >= pause)
    }

    /// A synchronisation begins.
    pub(crate) fn sync_begins(&mut self) {
        self.bytes_since_sync = 0;
        self.synced = Some(Instant::now());
    }

    /// A synchronisation of `ranges` begins; ranges that are forgotten before it ends are removed from it.
    pub(crate) fn track_sync(&mut self, ranges: &Arc<Mutex<RangeSet>>) {
        self.under_way.retain(|ranges| ranges.strong_count() > 0);
        self.under_way.push(Arc::downgrade(ranges));
    }

    /// The bytes of `range` are dropped: neither durable nor about to be.
    pub(crate) fn forget(&mut self, range: Range<u64>) {
        self.durable.remove(range.clone());
        for ranges in self.under_way.iter().filter_map(Weak::upgrade) {
            ranges.lock().remove(range.clone());
        }
    }

    /// The lock on the file is given up, and with it the right to write the map.
    pub(crate) fn unlocked(&mut self) {
        self.locked = false;
        self.map = None;
    }

    pub(crate) fn has_map(&self) -> bool {
        self.map_len > 0
    }

    /// Removes the map for good, power failure or not.
    pub(crate) fn remove(&mut self, paths: &Paths) -> io::Result<()> {
        self.map = None;
        // Nearly always there is none, and looking is cheaper than removing.
        let map = paths.map();
        if map.exists()? && map.remove()? {
            map.sync_folder()?;
        }
        self.map_len = 0;
        self.forget(0..u64::MAX);
        self.bytes_since_record = 0;
        Ok(())
    }
}

/// The map as it stands, for [`sync_map`].
pub(crate) fn open_map(paths: &Paths) -> io::Result<File> {
    // Windows synchronises no file that is open for reading alone.
    paths.map().open_or_create(Access::Write)
}

/// Makes a journal file and its name durable: it may have been created or replaced since the last time.
pub(crate) fn sync_map(map: &File, paths: &Paths) -> io::Result<()> {
    map.sync_data()?;
    paths.map().sync_folder()
}

/// The stored ranges of an unfinished file, for a process that only reads it.
pub(crate) fn inspect(paths: &Paths, part: &File, part_len: u64) -> io::Result<Found> {
    let (record, ..) = read_map(&paths.map())?;
    Ok(record.map_or_else(Found::default, |record| known(record, Some(session(part)), part_len)))
}

fn known(record: Record, session: Option<[u8; 16]>, part_len: u64) -> Found {
    let mut ranges = record.durable;
    if record.session.is_some() && record.session == session {
        ranges.extend(&record.written);
    }
    ranges.truncate(part_len);
    Found { ranges, expected_len: record.expected_len, tag: record.tag, ..Found::default() }
}

/// The last whole record of the map, the length of the map, and the length of its whole records.
fn read_map(map: &FilePath) -> io::Result<(Option<Record>, u64, u64)> {
    let Some(file) = map.open()? else { return Ok((None, 0, 0)) };
    let len = file.metadata()?.len();
    let mut bytes = Vec::new();
    if len <= MAX_MAP {
        file.take(MAX_MAP).read_to_end(&mut bytes)?;
    }
    let (record, valid) = decode_last(&bytes);
    Ok((record, len, valid as u64))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_note_behind_a_torn_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(FilePath::new(folder.path().join("song")));
        let part = File::create(paths.part().path()).unwrap();
        let (mut journal, tracker) = (Journal::default(), RangeTracker::new());
        journal.load(&paths, &part, 0).unwrap();
        let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path).unwrap();
        assert!(tracker.announce(0..10, 0));
        journal.note(&paths, &part, &tracker).unwrap();
        // The disk is full in the middle of a note, which cannot be taken back either.
        open(paths.map().path()).write_all(b"KMAP, and no more").unwrap();
        journal.map = Some(open(Path::new("/dev/full")));
        assert!(tracker.announce(10..20, 0));
        assert_eq!(journal.note(&paths, &part, &tracker).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(read_map(&paths.map()).unwrap().0.unwrap().written, RangeSet::from(0..10));
        for end in [30, 40] {
            assert!(tracker.announce(20..end, 0));
            journal.note(&paths, &part, &tracker).unwrap();
            let (record, found, valid) = read_map(&paths.map()).unwrap();
            assert_eq!((record.unwrap().written, found), (RangeSet::from(0..end), valid));
        }
    }
}
