//! What goes on beside a download: synchronisations, runtimes and handles that end, files that are opened anew.

use std::fs;

use tokio::runtime::Builder;

use super::disk::{Place, write};
use crate::board::Board;
use crate::disk::Disk;
use crate::disk::record::decode_last;
use crate::fs::FilePath;
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
    let (disk, board) = (open(), Board::new());
    disk.acquire(&board).unwrap();
    let writing = disk.write(0, &[1; 100], None).unwrap();
    assert!(board.announce(0..100, 0));
    assert!(disk.wrote(&board, writing, 100), "due");
    let synced = disk.begin_sync(&board).unwrap();
    assert!(open().acquire(&Board::new()).is_err(), "locked");
    // The last handle goes while the disk is at work.
    disk.close(&board);
    drop(disk);
    open().acquire(&Board::new()).unwrap();
    synced.run().unwrap();
}

/// What is discarded and written again while the disk is at work: the bytes that are there now were not synchronised.
#[test]
fn what_is_written_anew_during_a_synchronisation_is_not_durable_by_it() {
    let place = Place::new();
    let (disk, board) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, Board::new());
    disk.acquire(&board).unwrap();
    let write = |range: std::ops::Range<u64>, byte: u8| {
        let writing = disk.write(range.start, &vec![byte; (range.end - range.start) as usize], None).unwrap();
        assert!(board.announce(range.clone(), 0));
        disk.wrote(&board, writing, range.end - range.start)
    };
    assert!(write(0..100, 1), "due");
    let synced = disk.begin_sync(&board).unwrap();
    synced.run().unwrap();
    assert!(disk.forget(&board, 20..40));
    disk.discard(&board, 20..40).unwrap();
    write(20..40, 2);
    disk.end_sync(&board, synced).unwrap().run().unwrap();
    assert_eq!(durable(&place), RangeSet::from_iter([0..20, 40..100]));
    disk.sync(&board).unwrap();
    assert_eq!(durable(&place), RangeSet::from(0..100));
    // What a file has lost by itself, too.
    assert!(disk.forget(&board, 90..u64::MAX));
    write(90..100, 2);
    assert_eq!(durable(&place), RangeSet::from(0..90));
}

/// The space is given back on another thread: whoever writes there in the meantime keeps it.
#[test]
fn what_is_written_anew_before_its_space_is_given_back_stays() {
    let place = Place::new();
    let (disk, board) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, Board::new());
    disk.acquire(&board).unwrap();
    let bytes = vec![1; 64 << 10];
    let write = |announced: bool| {
        let writing = disk.write(0, &bytes, None).unwrap();
        announced.then(|| assert!(board.announce(0..64 << 10, 0)));
        writing
    };
    let end = |writing| disk.wrote(&board, writing, 64 << 10);
    end(write(true));
    assert!(disk.forget(&board, 0..64 << 10));
    end(write(true));
    disk.discard(&board, 0..64 << 10).unwrap();
    assert_eq!(fs::read(place.part()).unwrap(), bytes);
    // It is written, and not announced yet.
    assert!(disk.forget(&board, 0..64 << 10));
    let writing = write(false);
    disk.discard(&board, 0..64 << 10).unwrap();
    assert!(board.announce(0..64 << 10, 0));
    end(writing);
    assert_eq!(fs::read(place.part()).unwrap(), bytes);
}

/// A commit whose future was dropped, and that gets a thread only after the resource was begun anew.
#[test]
fn a_commit_that_comes_after_a_reset_keeps_nothing() {
    let place = Place::new();
    let (disk, board) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, Board::new());
    disk.acquire(&board).unwrap();
    drop(disk.write(0, &[1; 100], None).unwrap());
    assert!(board.announce(0..100, 0));
    assert!(board.commit(100).unwrap());
    disk.reset(&board).unwrap();
    disk.persist(&board, 100, None).unwrap();
    assert!(!place.path().exists(), "a hundred zeros");
    assert!(board.look().ranges.is_empty());
}

/// A handle that cannot be read through any more, because the file was locked through another one (on Windows).
#[test]
fn a_read_that_fails_goes_on_with_the_file_that_was_opened_since() {
    let place = Place::new();
    let (disk, board) = (Disk::open(FilePath::new(place.path()), SETTINGS).unwrap().0, Board::new());
    assert!(disk.file().is_none());
    disk.acquire(&board).unwrap();
    let first = disk.file().unwrap();
    assert!(disk.newer_file(&first).is_none(), "the error is one");
    disk.release(&board);
    disk.acquire(&board).unwrap();
    let second = disk.newer_file(&first).unwrap();
    assert!(disk.newer_file(&second).is_none());
    assert!(board.announce(0..100, 0));
    drop(disk.write(0, &[7; 100], None).unwrap());
    assert_eq!(second.read(&mut [0; 200], 0).unwrap(), 100);
}
