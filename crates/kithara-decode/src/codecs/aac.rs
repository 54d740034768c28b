//! AAC: Symphonia's decoder for AAC-LC of one or two channels, `kithara-aac` for everything else. With the feature
//! `fdk-aac` Fraunhofer's decoder takes HE-AAC.

use super::aac_own::OwnDecoder;
use super::sbr::SbrWatch;
use super::symphonia::SymphoniaDecoder;
use super::{CodecParameters, Decoded, PacketDecoder, PacketError};
use crate::demux::aac::first_element_channels;
use crate::{ChannelLayout, DecodeError};

pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    Ok(Box::new(AacDecoder::new(parameters)?))
}

struct AacDecoder {
    decoder: Implementation,
    parameters: CodecParameters,
    sbr: Option<SbrWatch>,
    /// Whether packets of one channel may come where the container says two, and the other way round.
    follows_packets: bool,
}

impl AacDecoder {
    fn new(parameters: &CodecParameters) -> Result<Self, DecodeError> {
        Ok(Self {
            decoder: decoder_for(parameters)?,
            sbr: SbrWatch::for_parameters(parameters),
            follows_packets: !parameters.has_sbr,
            parameters: parameters.clone(),
        })
    }

    /// The packets are HE-AAC after all.
    fn become_he_aac(&mut self) -> Result<(), DecodeError> {
        self.parameters.has_sbr = true;
        self.follows_packets = false;
        self.decoder = decoder_for(&self.parameters)?;
        Ok(())
    }

    /// Joined files change between mono and stereo under one description.
    fn follow(&mut self, packet: &[u8]) -> Result<(), PacketError> {
        let Some(channels) = first_element_channels(packet) else { return Ok(()) };
        let known = self.parameters.layout.channels();
        if !self.follows_packets || known == channels || !matches!(known, 1 | 2) {
            return Ok(());
        }
        let mut other = self.parameters.clone();
        other.layout = ChannelLayout::of_count(channels);
        other.theirs = None;
        other.extra_data = other.extra_data.map(|config| with_channels(&config, channels));
        let mut decoder = decoder_for(&other).map_err(PacketError::Fatal)?;
        if channels == 1 && decoder.decode(packet, 0).is_err() {
            // Two elements of one channel each.
            self.follows_packets = false;
            return Ok(());
        }
        decoder.reset();
        (self.decoder, self.parameters) = (decoder, other);
        Ok(())
    }
}

/// An AudioSpecificConfig with another channel configuration.
fn with_channels(config: &[u8], channels: u16) -> Box<[u8]> {
    let mut config: Box<[u8]> = config.into();
    if let [first, second, ..] = &mut *config
        && *first >> 3 != 31
        && (*first & 7, *second >> 7) != (7, 1)
    {
        *second = *second & !0x78 | (channels as u8 & 0x0F) << 3;
    }
    config
}

/// The decoder at work.
enum Implementation {
    Symphonia(SymphoniaDecoder),
    Own(OwnDecoder),
}

impl Implementation {
    fn get(&self) -> &dyn PacketDecoder {
        match self {
            Self::Symphonia(decoder) => decoder,
            Self::Own(decoder) => decoder,
        }
    }

    fn decode(&mut self, packet: &[u8], frames: u64) -> Result<(), PacketError> {
        match self {
            Self::Symphonia(decoder) => decoder.decode(packet, frames),
            Self::Own(decoder) => decoder.decode(packet, frames),
        }
    }

    fn reset(&mut self) {
        match self {
            // Its reset leaves its noise generator where it is, that of the adapter for HE-AAC does not reset.
            Self::Symphonia(decoder) => decoder.renew(),
            Self::Own(decoder) => decoder.reset(),
        }
    }
}

/// Whether Symphonia decodes the core: AAC-LC of one or two channels, in frames of 1,024.
fn is_plain(parameters: &CodecParameters) -> bool {
    let is_lc = parameters.extra_data().is_none_or(|config| {
        // Object type 2, and the flag of frames of 960 behind an indexed rate.
        let [first, second, ..] = *config else { return true };
        first >> 3 == 2 && ((first & 7, second >> 7) == (7, 1) || second & 4 == 0)
    });
    is_lc && !parameters.has_sbr && parameters.layout.channels() <= 2
}

fn decoder_for(parameters: &CodecParameters) -> Result<Implementation, DecodeError> {
    #[cfg(feature = "fdk-aac")]
    if parameters.has_sbr && parameters.layout.channels() <= 2 {
        let decoder = SymphoniaDecoder::with(parameters, |parameters, options| {
            use ::symphonia::core::codecs::registry::RegisterableAudioDecoder;
            symphonia_adapter_fdk_aac::AacDecoder::try_registry_new(parameters, options)
        })?;
        return Ok(Implementation::Symphonia(decoder));
    }
    if is_plain(parameters) {
        SymphoniaDecoder::new(parameters).map(Implementation::Symphonia)
    } else {
        OwnDecoder::new(parameters).map(Implementation::Own)
    }
}

impl PacketDecoder for AacDecoder {
    fn decode(&mut self, packet: &[u8], frames: u64) -> Result<(), PacketError> {
        if let Some(watch) = &mut self.sbr
            && watch.sees_sbr(packet, &self.parameters)
        {
            self.sbr = None;
            self.become_he_aac().map_err(PacketError::Fatal)?;
        }
        self.follow(packet)?;
        self.decoder.decode(packet, frames)
    }

    fn decoded(&self) -> Decoded<'_> {
        self.decoder.get().decoded()
    }

    fn reset(&mut self) {
        self.decoder.reset();
    }

    fn is_delayed(&self) -> bool {
        self.parameters.has_sbr && matches!(self.decoder, Implementation::Symphonia(_))
    }

    fn delay(&self) -> u64 {
        if !self.is_delayed() {
            return 0;
        }
        // Fraunhofer's decoder holds a packet back, so that it can conceal a lost one, and its limiter looks 15 ms ahead.
        let decoded = self.decoder.get().decoded();
        decoded.frames() as u64 + u64::from(decoded.spec().sample_rate) * 15 / 1000
    }

    fn may_change_rate(&self) -> bool {
        true
    }
}
