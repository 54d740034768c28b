use super::{Content, range::Part};

/// The most that is packed: above it the test is not about gzip.
const LIMIT: u64 = 16 << 20;

/// A gzip member of stored (uncompressed) blocks; none for an endless or huge content.
pub(super) fn pack(content: &Content, part: &Part) -> Option<Vec<u8>> {
    let len = part.end?.saturating_sub(part.start);
    if len > LIMIT {
        return None;
    }
    let data = content.read(part.start, usize::try_from(len).ok()?).ok()?;
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut blocks = data.chunks(0xFFFF).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(crc32(&data).to_le_bytes());
    out.extend((data.len() as u32).to_le_bytes());
    Some(out)
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc_of_the_check_string() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
    }
}
