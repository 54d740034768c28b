//! Positioned reads through one buffer.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that one read asks for, if the reader has them at hand.
const READ_SIZE: usize = 32 << 10;

/// A buffer over a reader: what a read gave beyond what was asked for is kept for the next.
#[derive(Debug)]
pub(super) struct Window<R> {
    reader: R,
    /// Where the reader stands, once that is known.
    reader_at: Option<u64>,
    /// Offset of the first byte in `buffer`.
    start: u64,
    buffer: Vec<u8>,
    len: usize,
}

impl<R: Read + Seek> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, reader_at: None, start: 0, buffer: Vec::new(), len: 0 }
    }

    pub(super) fn reader_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    pub(super) fn into_inner(self) -> R {
        self.reader
    }

    /// Makes `[offset, offset + len)` readable by [`slice`](Self::slice), and gives how much of it there is: less only
    /// at the end of the file. Waits for no byte beyond it.
    pub(super) fn fill(&mut self, offset: u64, len: usize) -> io::Result<usize> {
        self.move_to(offset);
        let mut available = self.len - self.within(offset);
        while available < len {
            let end = self.start + self.len as u64;
            if self.reader_at != Some(end) {
                self.reader_at = None;
                self.reader.seek(SeekFrom::Start(end))?;
                self.reader_at = Some(end);
            }
            // Grows by what arrives, not by what a header claims.
            let room = self.len + (len - available).clamp(READ_SIZE, 1 << 20);
            if self.buffer.len() < room {
                self.buffer.resize(room, 0);
            }
            let read = match self.reader.read(&mut self.buffer[self.len..room]) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.reader_at = None;
                    return Err(error);
                }
            };
            self.len += read;
            available += read;
            self.reader_at = Some(end + read as u64);
        }
        Ok(available.min(len))
    }

    /// Drops what lies before `offset`, or everything when `offset` is not in or right behind the buffer.
    fn move_to(&mut self, offset: u64) {
        let end = self.start + self.len as u64;
        if (self.start..=end).contains(&offset) {
            let used = (offset - self.start) as usize;
            // Moving the rest down costs a copy: only when it is small, or the buffer large.
            if used >= READ_SIZE || used == self.len {
                self.buffer.copy_within(used..self.len, 0);
                self.len -= used;
                self.start = offset;
            }
        } else {
            self.start = offset;
            self.len = 0;
        }
        if self.buffer.len() > 4 * READ_SIZE && self.len < READ_SIZE {
            self.buffer.truncate(2 * READ_SIZE);
            self.buffer.shrink_to_fit();
        }
    }

    fn within(&self, offset: u64) -> usize {
        (offset - self.start) as usize
    }

    /// Bytes that the last [`fill`](Self::fill) made readable.
    pub(super) fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.buffer[..self.len].get(from..from.checked_add(len)?)
    }

    /// The length of the file.
    pub(super) fn file_len(&mut self) -> io::Result<u64> {
        self.reader_at = None;
        self.reader.seek(SeekFrom::End(0))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn reads_forward_backward_and_past_the_end() {
        let data: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let mut window = Window::new(Cursor::new(data.clone()));
        for (offset, len) in [(0, 16), (16, 100_000), (5, 10), (150_000, 40_000), (149_999, 3), (199_999, 1)]
        {
            assert_eq!(window.fill(offset, len).unwrap(), len);
            assert_eq!(window.slice(offset, len).unwrap(), &data[offset as usize..][..len]);
        }
        assert_eq!(window.fill(199_990, 100).unwrap(), 10);
        assert_eq!(window.fill(300_000, 1).unwrap(), 0);
        assert_eq!(window.fill(0, 1).unwrap(), 1);
        assert_eq!(window.file_len().unwrap(), 200_000);
        assert_eq!(window.fill(1000, 1).unwrap(), 1);
    }
}
