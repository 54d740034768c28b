//! Limits are kept, and by whom.

use kithara_assets::{
    AssetEvent, AssetSettings, AssetStore, Assets, AssetsError, AssetsExt, BaseStore, DiskAssetStore,
    EvictAssets, MemoryAssetStore,
};
use kithara_storage::Streaming;

use super::{body, content, files, fill, key, stores, write_object};

fn kept(store: &AssetStore) -> Vec<String> {
    let assets = store.list();
    let resources = assets.iter().flat_map(|asset| store.list_resources(&asset.asset_root));
    resources.map(|info| info.key.to_string()).collect()
}

fn limited(bytes: u64) -> AssetSettings {
    AssetSettings::default().with_max_bytes(bytes).with_idle_handles(0)
}

#[tokio::test]
async fn the_least_recently_used_asset_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &limited(3000)) {
        for root in ["a", "b", "c"] {
            fill(&store, &key(root, "1"), &body(1000)).await;
        }
        assert_eq!(kept(&store), ["a/1", "b/1", "c/1"], "a limit is what may be there");
        content(&store, &key("a", "1")).await;
        let mut events = store.events();
        fill(&store, &key("d", "1"), &body(1500)).await;
        assert_eq!(kept(&store), ["a/1", "d/1"]);
        assert_eq!(store.size(), 2500);
        for (expected, expected_bytes) in [("b/1", 1000), ("c/1", 1000)] {
            let Ok(AssetEvent::Evicted { key, bytes, .. }) = events.try_recv() else { panic!("no event") };
            assert_eq!((key.to_string().as_str(), bytes), (expected, expected_bytes));
        }
        // Gone for whoever asks.
        assert_eq!(store.open_streaming_resource(&key("b", "1")).await.unwrap().len(), None);
    }
    assert_eq!(files(folder.path()), ["a/1", "d/1"]);
    assert!(!folder.path().join("b").exists());
}

#[tokio::test]
async fn use_is_remembered_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let [store, _] = stores(folder.path(), &limited(3000));
        for root in ["a", "b", "c"] {
            fill(&store, &key(root, "1"), &body(1000)).await;
        }
        store.flush().await.unwrap();
        content(&store, &key("a", "1")).await;
    }
    let [store, _] = stores(folder.path(), &limited(3000));
    fill(&store, &key("d", "1"), &body(1000)).await;
    assert_eq!(kept(&store), ["a/1", "c/1", "d/1"]);
}

#[tokio::test]
async fn within_the_asset_that_plays_the_oldest_segments_go() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &limited(5000)) {
        for segment in 0..40 {
            fill(&store, &key("radio", &format!("{segment:03}")), &body(1000)).await;
            assert!(store.size() <= 5000);
        }
        assert_eq!(kept(&store), ["radio/035", "radio/036", "radio/037", "radio/038", "radio/039"]);
    }
}

#[tokio::test]
async fn counts_of_assets_and_resources_are_limits_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AssetSettings::default().with_max_assets(2).with_idle_handles(0);
    for store in stores(folder.path(), &settings) {
        for root in ["a", "b", "c"] {
            fill(&store, &key(root, "1"), b"x").await;
            fill(&store, &key(root, "2"), b"x").await;
        }
        assert_eq!(kept(&store), ["b/1", "b/2", "c/1", "c/2"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = AssetSettings::default().with_max_resources(3).with_idle_handles(0);
    for store in stores(folder.path(), &settings) {
        for name in ["1", "2", "3", "4", "5"] {
            write_object(&store, &key("a", name), b"x").await;
        }
        assert_eq!(kept(&store), ["a/3", "a/4", "a/5"]);
    }
}

#[tokio::test]
async fn what_is_open_pinned_or_being_written_stays() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &limited(2000)) {
        fill(&store, &key("pinned", "1"), &body(1000)).await;
        store.pin("pinned").unwrap();
        let open = fill(&store, &key("open", "1"), &body(1000)).await;
        let lease = store.lease_asset("leased").unwrap();
        fill(&store, &key("leased", "1"), &body(1000)).await;
        let writing = store.open_streaming_resource(&key("writing", "1")).await.unwrap();
        let claim = writing.claim().await.unwrap();
        writing.write_at(0, &body(1000)).await.unwrap();
        fill(&store, &key("free", "1"), &body(1000)).await;
        fill(&store, &key("free", "2"), &body(1000)).await;
        let all = ["free/2", "leased/1", "open/1", "pinned/1", "writing/1"];
        assert_eq!(
            kept(&store),
            all,
            "the limit bends, for these alone (and the last one, which was open until now)"
        );
        // Each goes as soon as it may, oldest first.
        drop(open);
        store.open_atomic_resource(&key("x", "x")).await.unwrap();
        assert_eq!(kept(&store), ["leased/1", "pinned/1", "writing/1"]);
        store.unpin("pinned").unwrap();
        store.open_atomic_resource(&key("x", "x")).await.unwrap();
        assert_eq!(kept(&store), ["leased/1", "writing/1"]);
        drop((lease, claim, writing));
        fill(&store, &key("free", "3"), &body(2000)).await;
        assert_eq!(kept(&store), ["free/3"]);
    }
}

#[tokio::test]
async fn a_limit_that_is_lowered_is_kept_by_the_next_store() {
    let folder = tempfile::tempdir().unwrap();
    {
        let [store, _] = stores(folder.path(), &limited(100_000));
        for i in 0..50 {
            fill(&store, &key(&format!("{i:02}"), "1"), &body(1000)).await;
        }
    }
    let [store, _] = stores(folder.path(), &limited(10_000));
    fill(&store, &key("new", "1"), &body(1000)).await;
    assert_eq!(store.size(), 10_000);
    assert_eq!(files(folder.path()).len(), 10);
}

/// Sixteen tasks open, read and drop while a seventeenth makes the store overflow: nobody loses what he holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_evicted_under_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &limited(20_000)) {
        let readers = (0..16).map(|reader| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..60_u32 {
                    let name = key("shared", &format!("{}", (reader * 7 + round * 3) % 24));
                    let resource = store.open_streaming_resource(&name).await.unwrap();
                    let claim = resource.claim().await.unwrap();
                    if resource.len().is_none() {
                        resource.write_at(0, &body(2000)).await.unwrap();
                        resource.commit(2000).await.unwrap();
                    }
                    drop(claim);
                    let mut buf = vec![0; 2000];
                    assert_eq!(resource.read_at(0, &mut buf).await.unwrap(), 2000);
                    assert_eq!(buf, body(2000));
                }
            })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await.unwrap();
        }
        fill(&store, &key("last", "1"), b"x").await;
        assert!(store.size() <= 20_000, "{}", store.size());
    }
}

#[tokio::test]
async fn a_resource_in_use_cannot_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default()) {
        let song = key("album", "song");
        let open = fill(&store, &song, b"abc").await;
        let removed = store.remove_resource(&song).await;
        assert!(matches!(removed, Err(AssetsError::InUse { .. })), "{removed:?}");
        drop(open);
        assert_eq!(store.remove_resource(&song).await.unwrap(), 3);
        assert_eq!(store.remove_resource(&song).await.unwrap(), 0);
        fill(&store, &song, b"defg").await;
        assert_eq!(content(&store, &song).await, b"defg");
    }
}

/// Without the layer of leases, the claim alone protects a download.
#[tokio::test]
async fn a_claimed_resource_stays_in_a_bare_stack_too() {
    let folder = tempfile::tempdir().unwrap();
    let bases = [
        BaseStore::Disk(DiskAssetStore::open(folder.path(), &limited(1500)).unwrap()),
        BaseStore::Memory(MemoryAssetStore::new(&limited(1500))),
    ];
    for base in bases {
        let store = EvictAssets::new(base);
        let open = async |name: &str| store.open_streaming_resource(&key("album", name)).await.unwrap();
        let writing = open("1").await;
        let claim = writing.claim().await.unwrap();
        writing.write_at(0, &body(1000)).await.unwrap();
        let other = open("2").await;
        {
            let _claim = other.claim().await.unwrap();
            other.write_at(0, &body(1000)).await.unwrap();
            other.commit(1000).await.unwrap();
        }
        assert_eq!(store.size(), 2000, "both were being written");
        drop(open("3").await);
        assert_eq!(writing.available_at(0), 1000);
        assert!(store.find(&key("album", "1")).is_some());
        assert!(store.find(&key("album", "2")).is_none(), "the one that may go went");
        drop(claim);
    }
}
