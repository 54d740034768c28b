//! A folder that others write to as well: links, pipes, planted and damaged files.

use std::fs;
use std::path::Path;

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt};
use kithara_storage::{ResourceStatus, StorageError, Streaming, StreamingExt};

use super::{body, content, disk, fill, key, object, write_object};

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

/// Opens a resource as a reader does that fetches what is missing.
async fn visit(store: &AssetStore, name: &str, sound: &[u8]) -> bool {
    let resource = store.open_streaming_resource(&key("album", name)).await.unwrap();
    if !matches!(resource.status(), ResourceStatus::Committed { .. }) {
        drop(fill(store, &key("album", name), sound).await);
    }
    match resource.read_to_end(usize::MAX).await {
        Ok(read) => {
            assert_eq!(read, sound, "other bytes than were stored");
            true
        }
        Err(error) => {
            assert!(error.is_damage(), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn damage_is_reported_once_and_then_fetched_anew() {
    let sound = body(150_000);
    for at in [0, 65_535, 65_536, 149_999] {
        let folder = tempfile::tempdir().unwrap();
        drop(fill(&disk(folder.path()), &key("album", "song"), &sound).await);
        flip(&folder.path().join("album/song"), at);
        let store = disk(folder.path());
        assert!(!visit(&store, "song", &sound).await, "damage at {at} was not noticed");
        assert!(visit(&store, "song", &sound).await);
        drop(store);
        assert_eq!(content(&disk(folder.path()), &key("album", "song")).await, sound);
    }
}

#[tokio::test]
async fn checksums_are_an_option() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = AssetSettings::default();
    settings.storage = settings.storage.with_checksums(false);
    let store = AssetStore::disk(folder.path(), settings).unwrap();
    drop(fill(&store, &key("album", "song"), &body(100)).await);
    assert!(!folder.path().join("album/song.crc").exists());
    store.shutdown().await.unwrap();
    assert_eq!(content(&disk(folder.path()), &key("album", "song")).await, body(100));
}

#[tokio::test]
async fn a_damaged_object_counts_as_absent() {
    let folder = tempfile::tempdir().unwrap();
    let (name, file) = (key("album", "list"), folder.path().join("album/list"));
    let store = disk(folder.path());
    write_object(&store, &name, b"#EXTM3U").await;
    for at in 0..fs::metadata(&file).unwrap().len() as usize {
        flip(&file, at);
        assert_eq!(object(&store, &name).await, None, "{at}");
        write_object(&store, &name, b"#EXTM3U").await;
        assert_eq!(object(&store, &name).await.as_deref(), Some(&b"#EXTM3U"[..]));
    }
}

#[tokio::test]
async fn objects_of_before_are_read_and_planted_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("album/list");
    let store = disk(folder.path());
    write_object(&store, &key("album", "list"), b"0123456789").await;
    store.shutdown().await.unwrap();
    // As an earlier version stored it: the index knows it with this length.
    fs::write(&file, b"0123456789").unwrap();
    let store = disk(folder.path());
    assert_eq!(object(&store, &key("album", "list")).await.as_deref(), Some(&b"0123456789"[..]));
    fs::write(folder.path().join("album/planted"), b"#EXTM3U").unwrap();
    assert_eq!(object(&store, &key("album", "planted")).await, None);
}

/// While the index is lost, a file is cut and another one is put in the folder.
#[tokio::test]
async fn what_no_store_completed_is_not_taken_for_complete() {
    let folder = tempfile::tempdir().unwrap();
    let sound = body(100_000);
    let store = disk(folder.path());
    for name in ["whole", "cut"] {
        drop(fill(&store, &key("album", name), &sound).await);
    }
    write_object(&store, &key("album", "list"), b"#EXTM3U").await;
    store.shutdown().await.unwrap();
    fs::remove_dir_all(folder.path().join("_index")).unwrap();
    fs::write(folder.path().join("album/cut"), &sound[..70_000]).unwrap();
    fs::write(folder.path().join("album/planted"), &sound[..50_000]).unwrap();

    let store = disk(folder.path());
    let complete = |store: &AssetStore| {
        let resources = store.list_resources("album").into_iter();
        resources.filter(|info| info.complete).map(|info| info.key.rel_path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(complete(&store), ["list", "whole"]);
    assert_eq!(store.size(), 100_000 + 70_000 + 50_000 + 7, "all of them take up space");
    for name in ["whole", "cut", "planted"] {
        assert!(visit(&store, name, &sound).await, "{name}");
    }
    assert_eq!(complete(&store), ["cut", "list", "planted", "whole"]);
    assert_eq!(object(&store, &key("album", "list")).await.as_deref(), Some(&b"#EXTM3U"[..]));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn mkfifo(path: &Path) {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }

    /// Everything that a store does with two resources and its indexes.
    async fn use_store(folder: &Path) {
        let store = disk(folder);
        drop(fill(&store, &key("album", "song"), &body(5_000)).await);
        write_object(&store, &key("album", "list"), b"#EXTM3U").await;
        store.pin("album").unwrap();
        store.flush().await.unwrap();
        store.verify().await.unwrap();
        assert_eq!(content(&store, &key("album", "song")).await, body(5_000));
        assert_eq!(object(&store, &key("album", "list")).await.as_deref(), Some(&b"#EXTM3U"[..]));
        store.remove_asset("album").await.unwrap();
        store.shutdown().await.unwrap();
    }

    /// Links in the place of every file that a store makes, to files outside and to where there are none.
    #[tokio::test]
    async fn no_file_outside_is_touched_through_a_link() {
        let names = [
            "_index/lock",
            "_index/lru.bin",
            "_index/lru.bin.new",
            "_index/pins.bin",
            "_index/pins.bin.new",
            "album/song",
            "album/song.part",
            "album/song.part.map",
            "album/song.part.map.new",
            "album/song.part.new",
            "album/song.crc",
            "album/list",
            "album/list.new",
        ];
        for name in names {
            for kind in ["link", "dangling link", "hard link", "pipe"] {
                let place = tempfile::tempdir().unwrap();
                let (folder, outside) = (place.path().join("store"), place.path().join("outside"));
                fs::create_dir_all(folder.join("_index")).unwrap();
                fs::create_dir_all(folder.join("album")).unwrap();
                fs::create_dir(&outside).unwrap();
                fs::write(outside.join("mine"), b"precious").unwrap();
                let planted = folder.join(name);
                match kind {
                    "link" => symlink(outside.join("mine"), &planted).unwrap(),
                    "dangling link" => symlink(outside.join("new"), &planted).unwrap(),
                    "hard link" => fs::hard_link(outside.join("mine"), &planted).unwrap(),
                    _ => mkfifo(&planted),
                }
                use_store(&folder).await;
                assert_eq!(fs::read(outside.join("mine")).unwrap(), b"precious", "{kind} {name}");
                assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{kind} {name}");
            }
        }
    }

    #[tokio::test]
    async fn no_folder_outside_is_used_through_a_link() {
        let place = tempfile::tempdir().unwrap();
        let (folder, outside) = (place.path().join("store"), place.path().join("outside"));
        fs::create_dir_all(outside.join("v0")).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(outside.join("song"), b"precious").unwrap();
        symlink(&outside, folder.join("album")).unwrap();
        let store = disk(&folder);
        // Playback goes on in memory.
        drop(fill(&store, &key("album", "song"), &body(5_000)).await);
        assert_eq!(content(&store, &key("album", "song")).await, body(5_000));
        assert!(store.trouble().is_some());
        let _ = store.remove_asset("album").await;
        drop(store);
        assert_eq!(fs::read(outside.join("song")).unwrap(), b"precious");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);

        let elsewhere = place.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        symlink(&elsewhere, other.join("_index")).unwrap();
        if let Ok(store) = AssetStore::disk(&other, AssetSettings::default()) {
            drop(fill(&store, &key("album", "song"), &body(10)).await);
        }
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn only_the_owner_may_look_at_what_is_stored() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("store");
        let store = disk(&folder);
        drop(fill(&store, &key("album", "v0/song"), &body(5_000)).await);
        write_object(&store, &key("album", "list"), b"#EXTM3U").await;
        let begun = store.open_streaming_resource(&key("album", "begun")).await.unwrap();
        let claim = begun.try_claim().unwrap().unwrap();
        begun.write_at(0, &body(5_000)).await.unwrap();
        begun.flush().await.unwrap();
        store.flush().await.unwrap();
        fn check(path: &Path) {
            let found = path.symlink_metadata().unwrap();
            let mode = found.permissions().mode() & 0o777;
            assert_eq!(mode, if found.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
            if found.is_dir() {
                fs::read_dir(path).unwrap().for_each(|entry| check(&entry.unwrap().path()));
            }
        }
        check(&folder);
        drop(claim);
    }
}

/// What a reader sees who has the resource open when the damage is found.
#[tokio::test]
async fn a_damaged_resource_names_its_file() {
    let folder = tempfile::tempdir().unwrap();
    drop(fill(&disk(folder.path()), &key("album", "song"), &body(5_000)).await);
    flip(&folder.path().join("album/song"), 17);
    let store = disk(folder.path());
    let resource = store.open_streaming_resource(&key("album", "song")).await.unwrap();
    let error = resource.read_at(0, &mut [0; 10]).await.unwrap_err();
    assert!(matches!(&error, StorageError::Damaged { range, .. } if *range == (0..5_000)), "{error:?}");
    assert!(error.to_string().contains("album/song"), "{error}");
    assert!(matches!(resource.status(), ResourceStatus::Failed(_)));
}
