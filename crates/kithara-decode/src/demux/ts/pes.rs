//! PES headers (ISO/IEC 13818-1, 2.4.3.6).

use super::super::bits::Fields;

/// What the header of a PES packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PesHeader {
    /// Bytes before the elementary stream.
    pub(super) len: usize,
    /// 0xC0 to 0xDF is audio.
    pub(super) stream_id: u8,
    /// 90 kHz units, 33 bits.
    pub(super) pts: Option<u64>,
    pub(super) is_scrambled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PesStart {
    Header(PesHeader),
    NeedsMore,
    Invalid,
}

/// Bytes that a header has at most.
pub(super) const MAX_HEADER: usize = 9 + 255;

impl PesStart {
    /// Reads the header at the start of `data`.
    pub(super) fn parse(data: &[u8]) -> Self {
        const PREFIX: [u8; 3] = [0, 0, 1];
        if !data.starts_with(&PREFIX[..data.len().min(3)]) {
            return Self::Invalid;
        }
        let Some(&[stream_id, _, _, flags, contents, header_len]) =
            data.get(3..9).and_then(|x| x.first_chunk())
        else {
            return Self::NeedsMore;
        };
        // Streams without the optional header are no audio; the optional header begins with the bits 10.
        if matches!(stream_id, 0xBC | 0xBE | 0xBF | 0xF0 | 0xF1 | 0xF2 | 0xF8 | 0xFF) || flags & 0xC0 != 0x80
        {
            return Self::Invalid;
        }
        let len = 9 + usize::from(header_len);
        let Some(optional) = data.get(9..len) else { return Self::NeedsMore };
        let pts = if contents & 0x80 != 0 { timestamp(optional) } else { None };
        Self::Header(PesHeader { len, stream_id, pts, is_scrambled: flags & 0x30 != 0 })
    }
}

fn timestamp(data: &[u8]) -> Option<u64> {
    let mut fields = Fields::new(data);
    let high = u64::from(fields.u8()? >> 1 & 7);
    let middle = u64::from(fields.u16()? >> 1);
    let low = u64::from(fields.u16()? >> 1);
    Some(high << 30 | middle << 15 | low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_with_stuffing_and_pts() {
        let mut data =
            vec![0, 0, 1, 0xC0, 0, 0, 0x80, 0x80, 7, 0x21 | 7 << 1, 0xFF, 0xFF, 0xFF, 0xFD, 0xFF, 0xFF, 1];
        let header = PesHeader { len: 16, stream_id: 0xC0, pts: Some((1 << 33) - 2), is_scrambled: false };
        assert_eq!(PesStart::parse(&data), PesStart::Header(header));
        assert_eq!(PesStart::parse(&data[..15]), PesStart::NeedsMore);
        assert_eq!(PesStart::parse(&[]), PesStart::NeedsMore);
        data[2] = 2;
        assert_eq!(PesStart::parse(&data), PesStart::Invalid);
    }
}
