//! MPEG audio: layers I to III of MPEG-1, -2 and -2.5 (ISO/IEC 11172-3, 13818-3).

use std::ops::Range;

use bytes::Bytes;

use super::framing::{Format, TIMESCALE, WRAP};
use super::packed::{Packed, packed_demuxer};
use super::track::Gapless;
use super::{Container, DemuxError, DemuxedPacket, Demuxer, TrackInfo};
use crate::headers::mpa::{self, MpaHeader};
use crate::headers::xing::XingTag;

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

/// MPEG audio frames.
#[derive(Debug)]
pub(super) struct MpegAudio;

impl Format for MpegAudio {
    type Header = MpaHeader;
    const CONTAINER: Container = Container::MpegAudio;
    const HEADER_LEN: usize = mpa::LEN;
    const RESYNC_DEPTH: usize = 3;

    fn parse(bytes: &[u8]) -> Option<MpaHeader> {
        MpaHeader::parse(bytes)
    }

    fn is_unsupported(bytes: &[u8]) -> bool {
        MpaHeader::is_free_format(bytes)
    }

    fn refusal(_header: &MpaHeader) -> Option<&'static str> {
        None
    }

    const UNSUPPORTED: &'static str = "free format";

    fn is_same(a: &MpaHeader, b: &MpaHeader) -> bool {
        (a.version, a.layer, a.sample_rate, a.is_mono) == (b.version, b.layer, b.sample_rate, b.is_mono)
    }

    fn frame_len(header: &MpaHeader) -> usize {
        header.frame_len
    }

    fn block_frames(header: &MpaHeader) -> u32 {
        header.frames()
    }

    fn sample_rate(header: &MpaHeader) -> u32 {
        header.sample_rate
    }

    fn describe(header: &MpaHeader, _frame: &[u8]) -> Result<TrackInfo, DemuxError> {
        Ok(TrackInfo {
            serial: 0,
            id: 0,
            codec: header.codec(),
            extra_data: None,
            sample_rate: header.sample_rate,
            channels: header.channels(),
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

    fn blocks(_header: &MpaHeader) -> usize {
        1
    }

    fn block(_header: &MpaHeader, frame: &[u8], _index: usize) -> Range<usize> {
        0..frame.len()
    }

    fn tag(_header: &MpaHeader, frame: &[u8]) -> Option<Option<Gapless>> {
        XingTag::parse(frame).map(|tag| tag.gapless)
    }
}
