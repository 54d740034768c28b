//! Counts what is allocated: for benches and tests that assert figures.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The system's allocator with counters.
///
/// ```
/// use kithara_testkit::alloc::{Counting, Tally};
///
/// #[global_allocator]
/// static ALLOCATOR: Counting = Counting::new();
///
/// let before = Tally::of_thread(); // or `Tally::now()` for all threads
/// drop(std::hint::black_box(vec![0_u8; 1000]));
/// let used = Tally::of_thread() - before;
/// assert_eq!((used.calls, used.bytes), (1, 1000));
/// ```
#[derive(Debug, Default)]
pub struct Counting;

/// Calls and bytes, since the start of the process or between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Allocations, and reallocations that grew.
    pub calls: u64,
    /// Bytes allocated; a reallocation counts what it added.
    pub bytes: u64,
    /// Bytes that are held: what was allocated and not freed. Wraps below zero in a difference.
    pub live: u64,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static THREAD: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

impl Counting {
    /// For `static`.
    pub const fn new() -> Self {
        Self
    }
}

impl Tally {
    /// All threads. All zero when [`Counting`] is not the global allocator.
    pub fn now() -> Self {
        let bytes = BYTES.load(Relaxed);
        Self { calls: CALLS.load(Relaxed), bytes, live: bytes.wrapping_sub(FREED.load(Relaxed)) }
    }

    /// Of the current thread alone: nothing that runs beside it disturbs it. `live` is not known by thread.
    pub fn of_thread() -> Self {
        let (calls, bytes) = THREAD.try_with(Cell::get).unwrap_or_default();
        Self { calls, bytes, live: 0 }
    }
}

impl std::ops::Sub for Tally {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            calls: self.calls.wrapping_sub(before.calls),
            bytes: self.bytes.wrapping_sub(before.bytes),
            live: self.live.wrapping_sub(before.live),
        }
    }
}

fn count(bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
    // A thread that is ending has no cell any more.
    let _ = THREAD.try_with(|cell| {
        let (calls, sum) = cell.get();
        cell.set((calls + 1, sum + bytes as u64));
    });
}

// SAFETY: every call is handed to `System` as it came; the counters neither allocate nor touch the memory.
#[allow(unsafe_code, reason = "an allocator can be written in no other way")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        FREED.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size.checked_sub(layout.size()) {
            Some(added) => count(added),
            None => drop(FREED.fetch_add((layout.size() - size) as u64, Relaxed)),
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
