//! What an application's settings screen does.

use std::path::Path;
use std::time::{Duration, SystemTime};

use kithara_assets::{AssetSettings, Assets, AssetsExt, Manifest};
use kithara_storage::Streaming;

use super::{body, content, disk, files, fill, key, stores, write_object};

pub(super) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_listing_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let start = SystemTime::now() - Duration::from_secs(1);
    for store in stores(folder.path(), &AssetSettings::default()) {
        fill(&store, &key("b", "1"), &body(10)).await;
        fill(&store, &key("a", "2"), &body(20)).await;
        write_object(&store, &key("a", "1"), &body(5)).await;
        let partial = store.open_streaming_resource(&key("a", "3")).await.unwrap();
        let claim = partial.claim().await.unwrap();
        partial.write_at(0, &body(7)).await.unwrap();
        let assets = store.list();
        assert_eq!(assets.iter().map(|asset| &asset.asset_root).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((assets[0].bytes, assets[0].resources, assets[0].complete), (32, 3, 2));
        assert!(assets[0].in_use && !assets[1].in_use);
        assert!(assets.iter().all(|asset| asset.last_used >= start));
        let resources = store.list_resources("a");
        let sizes: Vec<_> =
            resources.iter().map(|info| (info.key.rel_path(), info.bytes, info.complete)).collect();
        assert_eq!(sizes, [("1", 5, true), ("2", 20, true), ("3", 7, false)]);
        assert_eq!(store.size(), 42);
        assert!(store.list_resources("none").is_empty());
        drop((claim, partial));
    }
}

#[tokio::test]
async fn clear_spares_what_is_pinned_or_in_use() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        for root in ["free", "pinned", "used"] {
            fill(&store, &key(root, "1"), &body(100)).await;
            fill(&store, &key(root, "2"), &body(100)).await;
        }
        store.pin("pinned").unwrap();
        let used = store.open_streaming_resource(&key("used", "2")).await.unwrap();
        let removed = store.clear().await.unwrap();
        assert_eq!((removed.resources, removed.bytes, removed.kept), (3, 300, 3));
        assert_eq!(store.size(), 300);
        drop(used);
        // An asset that is asked for by name goes, its pin with it.
        assert_eq!(store.remove_asset("pinned").await.unwrap().resources, 2);
        assert!(store.pins().is_empty());
    }
    assert_eq!(files(folder.path()), ["used/2"]);
}

#[tokio::test]
async fn files_of_others_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("README"), b"mine").unwrap();
    std::fs::create_dir(folder.path().join("album")).unwrap();
    std::fs::write(folder.path().join("album/Cover.JPG"), b"mine too").unwrap();
    let store = disk(folder.path());
    fill(&store, &key("album", "song"), b"abc").await;
    store.verify().await.unwrap();
    assert_eq!(store.size(), 3);
    store.clear().await.unwrap();
    assert_eq!(files(folder.path()), ["README", "album/Cover.JPG"]);
}

#[tokio::test]
async fn verify_puts_the_index_right() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    for name in ["kept", "missing", "shrunk", "grown"] {
        fill(&store, &key("album", name), &body(100)).await;
    }
    store.inner().close_idle();
    let path = |name: &str| folder.path().join("album").join(name);
    std::fs::remove_file(path("missing")).unwrap();
    std::fs::write(path("shrunk"), body(40)).unwrap();
    std::fs::write(path("grown"), body(140)).unwrap();
    std::fs::write(path("adopted"), body(10)).unwrap();
    std::fs::write(path("recent.new"), b"in use?").unwrap();
    std::fs::write(path("old.new"), b"litter").unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::options().write(true).open(path("old.new")).unwrap().set_modified(old).unwrap();

    let report = store.verify().await.unwrap();
    assert_eq!(
        (report.missing, report.adopted, report.corrected, report.temporary),
        (1, 1, 2, 1),
        "{report:?}"
    );
    assert_eq!((report.resources, report.bytes), (2, 110));
    assert_eq!(store.size(), 110);
    assert_eq!(files(folder.path()), ["album/adopted", "album/kept", "album/recent.new"]);
    let again = store.verify().await.unwrap();
    assert_eq!((again.missing, again.adopted, again.corrected, again.temporary), (0, 0, 0, 0));
    // What was wrong is fetched again.
    fill(&store, &key("album", "shrunk"), &body(100)).await;
    assert_eq!(content(&store, &key("album", "shrunk")).await, body(100));
}

#[tokio::test]
async fn verify_leaves_alone_what_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let resource = store.open_streaming_resource(&key("album", "song")).await.unwrap();
    let _claim = resource.claim().await.unwrap();
    resource.write_at(50_000, &body(1000)).await.unwrap();
    let report = store.verify().await.unwrap();
    assert_eq!(
        (report.resources, report.bytes, report.corrected, report.missing),
        (1, 1000, 0, 0),
        "{report:?}"
    );
    resource.write_at(0, &body(50_000)).await.unwrap();
    resource.commit(51_000).await.unwrap();
    assert_eq!(store.size(), 51_000);
}

#[tokio::test]
async fn a_memory_store_verifies_trivially() {
    let store = kithara_assets::AssetStore::memory(AssetSettings::default());
    fill(&store, &key("a", "1"), &body(10)).await;
    let report = store.verify().await.unwrap();
    assert_eq!((report.resources, report.bytes), (1, 10));
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_a_variant_needs_is_kept_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let parts = key("album", "parts.mp4");
    let low = Manifest::new("low").with_resource(key("album", "low/1")).with_resource(key("album", "low/2"));
    let high = Manifest::new("high").with_part(parts.clone(), 0..40).with_part(parts.clone(), 40..100);
    {
        let store = disk(folder.path());
        assert_eq!(store.completeness("album").await.unwrap(), []);
        store.write_manifest("album", &low).await.unwrap();
        store.write_manifest("album", &high).await.unwrap();
        for segment in ["low/1", "low/2"] {
            fill(&store, &key("album", segment), &body(10)).await;
        }
        let partial = store.open_streaming_resource(&parts).await.unwrap();
        let _claim = partial.claim().await.unwrap();
        partial.write_at(0, &body(50)).await.unwrap();
    }
    // After a restart, and with the index lost.
    for index_lost in [false, true] {
        if index_lost {
            std::fs::remove_dir_all(folder.path().join("_index")).unwrap();
        }
        let store = disk(folder.path());
        let found = store.completeness("album").await.unwrap();
        let names: Vec<_> = found.iter().map(|one| (&*one.name, one.complete, one.needed)).collect();
        assert_eq!(names, [("high", 1, 2), ("low", 2, 2)]);
        assert_eq!((found[0].missing.as_slice(), found[1].is_complete()), (&[parts.clone()][..], true));
        let info = &store.list()[0];
        assert_eq!((info.resources, info.complete), (3, 2), "manifests are not counted");
    }
    // A manifest is replaced by one of the same name.
    let store = disk(folder.path());
    store.write_manifest("album", &Manifest::new("low").with_resource(key("album", "low/3"))).await.unwrap();
    assert_eq!(store.completeness("album").await.unwrap()[1].missing, [key("album", "low/3")]);
}
