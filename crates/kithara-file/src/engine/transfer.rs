//! One response that bytes are taken from, and how fast the network is.

use std::time::Duration;

use bytes::Bytes;
use kithara_net::{Body, ResponseHead, StatusCode};
use kithara_storage::{StorageError, Streaming};
use kithara_stream::{EntityWriter, WriteError, Writer};
use tokio::time::Instant;

use crate::FileError;
use crate::plan::TransferView;

/// The body of a response on its way into the resource.
pub(super) struct Transfer<B> {
    body: B,
    writer: Writer,
    first: u64,
    /// The body goes on to the end of the file: its end is the file's.
    is_last: bool,
}

/// What a step brought.
#[derive(Debug)]
pub(super) enum Step {
    /// So many bytes are stored.
    Wrote(u64),
    /// The body ended at this offset.
    End { at: u64, proven: bool, delivered: u64, is_last: bool },
    /// The body holds other bytes than those that are stored.
    Differs,
    /// The body or the store failed.
    Failed { error: FileError, delivered: u64 },
}

impl<B: Body> Transfer<B> {
    pub(super) fn new(head: &ResponseHead, body: B) -> Self {
        let first = head.body_offset;
        // A part without a total (`bytes 5-9/*`) may be followed by more.
        let is_last = head.status != StatusCode::PARTIAL_CONTENT;
        Self { body, writer: Writer::new(first), first, is_last }
    }

    /// Compares bytes that are stored already, because no validator says that they are the same.
    pub(super) fn comparing(mut self, compares: bool) -> Self {
        self.writer = self.writer.comparing(compares);
        self
    }

    /// Offset of the next byte that will be stored.
    pub(super) fn offset(&self) -> u64 {
        self.writer.offset()
    }

    pub(super) fn view(&self) -> TransferView {
        TransferView { offset: self.offset(), delivered: self.offset() - self.first }
    }

    /// Waits for bytes and stores them. Cancel-safe.
    pub(super) async fn step<R: Streaming>(&mut self, into: &EntityWriter<R>) -> Step {
        match self.writer.step(&mut self.body, into).await {
            Ok(Some(len)) => Step::Wrote(len),
            Ok(None) => Step::End {
                at: self.offset(),
                proven: self.body.is_complete(),
                delivered: self.offset() - self.first,
                is_last: self.is_last,
            },
            Err(WriteError::Differs { .. }) => Step::Differs,
            Err(error) => Step::Failed { error: file_error(error), delivered: self.offset() - self.first },
        }
    }

    /// The body, and the bytes of it that were received and not stored.
    pub(super) fn into_body(self) -> (B, Vec<Bytes>) {
        (self.body, self.writer.into_pending())
    }
}

fn file_error(error: WriteError) -> FileError {
    match error {
        WriteError::Storage(error) => error.into(),
        WriteError::Net(error) => error.into(),
        other => StorageError::source(other, false).into(),
    }
}

/// How fast bytes come, and how long an answer takes: tells when waiting beats asking.
#[derive(Debug)]
pub(super) struct Pace {
    latency: Option<Duration>,
    /// Bytes and the time that they took, halved now and then so that the past fades.
    bytes: f64,
    seconds: f64,
    last: Option<Instant>,
    is_stalled: bool,
    /// When the present window of the progress floor began, and the bytes in it.
    window: Option<(Instant, u64)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { latency: None, bytes: 0.0, seconds: 0.0, last: None, is_stalled: false, window: None }
    }
}

impl Pace {
    const LEAST: u64 = 16 * 1024;
    const MOST: u64 = 1 << 20;
    /// Bytes per second: 4 kbit/s, below the bitrate of every codec.
    const FLOOR: f64 = 500.0;
    const WINDOW: Duration = Duration::from_secs(30);

    pub(super) fn opened(&mut self, latency: Duration) {
        self.latency = Some(latency);
        self.last = Some(Instant::now());
        self.is_stalled = false;
        self.window = None;
    }

    /// Bytes came while they were waited for.
    pub(super) fn received(&mut self, len: u64) {
        let now = Instant::now();
        self.is_stalled = false;
        let (_, bytes) = self.window.get_or_insert((now, 0));
        *bytes += len;
        if let Some(last) = self.last.replace(now) {
            self.bytes += len as f64;
            self.seconds += (now - last).as_secs_f64();
            if self.bytes > 2_000_000.0 {
                self.bytes /= 2.0;
                self.seconds /= 2.0;
            }
        }
    }

    /// Whether bytes come more slowly than any audio is played: below [`Self::FLOOR`] over [`Self::WINDOW`].
    pub(super) fn trickles(&mut self) -> bool {
        let Some((since, bytes)) = self.window else { return false };
        if since.elapsed() < Self::WINDOW {
            return false;
        }
        self.window = None;
        (bytes as f64) < Self::FLOOR * Self::WINDOW.as_secs_f64()
    }

    /// The time until the next bytes is not the network's.
    pub(super) fn interrupted(&mut self) {
        self.last = None;
        self.window = None;
        self.is_stalled = false;
    }

    /// Until when bytes should have come, if waiting for them is to beat asking anew.
    pub(super) fn patience(&mut self) -> Instant {
        let since = *self.last.get_or_insert_with(Instant::now);
        since + Duration::from_millis(100) + 2 * self.latency.unwrap_or_default().min(Duration::from_secs(1))
    }

    /// They have not.
    pub(super) fn stalled(&mut self) {
        self.is_stalled = true;
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    /// Bytes that come within the time that a new request would take.
    pub(super) fn reach(&self) -> u64 {
        if self.is_stalled {
            return 0;
        }
        let Some(latency) = self.latency.filter(|_| self.bytes > 0.0) else { return 4 * Self::LEAST };
        let rate = self.bytes / self.seconds.max(1e-6);
        ((rate * latency.as_secs_f64()) as u64).clamp(Self::LEAST, Self::MOST)
    }
}
