//! A store with nothing to write sleeps. In a process of its own: threads are told apart by name.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt};

/// Threads of this process with this name, and how often each was woken.
fn wakeups(name: &str) -> Vec<u64> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut counts = Vec::new();
    for task in tasks.map(|task| task.unwrap().path()) {
        if std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let status = std::fs::read_to_string(task.join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
            counts.push(line.split_whitespace().last().unwrap().parse().unwrap());
        }
    }
    counts
}

#[test]
fn a_clean_store_never_wakes_up_and_ends_with_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let store = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
    store.pin("album").unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.flush()).unwrap();
    assert_eq!(wakeups("kithara-index").len(), 1, "one thread per store");
    // The change may have set an alarm for a second later, which a busy machine may hear late; after that there is none. A
    // thread that polls is never quiet.
    let quiet = (0..10).any(|_| {
        let before = wakeups("kithara-index");
        std::thread::sleep(Duration::from_millis(2000));
        wakeups("kithara-index") == before
    });
    assert!(quiet);
    drop(store);
    assert!(wakeups("kithara-index").is_empty(), "joined");

    let store = AssetStore::memory(AssetSettings::default());
    assert!(wakeups("kithara-index").is_empty(), "a memory store needs none");
    drop(store);
}
