//! The reader's end of the chunk channel.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use kithara_storage::Streaming;
use kithara_worker::{WorkerError, WorkerHandle};

use crate::abr::VariantMode;
use crate::error::HlsError;
use crate::message::{Failure, HlsCommand, HlsMessage};
use crate::reader_state::ReaderSender;
use crate::segment::SegmentPlace;

/// Messages that the adapter keeps: the segment being read and those read before it.
pub const MAX_BUFFERED_CHUNKS: usize = 5;

/// Bytes of bodies that messages already read may keep from eviction: a memory store cannot drop what a message holds.
const MAX_KEPT_BYTES: u64 = 1 << 20;

/// Hands the worker's messages to the decoder one by one, and keeps the last few for a step back.
///
/// A kept message is a handle on the store, not a copy of a segment; dropping the oldest loses no audio, because a
/// seek there opens its body again from the store.
pub struct HlsSourceAdapter<R> {
    worker: WorkerHandle<HlsMessage<R>, HlsCommand, HlsError>,
    buffered_chunks: VecDeque<HlsMessage<R>>,
    /// Messages at the end of the buffer that are to be read again, after a step back.
    unread: usize,
    reader: ReaderSender,
}

impl<R: fmt::Debug> fmt::Debug for HlsSourceAdapter<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HlsSourceAdapter")
            .field("buffered_chunks", &self.buffered_chunks)
            .field("unread", &self.unread)
            .finish_non_exhaustive()
    }
}

impl<R: Streaming> HlsSourceAdapter<R> {
    /// The adapter of `worker`, which learns through `reader` when a message is waited for.
    pub(crate) fn new(
        worker: WorkerHandle<HlsMessage<R>, HlsCommand, HlsError>,
        reader: ReaderSender,
    ) -> Self {
        Self { worker, buffered_chunks: VecDeque::with_capacity(MAX_BUFFERED_CHUNKS), unread: 0, reader }
    }

    /// The next message; `None` at the end of the presentation. Cancel-safe.
    ///
    /// # Errors
    /// Whatever the worker gave up with.
    pub async fn next(&mut self) -> Result<Option<HlsMessage<R>>, HlsError> {
        if self.unread > 0 {
            let index = self.buffered_chunks.len() - self.unread;
            self.unread -= 1;
            return Ok(self.buffered_chunks.get(index).cloned());
        }
        self.reader.wait();
        match self.worker.recv().await {
            Ok(Some(fetch)) => {
                self.reader.received();
                self.keep(fetch.data.clone());
                Ok(Some(fetch.data))
            }
            Ok(None) => Ok(None),
            Err(WorkerError::Source(error)) => Err(error),
            Err(error) => Err(HlsError::Worker { reason: error.to_string() }),
        }
    }

    fn keep(&mut self, message: HlsMessage<R>) {
        let kept = |chunks: &VecDeque<HlsMessage<R>>| chunks.iter().map(HlsMessage::body_len).sum::<u64>();
        while self.buffered_chunks.len() >= MAX_BUFFERED_CHUNKS
            || kept(&self.buffered_chunks) > MAX_KEPT_BYTES
        {
            self.buffered_chunks.pop_front();
        }
        self.buffered_chunks.push_back(message);
    }

    /// Makes the segment that holds `to` the next one: from the kept messages, or by the worker.
    pub fn seek(&mut self, to: Duration) {
        match self.kept(to) {
            Some(index) => self.unread = self.buffered_chunks.len() - index,
            None => self.restart(to, HlsCommand::Seek { to }),
        }
    }

    fn kept(&self, to: Duration) -> Option<usize> {
        self.buffered_chunks.iter().position(|m| m.start <= to && to < m.start + m.duration)
    }

    /// Asks the worker for another source of a segment that failed.
    pub(crate) fn failed(&mut self, segment: SegmentPlace, resume_at: Duration, failure: Failure) {
        self.restart(resume_at, HlsCommand::Failed { segment, resume_at, failure });
    }

    /// Changes the variant mode from the segment at `from` on.
    pub(crate) fn set_mode(&mut self, mode: VariantMode, from: Duration) {
        self.forget_from(from);
        self.send(HlsCommand::SetMode { mode, from });
    }

    fn forget_from(&mut self, from: Duration) {
        self.buffered_chunks.retain(|message| message.start < from);
        self.unread = self.unread.min(self.buffered_chunks.len());
    }

    fn restart(&mut self, at: Duration, command: HlsCommand) {
        self.reader.restart(at);
        self.buffered_chunks.clear();
        self.unread = 0;
        self.send(command);
    }

    fn send(&self, command: HlsCommand) {
        // A worker that has ended says so to the next `recv`.
        let _ = self.worker.send_command(command);
    }

    /// How many messages are kept.
    pub fn buffered(&self) -> usize {
        self.buffered_chunks.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kithara_storage::StreamingResource;
    use kithara_worker::{AsyncWorkerSource, CommandOutcome};
    use parking_lot::Mutex;

    use super::*;
    use crate::abr::SwitchReason;
    use crate::message::Content;
    use crate::playlist::MediaPlaylist;

    type Message = HlsMessage<StreamingResource>;

    const SECOND: Duration = Duration::from_secs(1);

    /// Twenty segments of a second, and what it was told.
    #[derive(Default)]
    struct Source {
        next: usize,
        told: Arc<Mutex<Vec<HlsCommand>>>,
    }

    impl AsyncWorkerSource for Source {
        type Item = Message;
        type Command = HlsCommand;
        type Error = HlsError;

        async fn fetch_next(&mut self) -> Result<Option<Message>, HlsError> {
            let segment = self.next;
            self.next += 1;
            Ok((segment < 20).then(|| message(segment)))
        }

        fn handle_command(&mut self, command: HlsCommand) -> CommandOutcome {
            let to = match &command {
                HlsCommand::Seek { to } | HlsCommand::SetMode { from: to, .. } => *to,
                HlsCommand::Failed { resume_at, .. } => *resume_at,
            };
            self.next = to.as_secs() as usize;
            self.told.lock().push(command);
            CommandOutcome::NewEpoch
        }

        fn starts_epoch(_: &HlsCommand) -> bool {
            true
        }
    }

    fn message(segment: usize) -> Message {
        HlsMessage {
            variant: 0,
            reason: SwitchReason::Initial,
            segment,
            number: segment as u64,
            is_first: segment == 0,
            start: SECOND * segment as u32,
            duration: SECOND,
            discontinuity_sequence: 0,
            url: url::Url::parse("http://localhost/segment").unwrap(),
            init: None,
            content: Content::Gap { error: None },
            is_encrypted: false,
            list: list(),
        }
    }

    fn list() -> Arc<MediaPlaylist> {
        let base = url::Url::parse("http://localhost/a.m3u8").unwrap();
        match crate::playlist::parse(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na\n", &base) {
            Ok(crate::playlist::Playlist::Media(media)) => Arc::new(media),
            other => panic!("{other:?}"),
        }
    }

    fn adapter() -> (HlsSourceAdapter<StreamingResource>, Arc<Mutex<Vec<HlsCommand>>>) {
        let source = Source::default();
        let told = Arc::clone(&source.told);
        let worker = kithara_worker::spawn_async(source, crate::HLS_CHUNK_CHANNEL_CAPACITY);
        let (reader, _) = crate::reader_state::reader_state();
        (HlsSourceAdapter::new(worker, reader), told)
    }

    async fn segments(adapter: &mut HlsSourceAdapter<StreamingResource>) -> Vec<usize> {
        let mut segments = Vec::new();
        while let Some(message) = adapter.next().await.unwrap() {
            segments.push(message.segment);
            assert!(adapter.buffered() <= MAX_BUFFERED_CHUNKS);
        }
        segments
    }

    #[tokio::test]
    async fn of_twenty_messages_the_last_five_are_kept() {
        let (mut adapter, _) = adapter();
        assert_eq!(segments(&mut adapter).await, (0..20).collect::<Vec<_>>());
        assert_eq!(adapter.buffered(), 5);
        assert_eq!(adapter.buffered_chunks.front().map(|message| message.segment), Some(15));
    }

    #[tokio::test]
    async fn a_step_back_to_a_kept_message_asks_nobody() {
        let (mut adapter, told) = adapter();
        segments(&mut adapter).await;
        adapter.seek(SECOND * 17 + SECOND / 2);
        assert_eq!(segments(&mut adapter).await, [17, 18, 19]);
        adapter.seek(SECOND * 15);
        assert_eq!(segments(&mut adapter).await, [15, 16, 17, 18, 19]);
        assert!(told.lock().is_empty());
    }

    #[tokio::test]
    async fn a_step_further_back_asks_the_worker_and_loses_nothing() {
        let (mut adapter, told) = adapter();
        segments(&mut adapter).await;
        adapter.seek(SECOND * 3);
        assert_eq!(adapter.buffered(), 0, "what is kept does not follow the new place");
        assert_eq!(segments(&mut adapter).await, (3..20).collect::<Vec<_>>());
        assert!(matches!(told.lock()[..], [HlsCommand::Seek { to }] if to == SECOND * 3));
    }

    #[tokio::test]
    async fn a_change_of_mode_keeps_what_lies_before_it() {
        let (mut adapter, told) = adapter();
        for segment in 0..6 {
            assert_eq!(adapter.next().await.unwrap().map(|message| message.segment), Some(segment));
        }
        adapter.set_mode(VariantMode::Manual(0), SECOND * 5);
        assert_eq!(adapter.buffered(), 4);
        assert_eq!(adapter.next().await.unwrap().map(|message| message.segment), Some(5));
        assert_eq!(told.lock().len(), 1);
    }
}
