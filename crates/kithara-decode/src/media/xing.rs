//! The tag frame that MP3 encoders put in front: Xing, Info or VBRI, and the LAME extension.

use super::header::Header;

/// What the tag says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct XingTag {
    /// Packets in the file, without this one.
    pub(super) packets: Option<u64>,
    /// Bytes of the file from this frame on.
    pub(super) bytes: Option<u64>,
    /// Where each hundredth of the packets begins, in 256ths of `bytes`.
    pub(super) table: Option<[u8; 100]>,
    /// Every packet has the same bit rate.
    pub(super) is_constant: bool,
    /// Frames to drop at the start (decoder's delay included) and at the end.
    pub(super) trim: Option<(u32, u32)>,
}

/// Bytes of the shortest packet: 8 kbit/s at 24 kHz.
const SHORTEST: u64 = 24;
/// Frames by which an MP3 decoder is behind its encoder.
const DECODER_DELAY: u32 = 529;

impl XingTag {
    /// The tag in `frame`, when it is a tag frame.
    pub(super) fn parse(header: &Header, frame: &[u8]) -> Option<Self> {
        if header.side_info == 0 {
            return None;
        }
        if let Some(vbri) = frame.get(36..).filter(|rest| rest.starts_with(b"VBRI")) {
            return Some(Self {
                bytes: u32_at(vbri, 10).map(u64::from),
                packets: u32_at(vbri, 14).map(u64::from),
                ..Self::default()
            });
        }
        let tag = frame.get(4 + header.side_info..)?;
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
        Some(Self { packets, bytes, table, is_constant, trim: lame_trim(tag.get(at..).unwrap_or_default()) })
    }

    /// What is left of the tag when the file goes on for `left` bytes: in front of several files in one, the count of
    /// packets says nothing, nor does one that so many bytes cannot hold.
    pub(super) fn believed(mut self, left: Option<u64>) -> Self {
        let Some(left) = left else { return self };
        let is_joined = self.bytes.is_some_and(|bytes| left.saturating_sub(bytes) > bytes / 16);
        let is_impossible = self.packets.is_some_and(|packets| left / SHORTEST < packets);
        if is_joined || is_impossible {
            self.packets = None;
            self.table = None;
        }
        self
    }

    /// Frames presented of `packets × frames_per_packet` decoded ones.
    pub(super) fn end(&self, frames_per_packet: u32) -> Option<u64> {
        let decoded = self.packets? * u64::from(frames_per_packet);
        let (start, padding) = self.trim.unwrap_or((0, 0));
        // The padding counts from the encoder's end: the decoder's delay has moved it out by that much.
        decoded.checked_sub(u64::from(padding.saturating_sub(DECODER_DELAY)))?.checked_sub(u64::from(start))
    }
}

/// Delay and padding of the LAME extension; only from encoders whose values are known to be meant so.
fn lame_trim(extension: &[u8]) -> Option<(u32, u32)> {
    let encoder = extension.first_chunk::<4>()?;
    if ![b"LAME", b"Lavf", b"Lavc"].contains(&encoder) {
        return None;
    }
    let &[a, b, c] = extension.get(21..24)? else { return None };
    let packed = u32::from_be_bytes([0, a, b, c]);
    Some(((packed >> 12) + DECODER_DELAY, packed & 0xFFF))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))
}
