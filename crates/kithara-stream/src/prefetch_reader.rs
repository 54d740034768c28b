//! [`PrefetchReader`]: feeds a prefetching [`SyncReader`](crate::SyncReader).

use std::io;
use std::sync::Arc;

use kithara_blocking::Bridge;
use kithara_worker::{Fetched, TryRecv, WorkerError, WorkerHandle, spawn_async_on};
use tokio::runtime::Handle;

use crate::CancelHandle;
use crate::poll::poll_once;
use crate::prefetch::{ByteChunk, BytePrefetchSource, PrefetchCommand, PrefetchSettings};
use crate::read_buffer::ReadBuffer;
use crate::source::{Source, source_error};

/// Bytes from whichever is soonest: what is in hand, what the task has read ahead, what the source has, and, only when there
/// is none of these, what the task will bring.
///
/// The task begins with the first byte that has to be waited for. Over bytes that are at hand it would be a second copy of each
/// and a hand-over for each chunk. Where the source has to fetch even what it has (from a cold disk), the task does that up to the
/// next seek: a read that is begun here and not waited for is begun again there.
pub(crate) struct PrefetchReader<S: Source> {
    source: Arc<S>,
    runtime: Handle,
    bridge: Bridge,
    settings: PrefetchSettings,
    task: Option<Task<S>>,
    /// What the task brought.
    chunk: Option<ByteChunk>,
    buffer: ReadBuffer,
    /// Where the last read ended. Reading anywhere else is a seek.
    end: u64,
    /// What the source has was not at hand since the last seek.
    is_cold: bool,
}

/// The task that reads ahead.
struct Task<S: Source> {
    worker: WorkerHandle<ByteChunk, PrefetchCommand, S::Error>,
    /// Where the chunk that comes next begins; `None` after an end or an error, when only a seek brings more.
    next: Option<u64>,
}

type Received<S> = Result<Option<Fetched<ByteChunk>>, WorkerError<<S as Source>::Error>>;

impl<S: Source> PrefetchReader<S> {
    pub(crate) fn new(source: Arc<S>, runtime: Handle, settings: PrefetchSettings) -> Self {
        let mut ahead = Self {
            source,
            runtime,
            bridge: Bridge::here(),
            settings,
            task: None,
            chunk: None,
            buffer: ReadBuffer::default(),
            end: 0,
            is_cold: false,
        };
        if ahead.source.available_at(0) == 0 {
            // The reader will want it: the sooner it is on its way the better.
            ahead.task_at(0);
        }
        ahead
    }

    pub(crate) fn read(&mut self, offset: u64, buf: &mut [u8], cancel: &CancelHandle) -> io::Result<usize> {
        if offset != self.end {
            self.is_cold = false;
        }
        let read = self.read_next(offset, buf, cancel)?;
        self.end = offset + read as u64;
        Ok(read)
    }

    fn read_next(&mut self, offset: u64, buf: &mut [u8], cancel: &CancelHandle) -> io::Result<usize> {
        loop {
            cancel.check()?;
            if let Some(rest) = self.chunk.as_ref().and_then(|chunk| chunk.from_offset(offset)) {
                let len = rest.len().min(buf.len());
                buf[..len].copy_from_slice(&rest[..len]);
                return Ok(len);
            }
            self.chunk = None;
            if let Some(len) = self.buffer.copy(&self.source, offset, buf) {
                return Ok(len);
            }
            if let Some(task) = &mut self.task {
                self.chunk = task.take_ready(offset)?;
            }
            if self.chunk.is_some() {
                continue;
            }
            if let Some(read) = self.read_stored(offset, buf)? {
                return Ok(read);
            }
            let bridge = self.bridge.clone();
            let task = self.task_at(offset);
            let received = cancel.block_on(&bridge, task.worker.recv())?;
            match task.took(received)? {
                Some(chunk) => self.chunk = Some(chunk),
                None => return Ok(0),
            }
        }
    }

    /// Reads what the source has at `offset`, or its end; `None` if that has to be waited for.
    fn read_stored(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let available = self.source.available_at(offset);
        if self.is_cold || (available == 0 && self.source.len().is_none_or(|len| offset < len)) {
            return Ok(None);
        }
        let _context = self.runtime.enter();
        if !ReadBuffer::should_buffer(buf.len(), available) {
            let read = poll_once(self.source.read_at(offset, buf)).transpose().map_err(source_error::<S>)?;
            self.is_cold = read.is_none() && available > 0;
            return Ok(read);
        }
        let room = self.buffer.spare(&self.source, offset);
        let Some(filled) =
            poll_once(self.source.read_at(offset, room)).transpose().map_err(source_error::<S>)?
        else {
            self.is_cold = true;
            return Ok(None);
        };
        self.buffer.filled(filled);
        Ok(Some(self.buffer.first(buf)))
    }

    /// The task, whose next chunk begins at `offset`.
    fn task_at(&mut self, offset: u64) -> &mut Task<S> {
        let Self { source, runtime, settings, task, .. } = self;
        let task = task.get_or_insert_with(|| {
            let ahead = BytePrefetchSource::new(
                Arc::clone(source),
                offset,
                settings.chunk_len,
                settings.pool.clone(),
            );
            let worker = spawn_async_on(runtime, ahead, settings.chunks.max(1));
            Task { worker, next: Some(offset) }
        });
        if task.next != Some(offset) {
            // A worker that has ended says so, and why, when it is asked for the next chunk. Its queue cannot be full: it
            // handles commands whatever it waits for.
            let _ = task.worker.send_command(PrefetchCommand::Seek(offset));
            task.next = Some(offset);
        }
        task
    }
}

impl<S: Source> Task<S> {
    /// The chunk that holds `offset`, if it was read ahead. What was read ahead before it is let go.
    fn take_ready(&mut self, offset: u64) -> io::Result<Option<ByteChunk>> {
        while let Some(next) = self.next.filter(|&next| next <= offset) {
            let received = match self.worker.try_recv() {
                Ok(TryRecv::Item(fetch)) => Ok(Some(fetch)),
                // What ends before `offset` says nothing about it.
                Err(error) if next == offset => Err(error),
                _ => return Ok(None),
            };
            let chunk = self.took(received)?.filter(|chunk| chunk.from_offset(offset).is_some());
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
        Ok(None)
    }

    /// Takes what the worker gave; `None` at the end.
    fn took(&mut self, received: Received<S>) -> io::Result<Option<ByteChunk>> {
        self.next = None;
        match received {
            Ok(Some(Fetched { data: chunk, .. })) => {
                self.next = Some(chunk.offset + chunk.data.len() as u64);
                Ok(Some(chunk))
            }
            Ok(None) => Ok(None),
            Err(WorkerError::Source(error)) => Err(source_error::<S>(error)),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}
