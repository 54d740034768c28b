//! [`CachedNet`]: an HTTP cache for small bodies over an asset store (RFC 9111).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use kithara_assets::{Assets, KeyPolicy, ResourceKey};
use kithara_net::{
    Body, Net, NetError, NetExt, Request, Response, ResponseHead, StatusCode, TransferSource, Url,
};
use kithara_storage::{Atomic, StorageError};
use serde::{Deserialize, Serialize};

use crate::{Freshness, StoredEntity};

/// Begins a stored body, with the version of its format. Follow: CRC-32 of all that comes after it (eight hexadecimal
/// digits), a space, the record as a line of JSON, the body.
const MAGIC: &[u8] = b"kithara-cache-1 ";
/// Digits of the CRC and the space.
const CRC_LEN: usize = 9;

/// When a stored body is compared with the server's before it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validation {
    /// Never: a stored body is used without a request. The default for files.
    #[default]
    Never,
    /// When the lifetime that the server stated (`Cache-Control: max-age`, `Expires`) has passed; the value is the
    /// lifetime where it stated none.
    WhenStale(Duration),
    /// Each time it is opened.
    Always,
}

impl Validation {
    /// Whether a stored entity is used without asking the server.
    #[must_use]
    pub fn accepts(self, entity: &StoredEntity) -> bool {
        match self {
            Self::Never => true,
            Self::WhenStale(default) => !entity.is_stale(default),
            Self::Always => false,
        }
    }
}

/// A small body, from the store or from the network.
#[derive(Clone)]
#[non_exhaustive]
pub struct CachedBody {
    /// Where it was in the end, after redirects; relative URLs in it resolve against this one. Of a stored body without
    /// the query of a redirect's target, which may be a secret and is not stored.
    pub url: Url,
    /// All of it.
    pub bytes: Bytes,
    /// Where the bytes come from.
    pub source: TransferSource,
    /// The server was asked, for the bytes or whether they are current.
    pub was_asked: bool,
    entity: StoredEntity,
    may_be_stored: bool,
}

impl CachedBody {
    /// Whether the bytes come from the store.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.source == TransferSource::Cache
    }

    /// Whether the server and the request allow the body to outlive the playback (`Cache-Control`, `Authorization`).
    #[must_use]
    pub fn may_be_stored(&self) -> bool {
        self.may_be_stored
    }
}

impl fmt::Debug for CachedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBody")
            .field("url", &kithara_net::RedactedUrl(&self.url))
            .field("len", &self.bytes.len())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The record before a stored body.
#[derive(Serialize, Deserialize)]
struct Record {
    /// Without credentials, query and fragment.
    url: String,
    entity: StoredEntity,
}

/// Small bodies (playlists, keys, init sections) over a network stack and a store: a stored body that is fresh costs no
/// request, a stale one a conditional request, and a server that cannot be reached does not take away what is stored.
///
/// [`get`](Self::get) leaves it to the caller to [`store`](Self::store) a body once it has proven to be what it should be:
/// error pages come under every URL. As a [`Net`] it stores each complete body at once.
#[derive(Clone, Debug)]
pub struct CachedNet<N, A> {
    net: N,
    assets: A,
    validation: Validation,
    key_policy: KeyPolicy,
    limit: usize,
}

impl<N, A> CachedNet<N, A> {
    /// Most bytes of a body, unless [`with_limit`](Self::with_limit) sets another bound: 16 MiB.
    pub const DEFAULT_LIMIT: usize = 16 << 20;

    /// A cache of `net` in `assets`.
    pub fn new(net: N, assets: A, validation: Validation) -> Self {
        Self { net, assets, validation, key_policy: KeyPolicy::default(), limit: Self::DEFAULT_LIMIT }
    }

    /// Sets how URLs become keys, for the use as a [`Net`].
    #[must_use]
    pub fn with_key_policy(mut self, policy: KeyPolicy) -> Self {
        self.key_policy = policy;
        self
    }

    /// Sets the most bytes of a body.
    #[must_use]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// The net inside.
    pub fn inner(&self) -> &N {
        &self.net
    }
}

impl<N: fmt::Display, A: fmt::Display> fmt::Display for CachedNet<N, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({}, {})", self.assets, self.net)
    }
}

impl<N: Net, A: Assets> CachedNet<N, A> {
    /// The stored body of `url`, without any request; `None` if there is none, or a damaged one.
    pub async fn stored(&self, key: &ResourceKey, url: &Url) -> Option<CachedBody> {
        let resource = self.assets.open_atomic_resource(key).await.ok()?;
        let stored = resource.read().await.ok()??;
        let body = parse(&stored, url);
        if body.is_none() {
            tracing::warn!(%key, "a stored body is damaged");
        }
        body
    }

    /// A stored body that is current, or the server's. `wanted` is asked about the first bytes, as
    /// [`NetExt::get_bytes_if`] says.
    ///
    /// # Errors
    /// The network's, when no body is stored.
    pub async fn get(
        &self,
        key: &ResourceKey,
        request: Request,
        wanted: impl Fn(&[u8]) -> bool + Send,
    ) -> Result<CachedBody, NetError> {
        let Some(mut stored) = self.stored(key, &request.url).await else {
            return self.fetch(request, wanted).await;
        };
        if self.validation.accepts(&stored.entity) {
            return Ok(stored);
        }
        let request = match stored.entity.validator() {
            Some(validator) => request.with_if_changed(&validator),
            None => request,
        };
        stored.was_asked = true;
        match self.net.get_bytes_if(request, self.limit, wanted).await {
            Ok((head, _)) if head.status == StatusCode::NOT_MODIFIED => {
                stored.entity.confirm(&head);
                if let Err(error) = self.write(key, &stored).await {
                    tracing::debug!(%error, "a confirmed body could not be noted");
                }
                Ok(stored)
            }
            Ok((head, bytes)) => Ok(received(head, bytes)),
            Err(error) => {
                tracing::debug!(%error, "a stored body could not be compared with the server's; it is used");
                Ok(stored)
            }
        }
    }

    /// The server's body, past the store.
    ///
    /// # Errors
    /// The network's.
    pub async fn fetch(
        &self,
        request: Request,
        wanted: impl Fn(&[u8]) -> bool + Send,
    ) -> Result<CachedBody, NetError> {
        let (head, bytes) = self.net.get_bytes_if(request, self.limit, wanted).await?;
        Ok(received(head, bytes))
    }

    /// Stores a body for the next time, whatever [`CachedBody::may_be_stored`] says.
    ///
    /// # Errors
    /// The store's.
    pub async fn store(&self, key: &ResourceKey, body: &CachedBody) -> Result<(), StorageError> {
        self.write(key, body).await
    }

    async fn write(&self, key: &ResourceKey, body: &CachedBody) -> Result<(), StorageError> {
        let failed = |error| StorageError::source(error, true);
        let resource = self.assets.open_atomic_resource(key).await.map_err(failed)?;
        let record = Record { url: without_secrets(&body.url).into(), entity: body.entity.clone() };
        let mut content = serde_json::to_vec(&record).map_err(|error| StorageError::source(error, false))?;
        content.push(b'\n');
        content.extend_from_slice(&body.bytes);
        let crc = format!("{:08x} ", crc32fast::hash(&content));
        resource.write(&[MAGIC, crc.as_bytes(), &content].concat()).await
    }
}

fn received(head: ResponseHead, bytes: Bytes) -> CachedBody {
    CachedBody {
        entity: StoredEntity::of(&head),
        may_be_stored: Freshness::of(&head).may_be_stored(head.is_authorized),
        url: head.url,
        bytes,
        source: TransferSource::Network,
        was_asked: true,
    }
}

fn parse(stored: &Bytes, url: &Url) -> Option<CachedBody> {
    let (crc, content) = stored.strip_prefix(MAGIC)?.split_at_checked(CRC_LEN)?;
    if crc != format!("{:08x} ", crc32fast::hash(content)).as_bytes() {
        return None;
    }
    let end = content.iter().position(|byte| *byte == b'\n')?;
    let record: Record = serde_json::from_slice(&content[..end]).ok()?;
    let bytes = stored.slice(MAGIC.len() + CRC_LEN + end + 1..);
    Some(CachedBody {
        url: with_secrets(Url::parse(&record.url).ok()?, url),
        bytes,
        source: TransferSource::Cache,
        was_asked: false,
        entity: record.entity,
        may_be_stored: true,
    })
}

fn without_secrets(url: &Url) -> Url {
    let mut plain = url.clone();
    plain.set_query(None);
    plain.set_fragment(None);
    let _ = plain.set_username("");
    let _ = plain.set_password(None);
    plain
}

/// The stored URL, with what was left out of it where it is that of the request.
fn with_secrets(mut stored: Url, asked: &Url) -> Url {
    if stored == without_secrets(asked) {
        return asked.clone();
    }
    if stored.origin() == asked.origin() {
        let _ = stored.set_username(asked.username());
        let _ = stored.set_password(asked.password());
    }
    stored
}

#[deny(clippy::missing_trait_methods)]
impl<N: Net, A: Assets> Net for CachedNet<N, A> {
    type Body = CachedNetBody<N::Body>;

    async fn open(&self, request: Request) -> Result<Response<Self::Body>, NetError> {
        if request.range.is_some() {
            return Ok(self.net.open(request).await?.map_body(CachedNetBody::Network));
        }
        let opened = request.opened.as_deref().unwrap_or(&request.url);
        let key = ResourceKey::from_url(opened, &request.url, &self.key_policy);
        let body = self.get(&key, request.clone(), |_| true).await?;
        if !body.is_stored()
            && body.may_be_stored
            && let Err(error) = self.write(&key, &body).await
        {
            tracing::debug!(%error, "a body could not be stored");
        }
        let headers = [(kithara_net::header::CONTENT_LENGTH, body.bytes.len().into())].into_iter().collect();
        let mut head = ResponseHead::new(&request, body.url, StatusCode::OK, headers)?;
        head.source = body.source;
        head.content_type = body.entity.content_type().map(str::to_owned);
        head.validator = body.entity.validator();
        Ok(Response { head, body: CachedNetBody::Whole(Some(body.bytes).filter(|bytes| !bytes.is_empty())) })
    }
}

/// The body of [`CachedNet`].
#[derive(Debug)]
pub enum CachedNetBody<B> {
    /// A whole body that is still to be delivered.
    Whole(Option<Bytes>),
    /// A part, which passes the cache.
    Network(B),
}

#[deny(clippy::missing_trait_methods)]
impl<B: Body> Body for CachedNetBody<B> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        match self {
            Self::Whole(bytes) => Ok(bytes.take()),
            Self::Network(body) => body.next_chunk().await,
        }
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Network(body) => body.is_complete(),
        }
    }
}
