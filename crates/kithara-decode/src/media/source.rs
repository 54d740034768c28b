//! Bytes of a progressive file.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use kithara_stream::{Source, SyncReader};

/// Calls a thread that is blocked in a read of a [`ByteSource`] back.
pub type Interrupter = Box<dyn Fn() + Send + Sync>;

/// Bytes that can be read and moved about in, whose length may be known.
///
/// Reads may give less than asked for; they give 0 only at the end.
pub trait ByteSource: Read + Seek + Send + Sync {
    /// Total length in bytes, if known now. May become known later.
    fn byte_len(&self) -> Option<u64>;

    /// Whether seeking works. Default `true`.
    fn is_seekable(&self) -> bool {
        true
    }

    /// Whether a look at the end costs next to nothing, as in a local file. Default `false`: the end is a round trip
    /// away, and left alone.
    fn is_end_at_hand(&self) -> bool {
        false
    }

    /// How many bytes from `offset` on can be read without a wait. Default: none that are known of, or all where the end is
    /// at hand.
    fn at_hand(&self, offset: u64) -> u64 {
        let _ = offset;
        if self.is_end_at_hand() { u64::MAX } else { 0 }
    }

    /// What makes a blocked read, and each one until [`resume`](Self::resume), fail at once, from another thread. Default
    /// `None`: reads never block for long.
    fn interrupter(&self) -> Option<Interrupter> {
        None
    }

    /// Ends an interruption.
    fn resume(&mut self) {}
}

impl<T: AsRef<[u8]> + Send + Sync> ByteSource for Cursor<T> {
    fn byte_len(&self) -> Option<u64> {
        Some(self.get_ref().as_ref().len() as u64)
    }

    fn is_end_at_hand(&self) -> bool {
        true
    }
}

impl ByteSource for std::fs::File {
    fn byte_len(&self) -> Option<u64> {
        self.metadata().ok().map(|meta| meta.len())
    }

    fn is_end_at_hand(&self) -> bool {
        true
    }
}

impl<S: Source> ByteSource for SyncReader<S> {
    fn byte_len(&self) -> Option<u64> {
        SyncReader::byte_len(self)
    }

    fn is_seekable(&self) -> bool {
        SyncReader::is_seekable(self)
    }

    fn at_hand(&self, offset: u64) -> u64 {
        self.source().available_at(offset)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        let handle = self.cancel_handle();
        Some(Box::new(move || handle.interrupt()))
    }

    fn resume(&mut self) {
        self.cancel_handle().resume();
    }
}

impl<S: ByteSource + ?Sized> ByteSource for Box<S> {
    fn byte_len(&self) -> Option<u64> {
        (**self).byte_len()
    }

    fn is_seekable(&self) -> bool {
        (**self).is_seekable()
    }

    fn is_end_at_hand(&self) -> bool {
        (**self).is_end_at_hand()
    }

    fn at_hand(&self, offset: u64) -> u64 {
        (**self).at_hand(offset)
    }

    fn interrupter(&self) -> Option<Interrupter> {
        (**self).interrupter()
    }

    fn resume(&mut self) {
        (**self).resume();
    }
}

/// Bytes read in one go.
const STEP: usize = 32 * 1024;
/// What is longer is skipped by a seek, and not read through.
const READ_THROUGH: u64 = 64 * 1024;
/// Bytes behind the position that are kept, for short ways back: more than an Ogg page.
const HISTORY: usize = 72 * 1024;

/// A source with the bytes around its position at hand.
pub struct Window {
    source: Box<dyn ByteSource>,
    buffer: Vec<u8>,
    start: usize,
    /// Offset in the source of the byte at `start`.
    offset: u64,
    at_end: bool,
    /// Where the source is taken to end.
    limit: Option<u64>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Window {
    pub(super) fn new(source: Box<dyn ByteSource>) -> Self {
        Self { source, buffer: Vec::new(), start: 0, offset: 0, at_end: false, limit: None }
    }

    pub(super) fn source(&self) -> &dyn ByteSource {
        &*self.source
    }

    pub(super) fn source_mut(&mut self) -> &mut dyn ByteSource {
        &mut *self.source
    }

    /// Takes the source to end at `limit`, if it does not end before.
    pub fn end_at(&mut self, limit: u64) {
        self.limit = Some(limit);
        self.heed_limit();
    }

    /// Length of the source, up to where it is taken to end.
    pub fn byte_len(&self) -> Option<u64> {
        let len = self.source.byte_len();
        self.limit.map_or(len, |limit| Some(len.map_or(limit, |len| len.min(limit))))
    }

    fn heed_limit(&mut self) {
        let Some(left) = self.limit.map(|limit| limit.saturating_sub(self.offset)) else { return };
        if let Ok(left) = usize::try_from(left)
            && self.available().len() >= left
        {
            self.buffer.truncate(self.start + left);
            self.at_end = true;
        }
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is at hand from the position on.
    pub fn available(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// What is left of the bytes before the position.
    pub(super) fn history(&self) -> &[u8] {
        &self.buffer[..self.start]
    }

    /// What is at hand, at least `count` bytes of it unless the source ends before.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.available().len() < count && !self.at_end {
            self.read_more()?;
        }
        Ok(self.available())
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.start >= 2 * HISTORY {
            self.buffer.drain(..self.start - HISTORY);
            self.start = HISTORY;
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + STEP, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.at_end = read? == 0;
        self.heed_limit();
        Ok(())
    }

    /// Steps over `count` bytes that are at hand.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.available().len());
        self.start += count;
        self.offset += count as u64;
    }

    /// Steps over `len` bytes. Few are read through: a seek may cost more than they do.
    ///
    /// # Errors
    /// The source cannot be read or moved.
    pub fn skip(&mut self, len: u64) -> io::Result<()> {
        if len <= READ_THROUGH {
            self.peek(len as usize)?;
        }
        self.move_to(self.offset.saturating_add(len))
    }

    /// Moves to `offset`; reads and drops what is between where the source cannot seek.
    ///
    /// # Errors
    /// The source cannot be read or moved.
    pub fn move_to(&mut self, offset: u64) -> io::Result<()> {
        let ahead = offset.checked_sub(self.offset);
        if let Some(ahead) =
            ahead.and_then(|ahead| usize::try_from(ahead).ok()).filter(|&n| n <= self.available().len())
        {
            self.consume(ahead);
            return Ok(());
        }
        let back = self.offset.checked_sub(offset).and_then(|back| usize::try_from(back).ok());
        if let Some(back) = back.filter(|&back| back <= self.start) {
            self.start -= back;
            self.offset = offset;
            return Ok(());
        }
        if self.source.is_seekable() {
            self.source.seek(SeekFrom::Start(offset))?;
            self.buffer.clear();
            (self.start, self.offset, self.at_end) = (0, offset, false);
            self.heed_limit();
            return Ok(());
        }
        if ahead.is_none() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this source cannot be rewound"));
        }
        while self.offset < offset && !self.peek(1)?.is_empty() {
            self.consume(usize::try_from(offset - self.offset).unwrap_or(usize::MAX));
        }
        Ok(())
    }
}
