//! A disk that is full or read-only: a small tmpfs, where the machine lets us mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{
    Atomic, AtomicResource, RangeSet, ResourceStatus, StorageError, StorageOptions, Streaming, StreamingExt,
    StreamingResource, block_on,
};

struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// 2 MiB: as much again as is written before space is reserved ahead.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { folder };
        if disk.run("mount", &["-t", "tmpfs", "-o", "size=2m", "kithara-test"]) {
            return Some(disk);
        }
        eprintln!("SKIPPED: this machine lets nobody mount a small tmpfs");
        None
    }

    fn run(&self, command: &str, args: &[&str]) -> bool {
        let output = Command::new(command).args(args).arg(self.path()).output();
        output.is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn song(&self) -> PathBuf {
        self.path().join("song")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

#[test]
fn a_full_disk_is_a_typed_error_and_keeps_what_was_stored() {
    let Some(disk) = SmallDisk::mount() else { return };
    let resource =
        StreamingResource::disk(disk.song(), StorageOptions::new().with_journal_every(1).with_sync_every(1))
            .unwrap();
    let claim = resource.try_claim().unwrap().unwrap();
    // More than there is: space is reserved until there is none.
    resource.set_expected_len(8 << 20);
    let chunk = [7; 16 * 1024];
    let mut at = 0;
    let error = loop {
        match block_on(resource.write_at(at, &chunk)) {
            Ok(()) => at += chunk.len() as u64,
            Err(error) => break error,
        }
    };
    assert!(error.is_storage_full() && !error.is_retryable(), "{error:?}");
    assert!(at > 3 << 19, "full at {at}");
    assert_eq!(resource.available(), RangeSet::from(0..at), "nothing more is announced");
    let mut buf = [0; 100];
    assert_eq!(resource.read_at_blocking(at - 100, &mut buf).unwrap(), 100);
    assert_eq!(buf, [7; 100]);
    assert!(matches!(resource.status(), ResourceStatus::Open));
    drop((claim, resource));
    // Others are none the worse: an object keeps its old content.
    let object = AtomicResource::disk(disk.path().join("index"));
    assert!(block_on(object.write(&[1; 300_000])).unwrap_err().is_storage_full());
    assert_eq!(block_on(object.read()).unwrap(), None);
    // What was stored is known again, and the download goes on once there is room.
    let resource = StreamingResource::disk(disk.song(), StorageOptions::default()).unwrap();
    let known = resource.available().covered();
    assert!(known > 3 << 19 && known <= at);
    let claim = resource.try_claim().unwrap().unwrap();
    block_on(resource.reset()).unwrap();
    block_on(resource.write_at(0, &chunk)).unwrap();
    block_on(resource.commit(chunk.len() as u64)).unwrap();
    drop(claim);
}

/// A note that the disk takes only a part of.
#[test]
fn what_is_noted_after_a_full_disk_was_freed_is_known() {
    let Some(disk) = SmallDisk::mount() else { return };
    let settings = StorageOptions::new().with_journal_every(1).with_sync_every(u64::MAX);
    let resource = StreamingResource::disk(disk.song(), settings).unwrap();
    let claim = resource.try_claim().unwrap().unwrap();
    // All in one page of the file, so that the file needs nothing more, and the map does.
    block_on(resource.write_at(0, &[7])).unwrap();
    let ballast = disk.path().join("ballast");
    assert!(std::fs::write(&ballast, vec![1; 4 << 20]).is_err());
    let write = |numbers: std::ops::Range<u64>| {
        numbers.for_each(|number| block_on(resource.write_at(2 * number, &[7])).unwrap());
    };
    write(1..500);
    std::fs::remove_file(ballast).unwrap();
    write(500..505);
    // As if this process had been killed now.
    let known = StreamingResource::disk(disk.song(), settings).unwrap().available();
    assert_eq!(known.range_count(), 505);
    assert!(known == resource.available());
    drop(claim);
}

#[test]
fn a_read_only_folder_can_be_read() {
    let Some(disk) = SmallDisk::mount() else { return };
    let resource = StreamingResource::disk(disk.song(), StorageOptions::default()).unwrap();
    block_on(resource.write_at(0, b"content")).unwrap();
    block_on(resource.commit(7)).unwrap();
    drop(resource);
    let unfinished = disk.path().join("unfinished");
    let resource = StreamingResource::disk(&unfinished, StorageOptions::default()).unwrap();
    block_on(resource.write_at(0, b"begun")).unwrap();
    drop(resource);
    assert!(disk.run("mount", &["-o", "remount,ro"]));

    let resource = StreamingResource::disk(disk.song(), StorageOptions::default()).unwrap();
    assert_eq!(block_on(resource.read_to_end(100)).unwrap(), "content");
    for name in ["unfinished", "new"] {
        let resource = StreamingResource::disk(disk.path().join(name), StorageOptions::default()).unwrap();
        assert_eq!(resource.available_at(0), if name == "new" { 0 } else { 5 });
        let refused = resource.try_claim().map(drop);
        assert!(matches!(&refused, Err(StorageError::Io { .. })), "{refused:?}");
        assert!(
            matches!(block_on(resource.claim()).map(drop), Err(StorageError::Io { .. })),
            "refused, not stuck"
        );
    }
}
