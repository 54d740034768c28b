//! Names of resources: the allowed ones, and those derived from URLs.

mod name;
mod policy;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kithara_storage::fs::FilePath;
use url::Url;

pub use self::name::KeyFault;
pub(crate) use self::name::{INDEX_FOLDER, decode_path, encode_component};
pub use self::policy::KeyPolicy;
pub(crate) use self::policy::name_of_manifest;
use crate::AssetsError;

/// The folder of the manifests below an asset. Its resources are no part of listings.
pub(crate) const MANIFEST_FOLDER: &str = "_manifest/";

/// The name of one resource: the asset it belongs to, and its path below that asset.
///
/// An *asset* is what an application would delete or pin as one thing (an HLS presentation, a file); its resources are
/// the playlists, segments, keys and bodies that it is made of. Cloning costs two reference counts.
///
/// # What is allowed
/// `asset_root` is one path component, `rel_path` is one to sixteen of them separated by `/`. A component is not empty,
/// not `.` or `..`, holds no `\`, `:`, NUL or other control character, does not end in a dot or a space, is not a device
/// name of Windows (`CON`, `nul.txt`, `COM1`, …), and its encoded form (below) has at most [`ResourceKey::MAX_COMPONENT`]
/// bytes; the whole path has at most [`ResourceKey::MAX_PATH`]. `_index` is reserved as an asset root.
///
/// # On disk
/// A component is stored under itself when it consists of `a-z 0-9 . _ -`, and every other byte of its UTF-8 form is
/// written `%xx` (so is the last dot of a name that ends in `.part`, `.part.map` or `.new`, as the storage's own files do). So `Song` and `song`, or the composed and decomposed form of `é`, stay two files on a file system that
/// ignores case or normalises Unicode, and no key can collide with a temporary file of the storage.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey {
    asset_root: Arc<str>,
    rel_path: Arc<str>,
}

impl ResourceKey {
    /// Longest encoded component, in bytes: leaves room below the usual limit of 255 for the suffixes of temporary files.
    pub const MAX_COMPONENT: usize = 200;
    /// Longest encoded `asset_root/rel_path`, in bytes.
    pub const MAX_PATH: usize = 1024;
    /// Most components of a `rel_path`.
    pub const MAX_DEPTH: usize = 16;

    /// A key of the application's own choosing.
    ///
    /// # Errors
    /// [`AssetsError::InvalidKey`], with the rule that was broken.
    pub fn new(asset_root: impl AsRef<str>, rel_path: impl AsRef<str>) -> Result<Self, AssetsError> {
        let (root, rel) = (asset_root.as_ref(), rel_path.as_ref());
        let invalid = |fault| AssetsError::InvalidKey { key: format!("{root}/{rel}"), fault };
        name::check_root(root).map_err(invalid)?;
        name::check_rel_path(root, rel).map_err(invalid)?;
        Ok(Self { asset_root: root.into(), rel_path: rel.into() })
    }

    /// The key of a URL that belongs to the asset opened by `root_url` (for a single file both are the same URL).
    ///
    /// Two URLs that `policy` tells apart never share a key: the name holds 160 bits of a SHA-256 over what the policy
    /// says the URL *is*. The readable rest of the name is for people only.
    #[must_use]
    pub fn from_url(root_url: &Url, resource_url: &Url, policy: &KeyPolicy) -> Self {
        Self {
            asset_root: policy::root_name(root_url, policy).into(),
            rel_path: policy::resource_name(resource_url, None, policy).into(),
        }
    }

    /// The key of a part of a URL's body (an HLS segment with `EXT-X-BYTERANGE`, RFC 8216 section 4.3.2.2): `length`
    /// bytes from `offset`. Distinct from the whole and from every other part.
    #[must_use]
    pub fn from_url_range(
        root_url: &Url,
        resource_url: &Url,
        offset: u64,
        length: u64,
        policy: &KeyPolicy,
    ) -> Self {
        Self {
            asset_root: policy::root_name(root_url, policy).into(),
            rel_path: policy::resource_name(resource_url, Some((offset, length)), policy).into(),
        }
    }

    /// The asset that a URL opens: what [`ResourceKey::from_url`] uses for `root_url`.
    #[must_use]
    pub fn asset_root_for(root_url: &Url, policy: &KeyPolicy) -> String {
        policy::root_name(root_url, policy)
    }

    /// A second resource beside this one, e.g. `key.sibling("meta")`: the same path with `.` and `suffix` appended.
    ///
    /// # Errors
    /// [`AssetsError::InvalidKey`] when the longer name is not allowed.
    pub fn sibling(&self, suffix: &str) -> Result<Self, AssetsError> {
        Self::new(&self.asset_root, format!("{}.{suffix}", self.rel_path))
    }

    /// The asset this resource belongs to.
    #[must_use]
    pub fn asset_root(&self) -> &str {
        &self.asset_root
    }

    /// The path below the asset, components separated by `/`.
    #[must_use]
    pub fn rel_path(&self) -> &str {
        &self.rel_path
    }

    /// Where a disk store below `folder` keeps this resource.
    #[must_use]
    pub fn path_in(&self, folder: &Path) -> PathBuf {
        let mut path = folder.join(&*encode_component(&self.asset_root));
        for component in self.rel_path.split('/') {
            path.push(&*encode_component(component));
        }
        path
    }

    /// The file of this resource in a disk store whose trusted folder is `folder`.
    pub(crate) fn file_in(&self, folder: &Path) -> FilePath {
        FilePath::below(folder, &self.path_in(Path::new("")))
    }

    pub(crate) fn root_arc(&self) -> &Arc<str> {
        &self.asset_root
    }

    pub(crate) fn rel_arc(&self) -> &Arc<str> {
        &self.rel_path
    }

    pub(crate) fn into_rel(self) -> Arc<str> {
        self.rel_path
    }

    /// As [`new`](Self::new) for a root that was checked; for the many that are read from an index.
    pub(crate) fn below(asset_root: &Arc<str>, rel_path: &str) -> Result<Self, KeyFault> {
        name::check_rel_path(asset_root, rel_path)?;
        Ok(Self { asset_root: asset_root.clone(), rel_path: rel_path.into() })
    }

    /// A key from the two halves of a valid one.
    pub(crate) fn from_parts(asset_root: Arc<str>, rel_path: Arc<str>) -> Self {
        Self { asset_root, rel_path }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.asset_root, self.rel_path)
    }
}

impl fmt::Debug for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResourceKey({self})")
    }
}

/// The name of an asset as an application passes it to `pin`, `remove_asset` and the like.
///
/// # Errors
/// [`AssetsError::InvalidKey`], with the rule that was broken.
pub(crate) fn check_asset_root(root: &str) -> Result<(), AssetsError> {
    name::check_root(root).map_err(|fault| AssetsError::InvalidKey { key: root.to_owned(), fault })
}
