//! What goes on beside a download: synchronisations, runtimes and handles that end, files that are opened anew.

use std::fs;

use tokio::runtime::Builder;

use super::disk::{Place, write};
use crate::disk::Disk;
use crate::disk::record::decode_last;
use crate::fs::FilePath;
use crate::range_tracker::RangeTracker;
use crate::{RangeSet, StorageOptions, Streaming};

const SETTINGS: StorageOptions = StorageOptions::new().with_journal_every(1).with_sync_every(1);

fn durable(place: &Place) -> RangeSet {
    decode_last(&fs::read(place.map()).unwrap()).0.unwrap().durable
}

#[test]
fn a_runtime_that_has_ended_stops_no_later_synchronisation() {
    let place = Place::new();
    let resource = place.open_with(SETTINGS);
    let claim = resource.try_claim().unwrap().unwrap();
    let ended = Builder::new_current_thread().build().unwrap().handle().clone();
    let entered = ended.enter();
    write(&resource, 0, &[1; 100]);
    drop(entered);
    assert!(durable(&place).is_empty(), "it never ran");
    // Without a runtime, a synchronisation is over when the write is.
    write(&resource, 100, &[1; 100]);
    assert_eq!(durable(&place), RangeSet::from(0..200));
    drop(claim);
}

#[test]
fn a_synchronisation_keeps_nobody_from_opening_the_resource_anew() {
    let place = Place::new();
    let path = place.path();
    let open = || Disk::open(FilePath::new(path.clone()), SETTINGS).unwrap().0;
    let (disk, tracker) = (open(), RangeTracker::new());
    disk.acquire(&tracker).unwrap();
    let writing = disk.write(0, &[1; 100], None).unwrap();
    assert!(tracker.announce(0..100, 0));
    assert!(disk.wrote(&tracker, writing, 100), "due");
    let synced = disk.begin_sync(&tracker).unwrap();
    assert!(open().acquire(&RangeTracker::new()).is_err(), "locked");
    // The last handle goes while the disk is at work.
    disk.close(&tracker);
    drop(disk);
    open().acquire(&RangeTracker::new()).unwrap();
    synced.run().unwrap();
}

/// What is discarded and written again while the disk is at work: the bytes that are there now were not synchronised.
#[test]
fn what_is_written_anew_during_a_synchronisation_is_not_durable_by_it() {
    let place = Place::new();
    let (disk, tracker) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, RangeTracker::new());
    disk.acquire(&tracker).unwrap();
    let write = |range: std::ops::Range<u64>, byte: u8| {
        let writing = disk.write(range.start, &vec![byte; (range.end - range.start) as usize], None).unwrap();
        assert!(tracker.announce(range.clone(), 0));
        disk.wrote(&tracker, writing, range.end - range.start)
    };
    assert!(write(0..100, 1), "due");
    let synced = disk.begin_sync(&tracker).unwrap();
    synced.run().unwrap();
    assert!(disk.forget(&tracker, 20..40));
    disk.discard(&tracker, 20..40).unwrap();
    write(20..40, 2);
    disk.end_sync(&tracker, synced).unwrap().run().unwrap();
    assert_eq!(durable(&place), RangeSet::from_iter([0..20, 40..100]));
    disk.sync(&tracker).unwrap();
    assert_eq!(durable(&place), RangeSet::from(0..100));
    // What a file has lost by itself, too.
    assert!(disk.forget(&tracker, 90..u64::MAX));
    write(90..100, 2);
    assert_eq!(durable(&place), RangeSet::from(0..90));
}

/// The space is given back on another thread: whoever writes there in the meantime keeps it.
#[test]
fn what_is_written_anew_before_its_space_is_given_back_stays() {
    let place = Place::new();
    let (disk, tracker) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, RangeTracker::new());
    disk.acquire(&tracker).unwrap();
    let bytes = vec![1; 64 << 10];
    let write = |announced: bool| {
        let writing = disk.write(0, &bytes, None).unwrap();
        announced.then(|| assert!(tracker.announce(0..64 << 10, 0)));
        writing
    };
    let end = |writing| disk.wrote(&tracker, writing, 64 << 10);
    end(write(true));
    assert!(disk.forget(&tracker, 0..64 << 10));
    end(write(true));
    disk.discard(&tracker, 0..64 << 10).unwrap();
    assert_eq!(fs::read(place.part()).unwrap(), bytes);
    // It is written, and not announced yet.
    assert!(disk.forget(&tracker, 0..64 << 10));
    let writing = write(false);
    disk.discard(&tracker, 0..64 << 10).unwrap();
    assert!(tracker.announce(0..64 << 10, 0));
    end(writing);
    assert_eq!(fs::read(place.part()).unwrap(), bytes);
}

/// A commit whose future was dropped, and that gets a thread only after the resource was begun anew.
#[test]
fn a_commit_that_comes_after_a_reset_keeps_nothing() {
    let place = Place::new();
    let (disk, tracker) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, RangeTracker::new());
    disk.acquire(&tracker).unwrap();
    drop(disk.write(0, &[1; 100], None).unwrap());
    assert!(tracker.announce(0..100, 0));
    assert!(tracker.commit(100).unwrap());
    disk.reset(&tracker).unwrap();
    disk.persist(&tracker, 100, None).unwrap();
    assert!(!place.path().exists(), "a hundred zeros");
    assert!(tracker.lock().ranges.is_empty());
}

/// A handle that cannot be read through any more, because the file was locked through another one (on Windows).
#[test]
fn a_read_that_fails_goes_on_with_the_file_that_was_opened_since() {
    let place = Place::new();
    let (disk, tracker) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, RangeTracker::new());
    assert!(disk.file().is_none());
    disk.acquire(&tracker).unwrap();
    let first = disk.file().unwrap();
    assert!(disk.newer_file(&first).is_none(), "the error is one");
    disk.release(&tracker);
    disk.acquire(&tracker).unwrap();
    let second = disk.newer_file(&first).unwrap();
    assert!(disk.newer_file(&second).is_none());
    assert!(tracker.announce(0..100, 0));
    drop(disk.write(0, &[7; 100], None).unwrap());
    assert_eq!(second.read(&mut [0; 200], 0).unwrap(), 100);
}
