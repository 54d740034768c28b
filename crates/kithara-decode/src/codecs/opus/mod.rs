//! Opus: a translation of libopus to Rust (feature `opus`), or libopus itself (feature `libopus`).

#[cfg(feature = "opus")]
mod decoder;

use super::{CodecParameters, PacketDecoder};
use crate::DecodeError;

#[cfg(not(feature = "opus"))]
pub(super) fn make(_parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    Err(DecodeError::Unsupported("Opus (build with the feature `opus`)".into()))
}

#[cfg(feature = "opus")]
pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    decoder::make(parameters)
}
