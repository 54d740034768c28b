//! The indexes below `_index/`: what they say, how they stand on disk, how they are read back.

pub(crate) mod file;
pub(crate) mod flusher;
pub(crate) mod frame;
mod legacy;
pub(crate) mod load;
pub(crate) mod record;
pub(crate) mod walk;
