//! Networks that fail and servers that lie.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use kithara_file::{FileError, FileEvent};
use kithara_net::{MockAnswer, MockStep, NetError, Request};
use kithara_stream::Source;
use kithara_testkit::pattern;
use tokio::time::Instant;

use crate::bed::{Bed, Count, KB, MB, check, drain, entity, paced, read, serve, settle};

#[tokio::test(start_paused = true)]
async fn a_transfer_that_breaks_goes_on_where_it_broke() {
    let body = entity(1, 2 * MB);
    let bed = Bed::new(move |request| serve(&body, request).cut(300_000, MockStep::Break));
    let source = bed.open().await;
    check(&source, 0, 2 * MB).await;
    assert_eq!(bed.starts()[..3], [0, 300_000, 600_000]);
    assert!(source.stats().retries >= 6);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_transfer_is_given_up_after_the_idle_limit_and_goes_on() {
    let body = entity(1, MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request).cut(100_000, MockStep::Stall),
        _ => serve(&body, request),
    });
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert_eq!(bed.starts(), [0, 100_000]);
}

#[tokio::test(start_paused = true)]
async fn a_seek_does_not_wait_for_a_stalled_transfer() {
    let body = entity(1, 4 * MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request).cut(100_000, MockStep::Stall),
        _ => serve(&body, request),
    });
    let source = bed.open().await;
    check(&source, 0, 100_000).await;
    let sought = Instant::now();
    check(&source, 3 * MB, KB).await;
    assert!(sought.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_short_seek_does_not_wait_for_a_stalled_transfer_either() {
    let body = entity(1, 4 * MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request).cut(100_000, MockStep::Stall),
        _ => serve(&body, request),
    });
    let source = bed.open().await;
    check(&source, 0, 100_000).await;
    let sought = Instant::now();
    check(&source, 110_000, KB).await;
    assert!(sought.elapsed() < Duration::from_millis(300), "{:?}", sought.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_seek_does_not_wait_for_an_answer_that_does_not_come() {
    let body = entity(1, 4 * MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        1 => MockAnswer::silent(),
        _ => serve(&body, request),
    });
    let source = bed.open().await;
    check(&source, 0, KB).await;
    let mut buf = [0; 8];
    let read_far = kithara_stream::Source::read_at(&source, 2 * MB, &mut buf);
    assert!(tokio::time::timeout(Duration::from_millis(50), read_far).await.is_err());
    let sought = Instant::now();
    check(&source, 3 * MB, KB).await;
    assert!(sought.elapsed() < Duration::from_secs(1), "{:?}", sought.elapsed());
}

#[tokio::test(start_paused = true)]
async fn errors_that_do_not_pass_are_told_at_once() {
    for status in [400, 401, 403, 404, 410, 501] {
        let bed = Bed::new(move |_| MockAnswer::status(status));
        let error = bed.try_open().await.unwrap_err();
        assert!(matches!(&error, FileError::Net(net) if net.status().unwrap() == status), "{error:?}");
        assert!(!error.is_retryable() && !format!("{error:?}").contains("secret"));
        assert_eq!(bed.starts().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_that_may_pass_are_tried_again_and_then_told() {
    let bed = Bed::new(|_| MockAnswer::unreachable());
    let error = bed.try_open().await.unwrap_err();
    assert!(matches!(error, FileError::Net(NetError::Connect { .. })) && error.is_retryable());
    assert_eq!(bed.starts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_comes_back_is_used_by_the_next_read() {
    let body = entity(1, 2 * MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request).cut(500_000, MockStep::Break),
        1..=4 => MockAnswer::unreachable(),
        _ => serve(&body, request),
    });
    let source = bed.open().await;
    let mut events = source.events();
    let error = read(&source, 0, 2 * MB).await.unwrap_err();
    assert!(matches!(error, FileError::Net(_)), "{error:?}");
    assert!(drain(&mut events).iter().any(|event| matches!(event, FileEvent::Failed { .. })));
    check(&source, 0, 2 * MB).await;
    assert_eq!(bed.starts()[5], 500_000);
}

#[tokio::test(start_paused = true)]
async fn a_background_failure_is_nobodys_error() {
    let body = entity(1, 2 * MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request).cut(100_000, MockStep::Break),
        1..=4 => MockAnswer::unreachable(),
        _ => serve(&body, request),
    });
    let source = bed.open().await;
    check(&source, 0, KB).await;
    settle().await;
    assert_eq!(bed.starts().len(), 4, "gave up");
    check(&source, 0, 2 * MB).await;
}

/// A server that declares one byte more than there is, and closes the connection; about ranges it says the truth.
fn one_byte_too_many(body: Bytes, etag: Option<&'static str>) -> Bed {
    let long = (body.len() + 1).to_string();
    Bed::new(move |request| {
        let answer = paced(MockAnswer::serve(&body, etag, request));
        if request.range.is_some() { answer } else { answer.with_header(header::CONTENT_LENGTH, &long) }
    })
}

#[tokio::test(start_paused = true)]
async fn a_file_ends_where_the_server_insists_that_it_does() {
    for (etag, kept) in [(Some("\"v1\""), true), (Some("W/\"v1\""), false), (None, false)] {
        let bed = one_byte_too_many(entity(1, MB), etag);
        let source = bed.open().await;
        let mut events = source.events();
        check(&source, 0, MB).await;
        assert!(read(&source, MB, 10).await.unwrap().is_empty(), "{etag:?}");
        assert_eq!((source.len(), bed.starts()), (Some(MB), vec![0, MB, MB, MB]), "{etag:?}");
        settle().await;
        let complete = |event: &FileEvent| matches!(event, FileEvent::Complete { len } if *len == MB);
        assert_eq!(drain(&mut events).iter().any(complete), kept, "{etag:?}");
        drop(source);
        check(&bed.open().await, 0, MB).await;
        assert_eq!(bed.starts().len() == 4, kept, "{etag:?}: {:?}", bed.starts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_length_that_was_insisted_on_is_believed_at_once_when_it_is_played_again() {
    for etag in [Some("W/\"v1\""), None] {
        let bed = one_byte_too_many(entity(1, MB), etag);
        for play in 0..4 {
            let before = bed.starts().len();
            let source = bed.open().await;
            let mut events = source.events();
            if play == 2 {
                // Given up before its end, and remembered all the same.
                check(&source, 0, 100 * KB).await;
                continue;
            }
            check(&source, 0, MB).await;
            assert!(read(&source, MB, 10).await.unwrap().is_empty(), "{etag:?}");
            let refusals = if play == 0 { 3 } else { 1 };
            assert_eq!(bed.starts().len() - before, 1 + refusals, "{etag:?}, {play}: {:?}", bed.starts());
            settle().await;
            let events = drain(&mut events);
            let paused =
                |event: &&FileEvent| matches!(event, FileEvent::Retry { pause, .. } if !pause.is_zero());
            assert_eq!(events.iter().filter(paused).count(), refusals - 1, "{etag:?}, {play}");
            let complete = |event: &FileEvent| matches!(event, FileEvent::Complete { .. });
            assert!(!events.iter().any(complete), "nothing strong says that it is whole");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_mends_its_length_is_believed_too() {
    let (short, long) = (entity(1, MB - 1), entity(1, MB));
    let broken = Count::default();
    let is_broken = broken.clone();
    let bed = Bed::new(move |request| {
        let body = if is_broken.peek() == 0 { &short } else { &long };
        let answer = paced(MockAnswer::serve(body, Some("W/\"v1\""), request));
        if request.range.is_some() {
            answer
        } else {
            answer.with_header(header::CONTENT_LENGTH, &MB.to_string())
        }
    });
    let source = bed.open().await;
    assert_eq!(read(&source, 0, 2 * MB).await.unwrap().len() as u64, MB - 1);
    drop(source);
    broken.next();
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert!(read(&source, MB, 10).await.unwrap().is_empty());
    settle().await;
    assert_eq!(bed.open().await.len(), Some(MB));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_bytes_that_are_there_is_tried_again() {
    for total in [Some(MB), None] {
        let refusal = move || match total {
            Some(total) => {
                MockAnswer::status(416).with_header(header::CONTENT_RANGE, &format!("bytes */{total}"))
            }
            None => MockAnswer::status(416),
        };
        let (body, count) = (entity(1, MB), Count::default());
        let bed = Bed::new(move |request| match count.next() {
            0 => serve(&body, request).cut(300_000, MockStep::Break),
            1 | 2 => refusal(),
            3 => serve(&body, request).cut(100_000, MockStep::Break),
            4..=30 if request.range.is_some() => refusal(),
            5..=9 => refusal(),
            _ => serve(&body, request),
        });
        let source = bed.open().await;
        let mut events = source.events();
        check(&source, 0, 390_000).await;
        assert_eq!(bed.starts()[..4], [0, 300_000, 300_000, 300_000]);
        let error = read(&source, 390_000, MB).await.unwrap_err();
        assert!(matches!(error, FileError::Net(_)), "{error:?}");
        assert!(bed.starts().len() <= 12, "bounded: {:?}", bed.starts());
        assert!(drain(&mut events).iter().any(|event| matches!(event, FileEvent::NoRanges)));
        check(&source, 0, MB).await;
        assert_eq!(*bed.starts().last().unwrap(), 0, "in order, as its ranges are of no use");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_length_found_near_the_end_drops_nothing() {
    let bed = one_byte_too_many(entity(1, MB), Some("\"v1\""));
    let source = bed.open().await;
    check(&source, 0, 10 * KB).await;
    let tail = read(&source, MB - KB, 2 * KB).await.unwrap();
    assert_eq!((tail.len() as u64, pattern::mismatch(1, MB - KB, &tail)), (KB, None));
    check(&source, 0, MB).await;
    settle().await;
    check(&bed.open().await, 0, MB).await;
    let tail = bed.starts().iter().filter(|&&start| start == MB - KB).count();
    assert_eq!((tail, bed.starts().len()), (4, 6), "{:?}", bed.starts());
}

#[tokio::test(start_paused = true)]
async fn a_body_shorter_than_declared_is_never_complete() {
    let body = entity(1, MB);
    // Declares one byte more than there is, whatever it is asked.
    let long = (MB + 1).to_string();
    let bed = Bed::new(move |_| {
        let answer = MockAnswer::ok(body.clone()).with_header(header::CONTENT_LENGTH, &long);
        paced(answer.with_header(header::ETAG, "\"v1\""))
    });
    let source = bed.open().await;
    let mut events = source.events();
    check(&source, 0, MB).await;
    let error = read(&source, MB, 1).await.unwrap_err();
    assert!(matches!(error, FileError::Net(NetError::Interrupted { .. })), "{error:?}");
    settle().await;
    assert!(!drain(&mut events).iter().any(|event| matches!(event, FileEvent::Complete { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_few_wrong_lengths_cost_a_pause_and_no_byte() {
    let part = |total: u64| {
        let range = move |request: &Request| request.range.map_or(0, |range| range.start);
        move |request: &Request, answer: MockAnswer| {
            let value = format!("bytes {}-{}/{total}", range(request), MB - 1);
            answer.with_header(header::CONTENT_RANGE, &value)
        }
    };
    let refusal = |total: u64| {
        move |_: &Request, _: MockAnswer| {
            MockAnswer::status(416).with_header(header::CONTENT_RANGE, &format!("bytes */{total}"))
        }
    };
    type Lie = Box<dyn Fn(&Request, MockAnswer) -> MockAnswer + Send + Sync>;
    let schedules: [Vec<Lie>; 5] = [
        vec![Box::new(part(MB + 1)), Box::new(part(MB + 1))],
        // Whoever says something else each time does not insist.
        (0..8).map(|lie| Box::new(part(MB + 1 + lie % 2)) as Lie).collect(),
        vec![Box::new(refusal(5))],
        vec![Box::new(refusal(300_000)), Box::new(refusal(300_000))],
        (0..8).map(|lie| Box::new(refusal(5 + lie % 2)) as Lie).collect(),
    ];
    for (at, lies) in schedules.into_iter().enumerate() {
        let told = lies.len();
        let (body, count) = (entity(1, MB), Count::default());
        let mut bed = Bed::new(move |request| match usize::try_from(count.next()).unwrap() {
            0 => serve(&body, request).cut(300_000, MockStep::Break),
            n if n <= lies.len() => lies[n - 1](request, serve(&body, request)),
            _ => serve(&body, request),
        });
        bed.options.retry.max_retries = 10;
        let source = bed.open().await;
        let mut events = source.events();
        check(&source, 0, MB).await;
        assert!(read(&source, MB, 1).await.unwrap().is_empty(), "{at}");
        assert_eq!(bed.starts().len(), 2 + told, "{at}: {:?}", bed.starts());
        let paused = |event: &FileEvent| matches!(event, FileEvent::Retry { error: FileError::Server { .. }, pause } if !pause.is_zero());
        assert_eq!(drain(&mut events).into_iter().filter(paused).count(), told, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_parts_are_wrong_is_read_in_order() {
    let body = entity(1, 2 * MB);
    let lies: [fn(&Request, MockAnswer) -> MockAnswer; 3] = [
        |_, answer| answer.with_header(header::CONTENT_RANGE, "bytes 99999999-199999999/299999999"),
        |_, answer| answer.with_header(header::CONTENT_RANGE, "bytes nonsense"),
        |_, answer| answer.without_header(&header::CONTENT_RANGE),
    ];
    for lie in lies {
        let (count, body) = (Count::default(), body.clone());
        let bed = Bed::new(move |request| match count.next() {
            0 => serve(&body, request),
            _ => lie(request, serve(&body, request)),
        });
        let source = bed.open().await;
        check(&source, 0, KB).await;
        check(&source, MB + 512 * KB, KB).await;
        assert_eq!(bed.starts(), [0, MB + 512 * KB], "the first transfer brings it");
        settle().await;
        check(&source, 0, 2 * MB).await;
        assert_eq!(bed.starts().iter().filter(|&&start| start > 0).count(), 1, "{:?}", bed.starts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_body_for_a_part_is_used_from_its_start() {
    let body = entity(1, MB);
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&body, request).cut(500_000, MockStep::Break),
        _ => paced(MockAnswer::ok(body.clone()).with_header(header::ETAG, "\"v1\"")),
    });
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert_eq!(bed.starts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unnamed_whole_body_for_a_named_part_is_another_version() {
    let (old, new) = (entity(1, MB), entity(2, MB));
    let count = Count::default();
    let bed = Bed::new(move |request| match count.next() {
        0 => serve(&old, request).cut(500_000, MockStep::Break),
        _ => paced(MockAnswer::ok(new.clone())),
    });
    let source = bed.open().await;
    let error = read(&source, 0, MB).await.unwrap_err();
    assert!(matches!(error, FileError::EntityChanged { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_gets_further_is_given_up() {
    let body = entity(1, MB);
    let unfinished: [fn(MockAnswer) -> MockAnswer; 2] = [
        |answer| answer.cut(300_000, MockStep::Break),
        |answer| answer.cut(300_000, MockStep::Wait(Duration::ZERO)).chunked(),
    ];
    for unfinished in unfinished {
        let body = body.clone();
        let count = Count::default();
        let bed = Bed::new(move |_| match count.next() {
            0 => paced(MockAnswer::ok(body.clone())).cut(100_000, MockStep::Break),
            _ => unfinished(paced(MockAnswer::ok(body.clone()))),
        });
        let source = bed.open().await;
        let error = read(&source, 0, MB).await.unwrap_err();
        assert!(matches!(error, FileError::Net(_) | FileError::Server { .. }), "{error:?}");
        assert!(bed.starts().len() < 10, "{:?}", bed.starts());
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_file_is_empty() {
    let bed = Bed::new(|_| MockAnswer::ok(Vec::new()));
    let source = bed.open().await;
    assert!(read(&source, 0, 10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn parts_that_end_early_are_followed_by_the_next() {
    let body = entity(1, MB);
    let bed = Bed::new(move |request| {
        let start = request.range.map_or(0, |range| range.start);
        let end = (start + 100_000).min(MB);
        let part = body.slice(usize::try_from(start).unwrap()..usize::try_from(end).unwrap());
        MockAnswer::status(206)
            .then(MockStep::Data(part))
            .with_header(header::CONTENT_RANGE, &format!("bytes {start}-{}/{MB}", end - 1))
            .with_header(header::ETAG, "\"v1\"")
    });
    let source = bed.open().await;
    let bytes = read(&source, 0, 2 * MB).await.unwrap();
    assert_eq!((bytes.len() as u64, pattern::mismatch(1, 0, &bytes)), (MB, None));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_runtime_is_an_error_not_a_hang() {
    let body = entity(1, 8 * MB);
    let bed =
        std::sync::Arc::new(Bed::new(move |request| serve(&body, request).cut(KB as usize, MockStep::Stall)));
    let (sender, receiver) = std::sync::mpsc::channel();
    let opened = std::sync::Arc::clone(&bed);
    let runtime = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        sender.send(runtime.block_on(opened.open())).unwrap();
    });
    let source = tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap();
    tokio::task::spawn_blocking(move || runtime.join().unwrap()).await.unwrap();
    let error = read(&source, 0, MB).await.unwrap_err();
    assert!(matches!(error, FileError::Stopped), "{error:?}");
}
