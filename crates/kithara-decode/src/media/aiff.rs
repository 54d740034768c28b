//! AIFF and AIFC, also with the lengths that a writer leaves in them that cannot seek back.

use symphonia::core::codecs::audio::well_known as id;

use super::details::Tags;
use super::format_reader::Opened;
use super::formats::FormatDescriptor;
use super::pcm::{self, Layout};
use super::source::Window;
use crate::DecodeError;
use crate::demux::FourCc;

/// Chunks that are believed.
const MAX_CHUNKS: usize = 4096;
/// Bytes of an ID3 tag that are looked at for text.
const ID3_TEXT: u64 = 64 * 1024;
/// Bytes in front of the samples, in their chunk.
const SOUND_HEADER: u64 = 8;

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "aiff",
    |head| head.starts_with(b"FORM") && matches!(head.get(8..12), Some(b"AIFF" | b"AIFC")),
    |window, _context| open(window),
);

/// Opens the AIFF file that begins at the window's position.
fn open(mut window: Window) -> Result<Opened, DecodeError> {
    let chunks = Chunks::read(&mut window)?;
    let common = chunks.common.ok_or_else(|| malformed("AIFF without a COMM chunk"))?;
    let (data, len) = chunks.sound.ok_or_else(|| malformed("AIFF without a SSND chunk"))?;
    let layout = common.layout()?;
    window.move_to(data)?;
    if let Some(len) = len {
        window.end_at(data.saturating_add(len));
    }
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
                b"NAME" | b"AUTH" | b"ANNO" if len <= ID3_TEXT => {
                    let name = [("NAME", "TITLE"), ("AUTH", "ARTIST"), ("ANNO", "COMMENT")];
                    let name = name
                        .iter()
                        .find(|(kind, _)| kind.as_bytes() == [i0, i1, i2, i3])
                        .map_or("", |name| name.1);
                    let text = window.peek(len as usize)?;
                    chunks.tags.take(name, &String::from_utf8_lossy(&text[..text.len().min(len as usize)]));
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

    fn layout(&self) -> Result<Layout, DecodeError> {
        let pcm = |codec, bytes| Ok(Layout::pcm(codec, bytes, self.sample_rate, self.channels));
        let is_little = match &self.compression {
            b"NONE" | b"twos" | b"in24" | b"in32" | b"\0\0\0\0" => false,
            b"sowt" => true,
            b"raw " => return pcm(id::CODEC_ID_PCM_U8, 1),
            b"fl32" | b"FL32" => return pcm(id::CODEC_ID_PCM_F32BE, 4),
            b"fl64" | b"FL64" => return pcm(id::CODEC_ID_PCM_F64BE, 8),
            b"alaw" | b"ALAW" => return pcm(id::CODEC_ID_PCM_ALAW, 1),
            b"ulaw" | b"ULAW" => return pcm(id::CODEC_ID_PCM_MULAW, 1),
            b"23ni" => return pcm(id::CODEC_ID_PCM_S32LE, 4),
            b"42ni" => return pcm(id::CODEC_ID_PCM_S24LE, 3),
            b"ima4" => return Ok(Layout::ima4(self.sample_rate, self.channels)),
            other => return Err(DecodeError::Unsupported(format!("AIFC with {}", compression_name(*other)))),
        };
        let bytes = match &self.compression {
            b"in24" => 3,
            b"in32" => 4,
            _ => self.bits.div_ceil(8),
        };
        match (bytes, is_little) {
            (1, _) => pcm(id::CODEC_ID_PCM_S8, 1),
            (2, false) => pcm(id::CODEC_ID_PCM_S16BE, 2),
            (2, true) => pcm(id::CODEC_ID_PCM_S16LE, 2),
            (3, false) => pcm(id::CODEC_ID_PCM_S24BE, 3),
            (3, true) => pcm(id::CODEC_ID_PCM_S24LE, 3),
            (4, false) => pcm(id::CODEC_ID_PCM_S32BE, 4),
            (4, true) => pcm(id::CODEC_ID_PCM_S32LE, 4),
            _ => Err(DecodeError::Unsupported(format!("AIFF with {} bits per sample", self.bits))),
        }
    }
}

/// The name of a compression type that cannot be decoded.
fn compression_name(kind: [u8; 4]) -> String {
    let name = match &kind {
        b"MAC3" => "MACE 3:1",
        b"MAC6" => "MACE 6:1",
        b"GSM " | b"agsm" => "GSM 6.10",
        b"QDMC" => "QDesign Music",
        b"QDM2" => "QDesign Music 2",
        b"Qclp" => "QUALCOMM PureVoice",
        b"G722" => "G.722",
        b"G726" => "G.726",
        b"G728" => "G.728",
        b"SDX2" => "SDX2 DPCM",
        b"ADP4" => "ADP4 ADPCM",
        _ => return format!("compression '{}'", FourCc(kind)),
    };
    format!("{name} (compression '{}')", FourCc(kind))
}

/// A number of 80 bits, by its sign and exponent and the upper half of its fraction. 0 where it is none that a rate can be.
fn rate(exponent: u16, fraction: u32) -> u32 {
    match exponent.checked_sub(16383) {
        Some(exponent @ 0..=31) => fraction >> (31 - exponent),
        _ => 0,
    }
}
