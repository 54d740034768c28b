//! Blocking faces on threads of both kinds.

use std::thread;

use tokio::runtime::{Builder, Runtime};

use crate::{Atomic, AtomicResource, StorageError, Streaming, StreamingExt, StreamingResource, WaitOutcome};

fn runtimes() -> [Runtime; 2] {
    [
        Builder::new_current_thread().build().unwrap(),
        Builder::new_multi_thread().worker_threads(1).build().unwrap(),
    ]
}

#[test]
fn a_blocking_call_that_would_block_a_runtime_is_an_error() {
    for runtime in runtimes() {
        let resource = StreamingResource::memory();
        let waits = |resource: &StreamingResource| {
            assert!(matches!(resource.wait_range_blocking(0..10), Err(StorageError::WouldBlockRuntime)));
        };
        runtime.block_on(async { waits(&resource) });
        let task = resource.clone();
        runtime.block_on(runtime.spawn(async move { waits(&task) })).unwrap();
        // What is there already keeps nobody waiting.
        runtime.block_on(async {
            let _claim = resource.claim().await;
            resource.write_at(0, &[1; 10]).await.unwrap();
            assert_eq!(resource.wait_range_blocking(0..10).unwrap(), WaitOutcome::Ready);
            assert_eq!(resource.read_at_blocking(0, &mut [0; 10]).unwrap(), 10);
        });
    }
}

#[test]
fn a_blocking_thread_of_a_runtime_may_wait() {
    for runtime in runtimes() {
        let resource = StreamingResource::memory();
        let waiter = resource.clone();
        let waiting = runtime.spawn_blocking(move || waiter.wait_range_blocking(0..10));
        while resource.waiting() == 0 {
            thread::yield_now();
        }
        runtime.block_on(async {
            let _claim = resource.claim().await;
            resource.write_at(0, &[1; 10]).await.unwrap();
            assert_eq!(waiting.await.unwrap().unwrap(), WaitOutcome::Ready);
        });
    }
}

#[test]
fn a_file_is_not_read_or_replaced_on_a_thread_that_drives_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let file = AtomicResource::disk(folder.path().join("a"));
    for runtime in runtimes() {
        runtime.block_on(async {
            assert!(matches!(file.write_blocking(b"no"), Err(StorageError::WouldBlockRuntime)));
            assert!(matches!(file.read_blocking(), Err(StorageError::WouldBlockRuntime)));
            assert!(matches!(file.remove_blocking(), Err(StorageError::WouldBlockRuntime)));
            file.write(b"yes").await.unwrap();
            assert_eq!(file.read().await.unwrap().as_deref(), Some(&b"yes"[..]));
        });
        assert_eq!(file.read_blocking().unwrap().as_deref(), Some(&b"yes"[..]));
        file.remove_blocking().unwrap();
    }
}
