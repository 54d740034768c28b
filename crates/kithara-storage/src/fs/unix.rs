//! The file system relative to an open folder.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, fsync, mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::{Access, Entry, EntryKind, FileInfo};

const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);

/// A folder that is walked through need not be readable.
#[cfg(target_os = "linux")]
const WALK: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const WALK: OFlags = OFlags::RDONLY;

#[derive(Debug)]
pub(super) struct Handle(OwnedFd);

pub(super) fn make_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Handle {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, path, WALK | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    pub(super) fn open_folder(&self, name: &OsStr) -> io::Result<Self> {
        let flags = WALK | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.0, name, flags, Mode::empty()) {
            // What a link is called differs between systems.
            Err(Errno::LOOP | Errno::MLINK) => Err(io::ErrorKind::NotADirectory.into()),
            opened => Ok(Self(opened?)),
        }
    }

    pub(super) fn make_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(mkdirat(&self.0, name, FOLDER_MODE)?)
    }

    /// `NONBLOCK`: opening a pipe returns at once. For regular files it has no effect.
    fn open_flags(&self, name: &OsStr, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        openat(&self.0, name, flags, FILE_MODE).map(File::from)
    }

    pub(super) fn open_file(&self, name: &OsStr) -> io::Result<Option<File>> {
        match self.open_flags(name, OFlags::RDONLY) {
            Ok(file) => match file.metadata()? {
                found if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
                found => Ok(found.is_file().then_some(file)),
            },
            // Absent, a link, a socket.
            Err(Errno::NOENT | Errno::LOOP | Errno::MLINK | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// `None`: there is no file that may be written to, nor anything in its place any more.
    pub(super) fn open_existing(&self, name: &OsStr, access: Access) -> io::Result<Option<File>> {
        match self.open_flags(name, OFlags::RDWR | append(access)) {
            Ok(file) => {
                let found = file.metadata()?;
                if found.is_file() && (found.nlink() <= 1 || access == Access::Lock) {
                    return Ok(Some(file));
                }
            }
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO) => {}
            Err(error) => return Err(error.into()),
        }
        match self.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        }
    }

    pub(super) fn create_new(&self, name: &OsStr, access: Access) -> io::Result<File> {
        Ok(self.open_flags(name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | append(access))?)
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Option<(EntryKind, FileInfo)>> {
        let found = match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            found => found?,
        };
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the types differ between targets")]
        let (seconds, nanos) = (found.st_mtime as i64, found.st_mtime_nsec as i64);
        let modified_ms = u64::try_from(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000));
        let info = FileInfo {
            len: u64::try_from(found.st_size).unwrap_or(0),
            modified_ms: modified_ms.unwrap_or(0),
        };
        Ok(Some((kind(FileType::from_raw_mode(found.st_mode)), info)))
    }

    pub(super) fn len_of(&self, file: &File, name: &OsStr) -> io::Result<Option<u64>> {
        let here = file.metadata()?;
        let there = match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            found => found?,
        };
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the types differ between targets")]
        let is_same = here.dev() == there.st_dev as u64 && here.ino() == there.st_ino as u64;
        Ok(is_same.then_some(here.len()))
    }

    /// A handle that may be read and synchronised.
    fn readable(&self) -> io::Result<OwnedFd> {
        Ok(openat(&self.0, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::new(self.readable()?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let name = OsString::from_vec(name.to_vec());
            let kind = match entry.file_type() {
                FileType::Unknown => match self.stat(&name)? {
                    Some((kind, _)) => kind,
                    None => continue,
                },
                known => kind(known),
            };
            entries.push(Entry { name, kind });
        }
        Ok(entries)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(fsync(self.readable()?)?)
    }
}

fn append(access: Access) -> OFlags {
    if access == Access::Append { OFlags::APPEND } else { OFlags::empty() }
}

fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Folder,
        _ => EntryKind::Other,
    }
}
