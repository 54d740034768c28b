//! [`SyncReader`]: bytes that are still arriving as `Read + Seek`.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use kithara_blocking::Bridge;
use tokio::runtime::Handle;

use crate::prefetch::PrefetchSettings;
use crate::prefetch_reader::PrefetchReader;
use crate::read_buffer::ReadBuffer;
use crate::source::{Source, source_error};
use crate::{CancelHandle, MediaInfo};

/// Reads a [`Source`] as `Read + Seek`, blocking the calling thread until bytes are there.
///
/// Two ways to feed it:
/// - [`prefetching`](Self::prefetching) reads ahead in a task where bytes have to be waited for: for sources whose reads
///   take their time (remote), so that they overlap with what the reader does between its reads. Bytes that the source
///   says it has ([`Source::available_at`]) are read as by `direct`, and the task rests;
/// - [`direct`](Self::direct) reads on the calling thread, straight into the caller's buffer: for sources whose present
///   bytes are at hand (a resource in memory or in the page cache). It costs no task and no copy.
///
/// Both serve reads below 16 KiB from one chunk of 32 KiB, which the first of them makes: a seek within it stays within
/// it, and it is void with the source's [generation](Source::generation).
///
/// A read gives what is there, at least one byte; `Ok(0)` only at the true end; never `WouldBlock`. A failure of the
/// source is an [`io::Error`] that holds the source's typed error (`error.get_ref()`, then downcast); reading again
/// tries again. Seeking does nothing but note the place: a burst of seeks costs what the last one costs.
/// `SeekFrom::End` works as soon as the length is known, and is `Unsupported` until then.
///
/// Blocks: for plain threads. A read that would have to wait inside of async code fails
/// ([`ReadStopped::InAsync`](crate::ReadStopped::InAsync)) rather than stop the runtime, and so does one on the thread of
/// the current-thread runtime that the reader was made in ([`ReadStopped::OwnThread`](crate::ReadStopped::OwnThread)). A [`CancelHandle`] ends a blocked read from any other thread; so does the end of the
/// runtime under a prefetching reader.
pub struct SyncReader<S: Source> {
    source: Arc<S>,
    feed: Feed<S>,
    offset: u64,
    cancel: CancelHandle,
}

enum Feed<S: Source> {
    Direct { bridge: Bridge, buffer: ReadBuffer },
    Prefetch(Box<PrefetchReader<S>>),
}

impl<S: Source> SyncReader<S> {
    /// A reader that reads `source` ahead in a task of the current tokio runtime.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] outside a tokio runtime.
    pub fn prefetching(source: S, settings: PrefetchSettings) -> io::Result<Self> {
        let needs_runtime =
            |_| io::Error::new(io::ErrorKind::Unsupported, "a prefetching reader needs a tokio runtime");
        let runtime = Handle::try_current().map_err(needs_runtime)?;
        let source = Arc::new(source);
        let feed = Feed::Prefetch(Box::new(PrefetchReader::new(Arc::clone(&source), runtime, settings)));
        Ok(Self { source, feed, offset: 0, cancel: CancelHandle::default() })
    }

    /// A reader that reads `source` on the calling thread. Made inside a tokio runtime, its reads run in that runtime's
    /// context (as a source may need that reads a cold file with `spawn_blocking`).
    pub fn direct(source: S) -> Self {
        let feed = Feed::Direct { bridge: Bridge::here(), buffer: ReadBuffer::default() };
        Self { source: Arc::new(source), feed, offset: 0, cancel: CancelHandle::default() }
    }

    /// What ends the blocked read, and all later ones, from another thread.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Total length in bytes, if it is known by now.
    #[must_use]
    pub fn byte_len(&self) -> Option<u64> {
        self.source.len()
    }

    /// Whether any offset can be read.
    #[must_use]
    pub fn is_seekable(&self) -> bool {
        self.source.is_seekable()
    }

    /// What is known about the format without looking at the bytes.
    #[must_use]
    pub fn media_info(&self) -> MediaInfo {
        self.source.media_info()
    }

    /// The offset that the next read begins at.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }
}

impl<S: Source> fmt::Debug for SyncReader<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feed = match self.feed {
            Feed::Direct { .. } => "direct",
            Feed::Prefetch(_) => "prefetching",
        };
        f.debug_struct("SyncReader")
            .field("feed", &feed)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl<S: Source> Read for SyncReader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.feed {
            Feed::Direct { bridge, buffer } => {
                read_direct(&self.source, buffer, bridge, self.offset, buf, &self.cancel)?
            }
            Feed::Prefetch(ahead) => ahead.read(self.offset, buf, &self.cancel)?,
        };
        self.offset += read as u64;
        Ok(read)
    }
}

impl<S: Source> Seek for SyncReader<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, delta) = match to {
            SeekFrom::Start(offset) => (offset, 0),
            SeekFrom::Current(delta) => (self.offset, delta),
            SeekFrom::End(delta) => (self.byte_len().ok_or_else(length_unknown)?, delta),
        };
        self.offset = base.checked_add_signed(delta).ok_or_else(out_of_range)?;
        Ok(self.offset)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.offset)
    }
}

fn read_direct<S: Source>(
    source: &S,
    buffer: &mut ReadBuffer,
    bridge: &Bridge,
    offset: u64,
    buf: &mut [u8],
    cancel: &CancelHandle,
) -> io::Result<usize> {
    cancel.check()?;
    if let Some(len) = buffer.copy(source, offset, buf) {
        return Ok(len);
    }
    let _context = bridge.runtime().map(Handle::enter);
    if !ReadBuffer::should_buffer(buf.len(), source.available_at(offset)) {
        return cancel.block_on(bridge, source.read_at(offset, buf))?.map_err(source_error::<S>);
    }
    let filled = cancel.block_on(bridge, source.read_at(offset, buffer.spare(source, offset)))?;
    buffer.filled(filled.map_err(source_error::<S>)?);
    Ok(buffer.first(buf))
}

fn length_unknown() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the length is not known yet")
}

fn out_of_range() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "seek before the start or past all offsets")
}
