//! AAC through `kithara-aac`: HE-AAC, more than two channels, Main and LTP.

use kithara_aac::{Channel, Config, Decoder, Error};

use super::{CodecParameters, Decoded, PacketDecoder, PacketError};
use crate::{ChannelLayout, DecodeError};

pub(super) struct OwnDecoder {
    decoder: Decoder,
    samples: Vec<f32>,
    sample_rate: u32,
    layout: ChannelLayout,
}

impl OwnDecoder {
    pub(super) fn new(parameters: &CodecParameters) -> Result<Self, DecodeError> {
        let config = match parameters.extra_data() {
            Some(config) => Config::from_audio_specific_config(config),
            None => Config::lc(parameters.sample_rate, configuration_of(parameters.layout)),
        };
        let decoder = config.and_then(Decoder::new).map_err(|error| match error {
            Error::Unsupported { .. } => DecodeError::Unsupported(error.to_string()),
            error => DecodeError::Malformed(error.to_string()),
        })?;
        let sample_rate = decoder.sample_rate().unwrap_or(parameters.sample_rate);
        Ok(Self { decoder, samples: Vec::new(), sample_rate, layout: parameters.layout })
    }
}

/// The channel configuration of a usual layout.
fn configuration_of(layout: ChannelLayout) -> u8 {
    match layout.channels() {
        channels @ 1..=6 => channels as u8,
        8 => 7,
        _ => 0,
    }
}

/// Positions as bits of a channel mask: the decoder's order is that of the mask.
fn layout_of(channels: &[Channel]) -> ChannelLayout {
    let bit = |channel: &Channel| match channel {
        Channel::FrontLeft => 1,
        Channel::FrontRight => 1 << 1,
        Channel::FrontCenter => 1 << 2,
        Channel::LowFrequency => 1 << 3,
        Channel::BackLeft => 1 << 4,
        Channel::BackRight => 1 << 5,
        Channel::FrontLeftOfCenter => 1 << 6,
        Channel::FrontRightOfCenter => 1 << 7,
        Channel::BackCenter => 1 << 8,
        Channel::SideLeft => 1 << 9,
        Channel::SideRight => 1 << 10,
        Channel::TopFrontLeft => 1 << 12,
        Channel::TopFrontRight => 1 << 14,
        _ => 0,
    };
    let mask = channels.iter().map(bit).fold(0, |mask, bit| mask | bit);
    ChannelLayout::from_mask(u16::try_from(channels.len()).unwrap_or(0), mask)
}

impl PacketDecoder for OwnDecoder {
    fn decode(&mut self, packet: &[u8], _frames: u64) -> Result<(), PacketError> {
        self.samples.clear();
        let frame = self.decoder.decode(packet).map_err(|error| match error {
            Error::Unsupported { .. } => PacketError::Unsupported(error.to_string()),
            error => PacketError::Damaged(error.to_string()),
        })?;
        match frame.damage() {
            // The core sounds: only the high range is missing, as it is behind a seek or a loss.
            None | Some(Error::Malformed { part: "SBR data" | "SBR header" | "parametric stereo", .. }) => {}
            Some(damage) => return Err(PacketError::Damaged(damage.to_string())),
        }
        self.sample_rate = frame.sample_rate();
        self.layout = layout_of(frame.channels());
        let channels = frame.channels().len();
        self.samples.resize(frame.frames() * channels, 0.0);
        for (channel, plane) in frame.planes().enumerate() {
            for (to, from) in self.samples[channel..].iter_mut().step_by(channels).zip(plane) {
                *to = *from;
            }
        }
        Ok(())
    }

    fn decoded(&self) -> Decoded<'_> {
        Decoded::interleaved(&self.samples, self.sample_rate, self.layout)
    }

    fn reset(&mut self) {
        self.decoder.reset();
    }
}
