//! HTTP/2 by prior knowledge, over a hyper server.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kithara_net::{
    Body, HttpClient, HttpOptions, Net, NetError, NetExt, Request, RetryNet, RetryPolicy, Url, VersionSetting,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{entity, read_all};

type Piece = Result<Frame<Bytes>, std::io::Error>;

/// A body of the pieces that are sent.
struct Pieces(mpsc::UnboundedReceiver<Piece>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        self.0.poll_recv(cx)
    }
}

fn pieces(pieces: Vec<Piece>) -> Pieces {
    open_pieces(pieces).0
}

fn data(bytes: &[u8]) -> Piece {
    Ok(Frame::data(Bytes::copy_from_slice(bytes)))
}

struct Server {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// These pieces, and later whatever the test sends: an error at once would overtake the head.
fn open_pieces(first: Vec<Piece>) -> (Pieces, mpsc::UnboundedSender<Piece>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    for piece in first {
        sender.send(piece).unwrap();
    }
    (Pieces(receiver), sender)
}

async fn start(
    handler: impl Fn(&http::Request<hyper::body::Incoming>) -> http::Response<Pieces>
    + Clone
    + Send
    + Sync
    + 'static,
) -> (Server, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let handler = handler.clone();
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let response = handler(&request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (Server { port, task }, Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap())
}

fn settings() -> HttpOptions {
    HttpOptions::default().with_version(VersionSetting::Http2PriorKnowledge)
}

#[tokio::test]
async fn the_end_of_a_stream_proves() {
    let (server, url) = start(|_| http::Response::new(pieces(vec![data(b"abc"), data(b"def")]))).await;
    assert_eq!(url.port(), Some(server.port));
    let mut response = HttpClient::new(settings()).open(Request::new(url)).await.unwrap();
    assert_eq!(response.head.version, http::Version::HTTP_2);
    assert_eq!(response.head.body_len, None);
    let (bytes, end) = read_all(&mut response.body).await;
    end.unwrap();
    assert_eq!(bytes, b"abcdef");
    assert!(response.body.is_complete());
}

/// Reads `len` bytes, then lets the server reset the stream, then reads the rest.
async fn read_and_reset(
    body: &mut impl Body,
    len: usize,
    reset: &Mutex<Option<mpsc::UnboundedSender<Piece>>>,
) -> (Vec<u8>, Result<(), NetError>) {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        bytes.extend_from_slice(&body.next_chunk().await.unwrap().unwrap());
    }
    let sender = reset.lock().unwrap().take().unwrap();
    sender.send(Err(std::io::Error::other("fault"))).unwrap();
    let (rest, end) = read_all(body).await;
    bytes.extend(rest);
    (bytes, end)
}

#[tokio::test]
async fn a_stream_shorter_than_declared_is_never_complete_and_is_continued() {
    for declared in [true, false] {
        let whole = entity(100_000, 0);
        let (served, reset) = (whole.clone(), Arc::new(Mutex::new(None)));
        let control = Arc::clone(&reset);
        let (_server, url) = start(move |request| {
            let range = request.headers().get("range").map(|v| v.to_str().unwrap().to_owned());
            let builder = http::Response::builder().header("etag", "\"v\"");
            let Some(range) = range else {
                let (body, sender) = open_pieces(vec![data(&served[..40_000])]);
                *control.lock().unwrap() = Some(sender);
                let builder = if declared { builder.header("content-length", served.len()) } else { builder };
                return builder.body(body).unwrap();
            };
            let start: usize = range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
            let range = format!("bytes {start}-{}/{}", served.len() - 1, served.len());
            let body = pieces(vec![data(&served[start..])]);
            builder.status(206).header("content-range", range).body(body).unwrap()
        })
        .await;
        let client = HttpClient::new(settings());
        let mut body = client.open(Request::new(url.clone())).await.unwrap().body;
        let (_, end) = read_and_reset(&mut body, 40_000, &reset).await;
        let expected_len = declared.then_some(100_000);
        let Err(NetError::Interrupted { received: 40_000, expected, .. }) = end else { panic!("{end:?}") };
        assert_eq!(expected, expected_len);
        assert!(!body.is_complete());

        let retry = RetryPolicy { base: Duration::ZERO, ..RetryPolicy::default() };
        let mut body = RetryNet::new(client.clone(), retry).open(Request::new(url)).await.unwrap().body;
        let (bytes, end) = read_and_reset(&mut body, 40_000, &reset).await;
        end.unwrap();
        assert!(bytes == whole && body.is_complete());
    }
}

#[tokio::test]
async fn a_large_body_passes_the_small_windows() {
    let whole = entity(3 << 20, 0);
    let served = whole.clone();
    let (_server, url) =
        start(move |_| http::Response::new(pieces(served.chunks(100_000).map(data).collect()))).await;
    let (_, bytes) = HttpClient::new(settings()).get_bytes(Request::new(url), 4 << 20).await.unwrap();
    assert!(bytes == whole);
}

/// A raw HTTP/2 server that gives 3 bytes and then ends its stream as `last` says.
async fn raw(content_length: Option<&'static [u8]>, last: Vec<u8>) -> (Vec<u8>, Result<(), NetError>, bool) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        // Preface, then frames until the HEADERS of the request.
        stream.read_exact(&mut [0; 24]).await.unwrap();
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            stream.read_exact(&mut vec![0; len]).await.unwrap();
            if head[3] == 1 {
                break;
            }
        }
        // :status 200; content-length as a literal with the indexed name 28.
        let mut headers = vec![0x88];
        if let Some(length) = content_length {
            headers.extend_from_slice(&[0x0f, 0x0d, length.len() as u8]);
            headers.extend_from_slice(length);
        }
        let mut bytes = frame(4, 1, 0, &[]);
        bytes.extend(frame(1, 4, 1, &headers));
        bytes.extend(frame(0, 0, 1, b"abc"));
        bytes.extend(last);
        stream.write_all(&bytes).await.unwrap();
        // Stays open.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    let client = HttpClient::new(settings());
    let fetch = async {
        let mut body = client.open(Request::new(url)).await.unwrap().body;
        let (bytes, end) = read_all(&mut body).await;
        let proven = body.is_complete();
        (bytes, end, proven)
    };
    tokio::select! {
        result = fetch => result,
        () = serve => panic!("the server ended first"),
    }
}

const END_STREAM: &[u8] = &[0, 0, 0, 0, 1, 0, 0, 0, 1];
const RESET_NO_ERROR: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0];

#[tokio::test]
async fn a_reset_without_an_error_is_no_end() {
    let (bytes, end, proven) = raw(None, END_STREAM.to_vec()).await;
    assert!(bytes == b"abc" && end.is_ok() && proven, "{end:?}");
    let (_, end, proven) = raw(None, RESET_NO_ERROR.to_vec()).await;
    assert!(matches!(end, Err(NetError::Interrupted { .. })) && !proven, "{end:?}");
}

#[tokio::test]
async fn an_end_of_stream_before_the_declared_length_is_no_end() {
    for last in [END_STREAM, RESET_NO_ERROR] {
        let (_, end, proven) = raw(Some(b"10"), last.to_vec()).await;
        assert!(matches!(end, Err(NetError::Interrupted { .. })) && !proven, "{end:?}");
    }
    let (bytes, end, proven) = raw(Some(b"3"), END_STREAM.to_vec()).await;
    assert!(bytes == b"abc" && end.is_ok() && proven, "{end:?}");
}
