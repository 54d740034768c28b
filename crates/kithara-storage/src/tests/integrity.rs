//! Damage to stored bytes is noticed, and nothing is ever made up in their place.

use std::fs::{self, File};
use std::time::Duration;

use super::disk::{Place, read, write};
use crate::disk::{Disk, SUMS_SUFFIX};
use crate::fs::FilePath;
use crate::range_tracker::RangeTracker;
use crate::{StorageError, StorageOptions, Streaming, StreamingExt, block_on};

const LEN: usize = 200_000;
const OPTIONS: StorageOptions = StorageOptions::new().with_journal_every(u64::MAX);

fn body() -> Vec<u8> {
    (0..LEN).map(|at| (at / 7 + at * 3) as u8).collect()
}

fn commit(place: &Place) {
    let resource = place.open();
    write(&resource, 0, &body());
    block_on(resource.commit(LEN as u64)).unwrap();
    assert!(resource.has_checksums());
    assert_eq!(block_on(resource.read_to_end(LEN)).unwrap(), body());
}

fn sums(place: &Place) -> std::path::PathBuf {
    FilePath::new(place.path()).with_suffix(SUMS_SUFFIX).path().to_owned()
}

fn flip(place: &Place, at: usize) {
    let mut bytes = fs::read(place.path()).unwrap();
    bytes[at] ^= 0x10;
    fs::write(place.path(), bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_an_error_to_whoever_reads_its_block_and_to_nobody_else() {
    for at in [0, 70_000, LEN - 1] {
        let place = Place::new();
        commit(&place);
        flip(&place, at);
        let resource = place.open();
        for offset in (0..LEN).step_by(10_000) {
            let block = offset / 65_536..(offset + 99) / 65_536 + 1;
            let found = read(&resource, offset as u64, 100);
            if block.contains(&(at / 65_536)) {
                let Err(error @ StorageError::Damaged { .. }) = &found else { panic!("{found:?}") };
                assert!(error.is_damage() && !error.is_retryable());
            } else {
                assert_eq!(found.unwrap(), body()[offset..offset + 100], "{at} {offset}");
            }
        }
        let unverified = place.open_with(StorageOptions::new().with_checksums(false));
        assert_eq!(block_on(unverified.read_to_end(LEN)).unwrap().len(), LEN);
    }
}

#[test]
fn a_resource_without_checksums_is_read_as_it_is() {
    let place = Place::new();
    commit(&place);
    for sound in [b"".as_slice(), b"KSUM and no more"] {
        fs::write(sums(&place), sound).unwrap();
        let resource = place.open();
        assert!(!resource.has_checksums());
        assert_eq!(block_on(resource.read_to_end(LEN)).unwrap(), body());
    }
}

#[test]
fn checksums_go_with_their_resource() {
    let place = Place::new();
    commit(&place);
    let resource = place.open();
    let claim = resource.try_claim().unwrap().unwrap();
    block_on(resource.reset()).unwrap();
    assert!(!sums(&place).exists());
    write(&resource, 0, b"other");
    block_on(resource.commit(5)).unwrap();
    drop((claim, resource));
    let resource = place.open();
    assert!(resource.has_checksums());
    assert_eq!(block_on(resource.read_to_end(LEN)).unwrap(), b"other"[..]);
}

/// Another process cuts the file after the commit was decided on.
#[test]
fn a_file_cut_before_its_rename_is_not_filled_up_with_zeros() {
    for checksums in [true, false] {
        let place = Place::new();
        let options = OPTIONS.with_checksums(checksums);
        let (disk, tracker) =
            (Disk::open(FilePath::new(place.path()), options).unwrap().0, RangeTracker::new());
        disk.acquire(&tracker).unwrap();
        disk.write(0, &body(), None).unwrap().end(&tracker);
        assert!(tracker.announce(0..LEN as u64, 0));
        let found = disk.check_len(&tracker, LEN as u64).unwrap();
        tracker.commit(LEN as u64).unwrap();
        File::options().write(true).open(place.part()).unwrap().set_len(50_000).unwrap();
        let error = disk.persist(&tracker, LEN as u64, Some(found)).unwrap_err();
        assert!(matches!(error, StorageError::Truncated { actual: 50_000, .. }), "{error:?}");
        assert!(!place.path().exists());
        assert_eq!(fs::metadata(place.part()).unwrap().len(), 50_000);
    }
}

#[test]
fn what_came_slowly_is_known_after_a_crash() {
    for (after, known) in [(Duration::ZERO, 100), (Duration::MAX, 0)] {
        let place = Place::new();
        let options = StorageOptions::new().with_journal_after(after);
        let resource = place.open_with(options);
        write(&resource, 0, &[7; 100]);
        // As if this process had been killed now: the other handle sees what is on disk.
        assert_eq!(place.open().available_at(0), known);
        drop(resource);
    }
}
