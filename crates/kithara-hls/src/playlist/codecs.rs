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

/// Codecs of a list that are read.
const MAX_CODECS: usize = 32;

/// What a codec string of RFC 6381 stands for. Its case is ignored, as players do.
fn kind_of(name: &str) -> CodecKind {
    let name = name.to_ascii_lowercase();
    let (family, profile) = name.split_once('.').unwrap_or((&name, ""));
    match family {
        "mp4a" => mp4a(profile),
        "mp3" => CodecKind::Mp3,
        "flac" => CodecKind::Flac,
        "alac" => CodecKind::Alac,
        "opus" => CodecKind::Opus,
        "vorbis" => CodecKind::Vorbis,
        "ac-3" => CodecKind::Ac3,
        "ec-3" | "ec+3" => CodecKind::Ec3,
        "ac-4" => CodecKind::Ac4,
        "dtsc" | "dtse" | "dtsh" | "dtsl" | "dtsx" | "dtsy" => CodecKind::Dts,
        "mhm1" | "mhm2" | "mha1" | "mha2" | "lpcm" | "ipcm" | "fpcm" | "iamf" | "apac" | "mlpa" | "sowt"
        | "twos" => CodecKind::OtherAudio,
        "avc1" | "avc2" | "avc3" | "avc4" | "hvc1" | "hev1" | "dvh1" | "dvhe" | "dvav" | "dva1" | "dav1"
        | "vp08" | "vp8" | "vp09" | "vp9" | "av01" | "mp4v" | "mjpg" | "jpeg" | "vvc1" | "vvi1" | "s263"
        | "theora" | "svc1" | "mvc1" => CodecKind::Video,
        "stpp" | "wvtt" | "tx3g" | "c608" | "c708" => CodecKind::Text,
        _ => CodecKind::Unknown,
    }
}

/// `mp4a.OO[.A]`: object type indication, and for MPEG-4 audio its audio object type.
fn mp4a(profile: &str) -> CodecKind {
    let (object, audio_object) = profile.split_once('.').unwrap_or((profile, ""));
    match (object, audio_object.trim_start_matches('0')) {
        ("40", "2") | ("67", _) => CodecKind::AacLc,
        ("40", "5") => CodecKind::HeAac,
        ("40", "29") => CodecKind::HeAacV2,
        ("40", "42") => CodecKind::XheAac,
        ("40", "34") | ("69" | "6b", _) => CodecKind::Mp3,
        ("a5", _) => CodecKind::Ac3,
        ("a6", _) => CodecKind::Ec3,
        ("a9" | "aa" | "ab" | "ac", _) => CodecKind::Dts,
        ("ad", _) => CodecKind::Opus,
        ("dd", _) => CodecKind::Vorbis,
        ("40" | "66" | "68" | "", _) => CodecKind::AacOther,
        _ => CodecKind::OtherAudio,
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
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty()).take(MAX_CODECS);
        Self { tags: names.map(|name| CodecTag { name: name.to_owned(), kind: kind_of(name) }).collect() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codec_strings_of_the_wild_are_known() {
        let kinds = |list: &str| Codecs::parse(list).tags.iter().map(|tag| tag.kind).collect::<Vec<_>>();
        assert_eq!(kinds("avc1.4d401e, mp4a.40.2"), [CodecKind::Video, CodecKind::AacLc]);
        assert_eq!(
            kinds("mp4a.40.5,mp4a.40.29,mp4a.40.42"),
            [CodecKind::HeAac, CodecKind::HeAacV2, CodecKind::XheAac]
        );
        assert_eq!(kinds("mp4a.40.02,mp4a.40.05"), [CodecKind::AacLc, CodecKind::HeAac]);
        assert_eq!(kinds("mp4a.40.34,mp4a.6B,mp4a.69,mp3"), [CodecKind::Mp3; 4]);
        assert_eq!(kinds("fLaC,flac"), [CodecKind::Flac; 2]);
        assert_eq!(kinds("Opus,alac"), [CodecKind::Opus, CodecKind::Alac]);
        assert_eq!(kinds("ac-3,ec-3,mp4a.a5"), [CodecKind::Ac3, CodecKind::Ec3, CodecKind::Ac3]);
        assert_eq!(kinds("wvtt,stpp.ttml.im1t,zzzz"), [CodecKind::Text, CodecKind::Text, CodecKind::Unknown]);
        assert_eq!(kinds(" , ,"), []);
        assert_eq!(Codecs::parse("avc1.4d401e, fLaC").to_string(), "avc1.4d401e,fLaC");
        assert_eq!(Codecs::parse(&"x,".repeat(1000)).tags.len(), MAX_CODECS);
    }
}
