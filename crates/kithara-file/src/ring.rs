//! [`Ring`]: the bytes of an endless body between the network and the one who reads on, bounded.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use parking_lot::Mutex;

/// A bounded queue of bytes that have offsets. What was read is let go.
#[derive(Debug)]
pub(crate) struct Ring {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the ring took over from the store; `None` while it has not.
    began: Option<u64>,
    /// Offset of the first byte that is kept.
    start: u64,
    chunks: VecDeque<Bytes>,
    len: usize,
}

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RingRead {
    /// The offset is not the ring's.
    Elsewhere,
    /// So many bytes.
    Data(usize),
    /// Nothing yet.
    NotYet,
    /// It was let go.
    Gone,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default() }
    }

    /// Takes over: bytes from `offset` on are the ring's.
    pub(crate) fn begin(&self, offset: u64) {
        let mut state = self.state.lock();
        if state.began.is_none() {
            state.began = Some(offset);
            state.start = offset;
        }
    }

    /// Whether more may be pushed.
    pub(crate) fn has_room(&self) -> bool {
        self.state.lock().len < self.capacity
    }

    /// Offset behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        let state = self.state.lock();
        state.start + state.len as u64
    }

    /// Appends. May exceed the capacity by the chunk itself.
    pub(crate) fn push(&self, data: Bytes) {
        let mut state = self.state.lock();
        state.len += data.len();
        state.chunks.push_back(data);
    }

    /// Up to where the bytes from `range.start` on are at hand. Lets go of nothing.
    ///
    /// An error is the first byte of `range` that will not be: it was let go, or lies further ahead than is kept before
    /// somebody reads.
    pub(crate) fn reach(&self, range: Range<u64>) -> Result<u64, u64> {
        let state = self.state.lock();
        if state.began.is_none() || range.is_empty() {
            return Ok(range.start);
        }
        if range.start < state.start {
            return Err(range.start);
        }
        let most = state.start + self.capacity as u64;
        if range.end > most {
            return Err(most.max(range.start));
        }
        Ok(range.start.max(state.start + state.len as u64))
    }

    /// Reads at `offset`, and lets go of everything before it.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> RingRead {
        let mut state = self.state.lock();
        match state.began {
            Some(began) if offset >= began => {}
            _ => return RingRead::Elsewhere,
        }
        if offset < state.start {
            return RingRead::Gone;
        }
        state.release(offset);
        let mut filled = 0;
        let mut skip = usize::try_from(offset - state.start).unwrap_or(usize::MAX);
        for chunk in &state.chunks {
            let part = chunk.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(chunk.len());
            let len = part.len().min(buf.len() - filled);
            buf[filled..filled + len].copy_from_slice(&part[..len]);
            filled += len;
        }
        if filled == 0 { RingRead::NotYet } else { RingRead::Data(filled) }
    }
}

impl State {
    /// Drops the chunks that end at or before `offset`.
    fn release(&mut self, offset: u64) {
        while let Some(first) = self.chunks.front() {
            if self.start + first.len() as u64 > offset {
                return;
            }
            self.start += first.len() as u64;
            self.len -= first.len();
            self.chunks.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Ring, RingRead};

    #[test]
    fn reads_in_order_within_a_bound() {
        let ring = Ring::new(8);
        let mut buf = [0; 6];
        assert_eq!(ring.read(0, &mut buf), RingRead::Elsewhere);
        ring.begin(10);
        assert_eq!(ring.read(9, &mut buf), RingRead::Elsewhere);
        assert_eq!(ring.read(10, &mut buf), RingRead::NotYet);
        ring.push(Bytes::from_static(b"abcde"));
        assert!(ring.has_room());
        ring.push(Bytes::from_static(b"fghij"));
        assert!(!ring.has_room());
        assert_eq!((ring.read(12, &mut buf), &buf), (RingRead::Data(6), b"cdefgh"));
        assert_eq!((ring.reach(10..18), ring.reach(18..18)), (Ok(20), Ok(18)));
        assert_eq!((ring.reach(9..12), ring.reach(12..19)), (Err(9), Err(18)), "gone, and too far ahead");
        assert!(!ring.has_room(), "half of the first chunk may be read again");
        assert_eq!((ring.read(18, &mut buf), &buf[..2]), (RingRead::Data(2), b"ij".as_slice()));
        assert!(ring.has_room());
        assert_eq!(ring.read(11, &mut buf), RingRead::Gone);
        assert_eq!(ring.read(20, &mut buf), RingRead::NotYet);
        assert_eq!(ring.end(), 20);
    }
}
