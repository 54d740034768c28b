//! AAC: Symphonia's decoder for AAC-LC, Fraunhofer's for HE-AAC (feature `fdk-aac`).

use super::sbr::SbrWatch;
use super::symphonia::{SymphoniaDecoder, refuse_many_channels};
use super::{CodecParameters, Decoded, PacketDecoder, PacketError};
use crate::demux::aac::first_element_channels;
use crate::{ChannelLayout, DecodeError};

pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    Ok(Box::new(AacDecoder::new(parameters)?))
}

struct AacDecoder {
    decoder: SymphoniaDecoder,
    parameters: CodecParameters,
    sbr: Option<SbrWatch>,
    /// Whether packets of one channel may come where the container says two, and the other way round.
    follows_packets: bool,
}

impl AacDecoder {
    fn new(parameters: &CodecParameters) -> Result<Self, DecodeError> {
        refuse_many_channels(parameters, "AAC")?;
        Ok(Self {
            decoder: decoder_for(parameters)?,
            sbr: SbrWatch::for_parameters(parameters),
            follows_packets: !parameters.has_sbr,
            parameters: parameters.clone(),
        })
    }

    /// The packets are HE-AAC after all.
    fn become_he_aac(&mut self) -> Result<(), DecodeError> {
        if cfg!(feature = "fdk-aac") {
            self.parameters.has_sbr = true;
            self.follows_packets = false;
            self.decoder = decoder_for(&self.parameters)?;
            return Ok(());
        }
        let feature =
            "HE-AAC (spectral band replication in AAC-LC packets; build with the feature `fdk-aac`)";
        Err(DecodeError::Unsupported(feature.into()))
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

fn decoder_for(parameters: &CodecParameters) -> Result<SymphoniaDecoder, DecodeError> {
    if parameters.has_sbr {
        #[cfg(feature = "fdk-aac")]
        return SymphoniaDecoder::with(parameters, |parameters, options| {
            use ::symphonia::core::codecs::registry::RegisterableAudioDecoder;
            symphonia_adapter_fdk_aac::AacDecoder::try_registry_new(parameters, options)
        });
        #[cfg(not(feature = "fdk-aac"))]
        return Err(DecodeError::Unsupported(parameters.long_name()));
    }
    SymphoniaDecoder::new(parameters)
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
        self.decoder.decoded()
    }

    fn reset(&mut self) {
        // Symphonia's reset leaves its noise generator where it is, the adapter's for HE-AAC does not reset.
        self.decoder.renew();
    }

    fn is_delayed(&self) -> bool {
        self.parameters.has_sbr
    }

    fn delay(&self) -> u64 {
        if !self.parameters.has_sbr {
            return 0;
        }
        // Fraunhofer's decoder holds a packet back, so that it can conceal a lost one, and its limiter looks 15 ms ahead.
        let decoded = self.decoder.decoded();
        decoded.frames() as u64 + u64::from(decoded.spec().sample_rate) * 15 / 1000
    }

    fn may_change_rate(&self) -> bool {
        cfg!(feature = "fdk-aac")
    }
}
