//! AU (`.au`, `.snd`): a header of big-endian words, and samples.

use symphonia::core::codecs::audio::well_known as id;

use super::format_reader::Opened;
use super::formats::FormatDescriptor;
use super::pcm::{self, Layout};
use super::source::Window;
use crate::DecodeError;

/// Bytes of the words that every header has; a text may follow.
const HEADER: u32 = 24;
/// Longest header that is believed.
const MAX_HEADER: u32 = 16 << 20;

pub(super) const FORMAT: FormatDescriptor =
    FormatDescriptor::new("au", |head| head.starts_with(b".snd"), |window, _context| open(window));

/// Opens the AU file that begins at the window's position.
fn open(mut window: Window) -> Result<Opened, DecodeError> {
    let malformed = |what: &str| DecodeError::Malformed(what.into());
    let start = window.offset();
    let head = window.peek(HEADER as usize)?.first_chunk::<{ HEADER as usize }>();
    let head = *head.ok_or_else(|| malformed("AU that ends inside its header"))?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (offset, len, sample_rate) = (word(4), word(8), word(16));
    if !(HEADER..=MAX_HEADER).contains(&offset) {
        return Err(malformed("AU whose header has an impossible length"));
    }
    let (codec, bytes) = match word(12) {
        1 => (id::CODEC_ID_PCM_MULAW, 1),
        2 => (id::CODEC_ID_PCM_S8, 1),
        3 => (id::CODEC_ID_PCM_S16BE, 2),
        4 => (id::CODEC_ID_PCM_S24BE, 3),
        5 => (id::CODEC_ID_PCM_S32BE, 4),
        6 => (id::CODEC_ID_PCM_F32BE, 4),
        7 => (id::CODEC_ID_PCM_F64BE, 8),
        27 => (id::CODEC_ID_PCM_ALAW, 1),
        other => return Err(DecodeError::Unsupported(format!("AU with encoding {other}"))),
    };
    let channels = u16::try_from(word(20)).unwrap_or(0);
    let data = start + u64::from(offset);
    window.skip(u64::from(offset))?;
    // Zero was written by an encoder that could not go back and fill it in.
    if !matches!(len, 0 | u32::MAX) {
        window.end_at(data + u64::from(len));
    }
    pcm::open("au", window, &Layout::pcm(codec, bytes, sample_rate, channels))
}
