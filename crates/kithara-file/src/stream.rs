//! [`FileStream`]: what an application holds.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use kithara_decode::{AudioSpec, DecodeAhead, MediaDetails, PcmChunk, PcmReader, PcmSource};
use kithara_storage::Streaming;
use kithara_stream::MediaInfo;
use tokio::sync::broadcast;

use crate::download::Download;
use crate::shared::ReaderCell;
use crate::{FileError, FileEvent, FileStats};

/// The PCM of a file, decoded ahead by a thread of its own.
pub struct FilePcm {
    ahead: DecodeAhead,
    cell: Arc<ReaderCell>,
    download: Option<Arc<dyn Observed>>,
}

impl std::fmt::Debug for FilePcm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilePcm").field("spec", &self.ahead.spec()).finish_non_exhaustive()
    }
}

impl FilePcm {
    fn position_is_estimated(&self) -> bool {
        self.ahead.position_is_estimated()
    }
}

#[deny(clippy::missing_trait_methods)]
impl PcmSource for FilePcm {
    type Error = FileError;

    fn spec(&self) -> AudioSpec {
        self.ahead.spec()
    }

    fn duration(&self) -> Option<Duration> {
        self.ahead.duration()
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, FileError> {
        let cell = &self.cell;
        let (chunk, pull) = {
            let mut next = pin!(self.ahead.next_chunk());
            let mut pull = None;
            // PCM that is at hand is not waited for.
            let chunk = poll_fn(|context| match next.as_mut().poll(context) {
                Poll::Ready(chunk) => Poll::Ready(chunk),
                Poll::Pending => {
                    pull.get_or_insert_with(|| Pull::begin(cell));
                    Poll::Pending
                }
            })
            .await?;
            (chunk, pull)
        };
        drop(pull);
        while let Some(event) = self.ahead.take_event().and_then(FileEvent::of_media) {
            self.cell.emit(event);
        }
        cell.emit_stall(cell.meter.arm(chunk.is_some()));
        if chunk.is_none()
            && let Some(download) = &self.download
        {
            // Whoever stops here finds the file complete the next time.
            download.kept().await;
        }
        Ok(chunk)
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, FileError> {
        self.cell.emit_stall(self.cell.meter.arm(false));
        let frame = self.ahead.seek(to).await?;
        self.cell.emit(FileEvent::Seek { frame });
        Ok(frame)
    }
}

/// Somebody waits for PCM.
struct Pull<'a>(&'a ReaderCell);

impl<'a> Pull<'a> {
    fn begin(cell: &'a ReaderCell) -> Self {
        cell.emit_stall(cell.meter.pulling(true));
        Self(cell)
    }
}

impl Drop for Pull<'_> {
    fn drop(&mut self) {
        self.0.emit_stall(self.0.meter.pulling(false));
    }
}

/// An open file: PCM, events and statistics.
///
/// Dropping it ends its decoder's thread, and its download if no other stream shares it.
pub struct FileStream {
    // Dropped first: the decoder's thread is joined before anything that it reads from goes.
    pcm: PcmReader<FilePcm>,
    cell: Arc<ReaderCell>,
    events: Option<broadcast::Receiver<FileEvent>>,
    download: Option<Arc<dyn Observed>>,
    info: MediaInfo,
    cached: Cached,
    len: Option<u64>,
}

/// What was in the store when the file was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cached {
    pub(crate) hit: bool,
    pub(crate) bytes: u64,
}

/// What a stream is put together from, beside the decoder.
pub(crate) struct Parts<R: Streaming> {
    pub(crate) cell: Arc<ReaderCell>,
    pub(crate) receiver: broadcast::Receiver<FileEvent>,
    pub(crate) download: Option<Arc<Download<R>>>,
    pub(crate) info: MediaInfo,
    pub(crate) cached: Cached,
    pub(crate) len: Option<u64>,
}

impl FileStream {
    pub(crate) fn new<R: Streaming>(ahead: DecodeAhead, parts: Parts<R>) -> Self {
        let download = parts.download.map(|download| download as Arc<dyn Observed>);
        let is_local = download.is_none();
        let pcm = FilePcm { ahead, cell: Arc::clone(&parts.cell), download: download.clone() };
        // A local file is read by a thread, and needs no runtime to be driven.
        let pcm = if is_local { PcmReader::without_runtime(pcm) } else { PcmReader::new(pcm) };
        Self {
            pcm,
            cell: parts.cell,
            events: Some(parts.receiver),
            download,
            info: parts.info,
            cached: parts.cached,
            len: parts.len,
        }
    }

    /// Rate and channels of the PCM.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        self.pcm.spec()
    }

    /// Length, if the file tells or it can be estimated; told anew where playback shows that it is another.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.pcm.duration()
    }

    /// Container, codec, length as stated at the start, and the tags of the audio read last.
    #[must_use]
    pub fn details(&self) -> &MediaDetails {
        self.pcm.source().ahead.details()
    }

    /// What the server and the URL say of the format.
    #[must_use]
    pub fn media_info(&self) -> &MediaInfo {
        &self.info
    }

    /// The next PCM, with its position in frames; `None` at the end. Cancel-safe.
    ///
    /// The end comes once the file, if all of it was downloaded, is safely stored.
    ///
    /// # Errors
    /// [`FileError`]; the stream can be sought and read again after one.
    pub async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, FileError> {
        self.pcm.next_chunk().await
    }

    /// Moves to `to`, at most to the end: the next PCM begins at exactly the returned frame (but see
    /// [`position_is_estimated`](Self::position_is_estimated)).
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn seek(&mut self, to: Duration) -> Result<u64, FileError> {
        self.pcm.seek(to).await
    }

    /// Whether positions are an estimate since the last seek: only without
    /// [`FileOptions::exact_seek`](crate::FileOptions::exact_seek), in an MP3 or ADTS file of variable bit rate whose bytes
    /// before the target are not stored. They are off by a
    /// second or so in an hour where the file has a seek table, count on without a break, and a seek back to what was
    /// played since finds it where it was heard. Known once the first chunk after a seek is there.
    #[must_use]
    pub fn position_is_estimated(&self) -> bool {
        self.pcm.source().position_is_estimated()
    }

    /// Every face of the PCM: async, blocking, by chunk, by sample, as an iterator.
    pub fn pcm(&mut self) -> &mut PcmReader<FilePcm> {
        &mut self.pcm
    }

    /// What happens from now on; the first call also gets what happened while the file was being opened.
    pub fn events(&mut self) -> broadcast::Receiver<FileEvent> {
        self.events.take().unwrap_or_else(|| self.cell.subscribe())
    }

    /// What the stream has done so far.
    #[must_use]
    pub fn stats(&self) -> FileStats {
        let mut stats = FileStats {
            cache_hits: u64::from(self.cached.hit),
            bytes_cached: self.cached.bytes,
            total_bytes: self.len,
            ..FileStats::default()
        };
        if let Some(download) = &self.download {
            download.observe(&mut stats);
        }
        (stats.stalls, stats.stall_time) = self.cell.meter.read();
        stats
    }
}

impl std::fmt::Debug for FileStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStream")
            .field("details", self.details())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A download into any kind of store.
trait Observed: Send + Sync {
    fn observe(&self, stats: &mut FileStats);
    fn kept(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<R: Streaming> Observed for Download<R> {
    fn observe(&self, stats: &mut FileStats) {
        self.add_to(stats);
    }

    fn kept(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.shared().wait_kept())
    }
}
