//! The tag frame that MP3 encoders put in front: Xing, Info or VBRI, and the LAME extension.

use super::mpa::MpaHeader;
use crate::demux::Gapless;

/// Fields of a tag frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct XingTag {
    /// Packets in the file, without this one.
    pub(crate) packets: Option<u64>,
    /// Bytes of the file from this frame on.
    pub(crate) bytes: Option<u64>,
    /// Where each hundredth of the packets begins, in 256ths of `bytes`.
    pub(crate) table: Option<[u8; 100]>,
    /// Every packet has the same bit rate.
    pub(crate) is_constant: bool,
    /// Encoder delay and padding, *without* the decoder's delay.
    pub(crate) gapless: Option<Gapless>,
}

/// Bytes of the shortest packet: 8 kbit/s at 24 kHz.
const SHORTEST: u64 = 24;
/// Frames by which an MP3 decoder is behind its encoder.
pub(crate) const MP3_DECODER_DELAY: u32 = 529;
/// Encoders whose delay and padding are known to be meant as LAME means them.
const GAPLESS_ENCODERS: [&[u8; 4]; 3] = [b"LAME", b"Lavf", b"Lavc"];

impl XingTag {
    /// The tag in `frame`, if it is a tag frame.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let header = MpaHeader::parse(frame)?;
        if header.layer != 3 {
            return None;
        }
        // VBRI always stands behind 32 bytes. A checksum moves Xing for some encoders and not for others.
        if let Some(vbri) = frame.get(36..).filter(|rest| rest.starts_with(b"VBRI")) {
            return Some(Self {
                bytes: u32_at(vbri, 10).map(u64::from),
                packets: u32_at(vbri, 14).map(u64::from),
                ..Self::default()
            });
        }
        let crc_lens: &[usize] = if header.has_crc { &[2, 0] } else { &[0] };
        crc_lens.iter().find_map(|crc_len| {
            let tag = frame.get(super::mpa::LEN + crc_len + header.side_info_len()..)?;
            Self::parse_xing(tag, header.frames())
        })
    }

    fn parse_xing(tag: &[u8], frames_per_packet: u32) -> Option<Self> {
        let is_constant = tag.starts_with(b"Info");
        if !is_constant && !tag.starts_with(b"Xing") {
            return None;
        }
        let flags = u32_at(tag, 4)?;
        let mut at = 8;
        let mut field = |flag: u32, len: usize| {
            let found = (flags & flag != 0).then_some(at);
            at += if found.is_some() { len } else { 0 };
            found
        };
        let packets = field(1, 4).and_then(|at| u32_at(tag, at)).map(u64::from);
        let bytes = field(2, 4).and_then(|at| u32_at(tag, at)).map(u64::from);
        let table = field(4, 100).and_then(|at| tag.get(at..)?.first_chunk::<100>()).copied();
        field(8, 4);
        let table = table.filter(|table| table.is_sorted());
        let gapless = lame_gapless(tag.get(at..).unwrap_or_default()).map(|gapless| Gapless {
            total_frames: packets
                .map(|packets| packets * u64::from(frames_per_packet))
                .and_then(|total| total.checked_sub(u64::from(gapless.delay + gapless.padding))),
            ..gapless
        });
        Some(Self { packets, bytes, table, is_constant, gapless })
    }

    /// Frames to drop at the start (the decoder's delay included), and the encoder's padding.
    pub(crate) fn trim(&self) -> Option<(u32, u32)> {
        self.gapless.map(|gapless| (gapless.delay + MP3_DECODER_DELAY, gapless.padding))
    }

    /// The tag without a packet count that the `left` bytes from it on cannot hold.
    pub(crate) fn checked(mut self, left: Option<u64>) -> Self {
        if left.zip(self.packets).is_some_and(|(left, packets)| left / SHORTEST < packets) {
            self.packets = None;
            self.table = None;
        }
        self
    }

    /// Whether the file goes on well behind the bytes that the tag counts: for another file that was joined
    /// to it, or for a long tag.
    pub(crate) fn is_exceeded_by(&self, left: Option<u64>) -> bool {
        left.zip(self.bytes).is_some_and(|(left, bytes)| left.saturating_sub(bytes) > bytes / 16)
    }

    /// Frames presented of `packets × frames_per_packet` decoded ones.
    pub(crate) fn end(&self, frames_per_packet: u32) -> Option<u64> {
        let decoded = self.packets? * u64::from(frames_per_packet);
        let (start, padding) = self.trim().unwrap_or((0, 0));
        // The padding counts from the encoder's end: the decoder's delay has moved it out by that much.
        let padding = padding.saturating_sub(MP3_DECODER_DELAY);
        decoded.checked_sub(u64::from(padding))?.checked_sub(u64::from(start))
    }
}

/// Delay and padding of the LAME extension.
fn lame_gapless(extension: &[u8]) -> Option<Gapless> {
    let encoder = extension.first_chunk::<4>()?;
    if !GAPLESS_ENCODERS.contains(&encoder) {
        return None;
    }
    let &[a, b, c] = extension.get(21..24)? else { return None };
    let packed = u32::from_be_bytes([0, a, b, c]);
    Some(Gapless { delay: packed >> 12, padding: packed & 0xFFF, total_frames: None })
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stereo MPEG-1 frame of 417 bytes with an Info tag behind `shift` bytes of checksum.
    fn tagged(header: [u8; 4], shift: usize, encoder: &[u8; 9]) -> Vec<u8> {
        let mut frame = header.to_vec();
        frame.resize(4 + 32 + shift, 0);
        frame.extend_from_slice(b"Info\0\0\0\x01\0\0\0\x64");
        frame.extend_from_slice(encoder);
        frame.resize(frame.len() + 12, 0);
        frame.extend_from_slice(&[0x24, 0x05, 0x00]);
        frame.resize(417, 0);
        frame
    }

    #[test]
    fn checksum_may_move_the_tag() {
        for shift in [0, 2] {
            let tag = XingTag::parse(&tagged([0xFF, 0xFA, 0x90, 0], shift, b"LAME3.100")).unwrap();
            assert_eq!((tag.packets, tag.trim()), (Some(100), Some((576 + 529, 1280))));
        }
        assert_eq!(XingTag::parse(&tagged([0xFF, 0xFB, 0x90, 0], 2, b"LAME3.100")), None);
    }

    #[test]
    fn only_known_encoders_are_trimmed() {
        let frame = |encoder| XingTag::parse(&tagged([0xFF, 0xFB, 0x90, 0], 0, encoder)).unwrap().gapless;
        assert_eq!(frame(b"Lavc59.37").map(|gapless| gapless.delay), Some(576));
        assert_eq!(frame(b"GOGO3.13\0"), None);
    }
}
