//! [`ReadBuffer`]: serves short reads from one buffered chunk.

use crate::Source;

/// Reads below this are served from the buffered chunk: reading from a file costs half a microsecond beside the copy.
const SHORT_READ: usize = 16 * 1024;

/// Bytes of the chunk.
const CHUNK: usize = 32 * 1024;

/// A chunk of a source's bytes. The first short read allocates it; later ones use it again.
#[derive(Default)]
pub(crate) struct ReadBuffer {
    data: Vec<u8>,
    /// Of the first byte.
    offset: u64,
    len: usize,
    /// Of the source, when the bytes were read.
    generation: u64,
}

impl ReadBuffer {
    /// Copies the chunk's bytes at `offset`; `None` if it has none, or the source began anew.
    pub(crate) fn copy<S: Source>(&self, source: &S, offset: u64, buf: &mut [u8]) -> Option<usize> {
        let skip = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let rest = self.data.get(skip..self.len).filter(|rest| !rest.is_empty())?;
        (source.generation() == self.generation).then(|| copy(rest, buf))
    }

    /// Copies from the first byte on, as it was read just now.
    pub(crate) fn first(&self, buf: &mut [u8]) -> usize {
        copy(&self.data[..self.len], buf)
    }

    /// Whether a read of `wanted` bytes is short enough to fill the chunk for it, and `available` has more of them.
    pub(crate) fn should_buffer(wanted: usize, available: u64) -> bool {
        wanted < SHORT_READ && available > wanted as u64
    }

    /// The space for the bytes from `offset` on; empties the chunk.
    pub(crate) fn spare<S: Source>(&mut self, source: &S, offset: u64) -> &mut [u8] {
        self.data.resize(CHUNK, 0);
        (self.offset, self.len, self.generation) = (offset, 0, source.generation());
        &mut self.data
    }

    /// So many bytes were read into the spare space.
    pub(crate) fn filled(&mut self, len: usize) {
        self.len = len;
    }
}

fn copy(from: &[u8], buf: &mut [u8]) -> usize {
    let len = from.len().min(buf.len());
    buf[..len].copy_from_slice(&from[..len]);
    len
}
