//! Where a body ends, and what proves it.

use kithara_net::{Body, HttpClient, Net, NetError, Request};

use crate::read_all;
use crate::server::{Act, Server, answer};

/// Body, whether it ended without an error, whether the end is proven.
async fn fetch(acts: Vec<Act>) -> (Vec<u8>, Result<(), NetError>, bool) {
    let server = Server::start(move |_, _| acts.clone()).await;
    let mut response = HttpClient::default().open(Request::new(server.url("/"))).await.unwrap();
    let (bytes, end) = read_all(&mut response.body).await;
    let proven = response.body.is_complete();
    // What was said stays said.
    match (&end, response.body.next_chunk().await) {
        (Ok(()), Ok(None)) | (Err(_), Err(_)) => {}
        (_, again) => panic!("{end:?}, then {again:?}"),
    }
    assert_eq!(proven, response.body.is_complete());
    (bytes, end, proven)
}

#[tokio::test]
async fn a_declared_length_proves_the_end() {
    let (bytes, end, proven) = fetch(vec![answer("200 OK", &["content-length: 3"], b"abc")]).await;
    assert!(bytes == b"abc" && end.is_ok() && proven);
}

#[tokio::test]
async fn a_last_chunk_proves_the_end() {
    let body = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\ntrailer: 1\r\n\r\n";
    let (bytes, end, proven) = fetch(vec![answer("200 OK", &["transfer-encoding: chunked"], body)]).await;
    assert!(bytes == b"abcde" && end.is_ok() && proven);
}

#[tokio::test]
async fn a_chunked_body_without_its_last_chunk_is_broken() {
    for body in [&b"3\r\nabc\r\n"[..], b"3\r\nab", b"5\r\nabc\r\n"] {
        let (_, end, proven) =
            fetch(vec![answer("200 OK", &["transfer-encoding: chunked"], body), Act::Close]).await;
        assert!(matches!(end, Err(NetError::Interrupted { .. })), "{end:?}");
        assert!(!proven);
    }
}

#[tokio::test]
async fn the_close_of_a_connection_ends_but_does_not_prove() {
    let (bytes, end, proven) =
        fetch(vec![answer("200 OK", &["connection: close"], b"abc"), Act::Close]).await;
    assert!(bytes == b"abc" && end.is_ok() && !proven);
    let http10 = Act::Send(b"HTTP/1.0 200 OK\r\n\r\nabc".to_vec());
    let (bytes, end, proven) = fetch(vec![http10, Act::Close]).await;
    assert!(bytes == b"abc" && end.is_ok() && !proven);
}

#[tokio::test]
async fn http_1_0_with_a_length_proves() {
    let http10 = Act::Send(b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc".to_vec());
    let (bytes, end, proven) = fetch(vec![http10, Act::Close]).await;
    assert!(bytes == b"abc" && end.is_ok() && proven);
}

#[tokio::test]
async fn a_reset_is_no_end() {
    let (_, end, proven) = fetch(vec![answer("200 OK", &["connection: close"], b"abc"), Act::Reset]).await;
    // The reset may overtake the bytes.
    assert!(matches!(&end, Err(NetError::Interrupted { .. })), "{end:?}");
    assert!(!proven && end.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_body_shorter_than_declared_is_never_complete() {
    let (bytes, end, proven) =
        fetch(vec![answer("200 OK", &["content-length: 10"], b"abc"), Act::Close]).await;
    assert_eq!(bytes, b"abc");
    assert!(matches!(end, Err(NetError::Interrupted { received: 3, expected: Some(10), .. })), "{end:?}");
    assert!(!proven);
}

#[tokio::test]
async fn a_part_shorter_or_longer_than_its_content_range_is_noticed() {
    let part = |length: &str, body: &[u8]| {
        let headers = ["content-range: bytes 0-4/100", length];
        vec![answer("206 Partial Content", &headers, body), Act::Close]
    };
    let (bytes, end, _) = fetch(part("content-length: 3", b"abc")).await;
    assert_eq!(bytes, b"abc");
    assert!(matches!(end, Err(NetError::Interrupted { received: 3, expected: Some(5), .. })), "{end:?}");
    let (bytes, end, proven) = fetch(part("content-length: 8", b"abcdefgh")).await;
    assert!(bytes == b"abcde" && end.is_ok() && proven, "bytes beyond the part are not delivered");
    let (bytes, end, proven) = fetch(part("transfer-encoding: chunked", b"8\r\nabcdefgh\r\n0\r\n\r\n")).await;
    assert!(bytes == b"abcde" && end.is_ok() && proven);
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let bad: [&[u8]; 5] = [
        b"ICE 200 OK\r\n\r\nabc",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nabc",
        b"HTTP/1.1",
    ];
    for bytes in bad {
        let server = Server::start(move |_, _| vec![Act::Send(bytes.to_vec()), Act::Close]).await;
        let error = HttpClient::default().open(Request::new(server.url("/"))).await.err();
        assert!(
            matches!(error, Some(NetError::Request { .. })),
            "{:?}: {error:?}",
            String::from_utf8_lossy(bytes)
        );
    }
}

#[tokio::test]
async fn endless_heads_end() {
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    while head.len() < 2 << 20 {
        head.extend_from_slice(b"x-filler: 0123456789012345678901234567890123456789\r\n");
    }
    let server = Server::start(move |_, _| vec![Act::Send(head.clone()), Act::Stall]).await;
    let error = HttpClient::default().open(Request::new(server.url("/"))).await.err();
    assert!(matches!(error, Some(NetError::Request { .. })), "{error:?}");
}

#[tokio::test]
async fn a_shoutcast_server_of_old_is_understood() {
    let head = "ICY 200 OK\r\nicy-notice1:<BR>This stream requires a player\r\nicy-name:Old FM\r\nicy-metaint:8192\r\n";
    let server = Server::start(move |seen, _| match seen.path() {
        "/full" => vec![Act::Send(b"ICY 401 Service Unavailable\r\n\r\n".to_vec()), Act::Close],
        "/slow" => [head.as_bytes(), b"\r\n", b"sound", b" and more"]
            .map(|part| Act::Send(part.to_vec()))
            .into_iter()
            .chain([Act::Close])
            .collect(),
        "/junk" => vec![Act::Send(b"SSH-2.0-x\r\n".to_vec()), Act::Close],
        "/endless" => vec![Act::Send(b"ICY 200 OK\r\nicy-name:".repeat(3000)), Act::Close],
        _ => vec![Act::Send([head.as_bytes(), b"\r\nsound and more"].concat()), Act::Close],
    })
    .await;
    let client = HttpClient::default();
    for path in ["/;?type=mp3", "/slow"] {
        let request =
            Request::new(server.url(path)).with_header("icy-metadata".parse().unwrap(), "1".parse().unwrap());
        let mut response = client.open(request).await.unwrap();
        assert_eq!(response.head.headers["icy-name"], "Old FM");
        assert_eq!((response.head.body_len, response.head.total_len), (None, None));
        let (bytes, end) = read_all(&mut response.body).await;
        assert!(bytes == b"sound and more" && end.is_ok() && !response.body.is_complete(), "{path}");
        assert_eq!(server.seen().last().unwrap().header("icy-metadata"), Some("1"));
        assert_eq!(server.seen().last().unwrap().path(), path);
    }
    let error = client.open(Request::new(server.url("/full"))).await.err().unwrap();
    assert_eq!(error.status().unwrap(), 401);
    for path in ["/junk", "/endless"] {
        let error = client.open(Request::new(server.url(path))).await.err().unwrap();
        assert!(matches!(error, NetError::Request { .. }), "{path}: {error}");
    }
}
