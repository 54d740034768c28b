//! Resources that are decrypted as they are read: the layer, and the window of decrypted bytes.

mod processor;
mod resource;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::resource::DecryptedView;
use crate::catalog::{Catalog, RemovalObserver, VerifyReport};
use crate::{Assets, AssetsError, ResourceKey};

pub use self::processor::{ChunkProcessor, ProcessError, Processor};
pub use self::resource::ProcessedResource;

pub(crate) use self::processor::ProcessorId;

/// Opens resources as they are, or decrypted. All handles on one resource with one processor share what is processed.
#[derive(Clone)]
pub struct ProcessingAssets<A> {
    inner: A,
    window: usize,
    views: Arc<Views>,
}

#[derive(Default)]
struct Views(Mutex<HashMap<(ResourceKey, ProcessorId), Weak<DecryptedView>>>);

impl Views {
    fn view(&self, key: &ResourceKey, processor: Processor, window: usize) -> Arc<DecryptedView> {
        let slot = (key.clone(), processor.id());
        let mut views = self.0.lock();
        if let Some(view) = views.get(&slot).and_then(Weak::upgrade) {
            return view;
        }
        // Once in a while, so that it stays cheap and what is gone does not pile up.
        if views.len() == views.capacity() {
            views.retain(|_, view| view.strong_count() > 0);
        }
        let view = Arc::new(DecryptedView::new(processor.into_chunks(), window));
        views.insert(slot, Arc::downgrade(&view));
        view
    }
}

impl RemovalObserver for Views {
    fn removed(&self, key: &ResourceKey) {
        self.0.lock().retain(|(kept, _), _| kept != key);
    }
}

impl<A: Assets> ProcessingAssets<A> {
    /// Puts the layer over a store; `window` is the number of processed bytes that is kept per open resource.
    pub fn new(inner: A, window: usize) -> Self {
        let views = Arc::new(Views::default());
        let observer: Arc<dyn RemovalObserver> = views.clone();
        inner.catalog().observe_removals(Arc::downgrade(&observer));
        Self { inner, window, views }
    }

    /// The store below.
    pub fn inner(&self) -> &A {
        &self.inner
    }
}

impl<A: fmt::Display> fmt::Debug for ProcessingAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<A: fmt::Display> fmt::Display for ProcessingAssets<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Processing({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<A: Assets> Assets for ProcessingAssets<A> {
    type Streaming = ProcessedResource<A::Streaming>;
    type Atomic = A::Atomic;

    async fn open_streaming_resource(&self, key: &ResourceKey) -> Result<Self::Streaming, AssetsError> {
        self.inner.open_streaming_resource(key).await.map(ProcessedResource::plain)
    }

    async fn open_processed_resource(
        &self,
        key: &ResourceKey,
        processor: Processor,
    ) -> Result<Self::Streaming, AssetsError> {
        let inner = self.inner.open_streaming_resource(key).await?;
        Ok(ProcessedResource::processed(inner, self.views.view(key, processor, self.window)))
    }

    async fn open_atomic_resource(&self, key: &ResourceKey) -> Result<Self::Atomic, AssetsError> {
        self.inner.open_atomic_resource(key).await
    }

    async fn remove_resource(&self, key: &ResourceKey) -> Result<u64, AssetsError> {
        self.inner.remove_resource(key).await
    }

    async fn verify(&self) -> Result<VerifyReport, AssetsError> {
        self.inner.verify().await
    }

    async fn flush(&self) -> Result<(), AssetsError> {
        self.inner.flush().await
    }

    fn catalog(&self) -> &Arc<Catalog> {
        self.inner.catalog()
    }
}

/// Bytes of a chunk, before rounding to whole units.
pub(super) const CHUNK: usize = 32 << 10;

/// Lets one task work at a time; the others wait for what it makes, and one of them takes over if it is cancelled or fails.
#[derive(Debug, Default)]
pub(super) struct SingleFlight {
    busy: AtomicBool,
    ended: Notify,
}

impl SingleFlight {
    /// The right to work; `None` if another task has it.
    pub(super) fn take(&self) -> Option<Turn<'_>> {
        // Lazily: a turn that is not given must not be made, for it would end that of another when dropped.
        (!self.busy.swap(true, Ordering::Acquire)).then(|| Turn(self))
    }

    /// A future that ends when a turn ends that had not ended when this was called.
    pub(super) fn ended(&self) -> tokio::sync::futures::Notified<'_> {
        self.ended.notified()
    }
}

/// The right to work, given back by dropping it.
pub(super) struct Turn<'a>(&'a SingleFlight);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
        self.0.ended.notify_waiters();
    }
}

/// A part of the result that begins at a multiple of the chunk size. It grows by whole units from its start.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) index: u64,
    pub(super) turns: SingleFlight,
    data: Mutex<Vec<u8>>,
}

impl Chunk {
    fn new(index: u64) -> Self {
        Self { index, turns: SingleFlight::default(), data: Mutex::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.data.lock().len()
    }

    /// Appends what was processed, which begins at `from`. For the one whose turn it is.
    pub(super) fn append(&self, from: usize, data: &[u8]) {
        let mut own = self.data.lock();
        debug_assert_eq!(own.len(), from, "only one task works on a chunk");
        own.extend_from_slice(data);
    }

    /// Copies bytes from `from` on, but none at or after `end`.
    pub(super) fn copy(&self, from: usize, end: usize, buf: &mut [u8]) -> usize {
        let data = self.data.lock();
        let there = &data[..data.len().min(end)];
        let Some(rest) = there.get(from..) else { return 0 };
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        len
    }
}

/// The chunks that are kept: those that were used last, of one generation of the resource.
#[derive(Debug)]
pub(super) struct Window {
    capacity: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    generation: u64,
    /// The last used chunk stands last.
    chunks: VecDeque<Arc<Chunk>>,
    /// Length of the input, and of the result.
    lens: Option<(u64, u64)>,
}

impl Window {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), inner: Mutex::default() }
    }

    /// The chunk of this number; an empty one if it is not kept.
    pub(super) fn chunk(&self, generation: u64, index: u64) -> Arc<Chunk> {
        let mut inner = self.inner.lock();
        inner.enter(generation);
        let at = inner.chunks.iter().position(|chunk| chunk.index == index);
        let chunk = at.and_then(|at| inner.chunks.remove(at)).unwrap_or_else(|| Arc::new(Chunk::new(index)));
        inner.chunks.push_back(chunk.clone());
        let surplus = inner.chunks.len().saturating_sub(self.capacity);
        let dropped: Vec<_> = inner.chunks.drain(..surplus).collect();
        drop(inner);
        drop(dropped);
        chunk
    }

    /// The length of the result, if it was found for this input.
    pub(super) fn len(&self, generation: u64, input: u64) -> Option<u64> {
        let mut inner = self.inner.lock();
        inner.enter(generation);
        inner.lens.filter(|(known, _)| *known == input).map(|(_, len)| len)
    }

    pub(super) fn set_len(&self, generation: u64, input: u64, len: u64) {
        let mut inner = self.inner.lock();
        if inner.generation == generation {
            inner.lens = Some((input, len));
        }
    }
}

impl Inner {
    fn enter(&mut self, generation: u64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }
}
