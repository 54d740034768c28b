//! Opening and sharing.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt, IndexStats};
use kithara_storage::{ResourceStatus, StorageError, Streaming, WaitOutcome};

use super::{body, content, disk, files, fill, key, object, stores, write_object};

#[tokio::test]
async fn what_is_stored_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (song, list) = (key("album", "v0/song.m4s"), key("album", "list.m3u8"));
    {
        let store = disk(folder.path());
        fill(&store, &song, &body(100_000)).await;
        write_object(&store, &list, b"#EXTM3U").await;
    }
    let store = disk(folder.path());
    assert_eq!(store.size(), 100_007);
    assert_eq!(content(&store, &song).await, body(100_000));
    assert_eq!(object(&store, &list).await.as_deref(), Some(&b"#EXTM3U"[..]));
    assert_eq!(files(folder.path()), ["album/list.m3u8", "album/v0/song.m4s"]);
}

#[tokio::test]
async fn an_unfinished_download_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let song = key("album", "song");
    let body = body(300_000);
    {
        let store = disk(folder.path());
        let resource = store.open_streaming_resource(&song).await.unwrap();
        let _claim = resource.claim().await.unwrap();
        resource.write_at(0, &body[..200_000]).await.unwrap();
    }
    let store = disk(folder.path());
    assert_eq!(store.find(&song).map(|info| (info.bytes, info.complete)), Some((200_000, false)));
    let resource = store.open_streaming_resource(&song).await.unwrap();
    assert_eq!(resource.available_at(0), 200_000);
    assert!(matches!(resource.status(), ResourceStatus::Open));
    let _claim = resource.claim().await.unwrap();
    resource.write_at(200_000, &body[200_000..]).await.unwrap();
    resource.commit(300_000).await.unwrap();
    assert_eq!(content(&store, &song).await, body);
    assert!(store.find(&song).unwrap().complete);
}

#[tokio::test]
async fn two_opens_of_a_key_are_one_resource() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path(), &AssetSettings::default().with_idle_handles(0)) {
        let song = key("album", "song");
        let (a, b) = (
            store.open_streaming_resource(&song).await.unwrap(),
            store.open_streaming_resource(&song).await.unwrap(),
        );
        let claim = a.claim().await.unwrap();
        assert!(b.try_claim().unwrap().is_none());
        let mut wait = pin!(b.wait_range(0..4));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        a.write_at(0, b"data").await.unwrap();
        assert!(matches!(wait.await, Ok(WaitOutcome::Ready)));
        drop(claim);
        assert!(b.try_claim().unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_openers_at_once_get_one_resource() {
    let folder = tempfile::tempdir().unwrap();
    let store = AssetStore::disk(folder.path(), AssetSettings::default().with_idle_handles(0)).unwrap();
    for round in 0..50 {
        let song = key("album", &format!("song-{round}"));
        let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(4));
        let opens = (0..4).map(|_| {
            let (store, song, barrier) = (store.clone(), song.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                store.open_streaming_resource(&song).await.unwrap()
            })
        });
        let mut handles = Vec::new();
        for open in opens.collect::<Vec<_>>() {
            handles.push(open.await.unwrap());
        }
        let _claim = handles[0].claim().await.unwrap();
        handles[0].write_at(0, b"x").await.unwrap();
        assert!(handles.iter().all(|handle| handle.available_at(0) == 1));
        assert!(handles[1..].iter().all(|handle| handle.try_claim().unwrap().is_none()));
    }
}

#[tokio::test]
async fn opening_and_reading_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = disk(folder.path());
        for i in 0..30 {
            fill(&store, &key("album", &format!("{i}")), &body(1000)).await;
        }
    }
    let index = || {
        let mut files: Vec<_> = std::fs::read_dir(folder.path().join("_index"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap(), path))
            .collect();
        files.sort();
        files
    };
    let before = index();
    let store = disk(folder.path());
    for round in 0..3 {
        for i in 0..30 {
            assert_eq!(content(&store, &key("album", &format!("{i}"))).await.len(), 1000, "round {round}");
        }
    }
    // One that is not there: nothing comes into being by looking for it.
    let missing = store.open_streaming_resource(&key("none", "none")).await.unwrap();
    assert!(matches!(missing.status(), ResourceStatus::Open));
    assert_eq!(object(&store, &key("none", "other")).await, None);
    assert_eq!(store.index_stats(), IndexStats::default());
    assert_eq!(index(), before);
    assert_eq!(files(folder.path()).len(), 30);
    assert!(!folder.path().join("none").exists());
}

#[tokio::test]
async fn a_claim_without_a_byte_leaves_no_litter() {
    let folder = tempfile::tempdir().unwrap();
    let store = AssetStore::disk(folder.path(), AssetSettings::default().with_idle_handles(0)).unwrap();
    let resource = store.open_streaming_resource(&key("gone", "a/404")).await.unwrap();
    let claim = resource.claim().await.unwrap();
    resource.fail(StorageError::source("404 Not Found", false));
    drop((claim, resource));
    assert!(!folder.path().join("gone").exists());
    assert!(store.list().is_empty());
}

#[tokio::test]
async fn keys_that_differ_in_case_only_are_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    fill(&store, &key("Album", "Song"), b"upper").await;
    fill(&store, &key("album", "song"), b"lower").await;
    assert_eq!(content(&store, &key("Album", "Song")).await, b"upper");
    assert_eq!(content(&store, &key("album", "song")).await, b"lower");
    let names: std::collections::HashSet<_> =
        files(folder.path()).into_iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn two_stores_of_one_process_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (disk(folder.path()), disk(&folder.path().join(".")));
    let song = key("album", "song");
    let (a, b) = (
        one.open_streaming_resource(&song).await.unwrap(),
        two.open_streaming_resource(&song).await.unwrap(),
    );
    let _claim = a.claim().await.unwrap();
    assert!(b.try_claim().unwrap().is_none());
    drop(one);
    a.write_at(0, b"abc").await.unwrap();
    a.commit(3).await.unwrap();
    assert_eq!(two.size(), 3);
    assert_eq!(two.rights(), kithara_assets::Rights::Owner);
}

/// The end of one store and the start of the next, over and over, from two threads.
#[test]
fn a_folder_is_let_go_before_it_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let folder = folder.path();
            scope.spawn(move || {
                for round in 0..50 {
                    let store = disk(folder);
                    assert_eq!(store.rights(), kithara_assets::Rights::Owner);
                    store.pin(&format!("{thread}-{round}")).unwrap();
                }
            });
        }
    });
    assert_eq!(disk(folder.path()).pins().len(), 100);
}

#[tokio::test]
async fn a_dropped_open_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let song = key("album", "song");
    {
        let mut open = pin!(store.open_streaming_resource(&song));
        let polled = open.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(_)) | Poll::Pending));
    }
    fill(&store, &song, b"abc").await;
    assert_eq!(content(&store, &song).await, b"abc");
}
