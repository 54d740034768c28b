//! [`Options`]: everything that [`open`](crate::open) can be told, for HLS and files alike.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_bufpool::{PoolSettings, SamplePool};
use kithara_decode::{ChannelLayout, OutputOptions};
use kithara_file::{Downloads, FileOptions};
use kithara_hls::{AudioPreference, HlsOptions, VariantMode};
use kithara_net::{DefaultNet, HeaderName, HeaderValue, NetOptions};

use crate::{Error, Stream};

/// How streams are opened. Clones share connections, the store and buffers: make one, and clone or borrow it for each
/// stream.
#[derive(Clone)]
pub struct Options {
    net: NetOptions,
    stack: Arc<OnceLock<DefaultNet>>,
    store: AssetStore,
    downloads: Downloads,
    samples: SamplePool,
    output: OutputOptions,
    start: Option<Duration>,
    variant: VariantMode,
    audio: AudioPreference,
    offline: bool,
    store_keys: bool,
    open_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("net", &self.net)
            .field("store", &self.store)
            .field("output", &self.output)
            .field("start", &self.start)
            .field("variant", &self.variant)
            .field("audio", &self.audio)
            .field("offline", &self.offline)
            .field("store_keys", &self.store_keys)
            .field("open_timeout", &self.open_timeout)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults: downloads stay in memory, bounded, and are gone with these options.
    #[must_use]
    pub fn new() -> Self {
        Self {
            net: NetOptions::default(),
            stack: Arc::default(),
            store: AssetStore::memory(AssetSettings::default()),
            downloads: Downloads::default(),
            samples: SamplePool::new(PoolSettings::default()),
            output: OutputOptions::default(),
            start: None,
            variant: VariantMode::Auto,
            audio: AudioPreference::default(),
            offline: false,
            store_keys: false,
            open_timeout: Duration::from_secs(30),
        }
    }

    /// Keeps downloads in this folder, at most 1 GiB, across runs of the program and for offline playback.
    ///
    /// # Errors
    /// [`Error::Store`] if the folder cannot be made or used.
    pub fn with_cache(self, folder: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(self.with_store(AssetStore::disk(folder, AssetSettings::default())?))
    }

    /// Keeps downloads in this store.
    #[must_use]
    pub fn with_store(mut self, store: AssetStore) -> Self {
        self.store = store;
        self
    }

    /// Sets the network: timeouts, retries, proxy, cookies, certificates. Default: [`NetOptions::default`].
    #[must_use]
    pub fn with_net(mut self, net: NetOptions) -> Self {
        self.net = net;
        self.stack = Arc::default();
        self
    }

    /// Adds a header to requests: see [`HttpOptions::headers`](kithara_net::HttpOptions::headers) for where it is sent.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.net = self.net.with_header(name, value);
        self.stack = Arc::default();
        self
    }

    /// Sets the sample rate of the PCM in Hz. Default: the stream's own.
    #[must_use]
    pub fn with_sample_rate(mut self, sample_rate: u32) -> Self {
        self.output.rate = Some(sample_rate);
        self
    }

    /// Sets the channels of the PCM. Default: the stream's own. Fewer are made by the downmix of ITU-R BS.775.
    #[must_use]
    pub fn with_layout(mut self, layout: ChannelLayout) -> Self {
        self.output.layout = Some(layout);
        self
    }

    /// Sets the channels of the PCM to the usual layout of so many.
    #[must_use]
    pub fn with_channels(mut self, channels: u16) -> Self {
        self.output = self.output.with_channels(channels);
        self
    }

    /// Begins at this position. Default: the beginning, or where an HLS playlist says.
    #[must_use]
    pub fn with_start(mut self, start: Duration) -> Self {
        self.start = Some(start);
        self
    }

    /// Sets which variant of an HLS ladder plays. Default [`VariantMode::Auto`].
    #[must_use]
    pub fn with_variant(mut self, variant: VariantMode) -> Self {
        self.variant = variant;
        self
    }

    /// Sets which audio rendition plays where an HLS presentation offers several.
    #[must_use]
    pub fn with_audio(mut self, audio: AudioPreference) -> Self {
        self.audio = audio;
        self
    }

    /// Uses the store alone and never the network. Default `false`.
    #[must_use]
    pub fn with_offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Keeps decryption keys in the store, which offline playback of encrypted presentations needs. Default `false`.
    #[must_use]
    pub fn with_store_keys(mut self, store_keys: bool) -> Self {
        self.store_keys = store_keys;
        self
    }

    /// Sets how long opening may take in all, retries included. Default 30 s.
    #[must_use]
    pub fn with_open_timeout(mut self, timeout: Duration) -> Self {
        self.open_timeout = timeout;
        self
    }

    /// Opens `target` with these options: see [`open`](crate::open).
    ///
    /// # Errors
    /// As [`open`](crate::open).
    pub async fn open(&self, target: impl AsRef<str>) -> Result<Stream, Error> {
        crate::open::open(target.as_ref(), self).await
    }

    pub(crate) fn open_timeout(&self) -> Duration {
        self.open_timeout
    }

    pub(crate) fn start(&self) -> Option<Duration> {
        self.start
    }

    /// One stack for all clones: they share its connections.
    pub(crate) fn stack(&self) -> DefaultNet {
        self.stack.get_or_init(|| self.net.clone().build()).clone()
    }

    pub(crate) fn hls<N>(&self, net: N) -> HlsOptions<N, AssetStore> {
        let mut options = HlsOptions::new(net, self.store.clone());
        options.output = self.output;
        options.start = self.start;
        options.variant = self.variant;
        options.audio = self.audio.clone();
        options.offline = self.offline;
        options.store_keys = self.store_keys;
        options.samples = self.samples.clone();
        options
    }

    pub(crate) fn file(&self) -> FileOptions<DefaultNet, AssetStore> {
        let mut options = FileOptions::new(self.stack(), self.store.clone());
        options.downloads = self.downloads.clone();
        options.output = self.output;
        options.offline = self.offline;
        options.samples = self.samples.clone();
        options
    }
}
