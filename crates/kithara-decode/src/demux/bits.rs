//! Readers over a slice: big-endian fields, and single bits.

/// Big-endian fields of a slice. Every read past the end is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    data: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.data
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.data.split_at_checked(len)?;
        self.data = tail;
        Some(head)
    }

    pub(super) fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(|_| ())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.data.split_first_chunk::<N>()?;
        self.data = tail;
        Some(*head)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A field of 4 or 8 bytes, as the box version says.
    pub(super) fn u32_or_u64(&mut self, wide: bool) -> Option<u64> {
        if wide { self.u64() } else { self.u32().map(u64::from) }
    }
}

/// Bits of a slice, most significant first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub(super) fn left(&self) -> usize {
        (self.data.len() * 8).saturating_sub(self.at)
    }

    /// Up to 32 bits.
    pub(super) fn get(&mut self, count: u32) -> Option<u32> {
        let value = self.show(count)?;
        self.at += count as usize;
        Some(value)
    }

    pub(super) fn show(&self, count: u32) -> Option<u32> {
        if self.left() < count as usize {
            return None;
        }
        let mut value: u64 = 0;
        let first = self.at / 8;
        let last = (self.at + count as usize).div_ceil(8);
        for &byte in self.data.get(first..last)? {
            value = value << 8 | u64::from(byte);
        }
        let surplus = last * 8 - self.at - count as usize;
        Some((value >> surplus & ((1 << count) - 1)) as u32)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        self.get(1).map(|bit| bit == 1)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        if self.left() < count {
            return None;
        }
        self.at += count;
        Some(())
    }

    pub(super) fn align(&mut self) {
        self.at = self.at.div_ceil(8) * 8;
    }
}
