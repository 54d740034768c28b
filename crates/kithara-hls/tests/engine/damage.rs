//! What is stored is damaged on the disk: fetched anew and never heard.

use std::path::{Path, PathBuf};

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsError, AssetsExt, KeyPolicy, ResourceKey};
use kithara_testkit::{Origin, media};

use crate::support::{difference, open, options, read_all};

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

/// The stored bodies, without checksums and indexes.
fn stored(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    files(folder, &mut out);
    // An unfinished resource has no checksums.
    out.retain(|path| {
        path.extension().is_none_or(|ending| ending != "crc" && ending != "part" && ending != "map")
    });
    out.retain(|path| !path.starts_with(folder.join("_index")));
    out.sort();
    out
}

#[tokio::test]
async fn a_flipped_bit_in_any_stored_body_heals_within_the_run() {
    let byterange = media::find("byterange").unwrap().entry;
    for url in ["/hls/aac4/64k/index.m3u8".to_owned(), format!("/{byterange}")] {
        let origin = Origin::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = |offline| {
            let mut options = options();
            options.assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
            options.offline = offline;
            options
        };
        let mut first = open(&origin, &url, options(false)).await;
        let whole = read_all(&mut first).await;
        drop(first);
        let paths = stored(folder.path());
        assert!(paths.len() > 2, "{paths:?}");
        for path in paths {
            let mut bytes = std::fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 0x10;
            std::fs::write(&path, bytes).unwrap();
            let mut stream = open(&origin, &url, options(false)).await;
            let samples = read_all(&mut stream).await;
            assert_eq!(stream.stats().gaps, 0, "{}", path.display());
            assert!(
                samples.len() == whole.len() && difference(&samples, &whole) == 0.0,
                "{}",
                path.display()
            );
            drop(stream);
            // And it is whole again, for one without a network.
            let mut offline = open(&origin, &url, options(true)).await;
            assert!(difference(&read_all(&mut offline).await, &whole) == 0.0, "{}", path.display());
            assert_eq!(offline.stats().gaps, 0);
        }
    }
}

/// What a listener hears offline is known beforehand.
#[tokio::test]
async fn the_store_knows_what_offline_play_needs() {
    let origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = "/hls/aac4/64k/index.m3u8";
    let root = ResourceKey::asset_root_for(&origin.url(path).parse().unwrap(), &KeyPolicy::default());
    let assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
    let options = || {
        let mut options = options();
        options.assets = assets.clone();
        options
    };
    let mut stream = open(&origin, path, options()).await;
    // The manifest is written beside the stream; the first chunk comes from the network, long after.
    stream.next_chunk().await.unwrap();
    read_all_from(&mut stream).await;
    drop(stream);
    let found = assets.completeness(&root).await.unwrap();
    let [variant] = &found[..] else { panic!("{found:?}") };
    assert!(variant.is_complete() && variant.needed > 3, "{variant:?}");
    // One segment goes.
    let listed = assets.list_resources(&root);
    let segment = listed.iter().find(|info| info.key.rel_path().ends_with(".m4s")).unwrap().key.clone();
    // The worker of the dropped stream lets go of its last segments when the runtime turns to it.
    loop {
        assets.inner().close_idle();
        match assets.remove_resource(&segment).await {
            Err(AssetsError::InUse { .. }) => tokio::task::yield_now().await,
            removed => {
                removed.unwrap();
                break;
            }
        }
    }
    let found = assets.completeness(&root).await.unwrap();
    assert_eq!((found[0].complete + 1, &found[0].missing[..]), (found[0].needed, &[segment][..]));
}

async fn read_all_from(stream: &mut kithara_hls::HlsStream) {
    while stream.next_chunk().await.unwrap().is_some() {}
}
