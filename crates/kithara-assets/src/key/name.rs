//! Which names are allowed, and the form in which a component stands on disk.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::ResourceKey;

/// The folder of the indexes, hence no name for an asset.
pub(crate) const INDEX_FOLDER: &str = "_index";

/// Why a name is not a [`ResourceKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The name, or one of its components (`a//b`), is empty.
    #[error("a component is empty")]
    Empty,
    /// The path starts with `/`, or names a drive.
    #[error("the path is absolute")]
    Absolute,
    /// A component is `.` or `..`.
    #[error("a component is `.` or `..`")]
    Dots,
    /// A component holds `\`, `:` or a control character.
    #[error("a component holds a character that is a separator or a control character somewhere")]
    Character,
    /// A component ends in a dot or a space, which Windows drops.
    #[error("a component ends in a dot or a space")]
    Ending,
    /// A component is a device name of Windows, or the asset is called `_index`.
    #[error("a component is a reserved name")]
    Reserved,
    /// A component, or the whole path, is too long in its stored form.
    #[error("the name is too long")]
    TooLong,
    /// The path has too many components.
    #[error("the path has too many components")]
    TooDeep,
    /// An asset root has more than one component.
    #[error("an asset root is one component")]
    NotOneComponent,
}

pub(super) fn check_root(root: &str) -> Result<(), KeyFault> {
    if root.starts_with('/') {
        return Err(KeyFault::Absolute);
    }
    if root.contains('/') {
        return Err(KeyFault::NotOneComponent);
    }
    if root.eq_ignore_ascii_case(INDEX_FOLDER) {
        return Err(KeyFault::Reserved);
    }
    check_component(root).map(drop)
}

pub(super) fn check_rel_path(root: &str, rel: &str) -> Result<(), KeyFault> {
    if rel.is_empty() {
        return Err(KeyFault::Empty);
    }
    if rel.starts_with(['/', '\\']) || has_drive(rel) {
        return Err(KeyFault::Absolute);
    }
    // Only a name that could be too long is measured: a byte is stored as three at most.
    let may_be_long = 3 * (root.len() + rel.len()) + 64 > ResourceKey::MAX_PATH;
    let mut total = if may_be_long { encoded_len(root) } else { 0 };
    for (index, component) in rel.split('/').enumerate() {
        if index == ResourceKey::MAX_DEPTH {
            return Err(KeyFault::TooDeep);
        }
        total += 1 + check_component(component)?;
    }
    if total > ResourceKey::MAX_PATH { Err(KeyFault::TooLong) } else { Ok(()) }
}

fn has_drive(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

/// Whether a component is of the kind that [`super::KeyPolicy`] derives: told at a glance, in one pass. Ten thousand of them are
/// read from an index.
fn is_derived(component: &str) -> bool {
    let bytes = component.as_bytes();
    bytes.len() <= ResourceKey::MAX_COMPONENT
        // No device has such a long name, before a dot or in all.
        && bytes.len() > 40
        && bytes[..40].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && bytes[40..].iter().all(|byte| is_plain(*byte))
        && !component.ends_with('.')
        && escaped_dot(component).is_none()
}

/// The encoded length of an allowed component.
fn check_component(component: &str) -> Result<usize, KeyFault> {
    if is_derived(component) {
        return Ok(component.len());
    }
    if component.is_empty() {
        return Err(KeyFault::Empty);
    }
    if component == "." || component == ".." {
        return Err(KeyFault::Dots);
    }
    if component.chars().any(|c| matches!(c, '\\' | ':') || c.is_control()) {
        return Err(KeyFault::Character);
    }
    if component.ends_with(['.', ' ']) {
        return Err(KeyFault::Ending);
    }
    if is_device_name(component) {
        return Err(KeyFault::Reserved);
    }
    let len = encoded_len(component);
    if len > ResourceKey::MAX_COMPONENT { Err(KeyFault::TooLong) } else { Ok(len) }
}

/// `CON`, `nul.txt`, `com1 .log`, `LPT³`: reserved with any extension, in any case, blanks before the dot included.
fn is_device_name(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().trim_end_matches(' ');
    if ["con", "prn", "aux", "nul", "conin$", "conout$"].iter().any(|name| stem.eq_ignore_ascii_case(name)) {
        return true;
    }
    let (Some(port), Some(number)) = (stem.get(..3), stem.get(3..)) else { return false };
    let is_port = port.eq_ignore_ascii_case("com") || port.eq_ignore_ascii_case("lpt");
    let mut digits = number.chars();
    is_port
        && digits.next().is_some_and(|c| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³'))
        && digits.next().is_none()
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
}

/// The endings that the storage gives to its unfinished and temporary files.
const STORAGE_SUFFIXES: [&str; 4] = [".part", ".part.map", ".new", ".crc"];

/// Where a dot has to be written `%2e`, so that the name is not taken for a file of the storage's.
fn escaped_dot(component: &str) -> Option<usize> {
    STORAGE_SUFFIXES.iter().any(|suffix| component.ends_with(suffix)).then(|| component.rfind('.'))?
}

fn encoded_len(component: &str) -> usize {
    let bytes: usize = component.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum();
    bytes + if escaped_dot(component).is_some() { 2 } else { 0 }
}

/// The name of a component on disk; see [`ResourceKey`] for the form.
pub(crate) fn encode_component(component: &str) -> Cow<'_, str> {
    let dot = escaped_dot(component);
    if dot.is_none() && component.bytes().all(is_plain) {
        return Cow::Borrowed(component);
    }
    let mut name = String::with_capacity(encoded_len(component));
    for (index, byte) in component.bytes().enumerate() {
        if is_plain(byte) && dot != Some(index) {
            name.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(name, "%{byte:02x}");
        }
    }
    Cow::Owned(name)
}

/// Reads a component back from its name on disk; `None` for a name that [`encode_component`] never makes.
pub(crate) fn decode_component(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('%') {
        return (encode_component(name) == name).then_some(Cow::Borrowed(name));
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    let component = String::from_utf8(bytes).ok()?;
    (encode_component(&component) == name).then_some(Cow::Owned(component))
}

/// The key that the components of a file's path below the store's folder stand for; `None` for a foreign file.
pub(crate) fn decode_path<'a>(components: impl IntoIterator<Item = &'a str>) -> Option<ResourceKey> {
    let mut components = components.into_iter();
    let root = decode_component(components.next()?)?;
    let mut rel = String::new();
    for name in components {
        if !rel.is_empty() {
            rel.push('/');
        }
        rel.push_str(&decode_component(name)?);
    }
    ResourceKey::new(root, rel).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(rel: &str) -> Option<KeyFault> {
        check_rel_path("asset", rel).err()
    }

    #[test]
    fn bad_paths_are_told_apart() {
        assert_eq!(fault(""), Some(KeyFault::Empty));
        assert_eq!(fault("a//b"), Some(KeyFault::Empty));
        assert_eq!(fault("a/"), Some(KeyFault::Empty));
        assert_eq!(fault("/etc/passwd"), Some(KeyFault::Absolute));
        assert_eq!(fault("\\\\server\\share"), Some(KeyFault::Absolute));
        assert_eq!(fault("C:/x"), Some(KeyFault::Absolute));
        assert_eq!(fault("../x"), Some(KeyFault::Dots));
        assert_eq!(fault("a/../../x"), Some(KeyFault::Dots));
        assert_eq!(fault("a/./x"), Some(KeyFault::Dots));
        assert_eq!(fault("a\\..\\x"), Some(KeyFault::Character));
        assert_eq!(fault("file:stream"), Some(KeyFault::Character));
        assert_eq!(fault("a\0b"), Some(KeyFault::Character));
        assert_eq!(fault("a\nb"), Some(KeyFault::Character));
        assert_eq!(fault("a./b"), Some(KeyFault::Ending));
        assert_eq!(fault("a "), Some(KeyFault::Ending));
        assert_eq!(fault(&"x".repeat(201)), Some(KeyFault::TooLong));
        assert_eq!(fault(&"X".repeat(67)), Some(KeyFault::TooLong), "counted as stored");
        assert_eq!(fault(&vec!["x".repeat(190); 6].join("/")), Some(KeyFault::TooLong));
        assert_eq!(fault(&["d"; 17].join("/")), Some(KeyFault::TooDeep));
        assert_eq!(fault(&["d"; 16].join("/")), None);
        assert_eq!(fault(&"x".repeat(200)), None);
    }

    #[test]
    fn device_names_are_reserved_in_every_guise() {
        for name in [
            "con",
            "CON",
            "nul.txt",
            "AUX.tar.gz",
            "COM1",
            "lpt9.m4s",
            "com0",
            "LPT³.x",
            "con .txt",
            "CONIN$",
        ] {
            assert_eq!(fault(name), Some(KeyFault::Reserved), "{name}");
            assert_eq!(fault(&format!("ok/{name}")), Some(KeyFault::Reserved), "{name}");
        }
        for name in ["console", "com", "com10", "comx", "lp1", "nully", "a.con", "é1"] {
            assert_eq!(fault(name), None, "{name}");
        }
    }

    #[test]
    fn asset_roots_are_one_component_and_not_the_index() {
        assert_eq!(check_root("a/b"), Err(KeyFault::NotOneComponent));
        assert_eq!(check_root("_index"), Err(KeyFault::Reserved));
        assert_eq!(check_root("_INDEX"), Err(KeyFault::Reserved));
        assert_eq!(check_root(".."), Err(KeyFault::Dots));
        assert_eq!(check_root(""), Err(KeyFault::Empty));
        assert_eq!(check_root("/"), Err(KeyFault::Absolute));
        assert_eq!(check_root("Album (1999)"), Ok(()));
    }

    #[test]
    fn stored_names_survive_case_folding_and_come_back() {
        for name in [
            "seg_1.m4s",
            "Seg_1.m4s",
            "SEG_1.M4S",
            "é",
            "e\u{301}",
            "50%",
            "%41",
            "a b~c",
            "日本",
            "q?x=1&y",
            "x.part",
            "x.part.map",
            ".new",
            "x.map",
            "part",
        ] {
            let stored = encode_component(name);
            assert_eq!(stored, stored.to_lowercase(), "{name}");
            assert!(stored.is_ascii());
            assert_eq!(decode_component(&stored).as_deref(), Some(name));
            assert_eq!(stored.len(), encoded_len(name));
            assert!(!STORAGE_SUFFIXES.iter().any(|suffix| stored.ends_with(suffix)), "{name}");
        }
        assert_ne!(encode_component("A.ts"), encode_component("a.ts"));
    }

    #[test]
    fn names_that_we_never_make_are_foreign() {
        for name in
            ["Song.mp3", "%4", "%4G", "%4A", "%+1", "%61", "a b", "x~", "%ff", "x.part", "x.new", "%2e"]
        {
            assert_eq!(decode_component(name), None, "{name}");
        }
        assert!(decode_path(["_index", "lru.bin"]).is_none());
        assert!(decode_path(["asset"]).is_none());
        assert!(decode_path(["asset", "con"]).is_none());
        assert_eq!(decode_path(["%41sset", "v0", "s.ts"]), ResourceKey::new("Asset", "v0/s.ts").ok());
    }
}
