//! Disks that are full, read-only, or lose files.

use std::fs;
use std::path::Path;
use std::task::{Context, Waker};

use kithara_assets::{AssetEvent, AssetSettings, AssetStore, Assets, AssetsExt, Place, Rights};
use kithara_storage::{Atomic, ResourceStatus, StorageError, Streaming, StreamingExt, WaitOutcome};

use super::{body, content, disk, fill, key, object, write_object};

/// Mounts a small file system; `None`, loudly, where the machine forbids it.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: this machine forbids mounting a tmpfs, so a really full disk is not tested here");
        None
    }

    fn remount(&self, options: &str) {
        let status = std::process::Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.0.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// In a process whose files cannot grow above 100 KiB.
pub(super) async fn play_on_a_full_disk(folder: &Path) {
    let store = disk(folder);
    let before = fill(&store, &key("album", "before"), &body(5000)).await;
    let mut events = store.events();
    let body = body(300_000);
    for name in ["song", "next"] {
        let song = key("album", name);
        let resource = store.open_streaming_resource(&song).await.unwrap();
        let reader = store.open_streaming_resource(&song).await.unwrap();
        let waiting = reader.clone();
        let mut wait = Box::pin(async move { waiting.wait_range(0..300_000).await });
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let claim = resource.claim().await.unwrap();
        assert_eq!(resource.place(), Place::Disk, "{:?}", store.trouble());
        resource.set_expected_len(300_000);
        resource.write_at(0, &body[..80_000]).await.unwrap();
        assert_eq!(resource.place(), Place::Disk);
        resource.write_at(80_000, &body[80_000..150_000]).await.unwrap();
        assert_eq!(resource.place(), Place::Memory);
        resource.write_at(150_000, &body[150_000..]).await.unwrap();
        assert_eq!(resource.expected_len(), Some(300_000));
        assert!(reader.try_claim().unwrap().is_none(), "the claim is kept over the move");
        assert_eq!(wait.await.unwrap(), WaitOutcome::Ready, "who waits does not notice");
        resource.commit(300_000).await.unwrap();
        drop(claim);
        assert!(reader.try_claim().unwrap().is_some());
        drop((resource, reader));
        assert_eq!(content(&store, &song).await, body, "and it is kept, as long as memory allows");
    }
    let Ok(AssetEvent::FellBackToMemory { error, .. }) = events.try_recv() else { panic!("no event") };
    assert!(error.to_string().contains("album/song"), "{error}");
    assert!(events.try_recv().is_err(), "one event");
    assert!(store.trouble().is_some());
    // What was stored before stays.
    assert_eq!(before.read_to_end(9999).await.unwrap(), body[..5000]);
    drop((before, store));
    let store = disk(folder);
    assert!(store.find(&key("album", "before")).unwrap().complete);
    let song = store.open_streaming_resource(&key("album", "song")).await.unwrap();
    assert!(song.available_at(0) <= 102_400 && song.len().is_none());
}

/// A limit on the size of files stands for a full disk: the same error, and no privilege is needed for it.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    // A signal that is ignored stays so over `exec`; the unit is 512 bytes.
    let script = r#"trap "" XFSZ; ulimit -f 200; exec "$0" "$@""#;
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("KITHARA_ROLE", "full disk")
        .env("KITHARA_FOLDER", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A real file system fills up in the middle of a download.
#[tokio::test]
async fn a_download_goes_on_when_the_disk_fills_up() {
    let Some(tmpfs) = Tmpfs::new("size=300k") else { return };
    let folder = tmpfs.0.path();
    let store = AssetStore::disk(folder, AssetSettings::default().with_idle_handles(0)).unwrap();
    let (song, body) = (key("album", "song"), body(500_000));
    let resource = store.open_streaming_resource(&song).await.unwrap();
    let claim = resource.claim().await.unwrap();
    for (index, chunk) in body.chunks(10_000).enumerate() {
        resource.write_at(index as u64 * 10_000, chunk).await.unwrap();
    }
    assert_eq!(resource.place(), Place::Memory);
    resource.commit(500_000).await.unwrap();
    drop(claim);
    assert_eq!(resource.read_to_end(usize::MAX).await.unwrap(), body);
    write_object(&store, &key("album", "list"), &[7; 400_000]).await;
    assert_eq!(object(&store, &key("album", "list")).await.unwrap().len(), 400_000);
    assert!(store.trouble().is_some());
    drop((resource, store));
    // The next process goes on from what the disk took.
    let store = disk(folder);
    let resource = store.open_streaming_resource(&song).await.unwrap();
    let there = resource.available_at(0);
    assert!(there >= 100_000, "{there}");
    let mut buf = vec![0; there as usize];
    let mut read = 0;
    while read < buf.len() {
        read += resource.read_at(read as u64, &mut buf[read..]).await.unwrap();
    }
    assert_eq!(buf, body[..read]);
}

/// A folder that cannot be written is read, and played from.
#[tokio::test]
async fn a_read_only_folder_is_read() {
    let Some(tmpfs) = Tmpfs::new("size=1m") else { return };
    let folder = tmpfs.0.path();
    {
        let store = disk(folder);
        fill(&store, &key("album", "song"), &body(5000)).await;
        write_object(&store, &key("album", "list"), b"#EXTM3U").await;
        let partial = store.open_streaming_resource(&key("album", "partial")).await.unwrap();
        let _claim = partial.claim().await.unwrap();
        partial.write_at(0, &body(1000)).await.unwrap();
    }
    tmpfs.remount("ro");
    let (store, trouble) = AssetStore::disk_or_memory(folder, AssetSettings::default());
    assert_eq!(store.rights(), Rights::ReadOnly);
    assert!(trouble.unwrap().is_folder_trouble());
    assert_eq!(content(&store, &key("album", "song")).await, body(5000));
    assert_eq!(object(&store, &key("album", "list")).await.unwrap(), b"#EXTM3U");
    // A download goes on in memory, from what is there.
    let partial = store.open_streaming_resource(&key("album", "partial")).await.unwrap();
    assert_eq!(partial.available_at(0), 1000);
    let claim = partial.claim().await.unwrap();
    assert_eq!(partial.available_at(0), 1000);
    partial.write_at(1000, &body(2000)[1000..]).await.unwrap();
    partial.commit(2000).await.unwrap();
    drop(claim);
    assert_eq!(partial.read_to_end(9999).await.unwrap(), body(2000));
    fill(&store, &key("new", "1"), &body(3000)).await;
    write_object(&store, &key("album", "list"), b"newer").await;
    assert_eq!(object(&store, &key("album", "list")).await.unwrap(), b"newer");
    assert!(store.remove_resource(&key("album", "song")).await.is_err());
    store.flush().await.unwrap();
    drop((partial, store));
    tmpfs.remount("rw");
    assert_eq!(disk(folder).rights(), Rights::Owner);
}

#[tokio::test]
async fn where_there_can_be_no_folder_there_is_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    for path in [file.join("cache"), file.clone(), Path::new("/proc/no/such/place").to_owned()] {
        let error = AssetStore::disk(&path, AssetSettings::default()).unwrap_err();
        assert!(error.is_folder_trouble(), "{error}");
        let (store, trouble) = AssetStore::disk_or_memory(&path, AssetSettings::default());
        assert!(trouble.unwrap().is_folder_trouble());
        assert_eq!(store.rights(), Rights::Memory);
        assert!(store.trouble().is_some());
        fill(&store, &key("album", "song"), b"abc").await;
        assert_eq!(content(&store, &key("album", "song")).await, b"abc");
    }
    let (store, trouble) = AssetStore::disk_or_memory(folder.path().join("cache"), AssetSettings::default());
    assert!(trouble.is_none() && store.trouble().is_none());
    assert_eq!(store.rights(), Rights::Owner);
}

/// What the folder could not take is bounded too.
#[tokio::test]
async fn memory_has_a_limit_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AssetSettings::default().with_max_memory_bytes(10_000).with_idle_handles(3);
    let store = AssetStore::disk(folder.path(), settings).unwrap();
    fs::write(folder.path().join("album"), b"in the way").unwrap();
    for segment in 0..20 {
        fill(&store, &key("album", &format!("{segment:02}")), &body(3000)).await;
        assert!(store.size() <= 12_000, "{}", store.size());
    }
    let kept: Vec<_> =
        store.list_resources("album").into_iter().map(|info| info.key.rel_path().to_owned()).collect();
    assert_eq!(kept, ["17", "18", "19"]);
}

#[tokio::test]
async fn a_file_that_shrinks_is_a_typed_error_and_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    let song = key("album", "song");
    let resource = fill(&store, &song, &body(100_000)).await;
    let path = folder.path().join("album/song");
    fs::File::options().write(true).open(&path).unwrap().set_len(40_000).unwrap();
    let mut buf = vec![0; 1000];
    assert_eq!(resource.read_at(0, &mut buf).await.unwrap(), 1000);
    let lost = resource.read_at(50_000, &mut buf).await;
    assert!(matches!(lost, Err(StorageError::Truncated { committed: true, .. })), "{lost:?}");
    // The one who has it open starts over too.
    let again = store.open_streaming_resource(&song).await.unwrap();
    assert!(matches!(again.status(), ResourceStatus::Open));
    assert_eq!((again.available_at(0), resource.available_at(0)), (0, 0));
    assert!(!path.exists());
    drop((resource, again));
    fill(&store, &song, &body(100_000)).await;
    assert_eq!(content(&store, &song).await, body(100_000));
}

#[tokio::test]
async fn a_file_that_changed_its_length_or_vanished_meanwhile_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    for damage in ["shrink", "grow", "vanish"] {
        {
            fill(&disk(folder.path()), &key("album", damage), &body(5000)).await;
        }
        let path = folder.path().join("album").join(damage);
        match damage {
            "shrink" => fs::write(&path, body(4000)).unwrap(),
            "grow" => fs::write(&path, body(6000)).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
        let store = disk(folder.path());
        let resource = store.open_streaming_resource(&key("album", damage)).await.unwrap();
        assert!(matches!(resource.status(), ResourceStatus::Open), "{damage}");
        assert_eq!(resource.available_at(0), 0, "{damage}");
        assert!(store.find(&key("album", damage)).is_none(), "{damage}");
        drop(resource);
        fill(&store, &key("album", damage), &body(5000)).await;
        assert_eq!(content(&store, &key("album", damage)).await, body(5000), "{damage}");
    }
}

#[tokio::test]
async fn a_folder_that_vanishes_beneath_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let store = disk(&path);
    fill(&store, &key("album", "song"), &body(5000)).await;
    let writing = store.open_streaming_resource(&key("album", "next")).await.unwrap();
    let claim = writing.claim().await.unwrap();
    writing.write_at(0, &body(2000)).await.unwrap();
    fs::remove_dir_all(&path).unwrap();
    writing.write_at(2000, &body(5000)[2000..]).await.unwrap();
    writing.commit(5000).await.unwrap();
    drop(claim);
    assert_eq!(writing.read_to_end(9999).await.unwrap(), body(5000));
    let object = store.open_atomic_resource(&key("album", "list")).await.unwrap();
    object.write(b"list").await.unwrap();
    assert_eq!(object.read().await.unwrap().unwrap(), &b"list"[..]);
    fill(&store, &key("other", "1"), &body(100)).await;
    let _ = store.flush().await;
}

/// A disk so full that it takes the names of files and nothing else.
#[tokio::test]
async fn a_full_disk_keeps_no_empty_files() {
    let Some(tmpfs) = Tmpfs::new("size=300k") else { return };
    let folder = tmpfs.0.path();
    let store = disk(folder);
    drop(fill(&store, &key("album", "before"), &body(5000)).await);
    store.flush().await.unwrap();
    assert!(fs::write(folder.join("ballast"), vec![1; 1 << 20]).is_err());
    for name in ["1", "2"] {
        drop(fill(&store, &key("album", name), &body(5000)).await);
        write_object(&store, &key("album", &format!("{name}.list")), &body(5000)).await;
    }
    let _ = store.flush().await;
    store.shutdown().await.unwrap_or_default();
    let left: Vec<_> = super::files(folder).into_iter().filter(|path| path != "ballast").collect();
    assert_eq!(left, ["album/before"]);
    assert!(!folder.join("_index/lru.bin.new").exists());
}

/// A body that never ends, in memory and on disk.
#[tokio::test]
async fn a_body_without_an_end_is_an_error_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AssetSettings::default().with_max_bytes(1 << 20).with_max_memory_bytes(1 << 20);
    let chunk = vec![7; 64 << 10];
    let stores = [
        (AssetStore::disk(folder.path(), settings.clone()).unwrap(), 1 << 20),
        (AssetStore::memory(settings.with_max_resource_bytes(3 << 20)), 3 << 20),
    ];
    for (store, limit) in stores {
        let resource = store.open_streaming_resource(&key("album", "endless")).await.unwrap();
        let claim = resource.claim().await.unwrap();
        let mut at = 0;
        let error = loop {
            match resource.write_at(at, &chunk).await {
                Ok(()) => at += chunk.len() as u64,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StorageError::TooLarge { limit: found, .. } if found == limit), "{error}");
        assert_eq!((at, store.size()), (limit, limit), "{store}");
        // What was passed over and given back makes room.
        resource.discard(0..limit / 2).await.unwrap();
        resource.write_at(at, &chunk).await.unwrap();
        drop(claim);
    }
}

/// A disk store takes a file that is declared to be larger than its limit, as it does what is pinned.
#[tokio::test]
async fn a_declared_length_may_exceed_the_limit_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = AssetStore::disk(folder.path(), AssetSettings::default().with_max_bytes(10_000)).unwrap();
    let resource = store.open_streaming_resource(&key("album", "long")).await.unwrap();
    let claim = resource.claim().await.unwrap();
    resource.set_expected_len(20_000);
    resource.write_at(0, &body(20_000)).await.unwrap();
    assert!(matches!(resource.write_at(20_000, b"x").await, Err(StorageError::TooLarge { .. })));
    resource.commit(20_000).await.unwrap();
    drop(claim);
}
