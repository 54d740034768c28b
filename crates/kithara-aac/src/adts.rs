//! ADTS: the framing of AAC files and of MPEG-TS (ISO/IEC 14496-3, 1.A.2.2).

use crate::bits::BitReader;
use crate::config::{Config, ObjectType};
use crate::tables::SAMPLE_RATES;
use crate::{Error, Result};

const PART: &str = "ADTS header";

/// The header of one ADTS frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdtsHeader {
    pub(crate) object_type: ObjectType,
    pub(crate) sample_rate: u32,
    pub(crate) channel_configuration: u8,
    pub(crate) protected: bool,
    pub(crate) frame_length: usize,
    pub(crate) blocks: usize,
}

impl AdtsHeader {
    /// The least bytes that a header takes.
    pub const LENGTH: usize = 7;

    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// [`Error::Malformed`] where no header stands there, [`Error::Truncated`] with less than seven bytes.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = BitReader::new(bytes);
        if bytes.len() < Self::LENGTH {
            return Err(Error::Truncated { part: PART });
        }
        if reader.read(12) != 0xfff {
            return Err(Error::malformed(PART, "the sync word is missing"));
        }
        reader.skip(1);
        if reader.read(2) != 0 {
            return Err(Error::malformed(PART, "the layer is not 0"));
        }
        let protected = !reader.flag();
        let object_type = match reader.read(2) {
            0 => ObjectType::Main,
            1 => ObjectType::Lc,
            2 => return Err(Error::Unsupported { feature: "The object type AAC SSR" }),
            _ => ObjectType::Ltp,
        };
        let sample_rate = *SAMPLE_RATES
            .get(reader.read(4) as usize)
            .ok_or(Error::malformed(PART, "a reserved sampling frequency"))?;
        reader.skip(1);
        let channel_configuration = reader.read(3) as u8;
        reader.skip(4);
        let frame_length = reader.read(13) as usize;
        reader.skip(11);
        let blocks = reader.read(2) as usize + 1;
        let header =
            Self { object_type, sample_rate, channel_configuration, protected, frame_length, blocks };
        if frame_length <= header.header_length() {
            return Err(Error::malformed(PART, "the frame is shorter than its header"));
        }
        Ok(header)
    }

    /// Bytes before the first raw data block.
    pub(crate) fn header_length(&self) -> usize {
        Self::LENGTH + if self.protected { 2 * self.blocks } else { 0 }
    }

    /// Bytes of the whole frame, header included.
    pub fn frame_length(&self) -> usize {
        self.frame_length
    }

    /// The configuration that the header describes.
    ///
    /// # Errors
    /// None for a header that was read; a caller need not tell.
    pub fn config(&self) -> Result<Config> {
        Config::new(self.object_type, self.sample_rate, self.channel_configuration)
    }

    /// Whether both headers describe the same configuration.
    pub(crate) fn is_same_stream(&self, other: &Self) -> bool {
        self.object_type == other.object_type
            && self.sample_rate == other.sample_rate
            && self.channel_configuration == other.channel_configuration
    }
}

/// Splits a buffer into ADTS frames. Bytes between frames are passed over.
#[derive(Debug, Clone)]
pub struct AdtsFrames<'a> {
    bytes: &'a [u8],
}

impl<'a> AdtsFrames<'a> {
    /// The frames of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for AdtsFrames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match AdtsHeader::read(self.bytes) {
                Ok(header) if header.frame_length <= self.bytes.len() => {
                    let (frame, rest) = self.bytes.split_at(header.frame_length);
                    self.bytes = rest;
                    return Some(frame);
                }
                Err(Error::Truncated { .. }) => return None,
                _ => self.bytes = self.bytes.get(1..)?,
            }
        }
    }
}
