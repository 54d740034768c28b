//! The client against well-behaved servers: heads, headers, reuse, settings.

use std::io::Write;
use std::time::Duration;

use kithara_net::{
    Body, DefaultNet, HeaderValue, HttpClient, HttpOptions, Net, NetError, NetExt, NetOptions, ProxySetting,
    Request, RetryNet, RetryPolicy, TransferSource, Url, Validator,
};
use kithara_testkit::HeldClock;

use crate::server::{Act, Server, answer, cut, ok, part};
use crate::{entity, read_all, settle};

#[tokio::test]
async fn a_response_is_read_as_it_is() {
    let server = Server::start(|_, _| {
        let headers = ["etag: \"v1\"", "content-type: Audio/MPEG;charset=x", "accept-ranges: bytes"];
        vec![ok(&headers, b"hello")]
    })
    .await;
    let client = HttpClient::default();
    let mut response = client.open(Request::new(server.url("/a?k=v"))).await.unwrap();
    let head = &response.head;
    assert_eq!(head.status, 200);
    assert_eq!((head.body_offset, head.body_len, head.total_len), (0, Some(5), Some(5)));
    assert_eq!(head.content_type.as_deref(), Some("audio/mpeg"));
    assert_eq!(head.validator, Validator::etag("\"v1\""));
    assert!(head.accepts_ranges);
    assert_eq!(head.source, TransferSource::Network);
    assert_eq!(head.url, server.url("/a?k=v"));
    assert!(!response.body.is_complete());
    let (bytes, end) = read_all(&mut response.body).await;
    end.unwrap();
    assert_eq!(bytes, b"hello");
    assert!(response.body.is_complete());
    let seen = &server.seen()[0];
    assert_eq!(seen.path(), "/a?k=v");
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.header("user-agent").unwrap().starts_with("kithara/"));
    assert_eq!(seen.header("range"), None);
    assert_eq!(seen.header("referer"), None);
}

#[tokio::test]
async fn ranges_and_conditions_are_sent() {
    let server = Server::start(|_, _| vec![part(&["etag: \"v1\""], b"0123456789", 4)]).await;
    let client = HttpClient::default();
    let request = Request::new(server.url("/")).with_range(4..10).with_if_range(Validator::etag("\"v1\""));
    let response = client.open(request).await.unwrap();
    assert_eq!((response.head.body_offset, response.head.total_len), (4, Some(10)));
    let seen = &server.seen()[0];
    assert_eq!(seen.header("range"), Some("bytes=4-9"));
    assert_eq!(seen.header("if-range"), Some("\"v1\""));

    let weak = Request::new(server.url("/")).with_range(4..).with_if_range(Validator::etag("W/\"v1\""));
    client.open(weak).await.unwrap();
    assert_eq!(server.seen()[1].header("range"), Some("bytes=4-"));
    assert_eq!(server.seen()[1].header("if-range"), None, "a weak tag does not do");

    let empty = client.open(Request::new(server.url("/")).with_range(4..4)).await.err().unwrap();
    assert!(matches!(empty, NetError::InvalidRequest { .. }));
    assert_eq!(server.seen().len(), 2, "nothing was sent");
}

#[tokio::test]
async fn a_plain_get_answered_206_without_a_range_is_the_whole() {
    let server =
        Server::start(|_, _| vec![answer("206 Partial Content", &["content-length: 3"], b"abc")]).await;
    for request in [Request::new(server.url("/")), Request::new(server.url("/")).with_range(0..)] {
        let (head, bytes) = HttpClient::default().get_bytes(request, 10).await.unwrap();
        assert_eq!((head.status.as_u16(), head.body_offset, &bytes[..]), (200, 0, &b"abc"[..]));
    }
    let part = Request::new(server.url("/")).with_range(5..);
    assert!(matches!(HttpClient::default().open(part).await, Err(NetError::WrongRange { .. })));
}

#[tokio::test]
async fn not_modified_is_an_answer_only_when_asked_for() {
    let server = Server::start(|_, _| vec![answer("304 Not Modified", &["etag: \"v1\""], b"")]).await;
    let client = HttpClient::default();
    let validator = Validator::etag("\"v1\"").unwrap();
    let mut response = client.open(Request::new(server.url("/")).with_if_changed(&validator)).await.unwrap();
    assert_eq!(response.head.status, 304);
    assert_eq!(response.body.next_chunk().await.unwrap(), None);
    assert_eq!(server.seen()[0].header("if-none-match"), Some("\"v1\""));
    let plain = client.open(Request::new(server.url("/"))).await.err().unwrap();
    assert_eq!(plain.status().map(|s| s.as_u16()), Some(304));
}

#[tokio::test]
async fn headers_and_user_agent_are_settings_and_requests_win() {
    let server = Server::start(|_, _| vec![ok(&[], b"")]).await;
    let mut settings = HttpOptions::default().with_user_agent(HeaderValue::from_static("Radio/7"));
    settings.headers.insert("x-app", HeaderValue::from_static("all"));
    settings.headers.insert("x-one", HeaderValue::from_static("setting"));
    settings.headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
    settings.headers.insert("range", HeaderValue::from_static("bytes=1-2"));
    let client = HttpClient::new(settings);
    let request = Request::new(server.url("/"))
        .with_header("x-one".parse().unwrap(), HeaderValue::from_static("request"));
    client.open(request).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.header("user-agent"), Some("Radio/7"));
    assert_eq!(seen.header("x-app"), Some("all"));
    assert_eq!(seen.header("x-one"), Some("request"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"), "offsets need it");
    assert_eq!(seen.header("range"), None, "a range is a field, and checked");
}

#[tokio::test]
async fn connections_are_reused_or_not_as_set() {
    for (max_idle_per_host, connections) in [(8, 1), (0, 4)] {
        let server = Server::start(|_, _| vec![ok(&[], b"abc")]).await;
        let settings = HttpOptions::default().with_max_idle_per_host(max_idle_per_host);
        let net = NetOptions::default().with_http(settings).build();
        for _ in 0..4 {
            net.get_bytes(Request::new(server.url("/")), 100).await.unwrap();
            settle().await;
        }
        assert_eq!(server.connections(), connections, "max_idle_per_host {max_idle_per_host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_refusal_does_not_cost_the_connection() {
    // Reading what nobody wants is given up by the clock.
    let _clock = HeldClock::new();
    let server = Server::start(|_, number| match number {
        0 => vec![answer("404 Not Found", &["content-length: 9"], b"not found")],
        _ => vec![ok(&[], b"abc")],
    })
    .await;
    let client = HttpClient::default();
    let error = client.open(Request::new(server.url("/"))).await.err().unwrap();
    assert_eq!(error.status().map(|s| s.as_u16()), Some(404));
    assert!(!error.is_retryable());
    settle().await;
    client.open(Request::new(server.url("/"))).await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn cookies_are_sent_back_unless_switched_off() {
    for (cookies, expected) in
        [(None, Some("session=7")), (Some(true), Some("session=7")), (Some(false), None)]
    {
        let server = Server::start(|_, _| vec![ok(&["set-cookie: session=7; Path=/"], b"")]).await;
        let options = HttpOptions::default();
        let options = cookies.map_or(options.clone(), |cookies| options.with_cookies(cookies));
        let client = HttpClient::new(options);
        client.open(Request::new(server.url("/a"))).await.unwrap();
        client.clone().open(Request::new(server.url("/b"))).await.unwrap();
        assert_eq!(server.seen()[1].header("cookie"), expected);
    }
}

#[tokio::test]
async fn a_proxy_is_used_and_hidden() {
    let proxy = Server::start(|_, _| vec![ok(&[], b"by proxy")]).await;
    let mut url = proxy.url("/");
    url.set_username("me").unwrap();
    url.set_password(Some("hush")).unwrap();
    let settings = HttpOptions::default().with_proxy(ProxySetting::Url(url));
    assert!(!format!("{settings:?}").contains("hush"));
    let client = HttpClient::new(settings);
    let request = Request::new(Url::parse("http://radio.invalid/live?k=v").unwrap());
    let (_, bytes) = client.get_bytes(request, 100).await.unwrap();
    assert_eq!(&bytes[..], b"by proxy");
    let seen = &proxy.seen()[0];
    assert_eq!(seen.path(), "http://radio.invalid/live?k=v");
    assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6aHVzaA=="));
}

#[tokio::test]
async fn schemes_other_than_http_are_refused() {
    let client = HttpClient::default();
    for url in ["file:///etc/passwd", "ftp://h/x", "data:audio/aac,x", "javascript:1"] {
        let error = client.open(Request::new(Url::parse(url).unwrap())).await.err().unwrap();
        assert!(matches!(error, NetError::UnsupportedScheme { .. }), "{error}");
        assert!(!error.is_retryable());
    }
}

#[cfg(not(any(feature = "rustls", feature = "aws-lc")))]
#[tokio::test]
async fn https_without_tls_is_a_typed_error() {
    let error =
        HttpClient::default().open(Request::new(Url::parse("https://h/").unwrap())).await.err().unwrap();
    assert!(matches!(error, NetError::UnsupportedScheme { .. }), "{error}");
}

#[tokio::test]
async fn nobody_there_is_a_retryable_connect_error() {
    let server = Server::start(|_, _| vec![]).await;
    let url = server.url("/x?token=secret");
    drop(server);
    tokio::task::yield_now().await;
    let error = HttpClient::default().open(Request::new(url)).await.err().unwrap();
    assert!(matches!(error, NetError::Connect { .. }), "{error:?}");
    assert!(error.is_retryable());
    let mut text = format!("{error} {error:?}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn compressed_media_are_refused() {
    let server = Server::start(|_, _| vec![ok(&["content-encoding: gzip"], b"\x1f\x8b")]).await;
    let error = HttpClient::default().open(Request::new(server.url("/"))).await.err().unwrap();
    assert!(matches!(error, NetError::ContentEncoding { .. }), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn bytes_are_limited_before_and_while_they_come() {
    let server = Server::start(|seen, _| match seen.path() {
        "/declared" => vec![answer("200 OK", &["content-length: 1000000000000"], b"x"), Act::Stall],
        _ => vec![answer("200 OK", &["connection: close"], &entity(5000, 0)), Act::Stall],
    })
    .await;
    let net = DefaultNet::default();
    for path in ["/declared", "/endless"] {
        let error = net.get_bytes(Request::new(server.url(path)), 4096).await.unwrap_err();
        assert!(matches!(error, NetError::TooLarge { limit: 4096, .. }), "{path}: {error}");
    }
}

#[tokio::test]
async fn a_body_whose_beginning_is_not_wanted_is_not_read_on() {
    let server = Server::start(|seen, _| match seen.path() {
        "/declared" => {
            vec![answer("200 OK", &["content-length: 1000000000000"], &entity(600, 0)), Act::Stall]
        }
        "/short" => vec![ok(&[], &entity(100, 0))],
        _ => vec![answer("200 OK", &["connection: close"], &entity(600, 0)), Act::Stall],
    })
    .await;
    let net = DefaultNet::default();
    for path in ["/declared", "/endless"] {
        let unwanted = net.get_bytes_if(Request::new(server.url(path)), 4096, |_| false).await;
        let (head, bytes) = unwanted.unwrap();
        assert_eq!((bytes, head.body_len), (entity(600, 0), Some(600)), "{path}");
    }
    let wanted = net.get_bytes_if(Request::new(server.url("/declared")), 4096, |_| true).await;
    assert!(matches!(wanted, Err(NetError::TooLarge { limit: 4096, .. })));
    let (_, short) = net.get_bytes_if(Request::new(server.url("/short")), 4096, |_| false).await.unwrap();
    assert_eq!(short, entity(100, 0), "it ended before it was judged");
}

#[tokio::test]
async fn get_bytes_is_exact_about_ranges() {
    let data = entity(1000, 0);
    let whole = data.clone();
    let server = Server::start(move |_, _| vec![ok(&[], &whole)]).await;
    let client = HttpClient::default();
    for (range, expected) in [(100..200, 100..200), (900..2000, 900..1000), (0..10, 0..10)] {
        let request = Request::new(server.url("/")).with_range(range);
        let (head, bytes) = client.get_bytes(request, 1000).await.unwrap();
        assert_eq!(head.body_offset, expected.start as u64);
        assert_eq!(head.body_len, Some(bytes.len() as u64));
        assert_eq!(bytes, data.slice(expected));
    }
    let (head, bytes) =
        client.get_bytes(Request::new(server.url("/")).with_range(990..), 1000).await.unwrap();
    assert_eq!((head.body_offset, bytes), (990, data.slice(990..)));
    let beyond =
        client.get_bytes(Request::new(server.url("/")).with_range(2000..3000), 1000).await.unwrap_err();
    assert!(matches!(beyond, NetError::RangeNotSatisfiable { total: Some(1000), .. }));
}

#[tokio::test]
async fn get_bytes_continues_a_broken_body_by_the_policy_of_the_stack() {
    let data = entity(1000, 0);
    let whole = data.clone();
    let server = Server::start(move |seen, _| match seen.start() {
        None => vec![crate::server::cut(ok(&["etag: \"v\""], &whole), 300), Act::Reset],
        Some(start) => vec![part(&["etag: \"v\""], &whole, start)],
    })
    .await;
    let retry = RetryPolicy { base: Duration::ZERO, ..RetryPolicy::default() };
    let net = NetOptions::default().with_retry(retry).build();
    let (_, bytes) = net.get_bytes(Request::new(server.url("/")), 1000).await.unwrap();
    assert_eq!(bytes, data);
    let error = HttpClient::default().get_bytes(Request::new(server.url("/")), 1000).await.unwrap_err();
    assert!(error.is_retryable(), "a bare client does not retry: {error}");
}

#[tokio::test]
async fn a_dropped_body_closes_its_connection() {
    let server =
        Server::start(|_, _| vec![answer("200 OK", &["content-length: 1000000"], b"abc"), Act::Stall]).await;
    let client = HttpClient::default();
    for _ in 0..2 {
        let mut response = client.open(Request::new(server.url("/"))).await.unwrap();
        assert_eq!(response.body.next_chunk().await.unwrap().unwrap(), "abc");
    }
    assert_eq!(server.connections(), 2);
}

const TAG: &str = "etag: \"v1\"";

#[tokio::test]
async fn small_bodies_may_be_compressed_and_arrive_as_they_were() {
    let playlist = b"#EXTM3U\n".repeat(2000);
    let small = deflate(&playlist);
    let (whole, half) = (small.clone(), small.len() / 2);
    let server = Server::start(move |seen, _| match (seen.path(), seen.start()) {
        ("/plain", _) => vec![ok(&[], b"#EXTM3U\n")],
        ("/junk", _) => vec![ok(&["content-encoding: gzip"], b"#EXTM3U\n")],
        ("/br", _) => vec![ok(&["content-encoding: br"], b"#EXTM3U\n")],
        // Breaks off, and goes on inside of what is compressed, or of something else.
        ("/broken" | "/mixed", None) => {
            vec![cut(ok(&[TAG, "content-encoding: gzip"], &whole), half), Act::Close]
        }
        ("/broken", Some(start)) => vec![part(&[TAG, "content-encoding: gzip"], &whole, start)],
        ("/mixed", Some(start)) => vec![part(&[TAG], &whole, start)],
        _ => vec![ok(&["content-encoding: x-gzip"], &whole)],
    })
    .await;
    let policy = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    let net = RetryNet::new(HttpClient::default(), policy);
    let get = |path: &str| net.get_bytes(Request::new(server.url(path)), 20_000);
    for path in ["/", "/broken"] {
        let (head, bytes) = get(path).await.unwrap();
        assert_eq!(bytes, playlist, "{path}");
        assert_eq!((head.body_len, head.total_len), (Some(16_000), Some(16_000)), "{path}");
        assert!(!head.headers.contains_key("content-encoding"), "{path}");
    }
    let seen = server.seen();
    assert!(seen.iter().all(|request| request.header("accept-encoding") == Some("gzip")));
    assert!(seen.iter().any(|request| request.header("range").is_some()), "the broken one went on");
    assert_eq!(get("/plain").await.unwrap().1, "#EXTM3U\n");

    let large = net.get_bytes(Request::new(server.url("/")), 15_999).await.unwrap_err();
    assert!(matches!(large, NetError::TooLarge { limit: 15_999, .. }), "{large}");
    let mixed = get("/mixed").await.unwrap_err();
    assert!(matches!(mixed, NetError::EntityChanged { .. }), "{mixed}");
    for path in ["/junk", "/br"] {
        let error = get(path).await.unwrap_err();
        assert!(matches!(error, NetError::ContentEncoding { .. }), "{path}: {error}");
    }
    // A part has offsets, and they mean nothing in what is compressed.
    let range = net.get_bytes(Request::new(server.url("/")).with_range(0..10), 20_000).await.unwrap_err();
    assert!(matches!(range, NetError::ContentEncoding { .. }), "{range}");
    assert_eq!(server.seen().last().unwrap().header("accept-encoding"), Some("identity"));
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
