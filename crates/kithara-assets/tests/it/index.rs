//! The indexes: batched, checked, rebuilt.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt};

use super::{body, content, disk, fill, key};

fn index(folder: &Path, name: &str) -> PathBuf {
    folder.join("_index").join(name)
}

/// Three assets of two resources, used in the order b, c, a; c is pinned.
async fn library(folder: &Path) {
    let store = disk(folder);
    for root in ["a", "b", "c"] {
        for rel in ["1", "v0/2"] {
            fill(&store, &key(root, rel), &body(1000)).await;
        }
    }
    store.pin("c").unwrap();
    for root in ["b", "c", "a"] {
        content(&store, &key(root, "1")).await;
    }
}

fn all_there(store: &AssetStore) {
    let assets = store.list();
    assert_eq!(assets.iter().map(|asset| asset.asset_root.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(
        assets.iter().all(|asset| (asset.bytes, asset.resources, asset.complete) == (2000, 2, 2)),
        "{assets:?}"
    );
    assert_eq!(store.size(), 6000);
}

/// Assets in the order in which they would be evicted, pinned ones left out.
async fn eviction_order(folder: &Path) -> Vec<String> {
    let mut order = Vec::new();
    for limit in [5000, 3000, 1000] {
        let store = AssetStore::disk(folder, AssetSettings::default().with_max_bytes(limit)).unwrap();
        let before: Vec<_> = store.list().into_iter().map(|asset| asset.asset_root).collect();
        store.verify().await.unwrap();
        let after: Vec<_> = store.list().into_iter().map(|asset| asset.asset_root).collect();
        order.extend(before.into_iter().filter(|root| !after.contains(root)));
    }
    order
}

/// Runs `f` and returns what was logged on this thread meanwhile.
fn logged<T>(f: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let result = tracing::subscriber::with_default(subscriber, f);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (result, log)
}

#[tokio::test]
async fn a_sound_index_is_read_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let (_, log) = logged(|| drop(disk(folder.path())));
    assert_eq!(log, "", "a new folder is nothing to warn about");
    library(folder.path()).await;
    let (store, log) = logged(|| disk(folder.path()));
    assert_eq!(log, "");
    all_there(&store);
    assert_eq!(store.pins(), ["c"]);
    assert_eq!(store.index_stats().writes, 0);
    drop(store);
    // Nothing is left to be looked at.
    let names: Vec<_> =
        fs::read_dir(folder.path().join("_index")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[tokio::test]
async fn a_damaged_lru_index_loses_nothing() {
    let original = tempfile::tempdir().unwrap();
    library(original.path()).await;
    let sound = fs::read(index(original.path(), "lru.bin")).unwrap();
    let mut damages: Vec<Option<Vec<u8>>> = vec![None, Some(vec![]), Some(b"not an index".to_vec())];
    damages.extend((1..sound.len()).step_by(37).map(|cut| Some(sound[..cut].to_vec())));
    damages.extend((0..sound.len() * 8).step_by(331).map(|bit| {
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        Some(damaged)
    }));
    damages.push(Some([&sound[..], b"KTHX trailing rubbish"].concat()));
    let folder = tempfile::tempdir().unwrap();
    super::manage::copy_folder(original.path(), folder.path());
    for (number, damage) in damages.into_iter().enumerate() {
        let path = index(folder.path(), "lru.bin");
        match &damage {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (store, log) = logged(|| disk(folder.path()));
        // A cut between two frames is no damage: the later changes are only missing.
        if log.is_empty() {
            store.verify().await.unwrap();
        } else {
            assert!(
                log.contains("WARN") && log.contains("rebuilt from the folder"),
                "damage {number}: {log}"
            );
        }
        all_there(&store);
        assert_eq!(store.pins(), ["c"], "damage {number}");
        drop(store);
        // And it is sound again.
        let (store, log) = logged(|| disk(folder.path()));
        assert_eq!(log, "", "damage {number}");
        all_there(&store);
    }
}

#[tokio::test]
async fn a_damaged_pin_index_loses_no_pin() {
    let folder = tempfile::tempdir().unwrap();
    library(folder.path()).await;
    let sound = fs::read(index(folder.path(), "pins.bin")).unwrap();
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damage in [None, Some(vec![]), Some(sound[..sound.len() - 1].to_vec()), Some(flipped)] {
        match &damage {
            Some(bytes) => fs::write(index(folder.path(), "pins.bin"), bytes).unwrap(),
            None => fs::remove_file(index(folder.path(), "pins.bin")).unwrap(),
        }
        let (store, log) = logged(|| disk(folder.path()));
        assert_eq!(log.contains("WARN"), damage.is_some(), "{log}");
        assert_eq!(store.pins(), ["c"]);
        drop(store);
        assert_eq!(fs::read(index(folder.path(), "pins.bin")).unwrap(), sound);
    }
}

#[tokio::test]
async fn recency_survives_what_of_the_index_survives() {
    let folder = tempfile::tempdir().unwrap();
    library(folder.path()).await;
    let mut bytes = fs::read(index(folder.path(), "lru.bin")).unwrap();
    bytes.extend_from_slice(b"torn");
    fs::write(index(folder.path(), "lru.bin"), bytes).unwrap();
    assert_eq!(eviction_order(folder.path()).await, ["b", "a"]);
}

#[tokio::test]
async fn a_folder_without_any_index_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    library(folder.path()).await;
    fs::remove_dir_all(folder.path().join("_index")).unwrap();
    let (store, log) = logged(|| disk(folder.path()));
    assert!(log.contains("WARN"), "{log}");
    all_there(&store);
    assert_eq!(content(&store, &key("b", "v0/2")).await, body(1000));
}

#[tokio::test]
async fn the_json_of_old_is_read_and_replaced() {
    let lru = serde_json::json!({"version": 1, "clock": 3, "entries": [
        {"asset_root": "b", "last_touch": 1, "bytes": 2000},
        {"asset_root": "a", "last_touch": 3, "bytes": null},
        {"asset_root": "c", "last_touch": 2, "bytes": 2000},
    ]});
    let pins = serde_json::json!({"version": 1, "pinned": ["c"]});
    let original = tempfile::tempdir().unwrap();
    library(original.path()).await;
    for pretty in [false, true] {
        for extension in ["json", "bin"] {
            let folder = tempfile::tempdir().unwrap();
            super::manage::copy_folder(original.path(), folder.path());
            fs::remove_dir_all(folder.path().join("_index")).unwrap();
            fs::create_dir(folder.path().join("_index")).unwrap();
            for (name, value) in [("lru", &lru), ("pins", &pins)] {
                let text = if pretty { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
                fs::write(index(folder.path(), &format!("{name}.{extension}")), text.unwrap()).unwrap();
            }
            let (store, log) = logged(|| disk(folder.path()));
            assert!(!log.contains("WARN"), "{log}");
            all_there(&store);
            assert_eq!(store.pins(), ["c"]);
            store.flush().await.unwrap();
            drop(store);
            for name in ["lru", "pins"] {
                assert!(fs::read(index(folder.path(), &format!("{name}.bin"))).unwrap().starts_with(b"KTHX"));
                assert!(!index(folder.path(), &format!("{name}.json")).exists());
            }
            let (_, log) = logged(|| drop(disk(folder.path())));
            assert_eq!(log, "");
            assert_eq!(eviction_order(folder.path()).await, ["b", "a"]);
        }
    }
}

#[test]
fn changes_are_written_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let store = disk(folder.path());
    for i in 0..1000 {
        store.pin(&format!("asset-{i}")).unwrap();
    }
    let stats = store.index_stats();
    let most = 1000 / 10 + start.elapsed().as_secs() + 1;
    assert!(stats.writes <= 2 * most, "{stats:?}: a batch writes two files");
    drop(store);
    assert_eq!(disk(folder.path()).pins().len(), 1000);
}

/// The tenth change is not waited for.
#[test]
fn a_single_change_is_written_soon() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let start = Instant::now();
    store.pin("album").unwrap();
    while store.index_stats().writes < 2 {
        assert!(start.elapsed() < Duration::from_secs(60), "never written");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() > Duration::from_millis(500), "one change is not worth a write at once");
    let copy = tempfile::tempdir().unwrap();
    super::manage::copy_folder(folder.path(), copy.path());
    assert_eq!(disk(copy.path()).pins(), ["album"]);
}

#[test]
fn the_end_of_a_store_needs_no_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let (song, runtime) = (key("album", "song"), tokio::runtime::Runtime::new().unwrap());
    let store = disk(folder.path());
    let resource = runtime.block_on(fill(&store, &song, b"abc"));
    drop(runtime);
    // The last store ends, although a handle lives on.
    drop(store);
    let copy = tempfile::tempdir().unwrap();
    super::manage::copy_folder(folder.path(), copy.path());
    // The index says it all; only the note stays that the handle may still write.
    let (store, log) = logged(|| disk(copy.path()));
    assert_eq!((log.as_str(), store.size()), ("", 3));
    drop(store);
    assert_eq!(disk(copy.path()).find(&song).map(|info| (info.bytes, info.complete)), Some((3, true)));
    drop(resource);
}

#[tokio::test]
async fn an_index_that_cannot_be_written_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    fs::create_dir(index(folder.path(), "lru.bin")).unwrap();
    fill(&store, &key("album", "song"), b"abc").await;
    store.pin("album").unwrap();
    let error = store.flush().await.unwrap_err();
    assert!(error.is_folder_trouble(), "{error}");
    fs::remove_dir(index(folder.path(), "lru.bin")).unwrap();
    store.flush().await.unwrap();
    drop(store);
    let store = disk(folder.path());
    assert_eq!((store.size(), store.pins().len()), (3, 1));
}

#[tokio::test]
async fn an_index_that_somebody_changed_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    fill(&store, &key("album", "1"), b"abc").await;
    store.flush().await.unwrap();
    fs::write(index(folder.path(), "lru.bin"), b"who was that").unwrap();
    fill(&store, &key("album", "2"), b"abc").await;
    store.flush().await.unwrap();
    drop(store);
    let (store, log) = logged(|| disk(folder.path()));
    assert_eq!((log.as_str(), store.size()), ("", 6));
}

/// The target: at most 1 KiB of index writing per new segment, whatever else the library
/// holds (10,000 resources in `benches/index.rs`).
#[tokio::test]
async fn a_large_library_does_not_make_a_change_dear() {
    let folder = tempfile::tempdir().unwrap();
    for asset in 0..100 {
        let path = folder.path().join(format!("{asset:040x}-album"));
        fs::create_dir(&path).unwrap();
        for segment in 0..10 {
            fs::write(path.join(format!("{segment:040x}-seg_{segment}.m4s")), b"x").unwrap();
        }
    }
    drop(disk(folder.path()));
    let store = disk(folder.path());
    assert_eq!(store.list().len(), 100);
    for segment in 0..100 {
        let path = key("live", &format!("{segment:040x}-seg_{segment}.m4s"));
        fill(&store, &path, b"data").await;
        if segment % 10 == 9 {
            store.flush().await.unwrap();
        }
    }
    let stats = store.index_stats();
    assert!(stats.bytes <= 100 * 1024, "{} bytes per segment", stats.bytes / 100);
    assert!(stats.writes <= 100 / 5, "{stats:?}");
}

/// Changes are appended for as long as that is shorter than the index itself, and then replaced.
#[tokio::test]
async fn the_index_does_not_grow_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    for round in 0..120 {
        for asset in 0..10 {
            let root = format!(
                "asset-{asset}-of-a-name-that-is-long-enough-to-make-the-index-grow-{}",
                "x".repeat(99)
            );
            if round % 2 == 0 { store.pin(&root) } else { store.unpin(&root) }.unwrap();
        }
        store.flush().await.unwrap();
    }
    let len = fs::metadata(index(folder.path(), "lru.bin")).unwrap().len();
    assert!(len < 128 << 10, "{len}");
}
