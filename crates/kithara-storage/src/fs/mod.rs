//! Files below a trusted folder: opened relative to a handle on it, without following links.
//!
//! Whoever can write to a shared cache folder can plant a symbolic link, a hard link or a FIFO under a name that a store
//! is about to use. Every operation here walks from the trusted folder with `openat` and `O_NOFOLLOW`, opens regular files
//! only, and creates files with mode 0600 and folders with mode 0700. An entry of another kind under a file's name counts
//! as absent for readers and is replaced by writers; a link in the place of a folder is an error.
//!
//! Off Unix the same checks are made by path, right before the file is opened.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

mod lock;
#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

pub use lock::Locked;
#[cfg(not(unix))]
use other as os;
#[cfg(unix)]
use unix as os;

/// How often an entry that others keep replacing is tried, before the file is called busy.
const MAX_ATTEMPTS: usize = 16;

/// The path of a file of which the first folders are trusted, and the rest is opened without following links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePath {
    path: PathBuf,
    /// Components behind the trusted folder; at least one, the name of the file.
    depth: usize,
}

/// An open folder, in which files are named by one component.
#[derive(Debug)]
pub struct Folder(os::Handle);

/// The kind of an entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a pipe, a socket, a device.
    Other,
}

/// An entry of a folder, from [`Folder::entries`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// Its kind; a link is [`EntryKind::Other`] whatever it leads to.
    pub kind: EntryKind,
}

/// What [`Folder::metadata`] tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Length in bytes.
    pub len: u64,
    /// Milliseconds since 1970 of the last change; 0 where unknown.
    pub modified_ms: u64,
}

/// How a file is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading and writing in place.
    Write,
    /// Every write goes to the end.
    Append,
    /// Only to lock it: a file with several hard links is as good as any.
    Lock,
}

impl FilePath {
    /// A file whose folder is trusted.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), depth: 1 }
    }

    /// The file `relative` (of normal components alone) below the trusted `folder`.
    #[must_use]
    pub fn below(folder: &Path, relative: &Path) -> Self {
        Self { path: folder.join(relative), depth: relative.components().count().max(1) }
    }

    /// The whole path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file beside this one whose name has `suffix` appended.
    #[must_use]
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let path = self.path.as_os_str();
        let mut name = OsString::with_capacity(path.len() + suffix.len());
        name.push(path);
        name.push(suffix);
        Self { path: name.into(), depth: self.depth }
    }

    /// The name of the file.
    ///
    /// # Errors
    /// `InvalidInput` when the path ends in none.
    pub fn name(&self) -> io::Result<&OsStr> {
        self.path.file_name().ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Opens the folder of the file.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory` when a component below the trusted folder is a link or a file.
    pub fn folder(&self) -> io::Result<Folder> {
        self.walk(false)
    }

    /// As [`folder`](Self::folder), and makes what is missing.
    ///
    /// # Errors
    /// As [`folder`](Self::folder), but for `NotFound`; whatever making a folder fails with.
    pub fn make_folder(&self) -> io::Result<Folder> {
        self.walk(true)
    }

    fn walk(&self, make: bool) -> io::Result<Folder> {
        let trusted = match self.path.ancestors().nth(self.depth) {
            Some(path) if !path.as_os_str().is_empty() => path,
            _ => Path::new("."),
        };
        let mut folder = match Folder::open(trusted) {
            Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                make_all(trusted)?;
                Folder::open(trusted)?
            }
            opened => opened?,
        };
        let count = self.path.iter().count();
        for name in self.path.iter().take(count - 1).skip(count.saturating_sub(self.depth)) {
            folder = if make { folder.make_folder(name)? } else { folder.open_folder(name)? };
        }
        Ok(folder)
    }

    /// Opens the file for reading; `None` if there is no regular file.
    ///
    /// # Errors
    /// `IsADirectory`; whatever the system says, but for `NotFound`.
    pub fn open(&self) -> io::Result<Option<File>> {
        match self.folder() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            folder => folder?.open_file(self.name()?),
        }
    }

    /// Opens the file for writing, and makes it and its folders if need be; see [`Folder::open_or_create`].
    ///
    /// # Errors
    /// As [`Folder::open_or_create`].
    pub fn open_or_create(&self, access: Access) -> io::Result<File> {
        self.make_folder()?.open_or_create(self.name()?, access)
    }

    /// Makes the file, empty, in the place of whatever has its name; see [`Folder::create`].
    ///
    /// # Errors
    /// As [`Folder::create`].
    pub fn create(&self) -> io::Result<File> {
        self.make_folder()?.create(self.name()?)
    }

    /// Gives the file the name of `to`, which is in the same folder, in the place of what has that name.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn rename(&self, to: &Self) -> io::Result<()> {
        self.folder()?.rename(self.name()?, to.name()?)
    }

    /// Removes the file, or the link or pipe in its place. `true` if there was one.
    ///
    /// # Errors
    /// Whatever the system says, but for `NotFound`.
    pub fn remove(&self) -> io::Result<bool> {
        match self.folder() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            folder => folder?.remove(self.name()?),
        }
    }

    /// Whether there is an entry of this name, of whatever kind.
    ///
    /// # Errors
    /// Whatever the system says, but for `NotFound`.
    pub fn exists(&self) -> io::Result<bool> {
        match self.folder() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            folder => folder?.exists(self.name()?),
        }
    }

    /// Makes the names in the folder of the file durable.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn sync_folder(&self) -> io::Result<()> {
        self.folder()?.sync()
    }

    /// The length of `file`, if this path names that very file.
    ///
    /// # Errors
    /// Whatever the system says, but for `NotFound`.
    pub fn len_of(&self, file: &File) -> io::Result<Option<u64>> {
        match self.folder() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            folder => folder?.0.len_of(file, self.name()?),
        }
    }
}

/// Makes the folder `path` and those above it that are missing, for their owner alone. `path` is trusted.
///
/// # Errors
/// Whatever the system says.
pub fn make_all(path: &Path) -> io::Result<()> {
    os::make_all(path)
}

impl Folder {
    /// Opens a trusted folder. A link is followed here, and here alone.
    ///
    /// # Errors
    /// `NotFound`, `NotADirectory`.
    pub fn open(path: &Path) -> io::Result<Self> {
        os::Handle::open(path).map(Self)
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// `NotFound`; `NotADirectory` for a file or a link.
    pub fn open_folder(&self, name: &OsStr) -> io::Result<Self> {
        self.0.open_folder(name).map(Self)
    }

    /// Opens a folder in this one, and makes it if need be.
    ///
    /// # Errors
    /// `NotADirectory` for a file or a link; whatever making it fails with.
    pub fn make_folder(&self, name: &OsStr) -> io::Result<Self> {
        match self.open_folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.0.make_folder(name) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => {}
                }
                self.open_folder(name)
            }
            opened => opened,
        }
    }

    /// Opens a file for reading; `None` if there is no regular file of this name.
    ///
    /// # Errors
    /// `IsADirectory`; whatever the system says, but for `NotFound`.
    pub fn open_file(&self, name: &OsStr) -> io::Result<Option<File>> {
        self.0.open_file(name)
    }

    /// Opens a file for writing, and makes it if need be. A link, a pipe, or (unless only to be locked) a file with several
    /// hard links is removed first: writing through it would change a file outside of the folder, or block.
    ///
    /// # Errors
    /// `IsADirectory`; `ResourceBusy` when others keep replacing the file; whatever the system says.
    pub fn open_or_create(&self, name: &OsStr, access: Access) -> io::Result<File> {
        for _ in 0..MAX_ATTEMPTS {
            if let Some(file) = self.0.open_existing(name, access)? {
                return Ok(file);
            }
            match self.0.create_new(name, access) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Makes a file, empty and open for reading and writing, in the place of whatever has its name.
    ///
    /// # Errors
    /// `IsADirectory`; `ResourceBusy` when others keep making the file; whatever the system says.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        for _ in 0..MAX_ATTEMPTS {
            match self.0.create_new(name, Access::Write) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => drop(self.remove(name)?),
                created => return created,
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Gives a file another name in this folder, in the place of what has that name.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.0.rename(from, to)
    }

    /// Removes a file, a link or a pipe. `true` if there was one.
    ///
    /// # Errors
    /// Whatever the system says, but for `NotFound`.
    pub fn remove(&self, name: &OsStr) -> io::Result<bool> {
        match self.0.remove(name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes an empty folder in this one.
    ///
    /// # Errors
    /// `DirectoryNotEmpty`; whatever the system says.
    pub fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        self.0.remove_folder(name)
    }

    /// Whether there is an entry of this name, of whatever kind.
    ///
    /// # Errors
    /// Whatever the system says, but for `NotFound`.
    pub fn exists(&self, name: &OsStr) -> io::Result<bool> {
        self.0.stat(name).map(|found| found.is_some())
    }

    /// Length and time of a regular file; `None` if there is none of this name.
    ///
    /// # Errors
    /// Whatever the system says, but for `NotFound`.
    pub fn metadata(&self, name: &OsStr) -> io::Result<Option<FileInfo>> {
        Ok(self.0.stat(name)?.and_then(|(kind, info)| (kind == EntryKind::File).then_some(info)))
    }

    /// The entries, in no order, without `.` and `..`.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        self.0.entries()
    }

    /// Makes the names in this folder durable.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn below(folder: &Path, relative: &str) -> FilePath {
        FilePath::below(folder, Path::new(relative))
    }

    #[test]
    fn files_are_made_read_renamed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = below(folder.path(), "a/b/song");
        assert!(file.open().unwrap().is_none());
        assert!(!file.remove().unwrap());
        file.open_or_create(Access::Append).unwrap().write_all(b"one").unwrap();
        file.open_or_create(Access::Append).unwrap().write_all(b"two").unwrap();
        let mut text = String::new();
        file.open().unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "onetwo");
        let other = file.with_suffix(".new");
        file.rename(&other).unwrap();
        assert_eq!((file.exists().unwrap(), other.exists().unwrap()), (false, true));
        assert_eq!(other.create().unwrap().metadata().unwrap().len(), 0);
        let open = other.open().unwrap().unwrap();
        assert_eq!((other.len_of(&open).unwrap(), file.len_of(&open).unwrap()), (Some(0), None));
        let entries = other.folder().unwrap().entries().unwrap();
        assert_eq!(entries, [Entry { name: "song.new".into(), kind: EntryKind::File }]);
        assert!(other.remove().unwrap());
        assert_eq!(below(folder.path(), "a").open().unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::{PermissionsExt, symlink};
        use std::process::Command;

        use super::*;

        fn mode(path: &Path) -> u32 {
            path.symlink_metadata().unwrap().permissions().mode() & 0o777
        }

        #[test]
        fn only_the_owner_may_look() {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("made/store");
            let file = below(&root, "album/v0/song");
            drop(file.create().unwrap());
            drop(below(&root, "album/lock").open_or_create(Access::Lock).unwrap());
            for made in ["made", "made/store", "made/store/album", "made/store/album/v0"] {
                assert_eq!(mode(&folder.path().join(made)), 0o700, "{made}");
            }
            assert_eq!((mode(file.path()), mode(&root.join("album/lock"))), (0o600, 0o600));
        }

        #[test]
        fn no_link_is_followed() {
            let folder = tempfile::tempdir().unwrap();
            let (root, outside) = (folder.path().join("store"), folder.path().join("outside"));
            std::fs::create_dir_all(root.join("album")).unwrap();
            std::fs::create_dir(&outside).unwrap();
            std::fs::write(outside.join("mine"), b"precious").unwrap();
            symlink(&outside, root.join("link")).unwrap();
            let through = below(&root, "link/mine");
            for refused in [
                through.open().map(drop),
                through.remove().map(drop),
                through.create().map(drop),
                through.open_or_create(Access::Write).map(drop),
                below(&root, "link/new").create().map(drop),
                below(&root, "link/deeper/new").create().map(drop),
            ] {
                assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotADirectory);
            }
            let name = below(&root, "album/song");
            for hard in [false, true] {
                let plant = || {
                    name.remove().unwrap();
                    if hard {
                        std::fs::hard_link(outside.join("mine"), name.path()).unwrap();
                    } else {
                        symlink(outside.join("mine"), name.path()).unwrap();
                    }
                };
                plant();
                assert_eq!(name.open().unwrap().is_some(), hard, "a hard link is a file like any other");
                drop(name.create().unwrap());
                plant();
                for access in [Access::Append, Access::Write] {
                    plant();
                    name.open_or_create(access).unwrap().write_all(b"x").unwrap();
                }
                plant();
                assert!(name.remove().unwrap());
            }
            assert_eq!(std::fs::read(outside.join("mine")).unwrap(), b"precious");
            assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
        }

        #[test]
        fn a_pipe_neither_blocks_nor_counts() {
            let folder = tempfile::tempdir().unwrap();
            let pipe = below(folder.path(), "album/pipe");
            let make = || {
                let _ = pipe.remove();
                let _ = pipe.make_folder().unwrap();
                assert!(Command::new("mkfifo").arg(pipe.path()).status().unwrap().success());
            };
            make();
            assert!(pipe.open().unwrap().is_none());
            assert!(pipe.folder().unwrap().metadata(pipe.name().unwrap()).unwrap().is_none());
            for access in [Access::Write, Access::Append, Access::Lock] {
                make();
                assert!(pipe.open_or_create(access).unwrap().metadata().unwrap().is_file());
            }
        }
    }
}
