//! [`BytePrefetchSource`]: reads a [`Source`] ahead, into pooled buffers, as a worker's source.

use kithara_bufpool::{BytePool, PooledBytes};
use kithara_worker::{AsyncWorkerSource, CommandOutcome};

use crate::source::Source;

/// Bytes per chunk read ahead.
pub const PREFETCH_CHUNK_BYTES: usize = 64 * 1024;

/// Chunks read ahead of the reader.
pub const PREFETCH_CHUNKS: usize = 4;

/// Size of the first chunk after the start or a seek; each one after it is twice as long, up to the full size. A
/// reader that only looks at a header (as a probe does) costs little, and has its bytes soonest.
const FIRST_CHUNK_BYTES: usize = 8 * 1024;

/// A run of bytes and the offset that it begins at. The buffer returns to its pool on drop.
#[derive(Debug)]
pub struct ByteChunk {
    /// Offset of the first byte.
    pub offset: u64,
    /// The bytes; never empty.
    pub data: PooledBytes,
}

impl ByteChunk {
    /// The bytes from `offset` on, if the chunk holds that offset.
    #[must_use]
    pub fn from_offset(&self, offset: u64) -> Option<&[u8]> {
        let skip = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.data.get(skip..).filter(|rest| !rest.is_empty())
    }
}

/// What a [`BytePrefetchSource`] can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefetchCommand {
    /// Go on at this offset. Everything read before is stale (a new epoch).
    Seek(u64),
}

/// Reads a source from one offset on, chunk by chunk, for a `kithara-worker` to keep ahead of a reader.
#[derive(Debug)]
pub struct BytePrefetchSource<S> {
    source: S,
    pool: BytePool,
    offset: u64,
    next_len: usize,
    chunk_len: usize,
}

impl<S: Source> BytePrefetchSource<S> {
    /// Reads `source` from `offset` in chunks of at most `chunk_len` bytes (at least 1), in buffers of `pool`.
    pub fn new(source: S, offset: u64, chunk_len: usize, pool: BytePool) -> Self {
        let chunk_len = chunk_len.max(1);
        Self { source, pool, offset, next_len: FIRST_CHUNK_BYTES.min(chunk_len), chunk_len }
    }
}

impl<S: Source> AsyncWorkerSource for BytePrefetchSource<S> {
    type Item = ByteChunk;
    type Command = PrefetchCommand;
    type Error = S::Error;

    /// Cancel-safe: the offset moves only with a chunk that is handed over.
    async fn fetch_next(&mut self) -> Result<Option<ByteChunk>, S::Error> {
        let mut data = self.pool.get_with(|buffer| buffer.resize(self.next_len, 0));
        let len = self.source.read_at(self.offset, &mut data).await?;
        if len == 0 {
            return Ok(None);
        }
        data.truncate(len);
        let chunk = ByteChunk { offset: self.offset, data };
        self.offset += len as u64;
        self.next_len = (self.next_len * 2).min(self.chunk_len);
        Ok(Some(chunk))
    }

    fn handle_command(&mut self, command: PrefetchCommand) -> CommandOutcome {
        match command {
            PrefetchCommand::Seek(offset) => {
                self.offset = offset;
                self.next_len = FIRST_CHUNK_BYTES.min(self.chunk_len);
                CommandOutcome::NewEpoch
            }
        }
    }

    fn starts_epoch(command: &PrefetchCommand) -> bool {
        matches!(command, PrefetchCommand::Seek(_))
    }
}

/// How a [`SyncReader`](crate::SyncReader) reads ahead.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PrefetchSettings {
    /// Bytes per chunk. Default [`PREFETCH_CHUNK_BYTES`], 64 KiB.
    pub chunk_len: usize,
    /// Chunks kept ahead of the reader. Default [`PREFETCH_CHUNKS`], 4. Memory: `chunk_len × (chunks + 2)` at most,
    /// and 32 KiB for short reads.
    pub chunks: usize,
    /// Where the buffers come from and return to.
    pub pool: BytePool,
}

impl PrefetchSettings {
    /// The defaults, with buffers of `pool`.
    #[must_use]
    pub fn new(pool: BytePool) -> Self {
        Self { chunk_len: PREFETCH_CHUNK_BYTES, chunks: PREFETCH_CHUNKS, pool }
    }
}
