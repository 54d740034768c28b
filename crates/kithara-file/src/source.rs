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

    /// What can be read at `offset` now: `Some(0)` at the end, `None` if it has to be waited for.
    async fn read_now(&self, offset: u64, buf: &mut [u8]) -> Result<Option<usize>, FileError> {
        let shared = self.shared();
        if shared.end().is_some_and(|end| offset >= end) {
            return Ok(Some(0));
        }
        let had_room = shared.ring.has_room();
        let read = match shared.ring.read(offset, buf) {
            RingRead::Gone => return Err(FileError::Gone { offset }),
            RingRead::Data(len) => Some(len),
            RingRead::NotYet => None,
            RingRead::Elsewhere => match shared.resource.read_at(offset, buf).await {
                Ok(len) => Some(len),
                Err(StorageError::NotAvailable { .. }) => None,
                Err(StorageError::Truncated { committed: false, .. }) => None,
                Err(StorageError::Truncated { .. }) if shared.damage() => None,
                Err(error) => return Err(error.into()),
            },
        };
        if let Some(len) = read.filter(|&len| len > 0) {
            shared.same_version(&self.cell)?;
            shared.progressed(&self.cell, offset, offset + len as u64);
        }
        if !had_room {
            shared.poke();
        }
        Ok(read)
    }

    /// Runs `look` until it finds something, waiting for changes in between.
    async fn wait_until_read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, FileError> {
        let shared = self.shared();
        let mut wait = None;
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(len) = self.read_now(offset, buf).await? {
                return Ok(len);
            }
            if shared.offline {
                return Err(FileError::Offline { url: shared.url.clone(), offset });
            }
            wait.get_or_insert_with(|| shared.begin_wait(&self.cell, offset)).check()?;
            tokio::select! {
                () = changed => {}
                // Its errors are found by the next read.
                _ = shared.resource.wait_range(offset..offset.saturating_add(1)) => {}
            }
        }
    }
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
            let end = shared.end().unwrap_or(u64::MAX);
            if range.start >= end {
                return Ok(WaitOutcome::Eof);
            }
            let missing = range.start.saturating_add(shared.resource.available_at(range.start));
            if missing >= range.end.min(end) {
                return Ok(WaitOutcome::Ready);
            }
            if shared.offline {
                return Err(FileError::Offline { url: shared.url.clone(), offset: missing });
            }
            wait.get_or_insert_with(|| shared.begin_wait(&self.cell, missing)).check()?;
            tokio::select! {
                () = changed => {}
                outcome = shared.resource.wait_range(range.start..range.end.min(end)) => { outcome?; }
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

    fn media_info(&self) -> MediaInfo {
        self.info.clone()
    }

    fn error_kind(error: &FileError) -> io::ErrorKind {
        error.io_kind()
    }
}
