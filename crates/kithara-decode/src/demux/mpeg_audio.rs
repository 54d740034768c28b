//! MPEG audio: layers I to III of MPEG-1, -2 and -2.5 (ISO/IEC 11172-3, 13818-3).

use std::ops::Range;

use bytes::Bytes;

use super::bits::Fields;
use super::framing::{Format, TIMESCALE, WRAP};
use super::packed::{Packed, packed_demuxer};
use super::track::Gapless;
use super::{Codec, Container, DemuxError, DemuxedPacket, Demuxer, TrackInfo};

/// Demuxer of packed MPEG audio (MP3, MP2, MP1), with ID3 tags in front of segments.
///
/// Packets are whole frames with their header, in 90 kHz time: that of the segment's ID3 timestamp, or counted from the
/// start when there is none. A Xing, Info or VBRI frame at the start of a segment is no audio: it is left out, and what
/// it says of delay and padding stands in [`TrackInfo::gapless`]. Free format is not supported.
#[derive(Debug)]
pub struct MpegAudioDemuxer {
    packed: Packed<MpegAudio>,
}

packed_demuxer!(MpegAudioDemuxer, MpegAudio);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Mpeg1,
    Mpeg2,
    Mpeg25,
}

/// The header of an MPEG audio frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MpegHeader {
    pub(super) version: Version,
    /// 1 to 3.
    pub(super) layer: u8,
    sample_rate: u32,
    frame_len: usize,
    is_mono: bool,
    has_crc: bool,
}

/// Kilobits per second by index (0 is free format): MPEG-1 layers I to III, MPEG-2 layer I, MPEG-2 layers II and III.
const BITRATES: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

impl MpegHeader {
    /// Reads a header; `None` when the bytes are none, or of free format (whose frames have no length).
    pub(super) fn parse(data: &[u8]) -> Option<Self> {
        let &[0xFF, b1, b2, b3, ..] = data else { return None };
        if b1 & 0xE0 != 0xE0 {
            return None;
        }
        let version = match b1 >> 3 & 3 {
            0 => Version::Mpeg25,
            2 => Version::Mpeg2,
            3 => Version::Mpeg1,
            _ => return None,
        };
        let layer = 4 - (b1 >> 1 & 3);
        let rate_index = usize::from(b2 >> 2 & 3);
        // Emphasis 2 is reserved.
        if layer == 4 || rate_index == 3 || b3 & 3 == 2 {
            return None;
        }
        let table = match (version, layer) {
            (Version::Mpeg1, layer) => usize::from(layer) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let bitrate = *BITRATES[table].get(usize::from(b2 >> 4).checked_sub(1)?)?;
        let shift = match version {
            Version::Mpeg1 => 0,
            Version::Mpeg2 => 1,
            Version::Mpeg25 => 2,
        };
        let sample_rate = [44_100, 48_000, 32_000][rate_index] >> shift;
        let is_mono = b3 >> 6 == 3;
        let mut header = Self { version, layer, sample_rate, frame_len: 0, is_mono, has_crc: b1 & 1 == 0 };
        header.frame_len = header.len_at(u32::from(bitrate) * 1000, b2 >> 1 & 1);
        Some(header)
    }

    /// True for a header that is valid but of free format.
    pub(super) fn is_free_format(data: &[u8]) -> bool {
        let &[b0, b1, b2, b3, ..] = data else { return false };
        b2 & 0xF0 == 0 && Self::parse(&[b0, b1, b2 | 0x10, b3]).is_some()
    }

    fn len_at(&self, bitrate: u32, padding: u8) -> usize {
        let slots =
            |samples_per_slot: u32| samples_per_slot * bitrate / self.sample_rate + u32::from(padding);
        let len = match (self.layer, self.version) {
            (1, _) => slots(12) * 4,
            (3, Version::Mpeg2 | Version::Mpeg25) => slots(72),
            _ => slots(144),
        };
        len as usize
    }

    fn frames(&self) -> u32 {
        match (self.layer, self.version) {
            (1, _) => 384,
            (3, Version::Mpeg2 | Version::Mpeg25) => 576,
            _ => 1152,
        }
    }

    fn codec(&self) -> Codec {
        match self.layer {
            1 => Codec::Mp1,
            2 => Codec::Mp2,
            _ => Codec::Mp3,
        }
    }

    /// Bytes of side information between the header and the main data of layer III.
    fn side_info_len(&self) -> usize {
        match (self.version, self.is_mono) {
            (Version::Mpeg1, false) => 32,
            (Version::Mpeg1, true) | (_, false) => 17,
            (_, true) => 9,
        }
    }
}

/// MPEG audio frames.
#[derive(Debug)]
pub(super) struct MpegAudio;

impl Format for MpegAudio {
    type Header = MpegHeader;
    const CONTAINER: Container = Container::MpegAudio;
    const HEADER_LEN: usize = 4;
    const RESYNC_DEPTH: usize = 3;

    fn parse(bytes: &[u8]) -> Option<MpegHeader> {
        MpegHeader::parse(bytes)
    }

    fn is_unsupported(bytes: &[u8]) -> bool {
        MpegHeader::is_free_format(bytes)
    }

    fn refusal(_header: &MpegHeader) -> Option<&'static str> {
        None
    }

    const UNSUPPORTED: &'static str = "free format";

    fn is_same(a: &MpegHeader, b: &MpegHeader) -> bool {
        (a.version, a.layer, a.sample_rate, a.is_mono) == (b.version, b.layer, b.sample_rate, b.is_mono)
    }

    fn frame_len(header: &MpegHeader) -> usize {
        header.frame_len
    }

    fn block_frames(header: &MpegHeader) -> u32 {
        header.frames()
    }

    fn sample_rate(header: &MpegHeader) -> u32 {
        header.sample_rate
    }

    fn describe(header: &MpegHeader, _frame: &[u8]) -> Result<TrackInfo, DemuxError> {
        Ok(TrackInfo {
            serial: 0,
            id: 0,
            codec: header.codec(),
            extra_data: None,
            sample_rate: header.sample_rate,
            channels: if header.is_mono { 1 } else { 2 },
            bits_per_sample: None,
            timescale: TIMESCALE,
            frames_per_packet: Some(header.frames()),
            edit: None,
            gapless: None,
            duration: None,
            language: None,
            wrap: Some(WRAP),
        })
    }

    fn blocks(_header: &MpegHeader) -> usize {
        1
    }

    fn block(_header: &MpegHeader, frame: &[u8], _index: usize) -> Range<usize> {
        0..frame.len()
    }

    fn tag(header: &MpegHeader, frame: &[u8]) -> Option<Option<Gapless>> {
        if header.layer != 3 {
            return None;
        }
        // VBRI always stands behind 32 bytes. A checksum moves Xing for some encoders and not for others.
        if frame.get(36..40) == Some(b"VBRI") {
            return Some(None);
        }
        let crc_lens: &[usize] = if header.has_crc { &[2, 0] } else { &[0] };
        crc_lens.iter().find_map(|crc_len| {
            let tag = frame.get(4 + crc_len + header.side_info_len()..)?;
            let is_tag = tag.starts_with(b"Xing") || tag.starts_with(b"Info");
            is_tag.then(|| lame_gapless(tag, header.frames()))
        })
    }
}

/// Delay and padding of the LAME extension of a Xing or Info tag.
fn lame_gapless(tag: &[u8], frames_per_packet: u32) -> Option<Gapless> {
    let mut fields = Fields::new(tag.get(4..)?);
    let flags = fields.u32()?;
    let packets = if flags & 1 != 0 { Some(fields.u32()?) } else { None };
    for (flag, len) in [(2, 4), (4, 100), (8, 4)] {
        if flags & flag != 0 {
            fields.skip(len)?;
        }
    }
    let encoder = fields.take(9)?;
    if encoder.iter().all(|&byte| byte == 0) {
        return None;
    }
    fields.skip(12)?;
    let packed = fields.u24()?;
    let (delay, padding) = (packed >> 12, packed & 0xFFF);
    let total_frames = packets
        .map(|packets| u64::from(packets) * u64::from(frames_per_packet))
        .and_then(|total| total.checked_sub(u64::from(delay + padding)));
    Some(Gapless { delay, padding, total_frames })
}
