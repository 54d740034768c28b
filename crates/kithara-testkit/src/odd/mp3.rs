//! MPEG audio layer III, frame by frame.

/// The whole frames of a stream (MPEG-1 and MPEG-2 layer III), header included; ends at the first byte that begins none.
pub fn frames(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = stream;
    std::iter::from_fn(move || {
        let (frame, tail) = rest.split_at_checked(frame_len(rest)?)?;
        rest = tail;
        Some(frame)
    })
}

/// Samples of each frame of a stream.
pub fn frame_samples(stream: &[u8]) -> u32 {
    if stream.get(1).is_some_and(|byte| byte & 0x08 != 0) { 1152 } else { 576 }
}

fn frame_len(bytes: &[u8]) -> Option<usize> {
    const RATES: [usize; 3] = [44_100, 48_000, 32_000];
    const MPEG1: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const MPEG2: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[0xFF, b1, b2, ..] = bytes else { return None };
    // Layer III.
    if b1 & 0xE6 != 0xE2 {
        return None;
    }
    let is_mpeg1 = b1 & 0x08 != 0;
    let rate = RATES.get(usize::from(b2 >> 2 & 3))? >> usize::from(!is_mpeg1);
    let kilobits =
        if is_mpeg1 { &MPEG1 } else { &MPEG2 }.get(usize::from(b2 >> 4)).filter(|rate| **rate > 0)?;
    let slots = if is_mpeg1 { 144_000 } else { 72_000 } * kilobits / rate;
    Some(slots + usize::from(b2 >> 1 & 1))
}
