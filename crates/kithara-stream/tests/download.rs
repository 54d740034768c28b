//! `download_into`: continues, checks, bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use kithara_net::{MockAnswer, MockNet, MockStep, Request, RetryNet, RetryPolicy, Url, header};
use kithara_storage::{Streaming, StreamingExt, StreamingResource};
use kithara_stream::{DownloadOptions, EntityWriter, StoredEntity, Target, WriteError, download_into};

fn request() -> Request {
    Request::new(Url::parse("http://h/song").unwrap())
}

fn entity(version: u8) -> Bytes {
    (0..10_000u32).map(|at| (at / 7) as u8 ^ version).collect::<Vec<_>>().into()
}

fn retrying(net: MockNet) -> RetryNet<MockNet> {
    RetryNet::new(net, RetryPolicy { base: Duration::ZERO, ..RetryPolicy::default() })
}

async fn content(resource: &StreamingResource) -> Bytes {
    resource.read_to_end(1 << 20).await.unwrap()
}

#[tokio::test]
async fn what_another_download_left_is_continued_or_dropped() {
    for (served, tag, requests) in [(1, "\"1\"", Some(4000)), (2, "\"2\"", Some(4000)), (1, "", None)] {
        let resource = StreamingResource::memory();
        let first = MockNet::new(move |request| {
            let tag = (!tag.is_empty()).then_some("\"1\"");
            MockAnswer::serve(&entity(1), tag, request).cut(4000, MockStep::Break)
        });
        let options = DownloadOptions::new(request(), Target::Whole);
        download_into(&first, &resource, options.clone(), ()).await.unwrap_err();
        assert_eq!(resource.available_at(0), 4000);
        let tag = (!tag.is_empty()).then_some(tag);
        let second = MockNet::new(move |request| MockAnswer::serve(&entity(served), tag, request));
        let downloaded = download_into(&second, &resource, options, ()).await.unwrap();
        assert!(downloaded.is_complete && downloaded.len == 10_000);
        assert!(content(&resource).await == entity(served), "version {served}");
        let starts: Vec<_> = second.requests().iter().map(|r| r.range.map(|range| range.start)).collect();
        assert_eq!(starts, [requests]);
    }
}

#[tokio::test]
async fn a_part_of_another_version_in_spite_of_if_range_begins_anew() {
    let resource = StreamingResource::memory();
    let writer = EntityWriter::claim(&resource).await.unwrap();
    writer.write_at(0, &entity(1)[..4000]).await.unwrap();
    let old = MockAnswer::serve(&entity(1), Some("\"1\""), &request());
    let head = kithara_net::Net::open(&MockNet::new(move |_| old.clone()), request()).await.unwrap().head;
    writer.record(&StoredEntity::of(&head));
    drop(writer);
    let net = MockNet::new(|request| {
        let mut careless = request.clone();
        careless.if_range = None;
        MockAnswer::serve(&entity(2), Some("\"2\""), &careless)
    });
    let options = DownloadOptions::new(request(), Target::Whole);
    download_into(&retrying(net), &resource, options, ()).await.unwrap();
    assert!(content(&resource).await == entity(2));
}

#[tokio::test]
async fn windows_share_a_resource_and_parts_have_one_each() {
    let net = MockNet::new(|request| MockAnswer::serve(&entity(1), Some("\"1\""), request));
    let file = StreamingResource::memory();
    for window in [4000..10_000, 0..4000] {
        let options = DownloadOptions::new(request(), Target::Window(window.clone()));
        assert_eq!(download_into(&net, &file, options, ()).await.unwrap().len, window.end - window.start);
    }
    assert_eq!(file.len(), Some(10_000), "committed by its last window");
    assert!(content(&file).await == entity(1));
    let part = StreamingResource::memory();
    let options = DownloadOptions::new(request(), Target::Part(4000..5000));
    download_into(&net, &part, options, ()).await.unwrap();
    assert!(content(&part).await == entity(1)[4000..5000]);
}

#[tokio::test(start_paused = true)]
async fn every_body_has_a_bound() {
    let endless = |_: &Request| {
        let mut answer = MockAnswer::ok("").chunked();
        for _ in 0..1000 {
            answer = answer.then(MockStep::Data(Bytes::from_static(&[0; 1000])));
        }
        answer.then(MockStep::Stall)
    };
    let resource = StreamingResource::memory();
    let options = DownloadOptions::new(request(), Target::Whole).with_limit(200_000);
    let error = download_into(&MockNet::new(endless), &resource, options.clone(), ()).await.unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { limit: 200_000 }) && !error.is_retryable(), "{error}");
    assert!(resource.available_at(0) < 300_000);

    let declared =
        MockNet::new(|_| MockAnswer::ok(vec![0; 10]).with_header(header::CONTENT_LENGTH, "9999999"));
    let resource = StreamingResource::memory();
    let error = download_into(&declared, &resource, options, ()).await.unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { .. }), "{error}");
    assert_eq!(resource.available_at(0), 0, "refused before it is fetched");

    let trickling = MockNet::new(|_| {
        let mut answer = MockAnswer::ok("").chunked();
        for _ in 0..1000 {
            answer = answer.then(MockStep::Data("x".into())).then(MockStep::Wait(Duration::from_secs(1)));
        }
        answer
    });
    let options = DownloadOptions::new(request(), Target::Whole).with_deadline(Duration::from_secs(60));
    let begun = tokio::time::Instant::now();
    let error = download_into(&trickling, &resource, options, ()).await.unwrap_err();
    assert!(matches!(error, WriteError::TooSlow { .. }) && error.is_retryable(), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test]
async fn what_may_not_be_stored_is_readable_and_not_kept() {
    for (stores_private, is_kept) in [(false, false), (true, true)] {
        let net = MockNet::new(|request| {
            MockAnswer::serve(&entity(1), Some("\"1\""), request)
                .with_header(header::CACHE_CONTROL, "no-store")
        });
        let resource = StreamingResource::memory();
        let options = DownloadOptions::new(request(), Target::Whole).with_stored_private(stores_private);
        let downloaded = download_into(&net, &resource, options, ()).await.unwrap();
        assert_eq!((downloaded.len, downloaded.is_complete), (10_000, is_kept));
        assert_eq!((resource.available_at(0), resource.len().is_some()), (10_000, is_kept));
        assert_eq!(StoredEntity::beside(&resource).is_some(), is_kept);
    }
}
