//! Replacing a file so that a crash at any moment leaves the old or the new content.

use std::fs::File;
use std::io::{self, Read, Write};

use bytes::Bytes;

use crate::StorageError;
use crate::fs::{Access, FilePath};

/// How many other writers of the same file are waited for.
const MAX_ATTEMPTS: usize = 1000;

/// The steps of a replacement, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Opened,
    Locked,
    Emptied,
    HalfWritten,
    Written,
    Synced,
    Renamed,
    FolderSynced,
}

/// Replaces the content of `path`. After each step, `go_on` may stop the world there: that is for the tests, and production
/// always goes on.
pub(crate) fn replace(
    path: &FilePath,
    content: &[u8],
    mut go_on: impl FnMut(Step) -> bool,
) -> io::Result<()> {
    let new = path.with_suffix(".new");
    let mut step = |step| if go_on(step) { Ok(()) } else { Err(stopped()) };
    let mut file = lock(&new, &mut step)?;
    let mut fill = || {
        file.set_len(0)?;
        step(Step::Emptied)?;
        let (head, tail) = content.split_at(content.len() / 2);
        file.write_all(head)?;
        step(Step::HalfWritten)?;
        file.write_all(tail)?;
        step(Step::Written)?;
        file.sync_all()?;
        step(Step::Synced)?;
        new.rename(path)
    };
    if let Err(error) = fill() {
        if !is_stop(&error) {
            let _ = new.remove();
        }
        return Err(error);
    }
    step(Step::Renamed)?;
    path.sync_folder()?;
    step(Step::FolderSynced)
}

/// Opens `new` and waits until it is ours alone.
fn lock(new: &FilePath, step: &mut impl FnMut(Step) -> io::Result<()>) -> io::Result<File> {
    for _ in 0..MAX_ATTEMPTS {
        let file = new.open_or_create(Access::Write)?;
        step(Step::Opened)?;
        file.lock()?;
        // The previous holder of the lock may have renamed this file: then it is the content and must not be written.
        if new.len_of(&file)?.is_some() {
            step(Step::Locked)?;
            return Ok(file);
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

pub(crate) fn remove(path: &FilePath) -> io::Result<()> {
    if path.remove()? { path.sync_folder() } else { Ok(()) }
}

pub(crate) fn read_limited(path: &FilePath, limit: usize) -> Result<Option<Bytes>, StorageError> {
    let error = |source| StorageError::io("read", path.path(), source);
    let Some(file) = path.open().map_err(error)? else { return Ok(None) };
    let limit = limit as u64;
    let size = file.metadata().map_err(error)?.len();
    let too_large = |size| StorageError::TooLarge { size, limit };
    if size > limit {
        return Err(too_large(size));
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // One byte more than allowed shows a file that grew meanwhile.
    file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(error)?;
    if content.len() as u64 > limit {
        return Err(too_large(content.len() as u64));
    }
    Ok(Some(content.into()))
}

#[derive(Debug, thiserror::Error)]
#[error("stopped by a test")]
struct Stopped;

fn stopped() -> io::Error {
    io::Error::other(Stopped)
}

fn is_stop(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Stopped>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: [Step; 8] = [
        Step::Opened,
        Step::Locked,
        Step::Emptied,
        Step::HalfWritten,
        Step::Written,
        Step::Synced,
        Step::Renamed,
        Step::FolderSynced,
    ];

    fn content(path: &FilePath) -> Option<Bytes> {
        read_limited(path, 1 << 20).expect("readable at any moment")
    }

    /// A file is synchronised before it is renamed.
    #[test]
    fn the_steps_come_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        let record = |step| {
            seen.push(step);
            true
        };
        replace(&FilePath::new(folder.path().join("x")), b"content", record).unwrap();
        assert_eq!(seen, STEPS);
    }

    #[test]
    fn a_crash_between_any_two_steps_leaves_the_old_or_the_new_content() {
        let (old, new, next) = (b"old".repeat(50_000), b"newer".repeat(40_000), b"next".repeat(10));
        for crash in STEPS {
            for before in [None, Some(&old)] {
                let folder = tempfile::tempdir().unwrap();
                let path = FilePath::new(folder.path().join("object"));
                if let Some(old) = before {
                    replace(&path, old, |_| true).unwrap();
                }
                assert!(replace(&path, &new, |step| step != crash).is_err());
                let renamed = matches!(crash, Step::Renamed | Step::FolderSynced);
                let expected = if renamed { Some(&new) } else { before };
                assert_eq!(content(&path).as_deref(), expected.map(|e| &e[..]), "after {crash:?}");
                // Leftovers of the crash do not block the next write.
                replace(&path, &next, |_| true).unwrap();
                assert_eq!(content(&path).as_deref(), Some(&next[..]), "after {crash:?}");
                let left = std::fs::read_dir(folder.path()).unwrap().count();
                assert_eq!(left, 1, "litter after {crash:?}");
            }
        }
    }

    #[test]
    fn concurrent_writers_never_mix() {
        let folder = tempfile::tempdir().unwrap();
        let path = FilePath::new(folder.path().join("object"));
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace(path, &vec![writer; 10_000 + usize::from(writer)], |_| true).unwrap();
                        let read = content(path).unwrap();
                        assert!(read.iter().all(|byte| *byte == read[0]));
                        assert_eq!(read.len(), 10_000 + usize::from(read[0]));
                    }
                });
            }
        });
    }

    #[test]
    fn contents_above_the_limit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = FilePath::new(folder.path().join("object"));
        replace(&path, &[7; 100], |_| true).unwrap();
        assert!(matches!(read_limited(&path, 99), Err(StorageError::TooLarge { size: 100, limit: 99 })));
        assert_eq!(read_limited(&path, 100).unwrap().unwrap().len(), 100);
    }
}
