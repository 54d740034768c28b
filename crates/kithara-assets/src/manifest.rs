//! Manifests: the resources that a presentation needs to be played without a network.

use std::collections::HashSet;
use std::ops::Range;

use kithara_storage::{Atomic, Streaming};
use serde::{Deserialize, Serialize};

use crate::index::frame::Kind;
use crate::index::record;
use crate::key::{MANIFEST_FOLDER, name_of_manifest};
use crate::{Assets, AssetsError, ResourceKey};

/// More resources than any presentation has.
const MAX_RESOURCES: usize = 1 << 20;

/// The resources that one variant of a presentation needs. Written by the protocol, kept with the asset.
///
/// ```
/// use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt, Manifest, ResourceKey};
/// use kithara_storage::Atomic;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = AssetStore::memory(AssetSettings::default());
/// let keys = [ResourceKey::new("album", "1.ts")?, ResourceKey::new("album", "2.ts")?];
/// let manifest = Manifest::new("128 kbit/s").with_resource(keys[0].clone()).with_resource(keys[1].clone());
/// store.write_manifest("album", &manifest).await?;
///
/// store.open_atomic_resource(&keys[0]).await?.write(b"...").await?;
/// let found = &store.completeness("album").await?[0];
/// assert_eq!((found.name.as_str(), found.complete, found.needed), ("128 kbit/s", 1, 2));
/// assert_eq!(found.missing, [keys[1].clone()]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The variant, in words for people; one manifest is kept for each name.
    pub name: String,
    /// The resources that it needs, in the order of playback.
    pub resources: Vec<Need>,
}

/// A resource that a presentation needs, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Need {
    /// The resource.
    pub key: ResourceKey,
    /// The bytes that are needed; `None`: all of it.
    pub range: Option<Range<u64>>,
}

/// How much of a variant is stored. From [`AssetsExt::completeness`](crate::AssetsExt::completeness).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Completeness {
    /// The name of the [`Manifest`].
    pub name: String,
    /// Resources, or parts of them, that the variant needs.
    pub needed: usize,
    /// How many of them are stored whole.
    pub complete: usize,
    /// The resources that are not, in the order of playback, each once.
    pub missing: Vec<ResourceKey>,
}

impl Completeness {
    /// Whether the variant plays to its end without a network.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Manifest {
    /// An empty manifest.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), resources: Vec::new() }
    }

    /// Adds a resource that is needed whole.
    #[must_use]
    pub fn with_resource(mut self, key: ResourceKey) -> Self {
        self.resources.push(Need { key, range: None });
        self
    }

    /// Adds a part of a resource.
    #[must_use]
    pub fn with_part(mut self, key: ResourceKey, range: Range<u64>) -> Self {
        self.resources.push(Need { key, range: Some(range) });
        self
    }

    /// The key under which it is kept.
    fn key(&self, asset_root: &str) -> Result<ResourceKey, AssetsError> {
        ResourceKey::new(asset_root, format!("{MANIFEST_FOLDER}{}", name_of_manifest(&self.name)))
    }

    /// Resources of other assets are left out: they are not removed or pinned with this one.
    fn encode(&self, asset_root: &str) -> Vec<u8> {
        let resources = self.resources.iter().filter(|need| need.key.asset_root() == asset_root);
        let resources = resources.map(|need| NeedRecord {
            rel: need.key.rel_path(),
            range: need.range.as_ref().map(|range| (range.start, range.end)),
        });
        let record = ManifestRecord { name: &self.name, resources: resources.take(MAX_RESOURCES).collect() };
        let mut bytes = Vec::new();
        record::append(&mut bytes, Kind::Manifest, &record);
        bytes
    }

    fn decode(asset_root: &str, bytes: &[u8]) -> Option<Self> {
        let record: ManifestRecord<'_> = record::decode_only(bytes, Kind::Manifest).ok()?;
        let needs = record.resources.iter().map(|need| {
            let key = ResourceKey::new(asset_root, need.rel).ok()?;
            Some(Need { key, range: need.range.map(|(start, end)| start..end) })
        });
        Some(Self { name: record.name.to_owned(), resources: needs.collect::<Option<_>>()? })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct ManifestRecord<'a> {
    name: &'a str,
    #[serde(borrow)]
    resources: Vec<NeedRecord<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NeedRecord<'a> {
    rel: &'a str,
    range: Option<(u64, u64)>,
}

pub(crate) async fn write<A: Assets>(
    assets: &A,
    asset_root: &str,
    manifest: &Manifest,
) -> Result<(), AssetsError> {
    let key = manifest.key(asset_root)?;
    let object = assets.open_atomic_resource(&key).await?;
    let bytes = manifest.encode(asset_root);
    // Most runs find the same manifest stored.
    if object.read().await.is_ok_and(|stored| stored.is_some_and(|stored| *stored == *bytes)) {
        return Ok(());
    }
    object.write(&bytes).await.map_err(|source| AssetsError::storage(&key, source))
}

pub(crate) async fn read<A: Assets>(assets: &A, asset_root: &str) -> Result<Vec<Manifest>, AssetsError> {
    let mut manifests = Vec::new();
    for key in assets.catalog().keys(Some(asset_root)) {
        if !key.rel_path().starts_with(MANIFEST_FOLDER) {
            continue;
        }
        let object = assets.open_atomic_resource(&key).await?;
        let stored = object.read().await.map_err(|source| AssetsError::storage(&key, source))?;
        manifests.extend(stored.and_then(|stored| Manifest::decode(asset_root, &stored)));
    }
    manifests.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(manifests)
}

pub(crate) async fn completeness<A: Assets>(
    assets: &A,
    manifest: Manifest,
) -> Result<Completeness, AssetsError> {
    let (needed, mut complete, mut missing) = (manifest.resources.len(), 0, Vec::new());
    let mut seen = HashSet::new();
    for Need { key, range } in manifest.resources {
        if is_stored(assets, &key, range).await? {
            complete += 1;
        } else if seen.insert(key.clone()) {
            missing.push(key);
        }
    }
    Ok(Completeness { name: manifest.name, needed, complete, missing })
}

async fn is_stored<A: Assets>(
    assets: &A,
    key: &ResourceKey,
    range: Option<Range<u64>>,
) -> Result<bool, AssetsError> {
    match (assets.catalog().find(key), range) {
        (None, _) => Ok(false),
        (Some(info), _) if info.complete => Ok(true),
        (Some(_), None) => Ok(false),
        (Some(_), Some(range)) => Ok(assets.open_streaming_resource(key).await?.available().contains(&range)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_come_back_and_hostile_ones_do_not() {
        let key = |rel: &str| ResourceKey::new("album", rel).unwrap();
        let manifest = Manifest::new("v0").with_resource(key("a")).with_part(key("b"), 3..9);
        let bytes = manifest.encode("album");
        assert_eq!(Manifest::decode("album", &bytes), Some(manifest.clone()));
        for cut in 0..bytes.len() {
            assert_eq!(Manifest::decode("album", &bytes[..cut]), None);
        }
        let foreign = manifest.clone().with_resource(ResourceKey::new("other", "c").unwrap());
        assert_eq!(Manifest::decode("album", &foreign.encode("album")), Some(manifest));
        let evil = ManifestRecord {
            name: "v0",
            resources: vec![NeedRecord { rel: "../../etc/passwd", range: None }],
        };
        let mut bytes = Vec::new();
        record::append(&mut bytes, Kind::Manifest, &evil).unwrap();
        assert_eq!(Manifest::decode("album", &bytes), None);
    }
}
