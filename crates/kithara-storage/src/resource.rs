use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::claim::ReleaseClaim;
use crate::disk::Disk;
use crate::fs::FilePath;
use crate::memory::Memory;
#[cfg(any(test, feature = "random-access"))]
use crate::random_access::{DynRandomAccess, RandomAccessBackend};
use crate::range_tracker::{Found, RangeTracker, Readable};
use crate::spawn_blocking::{read_cold, spawn_blocking_or_inline};
use crate::{RangeSet, ResourceStatus, StorageError, StorageOptions, Streaming, WaitOutcome, WriteClaim};

/// Offsets at or above this exceed the operating system's `off_t`.
const MAX_OFFSET: u64 = i64::MAX as u64;

/// A resource on disk or in memory. Cloning gives another handle on it.
///
/// Open a path once and share the handle: a second `disk` of the same path is like another process, and cannot write while
/// the first one does.
#[derive(Clone)]
pub struct StreamingResource {
    inner: Arc<Inner>,
}

struct Inner {
    tracker: RangeTracker,
    backend: Backend,
}

#[allow(clippy::large_enum_variant, reason = "one for each open resource, and most are on disk")]
enum Backend {
    Disk(Disk),
    Memory(Memory),
    #[cfg(any(test, feature = "random-access"))]
    RandomAccessBackend(RandomAccessBackend),
}

impl StreamingResource {
    /// Opens the resource `path` on disk: complete, begun, or not there yet. Writes nothing; a few short system calls.
    ///
    /// # Errors
    /// [`StorageError::Io`] when something is there that cannot be read.
    pub fn disk(path: impl AsRef<Path>, options: StorageOptions) -> Result<Self, StorageError> {
        Self::at(FilePath::new(path.as_ref()), options)
    }

    /// As [`disk`](Self::disk), at a path of which only a part is trusted.
    ///
    /// # Errors
    /// [`StorageError::Io`] when something is there that cannot be read.
    pub fn at(path: FilePath, options: StorageOptions) -> Result<Self, StorageError> {
        let (disk, found) = Disk::open(path, options)?;
        Ok(Self::new(Backend::Disk(disk), found))
    }

    /// A new, empty resource in memory, in pages of 16 KiB.
    #[must_use]
    pub fn memory() -> Self {
        Self::new(Backend::Memory(Memory::default()), Found::default())
    }

    /// A resource over any [`RandomAccess`](random_access_storage::RandomAccess) storage (feature `random-access`).
    ///
    /// `committed`: it holds a complete resource of this length; otherwise it is taken to be empty. What such a storage holds
    /// of an unfinished resource is not remembered. All its I/O stands in one line: that is how the trait is.
    #[cfg(any(test, feature = "random-access"))]
    pub fn random_access<R>(storage: R, committed: Option<u64>) -> Self
    where
        R: random_access_storage::RandomAccess + Send + 'static,
    {
        let storage: DynRandomAccess = Box::new(storage);
        let ranges = committed.map(|len| 0..len).into_iter().collect();
        Self::new(
            Backend::RandomAccessBackend(RandomAccessBackend::new(storage)),
            Found { committed, ranges, ..Found::default() },
        )
    }

    fn new(backend: Backend, found: Found) -> Self {
        let tracker = RangeTracker::new();
        tracker.adopt(found);
        Self { inner: Arc::new(Inner { tracker, backend }) }
    }

    /// The path of the committed file, for a resource on disk.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.inner.backend {
            Backend::Disk(disk) => Some(disk.path()),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.inner.tracker.waiting()
    }

    /// Whether the resource is committed and was stored with checksums, so that damage to it is noticed. Reads a small file.
    #[must_use]
    pub fn has_checksums(&self) -> bool {
        match (&self.inner.backend, self.len()) {
            (Backend::Disk(disk), Some(len)) => disk.has_sums(len),
            _ => false,
        }
    }

    /// Verifies the blocks of `range` of a committed resource that were not verified before.
    async fn verify(&self, disk: &Disk, range: Range<u64>) -> Result<(), StorageError> {
        let (len, generation) = {
            let state = self.inner.tracker.lock();
            (state.len(), state.generation)
        };
        let Some(sums) = len.and_then(|len| disk.sums(len, generation)) else { return Ok(()) };
        let (true, Some(file)) = (sums.unverified(range.clone()).next().is_some(), disk.file()) else {
            return Ok(());
        };
        let cached = disk.verify(&sums, range.clone(), |buf, offset| file.read_cached(buf, offset));
        let verified = match cached {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let inner = Arc::clone(&self.inner);
                let cold = move || match &inner.backend {
                    Backend::Disk(disk) => disk.verify(&sums, range, |buf, offset| file.read(buf, offset)),
                    _ => Ok(Ok(true)),
                };
                spawn_blocking_or_inline(cold).await?
            }
            verified => verified,
        };
        // A file that is shorter, or cannot be read, is found so by the read itself.
        verified.unwrap_or(Ok(true)).map(drop)
    }

    async fn read_disk(&self, disk: &Disk, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        let Some(mut file) = disk.file() else { return Err(StorageError::NotAvailable { offset }) };
        self.verify(disk, offset..offset + buf.len() as u64).await?;
        loop {
            let read = match file.read_cached(buf, offset) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    read_cold(Arc::clone(&file), offset, buf).await?
                }
                other => other,
            };
            match read {
                Ok(0) => return Err(self.inner.lost(offset + buf.len() as u64, file.len().unwrap_or(0))),
                Ok(read) => return Ok(read),
                Err(error) => {
                    let newer = disk.newer_file(&file);
                    file = newer.ok_or_else(|| StorageError::io("read", disk.path(), error))?;
                }
            }
        }
    }

    /// Runs `work` on the disk backend, on a blocking thread. Other backends do not block and take no thread.
    async fn on_disk(
        &self,
        work: impl FnOnce(&Disk, &RangeTracker) -> Result<(), StorageError> + Send + 'static,
    ) -> Result<(), StorageError> {
        if !matches!(self.inner.backend, Backend::Disk(_)) {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        let run = move || match &inner.backend {
            Backend::Disk(disk) => work(disk, &inner.tracker),
            _ => Ok(()),
        };
        spawn_blocking_or_inline(run).await?
    }

    fn acquire(&self) -> Result<(), StorageError> {
        match &self.inner.backend {
            Backend::Disk(disk) => disk.acquire(&self.inner.tracker),
            _ => Ok(()),
        }
    }

    /// A write without a claim locks the file now.
    fn lock_to_write(&self) -> Result<(), StorageError> {
        match &self.inner.backend {
            Backend::Disk(disk) if !disk.is_locked() => disk.acquire(&self.inner.tracker),
            _ => Ok(()),
        }
    }

    /// The generation that is written to, and the length that it will probably have.
    fn generation_to_write(&self) -> Result<(u64, Option<u64>), StorageError> {
        let state = self.inner.tracker.lock();
        match state.len() {
            Some(len) => Err(StorageError::AlreadyCommitted { len }),
            None => Ok((state.generation, state.expected_len)),
        }
    }

    /// The claim has just been taken: makes it good, or gives it back.
    fn confirm_claim(&self) -> Result<WriteClaim, StorageError> {
        let claim = WriteClaim::new(Arc::<Inner>::clone(&self.inner));
        self.acquire()?;
        self.inner.tracker.clear_failure();
        Ok(claim)
    }

    /// Synchronises beside the download: at most one of these per resource, which ends by itself.
    fn sync_in_background(&self) {
        let beside = BackgroundSync(Arc::downgrade(&self.inner));
        let work = move || {
            if let Err(error) = beside.run() {
                tracing::warn!(%error, "cannot synchronise an unfinished resource");
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }
}

impl Streaming for StreamingResource {
    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        if range.start > range.end {
            return Err(StorageError::InvalidRange { range });
        }
        self.inner.tracker.wait_range(range).await
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        loop {
            let (len, revision) = match self.inner.tracker.readable(offset, buf.len() as u64)? {
                Readable::End => return Ok(0),
                Readable::Bytes { len, revision } => (usize::try_from(len).unwrap_or(usize::MAX), revision),
            };
            let part = &mut buf[..len];
            if part.is_empty() {
                return Ok(0);
            }
            let read = match &self.inner.backend {
                Backend::Disk(disk) => self.read_disk(disk, offset, part).await,
                Backend::Memory(memory) => Ok(memory.read(offset, part)),
                #[cfg(any(test, feature = "random-access"))]
                Backend::RandomAccessBackend(foreign) => {
                    foreign.read(offset, part).await.and_then(|read| match read {
                        0 => Err(self.inner.lost(offset + len as u64, offset)),
                        read => Ok(read),
                    })
                }
            };
            // If anything was reset or given back meanwhile, these may not be the bytes that were promised.
            if self.inner.tracker.is_current(revision) || read.is_err() {
                return read;
            }
        }
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        let range = offset..offset.saturating_add(data.len() as u64);
        if range.end >= MAX_OFFSET {
            return Err(StorageError::InvalidRange { range });
        }
        self.lock_to_write()?;
        let (generation, expected_len) = self.generation_to_write()?;
        let mut writing = None;
        match &self.inner.backend {
            Backend::Disk(disk) => writing = Some(disk.write(offset, data, expected_len)?),
            Backend::Memory(memory) => memory.write(offset, data),
            #[cfg(any(test, feature = "random-access"))]
            Backend::RandomAccessBackend(foreign) => foreign.write(offset, data).await?,
        }
        if !self.inner.tracker.announce(range, generation) {
            return Err(StorageError::NotClaimed);
        }
        if let (Backend::Disk(disk), Some(writing)) = (&self.inner.backend, writing)
            && disk.wrote(&self.inner.tracker, writing, data.len() as u64)
        {
            self.sync_in_background();
        }
        Ok(())
    }

    fn available(&self) -> RangeSet {
        self.inner.tracker.lock().ranges.clone()
    }

    fn available_at(&self, offset: u64) -> u64 {
        self.inner.tracker.lock().ranges.contiguous_from(offset)
    }

    fn status(&self) -> ResourceStatus {
        self.inner.tracker.lock().status.clone()
    }

    fn len(&self) -> Option<u64> {
        self.inner.tracker.lock().len()
    }

    fn expected_len(&self) -> Option<u64> {
        self.inner.tracker.lock().expected_len
    }

    fn set_expected_len(&self, len: u64) {
        let mut state = self.inner.tracker.lock();
        if state.len().is_none() {
            state.expected_len = Some(len);
        }
    }

    fn tag(&self) -> Option<Bytes> {
        self.inner.tracker.lock().tag.clone()
    }

    fn set_tag(&self, tag: Option<Bytes>) {
        self.inner.tracker.lock().tag = tag.filter(|tag| tag.len() <= crate::disk::MAX_TAG);
    }

    fn generation(&self) -> u64 {
        self.inner.tracker.lock().generation
    }

    async fn commit(&self, len: u64) -> Result<(), StorageError> {
        if len >= MAX_OFFSET {
            return Err(StorageError::InvalidRange { range: 0..len });
        }
        self.acquire()?;
        let mut found = None;
        if let Backend::Disk(disk) = &self.inner.backend
            && self.len().is_none()
            && self.available_at(0) >= len
        {
            found = Some(disk.check_len(&self.inner.tracker, len)?);
        }
        self.inner.tracker.commit(len)?;
        #[cfg(any(test, feature = "random-access"))]
        if let Backend::RandomAccessBackend(foreign) = &self.inner.backend {
            return foreign.commit(len).await;
        }
        if let Backend::Memory(memory) = &self.inner.backend {
            memory.discard(len..MAX_OFFSET);
        }
        self.on_disk(move |disk, tracker| disk.persist(tracker, len, found)).await
    }

    fn fail(&self, error: StorageError) {
        self.inner.tracker.update(|state| {
            if state.len().is_none() {
                state.status = ResourceStatus::Failed(error);
            }
        });
    }

    async fn reset(&self) -> Result<(), StorageError> {
        if !self.inner.tracker.is_claimed() {
            return Err(StorageError::NotClaimed);
        }
        match &self.inner.backend {
            Backend::Disk(_) => return self.on_disk(|disk, tracker| disk.reset(tracker)).await,
            Backend::Memory(memory) => {
                self.inner.tracker.reset();
                memory.discard(0..MAX_OFFSET);
            }
            #[cfg(any(test, feature = "random-access"))]
            Backend::RandomAccessBackend(foreign) => {
                self.inner.tracker.reset();
                return foreign.truncate(0).await;
            }
        }
        Ok(())
    }

    async fn discard(&self, range: Range<u64>) -> Result<(), StorageError> {
        if range.start >= range.end || !self.inner.forget(range.clone()) {
            return Ok(());
        }
        if let Backend::Memory(memory) = &self.inner.backend {
            memory.discard(range.clone());
            return Ok(());
        }
        self.on_disk(move |disk, tracker| disk.discard(tracker, range)).await
    }

    async fn flush(&self) -> Result<(), StorageError> {
        #[cfg(any(test, feature = "random-access"))]
        if let Backend::RandomAccessBackend(foreign) = &self.inner.backend {
            return foreign.sync().await;
        }
        self.on_disk(|disk, tracker| disk.sync(tracker)).await
    }

    async fn claim(&self) -> Result<WriteClaim, StorageError> {
        self.inner.tracker.take_claim().await;
        self.confirm_claim()
    }

    fn try_claim(&self) -> Result<Option<WriteClaim>, StorageError> {
        if !self.inner.tracker.try_take_claim() {
            return Ok(None);
        }
        self.confirm_claim().map(Some)
    }
}

impl Inner {
    /// Forgets `range`, unless the resource is committed. True: something was forgotten.
    fn forget(&self, range: Range<u64>) -> bool {
        match &self.backend {
            Backend::Disk(disk) => disk.forget(&self.tracker, range),
            _ => self.tracker.forget(range),
        }
    }

    /// Stored bytes are gone: `actual` is all there is, where there should be bytes up to `expected`.
    fn lost(&self, expected: u64, actual: u64) -> StorageError {
        let committed = !self.forget(actual..u64::MAX);
        StorageError::Truncated { expected, actual, committed }
    }
}

impl ReleaseClaim for Inner {
    fn release_claim(&self) {
        if let Backend::Disk(disk) = &self.backend {
            disk.release(&self.tracker);
        }
        self.tracker.release_claim();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Backend::Disk(disk) = &self.backend {
            disk.close(&self.tracker);
        }
    }
}

/// A synchronisation beside the download. It holds no handle while it waits for the disk, so that the last one can be
/// dropped, and the resource opened anew, meanwhile.
struct BackgroundSync(Weak<Inner>);

impl BackgroundSync {
    fn with<T>(&self, work: impl FnOnce(&Disk, &RangeTracker) -> T) -> Option<T> {
        let inner = self.0.upgrade()?;
        match &inner.backend {
            Backend::Disk(disk) => Some(work(disk, &inner.tracker)),
            _ => None,
        }
    }

    fn run(&self) -> std::io::Result<()> {
        let Some(data) = self.with(Disk::begin_sync).flatten() else { return Ok(()) };
        data.run()?;
        self.with(|disk, tracker| disk.end_sync(tracker, data)).map_or(Ok(()), |map| map?.run())
    }
}

impl Drop for BackgroundSync {
    /// Also of one that never ran, because the runtime was shut down.
    fn drop(&mut self) {
        self.with(|disk, _| disk.sync_is_over());
    }
}

impl fmt::Debug for StreamingResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.tracker.lock();
        let mut out = f.debug_struct("StreamingResource");
        match &self.inner.backend {
            Backend::Disk(disk) => out.field("path", &disk.path()),
            Backend::Memory(_) => out.field("backend", &"memory"),
            #[cfg(any(test, feature = "random-access"))]
            Backend::RandomAccessBackend(_) => out.field("backend", &"random-access"),
        };
        out.field("ranges", &state.ranges).field("status", &state.status).finish_non_exhaustive()
    }
}
