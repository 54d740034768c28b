//! The bytes that were pushed and not yet consumed.

use std::collections::VecDeque;

use bytes::Bytes;

/// A queue of pushed chunks, addressed by offset since the start of the stream. Chunks are kept as they came: a range
/// within one chunk is borrowed from it, one across chunks is gathered into a scratch buffer.
#[derive(Debug, Default)]
pub(super) struct ByteQueue {
    chunks: VecDeque<Chunk>,
    /// Everything before this offset is gone. May lie beyond `end`: then what is pushed up to it is dropped at once.
    start: u64,
    /// Bytes pushed so far.
    end: u64,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Chunk {
    start: u64,
    data: Bytes,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.data.len() as u64
    }
}

/// A scratch buffer above this size is given back when a small range is gathered next.
const SCRATCH_KEPT: usize = 64 << 10;

impl ByteQueue {
    pub(super) fn push(&mut self, data: Bytes) {
        let start = self.end;
        self.end += data.len() as u64;
        if self.end <= self.start || data.is_empty() {
            return;
        }
        let skip = self.start.saturating_sub(start) as usize;
        let data = if skip > 0 { data.slice(skip..) } else { data };
        self.chunks.push_back(Chunk { start: start + skip as u64, data });
    }

    /// Offset of the first byte still held (or wanted).
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the byte that the next push begins with.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Drops every byte before `offset`, including those still to come.
    pub(super) fn discard_to(&mut self, offset: u64) {
        if offset <= self.start {
            return;
        }
        self.start = offset;
        while self.chunks.front().is_some_and(|chunk| chunk.end() <= offset) {
            self.chunks.pop_front();
        }
    }

    /// Takes back a discard beyond the end.
    pub(super) fn stop_discarding(&mut self) {
        self.start = self.start.min(self.end);
    }

    /// Drops everything and begins a new stream at offset 0. Keeps allocations.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
        self.start = 0;
        self.end = 0;
    }

    /// True when `[offset, offset + len)` is held.
    pub(super) fn has(&self, offset: u64, len: u64) -> bool {
        offset >= self.start && offset.checked_add(len).is_some_and(|end| end <= self.end)
    }

    /// Index of the chunk that holds `offset`.
    fn locate(&self, offset: u64) -> usize {
        match self.chunks.front() {
            Some(front) if offset < front.end() => 0,
            _ => self.chunks.partition_point(|chunk| chunk.end() <= offset),
        }
    }

    /// Copies a small range, or nothing when it is not held in full.
    pub(super) fn copy_to(&self, offset: u64, out: &mut [u8]) -> bool {
        if !self.has(offset, out.len() as u64) {
            return false;
        }
        let mut filled = 0;
        let mut at = offset;
        for chunk in self.chunks.iter().skip(self.locate(offset)) {
            if filled == out.len() {
                break;
            }
            let from = (at - chunk.start) as usize;
            let n = (chunk.data.len() - from).min(out.len() - filled);
            out[filled..filled + n].copy_from_slice(&chunk.data[from..from + n]);
            filled += n;
            at += n as u64;
        }
        filled == out.len()
    }

    pub(super) fn read<const N: usize>(&self, offset: u64) -> Option<[u8; N]> {
        let mut out = [0; N];
        self.copy_to(offset, &mut out).then_some(out)
    }

    /// Up to `out.len()` bytes from `offset`; the number copied.
    pub(super) fn peek(&self, offset: u64, out: &mut [u8]) -> usize {
        let available = self.end.saturating_sub(offset).min(out.len() as u64) as usize;
        if self.copy_to(offset, &mut out[..available]) { available } else { 0 }
    }

    /// A range as one slice: borrowed from its chunk, or gathered.
    pub(super) fn slice(&mut self, offset: u64, len: usize) -> Option<&[u8]> {
        if !self.has(offset, len as u64) {
            return None;
        }
        let index = self.locate(offset);
        let within = self.chunks.get(index).is_some_and(|chunk| offset + len as u64 <= chunk.end());
        if within {
            let chunk = self.chunks.get(index)?;
            let from = (offset - chunk.start) as usize;
            return chunk.data.get(from..from + len);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.capacity() > SCRATCH_KEPT && len <= SCRATCH_KEPT {
            scratch = Vec::new();
        }
        scratch.resize(len, 0);
        let copied = self.copy_to(offset, &mut scratch);
        self.scratch = scratch;
        copied.then_some(self.scratch.as_slice())
    }

    /// A range that outlives the queue: shared with its chunk, or copied.
    pub(super) fn bytes(&self, offset: u64, len: usize) -> Option<Bytes> {
        if !self.has(offset, len as u64) {
            return None;
        }
        if len == 0 {
            // At the end there is no chunk to share.
            return Some(Bytes::new());
        }
        let chunk = self.chunks.get(self.locate(offset))?;
        let from = (offset - chunk.start) as usize;
        if from + len <= chunk.data.len() {
            return Some(chunk.data.slice(from..from + len));
        }
        let mut copy = vec![0; len];
        self.copy_to(offset, &mut copy).then(|| copy.into())
    }

    /// Offset of the first `byte` at or after `from`.
    pub(super) fn find(&self, byte: u8, from: u64) -> Option<u64> {
        let from = from.max(self.start);
        self.chunks.iter().skip(self.locate(from)).find_map(|chunk| {
            let skip = from.saturating_sub(chunk.start) as usize;
            let found = chunk.data.get(skip..)?.iter().position(|&b| b == byte)?;
            Some(chunk.start + (skip + found) as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(parts: &[&'static [u8]]) -> ByteQueue {
        let mut queue = ByteQueue::default();
        for part in parts {
            queue.push(Bytes::from_static(part));
        }
        queue
    }

    #[test]
    fn borrows_within_a_chunk_and_gathers_across() {
        static WHOLE: &[u8] = b"abcdef";
        let mut q = queue(&[WHOLE, b"ghi"]);
        assert_eq!(q.slice(1, 3).unwrap().as_ptr(), WHOLE[1..].as_ptr());
        assert_eq!(q.slice(4, 4).unwrap(), b"efgh");
        assert_eq!(q.slice(6, 4), None);
        assert_eq!(q.bytes(2, 4).unwrap().as_ptr(), WHOLE[2..].as_ptr());
        assert_eq!(&q.bytes(0, 9).unwrap()[..], b"abcdefghi");
        assert_eq!((q.bytes(9, 0).unwrap().len(), q.slice(9, 0).unwrap().len()), (0, 0));
    }

    #[test]
    fn a_discard_beyond_the_end_drops_what_comes_later() {
        let mut q = queue(&[b"abc"]);
        q.discard_to(5);
        q.push(Bytes::from_static(b"d"));
        assert!(q.chunks.is_empty());
        q.push(Bytes::from_static(b"efg"));
        assert_eq!((q.start(), q.end()), (5, 7));
        assert_eq!(q.slice(5, 2).unwrap(), b"fg");
        assert_eq!(q.slice(4, 2), None);
    }

    #[test]
    fn finds_across_chunks() {
        let q = queue(&[b"abc", b"", b"xaz"]);
        assert_eq!(q.find(b'a', 0), Some(0));
        assert_eq!(q.find(b'a', 1), Some(4));
        assert_eq!(q.find(b'a', 5), None);
        assert_eq!(q.read::<4>(1), Some(*b"bcxa"));
        assert_eq!(q.read::<4>(3), None);
    }
}
