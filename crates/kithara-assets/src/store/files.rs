//! Taking a resource's files away.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use kithara_storage::fs::{FilePath, Folder};
use kithara_storage::{MAP_SUFFIX, NEW_SUFFIXES, PART_SUFFIX, SUMS_SUFFIX};

use crate::ResourceKey;
use crate::lock::Locked;

/// Removes everything that belongs to the resource at `file`. `Ok(false)`: another process is writing it.
///
/// `is_locked`: its unfinished file is locked by this process, which may remove it therefore.
pub(super) fn remove(file: &FilePath, is_locked: bool) -> io::Result<bool> {
    let part = file.with_suffix(PART_SUFFIX);
    let held = if is_locked { None } else { open_if_present(&part)? };
    let _held = match held.map(Locked::new) {
        // A file system without locks: nobody can tell.
        None | Some(Err(TryLockError::Error(_))) => None,
        Some(Err(TryLockError::WouldBlock)) => return Ok(false),
        Some(Ok(held)) => Some(held),
    };
    // The complete file last: what a crash leaves in between is found again. Checksums alone are removed by `verify`.
    for suffix in [MAP_SUFFIX].iter().chain(&NEW_SUFFIXES) {
        remove_if_present(&file.with_suffix(suffix))?;
    }
    remove_if_present(&part)?;
    remove_if_present(file)?;
    remove_if_present(&file.with_suffix(SUMS_SUFFIX))?;
    Ok(true)
}

/// Whether there is an unfinished file of the resource at `file`.
pub(super) fn is_begun(file: &FilePath) -> bool {
    file.with_suffix(PART_SUFFIX).exists().unwrap_or(false)
}

/// Removes the unfinished file of the resource at `file` if nobody writes it and nothing is in it, or nothing that counts
/// (`is_invalid`).
pub(super) fn remove_empty(file: &FilePath, is_invalid: bool) -> io::Result<()> {
    let part = file.with_suffix(PART_SUFFIX);
    let Some(open) = open_if_present(&part)? else { return Ok(()) };
    let Ok(held) = Locked::new(open) else { return Err(io::ErrorKind::ResourceBusy.into()) };
    if !is_invalid && held.metadata()?.len() > 0 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    remove_if_present(&file.with_suffix(MAP_SUFFIX))?;
    remove_if_present(&part)?;
    Ok(())
}

/// Removes the folders of an asset that have become empty, from that of `key` up to below `store`.
pub(super) fn prune(store: &Path, key: &ResourceKey) {
    let file = key.path_in(Path::new(""));
    let mut relative = file.parent();
    while let Some(empty) = relative.filter(|path| !path.as_os_str().is_empty()) {
        let folder = FilePath::below(store, empty);
        let removed = folder.folder().and_then(|above: Folder| above.remove_folder(folder.name()?));
        if removed.is_err() {
            return;
        }
        relative = empty.parent();
    }
}

fn open_if_present(file: &FilePath) -> io::Result<Option<File>> {
    match file.open() {
        Err(error) if is_absence(&error) => Ok(None),
        opened => opened,
    }
}

pub(super) fn remove_if_present(file: &FilePath) -> io::Result<bool> {
    match file.remove() {
        Err(error) if is_absence(&error) => Ok(false),
        removed => removed,
    }
}

/// Nor can there be such a file, where a folder on the way is none.
fn is_absence(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotADirectory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forked_child_does_not_hold_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("song.part");
        std::fs::write(&path, b"content").unwrap();
        let open = || File::open(&path).unwrap();
        let held = Locked::new(open()).unwrap();
        let copy = held.try_clone().unwrap();
        assert!(matches!(open().try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        open().try_lock().unwrap();
        drop(copy);
        // What is not empty stays, and can be written.
        assert!(remove_empty(&FilePath::new(folder.path().join("song")), false).is_err());
        open().try_lock().unwrap();
    }
}
