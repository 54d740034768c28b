//! Other processes: one that is killed, and one that comes second.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsError, AssetsExt, Place, Rights};
use kithara_storage::{ResourceStatus, Streaming};

use super::{body, content, disk, files, fill, key};

/// This very test binary as another process, which runs `child` below.
fn spawn(role: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("KITHARA_ROLE", role)
        .env("KITHARA_FOLDER", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
#[ignore = "the other process of the tests below"]
fn child() {
    let (Ok(role), Ok(folder)) = (std::env::var("KITHARA_ROLE"), std::env::var("KITHARA_FOLDER")) else {
        return;
    };
    let folder = Path::new(&folder);
    match role.as_str() {
        "downloader" => runtime().block_on(download_for_ever(folder)),
        "guest" => runtime().block_on(be_a_guest(folder)),
        #[cfg(unix)]
        "full disk" => runtime().block_on(super::trouble::play_on_a_full_disk(folder)),
        "owner" => {
            let store = disk(folder);
            assert_eq!(store.rights(), Rights::Owner);
            println!("\nopen");
            // Until the parent closes its end.
            let _ = std::io::stdin().read(&mut [0; 1]);
        }
        _ => unreachable!(),
    }
}

async fn download_for_ever(folder: &Path) {
    let store = disk(folder);
    for number in 0_u32.. {
        let name = key(&format!("album-{}", number % 7), &format!("{number}"));
        let resource = store.open_streaming_resource(&name).await.unwrap();
        let _claim = resource.claim().await.unwrap();
        let data = body(10_000 + number as usize);
        resource.write_at(0, &data[..5000]).await.unwrap();
        resource.write_at(5000, &data[5000..]).await.unwrap();
        resource.commit(data.len() as u64).await.unwrap();
        println!("\n{name}");
        std::io::stdout().flush().unwrap();
    }
}

async fn be_a_guest(folder: &Path) {
    let store = disk(folder);
    assert_eq!(store.rights(), Rights::Guest);
    assert!(store.trouble().is_none());
    // It reads what is there, and lists it.
    assert_eq!(content(&store, &key("album", "owners")).await, body(1000));
    assert_eq!(store.size(), 2500, "what the owner is writing is seen too");
    // It adds, and finds again, what it downloads.
    let added = fill(&store, &key("album", "guests"), &body(2000)).await;
    assert_eq!(added.place(), Place::Disk);
    drop(added);
    assert_eq!(content(&store, &key("album", "guests")).await, body(2000));
    // What the owner is writing right now it writes for itself, from what is there already.
    let contested = store.open_streaming_resource(&key("album", "contested")).await.unwrap();
    let claim = contested.claim().await.unwrap();
    assert_eq!(contested.place(), Place::Memory);
    contested.write_at(0, &body(3000)).await.unwrap();
    contested.commit(3000).await.unwrap();
    drop((claim, contested));
    assert_eq!(content(&store, &key("album", "contested")).await, body(3000));
    // It removes nothing, evicts nothing, and writes no index.
    let removed = store.remove_resource(&key("album", "owners")).await;
    assert!(matches!(removed, Err(AssetsError::OwnedElsewhere { .. })), "{removed:?}");
    assert!(store.pin("album").unwrap());
    store.flush().await.unwrap();
    println!("\ndone");
}

#[tokio::test]
async fn a_second_process_is_a_guest() {
    let folder = tempfile::tempdir().unwrap();
    let store = disk(folder.path());
    fill(&store, &key("album", "owners"), &body(1000)).await;
    store.flush().await.unwrap();
    let index = std::fs::read(folder.path().join("_index/lru.bin")).unwrap();
    let writing = store.open_streaming_resource(&key("album", "contested")).await.unwrap();
    let claim = writing.claim().await.unwrap();
    writing.write_at(0, &body(3000)[..1500]).await.unwrap();

    let output = spawn("guest", folder.path()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("\ndone"), "{said}");

    assert_eq!(std::fs::read(folder.path().join("_index/lru.bin")).unwrap(), index);
    assert!(store.pins().is_empty());
    // The owner goes on undisturbed, and finds what was added.
    writing.write_at(1500, &body(3000)[1500..]).await.unwrap();
    writing.commit(3000).await.unwrap();
    drop((claim, writing));
    assert_eq!(content(&store, &key("album", "contested")).await, body(3000));
    assert_eq!(store.verify().await.unwrap().adopted, 1);
    assert_eq!(content(&store, &key("album", "guests")).await, body(2000));
    assert_eq!(store.size(), 6000);
}

/// What a guest added is found by the next owner without being asked to look.
#[test]
fn the_next_owner_takes_up_what_a_guest_added() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = spawn("owner", folder.path());
    wait_for(&mut owner, "open");
    let store = disk(folder.path());
    assert_eq!(store.rights(), Rights::Guest);
    runtime().block_on(async { fill(&store, &key("album", "guests"), &body(2000)).await });
    drop(store);
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
    let store = disk(folder.path());
    assert_eq!((store.rights(), store.size()), (Rights::Owner, 2000));
}

#[test]
fn an_owner_that_is_killed_leaves_the_folder_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut owner = spawn("owner", folder.path());
    wait_for(&mut owner, "open");
    assert_eq!(disk(folder.path()).rights(), Rights::Guest);
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eq!(disk(folder.path()).rights(), Rights::Owner);
}

fn wait_for(child: &mut Child, line: &str) {
    let stdout = BufReader::new(child.stdout.as_mut().unwrap());
    assert!(stdout.lines().map(Result::unwrap).any(|said| said == line), "the other process said nothing");
}

/// Killed while it downloads, again and again, always in the same folder: every file is known to the index of the next
/// process, which reads the index and the assets of the last session, no more.
#[test]
fn a_killed_process_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let mut child = spawn("downloader", folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut done = Vec::new();
        while done.len() < 1 + round * 3 {
            let line = lines.next().expect("the other process goes on until it is killed");
            done.extend(
                line.split_once('/').map(|(root, rel)| key(root, rel)).filter(|_| line.starts_with("album-")),
            );
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let store = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        assert_eq!(store.rights(), Rights::Owner);
        let listed: Vec<_> =
            store.list().iter().flat_map(|asset| store.list_resources(&asset.asset_root)).collect();
        let unfinished = listed.iter().filter(|info| !info.complete).count();
        assert!(unfinished <= 1, "round {round}");
        let on_disk: std::collections::BTreeSet<_> = files(folder.path())
            .into_iter()
            .filter(|path| !path.ends_with(".map"))
            .map(|path| path.trim_end_matches(".part").to_owned())
            .collect();
        let known: std::collections::BTreeSet<_> = listed.iter().map(|info| info.key.to_string()).collect();
        assert_eq!(known, on_disk, "round {round}");
        runtime().block_on(async {
            for name in &done {
                let number: usize = name.rel_path().parse().unwrap();
                assert_eq!(content(&store, name).await, body(10_000 + number), "round {round}");
            }
            for info in listed.iter().filter(|info| !info.complete) {
                let resource = store.open_streaming_resource(&info.key).await.unwrap();
                assert!(matches!(resource.status(), ResourceStatus::Open));
            }
            store.clear().await.unwrap();
        });
        assert_eq!(files(folder.path()), [""; 0], "round {round}: {listed:?}");
    }
}
