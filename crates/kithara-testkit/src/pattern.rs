//! A body of which every byte is known without storing it: a function of seed and offset.

/// The byte at `offset` of the endless body `seed`.
///
/// Neighbouring bytes are independent, and no shift of the body resembles it, so a splice or a displacement shows at
/// once.
pub fn byte(seed: u64, offset: u64) -> u8 {
    word(seed, offset / 8).to_le_bytes()[(offset % 8) as usize]
}

/// Writes the bytes from `offset` on into all of `buffer`.
pub fn fill(seed: u64, offset: u64, buffer: &mut [u8]) {
    let mut at = offset;
    let mut rest = buffer;
    while !rest.is_empty() {
        let skip = (at % 8) as usize;
        let bytes = word(seed, at / 8).to_le_bytes();
        let count = rest.len().min(8 - skip);
        let (head, tail) = rest.split_at_mut(count);
        head.copy_from_slice(&bytes[skip..skip + count]);
        rest = tail;
        at = at.wrapping_add(count as u64);
    }
}

/// The offset of the first byte of `data`, which was read at `offset`, that is not what the body `seed` has there.
pub fn mismatch(seed: u64, offset: u64, data: &[u8]) -> Option<u64> {
    let mut truth = [0; 4096];
    for (n, part) in data.chunks(truth.len()).enumerate() {
        let at = offset.wrapping_add((n * truth.len()) as u64);
        let truth = &mut truth[..part.len()];
        fill(seed, at, truth);
        if truth != part {
            let wrong = part.iter().zip(truth.iter()).position(|(a, b)| a != b).unwrap_or_default();
            return Some(at.wrapping_add(wrong as u64));
        }
    }
    None
}

/// SplitMix64 of the word's index.
fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_agrees_with_byte_at_every_alignment() {
        for offset in [0, 1, 7, 8, 9, 1023, (1 << 40) + 3] {
            let mut buffer = [0; 37];
            fill(5, offset, &mut buffer);
            for (i, b) in buffer.iter().enumerate() {
                assert_eq!(*b, byte(5, offset + i as u64));
            }
        }
    }

    #[test]
    fn mismatch_finds_the_first_wrong_byte_and_any_displacement() {
        let mut data = vec![0; 10_000];
        fill(1, 77, &mut data);
        assert_eq!(mismatch(1, 77, &data), None);
        assert!(mismatch(1, 78, &data).is_some_and(|at| at < 90));
        assert!(mismatch(2, 77, &data).is_some());
        data[9_000] ^= 1;
        assert_eq!(mismatch(1, 77, &data), Some(77 + 9_000));
    }
}
