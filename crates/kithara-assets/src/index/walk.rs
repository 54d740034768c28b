//! The resources that the folder itself holds.

use std::io;
use std::path::Path;

use kithara_storage::fs::{EntryKind, FilePath, Folder};
use kithara_storage::{SUMS_SUFFIX, has_sums};

use super::frame;
use crate::ResourceKey;
use crate::catalog::Entry;
use crate::key::{INDEX_FOLDER, decode_path, encode_component};

/// A resource that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: ResourceKey,
    pub(crate) bytes: u64,
    /// Milliseconds since 1970 of the last change.
    pub(crate) modified: u64,
    /// Whether it stands under its final name.
    pub(crate) complete: bool,
}

impl Found {
    /// Settles whether the file is complete. It is if the index says so (`known`, or `is_trusted`), or if the file itself shows
    /// that a store completed it with this length: by the checksums beside it, or, for a small object, by the frame around
    /// it. A file that was cut, or that another program put there, does not.
    pub(crate) fn settle(&mut self, store: &Path, known: Option<&Entry>, is_trusted: bool) {
        if !self.complete || is_trusted {
            return;
        }
        if let Some(known) = known.filter(|known| known.on_disk && known.complete)
            && self.is_as_long_as(known.disk)
        {
            self.bytes = known.disk;
            return;
        }
        let file = self.key.file_in(store);
        if frame::is_object(&file, self.bytes).unwrap_or(false) {
            self.bytes -= frame::HEADER as u64;
        } else {
            self.complete = has_sums(&file, self.bytes).unwrap_or(false);
        }
    }

    /// Whether the file is that of a resource of `len` bytes: as it is, or a small object in its frame.
    pub(crate) fn is_as_long_as(&self, len: u64) -> bool {
        self.bytes == len || self.bytes == len.saturating_add(frame::HEADER as u64)
    }
}

/// The files that a walk saw. Files with names that the store never gives are not looked at.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) resources: Vec<Found>,
    /// Files that were on their way to replace another one when their process ended.
    pub(crate) temporary: Vec<FilePath>,
}

#[derive(Debug, PartialEq, Eq)]
enum FileKind<'a> {
    Complete,
    Partial(&'a str),
    /// The journal beside a partial file.
    Map,
    /// The checksums beside a complete file.
    Sums(&'a str),
    Temporary,
}

/// Tells the storage's files apart by their names: `NAME` is complete, `NAME.part` is not, `NAME.part.map` says what the
/// latter has, `NAME.crc` verifies the former, and `*.new` is about to replace one of them.
fn classify(name: &str) -> FileKind<'_> {
    if name.ends_with(".new") {
        FileKind::Temporary
    } else if name.ends_with(".part.map") {
        FileKind::Map
    } else if let Some(stem) = name.strip_suffix(SUMS_SUFFIX) {
        FileKind::Sums(stem)
    } else if let Some(stem) = name.strip_suffix(".part") {
        FileKind::Partial(stem)
    } else {
        FileKind::Complete
    }
}

/// Walks the whole folder of a store.
pub(crate) fn walk(store: &Path) -> io::Result<Walked> {
    let mut walked = Walked::default();
    let folder = match Folder::open(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(walked),
        folder => folder?,
    };
    for entry in folder.entries()? {
        let Some(name) = entry.name.to_str().filter(|name| *name != INDEX_FOLDER) else { continue };
        if entry.kind == EntryKind::Folder {
            walk_below(store, &folder, &mut vec![name.to_owned()], &mut walked)?;
        }
    }
    Ok(walked)
}

/// Walks the folder of one asset.
pub(crate) fn walk_asset(store: &Path, root: &str) -> io::Result<Walked> {
    let mut walked = Walked::default();
    match Folder::open(store) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        folder => walk_below(store, &folder?, &mut vec![encode_component(root).into_owned()], &mut walked)?,
    }
    Ok(walked)
}

/// Walks the folder that the last of `components` names in `above`. A link in its place is not followed.
fn walk_below(
    store: &Path,
    above: &Folder,
    components: &mut Vec<String>,
    walked: &mut Walked,
) -> io::Result<()> {
    let name = components.last().map_or("", String::as_str);
    let folder = match above.open_folder(name.as_ref()) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        folder => folder?,
    };
    for entry in folder.entries()? {
        let Ok(name) = entry.name.into_string() else { continue };
        match entry.kind {
            EntryKind::Folder if components.len() < ResourceKey::MAX_DEPTH => {
                components.push(name);
                let inner = walk_below(store, &folder, components, walked);
                components.pop();
                inner?;
            }
            EntryKind::File => add_file(store, &folder, &name, components, walked)?,
            _ => {}
        }
    }
    Ok(())
}

fn add_file(
    store: &Path,
    folder: &Folder,
    name: &str,
    components: &[String],
    walked: &mut Walked,
) -> io::Result<()> {
    let (stem, complete) = match classify(name) {
        FileKind::Complete => (name, true),
        FileKind::Partial(stem) => (stem, false),
        FileKind::Map => return Ok(()),
        FileKind::Sums(stem) => {
            if !folder.exists(stem.as_ref())? {
                add_temporary(store, name, stem, components, walked);
            }
            return Ok(());
        }
        FileKind::Temporary => {
            let stem = name.strip_suffix(".new").unwrap_or(name);
            let stem = stem.strip_suffix(".map").unwrap_or(stem);
            let stem = stem.strip_suffix(".part").unwrap_or(stem);
            add_temporary(store, name, stem, components, walked);
            return Ok(());
        }
    };
    let Some(key) = decode_path(path_of(components, stem)) else { return Ok(()) };
    // A file that goes while we look is not there.
    if let Some(found) = folder.metadata(name.as_ref())? {
        walked.resources.push(Found { key, bytes: found.len, modified: found.modified_ms, complete });
    }
    Ok(())
}

/// Adds the file `name` that belongs to the resource `stem`, if there can be such a resource.
fn add_temporary(store: &Path, name: &str, stem: &str, components: &[String], walked: &mut Walked) {
    if decode_path(path_of(components, stem)).is_some() {
        let relative = path_of(components, name).collect::<std::path::PathBuf>();
        walked.temporary.push(FilePath::below(store, &relative));
    }
}

fn path_of<'a>(components: &'a [String], last: &'a str) -> impl Iterator<Item = &'a str> {
    components.iter().map(String::as_str).chain(Some(last))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn touch(folder: &Path, path: &str, len: usize) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; len]).unwrap();
    }

    #[test]
    fn resources_are_told_from_everything_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (path, len) in [
            ("album/v0/seg_1.m4s", 10),
            ("album/v0/seg_2.m4s.part", 7),
            ("album/v0/seg_2.m4s.part.map", 100),
            ("album/%53ong", 3),
            ("album/x.part%2emap", 1),
            ("album/Foreign.MP3", 1),
            ("album/old.part.new", 5),
            ("album/gone.crc", 5),
            ("album/%53ong.crc", 5),
            ("album/Foreign.new", 5),
            ("_index/lru.bin", 5),
            ("loose-file", 5),
        ] {
            touch(root, path, len);
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc", root.join("album/link")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();

        let mut walked = walk(root).unwrap();
        walked.resources.sort_by(|a, b| a.key.cmp(&b.key));
        let seen: Vec<_> = walked
            .resources
            .iter()
            .map(|found| (found.key.rel_path(), found.bytes, found.complete))
            .collect();
        assert_eq!(
            seen,
            [
                ("Song", 3, true),
                ("v0/seg_1.m4s", 10, true),
                ("v0/seg_2.m4s", 7, false),
                ("x.part.map", 1, true)
            ]
        );
        let temporary: Vec<_> = walked.temporary.iter().map(FilePath::path).collect();
        assert_eq!(temporary.len(), 2);
        assert!(temporary.contains(&&*root.join("album/old.part.new")));
        assert!(temporary.contains(&&*root.join("album/gone.crc")), "checksums of a resource that is gone");
        assert_eq!(walk_asset(root, "album").unwrap().resources.len(), 4);
        assert_eq!(walk_asset(root, "none").unwrap().resources.len(), 0);
        assert_eq!(walk(&root.join("none")).unwrap().resources.len(), 0);
    }
}
