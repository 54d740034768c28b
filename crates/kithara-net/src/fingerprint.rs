//! Telling whether two deliveries of the same bytes are the same, without keeping them.

/// Length after which a fingerprint remembers its state, so that a difference shows early in a long comparison.
const EARLY: u64 = 4096;

/// A 64-bit fingerprint over a stream; how the stream is cut makes no difference. Not cryptographic: it guards against
/// accidents (a file replaced while it is read), and a hostile server may send what it likes anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    state: u64,
    /// Bytes of a word that is not full yet.
    word: [u8; 8],
    len: u64,
    early: Option<u64>,
}

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self { state: 0x243F_6A88_85A3_08D3, word: [0; 8], len: 0, early: None }
    }

    /// True unless the beginnings differ already.
    pub(crate) fn may_become(&self, other: &Self) -> bool {
        match (self.early, other.early) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        if self.early.is_none() {
            let left = usize::try_from(EARLY - self.len).unwrap_or(usize::MAX);
            if let Some((before, behind)) = data.split_at_checked(left) {
                self.absorb(before);
                self.early = Some(self.state);
                return self.absorb(behind);
            }
        }
        self.absorb(data);
    }

    fn absorb(&mut self, mut data: &[u8]) {
        let held = (self.len % 8) as usize;
        self.len = self.len.saturating_add(data.len() as u64);
        if held > 0 {
            let taken = data.len().min(8 - held);
            self.word[held..held + taken].copy_from_slice(&data[..taken]);
            data = &data[taken..];
            if held + taken < 8 {
                return;
            }
            self.mix(u64::from_le_bytes(self.word));
        }
        let (words, rest) = data.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.word = [0; 8];
        self.word[..rest.len()].copy_from_slice(rest);
    }

    fn mix(&mut self, word: u64) {
        // A folded multiplication by an odd constant: each bit of the word reaches all of the state.
        let product = u128::from(self.state ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ self.state.rotate_left(17);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> Fingerprint {
        let mut fingerprint = Fingerprint::new();
        parts.iter().for_each(|part| fingerprint.update(part));
        fingerprint
    }

    #[test]
    fn cuts_do_not_matter_and_content_does() {
        let data: Vec<u8> = (0..1000u32).map(|i| (i * 7 % 251) as u8).collect();
        let whole = of(&[&data]);
        for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
            assert_eq!(of(&[&data[..cut], &data[cut..]]), whole, "{cut}");
        }
        assert_eq!(of(&data.chunks(3).collect::<Vec<_>>()), whole);
        for index in 0..data.len() {
            let mut other = data.clone();
            other[index] ^= 1;
            assert_ne!(of(&[&other]), whole, "{index}");
        }
        let long = vec![1u8; 10_000];
        let mut other = long.clone();
        other[100] = 2;
        assert_eq!(of(&[&long[..4095], &long[4095..]]), of(&[&long]));
        assert!(!of(&[&long]).may_become(&of(&[&other[..5000]])));
        assert!(of(&[&long]).may_become(&of(&[&other[..50]])));
        assert_ne!(of(&[&[0; 8]]), of(&[&[0; 16]]));
        assert_ne!(of(&[&[]]), of(&[&[0]]));
    }
}
