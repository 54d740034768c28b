//! [`Fetched`]: an item on its way to the consumer.

/// An item and the epoch that it was fetched in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched<T> {
    /// Grows with each command that made the items before it stale. Starts at 0.
    pub epoch: u64,
    /// The item.
    pub data: T,
    /// The source knows that nothing follows. A hint: the end itself is `None` from `recv`.
    pub is_eof: bool,
}
