//! Headers of ADTS frames (ISO/IEC 14496-3, 1.A.2.2).

use crate::demux::aac::{SAMPLE_RATES, audio_specific_config, channels_of};

/// The header of an ADTS frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// MPEG-4 audio object type: 1 Main, 2 LC, 3 SSR, 4 LTP.
    pub object_type: u8,
    /// Index into [`SAMPLE_RATES`].
    pub rate_index: u8,
    /// Channel configuration; 0 when a program config element in the frame says the channels.
    pub channel_config: u8,
    /// True when checksums stand behind the header and the blocks.
    pub has_crc: bool,
    /// Bytes of the frame, header included.
    pub frame_len: u16,
    /// Raw data blocks in the frame, 1 to 4.
    pub blocks: u8,
}

impl AdtsHeader {
    /// Bytes that [`parse`](Self::parse) looks at.
    pub const LEN: usize = 7;

    /// Reads the header that `data` begins with; `None` for other bytes.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let &[0xFF, b1, b2, b3, b4, b5, b6, ..] = data else { return None };
        // Sync word, layer 0.
        if b1 & 0xF6 != 0xF0 {
            return None;
        }
        let header = Self {
            object_type: (b2 >> 6) + 1,
            rate_index: b2 >> 2 & 0x0F,
            channel_config: (b2 & 1) << 2 | b3 >> 6,
            has_crc: b1 & 1 == 0,
            frame_len: u16::from(b3 & 3) << 11 | u16::from(b4) << 3 | u16::from(b5 >> 5),
            blocks: (b6 & 3) + 1,
        };
        let is_sane = usize::from(header.rate_index) < SAMPLE_RATES.len()
            && usize::from(header.frame_len) >= header.header_len();
        is_sane.then_some(header)
    }

    /// Bytes before the first raw data block.
    pub fn header_len(&self) -> usize {
        Self::LEN + if self.has_crc { 2 * usize::from(self.blocks) } else { 0 }
    }

    /// Frames per second of the core coder.
    pub fn sample_rate(&self) -> u32 {
        SAMPLE_RATES.get(usize::from(self.rate_index)).copied().unwrap_or(44_100)
    }

    /// Channels of the channel configuration; 0 when a program config element in the frame says them.
    pub fn channels(&self) -> u16 {
        channels_of(self.channel_config)
    }

    /// The AudioSpecificConfig that says the same.
    pub fn audio_specific_config(&self) -> [u8; 2] {
        audio_specific_config(self.object_type, self.rate_index, self.channel_config)
    }
}
