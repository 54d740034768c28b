//! What the bytes of a track are, by the name a listener would know.

use std::fmt;

/// A four-character code of an MP4 sample entry or a protection scheme.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            match byte {
                b' '..=b'~' => write!(f, "{}", char::from(byte))?,
                other => write!(f, "\\x{other:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FourCc({self})")
    }
}

/// The codec of an audio track. `Display` gives the name that error messages and reports use (`AAC-LC`, `HE-AAC`).
///
/// Every codec that can be *named* is here; which of them can be *decoded* is the decoder's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// AAC Low Complexity (MPEG-4 object type 2, MPEG-2 AAC LC).
    AacLc,
    /// HE-AAC: AAC-LC with spectral band replication (object type 5).
    HeAac {
        /// True when the configuration itself begins with object type 5 ("explicit hierarchical" signalling, which a
        /// plain AAC-LC decoder refuses). False when an AAC-LC configuration is followed by a sync extension, or when
        /// only the frames carry the extension ("implicit" signalling: a plain decoder plays it at half the rate).
        explicit: bool,
    },
    /// HE-AAC v2: HE-AAC with parametric stereo (object type 29). `explicit` as in [`Codec::HeAac`].
    HeAacV2 {
        /// See [`Codec::HeAac`].
        explicit: bool,
    },
    /// Another MPEG-4 audio object type (Main, SSR, LTP, ELD, USAC and so on), by its number.
    AacOther(u8),
    /// MPEG audio layer III (MPEG-1, -2 or -2.5).
    Mp3,
    /// MPEG audio layer II.
    Mp2,
    /// MPEG audio layer I.
    Mp1,
    /// Free Lossless Audio Codec.
    Flac,
    /// Apple Lossless.
    Alac,
    /// Opus.
    Opus,
    /// Vorbis in MP4 (object type indication 0xDD).
    Vorbis,
    /// Dolby Digital.
    Ac3,
    /// Dolby Digital Plus.
    Eac3,
    /// Dolby AC-4.
    Ac4,
    /// Dolby TrueHD (MLP).
    TrueHd,
    /// DTS in any of its forms.
    Dts,
    /// AMR, narrowband or wideband.
    Amr,
    /// GSM 6.10.
    Gsm,
    /// Speex.
    Speex,
    /// Windows Media Audio.
    Wma,
    /// AAC in LATM/LOAS multiplex (MPEG-TS stream type 0x11).
    Latm,
    /// Uncompressed PCM in a form that cannot be decoded (HDMV in MPEG-TS, unusual sample sizes).
    Pcm,
    /// PCM, G.711 or ADPCM of MP4 and QuickTime.
    Raw(SampleFormat),
    /// SMPTE 302M PCM in MPEG-TS.
    Smpte302m,
    /// A codec under SAMPLE-AES encryption (MPEG-TS stream types 0xCF, 0xC1, 0xC2).
    SampleAes(SampleAesCodec),
    /// An MP4 sample entry that we do not know.
    Unknown(FourCc),
    /// An MPEG-4 object type indication that we do not know.
    UnknownObjectType(u8),
    /// An MPEG-TS stream type that we do not know.
    UnknownStreamType(u8),
}

/// How the samples of [`Codec::Raw`] are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "signedness, bits and byte order are the name")]
pub enum SampleFormat {
    U8,
    S8,
    S16Be,
    S16Le,
    S24Be,
    S24Le,
    S32Be,
    S32Le,
    F32Be,
    F32Le,
    F64Be,
    F64Le,
    Alaw,
    Mulaw,
    /// IMA ADPCM as QuickTime has it: 64 frames in 34 bytes for each channel.
    ImaQt,
    /// IMA ADPCM as WAV has it.
    ImaWav,
    /// Microsoft's ADPCM.
    MsAdpcm,
}

impl SampleFormat {
    /// Integers or floats of `bytes` bytes. `None` for a size that cannot be decoded.
    pub(super) fn linear(bytes: u32, is_float: bool, is_little: bool) -> Option<Self> {
        Some(match (bytes, is_float, is_little) {
            (1, false, _) => Self::S8,
            (2, false, false) => Self::S16Be,
            (2, false, true) => Self::S16Le,
            (3, false, false) => Self::S24Be,
            (3, false, true) => Self::S24Le,
            (4, false, false) => Self::S32Be,
            (4, false, true) => Self::S32Le,
            (4, true, false) => Self::F32Be,
            (4, true, true) => Self::F32Le,
            (8, true, false) => Self::F64Be,
            (8, true, true) => Self::F64Le,
            _ => return None,
        })
    }

    /// Bytes of a sample; `None` for blocks of ADPCM.
    pub fn bytes(self) -> Option<u32> {
        Some(match self {
            Self::U8 | Self::S8 | Self::Alaw | Self::Mulaw => 1,
            Self::S16Be | Self::S16Le => 2,
            Self::S24Be | Self::S24Le => 3,
            Self::S32Be | Self::S32Le | Self::F32Be | Self::F32Le => 4,
            Self::F64Be | Self::F64Le => 8,
            Self::ImaQt | Self::ImaWav | Self::MsAdpcm => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Alaw => "A-law",
            Self::Mulaw => "\u{b5}-law",
            Self::ImaQt | Self::ImaWav => "IMA ADPCM",
            Self::MsAdpcm => "Microsoft ADPCM",
            _ => "PCM",
        }
    }
}

/// What a SAMPLE-AES stream type says is under the encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SampleAesCodec {
    /// Stream type 0xCF.
    Aac,
    /// Stream type 0xC1.
    Ac3,
    /// Stream type 0xC2.
    Eac3,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::AacLc => "AAC-LC",
            Self::HeAac { .. } => "HE-AAC",
            Self::HeAacV2 { .. } => "HE-AAC v2",
            Self::AacOther(object_type) => return fmt_aac(*object_type, f),
            Self::Mp3 => "MP3",
            Self::Mp2 => "MP2",
            Self::Mp1 => "MP1",
            Self::Flac => "FLAC",
            Self::Alac => "ALAC",
            Self::Opus => "Opus",
            Self::Vorbis => "Vorbis",
            Self::Ac3 => "AC-3",
            Self::Eac3 => "E-AC-3",
            Self::Ac4 => "AC-4",
            Self::TrueHd => "TrueHD",
            Self::Dts => "DTS",
            Self::Amr => "AMR",
            Self::Gsm => "GSM 6.10",
            Self::Speex => "Speex",
            Self::Wma => "WMA",
            Self::Latm => "AAC in LATM",
            Self::Pcm => "PCM",
            Self::Raw(format) => format.name(),
            Self::Smpte302m => "SMPTE 302M PCM",
            Self::SampleAes(SampleAesCodec::Aac) => "AAC under SAMPLE-AES",
            Self::SampleAes(SampleAesCodec::Ac3) => "AC-3 under SAMPLE-AES",
            Self::SampleAes(SampleAesCodec::Eac3) => "E-AC-3 under SAMPLE-AES",
            Self::Unknown(fourcc) => return write!(f, "unknown codec '{fourcc}'"),
            Self::UnknownObjectType(oti) => return write!(f, "unknown MPEG-4 object type 0x{oti:02X}"),
            Self::UnknownStreamType(kind) => return write!(f, "unknown MPEG-TS stream type 0x{kind:02X}"),
        };
        f.write_str(name)
    }
}

fn fmt_aac(object_type: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match object_type {
        1 => f.write_str("AAC Main"),
        3 => f.write_str("AAC SSR"),
        4 => f.write_str("AAC LTP"),
        6 => f.write_str("AAC Scalable"),
        17 => f.write_str("ER AAC-LC"),
        23 => f.write_str("AAC-LD"),
        39 => f.write_str("AAC-ELD"),
        42 => f.write_str("xHE-AAC (USAC)"),
        other => write!(f, "MPEG-4 audio object type {other}"),
    }
}

impl Codec {
    /// True for every AAC that is framed as raw AAC access units (LC, HE, HE v2 and the other object types).
    pub fn is_aac(self) -> bool {
        matches!(self, Self::AacLc | Self::HeAac { .. } | Self::HeAacV2 { .. } | Self::AacOther(_))
    }
}
