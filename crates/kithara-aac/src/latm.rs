//! LATM and LOAS: the framing of broadcast (ISO/IEC 14496-3, 1.7).

use crate::bits::BitReader;
use crate::config::Config;
use crate::{Error, Result};

const PART: &str = "LATM element";

/// How the payloads of a multiplex are framed. It is sent within the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamMux {
    pub(crate) config: Config,
    pub(crate) subframes: usize,
    frame_length: FrameLength,
    other_data_bits: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FrameLength {
    Variable,
    /// In bits.
    Fixed(usize),
}

fn value(reader: &mut BitReader<'_>) -> u32 {
    let bytes = reader.read(2) + 1;
    reader.read(8 * bytes)
}

impl StreamMux {
    fn read(reader: &mut BitReader<'_>) -> Result<Self> {
        let version = reader.read(1);
        if version == 1 {
            if reader.flag() {
                return Err(Error::Unsupported { feature: "LATM with audioMuxVersionA 1" });
            }
            value(reader);
        }
        if !reader.flag() {
            return Err(Error::Unsupported { feature: "LATM of streams with different time framing" });
        }
        let subframes = reader.read(6) as usize + 1;
        if reader.read(4) != 0 || reader.read(3) != 0 {
            return Err(Error::Unsupported { feature: "LATM of several programs or layers" });
        }
        let config = if version == 1 {
            let bits = value(reader) as usize;
            let config = Config::read(&mut reader.sub(bits)?, true)?;
            reader.skip(bits);
            config
        } else {
            Config::read(reader, false)?
        };
        let frame_length = match reader.read(3) {
            0 => {
                reader.skip(8);
                FrameLength::Variable
            }
            1 => FrameLength::Fixed(8 * (reader.read(9) as usize + 20)),
            _ => return Err(Error::Unsupported { feature: "LATM of CELP or HVXC" }),
        };
        let mut other_data_bits = 0_usize;
        if reader.flag() {
            if version == 1 {
                other_data_bits = value(reader) as usize;
            } else {
                loop {
                    let more = reader.flag();
                    other_data_bits = (other_data_bits << 8) + reader.read(8) as usize;
                    if !more || other_data_bits > 1 << 24 {
                        break;
                    }
                }
            }
        }
        if reader.flag() {
            reader.skip(8);
        }
        reader.check(PART)?;
        Ok(Self { config, subframes, frame_length, other_data_bits })
    }

    /// Reads the start of an `AudioMuxElement()`: a new configuration, where one is sent.
    pub(crate) fn read_element(reader: &mut BitReader<'_>) -> Result<Option<Self>> {
        let config = if reader.flag() { None } else { Some(Self::read(reader)?) };
        reader.check(PART)?;
        Ok(config)
    }

    /// The next payload, and the bits that it takes.
    pub(crate) fn payload(&self, reader: &mut BitReader<'_>) -> Result<usize> {
        let bits = match self.frame_length {
            FrameLength::Fixed(bits) => bits,
            FrameLength::Variable => {
                let mut bytes = 0;
                loop {
                    let part = reader.read(8) as usize;
                    bytes += part;
                    if part != 255 {
                        break;
                    }
                }
                8 * bytes
            }
        };
        if bits > reader.left() {
            return Err(Error::Truncated { part: PART });
        }
        Ok(bits)
    }
}

/// Bytes of the header of a LOAS frame.
const HEADER: usize = 3;

/// The length of the LOAS frame at the start of `bytes`, header included: `None` without a sync word.
pub(crate) fn loas_length(bytes: &[u8]) -> Option<usize> {
    let &[a, b, c] = bytes.first_chunk::<HEADER>()?;
    (a == 0x56 && b & 0xe0 == 0xe0).then(|| HEADER + (usize::from(b & 0x1f) << 8 | usize::from(c)))
}

/// The `AudioMuxElement` in a packet, which may stand in a LOAS frame or alone.
pub(crate) fn mux_element(packet: &[u8]) -> &[u8] {
    match loas_length(packet) {
        Some(length) if length <= packet.len() => &packet[HEADER..length],
        _ => packet,
    }
}

/// Splits a buffer into LOAS frames (`AudioSyncStream`). Bytes between frames are passed over.
#[derive(Debug, Clone)]
pub struct LoasFrames<'a> {
    bytes: &'a [u8],
}

impl<'a> LoasFrames<'a> {
    /// The frames of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }
}

impl<'a> Iterator for LoasFrames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        while self.bytes.len() > HEADER {
            match loas_length(self.bytes) {
                Some(length) if length <= self.bytes.len() => {
                    let (frame, rest) = self.bytes.split_at(length);
                    self.bytes = rest;
                    return Some(frame);
                }
                _ => self.bytes = &self.bytes[1..],
            }
        }
        None
    }
}
