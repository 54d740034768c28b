//! [`Stream`]: one face for HLS presentations, files and stations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kithara_decode::{AudioSpec, PcmChunk, PcmSource};
use kithara_file::{FileEvent, FileStats, FileStream};
use kithara_hls::{HlsEvent, HlsStats, HlsStream, VariantInfo, VariantMode};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::Error;
use crate::events::{StreamEvent, StreamState};
use crate::handle::{Control, StreamHandle};

/// Events that a slow receiver may be behind before it loses the oldest.
const EVENTS: usize = 256;

/// An open HLS presentation, file or station: PCM, position, events and state.
///
/// It is `Send + Sync`. Dropping it ends its downloads and its decoder.
pub struct Stream {
    inner: Inner,
    feed: Feed,
    control: Arc<Control>,
    events: broadcast::Sender<StreamEvent>,
    /// What happened while it was being opened, for the first caller of `events`.
    early: Option<broadcast::Receiver<StreamEvent>>,
    position: Duration,
}

/// Boxed: a stream moves, and both are large.
enum Inner {
    Hls(Box<HlsStream>),
    File(Box<FileStream>),
}

/// The events of either.
enum Feed {
    Hls(broadcast::Receiver<HlsEvent>),
    File(broadcast::Receiver<FileEvent>),
}

impl Feed {
    fn take(&mut self) -> Option<StreamEvent> {
        loop {
            let event = match self {
                Self::Hls(events) => events.try_recv().map(StreamEvent::from),
                Self::File(events) => events.try_recv().map(StreamEvent::from),
            };
            match event {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }

    /// The next event. Cancel-safe.
    async fn recv(&mut self) -> StreamEvent {
        loop {
            let event = match self {
                Self::Hls(events) => events.recv().await.map(StreamEvent::from),
                Self::File(events) => events.recv().await.map(StreamEvent::from),
            };
            match event {
                Ok(event) => return event,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

/// Counters of a stream: [`Stream::stats`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamStats {
    /// Of an HLS presentation.
    Hls(HlsStats),
    /// Of a file or a station.
    File(FileStats),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Stream");
        match &self.inner {
            Inner::Hls(hls) => text.field("hls", hls),
            Inner::File(file) => text.field("file", file),
        };
        text.field("position", &self.position).finish_non_exhaustive()
    }
}

impl From<HlsStream> for Stream {
    fn from(mut hls: HlsStream) -> Self {
        let feed = Feed::Hls(hls.events());
        Self::new(Inner::Hls(Box::new(hls)), feed)
    }
}

impl From<FileStream> for Stream {
    fn from(mut file: FileStream) -> Self {
        let feed = Feed::File(file.events());
        Self::new(Inner::File(Box::new(file)), feed)
    }
}

impl Stream {
    fn new(inner: Inner, feed: Feed) -> Self {
        let (events, early) = broadcast::channel(EVENTS);
        let control = Arc::new(Control::default());
        let mut stream = Self { inner, feed, control, events, early: Some(early), position: Duration::ZERO };
        stream.note_events();
        stream.publish();
        stream
    }

    /// Rate and channels of the PCM.
    #[must_use]
    pub fn spec(&self) -> AudioSpec {
        match &self.inner {
            Inner::Hls(hls) => hls.spec(),
            Inner::File(file) => file.spec(),
        }
    }

    /// Length; `None` for stations and live presentations, and where a file does not tell.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        match &self.inner {
            Inner::Hls(hls) => hls.duration(),
            Inner::File(file) => file.duration(),
        }
    }

    /// Where the next PCM begins.
    #[must_use]
    pub fn position(&self) -> Duration {
        self.position
    }

    /// The next PCM, with its position in frames; `None` at the end, where a seek plays on. Cancel-safe.
    ///
    /// # Errors
    /// [`Error`]; the stream can be sought and read again after one. [`Error::Cancelled`] after
    /// [`StreamHandle::cancel`].
    pub async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, Error> {
        loop {
            self.obey().await?;
            let Some(chunk) = self.wait_chunk().await else { continue };
            self.note_events();
            if let Ok(Some(chunk)) = &chunk {
                let end = chunk.position() + chunk.frames() as u64;
                self.position = chunk.spec().position_of(end);
            }
            self.publish();
            return chunk;
        }
    }

    /// Moves to `to`, at most to the end: the next PCM begins at exactly the returned frame. Dropping the future may
    /// leave the move done or not done.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn seek(&mut self, to: Duration) -> Result<u64, Error> {
        let frame = match &mut self.inner {
            Inner::Hls(hls) => hls.seek(to).await?,
            Inner::File(file) => file.seek(to).await?,
        };
        self.position = self.spec().position_of(frame);
        self.note_events();
        self.publish();
        Ok(frame)
    }

    /// The variants of an HLS ladder by ascending bandwidth; none for a file.
    #[must_use]
    pub fn variants(&self) -> &[VariantInfo] {
        match &self.inner {
            Inner::Hls(hls) => hls.variants(),
            Inner::File(_) => &[],
        }
    }

    /// Locks the variant of an HLS presentation, or lets the throughput decide again, from the next segment on. Without
    /// effect on a file.
    ///
    /// # Errors
    /// [`Error::Hls`] if there is no such variant.
    pub fn set_variant(&mut self, mode: VariantMode) -> Result<(), Error> {
        match &mut self.inner {
            Inner::Hls(hls) => Ok(hls.set_variant(mode)?),
            Inner::File(_) => Ok(()),
        }
    }

    /// Short name of the codec: `aac`, `flac`, `mp3`, …
    #[must_use]
    pub fn codec(&self) -> Option<&'static str> {
        match &self.inner {
            Inner::Hls(hls) => hls.codec(),
            Inner::File(file) => Some(file.details().codec),
        }
    }

    /// Short name of the container: `fmp4`, `mpegts`, `mp3`, `ogg`, …
    #[must_use]
    pub fn container(&self) -> Option<&'static str> {
        match &self.inner {
            Inner::Hls(hls) => hls.container(),
            Inner::File(file) => Some(file.details().container),
        }
    }

    /// Counters of downloads, stalls, switches and gaps.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        match &self.inner {
            Inner::Hls(hls) => StreamStats::Hls(hls.stats()),
            Inner::File(file) => StreamStats::File(file.stats()),
        }
    }

    /// Events; the first call also gets what happened while the stream was being opened. They are passed on while the
    /// stream is read.
    pub fn events(&mut self) -> broadcast::Receiver<StreamEvent> {
        self.early.take().unwrap_or_else(|| self.events.subscribe())
    }

    /// A handle for other threads and tasks: seek, variant, cancel, and the state that a user interface shows.
    #[must_use]
    pub fn handle(&self) -> StreamHandle {
        StreamHandle::new(Arc::clone(&self.control))
    }

    /// The HLS presentation behind it, if it is one.
    pub fn hls_mut(&mut self) -> Option<&mut HlsStream> {
        match &mut self.inner {
            Inner::Hls(hls) => Some(hls),
            Inner::File(_) => None,
        }
    }

    /// The file or station behind it, if it is one.
    pub fn file_mut(&mut self) -> Option<&mut FileStream> {
        match &mut self.inner {
            Inner::Hls(_) => None,
            Inner::File(file) => Some(file),
        }
    }

    /// The next chunk, or `None` when a handle wishes for something. Events are passed on meanwhile; the read goes on
    /// through them, because beginning it anew would itself be an event.
    async fn wait_chunk(&mut self) -> Option<Result<Option<PcmChunk>, Error>> {
        let Self { inner, feed, control, events, .. } = self;
        let mut next = std::pin::pin!(async {
            match inner {
                Inner::Hls(hls) => hls.next_chunk().await.map_err(Error::from),
                Inner::File(file) => file.next_chunk().await.map_err(Error::from),
            }
        });
        loop {
            tokio::select! {
                biased;
                () = control.changed() => return None,
                chunk = &mut next => return Some(chunk),
                event = feed.recv() => note(control, events, event),
            }
        }
    }

    /// Does what handles asked for. A seek whose future was dropped is asked for again.
    async fn obey(&mut self) -> Result<(), Error> {
        let wishes = self.control.wishes();
        if wishes.cancel {
            return Err(Error::Cancelled);
        }
        if let Some(mode) = wishes.variant {
            self.set_variant(mode)?;
        }
        if let Some(to) = wishes.seek {
            let control = Arc::clone(&self.control);
            let unless_done = control.seeking(to);
            self.seek(to).await?;
            unless_done.done();
        }
        Ok(())
    }

    fn note_events(&mut self) {
        while let Some(event) = self.feed.take() {
            note(&self.control, &self.events, event);
        }
    }

    fn publish(&self) {
        let (position, duration) = (self.position, self.duration());
        let variant = match &self.inner {
            Inner::Hls(hls) => hls.stats().variant,
            Inner::File(_) => None,
        };
        self.control.publish(|state: &mut StreamState| {
            state.position = position;
            state.duration = duration;
            state.variant = variant;
        });
    }
}

fn note(control: &Control, events: &broadcast::Sender<StreamEvent>, event: StreamEvent) {
    control.note(&event);
    // Without a receiver nobody wants to know.
    let _ = events.send(event);
}

impl PcmSource for Stream {
    type Error = Error;

    fn spec(&self) -> AudioSpec {
        Stream::spec(self)
    }

    fn duration(&self) -> Option<Duration> {
        Stream::duration(self)
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, Error> {
        Stream::next_chunk(self).await
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, Error> {
        Stream::seek(self, to).await
    }
}
