//! MPEG audio, whose packets say their own rate and channels.

use super::symphonia::SymphoniaDecoder;
use super::{CodecParameters, Decoded, PacketDecoder, PacketError};
use crate::headers::mpa::MpaHeader;
use crate::{ChannelLayout, DecodeError};

pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    Ok(Box::new(MpaDecoder {
        decoder: SymphoniaDecoder::new(parameters)?,
        parameters: parameters.clone(),
        shape: None,
    }))
}

/// Symphonia's decoder, and another one where packets change their rate or channels: it takes one shape in its life.
struct MpaDecoder {
    decoder: SymphoniaDecoder,
    parameters: CodecParameters,
    /// Rate and channels of the packets decoded so far.
    shape: Option<(u32, u16)>,
}

impl PacketDecoder for MpaDecoder {
    fn decode(&mut self, packet: &[u8], frames: u64) -> Result<(), PacketError> {
        if let Some(header) = MpaHeader::parse(packet) {
            let shape = (header.sample_rate, header.channels());
            if self.shape.replace(shape).is_some_and(|known| known != shape) {
                self.parameters.sample_rate = header.sample_rate;
                self.parameters.layout = ChannelLayout::of_count(header.channels());
                self.decoder = SymphoniaDecoder::new(&self.parameters).map_err(PacketError::Fatal)?;
            }
        }
        self.decoder.decode(packet, frames)
    }

    fn decoded(&self) -> Decoded<'_> {
        self.decoder.decoded()
    }

    fn reset(&mut self) {
        self.decoder.reset();
    }
}
