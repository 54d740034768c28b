//! Decorators of a store.

pub(crate) mod cached;
pub(crate) mod evict;
pub(crate) mod lease;
