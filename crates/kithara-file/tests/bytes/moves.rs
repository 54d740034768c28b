//! Reading while downloading: order, seeks, look-ahead, sharing.

use std::time::Duration;

use kithara_file::{FileEvent, LookAhead};
use kithara_net::MockAnswer;
use kithara_storage::WaitOutcome;
use kithara_stream::Source;
use tokio::time::{Instant, timeout};

use crate::bed::{Bed, KB, MB, check, drain, entity, paced, read, serve, settle};

#[tokio::test(start_paused = true)]
async fn one_request_plays_a_file_from_its_first_bytes_on() {
    let body = entity(1, 3 * MB);
    let bed = Bed::correct(&body);
    let began = Instant::now();
    let source = bed.open().await;
    check(&source, 0, 1).await;
    assert!(began.elapsed() <= Duration::from_millis(22), "{:?}", began.elapsed());
    check(&source, 1, 3 * MB - 1).await;
    assert!(read(&source, 3 * MB, 10).await.unwrap().is_empty());
    assert_eq!(source.len(), Some(3 * MB));
    assert_eq!(bed.starts(), [0]);
    let stats = source.stats();
    assert_eq!((stats.requests, stats.bytes_downloaded, stats.total_bytes), (1, 3 * MB, Some(3 * MB)));
}

#[tokio::test(start_paused = true)]
async fn a_seek_is_one_request_from_there_and_holes_are_filled_afterwards() {
    let body = entity(1, 4 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    let mut events = source.events();
    check(&source, 0, 10 * KB).await;
    let sought = Instant::now();
    check(&source, 3 * MB, 10 * KB).await;
    assert!(sought.elapsed() <= Duration::from_millis(25), "{:?}", sought.elapsed());
    assert_eq!(bed.starts(), [0, 3 * MB]);
    check(&source, 3 * MB, MB).await;
    settle().await;
    assert_eq!(bed.starts(), [0, 3 * MB], "the first connection was left alone, and fills the hole");
    assert!(
        drain(&mut events).iter().any(|event| matches!(event, FileEvent::Complete { len } if *len == 4 * MB))
    );
    check(&source, 0, 4 * MB).await;
    assert!(bed.net.requests()[1].if_range.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_tail_is_fetched_at_once_and_the_first_connection_goes_on() {
    let body = entity(1, 8 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    check(&source, 0, 4 * KB).await;
    check(&source, 8 * MB - 20 * KB, 20 * KB).await;
    check(&source, 4 * KB, MB).await;
    assert_eq!(
        bed.starts(),
        [0, 8 * MB - 20 * KB],
        "back to the first connection, which was only left alone"
    );
    assert!(source.stats().bytes_downloaded < 2 * MB);
}

#[tokio::test(start_paused = true)]
async fn ten_seeks_in_a_burst_cost_two_requests_more_at_most() {
    let body = entity(1, 40 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    check(&source, 0, KB).await;
    for target in 1..10 {
        // Given up before the answer comes.
        let mut buf = [0; 16];
        assert!(timeout(Duration::from_millis(5), source.read_at(target * 4 * MB, &mut buf)).await.is_err());
    }
    check(&source, 39 * MB, KB).await;
    let starts = bed.starts();
    assert!(starts.len() <= 1 + 1 + 2, "{starts:?}");
    assert_eq!(starts.last(), Some(&(39 * MB)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_rests_stops_the_download_at_the_bound() {
    let body = entity(1, 8 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    check(&source, 0, KB).await;
    settle().await;
    let ahead = source.stats().bytes_stored;
    assert!((256 * KB..256 * KB + 80 * KB).contains(&ahead), "{ahead}");
    settle().await;
    assert_eq!(source.stats().bytes_stored, ahead);
    check(&source, KB, 2 * MB).await;
    assert_eq!(bed.starts().len(), 2, "the connection was given up meanwhile: {:?}", bed.starts());
    assert_eq!(bed.starts()[1], ahead, "and nothing is fetched twice");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_rests_costs_no_wake_ups() {
    let body = entity(1, 8 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    check(&source, 0, KB).await;
    settle().await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    tokio::time::sleep(Duration::from_secs(1000)).await;
    // This test's own sleep takes a few, one for each level of the timer's wheel.
    let parks = metrics.worker_park_count(0) - before;
    assert!(parks <= 6, "{parks}");
}

#[tokio::test(start_paused = true)]
async fn a_short_rest_keeps_the_connection() {
    let body = entity(1, 8 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    for step in 0..20 {
        check(&source, step * 128 * KB, 128 * KB).await;
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    assert_eq!(bed.starts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_more_than_the_look_ahead_ends() {
    let body = entity(1, 4 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    for (range, outcome) in [
        (10..2 * MB, WaitOutcome::Ready),
        (3 * MB..5 * MB, WaitOutcome::Ready),
        (4 * MB..5 * MB, WaitOutcome::Eof),
    ] {
        let waited = timeout(Duration::from_secs(60), source.wait_range(range.clone())).await;
        assert_eq!(waited.expect("a wait that never ends").unwrap(), outcome, "{range:?}");
    }
    assert!(source.available_at(10) >= 2 * MB - 10);
    assert_eq!(bed.starts(), [0, 3 * MB]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_much_fetches_that_and_no_more() {
    let body = entity(1, 4 * MB);
    let bed = Bed::correct(&body);
    let source = bed.open().await;
    let waited = timeout(Duration::from_secs(60), source.wait_range(0..MB)).await;
    assert_eq!(waited.expect("a wait that never ends").unwrap(), WaitOutcome::Ready);
    settle().await;
    let stored = source.stats().bytes_stored;
    assert!((MB..MB + 80 * KB).contains(&stored), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn without_a_bound_the_whole_file_comes() {
    let body = entity(1, 8 * MB);
    let mut bed = Bed::correct(&body);
    bed.options.look_ahead = LookAhead::unbounded();
    let source = bed.open().await;
    settle().await;
    assert_eq!(source.stats().bytes_stored, 8 * MB);
    assert_eq!(bed.starts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_ranges_plays_and_seeks_wait_for_their_bytes() {
    let body = entity(1, 2 * MB);
    let bed = Bed::new(move |_| paced(MockAnswer::ok(body.clone())));
    let source = bed.open().await;
    let mut events = source.events();
    check(&source, 0, 10 * KB).await;
    check(&source, MB, 10 * KB).await;
    check(&source, 100 * KB, 10 * KB).await;
    check(&source, 0, 2 * MB).await;
    assert!(bed.starts().len() <= 2, "{:?}", bed.starts());
    let told = drain(&mut events).iter().filter(|event| matches!(event, FileEvent::NoRanges)).count();
    assert_eq!(told, 1);
}

#[tokio::test(start_paused = true)]
async fn two_readers_of_one_url_share_one_download() {
    let body = entity(1, 4 * MB);
    let bed = Bed::correct(&body);
    let (one, two) = tokio::join!(bed.open(), bed.open());
    tokio::join!(check(&one, 0, 4 * MB), check(&two, 0, 4 * MB));
    assert_eq!(bed.starts(), [0]);
    drop(one);
    check(&two, MB, 100).await;
}

#[tokio::test(start_paused = true)]
async fn two_readers_far_apart_both_get_on() {
    let body = entity(1, 16 * MB);
    let bed = Bed::correct(&body);
    let (one, two) = (bed.open().await, bed.open().await);
    tokio::join!(check(&one, 0, 4 * MB), check(&two, 12 * MB, 4 * MB));
    assert!(bed.starts().len() <= 4, "{:?}", bed.starts());
}

#[tokio::test(start_paused = true)]
async fn separate_options_over_one_store_share_by_turns() {
    let body = entity(1, 4 * MB);
    let bed = Bed::correct(&body);
    let other = Bed::over(bed.net.clone(), bed.options.assets.clone());
    let (one, two) = (bed.open().await, other.open().await);
    tokio::join!(check(&one, 0, 4 * MB), check(&two, 3 * MB, MB));
    assert!(one.stats().bytes_downloaded + two.stats().bytes_downloaded <= 4 * MB + 600 * KB);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_another_download_brings_are_read_as_they_come() {
    let body = entity(1, 40 * MB);
    let mut bed = Bed::correct(&body);
    bed.options.look_ahead = LookAhead::unbounded();
    let other = Bed::over(bed.net.clone(), bed.options.assets.clone());
    let one = bed.open().await;
    let began = Instant::now();
    let two = other.open().await;
    check(&two, 0, MB).await;
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    check(&one, 0, KB).await;
    assert_eq!(bed.starts(), [0]);
}

#[tokio::test(start_paused = true)]
async fn dropping_everybody_ends_the_download() {
    let body = entity(1, 8 * MB);
    let mut bed = Bed::correct(&body);
    bed.options.look_ahead = LookAhead::unbounded();
    let source = bed.open().await;
    check(&source, 0, KB).await;
    drop(source);
    settle().await;
    let stored = bed.open().await.stats().bytes_stored;
    assert!(stored < MB, "{stored}");
}

#[tokio::test(start_paused = true)]
async fn half_a_file_is_continued_where_it_ended() {
    let body = entity(1, 2 * MB);
    let bed = Bed::new(move |request| serve(&body, request));
    let source = bed.open().await;
    check(&source, 0, MB).await;
    drop(source);
    settle().await;
    let source = bed.open().await;
    let stored = source.stats().bytes_stored;
    assert!(stored >= MB);
    check(&source, 0, 2 * MB).await;
    assert_eq!(bed.starts().len(), 2);
    assert!(bed.starts()[1] >= MB);
    assert!(source.stats().bytes_downloaded <= MB);
}
