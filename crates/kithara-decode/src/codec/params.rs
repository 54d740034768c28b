//! From a demuxed track to Symphonia's codec parameters, and the names of codecs.

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::well_known::profiles::CODEC_PROFILE_AAC_HE;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use crate::DecodeError;
use crate::demux::{Codec, TrackInfo};

/// The parameters that Symphonia needs to decode `track`.
pub(crate) fn parameters_of(track: &TrackInfo) -> Result<AudioCodecParameters, DecodeError> {
    let codec = match track.codec {
        Codec::AacLc => id::CODEC_ID_AAC,
        Codec::Mp3 => id::CODEC_ID_MP3,
        Codec::Mp2 => id::CODEC_ID_MP2,
        Codec::Mp1 => id::CODEC_ID_MP1,
        Codec::Flac => id::CODEC_ID_FLAC,
        Codec::Alac => id::CODEC_ID_ALAC,
        Codec::Vorbis => id::CODEC_ID_VORBIS,
        Codec::Opus => id::CODEC_ID_OPUS,
        Codec::HeAac { .. } | Codec::HeAacV2 { .. } if cfg!(feature = "fdk-aac") => id::CODEC_ID_AAC,
        other => return Err(DecodeError::Unsupported(other.to_string())),
    };
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec).with_sample_rate(track.sample_rate);
    if matches!(track.codec, Codec::HeAac { .. } | Codec::HeAacV2 { .. }) {
        params.with_profile(CODEC_PROFILE_AAC_HE);
    }
    if let Some(channels) = channel_map(track.channels) {
        params.with_channels(channels);
    }
    if let Some(extra) = &track.extra_data {
        params.with_extra_data(extra.clone());
    }
    if let Some(bits) = track.bits_per_sample {
        params.with_bits_per_sample(bits);
    }
    Ok(params)
}

/// Refuses by name what Symphonia would refuse in words that name nothing, or play wrongly.
pub(super) fn check(params: &AudioCodecParameters) -> Result<(), DecodeError> {
    if params.codec == id::CODEC_ID_AAC {
        let channels = params.channels.as_ref().map_or(0, Channels::count);
        if channels > 2 {
            return Err(DecodeError::Unsupported(format!(
                "AAC with {channels} channels (at most 2 can be decoded)"
            )));
        }
    }
    if params.codec == id::CODEC_ID_VORBIS {
        let channels = params.channels.as_ref().map_or(0, Channels::count);
        if channels > 2 {
            // Symphonia 0.6.1 undoes the coupling of several channels in the wrong order, and plays something else.
            return Err(DecodeError::Unsupported(format!(
                "Vorbis with {channels} channels (at most 2 can be decoded)"
            )));
        }
    }
    if params.codec == id::CODEC_ID_OPUS && !cfg!(feature = "opus") {
        return Err(DecodeError::Unsupported("Opus (build with the feature `opus`)".into()));
    }
    Ok(())
}

/// Whether a decoder made for `a` decodes packets made for `b`, going on from where it is.
pub(super) fn same(a: &AudioCodecParameters, b: &AudioCodecParameters) -> bool {
    let shape = |params: &AudioCodecParameters| {
        (params.codec, params.profile, params.sample_rate, params.channels.as_ref().map(Channels::count))
    };
    // An AAC-LC configuration says nothing more than its shape, and is written in several ways.
    shape(a) == shape(b) && (a.codec == id::CODEC_ID_AAC || a.extra_data == b.extra_data)
}

/// Parameters of a codec that needs nothing but its shape.
pub(crate) fn plain_parameters(codec: AudioCodecId, sample_rate: u32, channels: u16) -> AudioCodecParameters {
    let mut params = AudioCodecParameters::new();
    params.for_codec(codec).with_sample_rate(sample_rate);
    if let Some(channels) = channel_map(channels) {
        params.with_channels(channels);
    }
    params
}

fn channel_map(count: u16) -> Option<Channels> {
    match count {
        0 => None,
        1 => Some(Channels::Positioned(Position::FRONT_LEFT)),
        2 => Some(Channels::Positioned(Position::FRONT_LEFT | Position::FRONT_RIGHT)),
        more => Some(Channels::Discrete(more)),
    }
}

/// Whether the parameters ask for spectral band replication.
pub(super) fn is_he_aac(params: &AudioCodecParameters) -> bool {
    params.profile == Some(CODEC_PROFILE_AAC_HE)
}

/// Short name of a codec.
pub(crate) fn codec_name(codec: AudioCodecId) -> &'static str {
    match codec {
        id::CODEC_ID_AAC => "aac",
        id::CODEC_ID_MP3 => "mp3",
        id::CODEC_ID_MP2 => "mp2",
        id::CODEC_ID_MP1 => "mp1",
        id::CODEC_ID_FLAC => "flac",
        id::CODEC_ID_ALAC => "alac",
        id::CODEC_ID_VORBIS => "vorbis",
        id::CODEC_ID_OPUS => "opus",
        id::CODEC_ID_ADPCM_MS | id::CODEC_ID_ADPCM_IMA_WAV | id::CODEC_ID_ADPCM_IMA_QT => "adpcm",
        id::CODEC_ID_AC3 => "ac3",
        id::CODEC_ID_EAC3 => "eac3",
        id::CODEC_ID_DCA => "dts",
        id::CODEC_ID_SPEEX => "speex",
        id::CODEC_ID_WMA => "wma",
        id::CODEC_ID_WAVPACK => "wavpack",
        id::CODEC_ID_MONKEYS_AUDIO => "ape",
        other if is_pcm(other) => "pcm",
        _ => "unknown codec",
    }
}

fn is_pcm(codec: AudioCodecId) -> bool {
    symphonia::default::get_codecs()
        .get_audio_decoder(codec)
        .is_some_and(|found| found.codec.info.short_name.starts_with("pcm"))
}
