//! WAV: its chunks are read here, so that RF64, W64, odd sizes and large tags are no matter, and so that frames of MPEG audio
//! or ADTS in it are cut as those of a bare file are.

use symphonia::core::codecs::audio::well_known as id;

use super::details::Tags;
use super::format_reader::Opened;
use super::formats::FormatDescriptor;
use super::framed::{FramedFile, confirm};
use super::header::Kind;
use super::pcm::{self, Layout};
use super::source::Window;
use super::symphonia_file::{SymphoniaFile, SymphoniaFormat, opened_by_symphonia};
use crate::{ChannelLayout, DecodeError};

/// Longest `fmt ` chunk that is read, in bytes.
const MAX_FMT: usize = 4096;
/// Longest chunk of texts that is read, in bytes: such chunks are read through anyway.
const MAX_TEXT: u64 = 64 * 1024;
/// Chunks before the audio that are believed.
const MAX_CHUNKS: usize = 4096;

/// What a W64 file begins with.
const RIFF_GUID: [u8; 16] = *b"riff\x2E\x91\xCF\x11\xA5\xD6\x28\xDB\x04\xC1\0\0";
/// How the names of its chunks go on, behind four letters.
const GUID_TAIL: [u8; 12] = *b"\xF3\xAC\xD3\x11\x8C\xD1\0\xC0\x4F\x8E\xDB\x8A";

/// Bytes in front of the first frame that are passed over.
const MAX_LEAD: u64 = 64 * 1024;

pub(super) const FORMAT: FormatDescriptor = FormatDescriptor::new(
    "wav",
    |head| {
        let is_riff = matches!(head.get(..4), Some(b"RIFF" | b"RF64" | b"BW64"));
        is_riff && head.get(8..12) == Some(b"WAVE") || head == RIFF_GUID
    },
    |window, context| open(window, context.may_estimate),
);

/// Opens the WAV file that begins at the window's position.
fn open(mut window: Window, may_estimate: bool) -> Result<Opened, DecodeError> {
    let container = if window.peek(16)?.starts_with(&RIFF_GUID) { "w64" } else { "wav" };
    let mut chunks = read_chunks(&mut window)?;
    let tags = std::mem::take(&mut chunks.tags);
    let mut opened = open_audio(container, window, &chunks, may_estimate)?;
    opened.stream.tags.fill_from(tags);
    Ok(opened)
}

/// Opens the audio that begins at the window's position.
fn open_audio(
    container: &'static str,
    mut window: Window,
    chunks: &Chunks,
    may_estimate: bool,
) -> Result<Opened, DecodeError> {
    let tail = window.offset();
    if let Some(kind) = framed_kind(&chunks.format) {
        if let Some(len) = chunks.data_len {
            window.end_at(tail.saturating_add(len));
        }
        return open_framed(container, window, kind, may_estimate);
    }
    if let Some(layout) = pcm_layout(&chunks.format) {
        if let Some(len) = chunks.data_len {
            window.end_at(tail.saturating_add(len));
        }
        let mut opened = pcm::open(container, window, &layout)?;
        opened.codec.with_layout(ChannelLayout::from_mask(layout.channels, channel_mask(&chunks.format)));
        return Ok(opened);
    }
    check_tag(&chunks.format)?;
    let head = rebuild(chunks);
    let (file, track) = SymphoniaFile::open(SymphoniaFormat::Wav, window, head, tail, false, None)?;
    opened_by_symphonia(container, file, track)
}

/// How samples are written that are neither compressed nor cut into blocks.
fn pcm_layout(format: &[u8]) -> Option<Layout> {
    let word = |at: usize| {
        let bytes = format.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes))
    };
    let (channels, block, bits) = (word(2)?, word(12)?, word(14)?);
    let tag = match word(0)? {
        0xFFFE => word(24)?,
        tag => tag,
    };
    let bytes = match bits {
        0 => block.checked_div(channels)?,
        bits => bits.div_ceil(8),
    };
    let codec = match (tag, bytes) {
        (1, 1) => id::CODEC_ID_PCM_U8,
        (1, 2) => id::CODEC_ID_PCM_S16LE,
        (1, 3) => id::CODEC_ID_PCM_S24LE,
        (1, 4) => id::CODEC_ID_PCM_S32LE,
        (3, 4) => id::CODEC_ID_PCM_F32LE,
        (3, 8) => id::CODEC_ID_PCM_F64LE,
        (6, 1) => id::CODEC_ID_PCM_ALAW,
        (7, 1) => id::CODEC_ID_PCM_MULAW,
        _ => return None,
    };
    let sample_rate = u32::from(word(4)?) | u32::from(word(6)?) << 16;
    Some(Layout::pcm(codec, bytes, sample_rate, channels))
}

/// Which loudspeakers the channels belong to; 0 where the format does not say.
fn channel_mask(format: &[u8]) -> u32 {
    let is_extensible = format.starts_with(&[0xFE, 0xFF]);
    let mask = format.get(20..24).and_then(|mask| mask.first_chunk::<4>());
    mask.filter(|_| is_extensible).map_or(0, |mask| u32::from_le_bytes(*mask))
}

/// What the format tag says of frames that tell their own length.
fn framed_kind(format: &[u8]) -> Option<Kind> {
    match *format.first_chunk::<2>()? {
        [0x50 | 0x55, 0] => Some(Kind::MpegAudio),
        [0x00, 0x16] => Some(Kind::Adts),
        _ => None,
    }
}

/// Opens the frames that begin at the window's position or a little behind it.
fn open_framed(
    container: &'static str,
    mut window: Window,
    kind: Kind,
    may_estimate: bool,
) -> Result<Opened, DecodeError> {
    let start = window.offset();
    while window.offset() - start < MAX_LEAD && !window.peek(1)?.is_empty() {
        if let Some(first) = confirm(&mut window, kind, 3)? {
            let mut opened = FramedFile::open(window, kind, first, Tags::default(), may_estimate)?;
            opened.stream.container = container;
            return Ok(opened);
        }
        window.consume(1);
    }
    Err(DecodeError::Malformed("WAV without a frame of the kind that it names".into()))
}

/// Codec tags that Symphonia's reader knows: PCM, Microsoft's and IMA ADPCM, floats, G.711, and extensible.
const KNOWN_TAGS: [u16; 7] = [0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0xFFFE];
/// The end of the GUIDs of subformats that are a codec tag.
const SUBFORMAT_TAIL: [u8; 14] = *b"\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71";

/// Refuses by name the codecs that cannot be decoded.
fn check_tag(format: &[u8]) -> Result<(), DecodeError> {
    let tag_at = |at: usize| {
        let bytes = format.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes))
    };
    let unsupported = |what: String| Err(DecodeError::Unsupported(what));
    let tag = match tag_at(0) {
        None => return Err(DecodeError::Malformed("WAV with a short fmt chunk".into())),
        Some(0xFFFE) if format.get(26..40) != Some(&SUBFORMAT_TAIL[..]) => {
            return unsupported("WAV with a codec that its subformat does not name".into());
        }
        Some(0xFFFE) => tag_at(24).unwrap_or(0),
        Some(tag) => tag,
    };
    if KNOWN_TAGS.contains(&tag) {
        return Ok(());
    }
    unsupported(match tag_name(tag) {
        Some(name) => format!("WAV with {name} (codec tag 0x{tag:04X})"),
        None => format!("WAV with codec tag 0x{tag:04X}"),
    })
}

/// Names of codec tags (RFC 2361 and later registrations).
fn tag_name(tag: u16) -> Option<&'static str> {
    Some(match tag {
        0x0004 => "VSELP",
        0x0005 => "CVSD",
        0x0008 | 0x2001 => "DTS",
        0x0009 => "DRM",
        0x000A | 0x000B => "WMA Voice",
        0x0010 => "OKI ADPCM",
        0x0012 => "Media Vision ADPCM",
        0x0014 | 0x0040 | 0x0045 | 0x0064 => "G.726 ADPCM",
        0x0016 => "G.723 ADPCM",
        0x0020 | 0x0170 => "Yamaha ADPCM",
        0x0022 => "TrueSpeech",
        0x0028 => "LRC",
        0x0031 | 0x0032 => "GSM 6.10",
        0x0041 | 0x0065 | 0x028F => "G.722 ADPCM",
        0x0042 => "G.723.1",
        0x0059 | 0x0083 => "G.729",
        0x0061 | 0x0062 => "Duck DK ADPCM",
        0x0069 => "Xbox ADPCM",
        0x0075 => "Voxware",
        0x0092 | 0x2000 => "AC-3",
        0x00FF | 0x1601 | 0x1602 | 0x1610 | 0xA106 => "AAC",
        0x0112 => "Micronas ADPCM",
        0x0130 => "ACELP.net",
        0x0160 => "WMA 1",
        0x0161 => "WMA 2",
        0x0162 => "WMA Pro",
        0x0163 => "WMA Lossless",
        0x0164 => "WMA over S/PDIF",
        0x0200 => "Creative ADPCM",
        0x0270 => "ATRAC3",
        0x0401 => "Indeo Audio",
        0x1100 => "MPEG-TS with LC-3",
        0x566F | 0x674F..=0x6771 => "Vorbis",
        0x5756 => "WavPack",
        0x7A21 | 0x7A22 => "AMR",
        0xA109 => "Speex",
        0xF1AC => "FLAC",
        0x704F => "Opus",
        _ => return None,
    })
}

struct Chunks {
    format: Vec<u8>,
    fact: Option<[u8; 4]>,
    tags: Tags,
    /// `None`: up to the end of the file.
    data_len: Option<u64>,
}

/// Reads up to the audio, where the window then stands.
fn read_chunks(window: &mut Window) -> Result<Chunks, DecodeError> {
    let base = window.offset();
    let head = window.peek(4)?;
    let (is_w64, is_large) = (head.starts_with(b"riff"), !head.starts_with(b"RIFF"));
    window.consume(if is_w64 { 40 } else { 12 });
    let (mut format, mut fact, mut large_len) = (None, None, None);
    let mut tags = Tags::default();
    for _ in 0..MAX_CHUNKS {
        let header = if is_w64 { w64_header(window)? } else { header(window)? };
        let Some((id, len)) = header else {
            return Err(DecodeError::Malformed("WAV without a data chunk".into()));
        };
        let start = window.offset();
        match &id {
            b"data" => {
                let format = format.ok_or_else(|| {
                    DecodeError::Malformed("WAV without a fmt chunk before its data".into())
                })?;
                let data_len = match (len, large_len) {
                    (UNTOLD, Some(large)) if is_large && !matches!(large, 0 | u64::MAX) => Some(large),
                    // Left open by an encoder that could not seek back: up to the end of the file.
                    (0, _) => None,
                    (UNTOLD, _) if !is_w64 => None,
                    (len, _) => Some(len),
                };
                return Ok(Chunks { format, fact, tags, data_len });
            }
            b"fmt " => {
                let len = usize::try_from(len).unwrap_or(usize::MAX).min(MAX_FMT);
                format = Some(window.peek(len)?.get(..len).unwrap_or_default().to_vec());
            }
            b"LIST" if len <= MAX_TEXT => take_info(window.peek(len as usize)?, len as usize, &mut tags),
            b"id3 " | b"ID3 " if len <= MAX_TEXT => tags.take_id3(window.peek(len as usize)?),
            b"fact" => fact = window.peek(4)?.first_chunk::<4>().copied(),
            b"ds64" => {
                large_len = window
                    .peek(16)?
                    .get(8..)
                    .and_then(|rest| rest.first_chunk::<8>())
                    .map(|len| u64::from_le_bytes(*len))
            }
            _ => {}
        }
        if is_w64 {
            let end = start.saturating_add(len);
            let next = base.saturating_add((end - base).checked_next_multiple_of(8).unwrap_or(end));
            window.skip(next - start)?;
            continue;
        }
        // Chunks begin at even offsets; some writers forget it.
        window.skip(len)?;
        if len % 2 == 1 && window.peek(1)?.first() == Some(&0) {
            window.consume(1);
        }
    }
    Err(DecodeError::Malformed("WAV with too many chunks before its data".into()))
}

/// Takes the texts of an INFO list.
fn take_info(data: &[u8], len: usize, tags: &mut Tags) {
    let Some(mut rest) = data[..data.len().min(len)].strip_prefix(b"INFO") else { return };
    while let Some((&[i0, i1, i2, i3, l0, l1, l2, l3], body)) = rest.split_first_chunk::<8>() {
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let text = String::from_utf8_lossy(&body[..body.len().min(len)]);
        let tag = [i0, i1, i2, i3];
        let name = match &tag {
            b"INAM" => "TITLE",
            b"IART" => "ARTIST",
            b"IPRD" => "ALBUM",
            b"ICRD" => "DATE",
            b"IGNR" => "GENRE",
            b"ITRK" | b"IPRT" => "TRACK",
            b"ICMT" => "COMMENT",
            b"IMUS" => "COMPOSER",
            other => &String::from_utf8_lossy(other),
        };
        tags.take(name, &text);
        rest = body.get(len.saturating_add(len % 2)..).unwrap_or_default();
    }
}

/// A length that stands elsewhere, or nowhere.
const UNTOLD: u64 = u32::MAX as u64;

/// Name and length of the chunk at the window's position, stepped over. `None` at the end of the file.
fn header(window: &mut Window) -> Result<Option<([u8; 4], u64)>, DecodeError> {
    let Some(&[i0, i1, i2, i3, len @ ..]) = window.peek(8)?.first_chunk::<8>() else { return Ok(None) };
    window.consume(8);
    Ok(Some(([i0, i1, i2, i3], u64::from(u32::from_le_bytes(len)))))
}

/// The same of a W64 file. A name that is none of WAV's is empty.
fn w64_header(window: &mut Window) -> Result<Option<([u8; 4], u64)>, DecodeError> {
    const HEADER: usize = 24;
    let Some(head) = window.peek(HEADER)?.first_chunk::<HEADER>() else { return Ok(None) };
    let &[i0, i1, i2, i3, ..] = head;
    let id = if head[4..16] == GUID_TAIL { [i0, i1, i2, i3] } else { [0; 4] };
    let [.., l0, l1, l2, l3, l4, l5, l6, l7] = *head;
    let len = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
    window.consume(HEADER);
    // It counts its header.
    match len.checked_sub(HEADER as u64) {
        Some(len) => Ok(Some((id, len))),
        None if &id == b"data" => Ok(Some((id, 0))),
        None => Err(DecodeError::Malformed("W64 with a chunk that is shorter than its header".into())),
    }
}

fn rebuild(chunks: &Chunks) -> Vec<u8> {
    let data_len = chunks.data_len.and_then(|len| u32::try_from(len).ok()).unwrap_or(u32::MAX);
    let mut head = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt ".to_vec();
    head.extend_from_slice(&(chunks.format.len() as u32).to_le_bytes());
    head.extend_from_slice(&chunks.format);
    if chunks.format.len() % 2 == 1 {
        head.push(0);
    }
    if let Some(fact) = chunks.fact {
        head.extend_from_slice(b"fact\x04\0\0\0");
        head.extend_from_slice(&fact);
    }
    head.extend_from_slice(b"data");
    head.extend_from_slice(&data_len.to_le_bytes());
    head
}
