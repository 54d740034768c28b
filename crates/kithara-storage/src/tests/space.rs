//! Space that is reserved ahead of a download: bounded, neither length nor content, and given back.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::disk::{Place, read, write};
use crate::{RangeSet, StorageError, Streaming, block_on};

const MIB: u64 = 1 << 20;
/// For what file systems round up and need for themselves.
const SLACK: u64 = 128 << 10;

/// Bytes that the unfinished file takes up on the disk.
fn taken(place: &Place) -> u64 {
    fs::metadata(place.part()).unwrap().blocks() * 512
}

/// Whether space can be reserved here at all.
fn can_reserve(place: &Place) -> bool {
    let file = fs::File::create(place.folder.path().join("probe")).unwrap();
    let can = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, MIB).is_ok();
    if !can {
        eprintln!("SKIPPED: this file system reserves nothing");
    }
    can
}

#[test]
fn reserved_space_is_bounded_and_given_back() {
    let place = Place::new();
    let resource = place.open();
    let claim = resource.try_claim().unwrap().unwrap();
    resource.set_expected_len(10 * MIB);
    let step = vec![7; 100_000];
    let written = 30 * step.len() as u64;
    for at in (0..written).step_by(step.len()) {
        write(&resource, at, &step);
        let len = fs::metadata(place.part()).unwrap().len();
        assert_eq!(len, at + step.len() as u64, "reserved, not written");
        assert!(taken(&place) <= len + MIB + SLACK, "at {at}");
    }
    assert!(!can_reserve(&place) || taken(&place) > written + SLACK, "nothing was reserved");
    assert_eq!(resource.available(), RangeSet::from(0..written));
    assert!(matches!(read(&resource, written, 1), Err(StorageError::NotAvailable { .. })));
    // It was shorter than expected.
    block_on(resource.commit(written)).unwrap();
    drop((claim, resource));
    let meta = fs::metadata(place.path()).unwrap();
    assert_eq!(meta.len(), written);
    assert!(meta.blocks() * 512 <= written + SLACK, "{} blocks", meta.blocks());
    assert!(fs::read(place.path()).unwrap().iter().all(|byte| *byte == 7));
}

/// A listener who seeks on and on, with a pause before each seek.
#[test]
fn jumps_leave_no_reserved_space_behind() {
    let place = Place::new();
    let resource = place.open();
    resource.set_expected_len(100 * MIB);
    let piece = [7; 4096];
    // What was there before, in the way of what is reserved.
    let old = 5 * MIB + 500_000;
    let claim = resource.try_claim().unwrap().unwrap();
    write(&resource, old, &piece);
    drop(claim);
    let mut written = piece.len() as u64;
    // Far ones, and such as stay within a megabyte.
    for step in [3 * MIB, MIB - 5000, 2 * MIB + 5000] {
        let claim = resource.try_claim().unwrap().unwrap();
        for jump in 1..10 {
            let from = if step == 3 * MIB { 2 * MIB } else { 40 * MIB };
            write(&resource, from + jump * step, &piece);
            written += piece.len() as u64;
            assert!(taken(&place) <= written + MIB + SLACK, "{} at jump {jump} by {step}", taken(&place));
        }
        drop(claim);
    }
    for range in resource.available().iter() {
        let stored = read(&resource, range.start, 4096).unwrap();
        assert!(stored.iter().all(|byte| *byte == 7), "{range:?} is not what was written");
    }
    assert!(resource.available().contains(&(old..old + 4096)));
}

#[test]
fn a_commit_gives_back_what_was_reserved_before_a_pause() {
    let place = Place::new();
    let resource = place.open();
    resource.set_expected_len(10 * MIB);
    let claim = resource.try_claim().unwrap().unwrap();
    write(&resource, 0, &vec![7; 2 * MIB as usize]);
    write(&resource, 2 * MIB, &[7; 4096]);
    drop((claim, resource));
    let len = 2 * MIB + 4096;
    assert!(!can_reserve(&place) || taken(&place) > len + SLACK, "nothing was reserved");
    // It ends right here.
    let resource = place.open();
    block_on(resource.commit(len)).unwrap();
    drop(resource);
    assert!(fs::metadata(place.path()).unwrap().blocks() * 512 <= len + SLACK);
}
