//! AAC in ADTS frames (ISO/IEC 14496-3, 1.A.2.2).

use std::ops::Range;

use bytes::Bytes;

use super::aac;
use super::bits::Bits;
use super::framing::{Format, TIMESCALE, WRAP};
use super::packed::{Packed, packed_demuxer};
use super::track::Gapless;
use super::{Codec, Container, DemuxError, DemuxedPacket, Demuxer, TrackInfo};
use crate::headers::adts::AdtsHeader;

/// Demuxer of packed AAC: ADTS frames with or without checksums, with ID3 tags in front of segments.
///
/// Packets are raw AAC access units, in 90 kHz time: that of the segment's ID3 timestamp, or counted from the start when
/// there is none. A last frame that is cut short waits for the next segment, which may continue it.
#[derive(Debug)]
pub struct AdtsDemuxer {
    packed: Packed<Adts>,
}

packed_demuxer!(AdtsDemuxer, Adts);

/// ADTS frames.
#[derive(Debug)]
pub(super) struct Adts;

impl Format for Adts {
    type Header = AdtsHeader;
    const CONTAINER: Container = Container::Adts;
    const HEADER_LEN: usize = AdtsHeader::LEN;
    const RESYNC_DEPTH: usize = 1;

    fn parse(bytes: &[u8]) -> Option<AdtsHeader> {
        AdtsHeader::parse(bytes)
    }

    fn is_unsupported(_bytes: &[u8]) -> bool {
        false
    }

    fn refusal(header: &AdtsHeader) -> Option<&'static str> {
        // Where the blocks lie cannot be known without decoding them.
        (header.blocks > 1 && !header.has_crc)
            .then_some("several raw data blocks in a frame without their positions")
    }

    const UNSUPPORTED: &'static str = "";

    fn is_same(a: &AdtsHeader, b: &AdtsHeader) -> bool {
        (a.object_type, a.rate_index, a.channel_config) == (b.object_type, b.rate_index, b.channel_config)
    }

    fn frame_len(header: &AdtsHeader) -> usize {
        header.frame_len.into()
    }

    fn block_frames(_header: &AdtsHeader) -> u32 {
        1024
    }

    fn sample_rate(header: &AdtsHeader) -> u32 {
        header.sample_rate()
    }

    fn describe(header: &AdtsHeader, frame: &[u8]) -> Result<TrackInfo, DemuxError> {
        let mut config = *header;
        let mut channels = header.channels();
        if header.channel_config == 0 {
            channels = frame.get(header.header_len()..).and_then(leading_program_config).unwrap_or(0);
            // A decoder need not know of the program config when a plain configuration says the same.
            config.channel_config = if matches!(channels, 1 | 2) { channels as u8 } else { 0 };
        }
        Ok(TrackInfo {
            serial: 0,
            id: 0,
            codec: if header.object_type == 2 { Codec::AacLc } else { Codec::AacOther(header.object_type) },
            extra_data: Some(config.audio_specific_config().into()),
            sample_rate: header.sample_rate(),
            channels,
            bits_per_sample: None,
            timescale: TIMESCALE,
            frames_per_packet: Some(1024),
            edit: None,
            gapless: None,
            duration: None,
            language: None,
            wrap: Some(WRAP),
        })
    }

    fn blocks(header: &AdtsHeader) -> usize {
        header.blocks.into()
    }

    fn block(header: &AdtsHeader, frame: &[u8], index: usize) -> Range<usize> {
        let first = header.header_len();
        if header.blocks == 1 {
            return first..frame.len();
        }
        // Positions of all blocks but the first count from the first. Each block is followed by its checksum.
        let mut starts = [first, frame.len(), frame.len(), frame.len(), frame.len()];
        let positions = frame.get(AdtsHeader::LEN..first).unwrap_or_default().as_chunks::<2>().0;
        for (start, position) in starts[1..usize::from(header.blocks)].iter_mut().zip(positions) {
            *start = first + usize::from(u16::from_be_bytes(*position));
        }
        if !starts.is_sorted() {
            return 0..0;
        }
        match (starts.get(index), starts.get(index + 1)) {
            (Some(&start), Some(&next)) if next >= start + 2 => start..next - 2,
            _ => 0..0,
        }
    }

    fn tag(_header: &AdtsHeader, _frame: &[u8]) -> Option<Option<Gapless>> {
        None
    }
}

/// Channels of a program_config_element that a raw data block begins with.
fn leading_program_config(block: &[u8]) -> Option<u16> {
    const ID_PCE: u32 = 5;
    let mut bits = Bits::new(block);
    if bits.get(3)? != ID_PCE {
        return None;
    }
    aac::program_config_channels(&mut bits)
}
