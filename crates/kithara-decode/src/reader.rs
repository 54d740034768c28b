//! [`PcmReader`]: the async, blocking and iterator faces over any [`PcmSource`].

use std::time::Duration;

use kithara_blocking::{Bridge, WouldBlock};

use crate::{AudioSpec, PcmChunk, PcmSource};

/// Why a blocking call gave no PCM.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError<E> {
    /// The call was made on a thread that drives an async runtime, which it would block. Use the async methods there,
    /// or call from `spawn_blocking` or a plain thread.
    #[error("blocking read inside an async runtime: use the async methods here, or call from a plain thread")]
    InsideRuntime,
    /// The call was made on the thread of the current-thread runtime in which the stream was opened: while it waits,
    /// nobody drives the stream's tasks.
    #[error(
        "blocking read on the thread of a current-thread runtime, which would stand still: use \
         `runtime.block_on` with the async methods, another thread, or a multi-thread runtime"
    )]
    OwnThread,
    /// The source failed.
    #[error(transparent)]
    Source(E),
}

/// Reads PCM from a source: asynchronously, blocking, or as an `Iterator` over chunks.
///
/// The blocking face works on plain threads and inside `spawn_blocking`; on a thread that drives a runtime it gives
/// [`BlockingError::InsideRuntime`]. It does not drive a runtime: on the thread of the current-thread runtime in which the
/// reader was made it gives [`BlockingError::OwnThread`] instead of waiting for ever; use
/// `runtime.block_on(reader.next_chunk())` there.
#[derive(Debug)]
pub struct PcmReader<S> {
    source: S,
    rest: Option<PcmChunk>,
    position: u64,
    bridge: Bridge,
}

impl<S: PcmSource> PcmReader<S> {
    /// A reader over `source`. Made inside a tokio runtime, its blocking face runs the source in that runtime's context.
    pub fn new(source: S) -> Self {
        Self { source, rest: None, position: 0, bridge: Bridge::here() }
    }

    /// A reader over a source that needs no runtime, because its work runs in threads of its own.
    pub fn without_runtime(source: S) -> Self {
        Self { source, rest: None, position: 0, bridge: Bridge::default() }
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Rate and channels of every chunk.
    pub fn spec(&self) -> AudioSpec {
        self.source.spec()
    }

    /// Length of the whole presentation, if known.
    pub fn duration(&self) -> Option<Duration> {
        self.source.duration()
    }

    /// The frame that the next read begins at, as far as reads and seeks through this reader tell.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next chunk (or what [`read`](Self::read) left of one); `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, S::Error> {
        let chunk = match self.rest.take() {
            Some(rest) => Some(rest),
            None => self.source.next_chunk().await?,
        };
        if let Some(chunk) = &chunk {
            self.position = chunk.position() + chunk.frames() as u64;
        }
        Ok(chunk)
    }

    /// Fills `out` with whole interleaved frames and returns how many samples were written: at least one frame, or
    /// 0 at the end (or if `out` cannot hold one frame). Waits only when nothing is at hand. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub async fn read(&mut self, out: &mut [f32]) -> Result<usize, S::Error> {
        while self.rest.as_ref().is_none_or(|rest| rest.frames() == 0) {
            self.rest = self.source.next_chunk().await?;
            if self.rest.is_none() {
                return Ok(0);
            }
        }
        let Some(rest) = &mut self.rest else { return Ok(0) };
        let channels = usize::from(rest.spec().channels.max(1));
        let samples = rest.samples().len().min(out.len() / channels * channels);
        out[..samples].copy_from_slice(&rest.samples()[..samples]);
        let end = rest.position() + (samples / channels) as u64;
        rest.drop_before(end);
        self.position = end;
        if rest.frames() == 0 {
            self.rest = None;
        }
        Ok(samples)
    }

    /// Moves to `to`; the next read begins at exactly the returned frame, `round(to × rate)`, or at the end of the
    /// presentation if that comes first.
    ///
    /// Dropping the future may leave the move done or not done; call it again to be sure.
    ///
    /// # Errors
    /// Whatever the source reports.
    pub async fn seek(&mut self, to: Duration) -> Result<u64, S::Error> {
        self.rest = None;
        let frame = self.source.seek(to).await?;
        self.position = frame;
        Ok(frame)
    }

    /// [`next_chunk`](Self::next_chunk) for plain threads.
    ///
    /// # Errors
    /// [`BlockingError::InsideRuntime`] where it would block a runtime, or whatever the source reports.
    pub fn next_chunk_blocking(&mut self) -> Result<Option<PcmChunk>, BlockingError<S::Error>> {
        let bridge = self.bridge.clone();
        finish(bridge.block_on(self.next_chunk()))
    }

    /// [`read`](Self::read) for plain threads.
    ///
    /// # Errors
    /// [`BlockingError::InsideRuntime`] where it would block a runtime, or whatever the source reports.
    pub fn read_blocking(&mut self, out: &mut [f32]) -> Result<usize, BlockingError<S::Error>> {
        let bridge = self.bridge.clone();
        finish(bridge.block_on(self.read(out)))
    }

    /// [`seek`](Self::seek) for plain threads.
    ///
    /// # Errors
    /// [`BlockingError::InsideRuntime`] where it would block a runtime, or whatever the source reports.
    pub fn seek_blocking(&mut self, to: Duration) -> Result<u64, BlockingError<S::Error>> {
        let bridge = self.bridge.clone();
        finish(bridge.block_on(self.seek(to)))
    }

    /// The source.
    pub fn get_ref(&self) -> &S {
        &self.source
    }

    /// The source, mutably. Reading or seeking it directly confuses [`position`](Self::position).
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Takes the source out; a partly read chunk is lost.
    pub fn into_inner(self) -> S {
        self.source
    }
}

fn finish<T, E: std::error::Error>(outcome: Result<Result<T, E>, WouldBlock>) -> Result<T, BlockingError<E>> {
    match outcome {
        Ok(result) => result.map_err(BlockingError::Source),
        Err(WouldBlock::OwnThread) => Err(BlockingError::OwnThread),
        Err(_) => Err(BlockingError::InsideRuntime),
    }
}

/// Chunk by chunk, blocking: for plain threads (see [`PcmReader::next_chunk_blocking`]). Fused after `None`, until a seek.
impl<S: PcmSource> Iterator for PcmReader<S> {
    type Item = Result<PcmChunk, BlockingError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk_blocking().transpose()
    }
}
