//! [`FileSource`]: one reader's view of a download, as a [`Source`].

use std::io;
use std::ops::Range;
use std::sync::Arc;

use kithara_storage::{StorageError, Streaming, WaitOutcome};
use kithara_stream::{MediaInfo, Source};

use tokio::sync::broadcast;

use crate::download::Download;
use crate::ring::RingRead;
use crate::shared::{ReaderCell, Shared};
use crate::{FileError, FileEvent, FileStats};

/// The bytes of a file that is being downloaded. Reading tells the download where bytes are needed.
///
/// Several may share one download; dropping the last one ends it.
#[derive(Debug)]
pub struct FileSource<R: Streaming> {
    download: Arc<Download<R>>,
    cell: Arc<ReaderCell>,
    info: MediaInfo,
}

impl<R: Streaming> FileSource<R> {
    /// Makes `cell` a reader of `download` for as long as the source lives.
    pub(crate) fn attach(download: Arc<Download<R>>, cell: &Arc<ReaderCell>) -> Self {
        download.shared().attach(Arc::clone(cell));
        Self { download, cell: Arc::clone(cell), info: MediaInfo::default() }
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<FileEvent> {
        self.cell.subscribe()
    }

    /// What the download has done so far.
    #[must_use]
    pub fn stats(&self) -> FileStats {
        let mut stats = FileStats::default();
        self.download.add_to(&mut stats);
        stats
    }

    /// What the server said of the format, once it has.
    pub(crate) fn set_media_info(&mut self, info: MediaInfo) {
        self.info = info;
    }

    pub(crate) fn download(&self) -> &Arc<Download<R>> {
        &self.download
    }

    pub(crate) fn cell(&self) -> &Arc<ReaderCell> {
        &self.cell
    }

    pub(crate) fn shared(&self) -> &Shared<R> {
        self.download.shared()
    }

    /// What can be read at `offset` now.
    async fn read_now(&self, offset: u64, buf: &mut [u8]) -> Result<Found, FileError> {
        let shared = self.shared();
        if shared.end().is_some_and(|end| offset >= end) {
            return Ok(Found::Bytes(0));
        }
        let had_room = shared.ring.has_room();
        let found = match shared.ring.read(offset, buf) {
            RingRead::Gone => return Err(FileError::Gone { offset }),
            RingRead::Data(len) => Found::Bytes(len),
            RingRead::NotYet => Found::NotYet,
            RingRead::Elsewhere => match shared.resource.read_at(offset, buf).await {
                Ok(len) => Found::Bytes(len),
                // The store gets no more: what was passed over is gone.
                Err(StorageError::NotAvailable { .. }) if shared.is_live() => {
                    return Err(FileError::Gone { offset });
                }
                Err(StorageError::NotAvailable { .. } | StorageError::Truncated { committed: false, .. }) => {
                    Found::NotYet
                }
                Err(error) if error.is_damage() && !shared.offline => {
                    shared.set_damage(error.into());
                    Found::Damaged
                }
                Err(error) => return Err(error.into()),
            },
        };
        if let Found::Bytes(len @ 1..) = found {
            shared.same_version(&self.cell)?;
            shared.progressed(&self.cell, offset, offset + len as u64);
        }
        if !had_room {
            shared.poke();
        }
        Ok(found)
    }

    /// Looks until there is something, waiting for changes in between.
    async fn wait_until_read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, FileError> {
        let shared = self.shared();
        let mut wait = None;
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = self.read_now(offset, buf).await?;
            if let Found::Bytes(len) = found {
                return Ok(len);
            }
            if shared.offline {
                return Err(FileError::Offline { url: shared.url.clone(), offset });
            }
            wait.get_or_insert_with(|| shared.begin_wait(&self.cell, offset)).check()?;
            tokio::select! {
                () = changed => {}
                // Its errors are found by the next read. Damaged bytes seem to be there until the engine drops them.
                _ = shared.resource.wait_range(offset..offset.saturating_add(1)), if found == Found::NotYet => {}
            }
        }
    }
}

/// What a look at an offset found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// So many bytes; none at the end.
    Bytes(usize),
    /// Nothing yet.
    NotYet,
    /// Bytes that should be there and are not.
    Damaged,
}

impl<R: Streaming> Drop for FileSource<R> {
    fn drop(&mut self) {
        self.shared().detach(&self.cell);
    }
}

#[deny(clippy::missing_trait_methods)]
impl<R: Streaming> Source for FileSource<R> {
    type Error = FileError;

    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, FileError> {
        let shared = self.shared();
        let mut wait = None;
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let end = shared.end().or_else(|| shared.resource.len()).unwrap_or(u64::MAX);
            if range.start >= end {
                return Ok(WaitOutcome::Eof);
            }
            let until = range.end.min(end);
            let stored = range.start.saturating_add(shared.resource.available_at(range.start));
            let missing = shared.ring.reach(stored..until).map_err(|offset| FileError::Gone { offset })?;
            if missing >= until {
                if wait.is_some() {
                    // What comes next is read from here: no more is fetched than the look-ahead from here on.
                    self.cell.set_position(range.start);
                }
                return Ok(WaitOutcome::Ready);
            }
            if shared.offline {
                return Err(FileError::Offline { url: shared.url.clone(), offset: missing });
            }
            let wait = wait.get_or_insert_with(|| shared.begin_wait(&self.cell, missing));
            wait.check()?;
            // The look-ahead counts from what is waited for: it may be less than the range.
            wait.go_on_at(missing);
            tokio::select! {
                () = changed => {}
                outcome = shared.resource.wait_range(missing..missing.saturating_add(1)) => { outcome?; }
            }
        }
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, FileError> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.wait_until_read(offset, buf).await
    }

    fn len(&self) -> Option<u64> {
        self.shared().end()
    }

    fn is_empty(&self) -> bool {
        Source::len(self) == Some(0)
    }

    fn is_seekable(&self) -> bool {
        !self.shared().is_live()
    }

    fn available_at(&self, offset: u64) -> u64 {
        self.shared().resource.available_at(offset)
    }

    fn generation(&self) -> u64 {
        self.shared().resource.generation()
    }

    fn media_info(&self) -> MediaInfo {
        self.info.clone()
    }

    fn error_kind(error: &FileError) -> io::ErrorKind {
        error.io_kind()
    }
}
