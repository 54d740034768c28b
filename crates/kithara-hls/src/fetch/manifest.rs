//! What a variant needs to be played without a network, kept with it in the store.

use kithara_assets::{Assets, AssetsExt, Manifest, ResourceKey};
use kithara_net::Net;
use url::Url;

use super::{SmallFetches, Window};
use crate::playlist::{MediaPlaylist, Segment};

impl<N: Net, A: Assets> SmallFetches<N, A> {
    /// Keeps the manifest of the complete media playlist at `url`. The caller does not wait for the disk.
    pub(crate) fn store_manifest(&self, url: &Url, media: &MediaPlaylist) {
        let manifest = self.manifest(url, media);
        let root = ResourceKey::asset_root_for(&self.root, &self.policy);
        let assets = self.assets.clone();
        self.store_with(async move {
            assets.write_manifest(&root, &manifest).await.map_err(|error| error.to_string())
        });
    }

    /// The playlists, and of each segment its init section, key and bytes.
    fn manifest(&self, url: &Url, media: &MediaPlaylist) -> Manifest {
        let list = self.key(url);
        let mut manifest = Manifest::new(list.rel_path()).with_resource(self.key(&self.root));
        if *url != self.root {
            manifest = manifest.with_resource(list);
        }
        let mut before = None;
        for segment in (0..media.len()).filter_map(|index| media.segment(index)) {
            manifest = self.add_segment(manifest, &segment, before.as_ref());
            before = Some(segment);
        }
        manifest
    }

    fn add_segment(&self, mut manifest: Manifest, segment: &Segment, before: Option<&Segment>) -> Manifest {
        if segment.gap {
            return manifest;
        }
        if let Some(map) = &segment.map
            && before.and_then(|before| before.map.as_ref()) != Some(map)
        {
            manifest = manifest.with_resource(self.key_below(&self.root, &map.uri, Window::of(map)));
        }
        if let Some(key) = &segment.key
            && before.and_then(|before| before.key.as_ref()) != Some(key)
            && matches!(key.uri.scheme(), "http" | "https")
        {
            manifest = manifest.with_resource(self.key(&key.uri));
        }
        let window = segment
            .byte_range
            .as_ref()
            .map(|range| Window { offset: range.start, len: range.end - range.start });
        match (&segment.byte_range, &segment.key) {
            (Some(range), None) => manifest.with_part(self.key(&segment.uri), range.clone()),
            // A part that is encrypted has a resource of its own.
            _ => manifest.with_resource(self.key_below(&self.root, &segment.uri, window)),
        }
    }
}
