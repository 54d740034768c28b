use std::sync::Arc;

use crate::limit::Limit;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// What all shards of a pool share. Touched rarely: see [`Limit`].
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) buffers: Limit,
    pub(crate) bytes: Limit,
    pub(crate) trim_bytes: usize,
}

/// One stack of resting values with its own lock, on cache lines of its own (two: processors prefetch pairs).
#[repr(align(128))]
pub(crate) struct Shard<T> {
    stack: Mutex<Stack<T>>,
    /// Values resting here: a hint for those who look for something to steal.
    resting: AtomicUsize,
    limits: Arc<Limits>,
}

struct Stack<T> {
    values: Vec<(T, usize)>,
    buffer_advance: usize,
    byte_advance: usize,
    retained: usize,
}

impl<T> Shard<T> {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        let stack = Stack { values: Vec::new(), buffer_advance: 0, byte_advance: 0, retained: 0 };
        Self { stack: Mutex::new(stack), resting: AtomicUsize::new(0), limits }
    }

    pub(crate) fn trim_bytes(&self) -> usize {
        self.limits.trim_bytes
    }

    /// Takes the value that came back last: its memory is the warmest.
    pub(crate) fn take(&self) -> Option<T> {
        let mut stack = self.stack.lock();
        let (value, bytes) = stack.values.pop()?;
        self.resting.store(stack.values.len(), Ordering::Relaxed);
        stack.retained -= bytes;
        self.limits.buffers.give_back(&mut stack.buffer_advance, 1);
        self.limits.bytes.give_back(&mut stack.byte_advance, bytes);
        Some(value)
    }

    /// As [`take`](Self::take), for a thread whose own shard this is not: cheap when nothing rests here.
    pub(crate) fn steal(&self) -> Option<T> {
        if self.resting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.take()
    }

    /// Keeps a value that retains `bytes`, or hands it back when a limit is reached (free it outside of the lock).
    pub(crate) fn put(&self, value: T, bytes: usize) -> Option<T> {
        let mut stack = self.stack.lock();
        let stack = &mut *stack;
        if !self.limits.buffers.draw(&mut stack.buffer_advance, 1) {
            return Some(value);
        }
        if !self.limits.bytes.draw(&mut stack.byte_advance, bytes) {
            self.limits.buffers.give_back(&mut stack.buffer_advance, 1);
            return Some(value);
        }
        stack.retained += bytes;
        stack.values.push((value, bytes));
        self.resting.store(stack.values.len(), Ordering::Relaxed);
        None
    }

    pub(crate) fn retained_bytes(&self) -> usize {
        self.stack.lock().retained
    }
}
