//! What a resource on disk knows after it was closed, and how it meets other processes and a changing disk.
//!
//! A second handle that is opened separately is to the first what another process is: the lock belongs to the open file.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;

use crate::disk::{MAP_SUFFIX, PART_SUFFIX};
use crate::fs::FilePath;
use crate::{
    RangeSet, ResourceStatus, StorageError, StorageOptions, Streaming, StreamingExt, StreamingResource,
    block_on,
};

pub(super) struct Place {
    pub(super) folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("deep/er/song")
    }

    pub(super) fn part(&self) -> PathBuf {
        FilePath::new(self.path()).with_suffix(PART_SUFFIX).path().to_owned()
    }

    pub(super) fn map(&self) -> PathBuf {
        FilePath::new(self.path()).with_suffix(MAP_SUFFIX).path().to_owned()
    }

    pub(super) fn open_with(&self, settings: StorageOptions) -> StreamingResource {
        StreamingResource::disk(self.path(), settings).unwrap()
    }

    pub(super) fn open(&self) -> StreamingResource {
        self.open_with(StorageOptions::default())
    }

    fn files(&self) -> Vec<String> {
        let folder = self.path();
        let Ok(entries) = fs::read_dir(folder.parent().unwrap()) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(super) fn write(resource: &StreamingResource, offset: u64, data: &[u8]) {
    block_on(resource.write_at(offset, data)).unwrap();
}

pub(super) fn read(resource: &StreamingResource, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
    let mut buf = vec![0; len];
    let n = resource.read_at_blocking(offset, &mut buf)?;
    buf.truncate(n);
    Ok(buf)
}

#[test]
fn opening_and_reading_touch_nothing() {
    let place = Place::new();
    let resource = place.open();
    assert!(read(&resource, 0, 10).is_err());
    assert!(resource.available().is_empty());
    drop(resource);
    assert!(!place.folder.path().join("deep").exists());
}

#[test]
fn an_unfinished_resource_is_continued_where_it_was_left() {
    let place = Place::new();
    let resource = place.open();
    let claim = resource.try_claim().unwrap().unwrap();
    resource.set_tag(Some(Bytes::from_static(b"\"v1\"")));
    resource.set_expected_len(1000);
    write(&resource, 100, &[1; 100]);
    write(&resource, 500, &[2; 100]);
    drop(claim);
    drop(resource);
    assert_eq!(place.files(), ["song.part", "song.part.map"]);

    let resource = place.open();
    assert!(matches!(resource.status(), ResourceStatus::Open), "unfinished is never complete");
    assert_eq!(resource.available(), RangeSet::from_iter([100..200, 500..600]));
    assert_eq!((resource.expected_len(), resource.tag()), (Some(1000), Some(Bytes::from_static(b"\"v1\""))));
    assert_eq!(read(&resource, 150, 100).unwrap(), [1; 50]);
    let claim = resource.try_claim().unwrap().unwrap();
    assert_eq!((resource.available().covered(), resource.generation()), (200, 0));
    for gap in resource.available().gaps(0..1000).collect::<Vec<_>>() {
        write(&resource, gap.start, &vec![3; (gap.end - gap.start) as usize]);
    }
    block_on(resource.commit(1000)).unwrap();
    drop((claim, resource));
    assert_eq!(place.files(), ["song", "song.crc"], "a finished resource and its checksums");

    let resource = place.open();
    assert!(matches!(resource.status(), ResourceStatus::Committed { len: 1000 }));
    assert_eq!(block_on(resource.read_to_end(1000)).unwrap(), fs::read(place.path()).unwrap());
    assert!(block_on(resource.read_to_end(999)).is_err());
}

#[test]
fn a_commit_leaves_readers_of_the_unfinished_file_alone() {
    let place = Place::new();
    let resource = place.open();
    write(&resource, 0, &[5; 1000]);
    let elsewhere = {
        // Another process looks at what there is.
        block_on(resource.flush()).unwrap();
        place.open()
    };
    assert_eq!(elsewhere.available(), RangeSet::from(0..1000));
    block_on(resource.commit(1000)).unwrap();
    assert_eq!(read(&resource, 900, 200).unwrap(), [5; 100]);
    assert_eq!(read(&elsewhere, 900, 200).unwrap(), [5; 100]);
    // It learns of the end when it kind to write.
    drop(elsewhere.try_claim().unwrap().unwrap());
    assert_eq!(elsewhere.len(), Some(1000));
    assert_eq!(place.files(), ["song", "song.crc"]);
}

#[test]
fn a_second_process_reads_but_cannot_write_and_corrupts_nothing() {
    let place = Place::new();
    let first = place.open();
    let claim = first.try_claim().unwrap().unwrap();
    write(&first, 0, &[1; 500]);
    let second = place.open();
    for refused in [second.try_claim().map(drop), block_on(second.claim()).map(drop)] {
        assert!(
            matches!(&refused, Err(e @ StorageError::LockedElsewhere { .. }) if e.is_retryable()),
            "{refused:?}"
        );
    }
    assert!(matches!(block_on(second.write_at(0, &[9; 500])), Err(StorageError::LockedElsewhere { .. })));
    assert!(matches!(block_on(second.commit(0)), Err(StorageError::LockedElsewhere { .. })));
    assert_eq!(read(&first, 0, 500).unwrap(), [1; 500]);
    // The claim is given back: the second goes on where the first was.
    drop(claim);
    let claim = second.try_claim().unwrap().unwrap();
    assert_eq!(second.available(), RangeSet::from(0..500));
    assert!(matches!(first.try_claim(), Err(StorageError::LockedElsewhere { .. })));
    write(&second, 500, &[2; 500]);
    drop(claim);
    let claim = first.try_claim().unwrap().unwrap();
    assert_eq!(first.available(), RangeSet::from(0..1000), "what the other one stored");
    assert_eq!((read(&first, 700, 10).unwrap(), first.generation()), (vec![2; 10], 0));
    block_on(first.commit(1000)).unwrap();
    drop(claim);
}

#[test]
fn a_reset_elsewhere_is_a_new_generation_here() {
    let place = Place::new();
    let (first, second) = (place.open(), place.open());
    let claim = first.try_claim().unwrap().unwrap();
    write(&first, 0, &[1; 500]);
    drop(claim);
    let claim = second.try_claim().unwrap().unwrap();
    block_on(second.reset()).unwrap();
    write(&second, 0, &[2; 100]);
    assert_eq!(read(&first, 0, 500).unwrap(), [1; 500], "the first still reads the old entity, unmixed");
    drop(claim);
    let claim = first.try_claim().unwrap().unwrap();
    assert_eq!((first.generation(), first.available()), (1, RangeSet::from(0..100)));
    assert_eq!(read(&first, 0, 500).unwrap(), [2; 100]);
    drop(claim);
}

#[test]
fn a_claim_without_a_writer_leaves_no_stale_map() {
    let place = Place::new();
    let resource = place.open();
    write(&resource, 0, &[1; 500]);
    drop(resource);
    // Somebody removed the bytes and left the map, which speaks of a file that is gone.
    fs::remove_file(place.part()).unwrap();
    let resource = place.open();
    assert!(resource.available().is_empty());
    let claim = resource.try_claim().unwrap().unwrap();
    assert!(resource.available().is_empty());
    write(&resource, 400, &[2; 100]);
    drop((claim, resource));
    assert_eq!(place.open().available(), RangeSet::from(400..500));
}

/// Bytes that only the page cache had, at a power failure: they are claimed for the session that wrote them alone.
#[test]
fn after_a_power_failure_only_what_was_synchronised_is_known() {
    let place = Place::new();
    let resource = place.open();
    write(&resource, 0, &[1; 300]);
    block_on(resource.flush()).unwrap();
    write(&resource, 300, &[2; 300]);
    drop(resource);
    assert_eq!(place.open().available(), RangeSet::from(0..600), "a crash of the process");
    with_another_session(&place.map());
    assert_eq!(place.open().available(), RangeSet::from(0..300), "another run of the kernel");
    let resource = place.open();
    let claim = resource.try_claim().unwrap().unwrap();
    assert_eq!(resource.available(), RangeSet::from(0..300));
    write(&resource, 590, &[3; 10]);
    drop((claim, resource));
    assert_eq!(place.open().available(), RangeSet::from_iter([0..300, 590..600]));
}

/// Rewrites the newest record as if it came from an earlier run of the kernel.
fn with_another_session(map: &Path) {
    use crate::disk::record::{RecordRef, decode_last, encode};
    let record = decode_last(&fs::read(map).unwrap()).0.unwrap();
    let mut out = Vec::new();
    encode(
        &mut out,
        RecordRef {
            durable: &record.durable,
            written: &record.written,
            session: Some([0xAA; 16]),
            expected_len: record.expected_len,
            tag: None,
        },
    );
    fs::write(map, out).unwrap();
}

#[test]
fn a_torn_or_foreign_map_costs_at_most_its_newest_notes() {
    let place = Place::new();
    let resource = place.open_with(StorageOptions::new().with_journal_every(100).with_sync_every(u64::MAX));
    let claim = resource.try_claim().unwrap().unwrap();
    for part in 0..10 {
        write(&resource, part * 100, &[part as u8; 100]);
    }
    drop((claim, resource));
    let map = fs::read(place.map()).unwrap();
    for cut in 0..=map.len() {
        fs::write(place.map(), &map[..cut]).unwrap();
        let known = place.open().available();
        assert!(known.range_count() <= 1 && known.end() <= 1000 && known.end().is_multiple_of(100));
    }
    // What is appended to a torn map is found again.
    fs::write(place.map(), &map[..map.len() - 5]).unwrap();
    let resource = place.open();
    let claim = resource.try_claim().unwrap().unwrap();
    write(&resource, 5000, &[9; 100]);
    drop((claim, resource));
    assert_eq!(place.open().available(), RangeSet::from_iter([0..900, 5000..5100]));
    for garbage in [&b""[..], b"garbage", &[0; 5000]] {
        fs::write(place.map(), garbage).unwrap();
        assert!(place.open().available().is_empty());
    }
}

#[test]
fn a_map_grows_within_bounds() {
    let place = Place::new();
    let resource = place.open_with(StorageOptions::new().with_journal_every(1).with_sync_every(u64::MAX));
    for part in 0..6000 {
        write(&resource, part * 2, &[1]);
        assert!(part % 500 > 0 || fs::metadata(place.map()).unwrap().len() < 2_000_000);
    }
    drop(resource);
    assert_eq!(place.open().available().range_count(), 6000);
}

#[test]
fn an_unfinished_file_that_shrinks_is_an_error_and_can_be_mended() {
    let place = Place::new();
    let resource = place.open();
    let claim = resource.try_claim().unwrap().unwrap();
    write(&resource, 0, &[1; 1000]);
    fs::OpenOptions::new().write(true).open(place.part()).unwrap().set_len(400).unwrap();
    assert_eq!(read(&resource, 300, 500).unwrap(), [1; 100]);
    let error = read(&resource, 500, 10).unwrap_err();
    assert!(
        matches!(error, StorageError::Truncated { actual: 400, committed: false, .. })
            && error.is_retryable()
    );
    assert!(matches!(read(&resource, 500, 10), Err(StorageError::NotAvailable { .. })), "it is missing now");
    assert_eq!(resource.available(), RangeSet::from(0..400));
    // Shrunk once more, and nobody read it before the commit.
    write(&resource, 400, &[1; 600]);
    fs::OpenOptions::new().write(true).open(place.part()).unwrap().set_len(10).unwrap();
    assert!(matches!(block_on(resource.commit(1000)), Err(StorageError::Truncated { .. })));
    assert!(matches!(resource.status(), ResourceStatus::Open));
    write(&resource, 10, &[1; 990]);
    block_on(resource.commit(1000)).unwrap();
    drop(claim);
    assert_eq!(fs::read(place.path()).unwrap(), [1; 1000]);
}

#[test]
fn what_a_shrunken_file_lost_is_not_claimed_again() {
    let place = Place::new();
    let resource = place.open();
    write(&resource, 0, &[1; 1000]);
    block_on(resource.flush()).unwrap();
    fs::OpenOptions::new().write(true).open(place.part()).unwrap().set_len(400).unwrap();
    assert!(read(&resource, 500, 10).is_err());
    // The file is as long as before, with a hole in it.
    write(&resource, 900, &[1; 100]);
    drop(resource);
    assert_eq!(place.open().available(), RangeSet::from_iter([0..400, 900..1000]));
}

#[test]
fn a_finished_file_that_shrinks_or_vanishes_is_an_error() {
    let place = Place::new();
    let resource = place.open();
    write(&resource, 0, &[1; 1000]);
    block_on(resource.commit(1000)).unwrap();
    let reader = place.open();
    fs::OpenOptions::new().write(true).open(place.path()).unwrap().set_len(400).unwrap();
    let error = read(&reader, 500, 10).unwrap_err();
    assert!(
        matches!(error, StorageError::Truncated { actual: 400, committed: true, .. })
            && !error.is_retryable()
    );
    assert_eq!(read(&reader, 300, 500).unwrap(), [1; 100]);
    fs::remove_file(place.path()).unwrap();
    assert_eq!(read(&reader, 300, 500).unwrap(), [1; 100], "an open file stays readable");
    assert!(place.open().available().is_empty());
}

#[test]
fn an_unfinished_file_that_vanishes_fails_the_commit_and_blocks_nobody() {
    let place = Place::new();
    let resource = place.open();
    write(&resource, 0, &[1; 1000]);
    fs::remove_file(place.part()).unwrap();
    assert!(matches!(block_on(resource.commit(1000)), Err(StorageError::Io { .. })));
    assert_eq!(read(&resource, 0, 1000).unwrap(), [1; 1000], "playback goes on");
    let next = place.open();
    let claim = next.try_claim().unwrap().unwrap();
    assert!(next.available().is_empty());
    write(&next, 0, b"new");
    block_on(next.commit(3)).unwrap();
    drop(claim);
    drop(resource);
    assert_eq!(fs::read(place.path()).unwrap(), b"new");
}

#[test]
fn a_folder_in_the_way_is_an_error() {
    let place = Place::new();
    fs::create_dir_all(place.path()).unwrap();
    assert!(matches!(
        StreamingResource::disk(place.path(), StorageOptions::default()),
        Err(StorageError::Io { .. })
    ));
    fs::remove_dir(place.path()).unwrap();
    fs::create_dir_all(place.part()).unwrap();
    assert!(matches!(
        StreamingResource::disk(place.path(), StorageOptions::default()),
        Err(StorageError::Io { .. })
    ));
}

/// Everything that was left by a crash anywhere inside of a reset or a commit.
#[test]
fn leftovers_block_nobody() {
    for leftover in ["song.part", "song.part.new", "song.part.map", "song.part.map.new", "song.new"] {
        let place = Place::new();
        fs::create_dir_all(place.path().parent().unwrap()).unwrap();
        fs::write(place.path().with_file_name(leftover), b"left by a crash").unwrap();
        let resource = place.open();
        assert!(resource.available().is_empty(), "{leftover}");
        let claim = resource.try_claim().unwrap().unwrap();
        write(&resource, 0, b"old");
        block_on(resource.reset()).unwrap();
        write(&resource, 0, b"new content");
        block_on(resource.commit(11)).unwrap();
        drop((claim, resource));
        assert_eq!(fs::read(place.path()).unwrap(), b"new content");
        // A reset of the committed resource that was cut short right before its last step.
        fs::write(place.part(), b"").unwrap();
        let resource = place.open();
        assert_eq!(resource.len(), Some(11));
    }
}

/// What another process sees at this moment is what would be left if this one were killed.
#[test]
fn nothing_of_the_old_entity_is_claimed_after_a_reset() {
    let place = Place::new();
    let resource = place.open_with(StorageOptions::new().with_journal_every(50).with_sync_every(u64::MAX));
    let claim = resource.try_claim().unwrap().unwrap();
    write(&resource, 0, &[1; 1000]);
    block_on(resource.flush()).unwrap();
    assert_eq!(place.open().available(), RangeSet::from(0..1000));
    block_on(resource.reset()).unwrap();
    assert!(place.open().available().is_empty());
    write(&resource, 960, &[2; 40]);
    assert!(place.open().available().is_empty(), "not noted yet");
    write(&resource, 950, &[2; 10]);
    assert_eq!(place.open().available(), RangeSet::from(950..1000));
    block_on(resource.discard(0..960)).unwrap();
    assert_eq!(place.open().available(), RangeSet::from(960..1000));
    drop(claim);
}

/// Bytes that are not in the page cache are read on a blocking thread, from either runtime and from none.
#[cfg(target_os = "linux")]
#[test]
fn a_cold_file_is_read_whole() {
    let place = Place::new();
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect();
    let resource = place.open();
    write(&resource, 0, &body);
    block_on(resource.commit(body.len() as u64)).unwrap();
    let forget = || {
        let file = fs::File::open(place.path()).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    };
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for attempt in 0..3 {
        forget();
        let resource = place.open();
        let read = resource.read_to_end(body.len());
        let read = match attempt {
            0 => current.block_on(read),
            1 => many.block_on(read),
            _ => block_on(read),
        };
        assert!(read.unwrap() == body);
    }
}
