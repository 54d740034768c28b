/// A value that can be used again.
///
/// `T::default()` must be cheap and must not allocate: an empty value is what a pool makes when it has nothing to give,
/// and what it leaves behind when a value is taken out of it.
pub trait Poolable: Default + Send + 'static {
    /// Forgets the contents and keeps the memory. Runs when a value returns to its pool.
    fn reset(&mut self);

    /// Bytes of memory that the value would keep alive inside the pool. Zero: not worth keeping.
    fn retained_bytes(&self) -> usize;

    /// Gives memory back until at most `max_bytes` are retained, as far as the type can. Runs after [`reset`](Self::reset).
    fn shrink(&mut self, max_bytes: usize);
}

impl<T: Copy + Send + 'static> Poolable for Vec<T> {
    fn reset(&mut self) {
        self.clear();
    }

    fn retained_bytes(&self) -> usize {
        self.capacity() * size_of::<T>()
    }

    fn shrink(&mut self, max_bytes: usize) {
        self.clear();
        self.shrink_to(max_bytes / size_of::<T>().max(1));
    }
}
