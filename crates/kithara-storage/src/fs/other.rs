//! The file system by path, for systems without `openat`: what a name stands for is checked right before it is used.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::{Access, Entry, EntryKind, FileInfo};

#[derive(Debug)]
pub(super) struct Handle(PathBuf);

pub(super) fn make_all(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if fs::metadata(path)?.is_dir() {
            Ok(Self(path.to_owned()))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn open_folder(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.0.join(name);
        if path.symlink_metadata()?.is_dir() {
            Ok(Self(path))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(super) fn make_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::create_dir(self.0.join(name))
    }

    fn look(&self, name: &OsStr) -> io::Result<Option<Metadata>> {
        match self.0.join(name).symlink_metadata() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn open_file(&self, name: &OsStr) -> io::Result<Option<File>> {
        match self.look(name)? {
            Some(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Some(found) if found.is_file() => match File::open(self.0.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                opened => opened.map(Some),
            },
            _ => Ok(None),
        }
    }

    pub(super) fn open_existing(&self, name: &OsStr, access: Access) -> io::Result<Option<File>> {
        match self.look(name)? {
            Some(found) if found.is_file() => match options(access).open(self.0.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                opened => opened.map(Some),
            },
            Some(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Some(_) => self.remove(name).map(|()| None),
            None => Ok(None),
        }
    }

    pub(super) fn create_new(&self, name: &OsStr, access: Access) -> io::Result<File> {
        options(access).create_new(true).open(self.0.join(name))
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    pub(super) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_dir(self.0.join(name))
    }

    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Option<(EntryKind, FileInfo)>> {
        Ok(self.look(name)?.map(|found| {
            let modified = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let modified_ms =
                modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
            (kind(found.file_type()), FileInfo { len: found.len(), modified_ms })
        }))
    }

    #[cfg(windows)]
    pub(super) fn len_of(&self, file: &File, name: &OsStr) -> io::Result<Option<u64>> {
        // The standard library opens files so that others may rename and remove them.
        match File::open(self.0.join(name)) {
            Ok(there) if crate::disk::is_same(file, &there)? => Ok(Some(file.metadata()?.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let entries = fs::read_dir(&self.0)?;
        let entry = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok(Entry { name: entry.file_name(), kind: kind(entry.file_type()?) })
        };
        entries.map(entry).collect()
    }

    /// Windows synchronises no folders; NTFS journals their changes in order.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(access != Access::Append).append(access == Access::Append);
    options
}

fn kind(file_type: fs::FileType) -> EntryKind {
    if file_type.is_file() {
        EntryKind::File
    } else if file_type.is_dir() {
        EntryKind::Folder
    } else {
        EntryKind::Other
    }
}
