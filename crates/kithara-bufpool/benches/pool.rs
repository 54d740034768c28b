//! Get and put of a warm pool beside a bare sharded mutex around a stack of vectors.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use kithara_bufpool::{BytePool, PoolSettings};

/// What anybody would write in ten lines: no limits, no home.
struct Bare {
    shards: Vec<Padded>,
}

#[repr(align(128))]
struct Padded(parking_lot::Mutex<Vec<Vec<u8>>>);

impl Bare {
    fn new() -> Self {
        Self { shards: (0..32).map(|_| Padded(parking_lot::Mutex::new(Vec::new()))).collect() }
    }

    fn shard(&self) -> &Padded {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! { static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed)); }
        &self.shards[NUMBER.get() % 32]
    }

    fn get(&self) -> Vec<u8> {
        self.shard().0.lock().pop().unwrap_or_default()
    }

    fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.shard().0.lock().push(buffer);
    }
}

fn use_bare(bare: &Bare) {
    let mut buffer = bare.get();
    buffer.reserve(4096);
    buffer.push(1);
    black_box(&mut buffer);
    bare.put(buffer);
}

fn use_pool(pool: &BytePool) {
    let mut buffer = pool.get();
    buffer.reserve(4096);
    buffer.push(1);
    black_box(&mut buffer);
    drop(buffer);
}

/// Time per round when `threads` of them do `rounds` each at once.
fn together<T: Send + Sync + 'static>(
    threads: usize,
    rounds: u64,
    shared: &Arc<T>,
    work: fn(&T),
) -> Duration {
    let barrier = Arc::new(Barrier::new(threads));
    let run = |_| {
        let (shared, barrier) = (Arc::clone(shared), Arc::clone(&barrier));
        std::thread::spawn(move || {
            (0..100).for_each(|_| work(&shared));
            barrier.wait();
            let begin = Instant::now();
            (0..rounds).for_each(|_| work(&shared));
            begin.elapsed()
        })
    };
    let running: Vec<_> = (0..threads).map(run).collect();
    running.into_iter().map(|thread| thread.join().unwrap()).max().unwrap_or_default()
}

fn bench(criterion: &mut Criterion) {
    let (bare, pool) = (Arc::new(Bare::new()), Arc::new(BytePool::new(PoolSettings::default())));
    for threads in [1, 2] {
        let mut group = criterion.benchmark_group(format!("get+put, {threads} thread(s)"));
        group.bench_function("bare sharded mutex", |b| {
            b.iter_custom(|n| together(threads, n, &bare, use_bare))
        });
        group.bench_function("SharedPool", |b| b.iter_custom(|n| together(threads, n, &pool, use_pool)));
        group.finish();
    }
    let mut group = criterion.benchmark_group("freeze, then drop");
    group.bench_function("Bytes::from(Vec), copied", |b| {
        b.iter(|| black_box(bytes::Bytes::copy_from_slice(&[1; 4096])));
    });
    group.bench_function("Pooled::freeze", |b| {
        b.iter(|| black_box(pool.get_with(|buffer| buffer.resize(4096, 1)).freeze()));
    });
    group.finish();
    print_ratios(&bare, &pool);
}

/// Interleaved in one run, the best of many: a busy machine slows both.
fn print_ratios(bare: &Arc<Bare>, pool: &Arc<BytePool>) {
    const ROUNDS: u64 = 100_000;
    for threads in [1, 2] {
        let (mut best_bare, mut best_pool) = (Duration::MAX, Duration::MAX);
        for _ in 0..30 {
            best_bare = best_bare.min(together(threads, ROUNDS, bare, use_bare));
            best_pool = best_pool.min(together(threads, ROUNDS, pool, use_pool));
        }
        let ratio = best_pool.as_secs_f64() / best_bare.as_secs_f64();
        let nanos = |time: Duration| time.as_nanos() as f64 / ROUNDS as f64;
        eprintln!(
            "{threads} thread(s): SharedPool {:.1} ns, bare sharded mutex {:.1} ns, ratio {ratio:.2} (target {})",
            nanos(best_pool),
            nanos(best_bare),
            if threads == 1 { "2.0" } else { "2.0 on one thread, no slower per thread on two" },
        );
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
