//! Bodies without a length, and bodies without an end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, header};
use kithara_file::{FileError, FileEvent};
use kithara_net::{MockAnswer, MockStep, NetError};
use kithara_storage::WaitOutcome;
use kithara_stream::Source;
use tokio::time::{Instant, timeout};

use crate::bed::{Bed, Count, KB, MB, check, drain, entity, paced, read, settle};

#[tokio::test(start_paused = true)]
async fn a_chunked_body_plays_and_is_kept_at_its_proven_end() {
    let body = entity(1, MB);
    let bed = Bed::new(move |_| paced(MockAnswer::ok(body.clone()).chunked()));
    let source = bed.open().await;
    assert_eq!(source.len(), None);
    check(&source, 0, MB).await;
    assert!(read(&source, MB, 1).await.unwrap().is_empty());
    assert_eq!(source.len(), Some(MB));
    settle().await;
    check(&bed.open().await, 0, MB).await;
    assert_eq!(bed.starts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_ends_a_body_but_proves_nothing() {
    let body = entity(1, MB);
    let bed = Bed::new(move |_| paced(MockAnswer::ok(body.clone()).close_delimited()));
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert!(read(&source, MB, 1).await.unwrap().is_empty());
    settle().await;
    drop(source);
    settle().await;
    check(&bed.open().await, 0, MB).await;
    assert_eq!(bed.starts().len(), 2, "not kept as complete");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_outgrows_its_bound_plays_on_without_being_kept() {
    let body = entity(1, 4 * MB);
    let mut bed = Bed::new(move |_| paced(MockAnswer::ok(body.clone()).chunked()));
    bed.options.max_unknown_len = MB;
    let source = bed.open().await;
    check(&source, 0, 4 * MB).await;
    assert!(read(&source, 4 * MB, 1).await.unwrap().is_empty());
    assert!(source.stats().bytes_stored <= MB + 64 * KB);
    check(&source, 10, 100).await;
    assert!(matches!(read(&source, 2 * MB, 1).await.unwrap_err(), FileError::Gone { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_was_passed_over_before_a_body_outgrew_its_bound_is_gone() {
    let body = entity(1, 4 * MB);
    let mut bed = Bed::new(move |request| {
        let answer = paced(MockAnswer::serve(&body, Some("\"v1\""), request)).chunked();
        match request.range {
            Some(range) => {
                answer.with_header(header::CONTENT_RANGE, &format!("bytes {}-{}/*", range.start, 4 * MB - 1))
            }
            None => answer,
        }
    });
    bed.options.max_unknown_len = MB;
    let source = bed.open().await;
    check(&source, 0, 10 * KB).await;
    check(&source, 2 * MB, 300 * KB).await;
    let passed = timeout(Duration::from_secs(60), read(&source, 900 * KB, 10));
    let passed = passed.await.expect("a read that never ends").unwrap_err();
    assert!(matches!(passed, FileError::Gone { offset } if offset == 900 * KB), "{passed:?}");
    check(&source, 10, KB).await;
}

pub(crate) fn station(audio: &Bytes, interval: usize) -> MockAnswer {
    let mut mixed = BytesMut::new();
    for (at, part) in audio.chunks(interval).enumerate() {
        mixed.extend_from_slice(part);
        if part.len() == interval {
            let text = if at % 2 == 0 { format!("StreamTitle='Song {at}';") } else { String::new() };
            mixed.extend_from_slice(&[u8::try_from(text.len().div_ceil(16)).unwrap()]);
            mixed.extend_from_slice(text.as_bytes());
            mixed.extend_from_slice(&vec![0; text.len().div_ceil(16) * 16 - text.len()]);
        }
    }
    MockAnswer::ok(mixed.freeze())
        .with_header(HeaderName::from_static("icy-metaint"), &interval.to_string())
        .with_header(HeaderName::from_static("icy-name"), "Test FM")
        .with_header(HeaderName::from_static("icy-br"), "128")
        .close_delimited()
        .in_chunks(5000)
}

#[tokio::test(start_paused = true)]
async fn a_station_plays_bounded_and_its_titles_become_events() {
    let audio = entity(1, 8 * MB);
    let bed = Bed::new(move |request| {
        assert_eq!(request.headers.get("icy-metadata").unwrap(), "1");
        station(&audio, 16_000).then(MockStep::Stall)
    });
    let source = bed.open().await;
    let mut events = source.events();
    assert!(!source.is_seekable());
    assert_eq!(source.len(), None);
    check(&source, 0, 2 * MB).await;
    settle().await;
    let stats = source.stats();
    assert_eq!(stats.bytes_stored, 0);
    assert!(stats.bytes_downloaded < 2 * MB + 400 * KB, "{stats:?}");
    let titles: Vec<_> = drain(&mut events)
        .into_iter()
        .filter_map(|event| match event {
            FileEvent::Title { title, .. } => title,
            _ => None,
        })
        .collect();
    assert_eq!(titles[..2], ["Song 0", "Song 2"]);
    let second = bed.open().await;
    check(&second, 0, 100 * KB).await;
    assert_eq!(bed.starts().len(), 2, "each listener has a connection");
}

#[tokio::test(start_paused = true)]
async fn a_station_that_drops_us_is_joined_again() {
    let audio = entity(1, MB);
    let count = Count::default();
    let bed = Bed::new(move |_| match count.next() {
        0 => station(&audio.slice(..300_000), 10_000),
        1 => MockAnswer::status(503),
        _ => station(&audio.slice(300_000..), 10_000),
    });
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert_eq!(bed.starts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_station_that_is_gone_for_a_moment_is_waited_for() {
    let audio = entity(1, MB);
    let (begun, count) = (Instant::now(), Count::default());
    let bed = Bed::new(move |_| match (count.next(), begun.elapsed().as_secs()) {
        (0, _) => station(&audio.slice(..300_000), 10_000),
        (_, ..6) => MockAnswer::status(404),
        _ => station(&audio.slice(300_000..), 10_000),
    });
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert!((6..20).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn a_station_that_stays_away_is_given_up() {
    let audio = entity(1, 300_000);
    let count = Count::default();
    let bed = Bed::new(move |_| match count.next() {
        0 => station(&audio, 10_000),
        _ => MockAnswer::status(404),
    });
    let source = bed.open().await;
    check(&source, 0, 300_000).await;
    let begun = Instant::now();
    let error = read(&source, 300_000, 1).await.unwrap_err();
    assert!(
        matches!(&error, FileError::Net(NetError::Status { status, .. }) if status.as_u16() == 404),
        "{error:?}"
    );
    assert!((8..25).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(bed.starts().len() < 40, "{}", bed.starts().len());
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_stations_bytes_ends() {
    let audio = entity(1, 400_000);
    let bed = Bed::new(move |_| station(&audio, 16_000).then(MockStep::Stall));
    let source = bed.open().await;
    let wait = |range| timeout(Duration::from_secs(60), source.wait_range(range));
    assert_eq!(wait(0..200_000).await.expect("a wait that never ends").unwrap(), WaitOutcome::Ready);
    check(&source, 0, 200_000).await;
    assert_eq!(wait(200_000..390_000).await.expect("a wait that never ends").unwrap(), WaitOutcome::Ready);
    check(&source, 200_000, 100_000).await;
    let gone = wait(0..10).await.expect("a wait that never ends").unwrap_err();
    assert!(matches!(gone, FileError::Gone { offset: 0 }), "{gone:?}");
    let too_far = wait(300_000..300_000 + MB).await.expect("a wait that never ends").unwrap_err();
    assert!(matches!(too_far, FileError::Gone { offset: 500_000..600_000 }), "{too_far:?}");
}
