//! Symphonia's decoders as [`PacketDecoder`]s, and parameters in its terms.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use ::symphonia::core::audio::{Channels, Position};
use ::symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use ::symphonia::core::codecs::registry::CodecRegistry;
use ::symphonia::core::errors::Error as SymphoniaError;
use ::symphonia::core::packet::PacketRef;
use ::symphonia::core::units::{Duration as Ticks, Timestamp};

use super::{CodecParameters, Decoded, PacketDecoder, PacketError};
use crate::{ChannelLayout, DecodeError};

/// Makes a decoder of Symphonia's for whatever codec the parameters name.
pub(super) fn make(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    Ok(Box::new(SymphoniaDecoder::new(parameters)?))
}

/// As [`make`], for at most two channels: Symphonia 0.6.1 undoes the coupling of several channels in the wrong order.
pub(super) fn make_vorbis(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    refuse_many_channels(parameters, "Vorbis")?;
    make(parameters)
}

/// As [`make`], for frames of at most 65,536 samples: the decoder's buffer has the length that the cookie names.
pub(super) fn make_alac(parameters: &CodecParameters) -> Result<Box<dyn PacketDecoder>, DecodeError> {
    const MAX_FRAME: u32 = 1 << 16;
    let mut cookie = parameters.extra_data().unwrap_or_default();
    // QuickTime puts the cookie into boxes.
    for kind in [b"frma", b"alac"] {
        if cookie.get(4..8) == Some(kind) {
            cookie = cookie.get(12..).unwrap_or_default();
        }
    }
    let frame = cookie.first_chunk::<4>().map_or(0, |len| u32::from_be_bytes(*len));
    if frame > MAX_FRAME {
        return Err(DecodeError::Unsupported(format!(
            "ALAC with {frame} samples in a frame (at most {MAX_FRAME})"
        )));
    }
    make(parameters)
}

pub(super) fn refuse_many_channels(parameters: &CodecParameters, codec: &str) -> Result<(), DecodeError> {
    match parameters.layout.channels() {
        0..=2 => Ok(()),
        channels => Err(DecodeError::Unsupported(format!(
            "{codec} with {channels} channels (at most 2 can be decoded)"
        ))),
    }
}

/// How a decoder of Symphonia's is made.
type Factory =
    fn(&AudioCodecParameters, &AudioDecoderOptions) -> Result<Box<dyn AudioDecoder>, SymphoniaError>;

/// One decoder of Symphonia's; a panic inside of it is an error.
pub(super) struct SymphoniaDecoder {
    decoder: Box<dyn AudioDecoder>,
    parameters: AudioCodecParameters,
    factory: Factory,
    layout: ChannelLayout,
}

impl SymphoniaDecoder {
    pub(super) fn new(parameters: &CodecParameters) -> Result<Self, DecodeError> {
        Self::with(parameters, |parameters, options| registry().make_audio_decoder(parameters, options))
    }

    /// A decoder that `factory` makes.
    pub(super) fn with(parameters: &CodecParameters, factory: Factory) -> Result<Self, DecodeError> {
        let layout = parameters.layout;
        let name = parameters.long_name();
        let parameters = in_symphonias_terms(parameters);
        match make_caught(&parameters, factory) {
            Ok(Ok(decoder)) => Ok(Self { decoder, parameters, factory, layout }),
            Ok(Err(SymphoniaError::Unsupported(feature))) => {
                Err(DecodeError::Unsupported(format!("{name} ({feature})")))
            }
            Ok(Err(error)) => Err(DecodeError::Malformed(format!("{name} configuration: {error}"))),
            Err(_) => Err(DecodeError::Malformed(format!("{name} configuration"))),
        }
    }

    /// Begins anew with a new decoder.
    pub(super) fn renew(&mut self) {
        if let Ok(Ok(decoder)) = make_caught(&self.parameters, self.factory) {
            self.decoder = decoder;
        }
    }
}

fn make_caught(
    parameters: &AudioCodecParameters,
    factory: Factory,
) -> std::thread::Result<Result<Box<dyn AudioDecoder>, SymphoniaError>> {
    catch_unwind(AssertUnwindSafe(|| factory(parameters, &AudioDecoderOptions::default())))
}

impl PacketDecoder for SymphoniaDecoder {
    fn decode(&mut self, packet: &[u8], frames: u64) -> Result<(), PacketError> {
        let packet = PacketRef::new(0, Timestamp::new(0), Ticks::new(frames), packet);
        let decoder = &mut self.decoder;
        // A codec that panics on hostile bytes must not take the caller's thread with it.
        match catch_unwind(AssertUnwindSafe(|| decoder.decode_ref(&packet).map(|_| ()))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SymphoniaError::ResetRequired)) => {
                self.renew();
                Err(PacketError::Damaged("codec parameters changed".into()))
            }
            Ok(Err(SymphoniaError::Unsupported(feature))) => Err(PacketError::Unsupported(feature.into())),
            Ok(Err(error)) => Err(PacketError::Damaged(error.to_string())),
            Err(_) => {
                self.renew();
                Err(PacketError::Damaged("the codec panicked".into()))
            }
        }
    }

    fn decoded(&self) -> Decoded<'_> {
        Decoded::of_symphonia(self.decoder.last_decoded(), self.layout)
    }

    fn reset(&mut self) {
        let decoder = &mut self.decoder;
        if catch_unwind(AssertUnwindSafe(|| decoder.reset())).is_err() {
            self.renew();
        }
    }
}

pub(super) fn registry() -> &'static CodecRegistry {
    static REGISTRY: OnceLock<CodecRegistry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = CodecRegistry::new();
        ::symphonia::default::register_enabled_codecs(&mut registry);
        registry
    })
}

pub(super) fn in_symphonias_terms(parameters: &CodecParameters) -> AudioCodecParameters {
    if let Some(theirs) = &parameters.theirs {
        let mut theirs = (**theirs).clone();
        theirs.extra_data.clone_from(&parameters.extra_data);
        theirs.with_sample_rate(parameters.sample_rate);
        return theirs;
    }
    let mut theirs = AudioCodecParameters::new();
    theirs.for_codec(parameters.codec);
    if parameters.sample_rate > 0 {
        theirs.with_sample_rate(parameters.sample_rate);
    }
    match parameters.layout.channels() {
        0 => {}
        1 => {
            theirs.with_channels(Channels::Positioned(Position::FRONT_LEFT));
        }
        2 => {
            theirs.with_channels(Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT));
        }
        more => {
            theirs.with_channels(Channels::Discrete(more));
        }
    }
    if let Some(extra) = &parameters.extra_data {
        theirs.with_extra_data(extra.clone());
    }
    if let Some((frames_per_block, max_frames_per_packet)) = parameters.blocks {
        theirs.with_frames_per_block(frames_per_block).with_max_frames_per_packet(max_frames_per_packet);
    }
    if let Some(bits) = parameters.bits_per_sample {
        theirs.with_bits_per_sample(bits);
    }
    theirs
}

impl CodecParameters {
    /// What one of Symphonia's format readers says about a track.
    pub(crate) fn of_symphonia(theirs: &AudioCodecParameters) -> Self {
        let channels = theirs.channels.as_ref().map_or(0, |channels| channels.count());
        let channels = u16::try_from(channels).unwrap_or(0);
        let mut parameters = Self::new(theirs.codec, theirs.sample_rate.unwrap_or(0), channels);
        if let Some(layout) = theirs.channels.as_ref().and_then(layout_of) {
            parameters.layout = layout;
        }
        parameters.bits_per_sample = theirs.bits_per_sample;
        parameters.extra_data.clone_from(&theirs.extra_data);
        parameters.theirs = Some(Box::new(theirs.clone()));
        parameters
    }
}

/// The layout of channels whose positions Symphonia knows; its planes are in the order of the mask.
pub(super) fn layout_of(channels: &Channels) -> Option<ChannelLayout> {
    let Channels::Positioned(positions) = channels else { return None };
    let mask = u32::try_from(positions.bits()).ok()?;
    Some(ChannelLayout::from_mask(u16::try_from(mask.count_ones()).ok()?, mask))
}
