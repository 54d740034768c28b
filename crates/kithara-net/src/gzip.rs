//! Small bodies that were compressed on the way.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

/// Why a body could not be inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It holds more than allowed.
    TooLarge,
    /// It is not gzip, damaged, or cut off.
    Malformed,
}

/// The content of `data`, at most `limit` bytes of it: what a few bytes claim to be does not take the memory.
pub(crate) fn inflate(data: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
    if data.is_empty() {
        // Of nothing, some servers send no header either.
        return Ok(Vec::new());
    }
    let mut out = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(data).take(most).read_to_end(&mut out).map_err(|_| InflateError::Malformed)?;
    if out.len() > limit { Err(InflateError::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::{InflateError, inflate};

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_was_compressed_comes_back_within_a_limit() {
        let text = b"#EXTINF:4,\nsegment.ts\n".repeat(1000);
        let small = deflate(&text);
        assert!(small.len() * 10 < text.len());
        assert_eq!(inflate(&small, text.len()), Ok(text.clone()));
        assert_eq!(inflate(&small, text.len() - 1), Err(InflateError::TooLarge));
        assert_eq!(inflate(b"", 10), Ok(Vec::new()));
        let twice = [small.clone(), small].concat();
        assert_eq!(inflate(&twice, 2 * text.len()), Ok(text.repeat(2)), "members follow each other");
    }

    #[test]
    fn damage_is_noticed() {
        let whole = deflate(b"0123456789");
        for len in 1..whole.len() {
            assert_eq!(inflate(&whole[..len], 100), Err(InflateError::Malformed), "{len}");
        }
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x11;
            let inflated = inflate(&bad, 100);
            // Bytes of the header that mean nothing may be anything.
            assert!(
                inflated == Err(InflateError::Malformed) || inflated == Ok(b"0123456789".to_vec()),
                "{at}: {inflated:?}"
            );
        }
        assert_eq!(inflate(b"#EXTM3U\n", 100), Err(InflateError::Malformed));
    }

    #[test]
    fn a_bomb_takes_no_more_than_the_limit() {
        let bomb = deflate(&vec![0; 50 << 20]);
        assert!(bomb.len() < 60_000);
        assert_eq!(inflate(&bomb, 1 << 20), Err(InflateError::TooLarge));
    }
}
