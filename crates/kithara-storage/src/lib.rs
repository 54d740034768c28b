//! Positioned I/O on one resource, and waiting for byte ranges of it.

mod atomic;
mod block_on;
mod claim;
mod error;
mod ext;
mod range_set;
mod resource;
mod settings;
mod streaming;

pub use atomic::{Atomic, AtomicResource};
pub use block_on::block_on;
pub use claim::{ReleaseClaim, WriteClaim};
pub use error::StorageError;
pub use ext::StreamingExt;
pub use range_set::RangeSet;
pub use resource::StreamingResource;
pub use settings::StorageSettings;
pub use streaming::{ResourceStatus, Streaming, WaitOutcome};
