//! The layer that gives out processed handles.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::processor::{Processor, ProcessorId};
use super::resource::{ProcessedResource, View};
use crate::catalog::{Catalog, RemovalObserver, VerifyReport};
use crate::{Assets, AssetsError, ResourceKey};

/// Opens resources as they are, or decrypted. All handles on one resource with one processor share what is processed.
#[derive(Clone)]
pub struct ProcessingAssets<A> {
    inner: A,
    window: usize,
    views: Arc<Views>,
}

#[derive(Default)]
struct Views(Mutex<HashMap<(ResourceKey, ProcessorId), Weak<View>>>);

impl Views {
    fn view(&self, key: &ResourceKey, processor: Processor, window: usize) -> Arc<View> {
        let slot = (key.clone(), processor.id());
        let mut views = self.0.lock();
        if let Some(view) = views.get(&slot).and_then(Weak::upgrade) {
            return view;
        }
        // Once in a while, so that it stays cheap and what is gone does not pile up.
        if views.len() == views.capacity() {
            views.retain(|_, view| view.strong_count() > 0);
        }
        let view = Arc::new(View::new(processor.into_chunks(), window));
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
