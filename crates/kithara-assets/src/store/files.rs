//! Taking a resource's files away.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use kithara_storage::{MAP_SUFFIX, NEW_SUFFIXES, PART_SUFFIX};

use crate::lock::Locked;

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Removes everything that belongs to the resource at `path`. `Ok(false)`: another process is writing it.
///
/// `is_locked`: its unfinished file is locked by this process, which may remove it therefore.
pub(super) fn remove(path: &Path, is_locked: bool) -> io::Result<bool> {
    let part = with_suffix(path, PART_SUFFIX);
    let held = if is_locked { None } else { open_if_present(&part)? };
    let _held = match held.map(Locked::new) {
        // A file system without locks: nobody can tell.
        None | Some(Err(TryLockError::Error(_))) => None,
        Some(Err(TryLockError::WouldBlock)) => return Ok(false),
        Some(Ok(held)) => Some(held),
    };
    // The complete file last: what a crash leaves in between is found again.
    for suffix in [MAP_SUFFIX].iter().chain(&NEW_SUFFIXES) {
        remove_if_present(&with_suffix(path, suffix))?;
    }
    remove_if_present(&part)?;
    remove_if_present(path)?;
    Ok(true)
}

/// Whether there is an unfinished file of the resource at `path`.
pub(super) fn is_begun(path: &Path) -> bool {
    with_suffix(path, PART_SUFFIX).exists()
}

/// Removes the unfinished file of the resource at `path` if nobody writes it and nothing is in it, or nothing that counts
/// (`is_worthless`).
pub(super) fn remove_empty(path: &Path, is_worthless: bool) -> io::Result<()> {
    let part = with_suffix(path, PART_SUFFIX);
    let Some(file) = open_if_present(&part)? else { return Ok(()) };
    let Ok(held) = Locked::new(file) else { return Err(io::ErrorKind::ResourceBusy.into()) };
    if !is_worthless && held.metadata()?.len() > 0 {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    remove_if_present(&with_suffix(path, MAP_SUFFIX))?;
    remove_if_present(&part)?;
    Ok(())
}

/// Removes the folders of an asset that have become empty, from that of `path` up to below `store`.
pub(super) fn prune(store: &Path, path: &Path) {
    let mut folder = path.parent();
    while let Some(empty) = folder.filter(|folder| *folder != store && folder.starts_with(store)) {
        if fs::remove_dir(empty).is_err() {
            return;
        }
        folder = empty.parent();
    }
}

fn open_if_present(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if is_absence(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

pub(super) fn remove_if_present(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// There is no such file; nor can there be one, where a folder on the way is none.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_in_a_process_that_is_being_started_does_not_keep_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("song.part");
        fs::write(&path, b"content").unwrap();
        let open = || File::open(&path).unwrap();
        let held = Locked::new(open()).unwrap();
        let copy = held.try_clone().unwrap();
        assert!(matches!(open().try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        open().try_lock().unwrap();
        drop(copy);
        // What is not empty stays, and can be written.
        assert!(remove_empty(&folder.path().join("song"), false).is_err());
        open().try_lock().unwrap();
    }
}
