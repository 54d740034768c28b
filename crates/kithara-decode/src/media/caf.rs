//! CAF. PCM and ADPCM are read here; of other codecs the chunks are put in order for Symphonia's reader, which
//! wants the file to end with a chunk: one that was cut short, or has other bytes behind it, does not.

use symphonia::core::codecs::audio::well_known as id;

use super::details::Tags;
use super::format_reader::Opened;
use super::formats::FormatDescriptor;
use super::pcm::{self, Layout};
use super::source::Window;
use super::symphonia_file::{SymphoniaFile, SymphoniaFormat, opened_by_symphonia};
use crate::DecodeError;
use crate::demux::FourCc;

/// Longest chunk that is kept, in bytes: a table of packets has two bytes for each, or three.
const MAX_CHUNK: i64 = 64 << 20;
/// Longest chunk of texts that is read, in bytes.
const MAX_TEXT: i64 = 64 * 1024;
/// Chunks that are believed.
const MAX_CHUNKS: usize = 4096;
/// Bytes of a chunk's header, and of the audio chunk's count of edits.
const HEADER: usize = 12;
const EDITS: u64 = 4;

pub(super) const FORMAT: FormatDescriptor =
    FormatDescriptor::new("caf", |head| head.starts_with(b"caff"), |window, _context| open(window));

/// Opens the CAF file that begins at the window's position.
fn open(mut window: Window) -> Result<Opened, DecodeError> {
    let mut head = window.peek(8)?.get(..8).unwrap_or_default().to_vec();
    window.consume(8);
    let chunks = Chunks::read(&mut window)?;
    let (tail, claimed) = chunks.data.ok_or_else(|| malformed("CAF without audio"))?;
    if let Some(layout) = chunks.layout() {
        window.move_to(tail)?;
        if let Some(len) = claimed {
            window.end_at(tail.saturating_add(len));
        }
        let mut opened = pcm::open("caf", window, &layout)?;
        opened.stream.tags = chunks.tags;
        return Ok(opened);
    }
    chunks.check_codec()?;
    let packet = chunks.packet_len().ok_or_else(|| malformed("CAF without a description of its audio"))?;
    let len = window.byte_len().map(|len| len.saturating_sub(tail));
    let Some(len) = claimed.or(len).map(|claimed| len.map_or(claimed, |len| len.min(claimed))) else {
        return Err(DecodeError::Unsupported("CAF of unknown length".into()));
    };
    let len = match u64::from(packet) {
        0 if !chunks.has_table => return Err(malformed("CAF without the table of its packets")),
        0 => len,
        packet => len - len % packet,
    };
    head.extend(chunks.kept);
    let tags = chunks.tags;
    head.extend_from_slice(b"data");
    head.extend_from_slice(&len.saturating_add(EDITS).to_be_bytes());
    head.extend_from_slice(&[0; EDITS as usize]);
    window.move_to(tail)?;
    window.end_at(tail.saturating_add(len));
    let (file, mut track) = SymphoniaFile::open(SymphoniaFormat::Caf, window, head, tail, true, None)?;
    if track.params.name() != "pcm" {
        // The packet table counts the padding of the last packet.
        track.frames = None;
    }
    let mut opened = opened_by_symphonia("caf", file, track)?;
    opened.stream.tags.fill_from(tags);
    Ok(opened)
}

fn malformed(what: &str) -> DecodeError {
    DecodeError::Malformed(what.into())
}

/// What the chunks say.
#[derive(Default)]
struct Chunks {
    /// Those that the reader needs, but for the audio; the description first.
    kept: Vec<u8>,
    has_table: bool,
    tags: Tags,
    /// Where the audio begins, and how long it claims to be (`None`: up to the end of the file).
    data: Option<(u64, Option<u64>)>,
}

impl Chunks {
    /// Reads the chunks before the audio, and those behind it if there are any.
    fn read(window: &mut Window) -> Result<Self, DecodeError> {
        let mut chunks = Self::default();
        for _ in 0..MAX_CHUNKS {
            let Some((kind, len)) = header(window)? else { break };
            let start = window.offset();
            let end = start.saturating_add(len.unsigned_abs());
            if &kind == b"data" {
                let audio = u64::try_from(len).ok().and_then(|len| len.checked_sub(EDITS));
                chunks.data.get_or_insert((start + EDITS, audio));
                let is_whole = window.byte_len().is_some_and(|file| end < file);
                if audio.is_none() || !is_whole || !window.source().is_seekable() {
                    break;
                }
            } else if len < 0 || chunks.data.is_some() && !kind.iter().all(u8::is_ascii_graphic) {
                break;
            } else if &kind == b"info" && len <= MAX_TEXT {
                let len = len.unsigned_abs() as usize;
                chunks.take_info(window.peek(len)?.get(..len).unwrap_or_default());
            } else if matches!(&kind, b"desc" | b"chan" | b"kuki" | b"pakt") && len <= MAX_CHUNK {
                let len = len.unsigned_abs() as usize;
                let Some(body) = window.peek(len)?.get(..len) else { break };
                chunks.keep(&kind, body);
            }
            window.skip(len.unsigned_abs())?;
        }
        Ok(chunks)
    }

    /// Takes names and values: strings behind their count.
    fn take_info(&mut self, body: &[u8]) {
        let mut parts = body.get(4..).unwrap_or_default().split(|&byte| byte == 0);
        while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            self.tags.take(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
        }
    }

    fn keep(&mut self, kind: &[u8; 4], body: &[u8]) {
        // What comes first must be the description, and there is one.
        if self.kept.is_empty() != (kind == b"desc") {
            return;
        }
        self.has_table |= kind == b"pakt";
        self.kept.extend_from_slice(kind);
        self.kept.extend_from_slice(&(body.len() as u64).to_be_bytes());
        self.kept.extend_from_slice(body);
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.kept.get(HEADER + at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*bytes))
    }

    /// The layout of samples that need no table of packets.
    fn layout(&self) -> Option<Layout> {
        let rate = f64::from_bits(u64::from(self.word(0)?) << 32 | u64::from(self.word(4)?));
        let sample_rate = if (1.0..=4_294_967_295.0).contains(&rate) { rate.round() as u32 } else { 0 };
        let (flags, bytes, frames) = (self.word(12)?, self.word(16)?, self.word(20)?);
        let (channels, bits) = (u16::try_from(self.word(24)?).ok()?, self.word(28)?);
        let kind = self.word(8)?.to_be_bytes();
        let sample = bytes.checked_div(channels.into())?;
        let is_float = flags & 1 != 0;
        let is_little = flags & 2 != 0;
        let codec = match (&kind, sample, is_float, is_little) {
            (b"ima4", ..) => return Some(Layout::ima4(sample_rate, channels)),
            (b"ulaw", ..) => return Some(Layout::pcm(id::CODEC_ID_PCM_MULAW, 1, sample_rate, channels)),
            (b"alaw", ..) => return Some(Layout::pcm(id::CODEC_ID_PCM_ALAW, 1, sample_rate, channels)),
            (b"lpcm", 4, true, false) => id::CODEC_ID_PCM_F32BE,
            (b"lpcm", 4, true, true) => id::CODEC_ID_PCM_F32LE,
            (b"lpcm", 8, true, false) => id::CODEC_ID_PCM_F64BE,
            (b"lpcm", 8, true, true) => id::CODEC_ID_PCM_F64LE,
            (b"lpcm", 1, false, _) => id::CODEC_ID_PCM_S8,
            (b"lpcm", 2, false, false) => id::CODEC_ID_PCM_S16BE,
            (b"lpcm", 2, false, true) => id::CODEC_ID_PCM_S16LE,
            (b"lpcm", 3, false, false) => id::CODEC_ID_PCM_S24BE,
            (b"lpcm", 3, false, true) => id::CODEC_ID_PCM_S24LE,
            (b"lpcm", 4, false, false) => id::CODEC_ID_PCM_S32BE,
            (b"lpcm", 4, false, true) => id::CODEC_ID_PCM_S32LE,
            _ => return None,
        };
        // Samples with unused low bits would have to be shifted: that is left to the other reader.
        (frames == 1 && bits.div_ceil(8) == sample)
            .then(|| Layout::pcm(codec, sample as u16, sample_rate, channels))
    }

    /// Refuses by name the codecs that cannot be decoded.
    fn check_codec(&self) -> Result<(), DecodeError> {
        let Some(kind) = self.word(8).map(u32::to_be_bytes) else { return Ok(()) };
        let name = match &kind {
            b"lpcm" | b"aac " | b"aach" | b"aacp" | b".mp1" | b".mp2" | b".mp3" | b"alac" | b"flac"
            | b"opus" => {
                return Ok(());
            }
            b"ac-3" => "AC-3",
            b"ec-3" => "E-AC-3",
            b"agsm" | b"GSM " => "GSM 6.10",
            b"ilbc" => "iLBC",
            b"samr" => "AMR narrowband",
            b"sawb" => "AMR wideband",
            b"MAC3" => "MACE 3:1",
            b"MAC6" => "MACE 6:1",
            b"QDMC" => "QDesign Music",
            b"QDM2" => "QDesign Music 2",
            b"Qclp" => "QUALCOMM PureVoice",
            b"aacl" => "AAC-LD",
            b"aace" => "AAC-ELD",
            b"usac" => "xHE-AAC",
            _ => return Err(DecodeError::Unsupported(format!("CAF with codec '{}'", FourCc(kind)))),
        };
        Err(DecodeError::Unsupported(format!("CAF with {name}")))
    }

    /// Bytes of a packet; 0 where they differ, or hold different numbers of frames.
    fn packet_len(&self) -> Option<u32> {
        let (bytes, frames) = (self.word(16)?, self.word(20)?);
        Some(if frames == 0 { 0 } else { bytes })
    }
}

/// Kind and length of the chunk at the window's position, stepped over. `None` at the end of the file.
fn header(window: &mut Window) -> Result<Option<([u8; 4], i64)>, DecodeError> {
    let Some(&[a, b, c, d, len @ ..]) = window.peek(HEADER)?.first_chunk::<HEADER>() else { return Ok(None) };
    window.consume(HEADER);
    Ok(Some(([a, b, c, d], i64::from_be_bytes(len))))
}
