//! Leases and pins.

use kithara_assets::{AssetSettings, Assets, AssetsError, AssetsExt};

use super::{disk, fill, key, stores};

#[tokio::test]
async fn a_lease_ends_with_the_last_clone() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        let song = key("album", "song");
        let one = fill(&store, &song, b"abc").await;
        let two = one.clone();
        let raw = two.raw();
        let in_use = || store.find(&song).unwrap().in_use;
        drop(one);
        assert!(in_use());
        drop(two);
        assert!(in_use());
        drop(raw);
        assert!(!in_use());
    }
}

#[tokio::test]
async fn a_leased_asset_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        fill(&store, &key("album", "song"), b"abc").await;
        let lease = store.lease_asset("album").unwrap();
        assert!(store.list()[0].in_use);
        let removed = store.remove_asset("album").await.unwrap();
        assert_eq!((removed.resources, removed.kept), (0, 1));
        drop(lease);
        let removed = store.remove_asset("album").await.unwrap();
        assert_eq!((removed.resources, removed.bytes, removed.kept), (1, 3, 0));
        assert!(store.list().is_empty());
    }
}

#[test]
fn leases_are_dropped_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let lease = store.lease_asset("album").unwrap();
    // Neither a runtime nor the store is needed for it.
    drop(store);
    std::thread::spawn(move || drop(lease)).join().unwrap();
}

#[tokio::test]
async fn pins_outlive_the_process_and_leases_do_not() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = disk(folder.path());
        fill(&store, &key("offline", "song"), b"abc").await;
        assert!(store.pin("offline").unwrap());
        assert!(!store.pin("offline").unwrap());
        assert!(store.pin("not there yet").unwrap());
        std::mem::forget(store.lease_asset("leased").unwrap());
        std::mem::forget(store.lease_asset("offline").unwrap());
        store.flush().await.unwrap();
    }
    // The forgotten leases keep the folder open in this process: look at what another one would find.
    let copy = tempfile::tempdir().unwrap();
    super::manage::copy_folder(folder.path(), copy.path());
    let store = disk(copy.path());
    assert_eq!(store.pins(), ["not there yet", "offline"]);
    let info = &store.list()[0];
    assert!(info.pinned && !info.in_use, "{info:?}");
    assert!(store.unpin("offline").unwrap());
    assert!(!store.unpin("offline").unwrap());
    drop(store);
    assert_eq!(disk(copy.path()).pins(), ["not there yet"]);
}

#[test]
fn only_asset_roots_can_be_pinned() {
    let store = kithara_assets::AssetStore::memory(AssetSettings::default());
    for bad in ["", "..", "a/b", "_index", "con"] {
        assert!(matches!(store.pin(bad), Err(AssetsError::InvalidKey { .. })), "{bad}");
        assert!(store.lease_asset(bad).is_err(), "{bad}");
    }
}
