//! Shards under shuttle, which runs the threads in thousands of orders: nothing is given twice, nothing is lost, and the
//! limits hold at every moment.
//!
//! The files are compiled here a second time, with shuttle's primitives in the place of the real ones.

// Shuttle's stacks are beyond miri.
#![cfg(not(miri))]
#![allow(clippy::unwrap_used, dead_code, unused_imports, unreachable_pub, reason = "a model")]

/// What `src/sync.rs` is in the crate.
mod sync {
    pub use shuttle::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> shuttle::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

#[path = "../src/limit.rs"]
mod limit;
#[path = "../src/shard.rs"]
mod shard;

use std::sync::Arc;

use limit::Limit;
use shard::{Limits, Shard};
use shuttle::thread;

const BUFFERS: usize = 3;
const BYTES: usize = 100;

fn shards() -> [Arc<Shard<u32>>; 2] {
    let limits = Limits { buffers: Limit::new(BUFFERS, 2), bytes: Limit::new(BYTES, 2), trim_bytes: 64 };
    let limits = Arc::new(limits);
    [(); 2].map(|()| Arc::new(Shard::new(Arc::clone(&limits))))
}

fn in_many_orders(model: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(model, 2_000);
    shuttle::check_pct(model, 2_000, 3);
}

#[test]
fn nothing_is_given_twice_or_lost_and_the_limits_hold() {
    in_many_orders(|| {
        let shards = shards();
        let threads: Vec<_> = (0..3_u32)
            .map(|number| {
                let shards = shards.clone();
                thread::spawn(move || {
                    let (own, other) = (&shards[number as usize % 2], &shards[(number as usize + 1) % 2]);
                    let (mut held, mut freed) = (vec![number * 10, number * 10 + 1], Vec::new());
                    for step in 0..3 {
                        // Sizes differ, so that the limit of bytes bites as well as the one of buffers.
                        freed.extend(held.pop().and_then(|value| own.put(value, 30)));
                        held.extend(if step == 1 { other.steal() } else { own.take() });
                    }
                    (held, freed)
                })
            })
            .collect();
        let mut all = Vec::new();
        for thread in threads {
            let (held, freed) = thread.join().unwrap();
            all.extend(held.into_iter().chain(freed));
        }
        let resting: usize = shards.iter().map(|shard| shard.retained_bytes()).sum();
        assert!(resting <= BYTES && resting / 30 <= BUFFERS);
        for shard in &shards {
            all.extend(std::iter::from_fn(|| shard.take()));
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 10, 11, 20, 21]);
    });
}

#[test]
fn units_are_neither_lost_nor_made() {
    in_many_orders(|| {
        let limit = Arc::new(Limit::new(40, 2));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let limit = Arc::clone(&limit);
                thread::spawn(move || {
                    let (mut advance, mut drawn) = (limit.advance(), 0);
                    for need in [9, 13, 7] {
                        drawn += if advance.draw(&limit, need) { need } else { 0 };
                    }
                    advance.give_back(&limit, drawn);
                    (0..).take_while(|_| advance.draw(&Limit::new(0, 1), 1)).count()
                })
            })
            .collect();
        let advances: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        // Whoever asks for more than anybody can have gets nothing; what is left and what was advanced is all there was.
        let mut rest = limit.advance();
        let left = (0..).take_while(|_| rest.draw(&limit, 1)).count();
        assert_eq!(advances + left, 40);
    });
}
