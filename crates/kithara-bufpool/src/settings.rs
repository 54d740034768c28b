/// How much a pool may keep.
///
/// The limits speak of what *rests* in the pool; buffers that are in use count nothing, and a pool never refuses to give
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Buffers kept at rest, over all shards. Default 64. Use the most that are in flight at once: more never help.
    pub max_buffers: usize,
    /// A returned buffer that holds more bytes than this is shrunk to it, or freed where it cannot shrink. Default 256 KiB.
    /// Use the ordinary size of a buffer: it keeps one large response from being remembered for ever.
    pub trim_bytes: usize,
    /// Bytes kept at rest, over all shards; what would exceed them is freed. Default 4 MiB.
    ///
    /// Shards hold small advances on the budget (at most half of it together), so that an ordinary `get` and drop touch
    /// nothing that threads share. A pool used from many threads may therefore keep somewhat less than this, never more.
    pub retained_budget_bytes: usize,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { max_buffers: 64, trim_bytes: 256 * 1024, retained_budget_bytes: 4 * 1024 * 1024 }
    }
}

/// What a pool has done so far (feature `counters`).
#[cfg(feature = "counters")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Buffers handed out that had been used before.
    pub hits: u64,
    /// Buffers handed out that had to be made.
    pub misses: u64,
    /// Hits that were found in another thread's shard; counted in `hits` too.
    pub steals: u64,
    /// Returned buffers that were freed, because a limit was reached.
    pub dropped: u64,
}
