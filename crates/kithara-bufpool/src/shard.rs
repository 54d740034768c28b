use std::sync::Arc;

use crate::limit::{Advance, Limit};
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
    trim_bytes: usize,
    limits: Arc<Limits>,
}

struct Stack<T> {
    /// Values and the bytes that they retain.
    values: Vec<(T, usize)>,
    buffers: Advance,
    bytes: Advance,
}

impl<T> Shard<T> {
    pub(crate) fn new(limits: Arc<Limits>) -> Self {
        let (buffers, bytes) = (limits.buffers.advance(), limits.bytes.advance());
        let stack = Mutex::new(Stack { values: Vec::new(), buffers, bytes });
        Self { stack, resting: AtomicUsize::new(0), trim_bytes: limits.trim_bytes, limits }
    }

    #[inline]
    pub(crate) fn trim_bytes(&self) -> usize {
        self.trim_bytes
    }

    /// Takes the value that came back last: its memory is the warmest.
    #[inline]
    pub(crate) fn take(&self) -> Option<T> {
        let mut stack = self.stack.lock();
        let stack = &mut *stack;
        let (value, bytes) = stack.values.pop()?;
        self.resting.store(stack.values.len(), Ordering::Relaxed);
        stack.buffers.give_back(&self.limits.buffers, 1);
        stack.bytes.give_back(&self.limits.bytes, bytes);
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
    #[inline]
    pub(crate) fn put(&self, value: T, bytes: usize) -> Option<T> {
        let mut stack = self.stack.lock();
        let stack = &mut *stack;
        if !stack.buffers.draw(&self.limits.buffers, 1) {
            return Some(value);
        }
        if !stack.bytes.draw(&self.limits.bytes, bytes) {
            stack.buffers.give_back(&self.limits.buffers, 1);
            return Some(value);
        }
        stack.values.push((value, bytes));
        self.resting.store(stack.values.len(), Ordering::Relaxed);
        None
    }

    pub(crate) fn retained_bytes(&self) -> usize {
        self.stack.lock().values.iter().map(|(_, bytes)| bytes).sum()
    }
}
