//! Timeout, retry, observe, erase: on a mock net and tokio's paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use kithara_net::{
    Body, DefaultNet, DynNet, MockAnswer, MockNet, MockStep, Net, NetError, NetExt, NetObserver, ObserveNet,
    Phase, Request, ResponseHead, RetryNet, RetryPolicy, TimeoutNet, Timeouts, Transfer, TransferEnd,
    TransferSource, TransferStats, Url,
};
use tokio::time::Instant;

use crate::{entity, read_all};

fn request() -> Request {
    Request::new(Url::parse("http://h/x").unwrap())
}

fn limits() -> Timeouts {
    Timeouts { connect: Duration::from_secs(1), head: Duration::from_secs(5), idle: Duration::from_secs(3) }
}

fn policy(max_retries: u32) -> RetryPolicy {
    RetryPolicy { max_retries, seed: Some(1), ..RetryPolicy::default() }
}

#[test]
fn stacks_print_themselves() {
    assert_eq!(DefaultNet::default().to_string(), "Retry(3, Observe(Timeout(15s, Http)))");
    let mock = RetryNet::new(TimeoutNet::new(MockNet::script([]), limits()), policy(5));
    assert_eq!(mock.to_string(), "Retry(5, Timeout(5s, Mock))");
    assert_eq!(DynNet::new(mock).to_string(), "Dyn(Retry(5, Timeout(5s, Mock)))");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_times_out() {
    let net = TimeoutNet::new(MockNet::script([MockAnswer::silent()]), limits());
    let start = Instant::now();
    let error = net.open(request()).await.err().unwrap();
    assert!(matches!(error, NetError::Timeout { phase: Phase::Head, .. }), "{error}");
    assert!(error.is_retryable());
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_times_out_and_a_long_one_does_not() {
    let empty = MockAnswer::status(200).with_header(header::CONTENT_LENGTH, "100");
    let slow = (0..100).fold(empty, |answer, _| {
        answer.then(MockStep::Wait(Duration::from_secs(2))).then(MockStep::Data(Bytes::from_static(b"x")))
    });
    let stalled = MockAnswer::ok(entity(100, 0)).cut(50, MockStep::Stall);
    let net = TimeoutNet::new(MockNet::script([slow, stalled]), limits());
    let start = Instant::now();
    let (bytes, end) = read_all(&mut net.open(request()).await.unwrap().body).await;
    end.unwrap();
    assert_eq!((bytes.len(), start.elapsed()), (100, Duration::from_secs(200)), "no limit on the whole");

    let mut body = net.open(request()).await.unwrap().body;
    let start = Instant::now();
    let (bytes, end) = read_all(&mut body).await;
    assert_eq!((bytes.len(), start.elapsed()), (50, Duration::from_secs(3)));
    assert!(matches!(end, Err(NetError::Timeout { phase: Phase::Idle, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_paused_reader_times_nothing_out() {
    let answer = MockAnswer::ok(entity(100, 0)).in_chunks(50);
    let net = TimeoutNet::new(MockNet::script([answer]), limits());
    let mut body = net.open(request()).await.unwrap().body;
    body.next_chunk().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let (bytes, end) = read_all(&mut body).await;
    end.unwrap();
    assert_eq!(bytes.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn waits_that_are_dropped_count() {
    let answer = MockAnswer::ok(entity(100, 0)).cut(0, MockStep::Stall);
    let net = TimeoutNet::new(MockNet::script([answer]), limits());
    let mut body = net.open(request()).await.unwrap().body;
    let start = Instant::now();
    let mut error = None;
    for _ in 0..20 {
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(700), body.next_chunk()).await {
            error = result.err();
            break;
        }
        // Not waiting: not counted.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(matches!(error, Some(NetError::Timeout { phase: Phase::Idle, .. })), "{error:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(3 + 4));
}

#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let mock =
            MockNet::script([MockAnswer::status(status), MockAnswer::unreachable(), MockAnswer::ok("x")]);
        RetryNet::new(mock.clone(), policy(3)).open(request()).await.unwrap();
        assert_eq!(mock.requests().len(), 3, "{status}");
    }
    for status in [202, 204, 205, 300, 400, 401, 403, 404, 405, 410, 416, 451, 501, 505, 304] {
        let mock = MockNet::script([MockAnswer::status(status), MockAnswer::ok("x")]);
        let error = RetryNet::new(mock.clone(), policy(3)).open(request()).await.err().unwrap();
        assert_eq!(error.status().map(|s| s.as_u16()), Some(status));
        assert_eq!(mock.requests().len(), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_and_the_last_error_is_returned() {
    let mock = MockNet::new(|_| MockAnswer::status(503));
    let error = RetryNet::new(mock.clone(), policy(4)).open(request()).await.err().unwrap();
    assert_eq!(error.status().map(|s| s.as_u16()), Some(503));
    assert_eq!(mock.requests().len(), 5);
    let times = mock.request_times();
    for (n, pair) in times.windows(2).enumerate() {
        assert!(pair[1] - pair[0] <= Duration::from_millis(200 << n) + Duration::from_millis(1));
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for() {
    let busy = MockAnswer::status(429).with_header(header::RETRY_AFTER, "17");
    let long = MockAnswer::status(503).with_header(header::RETRY_AFTER, "86400");
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3600));
    let dated = MockAnswer::status(503).with_header(header::RETRY_AFTER, &date);
    let mock = MockNet::script([busy, long, dated, MockAnswer::ok("x")]);
    RetryNet::new(mock.clone(), policy(3)).open(request()).await.unwrap();
    let times = mock.request_times();
    let pauses: Vec<u64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(pauses, [17, 30, 30], "seconds, and both capped");
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_each_try() {
    let mock = MockNet::script([MockAnswer::silent(), MockAnswer::silent(), MockAnswer::ok("x")]);
    let net = RetryNet::new(TimeoutNet::new(mock, limits()), policy(2));
    let start = Instant::now();
    net.open(request()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn one_policy_rules_head_and_body_and_a_request_may_override_it() {
    let mock = MockNet::new(|_| MockAnswer::status(503));
    let net = RetryNet::new(mock.clone(), policy(3));
    assert!(net.open(request().with_retry(policy(2))).await.is_err());
    assert_eq!(mock.requests().len(), 3);
    assert!(net.get_bytes(request(), 10).await.is_err());
    assert_eq!(mock.requests().len(), 3 + 4);
    assert!(net.open(request().with_retry(RetryPolicy::none())).await.is_err());
    assert_eq!(mock.requests().len(), 3 + 4 + 1);

    let broken = MockNet::new(|_| MockAnswer::ok("abcdef").cut(2, MockStep::Break));
    for (policy, requests) in [(policy(0), 1), (policy(2), 3)] {
        let net = RetryNet::new(broken.clone(), policy);
        let before = broken.requests().len();
        let mut body = net.open(request()).await.unwrap().body;
        assert!(read_all(&mut body).await.1.is_err());
        assert_eq!(broken.requests().len() - before, requests);
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_body_that_trickles_is_given_up_at_its_deadline() {
    let mut answer = MockAnswer::ok("").chunked();
    for _ in 0..10_000 {
        answer = answer.then(MockStep::Data("#".into())).then(MockStep::Wait(Duration::from_secs(1)));
    }
    let net = RetryNet::new(TimeoutNet::new(MockNet::new(move |_| answer.clone()), limits()), policy(3));
    let start = Instant::now();
    let error = net.get_bytes(request(), 1 << 20).await.unwrap_err();
    assert!(matches!(error, NetError::Timeout { .. }), "{error}");
    assert_eq!(start.elapsed().as_secs(), 60);
    let sooner = request().with_deadline(Duration::from_secs(7));
    net.get_bytes(sooner, 1 << 20).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 67);
}

/// Writes down what it is told.
#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Log {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl NetObserver for Log {
    fn on_request(&self, transfer: &Transfer) {
        self.note(format!("request {}", transfer.tag));
    }

    fn on_head(&self, transfer: &Transfer, head: &ResponseHead) {
        assert_eq!(transfer.head_at, Some(Instant::now()));
        self.note(format!("head {} {:?}", head.status.as_u16(), transfer.source));
    }

    fn on_bytes(&self, transfer: &Transfer, len: usize) {
        self.note(format!("bytes {len} of {}", transfer.bytes));
    }

    fn on_end(&self, _: &Transfer, end: TransferEnd<'_>) {
        self.note(match end {
            TransferEnd::Complete => "complete".into(),
            TransferEnd::Failed(error) => format!("failed retryable={}", error.is_retryable()),
            _ => "cancelled".into(),
        });
    }
}

#[tokio::test(start_paused = true)]
async fn observers_see_every_transfer_begin_and_end_once() {
    let log = Arc::new(Log::default());
    let answers = [
        MockAnswer::status(404),
        MockAnswer::ok("abcdef").in_chunks(4),
        MockAnswer::ok("abcdef").cut(2, MockStep::Break),
        MockAnswer::ok("abcdef").in_chunks(4),
        MockAnswer::silent(),
    ];
    let net = ObserveNet::new(TimeoutNet::new(MockNet::script(answers), limits()), log.clone());
    let tagged = || request().with_tag("segment");

    assert!(net.open(tagged()).await.is_err());
    assert_eq!(log.take(), ["request segment", "failed retryable=false"]);

    let mut body = net.open(tagged()).await.unwrap().body;
    let _ = read_all(&mut body).await;
    drop(body);
    let complete = ["request segment", "head 200 Network", "bytes 4 of 4", "bytes 2 of 6", "complete"];
    assert_eq!(log.take(), complete);

    let mut body = net.open(tagged()).await.unwrap().body;
    let _ = read_all(&mut body).await;
    drop(body);
    assert_eq!(log.take()[2..], ["bytes 2 of 2", "failed retryable=true"]);

    let mut body = net.open(tagged()).await.unwrap().body;
    body.next_chunk().await.unwrap();
    drop(body);
    assert_eq!(log.take()[2..], ["bytes 4 of 4", "cancelled"]);

    assert!(tokio::time::timeout(Duration::from_secs(1), net.open(tagged())).await.is_err());
    assert_eq!(log.take(), ["request segment", "cancelled"]);
}

/// A net that serves from a cache.
#[derive(Clone)]
struct Cache(MockNet);

impl Net for Cache {
    type Body = <MockNet as Net>::Body;

    async fn open(&self, request: Request) -> Result<kithara_net::Response<Self::Body>, NetError> {
        let mut response = self.0.open(request).await?;
        response.head.source = TransferSource::Cache;
        Ok(response)
    }
}

#[tokio::test]
async fn bytes_of_a_cache_are_marked_and_counted_apart() {
    let (network, cache) = (Arc::new(TransferStats::new()), Arc::new(TransferStats::new()));
    let mock = MockNet::new(|_| MockAnswer::ok("abc"));
    ObserveNet::new(mock.clone(), network.clone()).get_bytes(request(), 10).await.unwrap();
    ObserveNet::new(Cache(mock), cache.clone()).get_bytes(request(), 10).await.unwrap();
    assert_eq!((network.network_bytes(), network.cache_bytes()), (3, 0));
    assert_eq!((cache.network_bytes(), cache.cache_bytes()), (0, 3));
    assert_eq!((cache.requests(), cache.failures(), cache.bytes()), (1, 0, 3));
}

#[tokio::test]
async fn a_stack_can_get_one_observer_more() {
    let server = crate::server::Server::start(|_, _| vec![crate::server::ok(&[], b"abc")]).await;
    let (first, second) = (Arc::new(TransferStats::new()), Arc::new(TransferStats::new()));
    let net = kithara_net::NetOptions::default().with_observer(first.clone()).build();
    let more = net.with_observer(second.clone());
    for net in [&net, &more] {
        net.get_bytes(Request::new(server.url("/")), 10).await.unwrap();
        crate::settle().await;
    }
    assert_eq!((first.bytes(), second.bytes()), (6, 3));
    assert_eq!(server.connections(), 1, "connections are shared");
}

#[tokio::test]
async fn an_erased_stack_does_the_same() {
    let data = entity(1000, 0);
    let served = data.clone();
    let mock = MockNet::new(move |request| match request.range {
        None => MockAnswer::serve(&served, Some("\"v\""), request).cut(400, MockStep::Break),
        Some(_) => MockAnswer::serve(&served, Some("\"v\""), request),
    });
    let policy = RetryPolicy { base: Duration::ZERO, ..policy(1) };
    let net = DynNet::new(RetryNet::new(mock, policy));
    let (_, bytes) = net.get_bytes(request(), 1000).await.unwrap();
    assert_eq!(bytes, data);
}

#[tokio::test]
async fn mock_answers_can_be_redirected() {
    let there = Url::parse("http://other/y").unwrap();
    let net = MockNet::script([MockAnswer::ok("x").redirected_to(there.clone())]);
    assert_eq!(net.open(request()).await.unwrap().head.url, there);
}

#[test]
fn errors_are_shared_and_say_what_was_done() {
    fn shared<T: Clone + Send + Sync + std::error::Error + 'static>() {}
    shared::<NetError>();
}

#[test]
fn futures_and_bodies_travel() {
    fn travels<T: Send>(_: &T) {}
    let net = DefaultNet::default();
    travels(&net.open(request()));
    travels(&net.get_bytes(request(), 1));
    #[allow(clippy::unused_async, reason = "its type is the test")]
    async fn body(net: DefaultNet) -> Result<(), NetError> {
        let mut body = net.open(request()).await?.body;
        body.next_chunk().await?;
        Ok(())
    }
    travels(&body(net));
}
