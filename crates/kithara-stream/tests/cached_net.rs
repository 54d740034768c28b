//! `CachedNet`: fresh, stale, changed, damaged and secret bodies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kithara_assets::{AssetSettings, AssetStore, Assets, KeyPolicy, ResourceKey};
use kithara_net::{MockAnswer, MockNet, Net, NetExt, Request, TransferSource, Url, header};
use kithara_storage::Atomic;
use kithara_stream::{CachedNet, Validation};

fn url() -> Url {
    Url::parse("http://me:pw@h/list.m3u8?token=secret").unwrap()
}

fn key() -> ResourceKey {
    ResourceKey::from_url(&url(), &url(), &KeyPolicy::default())
}

/// A server whose entity has this version.
fn server(version: &Arc<AtomicUsize>, cache_control: &'static str) -> MockNet {
    let version = Arc::clone(version);
    MockNet::new(move |request| {
        let version = version.load(Ordering::SeqCst);
        if version == 9 {
            return MockAnswer::unreachable();
        }
        let (body, etag) = (Bytes::from(format!("version {version}")), format!("\"{version}\""));
        MockAnswer::serve(&body, Some(&etag), request).with_header(header::CACHE_CONTROL, cache_control)
    })
}

async fn get<N: Net>(cache: &CachedNet<N, AssetStore>) -> (String, bool) {
    let body = cache.get(&key(), Request::new(url()), |_| true).await.unwrap();
    if !body.is_stored() && body.may_be_stored() {
        cache.store(&key(), &body).await.unwrap();
    }
    assert_eq!(body.url, url());
    (String::from_utf8(body.bytes.to_vec()).unwrap(), body.was_asked)
}

#[tokio::test]
async fn a_fresh_body_costs_no_request_and_a_stale_one_is_compared() {
    let (version, store) = (Arc::new(AtomicUsize::new(1)), AssetStore::memory(AssetSettings::default()));
    for (validation, cache_control, asks) in [
        (Validation::Never, "max-age=0", false),
        (Validation::WhenStale(Duration::from_secs(60)), "", false),
        (Validation::WhenStale(Duration::from_secs(60)), "max-age=0", true),
        (Validation::WhenStale(Duration::ZERO), "max-age=60", false),
        (Validation::Always, "max-age=60", true),
    ] {
        let _ = store.open_atomic_resource(&key()).await.unwrap().remove().await;
        version.store(1, Ordering::SeqCst);
        let cache = CachedNet::new(server(&version, cache_control), store.clone(), validation);
        assert_eq!(get(&cache).await, ("version 1".into(), true));
        assert_eq!(get(&cache).await, ("version 1".into(), asks), "{validation:?} {cache_control}");
        version.store(2, Ordering::SeqCst);
        let expected = if asks { "version 2" } else { "version 1" };
        assert_eq!(get(&cache).await, (expected.into(), asks), "{validation:?} {cache_control}");
        version.store(9, Ordering::SeqCst);
        assert_eq!(get(&cache).await.0, expected, "a server that is away takes no stored body away");
    }
}

#[tokio::test]
async fn bodies_that_may_not_be_stored_are_not() {
    let version = Arc::new(AtomicUsize::new(1));
    for cache_control in ["no-store", "private, max-age=60"] {
        let store = AssetStore::memory(AssetSettings::default());
        let cache = CachedNet::new(server(&version, cache_control), store, Validation::Never);
        assert_eq!(get(&cache).await, ("version 1".into(), true));
        assert_eq!(get(&cache).await, ("version 1".into(), true), "{cache_control}");
    }
}

#[tokio::test]
async fn a_damaged_body_is_fetched_anew_and_secrets_are_not_written() {
    let (version, store) = (Arc::new(AtomicUsize::new(1)), AssetStore::memory(AssetSettings::default()));
    let cache = CachedNet::new(server(&version, ""), store.clone(), Validation::Never);
    get(&cache).await;
    let resource = store.open_atomic_resource(&key()).await.unwrap();
    let stored = resource.read().await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&stored);
    assert!(!text.contains("secret") && !text.contains("pw"), "{text}");
    for at in 0..stored.len() {
        let mut damaged = stored.to_vec();
        damaged[at] ^= 1;
        resource.write(&damaged).await.unwrap();
        let body = cache.get(&key(), Request::new(url()), |_| true).await.unwrap();
        assert_eq!(&body.bytes[..], b"version 1", "bit {at}");
    }
}

#[tokio::test]
async fn as_a_net_it_marks_what_comes_from_the_store() {
    let (version, store) = (Arc::new(AtomicUsize::new(1)), AssetStore::memory(AssetSettings::default()));
    let mock = server(&version, "max-age=60");
    let cache = CachedNet::new(mock.clone(), store, Validation::WhenStale(Duration::ZERO));
    for source in [TransferSource::Network, TransferSource::Cache] {
        let (head, bytes) = cache.get_bytes(Request::new(url()), 100).await.unwrap();
        assert_eq!((head.source, &bytes[..]), (source, &b"version 1"[..]));
    }
    assert_eq!(mock.requests().len(), 1);
    assert!(cache.get_bytes(Request::new(url()).with_range(2..5), 100).await.unwrap().1 == "rsi");
}
