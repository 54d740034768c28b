//! Decryption keys (`EXT-X-KEY`), fetched once for each URL and kept in memory.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kithara_assets::{Assets, Processor};
use kithara_net::Net;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use url::Url;

use crate::data_uri;
use crate::error::{Fetching, HlsError};
use crate::fetch::SmallFetches;
use crate::playlist::KeyInfo;

/// Keys in memory: a presentation that changes its key with each segment has as many as segments.
const MAX_KEYS: usize = 256;

/// Keys that were fetched or are on their way. Never printed, and stored on disk only if the application asks.
#[derive(Default)]
pub(crate) struct KeyStore {
    keys: Mutex<HashMap<Url, Arc<OnceCell<Bytes>>>>,
}

impl KeyStore {
    /// Forgets every key: a reloaded playlist may name others, or the same URL may give another.
    pub(crate) fn clear(&self) {
        self.keys.lock().clear();
    }

    /// What decrypts a resource under `key`; `None` without one.
    pub(crate) async fn processor<N: Net, A: Assets>(
        &self,
        fetches: &SmallFetches<N, A>,
        key: Option<&KeyInfo>,
        media_sequence: u64,
    ) -> Result<Option<Processor>, HlsError> {
        let Some(key) = key else { return Ok(None) };
        if let Some(what) = key.unsupported() {
            return Err(HlsError::Unsupported { what });
        }
        let bytes = self.fetch(fetches, key).await?;
        // Packagers that leave the padding out, or write something behind it, are common: the demuxer judges the result.
        let made = Processor::aes_cbc(&bytes, key.iv_for(media_sequence)).map(Processor::lenient);
        made.map(Some).ok_or_else(|| bad(key, &bytes))
    }

    async fn fetch<N: Net, A: Assets>(
        &self,
        fetches: &SmallFetches<N, A>,
        key: &KeyInfo,
    ) -> Result<Bytes, HlsError> {
        if let Some(content) = data_uri::content(Fetching::Key, &key.uri) {
            return check(key, &content?);
        }
        let cell = self.cell(&key.uri);
        // Whoever comes meanwhile waits for the same request.
        let fetch = || async {
            let body = fetches.key_body(&key.uri).await?;
            fetches.accept(body, fetches.keeps_keys(), |bytes| check(key, bytes)).await
        };
        cell.get_or_try_init(fetch).await.cloned()
    }

    fn cell(&self, url: &Url) -> Arc<OnceCell<Bytes>> {
        let mut keys = self.keys.lock();
        if keys.len() >= MAX_KEYS && !keys.contains_key(url) {
            keys.clear();
        }
        Arc::clone(keys.entry(url.clone()).or_default())
    }
}

/// An error page under the URL of a key is no key: its length tells.
fn check(key: &KeyInfo, bytes: &Bytes) -> Result<Bytes, HlsError> {
    let is_key = key.method.key_len().is_none_or(|expected| bytes.len() == expected);
    if is_key { Ok(bytes.clone()) } else { Err(bad(key, bytes)) }
}

fn bad(key: &KeyInfo, bytes: &Bytes) -> HlsError {
    let len = bytes.len();
    HlsError::BadKey { url: key.uri.clone(), len, expected: key.method.key_len().unwrap_or(len) }
}
