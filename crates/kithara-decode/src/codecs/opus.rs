//! Opus.

use super::{CodecParameters, PacketDecoder};
use crate::DecodeError;

#[cfg(not(feature = "opus"))]
pub(super) fn make(_parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    Err(DecodeError::Unsupported("Opus (build with the feature `opus`)".into()))
}

#[cfg(feature = "opus")]
pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    use ::symphonia::core::codecs::registry::RegisterableAudioDecoder;

    // With its head the adapter would drop the pre-skip itself, and once more than the pipeline does.
    let bare = CodecParameters { extra_data: None, ..parameters.clone() };
    let decoder = super::symphonia::SymphoniaDecoder::with(&bare, |parameters, options| {
        symphonia_adapter_libopus::OpusDecoder::try_registry_new(parameters, options)
    })?;
    Ok(Box::new(decoder))
}
