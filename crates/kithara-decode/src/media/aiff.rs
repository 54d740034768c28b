//! AIFF and AIFC: their chunks are read here, whatever lengths a writer left in them that could not go back. What is no plain PCM is
//! left to Symphonia.

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known as id;

use super::backend::Opened;
use super::decoder::opened_by_symphonia;
use super::details::Tags;
use super::format::Format;
use super::pcm::{self, Layout};
use super::source::Window;
use super::symphonia_file::SymphoniaFile;
use crate::DecodeError;

/// Chunks that are believed.
const MAX_CHUNKS: usize = 4096;
/// Bytes of an ID3 tag that are looked at for text.
const ID3_TEXT: u64 = 16 * 1024;
/// Bytes in front of the samples, in their chunk.
const SOUND_HEADER: u64 = 8;

/// Opens the AIFF file that begins at the window's position.
pub(super) fn open(mut window: Window) -> Result<Opened, DecodeError> {
    let start = window.offset();
    let chunks = Chunks::read(&mut window)?;
    let common = chunks.common.ok_or_else(|| malformed("AIFF without a COMM chunk"))?;
    let (data, len) = chunks.sound.ok_or_else(|| malformed("AIFF without a SSND chunk"))?;
    let Some((codec, bytes)) = common.coding() else {
        window.move_to(start)?;
        let (file, track) = SymphoniaFile::open(Format::Aiff, window, Vec::new(), start, false)?;
        return opened_by_symphonia("aiff", file, track);
    };
    window.move_to(data)?;
    if let Some(len) = len {
        window.end_at(data.saturating_add(len));
    }
    let layout = Layout { codec, bytes, sample_rate: common.sample_rate, channels: common.channels };
    let mut opened = pcm::open("aiff", window, &layout)?;
    opened.stream.tags = chunks.tags;
    Ok(opened)
}

fn malformed(what: &str) -> DecodeError {
    DecodeError::Malformed(what.into())
}

/// What the chunks say.
#[derive(Default)]
struct Chunks {
    common: Option<Common>,
    /// Where the samples begin, and how many bytes they claim (`None`: up to the end of the file).
    sound: Option<(u64, Option<u64>)>,
    tags: Tags,
}

impl Chunks {
    /// Reads the chunks up to the samples, and on if the description has not come by then.
    fn read(window: &mut Window) -> Result<Self, DecodeError> {
        let mut chunks = Self::default();
        window.peek(12)?;
        window.consume(12);
        for _ in 0..MAX_CHUNKS {
            let Some(&[i0, i1, i2, i3, len @ ..]) = window.peek(8)?.first_chunk::<8>() else { break };
            let len = u64::from(u32::from_be_bytes(len));
            window.consume(8);
            let start = window.offset();
            match &[i0, i1, i2, i3] {
                b"COMM" => chunks.common = Some(Common::read(window.peek(22.min(len as usize))?, len)?),
                b"SSND" => {
                    let offset =
                        window.peek(4)?.first_chunk::<4>().map_or(0, |word| u32::from_be_bytes(*word));
                    let skip = SOUND_HEADER + u64::from(offset);
                    let told = len.checked_sub(skip).filter(|_| len < u64::from(u32::MAX));
                    chunks.sound = Some((start + skip, told));
                }
                b"ID3 " => chunks.tags.take_id3(window.peek(len.min(ID3_TEXT) as usize)?),
                _ => {}
            }
            let is_last = matches!(chunks.sound, Some((_, None)));
            if chunks.sound.is_some()
                && (chunks.common.is_some() || is_last || !window.source().is_seekable())
            {
                break;
            }
            // Chunks begin at even offsets.
            window.skip(len + len % 2)?;
        }
        Ok(chunks)
    }
}

/// The description of the samples.
#[derive(Clone, Copy)]
struct Common {
    channels: u16,
    bits: u16,
    sample_rate: u32,
    compression: [u8; 4],
}

impl Common {
    fn read(data: &[u8], len: u64) -> Result<Self, DecodeError> {
        let &[c0, c1, _, _, _, _, b0, b1, e0, e1, m0, m1, m2, m3, ..] = data
            .first_chunk::<18>()
            .filter(|_| len >= 18)
            .ok_or_else(|| malformed("AIFF with a short COMM chunk"))?;
        let compression = data.get(18..22).filter(|_| len >= 22).and_then(|name| name.first_chunk::<4>());
        Ok(Self {
            channels: u16::from_be_bytes([c0, c1]),
            bits: u16::from_be_bytes([b0, b1]),
            sample_rate: rate(u16::from_be_bytes([e0, e1]), u32::from_be_bytes([m0, m1, m2, m3])),
            compression: compression.copied().unwrap_or(*b"NONE"),
        })
    }

    /// Codec and bytes of a sample; `None` where it is no plain PCM.
    fn coding(&self) -> Option<(AudioCodecId, u16)> {
        let is_little = match &self.compression {
            b"NONE" | b"twos" | b"in24" | b"in32" => false,
            b"sowt" => true,
            b"raw " => return Some((id::CODEC_ID_PCM_U8, 1)),
            b"fl32" | b"FL32" => return Some((id::CODEC_ID_PCM_F32BE, 4)),
            b"fl64" | b"FL64" => return Some((id::CODEC_ID_PCM_F64BE, 8)),
            b"alaw" | b"ALAW" => return Some((id::CODEC_ID_PCM_ALAW, 1)),
            b"ulaw" | b"ULAW" => return Some((id::CODEC_ID_PCM_MULAW, 1)),
            _ => return None,
        };
        let bytes = match &self.compression {
            b"in24" => 3,
            b"in32" => 4,
            _ => self.bits.div_ceil(8),
        };
        let codec = match (bytes, is_little) {
            (1, _) => id::CODEC_ID_PCM_S8,
            (2, false) => id::CODEC_ID_PCM_S16BE,
            (2, true) => id::CODEC_ID_PCM_S16LE,
            (3, false) => id::CODEC_ID_PCM_S24BE,
            (3, true) => id::CODEC_ID_PCM_S24LE,
            (4, false) => id::CODEC_ID_PCM_S32BE,
            (4, true) => id::CODEC_ID_PCM_S32LE,
            _ => return None,
        };
        Some((codec, bytes))
    }
}

/// A number of 80 bits, by its sign and exponent and the upper half of its fraction. 0 where it is none that a rate can be.
fn rate(exponent: u16, fraction: u32) -> u32 {
    match exponent.checked_sub(16383) {
        Some(exponent @ 0..=31) => fraction >> (31 - exponent),
        _ => 0,
    }
}
