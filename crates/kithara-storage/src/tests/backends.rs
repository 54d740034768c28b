//! The conformance suite over the backends of this crate, on both kinds of runtime.

use std::sync::atomic::{AtomicUsize, Ordering};

use random_access_disk::RandomAccessDisk;
use random_access_memory::RandomAccessMemory;
use tokio::runtime::Builder;

use crate::{AtomicResource, StorageOptions, StreamingResource, conformance};

fn on_both_runtimes(test: impl AsyncFn()) {
    Builder::new_current_thread().build().unwrap().block_on(test());
    Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(test());
}

#[test]
fn disk() {
    on_both_runtimes(async || {
        // With notes and synchronisations as often as can be, and with none.
        for (journal_every, sync_every) in [(1, 1), (1000, 50_000), (u64::MAX, u64::MAX)] {
            let folder = tempfile::tempdir().unwrap();
            let count = AtomicUsize::new(0);
            let settings =
                StorageOptions::new().with_journal_every(journal_every).with_sync_every(sync_every);
            let make = async || {
                let name = count.fetch_add(1, Ordering::SeqCst).to_string();
                StreamingResource::disk(folder.path().join("folder").join(name), settings).unwrap()
            };
            conformance::streaming(make).await;
        }
    });
}

#[test]
fn memory() {
    on_both_runtimes(async || conformance::streaming(async || StreamingResource::memory()).await);
}

#[test]
fn random_access_memory() {
    on_both_runtimes(async || {
        let make = async || StreamingResource::random_access(RandomAccessMemory::default(), None);
        conformance::streaming(make).await;
    });
}

#[test]
fn random_access_disk() {
    on_both_runtimes(async || {
        let folder = tempfile::tempdir().unwrap();
        let count = AtomicUsize::new(0);
        let make = async || {
            let path = folder.path().join(count.fetch_add(1, Ordering::SeqCst).to_string());
            let storage = RandomAccessDisk::open(path).await.unwrap();
            StreamingResource::random_access(storage, None)
        };
        conformance::streaming(make).await;
    });
}

#[test]
fn atomic_objects() {
    on_both_runtimes(async || {
        let folder = tempfile::tempdir().unwrap();
        let count = AtomicUsize::new(0);
        let make = async || {
            let name = count.fetch_add(1, Ordering::SeqCst).to_string();
            AtomicResource::disk(folder.path().join("folder").join(name))
        };
        conformance::atomic(make).await;
        conformance::atomic(async || AtomicResource::memory()).await;
    });
}
