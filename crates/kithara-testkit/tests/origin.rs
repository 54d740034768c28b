//! The origin does what each script says, byte for byte, on both versions of HTTP.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kithara_testkit::{Content, Cut, Gate, Origin, Reply, Resource, media, pattern};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

/// What a bare HTTP/1 client saw until the connection ended.
struct Answer {
    head: String,
    body: Vec<u8>,
    error: Option<std::io::ErrorKind>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line =
            self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line[name.len() + 1..].trim())
    }
}

async fn connect(origin: &Origin) -> TcpStream {
    TcpStream::connect(origin.address()).await.unwrap()
}

async fn read_all(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let error = stream.read_to_end(&mut bytes).await.err().map(|error| error.kind());
    let split = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let body = bytes.split_off(split);
    Answer { head: String::from_utf8(bytes).unwrap(), body, error }
}

/// One GET with `Connection: close`, so that the end of the connection is the end of the answer.
async fn get(origin: &Origin, path: &str, headers: &str) -> Answer {
    request(origin, "GET", path, headers).await
}

async fn request(origin: &Origin, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = connect(origin).await;
    let text = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = body.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..at]).unwrap(), 16).unwrap();
        out.extend(&body[at + 2..at + 2 + size]);
        body = &body[at + 2 + size + 2..];
    }
    out
}

fn expected(seed: u64, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    pattern::fill(seed, range.start, &mut bytes);
    bytes
}

#[tokio::test]
async fn serves_embedded_media_without_being_told() {
    let origin = Origin::start().await.unwrap();
    let answer = get(&origin, "/hls/aac4/master.m3u8", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("application/vnd.apple.mpegurl"));
    assert_eq!(answer.body, media::hls_aac4().get("master.m3u8").unwrap());
    assert_eq!(get(&origin, "/hls/nothing", "").await.status(), 404);
    assert_eq!(
        request(&origin, "POST", "/hls/aac4/master.m3u8", "content-length: 0\r\n").await.status(),
        405
    );
}

#[tokio::test]
async fn ranges_conditions_and_head() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a.bin", Resource::new(Content::pattern(1, 1000)).etag(Some("\"v1\"")));
    let whole = get(&origin, "/a.bin", "").await;
    assert_eq!((whole.status(), whole.header("content-length")), (200, Some("1000")));
    assert_eq!((whole.header("accept-ranges"), whole.header("etag")), (Some("bytes"), Some("\"v1\"")));
    assert_eq!(whole.body, expected(1, 0..1000));
    for (range, from, to) in [("100-199", 100, 200), ("900-", 900, 1000), ("-10", 990, 1000), ("0-0", 0, 1)] {
        let part = get(&origin, "/a.bin", &format!("range: bytes={range}\r\n")).await;
        assert_eq!(part.status(), 206, "{range}");
        assert_eq!(part.header("content-range"), Some(format!("bytes {from}-{}/1000", to - 1).as_str()));
        assert_eq!(part.body, expected(1, from..to), "{range}");
    }
    let beyond = get(&origin, "/a.bin", "range: bytes=1000-\r\n").await;
    assert_eq!((beyond.status(), beyond.header("content-range")), (416, Some("bytes */1000")));
    assert_eq!(beyond.header("content-length"), Some("0"));
    let same = get(&origin, "/a.bin", "range: bytes=5-\r\nif-range: \"v1\"\r\n").await;
    assert_eq!((same.status(), same.body.len()), (206, 995));
    let changed = get(&origin, "/a.bin", "range: bytes=5-\r\nif-range: \"v0\"\r\n").await;
    assert_eq!((changed.status(), changed.body.len()), (200, 1000));
    let date = whole.header("last-modified").unwrap();
    let dated = get(&origin, "/a.bin", &format!("range: bytes=5-\r\nif-range: {date}\r\n")).await;
    assert_eq!(dated.status(), 206);
    let known = get(&origin, "/a.bin", "if-none-match: W/\"v0\", \"v1\"\r\n").await;
    assert_eq!((known.status(), known.body.len()), (304, 0));
    assert_eq!(get(&origin, "/a.bin", &format!("if-modified-since: {date}\r\n")).await.status(), 304);
    let head = request(&origin, "HEAD", "/a.bin", "").await;
    assert_eq!((head.status(), head.header("content-length"), head.body.len()), (200, Some("1000"), 0));
}

#[tokio::test]
async fn a_script_goes_through_its_replies_and_then_serves() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/x", "fine");
    origin.script("/x", [Reply::status(503).header("retry-after", "7"), Reply::redirect("/y"), Reply::ok()]);
    let busy = get(&origin, "/x", "").await;
    assert_eq!((busy.status(), busy.header("retry-after")), (503, Some("7")));
    let moved = get(&origin, "/x", "").await;
    assert_eq!((moved.status(), moved.header("location")), (302, Some("/y")));
    assert_eq!(get(&origin, "/x", "").await.body, b"fine");
    origin.script("/x", [Reply::status(204), Reply::status(304)]);
    for code in [204, 304] {
        let empty = get(&origin, "/x", "").await;
        assert_eq!((empty.status(), empty.body.len(), empty.error), (code, 0, None));
    }
    origin.answer("/x", |received| Reply::status(if received.nth() == 5 { 410 } else { 200 }));
    assert_eq!(get(&origin, "/x?token=1", "").await.status(), 410);
    origin.clear_scripts();
    assert_eq!(get(&origin, "/x", "").await.body, b"fine");
    assert_eq!(origin.count("/x"), 7);
    assert_eq!(origin.requests()[5].query(), Some("token=1"));
}

#[tokio::test]
async fn guards_want_headers_and_cookies() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/p/x", "in");
    origin.require_header("/p/", "Authorization", "Bearer a", 401);
    origin.require_header("/p/", "Cookie", "session=1", 403);
    assert_eq!(get(&origin, "/p/x", "").await.status(), 401);
    assert_eq!(get(&origin, "/p/x", "authorization: Bearer a\r\n").await.status(), 403);
    let both = "authorization: Bearer a\r\ncookie: a=b; session=1\r\n";
    assert_eq!(get(&origin, "/p/x", both).await.body, b"in");
}

#[tokio::test]
async fn cuts_after_exactly_so_many_bytes() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(2, 100_000));
    for at in [0, 1, 1234, 16 * 1024, 99_999] {
        origin.script("/a", [Reply::ok().cut_at(at, Cut::Close)]);
        let answer = get(&origin, "/a", "").await;
        assert_eq!((answer.status(), answer.header("content-length")), (200, Some("100000")));
        assert_eq!((answer.body, answer.error), (expected(2, 0..at), None), "cut at {at}");
    }
    origin.script("/a", [Reply::ok().cut_at(50, Cut::Reset)]);
    let reset = get(&origin, "/a", "").await;
    assert_eq!(reset.error, Some(std::io::ErrorKind::ConnectionReset));
    origin.script("/a", [Reply::ok().cut_before_head(Cut::Close)]);
    let silent = get(&origin, "/a", "").await;
    assert_eq!((silent.head.as_str(), silent.error), ("", None));
}

#[tokio::test]
async fn wrong_lengths_and_framings() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(3, 5000));
    let replies = [
        Reply::ok().declare_len(6000),
        Reply::ok().declare_len(4000),
        Reply::ok().chunked(),
        Reply::ok().close_delimited(),
        Reply::ok().ignore_range(),
        Reply::ok().shift_range(10),
        Reply::ok().without_accept_ranges().without_header("etag"),
        Reply::ok().header("content-range", "bytes 0-1/2"),
        Reply::raw("ICY 200 OK\r\n\r\nsound"),
        Reply::ok().resource(Resource::new("<html>").content_type("text/html")),
    ];
    origin.script("/a", replies);
    let truth = expected(3, 0..5000);
    let range = "range: bytes=100-\r\n";
    let long = get(&origin, "/a", "").await;
    assert_eq!((long.header("content-length"), &long.body, long.error), (Some("6000"), &truth, None));
    let short = get(&origin, "/a", "").await;
    assert_eq!((short.header("content-length"), &short.body[..]), (Some("4000"), &truth[..4000]));
    let chunked = get(&origin, "/a", "").await;
    assert_eq!(
        (chunked.header("content-length"), chunked.header("transfer-encoding")),
        (None, Some("chunked"))
    );
    assert_eq!(dechunk(&chunked.body), truth);
    let old = get(&origin, "/a", "").await;
    assert!(old.head.starts_with("HTTP/1.0 200"), "{}", old.head);
    assert_eq!(
        (old.header("content-length"), old.header("transfer-encoding"), &old.body),
        (None, None, &truth)
    );
    let ignored = get(&origin, "/a", range).await;
    assert_eq!((ignored.status(), &ignored.body), (200, &truth));
    let shifted = get(&origin, "/a", range).await;
    assert_eq!((shifted.status(), shifted.header("content-range")), (206, Some("bytes 110-4999/5000")));
    assert_eq!(shifted.body, &truth[110..]);
    let bare = get(&origin, "/a", range).await;
    assert_eq!((bare.status(), bare.header("accept-ranges"), bare.header("etag")), (206, None, None));
    let lying = get(&origin, "/a", range).await;
    assert_eq!((lying.header("content-range"), lying.body.len()), (Some("bytes 0-1/2"), 4900));
    let raw = get(&origin, "/a", "").await;
    assert_eq!((raw.head.as_str(), &raw.body[..]), ("ICY 200 OK\r\n\r\n", &b"sound"[..]));
    let page = get(&origin, "/a", "").await;
    assert_eq!(
        (page.status(), page.header("content-type"), &page.body[..]),
        (200, Some("text/html"), &b"<html>"[..])
    );
}

#[tokio::test]
async fn gzip_is_a_valid_member() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(3, 70_000));
    origin.always("/a", Reply::ok().gzip());
    let answer = get(&origin, "/a", "").await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    // Header, block of 65535 bytes, block of 4465 bytes, trailer.
    assert_eq!(answer.body.len(), 10 + 5 + 65_535 + 5 + 4_465 + 8);
    assert_eq!(&answer.body[15..15 + 65_535], expected(3, 0..65_535));
    assert_eq!(answer.body[10], 0);
    assert_eq!(answer.body[10 + 5 + 65_535], 1);
}

#[tokio::test]
async fn icy_titles_come_only_when_asked_for() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/radio", Content::pattern(4, 100));
    origin.always("/radio", Reply::ok().icy(40, ["One"]));
    assert_eq!(get(&origin, "/radio", "").await.body.len(), 100);
    let answer = get(&origin, "/radio", "icy-metadata: 1\r\n").await;
    assert_eq!(answer.header("icy-metaint"), Some("40"));
    let body = dechunk(&answer.body);
    let sound = expected(4, 0..100);
    let mut truth = sound[..40].to_vec();
    truth.push(2);
    truth.extend(b"StreamTitle='One';");
    truth.resize(40 + 1 + 32, 0);
    truth.extend(&sound[40..80]);
    truth.push(0);
    truth.extend(&sound[80..]);
    assert_eq!(body, truth);
}

#[tokio::test]
async fn the_test_releases_each_chunk() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/seg", Content::pattern(5, 4096));
    let (mut first, mut second) = (origin.expect("/seg"), origin.expect("/seg"));
    let mut stream = connect(&origin).await;
    stream.write_all(b"GET /seg HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(first.request().await.unwrap().range(), None);
    first.send(..1000).await.unwrap();
    let mut bytes = Vec::new();
    while bytes.windows(4).position(|w| w == b"\r\n\r\n").is_none_or(|at| bytes.len() < at + 4 + 1000) {
        stream.read_buf(&mut bytes).await.unwrap();
    }
    first.send(..1024).await.unwrap();
    first.drop_connection().await.unwrap();
    stream.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(&expected(5, 0..1024)));
    assert_eq!(origin.requests()[0].body_sent(), 1024);
    let rest = tokio::spawn(async move {
        let mut text = String::from("GET /seg HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        text.push_str("range: bytes=1024-\r\n\r\n");
        let mut stream = stream;
        stream = TcpStream::connect(stream.peer_addr().unwrap()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    });
    assert_eq!(second.request().await.unwrap().range_start(), Some(1024));
    second.respond(Reply::ok().header("x-mark", "here")).await.unwrap();
    second.send(..2048).await.unwrap();
    second.send(..).await.unwrap();
    second.finish();
    let answer = rest.await.unwrap();
    assert_eq!((answer.status(), answer.header("x-mark")), (206, Some("here")));
    assert_eq!(answer.body, expected(5, 1024..4096));
}

#[tokio::test]
async fn an_expectation_without_a_test_runs_to_its_end() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/x", "all");
    drop(origin.expect("/x"));
    assert_eq!(get(&origin, "/x", "").await.body, b"all");
    // A client that goes away is told to the test.
    let mut control = origin.expect("/x");
    let mut stream = connect(&origin).await;
    stream.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    control.request().await.unwrap();
    drop(stream);
    origin.wait_until_idle().await;
    assert!(control.send(..).await.is_err());
    // And so is an origin that stops.
    let mut never = origin.expect("/y");
    drop(origin);
    assert!(never.request().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn latency_bandwidth_and_pauses_take_virtual_time() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(6, 10_000));
    let timed = async |reply: Reply| {
        origin.script("/a", [reply]);
        let start = Instant::now();
        assert_eq!(get(&origin, "/a", "").await.body.len(), 10_000);
        start.elapsed()
    };
    // The only timers are those of the bodies that are measured. What the machine delivers late, while they run, they do not
    // wait for; and before and after them there is none to which the clock could jump.
    let near = |elapsed: Duration, millis: u64| {
        let millis = Duration::from_millis(millis);
        assert!(
            elapsed >= millis && elapsed < millis + Duration::from_millis(20),
            "{elapsed:?} for {millis:?}"
        );
    };
    near(timed(Reply::ok()).await, 0);
    near(timed(Reply::ok().latency(Duration::from_millis(300))).await, 300);
    near(timed(Reply::ok().bandwidth(5_000)).await, 2_000);
    near(timed(Reply::ok().pause_at(100, Duration::from_secs(9))).await, 9_000);
    origin.set_bandwidth(Some(1_000));
    near(timed(Reply::ok()).await, 10_000);
    // Two share the line.
    let start = Instant::now();
    tokio::join!(get(&origin, "/a", ""), get(&origin, "/a", ""));
    near(start.elapsed(), 20_000);
    // A line that stands still is woken by the change.
    origin.set_bandwidth(Some(0));
    let open = async {
        origin.wait_until(|counters| counters.in_flight == 1).await;
        origin.set_bandwidth(None);
    };
    let (answer, ()) = tokio::join!(get(&origin, "/a", ""), open);
    assert_eq!(answer.body.len(), 10_000);
}

#[tokio::test]
async fn gates_hold_the_head_and_the_body() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(7, 10_000));
    let (head, body) = (Gate::new(), Gate::new());
    origin.script("/a", [Reply::ok().gate(&head).stall_at(4_000, &body)]);
    let steps = async {
        head.wait_for_arrivals(1).await;
        assert_eq!(origin.requests()[0].status(), None);
        head.open();
        body.wait_for_arrivals(1).await;
        assert_eq!(origin.requests()[0].body_sent(), 4_000);
        assert!(!origin.requests()[0].is_done());
        body.open();
    };
    let (answer, ()) = tokio::join!(get(&origin, "/a", ""), steps);
    assert_eq!(answer.body, expected(7, 0..10_000));
    origin.wait_until_idle().await;
    assert!(origin.requests()[0].is_done());
}

#[tokio::test]
async fn an_endless_body_sends_no_more_than_is_read() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/radio", Content::endless(8));
    let mut stream = connect(&origin).await;
    stream.write_all(b"GET /radio HTTP/1.1\r\nhost: x\r\nrange: bytes=5-\r\n\r\n").await.unwrap();
    let mut bytes = vec![0; 100_000];
    stream.read_exact(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..200]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("chunked") && !head.contains("accept-ranges"));
    drop(stream);
    origin.wait_until_idle().await;
    origin.serve("/song", Content::repeat("abc"));
    let mut stream = connect(&origin).await;
    stream.write_all(b"GET /song HTTP/1.0\r\n\r\n").await.unwrap();
    let mut bytes = vec![0; 4_000];
    stream.read_exact(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.split_once("\r\n\r\n").unwrap().1.starts_with("abcabcabc"));
}

#[tokio::test]
async fn folders_are_served_and_not_left() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/a b.mp3"), b"mp3").unwrap();
    std::fs::write(folder.path().join("secret"), b"no").unwrap();
    let origin = Origin::start().await.unwrap();
    origin.serve_folder("/f/", folder.path().join("in"));
    let answer = get(&origin, "/f/a%20b.mp3", "range: bytes=1-\r\n").await;
    assert_eq!((answer.status(), answer.header("content-type")), (206, Some("audio/mpeg")));
    assert_eq!(answer.body, b"p3");
    for path in ["/f/../secret", "/f/%2e%2e/secret", "/f//etc/passwd", "/f/", "/f/%2", "/f/%zz"] {
        assert_eq!(get(&origin, path, "").await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn counts_connections_peak_and_bytes() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", "12345");
    let gate = Gate::new();
    origin.always("/a", Reply::ok().gate(&gate));
    let open = async {
        origin.wait_for_nth_request("/a", 1).await;
        gate.open();
    };
    tokio::join!(get(&origin, "/a", ""), get(&origin, "/a", ""), open);
    origin.wait_until(|counters| counters.open == 0).await;
    let counters = origin.counters();
    assert_eq!((counters.requests, counters.opened, counters.peak, counters.in_flight), (2, 2, 2, 0));
    assert!(counters.written > 200 && counters.written < 1000, "{counters:?}");
    assert_eq!(origin.body_bytes("/a"), 10);
    origin.forget();
    assert_eq!((origin.counters().requests, origin.count("/a")), (0, 0));
    // Two requests over one connection.
    let mut stream = connect(&origin).await;
    for _ in 0..2 {
        stream.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"12345") {
            stream.read_buf(&mut bytes).await.unwrap();
        }
    }
    let [a, b] = &origin.requests()[..] else { panic!("two requests") };
    assert_eq!((a.connection(), b.nth()), (b.connection(), 1));
    origin.cut_connections(Cut::Close);
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test]
async fn stop_refuses_and_drop_ends_connections() {
    let mut origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::endless(1));
    let mut stream = connect(&origin).await;
    stream.write_all(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    origin.wait_for_request("/a").await;
    origin.stop().await;
    assert_eq!(
        TcpStream::connect(origin.address()).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    assert_eq!(origin.counters().open, 0);
    assert_eq!(origin.count("/a"), 1);
}

#[test]
fn runs_on_its_own_thread() {
    use std::io::{Read as _, Write as _};
    let origin = Origin::start_blocking().unwrap();
    let address = origin.address();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /file/pcm16.wav HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(media::file("file/pcm16.wav").unwrap()));
    drop(origin);
    assert!(std::net::TcpStream::connect(address).is_err());
}

async fn h2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn h2_get(origin: &Origin, path: &str) -> http::Request<Empty<Bytes>> {
    http::Request::get(origin.url(path)).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn http2_multiplexes_and_fails_one_stream_alone() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(9, 300_000));
    let mut sender = h2(origin.address()).await;
    let gate = Gate::new();
    origin.script(
        "/a",
        [
            Reply::ok().gate(&gate),
            Reply::ok().cut_at(1000, Cut::Stream),
            Reply::ok().declare_len(400_000),
            Reply::ok(),
        ],
    );
    let held = tokio::spawn(sender.send_request(h2_get(&origin, "/a")));
    origin.wait_for_request("/a").await;
    let mut cut = sender.send_request(h2_get(&origin, "/a")).await.unwrap().into_body();
    let mut seen = 0;
    let failed = loop {
        match cut.frame().await {
            Some(Ok(frame)) => seen += frame.into_data().unwrap().len(),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(failed && seen <= 1000, "{seen}");
    let short = sender.send_request(h2_get(&origin, "/a")).await.unwrap();
    assert_eq!(short.headers()["content-length"], "400000");
    assert!(short.into_body().collect().await.is_err());
    let whole = sender.send_request(h2_get(&origin, "/a")).await.unwrap();
    assert_eq!(whole.into_body().collect().await.unwrap().to_bytes(), expected(9, 0..300_000));
    gate.open();
    let held = held.await.unwrap().unwrap();
    assert_eq!(held.into_body().collect().await.unwrap().to_bytes().len(), 300_000);
    assert_eq!(origin.counters().opened, 1);
    origin.script("/a", [Reply::ok().cut_at(1000, Cut::Close)]);
    let broken = sender.send_request(h2_get(&origin, "/a")).await.unwrap();
    assert!(broken.into_body().collect().await.is_err());
    origin.wait_until(|counters| counters.open == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_never_loses_a_byte_before_it_on_many_threads() {
    let origin = Origin::start().await.unwrap();
    origin.serve("/a", Content::pattern(2, 100_000));
    for at in (0..60_000).step_by(997) {
        origin.script("/a", [Reply::ok().chunk_size(3000).cut_at(at, Cut::Close)]);
        let answer = get(&origin, "/a", "").await;
        assert_eq!((answer.body.len() as u64, answer.error), (at, None));
    }
}
