//! How keys are asked for.

use kithara_assets::{AssetSettings, AssetStore};
use kithara_hls::{HlsError, HlsOptions};
use kithara_net::{HeaderName, HeaderValue, HookReason, NetOptions, Request};
use kithara_testkit::{Origin, Reply, Resource};

use crate::support::{open, options, read_all};

const LIST: &str = "/hls/aes-fmp4/index.m3u8";
const KEY: &str = "/hls/aes-fmp4/key.bin";

#[tokio::test]
async fn a_key_is_asked_for_once() {
    let origin = Origin::start().await.unwrap();
    read_all(&mut open(&origin, LIST, options()).await).await;
    assert_eq!(origin.count(KEY), 1);
}

#[tokio::test]
async fn the_applications_hook_sees_key_requests() {
    let origin = Origin::start().await.unwrap();
    origin.require_header(KEY, "authorization", "Bearer secret", 401);
    let refused = kithara_hls::Hls::open(origin.url(LIST).parse().unwrap(), options()).await;
    assert_eq!(refused.err().as_ref().and_then(HlsError::status), Some(401));

    let settings = NetOptions::default().with_hook(|mut request: Request, _: HookReason| {
        if request.tag == "key" {
            let name = HeaderName::from_static("authorization");
            request.headers.insert(name, HeaderValue::from_static("Bearer secret"));
        }
        async move { Ok(request) }
    });
    let options = HlsOptions::new(settings.build(), AssetStore::memory(AssetSettings::default()));
    assert!(!read_all(&mut open(&origin, LIST, options).await).await.is_empty());
    let other = origin.requests().into_iter().filter(|request| request.path() != KEY);
    assert!(other.into_iter().all(|request| request.header("authorization").is_none()), "keys alone");
}

#[tokio::test]
async fn the_key_and_the_map_are_on_their_way_while_the_segment_is() {
    let origin = Origin::start().await.unwrap();
    // None of them is answered before all are asked for.
    let mut key = origin.expect(KEY);
    let mut map = origin.expect("/hls/aes-fmp4/init.mp4");
    let mut segment = origin.expect("/hls/aes-fmp4/seg0.m4s");
    let release = async {
        key.request().await.unwrap();
        map.request().await.unwrap();
        segment.request().await.unwrap();
        key.finish();
        map.finish();
        segment.finish();
    };
    let (mut stream, ()) = tokio::join!(open(&origin, LIST, options()), release);
    assert!(!read_all(&mut stream).await.is_empty());
}

/// A captive portal's page is no key, for this run or another.
#[tokio::test]
async fn what_is_no_key_is_not_kept() {
    let origin = Origin::start().await.unwrap();
    let mut options = options();
    options.store_keys = true;
    origin.always(KEY, Reply::ok().resource(Resource::new(&b"<html>Sign in</html>"[..])));
    let opened = kithara_hls::Hls::open(origin.url(LIST).parse().unwrap(), options.clone()).await;
    assert!(matches!(opened.err(), Some(HlsError::BadKey { len: 20, expected: 16, .. })));
    origin.clear_scripts();
    for run in 0..2 {
        origin.forget();
        assert!(!read_all(&mut open(&origin, LIST, options.clone()).await).await.is_empty());
        assert_eq!(origin.count(KEY), usize::from(run == 0));
    }
}
