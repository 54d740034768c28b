//! Bodies that are read as a whole: playlists, init sections and keys.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use kithara_assets::{Assets, KeyPolicy, ResourceKey};
use kithara_net::{Net, NetExt, Request};
use kithara_storage::Atomic;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use url::Url;

use super::{Window, assets_error, record};
use crate::error::{Fetching, HlsError};
use crate::options::HlsOptions;
use crate::playlist::{self, Map};
use crate::shared::{Counters, Shared};

/// Bodies that are read as a whole (init sections and keys) may have this many bytes.
const SMALL_BODY_LIMIT: usize = 16 << 20;

/// Bytes of a playlist.
const PLAYLIST_LIMIT: usize = 16 << 20;

/// A playlist as it came.
#[derive(Debug, Clone)]
pub(crate) struct PlaylistText {
    /// Where it was in the end, after redirects.
    pub(crate) url: Url,
    pub(crate) body: Bytes,
    pub(crate) is_stored: bool,
}

/// An init section or a key as it came, which nobody has looked at.
#[derive(Debug)]
pub(crate) struct SmallBody<'u> {
    what: Fetching,
    url: &'u Url,
    window: Option<Window>,
    key: ResourceKey,
    bytes: Bytes,
    is_stored: bool,
}

/// Gets bodies that are read as a whole: playlists, init sections and keys. A handle, cheap to clone.
///
/// Dropping the last one aborts what is on its way to the store.
pub(crate) struct SmallFetches<N, A>(Arc<Inner<N, A>>);

/// What all fetches of one stream share.
pub(crate) struct Inner<N, A> {
    pub(super) net: N,
    pub(super) assets: A,
    pub(super) root: Url,
    /// The same, for the headers of the application: they go to its origin alone.
    pub(super) opened: Arc<Url>,
    /// Tells the live windows of this stream from those of others.
    session: u128,
    pub(super) policy: KeyPolicy,
    pub(super) offline: bool,
    keep_keys: bool,
    pub(super) store_private: bool,
    pub(super) shared: Arc<Shared>,
    /// Small things on their way to the disk.
    stores: Mutex<JoinSet<()>>,
}

impl<N, A> Clone for SmallFetches<N, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<N, A> Deref for SmallFetches<N, A> {
    type Target = Inner<N, A>;

    fn deref(&self) -> &Inner<N, A> {
        &self.0
    }
}

impl<N: Net, A: Assets> SmallFetches<N, A> {
    /// Fetches of the presentation opened at `root`.
    pub(super) fn new(options: &HlsOptions<N, A>, root: Url, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner {
            net: options.net.clone(),
            assets: options.assets.clone(),
            opened: Arc::new(root.clone()),
            root,
            session: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
            policy: options.key_policy.clone(),
            offline: options.offline,
            keep_keys: options.store_keys,
            store_private: options.store_private,
            shared,
            stores: Mutex::new(JoinSet::new()),
        }))
    }

    /// Whether the network is never used.
    pub(crate) fn is_offline(&self) -> bool {
        self.offline
    }

    /// The key under which the store keeps what is at `url`.
    pub(crate) fn key(&self, url: &Url) -> ResourceKey {
        ResourceKey::from_url(&self.root, url, &self.policy)
    }

    /// What a live list names is stored for this stream alone, and for one use of the name: encoders use the same names
    /// again after a restart, or round and round, and what was there before would be heard in place of what is there now.
    pub(super) fn root(&self, live: Option<(impl Display, u64)>) -> Cow<'_, Url> {
        let Some((of, use_of_name)) = live else { return Cow::Borrowed(&self.root) };
        let mut root = self.root.clone();
        root.set_path(&format!("{}/live-{}-{of}-{use_of_name}", root.path(), self.session));
        Cow::Owned(root)
    }

    pub(super) fn key_below(&self, root: &Url, url: &Url, window: Option<Window>) -> ResourceKey {
        match window {
            None => ResourceKey::from_url(root, url, &self.policy),
            Some(Window { offset, len }) => ResourceKey::from_url_range(root, url, offset, len, &self.policy),
        }
    }

    /// The text of a playlist: from the store if it is there and `stored` allows it, else from the network.
    pub(crate) async fn playlist(
        &self,
        what: Fetching,
        url: &Url,
        stored: bool,
    ) -> Result<PlaylistText, HlsError> {
        if stored && let Some(text) = self.stored_playlist(url).await {
            Counters::add(&self.shared.counters.cache_hits, 1);
            return Ok(text);
        }
        if self.offline {
            return Err(HlsError::Offline { what, url: url.clone() });
        }
        Counters::add(&self.shared.counters.requests, 1);
        let request = Request::new(url.clone()).with_tag(what.tag()).with_opened(Arc::clone(&self.opened));
        let answer = Box::pin(self.net.get_bytes_if(request, PLAYLIST_LIMIT, playlist::may_begin)).await;
        let (head, body) = answer.map_err(|source| HlsError::Net { what, url: url.clone(), source })?;
        Counters::add(&self.shared.counters.bytes, body.len() as u64);
        Ok(PlaylistText { url: head.url, body, is_stored: false })
    }

    /// A playlist of an earlier run, without any request.
    pub(crate) async fn stored_playlist(&self, url: &Url) -> Option<PlaylistText> {
        let resource = self.assets.open_atomic_resource(&self.key(url)).await.ok()?;
        let stored = record::decode(url, &resource.read().await.ok()??)?;
        let text = PlaylistText { url: stored.from, body: stored.body, is_stored: true };
        if stored.is_old {
            // It tells the whole URL, token and all.
            self.store_playlist(url, &text);
        }
        Some(text)
    }

    /// Keeps a playlist for the next run, with the URL that redirects led to: its relative URLs are relative to that.
    /// Nothing waits for the disk.
    pub(crate) fn store_playlist(&self, url: &Url, text: &PlaylistText) {
        self.store_aside(self.key(url), record::encode(url, &text.url, &text.body).into());
    }

    /// Stores something small that nothing waits for.
    fn store_aside(&self, key: ResourceKey, content: Bytes) {
        let assets = self.assets.clone();
        let store = async move {
            match assets.open_atomic_resource(&key).await {
                Ok(resource) => resource.write(&content).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        self.store_with(store);
    }

    /// Runs beside the stream what stores something small.
    pub(super) fn store_with(&self, store: impl Future<Output = Result<(), String>> + Send + 'static) {
        let mut stores = self.stores.lock();
        while stores.try_join_next().is_some() {}
        stores.spawn(async move {
            if let Err(error) = store.await {
                tracing::warn!(error, "something small could not be stored");
            }
        });
    }

    /// An init section, as it is on the server.
    pub(crate) async fn init<'u>(&self, map: &'u Map, live: Option<u64>) -> Result<SmallBody<'u>, HlsError> {
        self.small(
            &self.root(live.map(|restarts| ("init", restarts))),
            Fetching::Init,
            &map.uri,
            Window::of(map),
        )
        .await
    }

    /// What is at the URL of a key.
    pub(crate) async fn key_body<'u>(&self, url: &'u Url) -> Result<SmallBody<'u>, HlsError> {
        self.small(&self.root, Fetching::Key, url, None).await
    }

    /// A small body as a whole: from the store, else from the network.
    async fn small<'u>(
        &self,
        root: &Url,
        what: Fetching,
        url: &'u Url,
        window: Option<Window>,
    ) -> Result<SmallBody<'u>, HlsError> {
        let key = self.key_below(root, url, window);
        let opened = self.assets.open_atomic_resource(&key).await;
        let resource = opened.map_err(|source| assets_error(what, url, source))?;
        let (bytes, is_stored) = match resource.read().await {
            Ok(Some(bytes)) => {
                Counters::add(&self.shared.counters.cache_hits, 1);
                (bytes, true)
            }
            // Rare, and large while it lasts.
            _ => (Box::pin(self.small_from_net(what, url, window)).await?, false),
        };
        Ok(SmallBody { what, url, window, key, bytes, is_stored })
    }

    /// What `read` makes of a small body. Only what it can read is stored, and only if `keep` allows it; something else
    /// that an earlier run has stored is fetched anew.
    pub(crate) async fn accept<T>(
        &self,
        body: SmallBody<'_>,
        keep: bool,
        read: impl Fn(&Bytes) -> Result<T, HlsError>,
    ) -> Result<T, HlsError> {
        let SmallBody { what, url, window, key, mut bytes, is_stored } = body;
        let mut found = read(&bytes);
        if let (Err(error), true, false) = (&found, is_stored, self.offline) {
            tracing::debug!(%error, "what is stored cannot be read");
            bytes = Box::pin(self.small_from_net(what, url, window)).await?;
            found = read(&bytes);
        } else if is_stored {
            return found;
        }
        if keep && found.is_ok() {
            self.store_aside(key, bytes);
        }
        found
    }

    /// Whether keys may rest in the store.
    pub(crate) fn keeps_keys(&self) -> bool {
        self.keep_keys
    }

    async fn small_from_net(
        &self,
        what: Fetching,
        url: &Url,
        window: Option<Window>,
    ) -> Result<Bytes, HlsError> {
        if self.offline {
            return Err(HlsError::Offline { what, url: url.clone() });
        }
        let mut request =
            Request::new(url.clone()).with_tag(what.tag()).with_opened(Arc::clone(&self.opened));
        if let Some(Window { offset, len }) = window {
            request = request.with_range(offset..offset + len);
        }
        Counters::add(&self.shared.counters.requests, 1);
        let answer = self.net.get_bytes(request, SMALL_BODY_LIMIT).await;
        let (_, bytes) = answer.map_err(|source| HlsError::Net { what, url: url.clone(), source })?;
        Counters::add(&self.shared.counters.bytes, bytes.len() as u64);
        Ok(bytes)
    }
}
