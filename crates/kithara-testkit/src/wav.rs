//! Reads the WAV files that tools write, to compare them: PCM of 8 to 32 bits, and float.

/// A WAV file, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Wav {
    /// Frames per second.
    pub sample_rate: u32,
    /// Samples per frame.
    pub channels: u16,
    /// Interleaved, full scale 1.0.
    pub samples: Vec<f32>,
}

/// Why a WAV file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The bytes break the format's rules.
    #[error("malformed WAV: {0}")]
    Malformed(&'static str),
    /// A coding that this reader does not know.
    #[error("unsupported WAV: format {format}, {bits} bits")]
    Unsupported {
        /// The format tag: 1 is PCM, 3 float.
        format: u16,
        /// Bits per sample.
        bits: u16,
    },
}

impl Wav {
    /// Reads a whole file. A data chunk of unknown length (0 or 2^32 - 1, as written to a pipe) goes to the end.
    ///
    /// # Errors
    /// The bytes are no WAV file, or one of a coding other than PCM or float.
    pub fn parse(bytes: &[u8]) -> Result<Self, WavError> {
        let malformed = WavError::Malformed;
        let [riff, _, wave] = [0, 4, 8].map(|at| bytes.get(at..at + 4));
        if !matches!(riff, Some(b"RIFF" | b"RF64")) || wave != Some(b"WAVE") {
            return Err(malformed("no RIFF header"));
        }
        let (mut rest, mut format) = (bytes.get(12..).unwrap_or_default(), None);
        while let Some((head, body)) = rest.split_at_checked(8) {
            let (id, declared) = (&head[..4], u32_at(head, 4).unwrap_or(0));
            let len = usize::try_from(declared).unwrap_or(usize::MAX);
            if id == b"data" {
                let endless = matches!(declared, 0 | u32::MAX) || len > body.len();
                let data = if endless { body } else { body.get(..len).unwrap_or(body) };
                return Self::from_data(format.ok_or(malformed("data before fmt"))?, data);
            }
            let chunk = body.get(..len).ok_or(malformed("a chunk is cut short"))?;
            if id == b"fmt " {
                format = Some(Format::parse(chunk).ok_or(malformed("fmt is too short"))?);
            }
            rest = body.get(len + len % 2..).unwrap_or_default();
        }
        Err(malformed("no data"))
    }

    /// Whole frames.
    pub fn frames(&self) -> u64 {
        (self.samples.len() / usize::from(self.channels.max(1))) as u64
    }

    fn from_data(format: Format, data: &[u8]) -> Result<Self, WavError> {
        let scale =
            |bytes: &[u8]| bytes.iter().rev().fold(0_i32, |value, byte| value << 8 | i32::from(*byte));
        let width = usize::from(format.bits / 8).max(1);
        let samples = data.chunks_exact(width);
        let samples = match (format.tag, format.bits) {
            (1, 8) => samples.map(|b| (f32::from(b[0]) - 128.0) / 128.0).collect(),
            (1, 16) => samples.map(|b| (scale(b) << 16) as f32 / 2_147_483_648.0).collect(),
            (1, 24) => samples.map(|b| (scale(b) << 8) as f32 / 2_147_483_648.0).collect(),
            (1, 32) => samples.map(|b| scale(b) as f32 / 2_147_483_648.0).collect(),
            (3, 32) => samples.map(|b| f32::from_bits(scale(b) as u32)).collect(),
            (tag, bits) => return Err(WavError::Unsupported { format: tag, bits }),
        };
        Ok(Self { sample_rate: format.sample_rate, channels: format.channels, samples })
    }
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    sample_rate: u32,
    bits: u16,
}

impl Format {
    fn parse(chunk: &[u8]) -> Option<Self> {
        let tag = u16_at(chunk, 0)?;
        // WAVE_FORMAT_EXTENSIBLE has the tag in the first two bytes of its GUID.
        let tag = if tag == 0xFFFE { u16_at(chunk, 24)? } else { tag };
        let (channels, sample_rate) = (u16_at(chunk, 2)?, u32_at(chunk, 4)?);
        Some(Self { tag, channels, sample_rate, bits: u16_at(chunk, 14)? })
            .filter(|format| format.channels > 0)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media;

    #[test]
    fn reads_the_fixture_bit_for_bit() {
        let fixture = media::find("pcm16.wav").unwrap();
        let wav = Wav::parse(fixture.bytes()).unwrap();
        assert_eq!((wav.sample_rate, wav.channels, wav.frames()), (44_100, 2, fixture.frames));
        fixture.reference.check(&wav.samples).unwrap();
    }

    #[test]
    fn reads_every_width_and_a_pipe() {
        let file = |tag: u16, bits: u16, declared: u32, data: &[u8]| {
            let mut out = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
            out.extend([tag.to_le_bytes(), 1_u16.to_le_bytes()].concat());
            out.extend(8000_u32.to_le_bytes());
            out.extend([0; 6]);
            out.extend(bits.to_le_bytes());
            out.extend(b"LIST\x03\0\0\0abc\0data");
            out.extend(declared.to_le_bytes());
            out.extend(data);
            out
        };
        let read = |tag, bits, declared, data: &[u8]| {
            Wav::parse(&file(tag, bits, declared, data)).map(|w| w.samples)
        };
        assert_eq!(read(1, 8, 2, &[0, 192]).unwrap(), [-1.0, 0.5]);
        assert_eq!(read(1, 16, 4, &[0, 0x80, 0, 0x40]).unwrap(), [-1.0, 0.5]);
        assert_eq!(read(1, 24, 6, &[0, 0, 0x80, 0, 0, 0x40]).unwrap(), [-1.0, 0.5]);
        assert_eq!(read(1, 32, 4, &[0, 0, 0, 0x40]).unwrap(), [0.5]);
        assert_eq!(read(3, 32, u32::MAX, &0.25_f32.to_le_bytes()).unwrap(), [0.25]);
        assert_eq!(read(6, 8, 1, &[0]), Err(WavError::Unsupported { format: 6, bits: 8 }));
        let whole = file(1, 16, 4, &[0, 0x80, 0, 0x40]);
        for cut in 0..whole.len() {
            let _ = Wav::parse(&whole[..cut]);
        }
    }
}
