//! Resources that are something else once they are read: decryption.

mod aes;
mod chunk;
mod layer;
mod processor;
mod resource;

pub use self::layer::ProcessingAssets;
pub(crate) use self::processor::ProcessorId;
pub use self::processor::{ChunkProcessor, ProcessError, Processor};
pub use self::resource::ProcessedResource;
