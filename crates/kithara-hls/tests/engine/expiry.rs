//! URLs that expire while they are played.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kithara_assets::{AssetSettings, AssetStore, KeyPolicy};
use kithara_hls::{HlsError, HlsEvent, HlsStream, VariantMode};
use kithara_testkit::{Origin, Reply};

use crate::support::{MASTER, difference, locked, names, open, options, playlist, read_all, text};

const FOLDER: &str = "hls/ts-aac";
const LIST: &str = "/signed.m3u8";

/// The newest token that a list was handed out with, and the oldest that is let through.
#[derive(Default)]
struct Tokens {
    newest: AtomicU64,
    oldest_valid: AtomicU64,
}

/// A list whose segments carry a token, a new one with each load. A stale one is answered with `status`.
fn serve(origin: &Origin, status: u16) -> Arc<Tokens> {
    let tokens = Arc::new(Tokens::default());
    let issuing = Arc::clone(&tokens);
    origin.answer(LIST, move |_| {
        let token = issuing.newest.fetch_add(1, Ordering::SeqCst) + 1;
        let mut list = text(&format!("{FOLDER}/index.m3u8")).to_owned();
        for name in names(&list.clone()) {
            list = list.replace(name, &format!("/{FOLDER}/{name}?token={token}"));
        }
        Reply::ok().resource(playlist(list))
    });
    let checking = Arc::clone(&tokens);
    origin.guard(&format!("/{FOLDER}/seg"), move |request| {
        let token = request.query().and_then(|query| query.strip_prefix("token=")?.parse().ok());
        let is_valid = token.is_some_and(|token: u64| token >= checking.oldest_valid.load(Ordering::SeqCst));
        (!is_valid).then(|| Reply::status(status))
    });
    tokens
}

fn segment_requests(origin: &Origin) -> usize {
    origin.requests().iter().filter(|request| request.path().contains("seg")).count()
}

async fn whole(origin: &Origin) -> Vec<f32> {
    origin.serve("/plain.m3u8", playlist(text(&format!("{FOLDER}/index.m3u8")).replace("seg", "/plain/seg")));
    for name in names(text(&format!("{FOLDER}/index.m3u8"))) {
        let body = kithara_testkit::media::file(&format!("{FOLDER}/{name}")).unwrap();
        origin.serve(
            &format!("/plain/{name}"),
            kithara_testkit::Resource::new(bytes::Bytes::from_static(body)),
        );
    }
    read_all(&mut open(origin, "/plain.m3u8", options()).await).await
}

#[tokio::test]
async fn new_urls_are_fetched_once_the_old_ones_are_refused() {
    for status in [401, 403, 410] {
        let origin = Origin::start().await.unwrap();
        let whole = whole(&origin).await;
        let tokens = serve(&origin, status);
        let mut options = options();
        // So that there is something left to be refused.
        options.look_ahead.segments = 1;
        let mut stream = open(&origin, LIST, options).await;
        tokens.oldest_valid.store(2, Ordering::SeqCst);
        let samples = read_all(&mut stream).await;
        assert!(difference(&samples, &whole) < 1e-3, "status {status}");
        assert_eq!((origin.count(LIST), stream.stats().gaps), (2, 0), "status {status}");
    }
}

#[tokio::test]
async fn a_refusal_that_new_urls_do_not_lift_is_an_error() {
    let origin = Origin::start().await.unwrap();
    let tokens = serve(&origin, 403);
    tokens.oldest_valid.store(u64::MAX, Ordering::SeqCst);
    let url = origin.url(LIST).parse().unwrap();
    let opened: Result<HlsStream, HlsError> = kithara_hls::Hls::open(url, options()).await;
    let error = opened.err().unwrap();
    assert_eq!(error.status(), Some(403), "{error}");
    assert!(origin.count(LIST) <= 4, "bounded: {}", origin.count(LIST));
    assert!(error.to_string().contains("token=…"), "the value is nobody's business: {error}");
}

#[tokio::test]
async fn another_token_names_the_same_segment_where_the_application_says_so() {
    let origin = Origin::start().await.unwrap();
    serve(&origin, 403);
    let store = AssetStore::memory(AssetSettings::default());
    let mut first = None;
    for run in 0..2 {
        let mut options = options();
        options.assets = store.clone();
        options.key_policy = KeyPolicy::ignoring_query();
        // The list itself is not kept: its URLs expire.
        origin.forget();
        let mut stream = open(&origin, &format!("{LIST}?session={run}"), options).await;
        let samples = read_all(&mut stream).await;
        assert_eq!(segment_requests(&origin) > 0, run == 0);
        assert_eq!(*first.get_or_insert_with(|| samples.clone()), samples);
    }
}

#[tokio::test]
async fn a_variant_whose_segments_are_refused_is_left_for_another() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, MASTER, locked(2)).await).await;
    origin.guard("/hls/aac4/flac/", |request| request.path().ends_with(".m4s").then(|| Reply::status(403)));
    let mut options = options();
    options.abr.initial_throughput = Some(20_000_000);
    let mut stream = open(&origin, MASTER, options).await;
    let samples = read_all(&mut stream).await;
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());
    // And in the middle, after lesser variants were heard.
    let mut stream = open(&origin, MASTER, crate::support::options()).await;
    let samples = read_all(&mut stream).await;
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());
    let refused = origin.requests().iter().filter(|request| request.status() == Some(403)).count();
    // Two streams, of which each tries three times, with four segments under way.
    assert!(refused <= 24, "{refused} requests refused");
    assert_eq!(stream.stats().gaps, 0);
}

#[tokio::test]
async fn a_list_whose_url_has_expired_before_it_is_needed_gets_a_new_one() {
    let origin = Origin::start().await.unwrap();
    let tokens = Arc::new(Tokens::default());
    let issuing = Arc::clone(&tokens);
    origin.answer("/master.m3u8", move |_| {
        let token = issuing.newest.fetch_add(1, Ordering::SeqCst) + 1;
        let list = text(MASTER.trim_start_matches('/'));
        let signed = names(list).into_iter().fold(list.to_owned(), |list, name| {
            list.replace(name, &format!("/hls/aac4/{name}?token={token}"))
        });
        Reply::ok().resource(playlist(signed))
    });
    let checking = Arc::clone(&tokens);
    origin.guard("/hls/aac4/", move |request| {
        let token = request.query().and_then(|query| query.strip_prefix("token=")?.parse().ok()).unwrap_or(0);
        let is_valid = token >= checking.oldest_valid.load(Ordering::SeqCst);
        (request.path().ends_with(".m3u8") && !is_valid).then(|| Reply::status(403))
    });
    let mut stream = open(&origin, "/master.m3u8", locked(0)).await;
    let mut events = stream.events();
    tokens.oldest_valid.store(2, Ordering::SeqCst);
    stream.set_variant(VariantMode::Manual(2)).unwrap();
    read_all(&mut stream).await;
    assert_eq!((stream.stats().variant, origin.count("/master.m3u8")), (Some(2), 2));
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, HlsEvent::VariantExcluded { .. }), "{event:?}");
    }
}
