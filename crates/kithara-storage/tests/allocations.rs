//! Reading and waiting stay off the allocator; so does writing, between two notes.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a test without a harness")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use kithara_storage::{StorageOptions, Streaming, StreamingResource, block_on};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const CHUNK: usize = 64 * 1024;

fn count(work: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    work();
    dhat::HeapStats::get().total_blocks - before
}

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let folder = tempfile::tempdir().unwrap();
    let settings = StorageOptions::new().with_journal_every(u64::MAX).with_sync_every(u64::MAX);
    let disk = StreamingResource::disk(folder.path().join("song"), settings).unwrap();
    for resource in [disk, StreamingResource::memory()] {
        let (body, mut buf) = (vec![7; CHUNK], vec![0; CHUNK]);
        let claim = resource.try_claim().unwrap();
        block_on(resource.write_at(0, &body)).unwrap();
        // Once, for what is allocated for good: the place of a waiter, the waker of this thread.
        round(&resource, &body, &mut buf, 1);
        let blocks = count(|| (2..500).for_each(|index| round(&resource, &body, &mut buf, index)));
        // Memory is what a memory resource is made of: per page its lock and its bytes, and now and then a node of the map.
        let pages = if resource.path().is_some() { 0 } else { 498 * (CHUNK as u64 / 16_384) };
        assert!(blocks <= pages * 2 + pages / 4, "{resource:?}: {blocks} blocks");
        let blocks = count(|| {
            for index in 0..500 {
                let offset = index * CHUNK as u64;
                block_on(resource.wait_range(offset..offset + 10)).unwrap();
                assert!(block_on(resource.read_at(offset, &mut buf)).unwrap() > 0);
                assert!(resource.available_at(offset) > 0);
            }
        });
        assert_eq!(blocks, 0, "{resource:?}");
        drop(claim);
    }
    println!("test reading_and_waiting_allocate_nothing ... ok");
}

/// A waiter that comes first, the write that it waits for, and the read of it.
fn round(resource: &StreamingResource, body: &[u8], buf: &mut [u8], index: u64) {
    let offset = index * CHUNK as u64;
    let mut wait = pin!(resource.wait_range(offset..offset + CHUNK as u64));
    let mut context = Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(&mut context).is_pending());
    block_on(resource.write_at(offset, body)).unwrap();
    block_on(wait).unwrap();
    assert!(block_on(resource.read_at(offset, buf)).unwrap() > 0);
}
