//! Resuming is exact.

use std::time::Duration;

use bytes::Bytes;
use http::header;
use kithara_net::{
    Body, HttpClient, MockAnswer, MockNet, MockStep, Net, NetError, Request, RetryBody, RetryNet,
    RetryPolicy, TimeoutNet, Timeouts, Url, Validator,
};
use tokio::time::Instant;

use crate::server::{Act, Server, answer, cut, ok, part};
use crate::{entity, read_all};

const TAG: &str = "etag: \"v1\"";
const DATE: &str = "last-modified: Sun, 06 Nov 1994 08:49:37 GMT";

fn policy() -> RetryPolicy {
    RetryPolicy { max_retries: 3, base: Duration::ZERO, seed: Some(1), ..RetryPolicy::default() }
}

fn request() -> Request {
    Request::new(Url::parse("http://h/x").unwrap())
}

async fn open(
    server: &Server,
    range: Option<(u64, Option<u64>)>,
) -> kithara_net::Response<RetryBody<HttpClient>> {
    let mut request = Request::new(server.url("/x"));
    request.range = range.map(|(start, end)| kithara_net::ByteRange { start, end });
    RetryNet::new(HttpClient::default(), policy()).open(request).await.unwrap()
}

/// Serves `first` to the first request and `then` to all later ones, and reads everything.
async fn continued(
    first: Vec<Act>,
    then: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static,
) -> (Vec<u8>, Result<(), NetError>, bool, Server) {
    let server = Server::start(move |seen, number| match number {
        0 => first.clone(),
        _ => then(seen.start().unwrap_or(0)),
    })
    .await;
    let mut body = open(&server, None).await.body;
    let (bytes, end) = read_all(&mut body).await;
    let proven = body.is_complete();
    (bytes, end, proven, server)
}

fn is_changed(end: &Result<(), NetError>) -> bool {
    matches!(end, Err(error) if error.is_entity_changed() && !error.is_retryable())
}

#[tokio::test]
async fn a_broken_body_continues_at_its_offset_with_if_range() {
    for (validator, sent) in [(TAG, "\"v1\""), (DATE, "Sun, 06 Nov 1994 08:49:37 GMT")] {
        for breaks in [Act::Close, Act::Reset] {
            let data = entity(100_000, 0);
            let (a, b) = (data.clone(), data.clone());
            let first = vec![cut(ok(&[validator], &a), 40_000), breaks];
            let (bytes, end, proven, server) =
                continued(first, move |start| vec![part(&[validator], &b, start)]).await;
            end.unwrap();
            assert!(proven);
            assert!(bytes == data);
            let seen = server.seen();
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[1].header("if-range"), Some(sent));
            assert!(seen[1].start().unwrap() <= 40_000);
            assert_eq!(seen[1].header("accept-encoding"), Some("identity"));
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_accept_ranges_is_tried_anyway() {
    let data = entity(3000, 0);
    let (a, b) = (data.clone(), data.clone());
    let first = vec![cut(ok(&[TAG, "accept-ranges: none"], &a), 1024), Act::Close];
    let (bytes, end, _, server) = continued(first, move |start| vec![part(&[TAG], &b, start)]).await;
    end.unwrap();
    assert!(bytes == data);
    assert_eq!(server.seen()[1].start(), Some(1024));
}

#[tokio::test]
async fn a_200_answer_is_skipped_and_never_appended() {
    // The same validator; none at all but the same bytes.
    for headers in [&[TAG][..], &[DATE], &[]] {
        let data = entity(30_000, 0);
        let (a, b) = (data.clone(), data.clone());
        let first = vec![cut(ok(headers, &a), 10_000), Act::Close];
        let headers = headers.to_vec();
        let (bytes, end, proven, _) = continued(first, move |_| vec![ok(&headers, &b)]).await;
        end.unwrap();
        assert!(proven && bytes == data);
    }
}

#[tokio::test]
async fn a_changed_entity_is_never_spliced() {
    let (old, new) = (entity(30_000, 0), entity(30_000, 1));
    let longer = entity(31_000, 0);
    type Case = (&'static str, &'static [&'static str], Bytes, &'static [&'static str], bool);
    let cases: Vec<Case> = vec![
        ("other tag, whole", &[TAG], new.clone(), &["etag: \"v2\""], false),
        ("other tag in spite of If-Range, part", &[TAG], new.clone(), &["etag: \"v2\""], true),
        ("tag gone, whole", &[TAG], new.clone(), &[], false),
        ("tag weak now, whole", &[TAG], new.clone(), &["etag: W/\"v1\""], false),
        ("other date, part", &[DATE], new.clone(), &["last-modified: Sun, 06 Nov 1994 08:49:38 GMT"], true),
        ("other length, part", &[TAG], longer.clone(), &[TAG], true),
        ("other length, whole", &[TAG], longer, &[TAG], false),
        ("other weak tag", &["etag: W/\"1\""], new.clone(), &["etag: W/\"2\""], true),
        ("same weak tag, other bytes", &["etag: W/\"1\""], new.clone(), &["etag: W/\"1\""], true),
        ("no validator, other bytes, part", &[], new.clone(), &[], true),
        ("no validator, other bytes, whole", &[], new, &[], false),
    ];
    for (name, headers, served, new_headers, is_part) in cases {
        let first = vec![cut(ok(headers, &old), 10_000), Act::Close];
        let new_headers = new_headers.to_vec();
        let (bytes, end, proven, server) = continued(first, move |start| match is_part {
            true => vec![part(&new_headers, &served, start)],
            false => vec![ok(&new_headers, &served)],
        })
        .await;
        assert!(is_changed(&end), "{name}: {end:?}");
        assert!(!proven, "{name}");
        assert!(bytes == old[..10_000], "{name}: {} bytes", bytes.len());
        assert_eq!(server.seen().len(), 2, "{name}: final at once");
    }
}

#[tokio::test]
async fn without_a_validator_the_last_bytes_are_asked_for_again() {
    let data = entity(30_000, 0);
    let (a, b) = (data.clone(), data.clone());
    let first = vec![cut(ok(&[], &a), 10_000), Act::Close];
    let (bytes, end, proven, server) = continued(first, move |start| vec![part(&[], &b, start)]).await;
    end.unwrap();
    assert!(proven && bytes == data);
    assert_eq!(server.seen()[1].start(), Some(10_000 - 1024));
}

#[tokio::test]
async fn wrong_parts_are_refused() {
    let data = entity(10_000, 0);
    for range in
        ["bytes 5001-9999/10000", "bytes 0-4999/10000", "bytes 9-1/10000", "nonsense", "bytes */10000"]
    {
        let first = vec![cut(ok(&[TAG], &data), 5000), Act::Close];
        let range = format!("content-range: {range}");
        let (bytes, end, _, _) = continued(first, move |_| {
            vec![answer("206 Partial Content", &[TAG, &range, "content-length: 5"], b"wrong")]
        })
        .await;
        assert!(matches!(end, Err(NetError::WrongRange { .. })), "{end:?}");
        assert!(bytes == data[..5000]);
    }
}

#[tokio::test]
async fn a_part_that_begins_early_is_skipped_forward() {
    let data = entity(10_000, 0);
    let (a, b) = (data.clone(), data.clone());
    let first = vec![cut(ok(&[TAG], &a), 5000), Act::Close];
    let (bytes, end, proven, _) = continued(first, move |_| vec![part(&[TAG], &b, 4096)]).await;
    end.unwrap();
    assert!(proven && bytes == data);
}

#[tokio::test]
async fn a_compressed_continuation_is_refused() {
    let data = entity(10_000, 0);
    let b = data.clone();
    let first = vec![cut(ok(&[TAG], &data), 5000), Act::Close];
    let (_, end, _, _) =
        continued(first, move |start| vec![part(&[TAG, "content-encoding: br"], &b, start)]).await;
    assert!(matches!(end, Err(NetError::ContentEncoding { .. })));
}

#[tokio::test]
async fn status_416_for_bytes_that_are_there_is_tried_again() {
    for range in ["content-range: bytes */3000", "x: y"] {
        for refusals in [2, 9] {
            let data = entity(3000, 0);
            let (whole, count) = (data.clone(), std::sync::atomic::AtomicUsize::new(0));
            let (bytes, end, proven, server) =
                continued(vec![cut(ok(&[TAG], &data), 1000), Act::Close], move |start| {
                    match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                        n if n < refusals => {
                            vec![answer("416 Nope", &[range, "content-length: 0"], b"")]
                        }
                        _ => vec![part(&[TAG], &whole, start)],
                    }
                })
                .await;
            let kept = if refusals == 2 { 3000 } else { 1000 };
            assert!(bytes == data[..kept]);
            assert_eq!((end.is_ok(), proven), (refusals == 2, refusals == 2), "{range}: {end:?}");
            assert!(server.seen().len() <= 5, "bounded");
        }
    }
}

#[tokio::test]
async fn status_416_at_the_exact_end_is_the_end() {
    // The length is unknown; the connection breaks behind the last byte.
    let data = entity(5000, 0);
    let mut chunked = format!("{:x}\r\n", data.len()).into_bytes();
    chunked.extend_from_slice(&data);
    let first = vec![answer("200 OK", &[TAG, "transfer-encoding: chunked"], &chunked), Act::Close];
    for (total, ends) in [("5000", true), ("4000", false)] {
        let range = format!("content-range: bytes */{total}");
        let (bytes, end, proven, server) = continued(first.clone(), move |_| {
            vec![answer("416 Range Not Satisfiable", &[&range, "content-length: 0"], b"")]
        })
        .await;
        assert!(bytes == data);
        assert_eq!(server.seen()[1].start(), Some(5000));
        match ends {
            true => assert!(end.is_ok() && proven),
            false => assert!(is_changed(&end), "{end:?}"),
        }
    }
}

#[tokio::test]
async fn asking_for_the_exact_end_gives_an_empty_proven_body() {
    let server = Server::start(|_, _| {
        vec![answer("416 Nope", &["content-range: bytes */700", "content-length: 0"], b"")]
    })
    .await;
    let mut response = open(&server, Some((700, None))).await;
    assert_eq!(
        (response.head.total_len, response.head.body_offset, response.head.body_len),
        (Some(700), 700, Some(0))
    );
    assert_eq!(response.body.next_chunk().await.unwrap(), None);
    assert!(response.body.is_complete());
    let beyond = Request::new(server.url("/")).with_range(701..);
    let error = RetryNet::new(HttpClient::default(), policy()).open(beyond).await.err().unwrap();
    assert!(matches!(error, NetError::RangeNotSatisfiable { start: 701, total: Some(700), .. }));
}

#[tokio::test]
async fn a_range_with_an_end_is_exact_and_one_without_says_where_it_begins() {
    let data = entity(10_000, 0);
    let whole = data.clone();
    let server = Server::start(move |_, _| vec![ok(&[TAG], &whole)]).await;
    let mut exact = open(&server, Some((2000, Some(3000)))).await;
    assert_eq!(
        (exact.head.body_offset, exact.head.body_len, exact.head.total_len),
        (2000, Some(1000), Some(10_000))
    );
    let (bytes, end) = read_all(&mut exact.body).await;
    assert!(end.is_ok() && exact.body.is_complete() && bytes == data[2000..3000]);

    let mut open_ended = open(&server, Some((2000, None))).await;
    assert_eq!((open_ended.head.body_offset, open_ended.head.body_len), (0, Some(10_000)));
    let (bytes, end) = read_all(&mut open_ended.body).await;
    assert!(end.is_ok() && bytes == data);
}

#[tokio::test]
async fn an_open_ended_range_answered_from_zero_continues_from_zero() {
    let data = entity(10_000, 0);
    let whole = data.clone();
    let server = Server::start(move |seen, number| match number {
        0 => vec![cut(ok(&[TAG], &whole), 1500), Act::Close],
        _ => vec![part(&[TAG], &whole, seen.start().unwrap())],
    })
    .await;
    let mut response = open(&server, Some((2000, None))).await;
    assert_eq!(response.head.body_offset, 0);
    let (bytes, end) = read_all(&mut response.body).await;
    assert!(end.is_ok() && bytes == data);
    assert_eq!(server.seen()[1].start(), Some(1500));
}

#[tokio::test]
async fn a_bounded_range_keeps_its_end_when_continued() {
    let data = entity(10_000, 0);
    let whole = data.clone();
    let server = Server::start(move |seen, number| {
        let start = seen.start().unwrap();
        let act = part(&[TAG], &whole[..], start);
        if number == 0 { vec![cut(act, 100), Act::Close] } else { vec![act] }
    })
    .await;
    let mut response = open(&server, Some((1000, Some(2000)))).await;
    assert_eq!(response.head.body_len, Some(1000));
    let (bytes, end) = read_all(&mut response.body).await;
    assert!(end.is_ok() && response.body.is_complete() && bytes == data[1000..2000]);
    assert_eq!(server.seen()[1].header("range"), Some("bytes=1100-1999"));
}

#[tokio::test]
async fn a_server_that_answers_in_pieces_is_asked_on() {
    let data = entity(10_000, 0);
    for (tag, total) in [(Some("\"v\""), true), (Some("\"v\""), false), (None, true), (None, false)] {
        let served = data.clone();
        let net = MockNet::new(move |request| {
            let start = request.range.map_or(0, |range| range.start) as usize;
            if start >= served.len() {
                return MockAnswer::serve(&served, tag, request);
            }
            let end = (start + 1500).min(served.len());
            let total = if total { served.len().to_string() } else { "*".into() };
            let piece = MockAnswer::status(206)
                .with_header(header::CONTENT_RANGE, &format!("bytes {start}-{}/{total}", end - 1))
                .with_header(header::CONTENT_LENGTH, &(end - start).to_string())
                .then(MockStep::Data(served.slice(start..end)));
            tag.map_or(piece.clone(), |tag| piece.with_header(header::ETAG, tag))
        });
        let mut response = RetryNet::new(net.clone(), RetryPolicy::none()).open(request()).await.unwrap();
        assert_eq!(response.head.body_len, total.then_some(10_000));
        let (bytes, end) = read_all(&mut response.body).await;
        end.unwrap();
        assert!(bytes == data, "{tag:?} {total}");
        assert!(response.body.is_complete());
        assert_eq!(response.body.total_len(), Some(10_000));
    }
}

#[tokio::test]
async fn a_failure_between_two_pieces_does_not_stop_the_comparing() {
    let (old, new) = (entity(3000, 0), entity(3000, 1));
    let piece = |data: &Bytes, start: usize| {
        MockAnswer::status(206)
            .with_header(header::CONTENT_RANGE, &format!("bytes {start}-1499/*"))
            .then(MockStep::Data(data.slice(start..1500)))
    };
    let changed = MockAnswer::serve(&new, None, &request().with_range(476..));
    // A piece; nothing but its end again; then exactly what follows is asked for, and fails.
    let net = MockNet::script([piece(&old, 0), piece(&old, 476), MockAnswer::status(503), changed]);
    let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
    let (bytes, end) = read_all(&mut body).await;
    assert!(bytes == old[..1500] && is_changed(&end), "{end:?}");
    let starts: Vec<_> = net.requests().iter().filter_map(|r| r.range.map(|range| range.start)).collect();
    assert_eq!(starts, [476, 1500, 476]);
}

#[tokio::test]
async fn bodies_of_unknown_length_play_and_only_proven_ends_are_proven() {
    let chunked = MockNet::new(|_| MockAnswer::ok(entity(5000, 0)).chunked());
    let mut response = RetryNet::new(chunked.clone(), policy()).open(request()).await.unwrap();
    assert_eq!((response.head.body_len, response.head.total_len), (None, None));
    let (bytes, end) = read_all(&mut response.body).await;
    assert!(end.is_ok() && bytes == entity(5000, 0) && response.body.is_complete());
    assert_eq!(response.body.total_len(), Some(5000));

    let closed = MockNet::new(|_| MockAnswer::ok(entity(5000, 0)).close_delimited());
    let mut response = RetryNet::new(closed.clone(), policy()).open(request()).await.unwrap();
    let (bytes, end) = read_all(&mut response.body).await;
    assert!(end.is_ok() && bytes == entity(5000, 0) && !response.body.is_complete());
    assert_eq!(response.body.total_len(), None);
}

#[tokio::test]
async fn an_unknown_length_that_breaks_is_continued_and_learned() {
    let data = entity(5000, 0);
    let served = data.clone();
    let net = MockNet::new(move |request| match request.range {
        None => MockAnswer::serve(&served, Some("\"v\""), request).chunked().cut(3000, MockStep::Break),
        Some(_) => MockAnswer::serve(&served, Some("\"v\""), request),
    });
    let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
    assert_eq!(body.total_len(), None);
    let (bytes, end) = read_all(&mut body).await;
    assert!(end.is_ok() && bytes == data && body.is_complete());
    assert_eq!((body.total_len(), body.offset(), body.resumptions()), (Some(5000), Some(5000), 1));
}

#[tokio::test(start_paused = true)]
async fn a_stall_continues_over_another_connection() {
    let data = entity(5000, 0);
    let served = data.clone();
    let mock = MockNet::new(move |request| match request.range {
        None => MockAnswer::serve(&served, Some("\"v\""), request).cut(3000, MockStep::Stall),
        Some(_) => MockAnswer::serve(&served, Some("\"v\""), request),
    });
    let start = Instant::now();
    let net = TimeoutNet::new(mock, Timeouts { idle: Duration::from_secs(3), ..Timeouts::default() });
    let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
    let (bytes, end) = read_all(&mut body).await;
    assert!(end.is_ok() && bytes == data);
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn the_budget_resets_once_data_flows() {
    let data = entity(5000, 0);
    let served = data.clone();
    // Every connection gives 100 bytes and breaks: 50 connections, 1 retry each.
    let net = MockNet::new(move |request| {
        MockAnswer::serve(&served, Some("\"v\""), request).cut(100, MockStep::Break)
    });
    let one = RetryPolicy { max_retries: 1, ..policy() };
    let mut body = RetryNet::new(net.clone(), one.clone()).open(request()).await.unwrap().body;
    let (bytes, end) = read_all(&mut body).await;
    assert!(end.is_ok() && bytes == data);
    assert_eq!(net.requests().len(), 50);

    // Without data it ends.
    let served = data.clone();
    let net = MockNet::new(move |request| match request.range {
        None => MockAnswer::serve(&served, Some("\"v\""), request).cut(100, MockStep::Break),
        Some(_) => MockAnswer::serve(&served, Some("\"v\""), request).cut(0, MockStep::Break),
    });
    let mut body = RetryNet::new(net.clone(), one).open(request()).await.unwrap().body;
    let (bytes, end) = read_all(&mut body).await;
    assert_eq!(bytes, data[..100]);
    assert!(matches!(end, Err(NetError::Interrupted { .. })));
    assert_eq!(net.requests().len(), 2);
    assert!(body.next_chunk().await.is_err(), "an error is final");
}

#[tokio::test]
async fn what_is_not_retryable_ends_at_once() {
    let data = entity(5000, 0);
    let net = MockNet::new(move |request| match request.range {
        None => MockAnswer::serve(&data, Some("\"v\""), request).cut(100, MockStep::Break),
        Some(_) => MockAnswer::status(404),
    });
    let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
    let (_, end) = read_all(&mut body).await;
    assert_eq!(end.unwrap_err().status().map(|s| s.as_u16()), Some(404));
    assert_eq!(net.requests().len(), 2);
}

#[tokio::test]
async fn radio_is_not_continued() {
    let net = MockNet::new(|_| {
        MockAnswer::ok(entity(5000, 0))
            .with_header("icy-name".parse().unwrap(), "Radio")
            .close_delimited()
            .cut(3000, MockStep::Break)
    });
    let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
    let (bytes, end) = read_all(&mut body).await;
    assert!(bytes.len() == 3000 && end.is_err());
    assert_eq!(net.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_neither_bytes_nor_a_reconnection() {
    let data = entity(5000, 0);
    let served = data.clone();
    let net = MockNet::new(move |request| match request.range {
        None => MockAnswer::serve(&served, Some("\"v\""), request).in_chunks(7).cut(3000, MockStep::Break),
        // Longer than the ticks of the caller.
        Some(_) => MockAnswer::serve(&served, Some("\"v\""), request).after(Duration::from_secs(2)),
    });
    let slow = RetryPolicy { base: Duration::from_secs(5), ..policy() };
    let mut body = RetryNet::new(net.clone(), slow).open(request()).await.unwrap().body;
    let mut bytes = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(100), body.next_chunk()).await {
            Err(_) => {}
            Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    assert!(bytes == data);
    assert_eq!(net.requests().len(), 2, "one reconnection, in spite of some 70 dropped waits");
}

#[tokio::test]
async fn the_callers_validator_is_checked_too() {
    let data = entity(5000, 0);
    let net = MockNet::new(move |request| {
        let mut plain = request.clone();
        plain.if_range = None;
        MockAnswer::serve(&data, Some("\"new\""), &plain)
    });
    let old = request().with_range(100..).with_if_range(Validator::etag("\"old\""));
    let error = RetryNet::new(net.clone(), policy()).open(old).await.err().unwrap();
    assert!(error.is_entity_changed(), "{error}");
}

#[tokio::test]
async fn a_continuation_without_a_body_is_refused() {
    let data = entity(5000, 0);
    for status in [204, 205] {
        let served = data.clone();
        let net = MockNet::new(move |request| match request.range {
            None => MockAnswer::serve(&served, Some("\"v\""), request).cut(100, MockStep::Break),
            Some(_) => MockAnswer::status(status).with_header(header::ETAG, "\"v\""),
        });
        let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
        let (bytes, end) = read_all(&mut body).await;
        assert_eq!(end.unwrap_err().status().map(|s| s.as_u16()), Some(status));
        assert!(bytes.len() == 100 && !body.is_complete());
    }
}

#[tokio::test]
async fn not_modified_is_an_empty_proven_body() {
    let data = entity(5000, 0);
    let net = MockNet::new(move |request| MockAnswer::serve(&data, Some("\"v\""), request));
    let conditional = request().with_if_changed(&Validator::etag("\"v\"").unwrap());
    let mut response = RetryNet::new(net.clone(), policy()).open(conditional).await.unwrap();
    assert_eq!(response.head.status, 304);
    assert_eq!(response.body.next_chunk().await.unwrap(), None);
    assert!(response.body.is_complete());
}

#[tokio::test]
async fn empty_entities_end() {
    for net in [MockNet::new(|_| MockAnswer::ok("")), MockNet::new(|_| MockAnswer::ok("").chunked())] {
        let mut body = RetryNet::new(net.clone(), policy()).open(request()).await.unwrap().body;
        assert_eq!(body.next_chunk().await.unwrap(), None);
        assert!(body.is_complete());
    }
}
