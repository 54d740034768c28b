use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file names of one resource.
///
/// `NAME` exists exactly if the resource is committed: it comes into being by a rename. Until then there is `NAME.part` with
/// the bytes, which whoever fills it has locked, and `NAME.part.map`, which says what of it is real.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The only one that is kept: many resources are open at once, and few of them are being written.
    pub(crate) committed: PathBuf,
}

/// The suffix of the file of an unfinished resource.
pub const PART_SUFFIX: &str = ".part";
/// The suffix of the file that says what an unfinished resource has.
pub const MAP_SUFFIX: &str = ".part.map";
/// Suffixes of files that replace another one in a moment, or were left by a crash just before.
pub const NEW_SUFFIXES: [&str; 3] = [".part.new", ".part.map.new", ".new"];

impl Paths {
    pub(crate) fn new(path: &Path) -> Self {
        Self { committed: path.to_owned() }
    }

    pub(crate) fn part(&self) -> PathBuf {
        with_suffix(&self.committed, PART_SUFFIX)
    }

    pub(crate) fn map(&self) -> PathBuf {
        with_suffix(&self.committed, MAP_SUFFIX)
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let path = path.as_os_str();
    let mut name = OsString::with_capacity(path.len() + suffix.len());
    name.push(path);
    name.push(suffix);
    name.into()
}

/// The folder of `path`; the current one for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return Ok(()); // Folders cannot be synchronised there; NTFS journals their changes in order.
    }
    File::open(parent(path))?.sync_all()
}

/// Removes a file. True if there was one.
pub(crate) fn remove_if_present(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
