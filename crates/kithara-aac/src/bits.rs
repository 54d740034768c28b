use crate::{Error, Result};

/// Reads bits of a packet, most significant first. Past the end it reads zeros; [`BitReader::check`] tells.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, end: data.len().saturating_mul(8) }
    }

    /// A reader of the next `bits` bits.
    pub(crate) fn sub(&self, bits: usize) -> Result<Self> {
        let end = self.position.saturating_add(bits);
        if end > self.end {
            return Err(Error::Truncated { part: "packet" });
        }
        Ok(Self { data: self.data, position: self.position, end })
    }

    /// The next bits, left-aligned: at least 57 of them are valid.
    #[inline(always)]
    pub(crate) fn window(&self) -> u64 {
        let byte = self.position >> 3;
        let shift = self.position & 7;
        if let Some(&bytes) = self.data.get(byte..).and_then(|rest| rest.first_chunk::<8>()) {
            u64::from_be_bytes(bytes) << shift
        } else {
            self.window_at_end(byte) << shift
        }
    }

    #[cold]
    fn window_at_end(&self, byte: usize) -> u64 {
        let rest = self.data.get(byte..).unwrap_or_default();
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(rest) {
            *to = *from;
        }
        u64::from_be_bytes(bytes)
    }

    #[inline(always)]
    pub(crate) fn skip(&mut self, bits: usize) {
        self.position = self.position.saturating_add(bits);
    }

    pub(crate) fn rewind(&mut self, bits: usize) {
        self.position = self.position.saturating_sub(bits);
    }

    /// Reads up to 32 bits.
    #[inline(always)]
    pub(crate) fn read(&mut self, bits: u32) -> u32 {
        debug_assert!(bits <= 32);
        if bits == 0 {
            return 0;
        }
        let value = (self.window() >> (64 - bits)) as u32;
        self.skip(bits as usize);
        value
    }

    #[inline(always)]
    pub(crate) fn flag(&mut self) -> bool {
        self.read(1) == 1
    }

    /// Reads a flag, and the bits that follow where it is set.
    pub(crate) fn optional(&mut self, bits: u32) -> Option<u32> {
        if self.flag() { Some(self.read(bits)) } else { None }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    pub(crate) fn left(&self) -> usize {
        self.end.saturating_sub(self.position)
    }

    /// Skips to the next multiple of eight bits after `start`.
    pub(crate) fn align_from(&mut self, start: usize) {
        let used = self.position.saturating_sub(start);
        self.skip((8 - used % 8) % 8);
    }

    /// Fails when more has been read than there is.
    #[inline(always)]
    pub(crate) fn check(&self, part: &'static str) -> Result<()> {
        if self.position > self.end { Err(Error::Truncated { part }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_in_order_up_to_the_last() {
        let mut reader = BitReader::new(&[0b1010_0101, 0xff, 0x00]);
        assert_eq!(reader.read(1), 1);
        assert_eq!(reader.read(7), 0b010_0101);
        assert_eq!(reader.read(16), 0xff00);
        assert!(reader.check("packet").is_ok());
        assert_eq!(reader.read(1), 0);
        assert!(reader.check("packet").is_err());
    }

    #[test]
    fn a_part_may_not_reach_past_the_whole() {
        let reader = BitReader::new(&[0; 4]);
        assert!(reader.sub(32).is_ok());
        assert!(reader.sub(33).is_err());
        assert!(reader.sub(usize::MAX).is_err());
    }
}
