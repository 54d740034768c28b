//! ID3v2 tags, as packed audio begins with.

/// A tag of this major version (4 is right; the odd ones are for tests) with these frames inside.
pub fn tag(version: u8, frames: &[u8]) -> Vec<u8> {
    let mut out = vec![b'I', b'D', b'3', version, 0, 0];
    out.extend(synchsafe(frames.len() as u32));
    out.extend(frames);
    out
}

/// One frame: an identifier of four letters and its body.
pub fn frame(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend(synchsafe(body.len() as u32));
    out.extend([0, 0]);
    out.extend(body);
    out
}

/// The tag that every segment of packed audio begins with (RFC 8216, 3.4): a timestamp at 90 kHz.
pub fn timestamp(ticks: u64) -> Vec<u8> {
    let mut body = b"com.apple.streaming.transportStreamTimestamp\0".to_vec();
    body.extend(ticks.to_be_bytes());
    tag(4, &frame(b"PRIV", &body))
}

/// The same in a tag of another version. ID3v2.2 has frames of its own form, with three letters.
pub fn timestamp_of_version(version: u8, ticks: u64) -> Vec<u8> {
    let mut body = b"com.apple.streaming.transportStreamTimestamp\0".to_vec();
    body.extend(ticks.to_be_bytes());
    if version > 2 {
        return tag(version, &frame(b"PRIV", &body));
    }
    let mut short = b"PRV".to_vec();
    short.extend(&(body.len() as u32).to_be_bytes()[1..]);
    short.extend(body);
    tag(version, &short)
}

fn synchsafe(len: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| (len >> shift) as u8 & 0x7F)
}
