//! What the folder itself says: the resources that it holds.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::ResourceKey;
use crate::key::{INDEX_FOLDER, decode_path, encode_component};

/// A resource that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: ResourceKey,
    pub(crate) bytes: u64,
    /// Milliseconds since 1970 of the last change.
    pub(crate) modified: u64,
    pub(crate) complete: bool,
}

/// What a walk saw. Files with names that the store never gives are not looked at.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) resources: Vec<Found>,
    /// Files that were on their way to replace another one when their process ended.
    pub(crate) temporary: Vec<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
enum FileKind<'a> {
    Complete,
    Partial(&'a str),
    /// The map beside a partial file.
    Map,
    Temporary,
}

/// Tells the storage's files apart by their names: `NAME` is complete, `NAME.part` is not, `NAME.part.map` says what the
/// latter has, and `*.new` is about to replace something.
fn classify(name: &str) -> FileKind<'_> {
    if name.ends_with(".new") {
        FileKind::Temporary
    } else if name.ends_with(".part.map") {
        FileKind::Map
    } else if let Some(stem) = name.strip_suffix(".part") {
        FileKind::Partial(stem)
    } else {
        FileKind::Complete
    }
}

/// Walks the whole folder of a store.
pub(crate) fn walk(folder: &Path) -> io::Result<Walked> {
    let mut walked = Walked::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(walked),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| *name != INDEX_FOLDER) else { continue };
        if entry.file_type()?.is_dir() {
            walk_into(&entry.path(), &mut vec![name.to_owned()], &mut walked)?;
        }
    }
    Ok(walked)
}

/// Walks the folder of one asset.
pub(crate) fn walk_asset(folder: &Path, root: &str) -> io::Result<Walked> {
    let mut walked = Walked::default();
    let name = encode_component(root).into_owned();
    walk_into(&folder.join(&name), &mut vec![name], &mut walked)?;
    Ok(walked)
}

fn walk_into(folder: &Path, components: &mut Vec<String>, walked: &mut Walked) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // A link may lead anywhere, and is none of ours.
        let file_type = entry.file_type()?;
        if file_type.is_dir() && components.len() < ResourceKey::MAX_DEPTH {
            components.push(name);
            let inner = walk_into(&entry.path(), components, walked);
            components.pop();
            inner?;
        } else if file_type.is_file() {
            note_file(&entry, &name, components, walked);
        }
    }
    Ok(())
}

fn note_file(entry: &fs::DirEntry, name: &str, components: &[String], walked: &mut Walked) {
    let (stem, complete) = match classify(name) {
        FileKind::Complete => (name, true),
        FileKind::Partial(stem) => (stem, false),
        FileKind::Map => return,
        FileKind::Temporary => {
            let stem = name.strip_suffix(".new").unwrap_or(name);
            let stem = stem.strip_suffix(".map").unwrap_or(stem);
            let stem = stem.strip_suffix(".part").unwrap_or(stem);
            if decode_path(path_of(components, stem)).is_some() {
                walked.temporary.push(entry.path());
            }
            return;
        }
    };
    let Some(key) = decode_path(path_of(components, stem)) else { return };
    // A file that goes while we look is not there.
    let Ok(metadata) = entry.metadata() else { return };
    walked.resources.push(Found { key, bytes: metadata.len(), modified: modified_ms(&metadata), complete });
}

fn path_of<'a>(components: &'a [String], last: &'a str) -> impl Iterator<Item = &'a str> {
    components.iter().map(String::as_str).chain(Some(last))
}

fn modified_ms(metadata: &Metadata) -> u64 {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
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
        assert_eq!(walked.temporary, [root.join("album/old.part.new")]);
        assert_eq!(walk_asset(root, "album").unwrap().resources.len(), 4);
        assert_eq!(walk_asset(root, "none").unwrap().resources.len(), 0);
        assert_eq!(walk(&root.join("none")).unwrap().resources.len(), 0);
    }
}
