//! Symphonia's codecs behind one small wrapper: packets in, interleaved `f32` out.

mod debt;
mod decoded;
mod interleave;
mod params;
mod sbr;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use symphonia::core::codecs::audio::well_known::profiles::CODEC_PROFILE_AAC_HE;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AAC, CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3, CODEC_ID_OPUS, CODEC_ID_VORBIS,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration as Ticks, Timestamp};

use crate::DecodeError;
use crate::demux::{Codec, TrackInfo};

pub(crate) use debt::{Debt, left_before};
pub use decoded::Decoded;
pub use interleave::{interleave_f32, interleave_f32_scalar};
pub(crate) use params::{codec_name, parameters_of, plain_parameters};
use sbr::SbrWatch;

/// Why one packet gave no PCM.
#[derive(Debug)]
pub(crate) enum PacketError {
    /// The packet is damaged, or uses what the codec does not know: silence may stand in for it.
    Bad(String),
    /// No packet of this stream will give the right PCM.
    Fatal(DecodeError),
}

/// One codec, ready to decode packets.
///
/// After warm-up, decoding allocates nothing.
#[doc(alias = "SymphoniaDecoder")]
pub struct CodecDecoder {
    decoder: Box<dyn AudioDecoder>,
    params: AudioCodecParameters,
    sbr: Option<SbrWatch>,
}

impl std::fmt::Debug for CodecDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodecDecoder").field("codec", &self.name()).finish_non_exhaustive()
    }
}

impl CodecDecoder {
    /// A decoder for a demuxed track.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] naming the codec when this build cannot decode it.
    pub fn for_track(track: &TrackInfo) -> Result<Self, DecodeError> {
        Self::for_params(parameters_of(track)?)
    }

    pub(crate) fn for_params(params: AudioCodecParameters) -> Result<Self, DecodeError> {
        params::check(&params)?;
        let decoder = make(&params)?;
        let sbr = SbrWatch::for_params(&params);
        Ok(Self { decoder, params, sbr })
    }

    /// Whether packets of `track` may follow the packets decoded so far, because its codec parameters are equal.
    #[must_use]
    pub fn accepts(&self, track: &TrackInfo) -> bool {
        parameters_of(track).is_ok_and(|other| params::same(&self.params, &other))
    }

    /// Decodes packets of `params` from now on; a codec that can go on does.
    pub(crate) fn change(&mut self, params: AudioCodecParameters) -> Result<(), DecodeError> {
        if !params::same(&self.params, &params) {
            *self = Self::for_params(params)?;
        }
        Ok(())
    }

    /// Short name of the codec ("aac", "mp3", …).
    #[must_use]
    pub fn name(&self) -> &'static str {
        codec_name(self.params.codec)
    }

    /// Whether packets may decode to another rate than their container says.
    pub(crate) fn may_replicate_bands(&self) -> bool {
        cfg!(feature = "fdk-aac") && self.params.codec == CODEC_ID_AAC
    }

    /// Frames by which what comes out lags behind its packets, where a packet gives `frames` of them at `rate`.
    ///
    /// Fraunhofer's decoder holds a packet back, so that it can conceal a lost one, and its limiter looks 15 ms ahead.
    fn lag(&self, frames: u64, rate: u32) -> u64 {
        if self.is_lagging() { frames + u64::from(rate) * 15 / 1000 } else { 0 }
    }

    /// Whether what comes out lags behind its packets.
    pub(crate) fn is_lagging(&self) -> bool {
        params::is_he_aac(&self.params)
    }

    /// Forgets what earlier packets left behind (overlap, bit reservoir); for after a seek.
    pub fn reset(&mut self) {
        if self.params.codec == CODEC_ID_AAC {
            // Symphonia's reset leaves its noise generator where it is, the adapter's for HE-AAC does nothing at all.
            return self.renew();
        }
        let decoder = &mut self.decoder;
        if catch_unwind(AssertUnwindSafe(|| decoder.reset())).is_err() {
            self.renew();
        }
    }

    /// Decodes one packet that should give `frames` frames. What comes out is neither trimmed nor placed.
    pub(crate) fn decode(&mut self, data: &[u8], frames: u64) -> Result<Decoded<'_>, PacketError> {
        if let Some(watch) = &mut self.sbr
            && watch.sees_sbr(data, &self.params)
        {
            self.sbr = None;
            self.become_he_aac().map_err(PacketError::Fatal)?;
        }
        match decode_caught(&mut self.decoder, data, frames) {
            Ok(()) => {
                let decoded = Decoded::new(self.decoder.last_decoded());
                let lag = self.lag(decoded.frames() as u64, decoded.spec().sample_rate);
                Ok(decoded.lagging(lag))
            }
            Err(Failure::Packet(what)) => Err(PacketError::Bad(what)),
            Err(Failure::Decoder(what)) => {
                self.renew();
                Err(PacketError::Bad(what))
            }
        }
    }

    /// The packets are HE-AAC after all.
    fn become_he_aac(&mut self) -> Result<(), DecodeError> {
        if cfg!(feature = "fdk-aac") {
            self.params.with_profile(CODEC_PROFILE_AAC_HE);
            self.decoder = make(&self.params)?;
            return Ok(());
        }
        let what = "HE-AAC (spectral band replication in AAC-LC packets; build with the feature `fdk-aac`)";
        Err(DecodeError::Unsupported(what.into()))
    }

    /// Begins anew with a new decoder.
    pub(crate) fn renew(&mut self) {
        if let Ok(decoder) = make(&self.params) {
            self.decoder = decoder;
        }
    }
}

enum Failure {
    /// The packet is bad, the decoder lives on.
    Packet(String),
    /// The decoder itself is in an unknown state.
    Decoder(String),
}

fn decode_caught(decoder: &mut Box<dyn AudioDecoder>, data: &[u8], frames: u64) -> Result<(), Failure> {
    let packet = PacketRef::new(0, Timestamp::new(0), Ticks::new(frames), data);
    // A codec that panics on hostile bytes must not take the caller's thread with it.
    match catch_unwind(AssertUnwindSafe(|| decoder.decode_ref(&packet).map(|_| ()))) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(SymphoniaError::ResetRequired)) => Err(Failure::Decoder("codec parameters changed".into())),
        Ok(Err(error)) => Err(Failure::Packet(error.to_string())),
        Err(_) => Err(Failure::Decoder("the codec panicked".into())),
    }
}

fn make(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, DecodeError> {
    let made = catch_unwind(AssertUnwindSafe(|| make_raw(params)));
    match made {
        Ok(Ok(decoder)) => Ok(decoder),
        Ok(Err(SymphoniaError::Unsupported(what))) => {
            Err(DecodeError::Unsupported(format!("{} ({what})", codec_name(params.codec))))
        }
        Ok(Err(error)) => {
            Err(DecodeError::Malformed(format!("{} configuration: {error}", codec_name(params.codec))))
        }
        Err(_) => Err(DecodeError::Malformed(format!("{} configuration", codec_name(params.codec)))),
    }
}

fn make_raw(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, SymphoniaError> {
    let options = AudioDecoderOptions::default();
    #[cfg(feature = "fdk-aac")]
    if params::is_he_aac(params) {
        use symphonia::core::codecs::registry::RegisterableAudioDecoder;
        return symphonia_adapter_fdk_aac::AacDecoder::try_registry_new(params, &options);
    }
    #[cfg(feature = "opus")]
    if params.codec == CODEC_ID_OPUS {
        use symphonia::core::codecs::registry::RegisterableAudioDecoder;
        // With its head the adapter would drop the pre-skip itself, and once more than we do.
        let bare = AudioCodecParameters { extra_data: None, ..params.clone() };
        return symphonia_adapter_libopus::OpusDecoder::try_registry_new(&bare, &options);
    }
    registry().make_audio_decoder(params, &options)
}

fn registry() -> &'static CodecRegistry {
    static REGISTRY: OnceLock<CodecRegistry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut registry);
        registry
    })
}

/// [`preroll_packets`] in frames, for a codec whose packets may be of any length.
pub(crate) fn preroll_of(codec: AudioCodecId) -> u64 {
    match codec {
        CODEC_ID_AAC => 2 * 1024,
        CODEC_ID_VORBIS => 2 * 4096,
        CODEC_ID_MP3 => 12 * 1152,
        CODEC_ID_MP2 | CODEC_ID_MP1 => 2 * 1152,
        // 80 ms by the specification; what comes out is near what straight playback gives a while later.
        CODEC_ID_OPUS => 30_720,
        _ => 0,
    }
}

/// Frames of output that a codec needs behind it before what it gives is what straight playback gives.
pub(crate) fn preroll_packets(codec: Codec) -> u32 {
    match codec {
        // MDCT overlap, with one to spare.
        Codec::AacLc | Codec::HeAac { .. } | Codec::HeAacV2 { .. } | Codec::AacOther(_) | Codec::Vorbis => 2,
        // The bit reservoir reaches back 511 bytes: up to nine frames of the lowest rates; then the hybrid filter's overlap.
        Codec::Mp3 => 12,
        Codec::Mp2 | Codec::Mp1 => 2,
        // 80 ms by the specification, in packets of 20 ms.
        Codec::Opus => 4,
        _ => 0,
    }
}
