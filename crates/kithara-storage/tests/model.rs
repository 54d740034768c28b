//! The wait/announce protocol under shuttle, which runs the threads in thousands of orders: no order loses a wake-up.
//!
//! The files of the protocol are compiled here a second time, with shuttle's mutex in the place of the real one.

#![allow(clippy::unwrap_used, dead_code, unused_imports, unreachable_pub, missing_docs, reason = "a model")]

/// What `src/sync.rs` is in the crate.
mod sync {
    pub use shuttle::sync::MutexGuard;

    #[derive(Debug)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

#[path = "../src/range_tracker.rs"]
mod range_tracker;

use std::future::Future;
use std::sync::Arc;

use kithara_storage::{RangeSet, ResourceStatus, StorageError, WaitOutcome};
use range_tracker::{RangeTracker, Readable};
use shuttle::future::block_on;
use shuttle::thread;

const SCHEDULES: usize = 1_000;

/// Random schedules, and those that need few but unlucky preemptions. A lost wake-up is a deadlock, which shuttle reports.
fn in_many_orders(model: impl Fn() + Send + Sync + Copy + 'static) {
    shuttle::check_random(model, SCHEDULES);
    shuttle::check_pct(model, SCHEDULES, 3);
}

#[test]
fn a_waiter_is_woken_whatever_the_order_of_the_announcements() {
    in_many_orders(|| {
        let tracker = Arc::new(RangeTracker::new());
        let writers = [0..10, 10..20].map(|range| {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || assert!(tracker.announce(range, 0)))
        });
        let waiters = [0..20, 5..15, 10..20].map(|range| {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || {
                assert_eq!(block_on(tracker.wait_range(range.clone())).unwrap(), WaitOutcome::Ready);
                assert!(tracker.lock().ranges.contains(&range), "woken too early");
                let found = tracker.readable(range.start, 1).unwrap();
                assert!(matches!(found, Readable::Bytes { len: 1, .. }));
            })
        });
        writers.into_iter().for_each(|thread| thread.join().unwrap());
        waiters.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_commit_ends_every_wait() {
    in_many_orders(|| {
        let tracker = Arc::new(RangeTracker::new());
        let waiters = [(5..20, WaitOutcome::Ready), (10..11, WaitOutcome::Eof)].map(|(range, outcome)| {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || assert_eq!(block_on(tracker.wait_range(range)).unwrap(), outcome))
        });
        assert!(tracker.announce(0..10, 0));
        assert!(tracker.commit(10).unwrap());
        waiters.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_failure_ends_every_wait() {
    in_many_orders(|| {
        let tracker = Arc::new(RangeTracker::new());
        let waiter = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || block_on(tracker.wait_range(0..20)).unwrap_err())
        };
        tracker.announce(0..10, 0);
        tracker.update(|state| state.status = ResourceStatus::Failed(StorageError::NotClaimed));
        assert!(matches!(waiter.join().unwrap(), StorageError::NotClaimed));
    });
}

/// More waiters than are woken in one turn of the lock, while some of them give up.
#[test]
fn a_crowd_is_woken_although_some_give_up() {
    in_many_orders(|| {
        let tracker = Arc::new(RangeTracker::new());
        let mut leaving: Vec<_> = (0..9).map(|_| Box::pin(tracker.wait_range(0..10))).collect();
        for wait in &mut leaving {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        let waiters = [0..10, 0..5].map(|range| {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || {
                assert_eq!(block_on(tracker.wait_range(range)).unwrap(), WaitOutcome::Ready)
            })
        });
        let writer = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || assert!(tracker.announce(0..10, 0)))
        };
        drop(leaving);
        writer.join().unwrap();
        waiters.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn the_claim_is_held_by_one_and_passed_to_all() {
    in_many_orders(|| {
        let tracker = Arc::new(RangeTracker::new());
        let inside = Arc::new(shuttle::sync::atomic::AtomicUsize::new(0));
        let downloaders = [(); 3].map(|()| {
            let (tracker, inside) = (Arc::clone(&tracker), Arc::clone(&inside));
            thread::spawn(move || {
                block_on(tracker.take_claim());
                assert_eq!(
                    inside.fetch_add(1, shuttle::sync::atomic::Ordering::SeqCst),
                    0,
                    "two hold the claim"
                );
                thread::yield_now();
                inside.fetch_sub(1, shuttle::sync::atomic::Ordering::SeqCst);
                tracker.release_claim();
            })
        });
        downloaders.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// An announcement that comes after a reset does not put bytes of the old entity into the new one.
#[test]
fn a_late_announcement_is_not_of_the_new_generation() {
    in_many_orders(|| {
        let tracker = Arc::new(RangeTracker::new());
        let generation = tracker.lock().generation;
        let late = {
            let tracker = Arc::clone(&tracker);
            thread::spawn(move || tracker.announce(0..10, generation))
        };
        tracker.reset();
        let _ = late.join().unwrap();
        assert!(tracker.lock().ranges.is_empty());
    });
}
