//! A store with nothing to write sleeps. In a process of its own: its threads are counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore, Assets, AssetsExt};

/// What the kernel sets, in the flags of a thread, before it lets those go on who join it.
const PF_EXITING: u64 = 4;

/// The threads of this process. One that has been joined may be listed a little longer, and is not counted.
fn threads() -> BTreeSet<PathBuf> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    tasks.filter(|task| flags(task).is_some_and(|flags| flags & PF_EXITING == 0)).collect()
}

/// `None`: it has just gone.
fn flags(task: &Path) -> Option<u64> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    // Behind the name, which may contain anything: state and five numbers come before.
    stat.rsplit_once(')')?.1.split_whitespace().nth(6)?.parse().ok()
}

/// How often a thread has gone to sleep.
fn sleeps(task: &Path) -> u64 {
    let status = std::fs::read_to_string(task.join("status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// Opens a store, and finds its thread.
fn open(folder: &Path) -> (AssetStore, PathBuf) {
    let before = threads();
    let store = AssetStore::disk(folder, AssetSettings::default()).unwrap();
    let during = threads();
    let [thread] = &during.difference(&before).collect::<Vec<_>>()[..] else {
        panic!("one thread per store: {during:?}, and {before:?} before");
    };
    (store, PathBuf::clone(thread))
}

#[test]
fn a_clean_store_never_wakes_up_and_ends_with_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let (store, thread) = open(folder.path());
    store.pin("album").unwrap();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.flush()).unwrap();
    // The change may have set an alarm for a second later, which a busy machine may hear late; after that there is none. A
    // thread that polls is never quiet.
    let quiet = (0..10).any(|_| {
        let before = sleeps(&thread);
        std::thread::sleep(Duration::from_millis(2000));
        sleeps(&thread) == before
    });
    assert!(quiet);
    drop(store);
    assert!(!threads().contains(&thread), "joined");
    // Often, because one that nobody joins may be fast.
    for _ in 0..200 {
        let (store, thread) = open(folder.path());
        drop(store);
        assert!(!threads().contains(&thread), "joined");
    }

    let before = threads();
    let store = AssetStore::memory(AssetSettings::default());
    assert!(threads().is_subset(&before), "a memory store needs none");
    drop(store);
}
