//! The `CODECS` attribute (RFC 6381).

/// What a codec string stands for, as far as an audio player cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecKind {
    /// AAC-LC (`mp4a.40.2`, `mp4a.67`).
    AacLc,
    /// HE-AAC, spectral band replication (`mp4a.40.5`).
    HeAac,
    /// HE-AAC v2, parametric stereo (`mp4a.40.29`).
    HeAacV2,
    /// xHE-AAC (`mp4a.40.42`).
    XheAac,
    /// Another profile of AAC, or `mp4a` without one.
    AacOther,
    /// MPEG-1 or MPEG-2 audio, layer III unless the file says otherwise (`mp4a.40.34`, `mp4a.69`, `mp4a.6B`, `mp3`).
    Mp3,
    /// FLAC (`fLaC`).
    Flac,
    /// Apple Lossless (`alac`).
    Alac,
    /// Opus (`Opus`).
    Opus,
    /// Vorbis.
    Vorbis,
    /// Dolby Digital (`ac-3`, `mp4a.a5`).
    Ac3,
    /// Dolby Digital Plus (`ec-3`, `mp4a.a6`).
    Ec3,
    /// Dolby AC-4 (`ac-4`).
    Ac4,
    /// DTS in any form (`dtsc`, `dtse`, `dtsh`, `dtsx`, `mp4a.a9`).
    Dts,
    /// Another audio codec that is known by name (MPEG-H, PCM, ...).
    OtherAudio,
    /// Video.
    Video,
    /// Subtitles and other text.
    Text,
    /// Not a known name.
    Unknown,
}

impl CodecKind {
    /// Whether it is audio for certain.
    #[must_use]
    pub fn is_audio(self) -> bool {
        !matches!(self, Self::Video | Self::Text | Self::Unknown)
    }
}

/// One codec of a `CODECS` list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CodecTag {
    /// As written, without spaces around it.
    pub name: String,
    /// What it stands for.
    pub kind: CodecKind,
}

/// A `CODECS` list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Codecs {
    /// In the order of the attribute.
    pub tags: Vec<CodecTag>,
}

impl Codecs {
    /// Reads a comma-separated list.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        let _ = list;
        todo!()
    }

    /// The audio codecs of the list.
    pub fn audio(&self) -> impl Iterator<Item = &CodecTag> {
        self.tags.iter().filter(|tag| tag.kind.is_audio())
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }
}

/// The list as in the attribute.
impl std::fmt::Display for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, tag) in self.tags.iter().enumerate() {
            write!(f, "{}{}", if index == 0 { "" } else { "," }, tag.name)?;
        }
        Ok(())
    }
}
