//! A resource's files: removing them, and comparing a store with its folder.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kithara_storage::fs::{FilePath, Folder, Locked};
use kithara_storage::{MAP_SUFFIX, NEW_SUFFIXES, PART_SUFFIX, SUMS_SUFFIX};

use super::backing::{StoreInner, blocking};
use super::files;
use crate::catalog::{Entry, Place, VerifyReport, now_ms};
use crate::index::walk::{Found, walk};
use crate::{AssetsError, ResourceKey};

/// Removes everything that belongs to the resource at `file`. `Ok(false)`: another process is writing it.
///
/// `is_locked`: its unfinished file is locked by this process, which may remove it therefore.
pub(super) fn remove(file: &FilePath, is_locked: bool) -> io::Result<bool> {
    let part = file.with_suffix(PART_SUFFIX);
    let held = if is_locked { None } else { open_if_present(&part)? };
    let _held = match held.map(Locked::new) {
        // A file system without locks: whether it is being written is unknown.
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

/// A temporary file younger than this may be in use.
const TEMPORARY_FOR: Duration = Duration::from_secs(600);

impl StoreInner {
    pub(super) async fn verify(self: &Arc<Self>) -> Result<VerifyReport, AssetsError> {
        let Some(folder) = self.folder() else {
            let (resources, bytes) = (self.catalog().keys(None).len(), self.catalog().size());
            return Ok(VerifyReport { resources, bytes, ..VerifyReport::default() });
        };
        let path = folder.path.clone();
        let walked = blocking(move || walk(&path)).await?;
        let walked = walked.map_err(|error| AssetsError::folder(&folder.path, "read", error))?;
        let mut report = VerifyReport::default();
        let mut found: HashMap<ResourceKey, Found> = HashMap::new();
        for resource in walked.resources {
            let known = found.get(&resource.key);
            if known.is_none_or(|known| !known.complete) {
                found.insert(resource.key.clone(), resource);
            }
        }
        for key in self.catalog().keys(None) {
            let entry = self.catalog().entry(&key).filter(|entry| entry.on_disk);
            if entry.is_some() && !found.contains_key(&key) && self.open_entry(&key).is_none() {
                self.catalog().forget_place(&key, Place::Disk);
                if self.owns_files() {
                    // Its checksums may be left.
                    let _ = self.remove_files(&key, false).await;
                }
                report.missing += 1;
            }
        }
        for resource in found.into_values() {
            self.verify_one(resource, &mut report).await?;
        }
        report.temporary = self.remove_temporary(walked.temporary).await?;
        Ok(report)
    }

    async fn verify_one(&self, found: Found, report: &mut VerifyReport) -> Result<(), AssetsError> {
        let known = self.catalog().entry(&found.key).filter(|entry| entry.on_disk);
        let is_named_complete = found.complete;
        let found = match self.folder() {
            Some(folder) if is_named_complete => {
                let store = folder.path.clone();
                let settle = move || {
                    let mut found = found;
                    found.settle(&store, known.as_ref(), false);
                    found
                };
                blocking(settle).await?
            }
            _ => found,
        };
        let Found { key, bytes, modified, complete } = found;
        // The open handle's state is authoritative.
        let mut stored = bytes;
        match known {
            Some(known) if self.open_entry(&key).is_some() => stored = known.disk,
            // How much of an unfinished file is real, its map says; the index has it from there.
            Some(known) if !known.complete && !is_named_complete => stored = known.disk,
            Some(known) if known.complete == complete && known.disk == bytes => {}
            Some(known) if known.complete && (!complete || known.disk != bytes) && self.owns_files() => {
                self.remove_files(&key, false).await?;
                self.catalog().forget_place(&key, Place::Disk);
                report.corrected += 1;
                return Ok(());
            }
            Some(known) => {
                self.catalog().adopt(&key, Entry { disk: bytes, complete, ..known });
                report.corrected += 1;
            }
            None => {
                let entry =
                    self.catalog().entry(&key).unwrap_or(Entry { touched: modified, ..Entry::default() });
                self.catalog().adopt(&key, Entry { disk: bytes, on_disk: true, complete, ..entry });
                report.adopted += 1;
            }
        }
        report.resources += 1;
        report.bytes = report.bytes.saturating_add(stored);
        Ok(())
    }

    async fn remove_temporary(&self, temporary: Vec<FilePath>) -> Result<usize, AssetsError> {
        if !self.owns_files() {
            return Ok(0);
        }
        blocking(move || {
            let now = now_ms();
            let is_old = |file: &&FilePath| {
                let found = file.folder().and_then(|folder| folder.metadata(file.name()?));
                let age = found.ok().flatten().map(|found| now.saturating_sub(found.modified_ms));
                age.is_some_and(|age| u128::from(age) > TEMPORARY_FOR.as_millis())
            };
            let old = temporary.iter().filter(is_old);
            old.filter(|file| files::remove_if_present(file).unwrap_or(false)).count()
        })
        .await
    }
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
        // A file that is not empty stays, and can be written.
        assert!(remove_empty(&FilePath::new(folder.path().join("song")), false).is_err());
        open().try_lock().unwrap();
    }
}
