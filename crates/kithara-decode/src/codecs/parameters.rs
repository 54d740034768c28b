//! What a decoder needs to know before its first packet.

use ::symphonia::core::codecs::audio::well_known as id;
use ::symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use crate::demux::{Codec, SampleFormat, TrackInfo};
use crate::{ChannelLayout, DecodeError};

/// Codec, shape and configuration of a track.
#[derive(Clone, Debug)]
pub struct CodecParameters {
    pub(crate) codec: AudioCodecId,
    /// The container says that packets carry spectral band replication.
    pub(crate) has_sbr: bool,
    pub(crate) sample_rate: u32,
    pub(crate) layout: ChannelLayout,
    pub(crate) bits_per_sample: Option<u32>,
    pub(crate) extra_data: Option<Box<[u8]>>,
    /// Frames of a block, and of the longest packet, of codecs that are made of blocks.
    pub(super) blocks: Option<(u64, u64)>,
    /// What one of Symphonia's format readers said, which may be more than the fields above.
    pub(super) theirs: Option<Box<AudioCodecParameters>>,
}

impl CodecParameters {
    /// Parameters of a codec that needs only its shape. `channels` may be 0: unknown.
    pub(crate) fn new(codec: AudioCodecId, sample_rate: u32, channels: u16) -> Self {
        let layout = ChannelLayout::of_count(channels);
        Self {
            codec,
            has_sbr: false,
            sample_rate,
            layout,
            bits_per_sample: None,
            extra_data: None,
            blocks: None,
            theirs: None,
        }
    }

    /// The parameters of a demuxed track.
    ///
    /// # Errors
    /// [`DecodeError::Unsupported`] naming a codec that no decoder could be registered for.
    pub fn of_track(track: &TrackInfo) -> Result<Self, DecodeError> {
        let codec = match track.codec {
            // Main and LTP, beside LC.
            Codec::AacLc | Codec::HeAac { .. } | Codec::HeAacV2 { .. } | Codec::AacOther(1 | 4) => {
                id::CODEC_ID_AAC
            }
            Codec::Mp3 => id::CODEC_ID_MP3,
            Codec::Mp2 => id::CODEC_ID_MP2,
            Codec::Mp1 => id::CODEC_ID_MP1,
            Codec::Flac => id::CODEC_ID_FLAC,
            Codec::Alac => id::CODEC_ID_ALAC,
            Codec::Vorbis => id::CODEC_ID_VORBIS,
            Codec::Opus => id::CODEC_ID_OPUS,
            Codec::Ac3 => id::CODEC_ID_AC3,
            Codec::Eac3 => id::CODEC_ID_EAC3,
            Codec::Dts => id::CODEC_ID_DCA,
            Codec::Raw(format) => raw_id(format),
            other => return Err(DecodeError::Unsupported(other.to_string())),
        };
        let mut parameters = Self::new(codec, track.sample_rate, track.channels);
        parameters.has_sbr = matches!(track.codec, Codec::HeAac { .. } | Codec::HeAacV2 { .. });
        parameters.extra_data.clone_from(&track.extra_data);
        if !matches!(track.codec, Codec::Raw(_)) {
            parameters.bits_per_sample = track.bits_per_sample;
        } else if let Some(frames) = track.frames_per_packet {
            parameters.with_blocks(frames.into(), MAX_JOINED_FRAMES.max(frames.into()));
        }
        Ok(parameters)
    }

    pub(crate) fn with_extra_data(&mut self, extra_data: Box<[u8]>) -> &mut Self {
        self.extra_data = Some(extra_data);
        self
    }

    pub(crate) fn with_bits_per_sample(&mut self, bits: u32) -> &mut Self {
        self.bits_per_sample = Some(bits);
        self
    }

    pub(crate) fn with_blocks(&mut self, frames_per_block: u64, max_frames_per_packet: u64) -> &mut Self {
        self.blocks = Some((frames_per_block, max_frames_per_packet));
        self
    }

    pub(crate) fn with_layout(&mut self, layout: ChannelLayout) -> &mut Self {
        self.layout = layout;
        self
    }

    /// Short name of the codec: "aac", "mp3", "pcm", …
    #[must_use]
    pub fn name(&self) -> &'static str {
        codec_name(self.codec)
    }

    /// Frames per second, as the container says; 0: unknown.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Channels, as the container says; none of them: unknown.
    #[must_use]
    pub fn layout(&self) -> ChannelLayout {
        self.layout
    }

    /// Bits per sample of lossless codecs.
    #[must_use]
    pub fn bits_per_sample(&self) -> Option<u32> {
        self.bits_per_sample
    }

    /// What the codec needs besides packets; see [`TrackInfo::extra_data`].
    #[must_use]
    pub fn extra_data(&self) -> Option<&[u8]> {
        self.extra_data.as_deref()
    }

    /// Whether a decoder made for `self` decodes packets made for `other`, going on from where it is.
    pub(crate) fn accepts(&self, other: &Self) -> bool {
        let shape = |it: &Self| (it.codec, it.has_sbr, it.sample_rate, it.layout.channels());
        // An AAC-LC configuration says no more than its shape, and is written in several ways.
        shape(self) == shape(other) && (self.codec == id::CODEC_ID_AAC || self.extra_data == other.extra_data)
    }

    /// The codec by the name that a listener knows.
    pub(crate) fn long_name(&self) -> String {
        match self.name() {
            "aac" if self.has_sbr => "HE-AAC",
            "aac" => "AAC",
            "ac3" => "AC-3",
            "eac3" => "E-AC-3",
            "dts" => "DTS",
            "speex" => "Speex",
            "wma" => "WMA",
            "wavpack" => "WavPack",
            "ape" => "Monkey's Audio",
            "opus" => "Opus",
            "vorbis" => "Vorbis",
            "flac" => "FLAC",
            "alac" => "ALAC",
            "mp3" => "MP3",
            "mp2" => "MP2",
            "mp1" => "MP1",
            "unknown codec" => return format!("codec {}", self.codec),
            name => name,
        }
        .into()
    }
}

/// Frames of ADPCM that a packet of MP4 may hold.
const MAX_JOINED_FRAMES: u64 = 1 << 16;

fn raw_id(format: SampleFormat) -> AudioCodecId {
    match format {
        SampleFormat::U8 => id::CODEC_ID_PCM_U8,
        SampleFormat::S8 => id::CODEC_ID_PCM_S8,
        SampleFormat::S16Be => id::CODEC_ID_PCM_S16BE,
        SampleFormat::S16Le => id::CODEC_ID_PCM_S16LE,
        SampleFormat::S24Be => id::CODEC_ID_PCM_S24BE,
        SampleFormat::S24Le => id::CODEC_ID_PCM_S24LE,
        SampleFormat::S32Be => id::CODEC_ID_PCM_S32BE,
        SampleFormat::S32Le => id::CODEC_ID_PCM_S32LE,
        SampleFormat::F32Be => id::CODEC_ID_PCM_F32BE,
        SampleFormat::F32Le => id::CODEC_ID_PCM_F32LE,
        SampleFormat::F64Be => id::CODEC_ID_PCM_F64BE,
        SampleFormat::F64Le => id::CODEC_ID_PCM_F64LE,
        SampleFormat::Alaw => id::CODEC_ID_PCM_ALAW,
        SampleFormat::Mulaw => id::CODEC_ID_PCM_MULAW,
        SampleFormat::ImaQt => id::CODEC_ID_ADPCM_IMA_QT,
        SampleFormat::ImaWav => id::CODEC_ID_ADPCM_IMA_WAV,
        SampleFormat::MsAdpcm => id::CODEC_ID_ADPCM_MS,
    }
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
    ::symphonia::default::get_codecs()
        .get_audio_decoder(codec)
        .is_some_and(|found| found.codec.info.short_name.starts_with("pcm"))
}
