//! ID3v2 tags in front of packed audio (RFC 8216, 3.4).

/// Bytes of a tag's header.
pub const HEADER_LEN: usize = 10;

const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";

/// Total length of the ID3v2 tag that `data` begins with: header, body and footer. `None` when it begins with none, or with
/// fewer than [`HEADER_LEN`] bytes of one. Any version counts, also ones that no standard defines.
pub fn tag_len(data: &[u8]) -> Option<u64> {
    let &[b'I', b'D', b'3', major, revision, flags, a, b, c, d, ..] = data else { return None };
    if major == 0xFF || revision == 0xFF || (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    let body = [a, b, c, d].iter().fold(0u64, |size, &byte| size << 7 | u64::from(byte));
    let has_footer = major >= 4 && flags & 0x10 != 0;
    Some(body + if has_footer { 20 } else { 10 })
}

/// The timestamp that a packed audio segment begins with: the position of its first sample in 90 kHz units, modulo 2^33.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id3Timestamp {
    ticks: u64,
}

impl Id3Timestamp {
    /// Finds the timestamp in a tag (header included; its end may be cut off). `None` when the tag has none, or one beyond
    /// 33 bits.
    ///
    /// The frame is found by its owner string, not by walking the frames, so that wrong frame sizes and unknown versions
    /// do not matter.
    pub fn find(tag: &[u8]) -> Option<Self> {
        let (header, body) = tag.split_at_checked(HEADER_LEN)?;
        let at = body.windows(OWNER.len()).position(|window| window == OWNER)?;
        let (before, from) = body.split_at(at);
        let value = from.get(OWNER.len()..)?;
        let is_unsynchronised = header[5] & 0x80 != 0 || header[3] >= 4 && frame_is_unsynchronised(before);
        let ticks = u64::from_be_bytes(read_value(value, is_unsynchronised)?);
        (ticks < 1 << 33).then_some(Self { ticks })
    }

    /// 90 kHz units, below 2^33.
    pub fn ticks(self) -> u64 {
        self.ticks
    }
}

/// Whether the header of the `PRIV` frame whose content begins behind `before` has the unsynchronisation flag.
fn frame_is_unsynchronised(before: &[u8]) -> bool {
    // A data length indicator of four bytes may stand between.
    [10, 14].into_iter().any(|back| {
        let header = before.len().checked_sub(back).and_then(|start| before.get(start..start + 10));
        header.is_some_and(|header| header.starts_with(b"PRIV") && header[9] & 0x02 != 0)
    })
}

/// Eight bytes; with unsynchronisation a zero byte behind 0xFF is not part of them.
fn read_value(data: &[u8], is_unsynchronised: bool) -> Option<[u8; 8]> {
    let mut bytes = data.iter();
    let mut out = [0; 8];
    for slot in &mut out {
        *slot = *bytes.next()?;
        if is_unsynchronised && *slot == 0xFF && bytes.as_slice().first() == Some(&0) {
            bytes.next();
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(major: u8, flags: u8, frame_flags: [u8; 2], value: &[u8]) -> Vec<u8> {
        let mut frame = b"PRIV".to_vec();
        frame.extend(((OWNER.len() + value.len()) as u32).to_be_bytes());
        frame.extend(frame_flags);
        frame.extend(OWNER);
        frame.extend(value);
        let mut tag = vec![b'I', b'D', b'3', major, 0, flags, 0, 0, 0, frame.len() as u8];
        tag.extend(frame);
        tag
    }

    #[test]
    fn finds_the_timestamp_in_any_version() {
        for major in [2, 3, 4, 9] {
            let tag = tag(major, 0, [0, 0], &[0, 0, 0, 1, 2, 3, 4, 5]);
            assert_eq!(Id3Timestamp::find(&tag).unwrap().ticks(), 0x1_0203_0405);
            assert_eq!(tag_len(&tag), Some(tag.len() as u64));
        }
    }

    #[test]
    fn a_timestamp_beyond_33_bits_is_none() {
        assert_eq!(Id3Timestamp::find(&tag(4, 0, [0, 0], &[0, 0, 0, 2, 0, 0, 0, 0])), None);
        assert_eq!(Id3Timestamp::find(&tag(4, 0, [0, 0], &[0, 0, 0, 1])), None);
    }

    #[test]
    fn unsynchronisation_is_undone() {
        let value = [0, 0, 0, 1, 0xFF, 0, 0xE0, 0, 1];
        assert_eq!(Id3Timestamp::find(&tag(3, 0x80, [0, 0], &value)).unwrap().ticks(), 0x1_FFE0_0001);
        assert_eq!(Id3Timestamp::find(&tag(4, 0, [0, 2], &value)).unwrap().ticks(), 0x1_FFE0_0001);
        assert_eq!(Id3Timestamp::find(&tag(4, 0, [0, 0], &value)).unwrap().ticks(), 0x1_FF00_E000);
    }

    #[test]
    fn lengths() {
        assert_eq!(tag_len(b"ID3\x04\0\x10\0\0\x01\x02rest"), Some(20 + 130));
        assert_eq!(tag_len(b"ID3\x03\0\x10\0\0\x01\x02"), Some(10 + 130));
        assert_eq!(tag_len(b"ID3\x04\0\0\0\0\x80\0"), None);
        assert_eq!(tag_len(b"ID3\x04\0\0\0\0"), None);
        assert_eq!(tag_len(b"ID3\xFF\0\0\0\0\0\0"), None);
    }
}
