//! What is stored is used, compared and replaced.

use std::time::Duration;

use http::header;
use kithara_assets::{AssetSettings, AssetStore};
use kithara_file::{FileError, FileEvent, Validation};
use kithara_net::{MockAnswer, MockNet};
use kithara_testkit::pattern;

use crate::bed::{Bed, Count, KB, MB, check, drain, entity, paced, read, serve, settle};

/// Downloads all of it, once.
async fn fill(bed: &Bed, len: u64) {
    let source = bed.open().await;
    read(&source, 0, len).await.unwrap();
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_complete_file_costs_no_request() {
    let body = entity(1, MB);
    let bed = Bed::correct(&body);
    fill(&bed, MB).await;
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert_eq!(bed.starts().len(), 1);
    assert_eq!(source.stats().requests, 0);
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_file_is_confirmed_by_one_small_request() {
    let body = entity(1, MB);
    let mut bed = Bed::correct(&body);
    fill(&bed, MB).await;
    bed.options.validation = Validation::Always;
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert_eq!(bed.starts().len(), 2);
    assert_eq!(source.stats().bytes_downloaded, 0);
    assert!(bed.net.requests()[1].headers.contains_key(header::IF_NONE_MATCH));
    bed.options.validation = Validation::WhenStale(Duration::from_secs(1 << 40));
    check(&bed.open().await, 0, MB).await;
    assert_eq!(bed.starts().len(), 2, "fresh");
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_played_in_its_new_version() {
    let (old, new) = (entity(1, MB), entity(2, MB + 5));
    let version = Count::default();
    let mut bed = Bed::new(move |request| match version.next() {
        0 => paced(MockAnswer::serve(&old, Some("\"v1\""), request)),
        _ => paced(MockAnswer::serve(&new, Some("\"v2\""), request)),
    });
    fill(&bed, MB).await;
    bed.options.validation = Validation::Always;
    let source = bed.open().await;
    let bytes = read(&source, 0, 2 * MB).await.unwrap();
    assert_eq!((bytes.len() as u64, pattern::mismatch(2, 0, &bytes)), (MB + 5, None));
    assert_eq!(bed.starts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_network_the_stored_file_plays_unconfirmed() {
    let body = entity(1, MB);
    let count = Count::default();
    let mut bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request),
        _ => MockAnswer::unreachable(),
    });
    fill(&bed, MB).await;
    bed.options.validation = Validation::Always;
    check(&bed.open().await, 0, MB).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_file_of_an_old_version_is_never_continued() {
    let (old, new) = (entity(1, 2 * MB), entity(2, 2 * MB));
    let version = Count::default();
    let bed = Bed::new(move |request| match version.next() {
        0 => paced(MockAnswer::serve(&old, Some("\"v1\""), request)),
        _ => paced(MockAnswer::serve(&new, Some("\"v2\""), request)),
    });
    let source = bed.open().await;
    check(&source, 0, MB).await;
    drop(source);
    settle().await;
    let source = bed.open().await;
    let mut events = source.events();
    let bytes = read(&source, 0, 2 * MB).await.unwrap();
    assert_eq!((bytes.len() as u64, pattern::mismatch(2, 0, &bytes)), (2 * MB, None));
    drain(&mut events);
}

#[tokio::test(start_paused = true)]
async fn a_change_under_a_reader_is_an_error_and_the_next_open_plays_the_new_version() {
    let (old, new) = (entity(1, 4 * MB), entity(2, 4 * MB));
    let version = Count::default();
    let bed = Bed::new(move |request| match version.next() {
        0 => paced(MockAnswer::serve(&old, Some("\"v1\""), request)),
        _ => paced(MockAnswer::serve(&new, Some("\"v2\""), request)),
    });
    let source = bed.open().await;
    check(&source, 0, 100 * KB).await;
    let error = read(&source, 3 * MB, 10).await.unwrap_err();
    assert!(matches!(error, FileError::EntityChanged { ref url } if !url.contains("secret")), "{error:?}");
    let error = read(&source, 100 * KB, 10).await.unwrap_err();
    assert!(matches!(error, FileError::EntityChanged { .. }), "never a splice: {error:?}");
    let again = bed.open().await;
    let bytes = read(&again, 0, 4 * MB).await.unwrap();
    assert_eq!((bytes.len() as u64, pattern::mismatch(2, 0, &bytes)), (4 * MB, None));
}

#[tokio::test(start_paused = true)]
async fn bytes_that_nothing_identifies_are_not_continued_later() {
    let (old, new) = (entity(1, 2 * MB), entity(2, 2 * MB));
    let version = Count::default();
    let bed = Bed::new(move |request| match version.next() {
        0 => paced(MockAnswer::serve(&old, None, request)),
        _ => paced(MockAnswer::serve(&new, None, request)),
    });
    let source = bed.open().await;
    check(&source, 0, MB).await;
    drop(source);
    settle().await;
    let bytes = read(&bed.open().await, 0, 2 * MB).await.unwrap();
    assert_eq!(pattern::mismatch(2, 0, &bytes), None);
}

#[tokio::test(start_paused = true)]
async fn offline_plays_what_is_stored_and_names_what_is_not() {
    let body = entity(1, 2 * MB);
    let mut bed = Bed::correct(&body);
    let source = bed.open().await;
    check(&source, 0, MB).await;
    drop(source);
    settle().await;
    bed.options.offline = true;
    let source = bed.open().await;
    check(&source, 0, MB).await;
    let error = read(&source, 2 * MB - 10, 10).await.unwrap_err();
    assert!(matches!(error, FileError::Offline { offset, .. } if offset == 2 * MB - 10), "{error:?}");
    assert_eq!(bed.starts().len(), 1);
}

#[tokio::test]
async fn a_file_on_disk_survives_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let body = entity(1, MB);
    let net = MockNet::new({
        let body = body.clone();
        move |request| MockAnswer::serve(&body, Some("\"v1\""), request).in_chunks(10_000)
    });
    {
        let assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        let bed = Bed::over(net.clone(), assets);
        let source = bed.open().await;
        let mut events = source.events();
        check(&source, 0, MB).await;
        while !matches!(events.recv().await.unwrap(), FileEvent::Complete { .. }) {}
    }
    let assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
    let mut bed = Bed::over(net, assets);
    check(&bed.open().await, 0, MB).await;
    assert_eq!(bed.starts().len(), 1);
    bed.options.validation = Validation::Always;
    check(&bed.open().await, 0, MB).await;
    assert_eq!(bed.starts().len(), 2, "the record of the version survives too");
    assert!(bed.net.requests()[1].headers.contains_key(header::IF_NONE_MATCH));
}
