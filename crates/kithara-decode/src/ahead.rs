//! A progressive file decoded ahead by a thread of its own: [`DecodeAhead`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kithara_stream::MediaInfo;
use kithara_worker::{BlockingWorkerSource, CommandOutcome, WorkerError, WorkerHandle, spawn_blocking};
use parking_lot::Mutex;
use tracing::Span;

use crate::{
    AudioSpec, ByteSource, DecodeError, DecodeOptions, Interrupter, MediaDecoder, MediaDetails, MediaEvent,
    PcmChunk, PcmSource,
};

/// Chunks decoded ahead of the reader.
pub const PCM_CHANNEL_CAPACITY: usize = 20;

/// Events that are kept until they are taken.
const MAX_EVENTS: usize = 64;

/// How far ahead to decode, and how to call off a blocked source.
#[non_exhaustive]
pub struct DecodeAheadSettings {
    /// Chunks decoded ahead of the reader. Default [`PCM_CHANNEL_CAPACITY`].
    pub capacity: usize,
    /// Called once when the reader is dropped, before the worker is: must make a blocked `read` of the source return
    /// with an error, now and for good. Default `None`: a source with an
    /// [`interrupter`](crate::ByteSource::interrupter), or that never blocks for long, needs none.
    pub interrupt: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl std::fmt::Debug for DecodeAheadSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodeAheadSettings").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

impl Default for DecodeAheadSettings {
    fn default() -> Self {
        Self { capacity: PCM_CHANNEL_CAPACITY, interrupt: None }
    }
}

/// Async [`PcmSource`] over a [`MediaDecoder`] that runs on a thread of its own.
///
/// A seek calls the thread back from whatever read it is blocked in, if the source has an
/// [`interrupter`](crate::ByteSource::interrupter). Dropping it ends the thread, and joins it if that cannot take long.
///
/// After an error the next call tries again from the frame that was due.
#[doc(alias = "PcmBuffer")]
pub struct DecodeAhead {
    worker: WorkerHandle<Item, Command, DecodeError>,
    interrupt: Option<Box<dyn FnOnce() + Send + Sync>>,
    details: MediaDetails,
    spec: AudioSpec,
    /// Seeks sent and not yet obeyed are told from interruptions that came late by this count.
    sent: Arc<AtomicU64>,
    is_estimated: Arc<AtomicBool>,
    length: Arc<Mutex<Option<Duration>>>,
    has_failed: bool,
    events: VecDeque<MediaEvent>,
}

impl std::fmt::Debug for DecodeAhead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecodeAhead")
            .field("details", &self.details)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl DecodeAhead {
    /// Starts the thread, which probes `source` and begins to decode; returns once the format is known.
    ///
    /// Cancel-safe: dropping the future ends the thread.
    ///
    /// # Errors
    /// As [`MediaDecoder::open`]; [`DecodeError::Worker`] when no thread can be had.
    pub async fn open(
        source: impl ByteSource + 'static,
        hint: MediaInfo,
        options: DecodeOptions,
        settings: DecodeAheadSettings,
    ) -> Result<Self, DecodeError> {
        let sent = Arc::new(AtomicU64::new(0));
        let is_estimated = Arc::new(AtomicBool::new(false));
        let length = Arc::new(Mutex::new(None));
        let interrupter = source.interrupter();
        let opening = Opening { source: Box::new(source), hint, options };
        let worker_source = Source {
            state: State::Opening(Box::new(opening)),
            span: tracing::debug_span!("decode"),
            has_interrupter: interrupter.is_some(),
            interrupter: Mutex::new(interrupter),
            position: 0,
            sent: Arc::clone(&sent),
            is_estimated: Arc::clone(&is_estimated),
            length: Arc::clone(&length),
            obeyed: 0,
            late_interruptions: 0,
        };
        let mut this = Self {
            worker: spawn_blocking(worker_source, settings.capacity),
            interrupt: settings.interrupt,
            details: MediaDetails::default(),
            spec: AudioSpec::new(0, 0),
            sent,
            is_estimated,
            length,
            has_failed: false,
            events: VecDeque::new(),
        };
        match this.worker.recv().await.map_err(convert)? {
            Some(fetch) => match fetch.data {
                Item::Opened(opened) => {
                    (this.details, this.spec) = *opened;
                    Ok(this)
                }
                Item::Chunk(_) | Item::Event(_) => Err(DecodeError::Worker("PCM before the format".into())),
            },
            None => Err(DecodeError::Worker("ended before it began".into())),
        }
    }

    /// What the media says about itself.
    #[must_use]
    pub fn details(&self) -> &MediaDetails {
        &self.details
    }

    /// The next of the events that were passed by reading, in order: those before the last chunk given.
    pub fn take_event(&mut self) -> Option<MediaEvent> {
        self.events.pop_front()
    }

    fn note(&mut self, event: MediaEvent) {
        if let MediaEvent::TagsChanged(tags) = &event {
            self.details.tags = (**tags).clone();
        }
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        }
    }

    /// See [`MediaDecoder::position_is_estimated`]. Known once the first chunk after a seek is there.
    #[must_use]
    pub fn position_is_estimated(&self) -> bool {
        self.is_estimated.load(Ordering::SeqCst)
    }

    fn send(&self, command: Command) -> Result<(), DecodeError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.worker.send_command(command).map_err(|error| DecodeError::Worker(error.to_string()))
    }
}

impl Drop for DecodeAhead {
    fn drop(&mut self) {
        self.sent.fetch_add(1, Ordering::SeqCst);
        if let Some(interrupt) = self.interrupt.take() {
            interrupt();
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl PcmSource for DecodeAhead {
    type Error = DecodeError;

    fn spec(&self) -> AudioSpec {
        self.spec
    }

    fn duration(&self) -> Option<Duration> {
        self.length.lock().or(self.details.duration)
    }

    async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, DecodeError> {
        if std::mem::take(&mut self.has_failed) {
            self.send(Command::Retry)?;
        }
        loop {
            match self.worker.recv().await {
                Ok(Some(fetch)) => match fetch.data {
                    Item::Chunk(chunk) => return Ok(Some(chunk)),
                    Item::Event(event) => self.note(event),
                    Item::Opened(_) => {}
                },
                Ok(None) => return Ok(None),
                Err(error) => {
                    self.has_failed = error.is_retryable();
                    return Err(convert(error));
                }
            }
        }
    }

    async fn seek(&mut self, to: Duration) -> Result<u64, DecodeError> {
        let frame = self.spec.frame_at(to);
        // Where playback has shown that the file is longer than it says, it is.
        let total = self.details.total_frames.filter(|_| self.duration() <= self.details.duration);
        let frame = total.map_or(frame, |total| frame.min(total));
        self.has_failed = false;
        self.send(Command::Seek(frame))?;
        Ok(frame)
    }
}

fn convert(error: WorkerError<DecodeError>) -> DecodeError {
    match error {
        WorkerError::Source(error) => error,
        other => DecodeError::Worker(other.to_string()),
    }
}

enum Command {
    Seek(u64),
    Retry,
}

enum Item {
    Opened(Box<(MediaDetails, AudioSpec)>),
    Chunk(PcmChunk),
    Event(MediaEvent),
}

struct Opening {
    source: Box<dyn ByteSource>,
    hint: MediaInfo,
    options: DecodeOptions,
}

enum State {
    Opening(Box<Opening>),
    Open(MediaDecoder),
    /// A seek is due before anything else: to the position.
    Moved(MediaDecoder),
    Failed,
}

/// What the thread runs.
struct Source {
    state: State,
    /// Of the thread's work; a child of the one in which the file was opened.
    span: Span,
    interrupter: Mutex<Option<Interrupter>>,
    has_interrupter: bool,
    /// The frame that is due.
    position: u64,
    sent: Arc<AtomicU64>,
    is_estimated: Arc<AtomicBool>,
    length: Arc<Mutex<Option<Duration>>>,
    obeyed: u64,
    /// An interruption belongs to each command, and may come after the command was obeyed.
    late_interruptions: u64,
}

impl Source {
    fn open(&mut self) -> Result<Option<Item>, DecodeError> {
        let State::Opening(opening) = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(None);
        };
        let Opening { source, hint, options } = *opening;
        let decoder = MediaDecoder::open(source, &hint, options)?;
        let item = Item::Opened(Box::new((decoder.details().clone(), decoder.spec())));
        self.state = State::Open(decoder);
        Ok(Some(item))
    }

    fn decode(&mut self) -> Result<Option<Item>, DecodeError> {
        loop {
            let State::Open(decoder) = &mut self.state else {
                if !self.move_to_position()? {
                    return Ok(None);
                }
                continue;
            };
            if let Some(event) = decoder.take_event() {
                return Ok(Some(Item::Event(event)));
            }
            let next = decoder.next_chunk();
            *self.length.lock() = decoder.duration();
            match next {
                Ok(Some(chunk)) => {
                    self.position = chunk.position() + chunk.frames() as u64;
                    return Ok(Some(Item::Chunk(chunk)));
                }
                Ok(None) => return Ok(decoder.take_event().map(Item::Event)),
                Err(error) => {
                    self.expect_move();
                    self.excuse(error)?;
                }
            }
        }
    }

    fn expect_move(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Open(decoder) => State::Moved(decoder),
            other => other,
        };
    }

    /// Seeks to the position that is due; `false` without a decoder.
    fn move_to_position(&mut self) -> Result<bool, DecodeError> {
        let State::Moved(decoder) = &mut self.state else { return Ok(false) };
        match decoder.seek(self.position) {
            Ok(_) => {
                self.is_estimated.store(decoder.position_is_estimated(), Ordering::SeqCst);
                self.state = match std::mem::replace(&mut self.state, State::Failed) {
                    State::Moved(decoder) => State::Open(decoder),
                    other => other,
                };
                Ok(true)
            }
            Err(error) => self.excuse(error).map(|()| true),
        }
    }

    /// Passes the error on, unless it is an interruption that came after its command had been obeyed.
    fn excuse(&mut self, error: DecodeError) -> Result<(), DecodeError> {
        let is_current = self.sent.load(Ordering::SeqCst) == self.obeyed;
        let is_interruption =
            matches!(&error, DecodeError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionAborted);
        if is_current && is_interruption && self.late_interruptions > 0 {
            self.late_interruptions -= 1;
            return Ok(());
        }
        Err(error)
    }
}

impl BlockingWorkerSource for Source {
    type Item = Item;
    type Command = Command;
    type Error = DecodeError;

    fn fetch_next(&mut self) -> Result<Option<Item>, DecodeError> {
        let _inside = self.span.clone().entered();
        match self.state {
            State::Opening(_) => self.open(),
            State::Open(_) | State::Moved(_) => self.decode(),
            State::Failed => Err(DecodeError::Worker("the file could not be opened".into())),
        }
    }

    fn handle_command(&mut self, command: Command) -> CommandOutcome {
        self.obeyed += 1;
        self.late_interruptions += u64::from(self.has_interrupter);
        self.expect_move();
        match command {
            Command::Seek(frame) => {
                self.position = frame;
                CommandOutcome::NewEpoch
            }
            Command::Retry => CommandOutcome::Continue,
        }
    }

    fn starts_epoch(command: &Command) -> bool {
        matches!(command, Command::Seek(_))
    }

    fn interrupter(&self) -> Option<Interrupter> {
        self.interrupter.lock().take()
    }
}
