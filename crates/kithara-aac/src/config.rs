//! The decoder's configuration: `AudioSpecificConfig()` (ISO/IEC 14496-3, 1.6.2).

use crate::bits::BitReader;
use crate::layout::{Elements, elements_of, read_program};
use crate::tables::SAMPLE_RATES;
use crate::{Error, Result};

/// The audio object types that this decoder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectType {
    /// AAC Main: backward prediction.
    Main,
    /// AAC LC, which nearly every stream is; HE-AAC is this with extensions.
    Lc,
    /// AAC LTP: long term prediction.
    Ltp,
}

/// Whether an extension is in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signalling {
    /// The configuration says that it is not, or cannot say so and the packets never will.
    Absent,
    /// The configuration does not tell. The first packet does (implicit signalling).
    Unknown,
    /// The configuration says that it is (explicit signalling).
    Present,
}

/// What a decoder must know before the first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub(crate) object_type: ObjectType,
    pub(crate) sample_rate: u32,
    pub(crate) extension_rate: Option<u32>,
    pub(crate) sbr: Signalling,
    pub(crate) ps: Signalling,
    pub(crate) frame_length: usize,
    pub(crate) channel_configuration: u8,
    /// Empty until the first packet's program configuration.
    pub(crate) elements: Elements,
}

const PART: &str = "configuration";

impl Config {
    /// Reads an `AudioSpecificConfig`, as MP4 (`esds`), Matroska and DASH carry it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names an object type that this decoder does not have: xHE-AAC, AAC ELD, …
    pub fn from_audio_specific_config(bytes: &[u8]) -> Result<Self> {
        let mut reader = BitReader::new(bytes);
        Self::read(&mut reader, true)
    }

    /// AAC LC without a configuration, as an ADTS header describes it: SBR and PS are found in the packets.
    ///
    /// `channel_configuration` is that of the specification: 1 to 6 channels, 7 is 7.1, and 0 is told by
    /// the first packet.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the rate is 0, or the channel configuration is reserved.
    pub fn lc(sample_rate: u32, channel_configuration: u8) -> Result<Self> {
        Self::new(ObjectType::Lc, sample_rate, channel_configuration)
    }

    pub(crate) fn new(object_type: ObjectType, sample_rate: u32, channel_configuration: u8) -> Result<Self> {
        if sample_rate == 0 || sample_rate > 192_000 {
            return Err(Error::malformed(PART, "the sampling frequency is out of range"));
        }
        let elements =
            if channel_configuration == 0 { Elements::new() } else { elements_of(channel_configuration)? };
        let mut config = Self {
            object_type,
            sample_rate,
            extension_rate: None,
            sbr: Signalling::Unknown,
            ps: Signalling::Unknown,
            frame_length: 1024,
            channel_configuration,
            elements,
        };
        config.limit_extensions();
        Ok(config)
    }

    /// PS needs SBR, mono and AAC LC.
    pub(crate) fn limit_extensions(&mut self) {
        let stereo = !self.elements.is_empty() && self.elements.channel_count() != 1;
        let unknown = self.ps == Signalling::Unknown && self.object_type != ObjectType::Lc;
        if self.sbr == Signalling::Absent || stereo || unknown {
            self.ps = Signalling::Absent;
        }
    }

    /// Reads the configuration; `extended` where its end is known, so that an extension may follow it.
    pub(crate) fn read(reader: &mut BitReader<'_>, extended: bool) -> Result<Self> {
        let start = reader.position();
        let mut object = read_object(reader);
        let sample_rate = read_rate(reader)?;
        let channels = reader.read(4) as u8;
        let (mut sbr, mut ps, mut extension_rate) = (Signalling::Unknown, Signalling::Unknown, None);
        let hierarchical = object == 5 || object == 29;
        if hierarchical {
            sbr = Signalling::Present;
            if object == 29 {
                ps = Signalling::Present;
            }
            extension_rate = Some(read_rate(reader)?);
            object = read_object(reader);
        }
        let object_type = object_type(object)?;
        let mut config = Self::new(object_type, sample_rate, channels)?;
        config.frame_length = if reader.flag() { 960 } else { 1024 };
        if reader.flag() {
            reader.skip(14);
        }
        let extension = reader.flag();
        if channels == 0 {
            config.elements = read_program(reader, start)?;
        }
        if extension {
            reader.skip(1);
        }
        reader.check(PART)?;
        if extended
            && !hierarchical
            && reader.left() >= 16
            && reader.read(11) == 0x2b7
            && read_object(reader) == 5
        {
            sbr = if reader.flag() { Signalling::Present } else { Signalling::Absent };
            if sbr == Signalling::Present {
                extension_rate = Some(read_rate(reader)?);
                if reader.left() >= 12 && reader.read(11) == 0x548 {
                    ps = if reader.flag() { Signalling::Present } else { Signalling::Absent };
                }
            }
        }
        config.sbr = sbr;
        config.ps = ps;
        config.extension_rate = extension_rate;
        config.limit_extensions();
        Ok(config)
    }

    /// The core's object type.
    pub fn object_type(&self) -> ObjectType {
        self.object_type
    }

    /// The core's sampling frequency in Hz. With SBR the output's is twice this, as a rule.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Frames that a packet carries before SBR: 1,024 or 960.
    pub fn frame_length(&self) -> usize {
        self.frame_length
    }

    /// Whether spectral band replication (HE-AAC) is in the stream.
    pub fn sbr(&self) -> Signalling {
        self.sbr
    }

    /// Whether parametric stereo (HE-AAC v2) is in the stream.
    pub fn ps(&self) -> Signalling {
        self.ps
    }

    /// SBR runs at the core's rate: its output has as many frames as the core's.
    pub(crate) fn is_downsampled(&self) -> bool {
        self.extension_rate.is_some_and(|rate| rate <= self.sample_rate)
    }
}

fn read_object(reader: &mut BitReader<'_>) -> u32 {
    match reader.read(5) {
        31 => 32 + reader.read(6),
        object => object,
    }
}

fn read_rate(reader: &mut BitReader<'_>) -> Result<u32> {
    let rate = match reader.read(4) {
        15 => reader.read(24),
        index => *SAMPLE_RATES
            .get(index as usize)
            .ok_or(Error::malformed(PART, "a reserved sampling frequency"))?,
    };
    reader.check(PART)?;
    if rate == 0 || rate > 192_000 {
        return Err(Error::malformed(PART, "the sampling frequency is out of range"));
    }
    Ok(rate)
}

fn object_type(object: u32) -> Result<ObjectType> {
    let feature = match object {
        1 => return Ok(ObjectType::Main),
        2 => return Ok(ObjectType::Lc),
        4 => return Ok(ObjectType::Ltp),
        0 => return Err(Error::malformed(PART, "the object type 0")),
        3 => "The object type AAC SSR",
        6 | 20 => "The object type AAC scalable",
        7 => "The object type TwinVQ",
        8 | 9 | 24 | 25 => "The object type CELP or HVXC",
        17 => "The object type ER AAC LC",
        19 => "The object type ER AAC LTP",
        22 => "The object type ER BSAC",
        23 => "The object type AAC LD (low delay)",
        32..=34 => "MPEG-1 audio in MPEG-4 (layers I to III)",
        35 => "The object type DST",
        36 => "The object type ALS",
        37 | 38 => "The object type SLS",
        39 => "The object type AAC ELD (enhanced low delay)",
        42 => "The object type USAC (xHE-AAC)",
        _ => "The audio object type",
    };
    Err(Error::Unsupported { feature })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_configuration_leaves_sbr_open() {
        let config = Config::from_audio_specific_config(&[0x12, 0x10]).unwrap();
        assert_eq!(config.object_type(), ObjectType::Lc);
        assert_eq!((config.sample_rate(), config.frame_length()), (44100, 1024));
        assert_eq!((config.sbr(), config.ps()), (Signalling::Unknown, Signalling::Absent));
    }

    #[test]
    fn hierarchical_and_appended_signalling_are_both_read() {
        // AAC LC of 22.05 kHz in SBR of 44.1 kHz: object type 5 first, or 0x2b7 behind.
        let hierarchical = Config::from_audio_specific_config(&[0x2b, 0x92, 0x08, 0x00]).unwrap();
        let appended = Config::from_audio_specific_config(&[0x13, 0x90, 0x56, 0xe5, 0xa0]).unwrap();
        for config in [hierarchical, appended] {
            assert_eq!(config.sample_rate(), 22050);
            assert_eq!(config.extension_rate, Some(44100));
            assert_eq!(config.sbr(), Signalling::Present);
            assert!(!config.is_downsampled());
        }
    }

    #[test]
    fn object_types_without_a_decoder_are_named() {
        // Object type 42 and 39: 31 as the escape, then 10 or 7.
        for (bytes, name) in [([0xf9, 0x48, 0x80, 0x00], "xHE-AAC"), ([0xf8, 0xe8, 0x80, 0x00], "ELD")] {
            let error = Config::from_audio_specific_config(&bytes).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn every_cut_and_changed_configuration_is_an_error_or_a_configuration() {
        let whole = [0x2b, 0x92, 0x08, 0x00, 0x56, 0xe5, 0xa0];
        for end in 0..whole.len() {
            let _ = Config::from_audio_specific_config(&whole[..end]);
            for value in 0..=255 {
                let mut changed = whole;
                changed[end] = value;
                let _ = Config::from_audio_specific_config(&changed);
            }
        }
        assert!(Config::from_audio_specific_config(&[]).is_err());
    }
}
