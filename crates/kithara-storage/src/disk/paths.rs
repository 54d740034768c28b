use crate::fs::FilePath;

/// The file names of one resource.
///
/// `NAME` exists exactly if the resource is committed: it comes into being by a rename. Until then there is `NAME.part` with
/// the bytes, which whoever fills it has locked, and `NAME.part.map`, which says what of it is real.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The only one that is kept: many resources are open at once, and few of them are being written.
    pub(crate) committed: FilePath,
}

/// The suffix of the file of an unfinished resource.
pub const PART_SUFFIX: &str = ".part";
/// The suffix of the journal of an unfinished resource.
pub const MAP_SUFFIX: &str = ".part.map";
/// Suffixes of files that replace another one in a moment, or were left by a crash just before.
pub const NEW_SUFFIXES: [&str; 3] = [".part.new", ".part.map.new", ".new"];

impl Paths {
    pub(crate) fn new(committed: FilePath) -> Self {
        Self { committed }
    }

    pub(crate) fn part(&self) -> FilePath {
        self.committed.with_suffix(PART_SUFFIX)
    }

    pub(crate) fn map(&self) -> FilePath {
        self.committed.with_suffix(MAP_SUFFIX)
    }
}
