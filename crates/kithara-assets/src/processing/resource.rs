//! The handle that decrypts or otherwise processes on read.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kithara_storage::{RangeSet, ResourceStatus, StorageError, Streaming, WaitOutcome, WriteClaim};

use super::processor::{ChunkProcessor, ProcessError};
use super::{CHUNK, Chunk, SingleFlight, Turn, Window};

/// A resource as it is, or as a processor makes it.
///
/// Where the processed bytes live: nowhere but in a window of a few chunks of 32 KiB per open resource (see
/// `AssetSettings::processed_window`), so memory stays bounded however large the resource is, and the folder holds what the
/// server sent. Each chunk is processed once for all readers in the window, as its input arrives; a reader never waits for more
/// input than the units it asked for, and one unit beyond where the last unit decides about the length. No lock is held while
/// input is awaited. A failure reaches the reader that met it, is not kept, and is tried again by the next one.
///
/// A processed handle is for reading. Whoever downloads writes to [`raw`](Self::raw).
#[derive(Clone)]
pub struct ProcessedResource<S> {
    inner: S,
    view: Option<Arc<DecryptedView>>,
}

/// The state that all readers of one processed resource share.
pub(super) struct DecryptedView {
    processor: Arc<dyn ChunkProcessor>,
    unit: u64,
    lookback: u64,
    /// Bytes of a chunk: whole units.
    chunk: u64,
    window: Window,
    end: SingleFlight,
}

impl DecryptedView {
    pub(super) fn new(processor: Arc<dyn ChunkProcessor>, window_bytes: usize) -> Self {
        let unit = processor.unit().max(1);
        let chunk = CHUNK.next_multiple_of(unit);
        let lookback = processor.lookback() as u64;
        let window = Window::new(window_bytes / chunk);
        Self {
            processor,
            unit: unit as u64,
            lookback,
            chunk: chunk as u64,
            window,
            end: SingleFlight::default(),
        }
    }

    fn unit_start(&self, offset: u64) -> u64 {
        offset - offset % self.unit
    }

    /// The input that has to be there before the result is there in `range`.
    fn input_of(&self, range: &Range<u64>) -> Range<u64> {
        let start = self.unit_start(range.start).saturating_sub(self.lookback);
        if range.is_empty() {
            return start..start;
        }
        let end = range.end.checked_next_multiple_of(self.unit).unwrap_or(u64::MAX);
        start..end.saturating_add(u64::from(self.processor.trims_end()))
    }

    /// The part of the result that the input `available` gives, if it is not known where it ends.
    fn result_of(&self, available: &Range<u64>) -> Range<u64> {
        let first = if available.start == 0 { 0 } else { available.start.saturating_add(self.lookback) };
        let first = first.checked_next_multiple_of(self.unit).unwrap_or(u64::MAX);
        let held_back = u64::from(self.processor.trims_end());
        let end = self.unit_start(available.end.saturating_sub(held_back));
        first..end.max(first)
    }
}

impl<S> ProcessedResource<S> {
    pub(super) fn plain(inner: S) -> Self {
        Self { inner, view: None }
    }

    pub(super) fn processed(inner: S, view: Arc<DecryptedView>) -> Self {
        Self { inner, view: Some(view) }
    }

    /// The resource as it is stored: what the downloader writes to.
    pub fn raw(&self) -> Self
    where
        S: Clone,
    {
        Self::plain(self.inner.clone())
    }

    /// The handle of the layer below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Whether a processor stands between the storage and the reader.
    #[must_use]
    pub fn is_processed(&self) -> bool {
        self.view.is_some()
    }
}

fn wrong(error: ProcessError) -> StorageError {
    StorageError::source(error, false)
}

impl<S: Streaming> ProcessedResource<S> {
    /// The length of the result, if the input has ended: needs the last unit.
    async fn result_len(&self, view: &DecryptedView) -> Result<Option<u64>, StorageError> {
        loop {
            let generation = self.inner.generation();
            let Some(input) = self.inner.len() else { return Ok(None) };
            if let Some(len) = view.window.len(generation, input) {
                return Ok(Some(len));
            }
            let ended = view.end.ended();
            let Some(_turn) = view.end.take() else {
                ended.await;
                continue;
            };
            let drops_rest = view.processor.drops_rest();
            let whole = if drops_rest { view.unit_start(input) } else { input };
            if !drops_rest && (input % view.unit != 0 || (input == 0 && view.processor.trims_end())) {
                return Err(wrong(ProcessError::Length { len: input, unit: view.processor.unit() }));
            }
            let mut len = whole;
            if view.processor.trims_end() && whole > 0 {
                let start = whole - view.unit;
                let (bytes, before) = self.process(view, start..whole).await?;
                let last = &bytes[before..];
                len = start + view.processor.last_unit(last).map_err(wrong)?.min(last.len()) as u64;
            }
            view.window.set_len(generation, input, len);
            return Ok(Some(len));
        }
    }

    /// Reads whole units of input, all of which are there, and processes them. What comes back begins with the input that
    /// stood before them: the second value says how long that is.
    async fn process(
        &self,
        view: &DecryptedView,
        range: Range<u64>,
    ) -> Result<(Vec<u8>, usize), StorageError> {
        let from = range.start.saturating_sub(view.lookback);
        let to_usize = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let mut bytes = vec![0; to_usize(range.end - from)];
        let mut filled = 0;
        while filled < bytes.len() {
            let offset = from + filled as u64;
            match self.inner.read_at(offset, &mut bytes[filled..]).await? {
                0 => {
                    return Err(StorageError::Truncated {
                        expected: range.end,
                        actual: offset,
                        committed: true,
                    });
                }
                read => filled += read,
            }
        }
        let before = to_usize(range.start - from);
        let (context, data) = bytes.split_at_mut(before);
        view.processor.process(range.start, context, data).map_err(wrong)?;
        Ok((bytes, before))
    }

    /// Lets a chunk grow by what there is input for. `false` if there is none.
    async fn grow(
        &self,
        view: &DecryptedView,
        chunk: &Chunk,
        _turn: &Turn<'_>,
    ) -> Result<bool, StorageError> {
        let have = chunk.len();
        let start = chunk.index * view.chunk + have as u64;
        let chunk_end = (chunk.index + 1) * view.chunk;
        let before = start.saturating_sub(view.lookback);
        let input = before..before + self.inner.available_at(before);
        let end = match self.inner.len() {
            Some(len) => len.min(input.end),
            None => view.result_of(&input).end,
        };
        let end = view.unit_start(end.min(chunk_end));
        if end <= start {
            return Ok(false);
        }
        let (bytes, before) = self.process(view, start..end).await?;
        chunk.append(have, &bytes[before..]);
        Ok(true)
    }

    async fn read_processed(
        &self,
        view: &DecryptedView,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, StorageError> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let generation = self.inner.generation();
            let len = self.result_len(view).await?;
            if len.is_some_and(|len| offset >= len) {
                return Ok(0);
            }
            let chunk = view.window.chunk(generation, offset / view.chunk);
            let start = chunk.index * view.chunk;
            let within = usize::try_from(offset - start).unwrap_or(usize::MAX);
            let end = len.map_or(usize::MAX, |len| usize::try_from(len - start).unwrap_or(usize::MAX));
            let read = chunk.copy(within, end, buf);
            if read > 0 {
                if self.inner.generation() == generation {
                    return Ok(read);
                }
                continue;
            }
            let ended = chunk.turns.ended();
            let Some(turn) = chunk.turns.take() else {
                ended.await;
                continue;
            };
            if chunk.len() <= within && !self.grow(view, &chunk, &turn).await? {
                return match self.inner.status() {
                    ResourceStatus::Failed(error) => Err(error),
                    // The end came meanwhile: now it is known which unit is the last.
                    ResourceStatus::Committed { .. } if len.is_none() => continue,
                    _ => Err(StorageError::NotAvailable { offset }),
                };
            }
        }
    }

    async fn wait_processed(
        &self,
        view: &DecryptedView,
        range: Range<u64>,
    ) -> Result<WaitOutcome, StorageError> {
        loop {
            if let Some(len) = self.result_len(view).await? {
                return Ok(if range.start >= len { WaitOutcome::Eof } else { WaitOutcome::Ready });
            }
            let outcome = self.inner.wait_range(view.input_of(&range)).await?;
            if outcome == WaitOutcome::Ready && self.inner.len().is_none() {
                return Ok(WaitOutcome::Ready);
            }
        }
    }

    /// The length of the result as far as it can be told without waiting.
    fn result_len_now(&self, view: &DecryptedView) -> Result<Option<u64>, StorageError> {
        let Some(input) = self.inner.len() else { return Ok(None) };
        if let Some(len) = view.window.len(self.inner.generation(), input) {
            return Ok(Some(len));
        }
        let mut context = Context::from_waker(Waker::noop());
        match pin!(self.result_len(view)).poll(&mut context) {
            Poll::Ready(len) => len,
            Poll::Pending => Ok(None),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: Streaming> Streaming for ProcessedResource<S> {
    async fn wait_range(&self, range: Range<u64>) -> Result<WaitOutcome, StorageError> {
        match &self.view {
            Some(view) if range.start <= range.end => self.wait_processed(view, range).await,
            _ => self.inner.wait_range(range).await,
        }
    }

    async fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StorageError> {
        match &self.view {
            Some(view) => self.read_processed(view, offset, buf).await,
            None => self.inner.read_at(offset, buf).await,
        }
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        match &self.view {
            Some(_) => Err(wrong(ProcessError::ReadOnly)),
            None => self.inner.write_at(offset, data).await,
        }
    }

    fn available(&self) -> RangeSet {
        let Some(view) = &self.view else { return self.inner.available() };
        let available = self.inner.available();
        match (self.inner.len(), self.result_len_now(view)) {
            (Some(_), Ok(Some(len))) => Some(0..len).into_iter().collect(),
            _ => available
                .iter()
                .map(|range| view.result_of(&range))
                .filter(|range| !range.is_empty())
                .collect(),
        }
    }

    fn available_at(&self, offset: u64) -> u64 {
        let Some(view) = &self.view else { return self.inner.available_at(offset) };
        if let Ok(Some(len)) = self.result_len_now(view) {
            return len.saturating_sub(offset);
        }
        let start = view.unit_start(offset).saturating_sub(view.lookback);
        let input = start..start.saturating_add(self.inner.available_at(start));
        view.result_of(&input).end.saturating_sub(offset)
    }

    /// As of the storage, but for the length, which is that of the result. While it cannot be told without waiting for the
    /// disk, the resource is still `Open`.
    fn status(&self) -> ResourceStatus {
        let Some(view) = &self.view else { return self.inner.status() };
        match (self.inner.status(), self.result_len_now(view)) {
            (ResourceStatus::Committed { .. }, Ok(Some(len))) => ResourceStatus::Committed { len },
            (ResourceStatus::Committed { .. }, Ok(None)) => ResourceStatus::Open,
            (ResourceStatus::Committed { .. }, Err(error)) => ResourceStatus::Failed(error),
            (status, _) => status,
        }
    }

    fn len(&self) -> Option<u64> {
        match &self.view {
            Some(view) => self.result_len_now(view).ok().flatten(),
            None => self.inner.len(),
        }
    }

    /// Of the result once it is known, else that of the storage: at most one unit more.
    fn expected_len(&self) -> Option<u64> {
        self.len().or_else(|| self.inner.expected_len())
    }

    fn set_expected_len(&self, len: u64) {
        self.inner.set_expected_len(len);
    }

    fn tag(&self) -> Option<Bytes> {
        self.inner.tag()
    }

    fn set_tag(&self, tag: Option<Bytes>) {
        self.inner.set_tag(tag);
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }

    async fn commit(&self, len: u64) -> Result<(), StorageError> {
        match &self.view {
            Some(_) => Err(wrong(ProcessError::ReadOnly)),
            None => self.inner.commit(len).await,
        }
    }

    fn fail(&self, error: StorageError) {
        self.inner.fail(error);
    }

    async fn reset(&self) -> Result<(), StorageError> {
        self.inner.reset().await
    }

    /// Of a processed resource whole units, so that what is before and behind stays readable.
    async fn discard(&self, range: Range<u64>) -> Result<(), StorageError> {
        let Some(view) = &self.view else { return self.inner.discard(range).await };
        let start = range.start.checked_next_multiple_of(view.unit).unwrap_or(u64::MAX);
        let end = view.unit_start(range.end).saturating_sub(view.lookback);
        self.inner.discard(start..end.max(start)).await
    }

    async fn flush(&self) -> Result<(), StorageError> {
        self.inner.flush().await
    }

    async fn claim(&self) -> Result<WriteClaim, StorageError> {
        self.inner.claim().await
    }

    fn try_claim(&self) -> Result<Option<WriteClaim>, StorageError> {
        self.inner.try_claim()
    }
}

impl<S: fmt::Debug> fmt::Debug for ProcessedResource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processor = self.view.as_ref().map(|view| &view.processor);
        f.debug_struct("ProcessedResource")
            .field("inner", &self.inner)
            .field("processor", &processor)
            .finish()
    }
}
