//! A warm pool stays off the allocator.

#![allow(clippy::print_stdout, reason = "a test without a harness")]

use kithara_bufpool::{BytePool, PoolSettings};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    if cfg!(miri) {
        // The profiler takes a backtrace for each block, which takes miri minutes.
        return;
    }
    let _profiler = dhat::Profiler::builder().testing().build();
    let pool = BytePool::new(PoolSettings::default());
    let round = || {
        let (mut one, two) =
            (pool.get_with(|bytes| bytes.resize(64 * 1024, 1)), pool.get_with(|b| b.resize(1000, 2)));
        one[5] = 7;
        drop((one, two));
    };
    round();
    round();
    let before = dhat::HeapStats::get().total_blocks;
    (0..1000).for_each(|_| round());
    assert_eq!(dhat::HeapStats::get().total_blocks, before);
    // Bytes need the header of their shared count, and nothing else.
    (0..1000).for_each(|_| drop(pool.get_with(|bytes| bytes.resize(1000, 3)).freeze()));
    let frozen = dhat::HeapStats::get().total_blocks - before;
    assert_eq!(frozen, 1000, "blocks for 1000 frozen buffers");
    println!("test a_warm_pool_allocates_nothing ... ok");
}
