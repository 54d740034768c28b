//! Opening a presentation.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use kithara_assets::{AssetStore, Assets};
use kithara_decode::{AudioSpec, PcmChunk, PcmReader, SegmentDecoderSettings};
use kithara_net::{DefaultNet, Net, RedactedUrl};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tracing::Instrument;
use url::Url;

use crate::abr::{AbrControl, AbrController, VariantMode};
use crate::adapter::HlsSourceAdapter;
use crate::error::HlsError;
use crate::events::HlsEvent;
use crate::fetch::FetchManager;
use crate::loader;
use crate::options::{HlsOptions, VariantInfo};
use crate::pcm::HlsPcm;
use crate::presentation::Presentation;
use crate::reader_state::reader_state;
use crate::scheduler::{HLS_CHUNK_CHANNEL_CAPACITY, HlsWorkerSource, Parts, Planner};
use crate::shared::{HlsStats, Shared};

/// Opens HLS presentations (RFC 8216).
#[derive(Debug)]
pub struct Hls;

impl Hls {
    /// Opens the presentation at `url`, a master or a media playlist, and decodes its first PCM.
    ///
    /// Needs a tokio runtime, current-thread or multi-thread, with time and I/O enabled: the downloads run there, in
    /// tasks that the stream owns. Decoding happens wherever the stream is read.
    ///
    /// Dropping the future cancels everything it has begun; what was downloaded stays in the store.
    ///
    /// # Errors
    /// [`HlsError`]: the playlist cannot be had or is none, nothing in it can be decoded here, or its first segment
    /// fails from every variant.
    pub async fn open<N: Net, A: Assets>(
        url: Url,
        options: HlsOptions<N, A>,
    ) -> Result<HlsStream<A>, HlsError> {
        Handle::try_current().map_err(|_| HlsError::NoRuntime)?;
        // Large while it lasts: the task of an application that opens a stream and then reads it need not have room for it.
        let span = tracing::debug_span!("hls", url = %RedactedUrl(&url));
        Box::pin(Self::open_stream(url, options)).instrument(span).await
    }

    async fn open_stream<N: Net, A: Assets>(
        url: Url,
        options: HlsOptions<N, A>,
    ) -> Result<HlsStream<A>, HlsError> {
        let shared = Arc::new(Shared::new(options.event_capacity));
        let events = shared.events.subscribe();
        let fetches = FetchManager::new(&options, url.clone(), Arc::clone(&shared));
        let small = fetches.small().clone();
        let mut playlists = loader::open(url, &small, &options).await?;
        let variants = playlists.variant_infos();
        check(options.variant, &variants)?;
        loader::load_stored(&mut playlists, &small).await;
        let mut abr = AbrController::new(options.abr, &playlists.bandwidths(), options.variant);
        let (control, observer) = (abr.control(), Arc::clone(&shared));
        abr.observe(move |decision, inputs| observer.emit(HlsEvent::decision(decision, inputs)));
        let first = loader::load_first(&mut playlists, &mut abr, &small, &shared).await?;
        for event in playlists.take_events() {
            shared.emit(event);
        }
        let duration = playlists.duration(first);
        shared.emit(HlsEvent::Opened { variants: variants.clone(), duration });

        let start = playlists.start(first, options.start, options.live_start);
        if let Some(wanted) = start.wanted {
            shared.emit(HlsEvent::SeekClamped { wanted, to: start.position });
        }
        let is_in_middle = !start.position.is_zero();
        // The first segment tells format and time, from which every other one is reached to the frame.
        let from = if start.is_join { start.position } else { Duration::ZERO };
        let planner = Planner::new(playlists, abr, options.look_ahead, from)
            .only_first(is_in_middle && !start.is_join)
            .offline(options.offline);
        let (sender, reader) = reader_state();
        let parts = Parts { planner, fetches, shared: Arc::clone(&shared), reader };
        let worker = kithara_worker::spawn_async(HlsWorkerSource::new(parts), HLS_CHUNK_CHANNEL_CAPACITY);
        let mut settings = SegmentDecoderSettings::new(options.samples);
        settings.output = options.output;
        settings.native = options.native_format;
        let adapter = HlsSourceAdapter::new(worker, sender.clone());
        let bytes = options.bytes;
        let mut pcm = HlsPcm::open(adapter, settings, bytes, Arc::clone(&shared), sender, duration).await?;
        if is_in_middle {
            pcm.start_at(start.position, start.is_join, duration.is_none());
        }
        Ok(HlsStream {
            pcm: PcmReader::new(pcm),
            events: Some(events),
            shared,
            variants,
            abr: control,
            _assets: options.assets,
        })
    }
}

impl<A: Assets> fmt::Debug for HlsStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HlsStream")
            .field("spec", &self.spec())
            .field("variants", &self.variants)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// An open presentation: PCM, events and statistics.
///
/// Dropping it stops its downloads and its worker.
pub struct HlsStream<A: Assets = AssetStore> {
    pcm: PcmReader<HlsPcm<A::Streaming>>,
    events: Option<broadcast::Receiver<HlsEvent>>,
    shared: Arc<Shared>,
    variants: Vec<VariantInfo>,
    abr: AbrControl,
    /// The store outlives what is read from it.
    _assets: A,
}

impl<A: Assets> HlsStream<A> {
    /// Rate and channels of the PCM.
    pub fn spec(&self) -> AudioSpec {
        self.pcm.spec()
    }

    /// Length of the presentation by its playlist; `None` while it may still grow.
    pub fn duration(&self) -> Option<Duration> {
        self.pcm.duration()
    }

    /// The audio ladder, by ascending bandwidth.
    pub fn variants(&self) -> &[VariantInfo] {
        &self.variants
    }

    /// The next PCM, with its position in frames; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`HlsError`]; the stream can be sought and read again after one.
    pub async fn next_chunk(&mut self) -> Result<Option<PcmChunk>, HlsError> {
        self.pcm.next_chunk().await
    }

    /// Moves to `to`, at most to the end: the next PCM begins at exactly the returned frame.
    ///
    /// # Errors
    /// [`HlsError`].
    pub async fn seek(&mut self, to: Duration) -> Result<u64, HlsError> {
        self.pcm.seek(to).await
    }

    /// Locks the variant, or lets the throughput decide again, from the next segment on.
    ///
    /// # Errors
    /// [`HlsError::NoSuchVariant`].
    pub fn set_variant(&mut self, mode: VariantMode) -> Result<(), HlsError> {
        check(mode, &self.variants)?;
        self.pcm.get_mut().set_mode(mode);
        Ok(())
    }

    /// Changes the policy and the bandwidth limits while the stream plays; the handle may be kept beside the stream.
    pub fn abr(&self) -> AbrControl {
        self.abr.clone()
    }

    /// Every face of the PCM: async, blocking, by chunk, by sample, as an iterator.
    pub fn pcm(&mut self) -> &mut PcmReader<HlsPcm<A::Streaming>> {
        &mut self.pcm
    }

    /// What happens from now on; the first call also gets what happened while the stream was being opened.
    pub fn events(&mut self) -> broadcast::Receiver<HlsEvent> {
        self.events.take().unwrap_or_else(|| self.shared.events.subscribe())
    }

    /// Short name of the container that is being decoded: `fmp4`, `mpegts`, `adts`, `mp3`.
    pub fn container(&self) -> Option<&'static str> {
        self.pcm.get_ref().container()
    }

    /// Short name of the codec that is being decoded: `aac`, `flac`, `mp3`, …
    pub fn codec(&self) -> Option<&'static str> {
        self.pcm.get_ref().codec()
    }

    /// The part of a live presentation that can be played now: from the oldest listed segment to the edge, where it is
    /// joined. `None` for a presentation that is complete: all of it can.
    pub fn seekable(&self) -> Option<Range<Duration>> {
        let state = self.shared.state();
        let (window, edge) = (state.window?, state.live_edge?);
        Some(window.start..edge)
    }

    /// How far the position is behind the end of a live playlist; `None` for a presentation that is complete.
    pub fn latency(&self) -> Option<Duration> {
        let window = self.shared.state().window?;
        Some(window.end.saturating_sub(self.spec().position_of(self.pcm.position())))
    }

    /// The stretches of audio that are planned and there, ascending.
    pub fn buffered(&self) -> Vec<Range<Duration>> {
        self.shared.state().buffered
    }

    /// The variant mode that the planner obeys.
    pub fn mode(&self) -> VariantMode {
        self.shared.state().mode
    }

    /// What the stream has done so far.
    pub fn stats(&self) -> HlsStats {
        self.shared.stats()
    }
}

fn check(mode: VariantMode, variants: &[VariantInfo]) -> Result<(), HlsError> {
    match mode {
        VariantMode::Manual(index) if index >= variants.len() => {
            Err(HlsError::NoSuchVariant { index, count: variants.len() })
        }
        _ => Ok(()),
    }
}

impl Default for HlsOptions<DefaultNet, AssetStore> {
    fn default() -> Self {
        Self::new(DefaultNet::default(), AssetStore::memory(kithara_assets::AssetSettings::default()))
    }
}
