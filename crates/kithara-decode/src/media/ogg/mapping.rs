//! How Vorbis, FLAC and Opus lie in Ogg: their headers, and how long their packets are.

use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_OPUS, CODEC_ID_VORBIS};

use crate::codecs::CodecParameters;
use crate::headers::flac::{FrameHeader, StreamInfo};
use crate::headers::opus::{self, OpusHead};
use crate::media::details::Tags;
use crate::{CodecTable, DecodeError};

/// Longest header packet that is kept, in bytes: a Vorbis setup header has some ten thousand, comments may hold pictures.
pub(super) const MAX_HEADER: usize = 16 << 20;

/// A stream whose headers are being read, or have been.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    kind: Kind,
    pub(super) sample_rate: u32,
    pub(super) channels: u16,
    pub(super) bits_per_sample: Option<u32>,
    /// Frames that the codec gives before the first presented one.
    pub(super) pre_skip: u32,
    extra_data: Vec<u8>,
    pub(super) tags: Tags,
    /// Header packets still to come; `None`: until one says that it is the last.
    headers_left: Option<u32>,
    last_block: Option<u32>,
}

#[derive(Clone, Debug)]
enum Kind {
    Vorbis { blocks: [u32; 2], long_modes: Vec<bool> },
    Flac,
    Opus,
}

impl Mapping {
    /// The mapping that the first packet of a stream announces.
    pub(super) fn detect(packet: &[u8]) -> Option<Self> {
        if packet.starts_with(b"\x01vorbis") {
            return Self::vorbis(packet);
        }
        if packet.starts_with(b"\x7FFLAC") {
            return Self::flac(packet);
        }
        if packet.starts_with(b"OpusHead") {
            return Self::opus(packet);
        }
        None
    }

    fn vorbis(packet: &[u8]) -> Option<Self> {
        let channels = u16::from(*packet.get(11)?);
        let sample_rate = u32::from_le_bytes(*packet.get(12..)?.first_chunk::<4>()?);
        let sizes = *packet.get(28)?;
        let kind = Kind::Vorbis { blocks: [1 << (sizes & 15), 1 << (sizes >> 4)], long_modes: Vec::new() };
        Some(Self::new(kind, sample_rate, channels, packet.to_vec(), Some(2)))
    }

    fn flac(packet: &[u8]) -> Option<Self> {
        let headers = u32::from(u16::from_be_bytes(*packet.get(7..)?.first_chunk::<2>()?));
        let info = packet.get(17..51)?;
        let StreamInfo { sample_rate, channels, bits, .. } = StreamInfo::parse(info)?;
        let mut mapping =
            Self::new(Kind::Flac, sample_rate, channels, info.to_vec(), (headers > 0).then_some(headers));
        mapping.bits_per_sample = Some(bits);
        Some(mapping)
    }

    fn opus(packet: &[u8]) -> Option<Self> {
        let head = OpusHead::parse(packet)?;
        let mut mapping = Self::new(Kind::Opus, opus::RATE, head.channels.into(), packet.to_vec(), Some(1));
        mapping.pre_skip = head.pre_skip.into();
        Some(mapping)
    }

    fn new(
        kind: Kind,
        sample_rate: u32,
        channels: u16,
        extra_data: Vec<u8>,
        headers_left: Option<u32>,
    ) -> Self {
        let (pre_skip, bits_per_sample, tags) = (0, None, Tags::default());
        Self {
            kind,
            sample_rate,
            channels,
            bits_per_sample,
            pre_skip,
            extra_data,
            tags,
            headers_left,
            last_block: None,
        }
    }

    /// Why `codecs` cannot decode the stream, as far as its first packet tells.
    pub(super) fn refusal(&self, codecs: &CodecTable) -> Option<String> {
        match codecs.make(&self.params()) {
            Err(DecodeError::Unsupported(reason)) => Some(reason),
            // Vorbis cannot be opened before its other headers have come.
            _ => None,
        }
    }

    /// Whether header packets are still to come.
    pub(super) fn wants_header(&self) -> bool {
        self.headers_left != Some(0)
    }

    /// Takes the next header packet.
    pub(super) fn take_header(&mut self, packet: &[u8]) {
        self.headers_left = self.headers_left.map(|left| left.saturating_sub(1));
        match &mut self.kind {
            Kind::Vorbis { long_modes, .. } => match packet.first() {
                Some(3) => self.tags.take_comments(packet.get(7..).unwrap_or_default()),
                Some(5) => {
                    self.extra_data.extend_from_slice(packet);
                    *long_modes = vorbis_modes(packet);
                    self.headers_left = Some(0);
                }
                _ => {}
            },
            Kind::Flac => {
                let kind = packet.first().copied().unwrap_or(0x80);
                if kind & 0x7F == 4 {
                    self.tags.take_comments(packet.get(4..).unwrap_or_default());
                }
                if kind & 0x80 != 0 {
                    self.headers_left = Some(0);
                }
            }
            Kind::Opus => self.tags.take_comments(packet.get(8..).unwrap_or_default()),
        }
    }

    pub(super) fn params(&self) -> CodecParameters {
        let id = match self.kind {
            Kind::Vorbis { .. } => CODEC_ID_VORBIS,
            Kind::Flac => CODEC_ID_FLAC,
            Kind::Opus => CODEC_ID_OPUS,
        };
        let mut params = CodecParameters::new(id, self.sample_rate, self.channels);
        params.with_extra_data(self.extra_data.clone().into_boxed_slice());
        params
    }

    /// What comes does not follow what came.
    pub(super) fn forget_last_packet(&mut self) {
        self.last_block = None;
    }

    /// Frames to drop from the end of a packet of `frames` frames on the last page: the packet ends at
    /// granule position `after`, and the stream at `end`. As libvorbis and opusdec do: at most the whole
    /// packet. FLAC frames are never cut.
    pub(super) fn padding(&self, after: i64, end: i64, frames: u64) -> u64 {
        match &self.kind {
            Kind::Flac => 0,
            Kind::Vorbis { .. } | Kind::Opus => {
                u64::try_from(after.saturating_sub(end)).unwrap_or(0).min(frames)
            }
        }
    }

    /// Whether every packet of the last page is cut at its granule position, rather than its last packet
    /// alone (RFC 7845, 4.4).
    pub(super) fn trims_whole_page(&self) -> bool {
        matches!(self.kind, Kind::Opus)
    }

    /// Frames that the next packet decodes to.
    pub(super) fn frames_of(&mut self, packet: &[u8]) -> u64 {
        match &self.kind {
            Kind::Vorbis { blocks, long_modes } => {
                let Some(&first) = packet.first().filter(|&&first| first & 1 == 0) else { return 0 };
                let bits = usize::BITS - long_modes.len().saturating_sub(1).leading_zeros();
                let mode = usize::from(first >> 1) & ((1 << bits.min(6)) - 1);
                let block = blocks[usize::from(long_modes.get(mode).copied().unwrap_or(false))];
                let before = self.last_block.replace(block);
                before.map_or(0, |before| u64::from(before + block) / 4)
            }
            Kind::Flac => FrameHeader::parse(packet).map_or(0, |header| header.block.into()),
            Kind::Opus => opus::packet_frames(packet),
        }
    }
}

/// The name of an audio stream of another kind, by its first packet.
pub(super) fn refused_name(packet: &[u8]) -> Option<String> {
    let names: [(&[u8], &str); 4] = [
        (b"Speex   ", "Speex"),
        (b"CELT    ", "CELT"),
        (b"PCM     ", "PCM"),
        (b"fLaC", "FLAC of the mapping before 1.1.1"),
    ];
    names.iter().find(|(magic, _)| packet.starts_with(magic)).map(|&(_, name)| name.to_owned())
}

/// Which modes of a Vorbis stream use long blocks. Modes stand at the end of the setup header, behind what only a codec
/// understands; so they are read from the end. Empty when that fails.
fn vorbis_modes(setup: &[u8]) -> Vec<bool> {
    let bit = |at: usize| setup[at / 8] >> (at % 8) & 1;
    let bits =
        |at: usize, count: usize| (0..count).fold(0u32, |value, i| value | u32::from(bit(at + i)) << i);
    // The framing bit is the last one that is set.
    let Some(mut start) = (0..setup.len() * 8).rev().find(|&at| bit(at) == 1) else { return Vec::new() };
    let mut flags = Vec::new();
    let mut found = Vec::new();
    // A mode is its flag, a window type and a transform type (16 bits each, always 0), and its mapping (8 bits).
    while start >= 41 + 6 && flags.len() < 64 {
        start -= 41;
        if bits(start + 1, 16) != 0 || bits(start + 17, 16) != 0 || bits(start + 33, 8) > 63 {
            break;
        }
        flags.push(bit(start) == 1);
        if bits(start - 6, 6) as usize + 1 == flags.len() {
            found.clone_from(&flags);
        }
    }
    found.reverse();
    found
}
