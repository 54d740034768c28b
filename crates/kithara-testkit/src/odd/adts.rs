//! AAC frames with their ADTS headers: `media::file("file/adts.aac")` is a stream of them.

/// Samples of each frame.
pub const FRAME: u32 = 1024;

/// The whole frames of a stream, header included; ends at the first byte that begins none.
pub fn frames(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let len = frame_len(rest)?;
        let (frame, tail) = rest.split_at_checked(len)?;
        rest = tail;
        Some(frame)
    })
}

/// The raw data block of a frame: without its header (and CRC).
pub fn payload(frame: &[u8]) -> &[u8] {
    let has_crc = frame.get(1).is_some_and(|byte| byte & 1 == 0);
    frame.get(if has_crc { 9 } else { 7 }..).unwrap_or_default()
}

/// The AudioSpecificConfig that says what the header says.
pub fn config(frame: &[u8]) -> [u8; 2] {
    let (b2, b3) = (frame.get(2).copied().unwrap_or(0), frame.get(3).copied().unwrap_or(0));
    let (object, rate) = ((b2 >> 6) + 1, (b2 >> 2) & 15);
    let channels = (b2 & 1) << 2 | b3 >> 6;
    [object << 3 | rate >> 1, (rate & 1) << 7 | channels << 3]
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..7).filter(|head| head[0] == 0xFF && head[1] & 0xF6 == 0xF0)?;
    let len = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    (len >= 7).then_some(len)
}
