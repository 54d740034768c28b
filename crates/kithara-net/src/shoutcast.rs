//! SHOUTcast servers of old, which answer `ICY 200 OK` where HTTP wants its version: asked anew over a connection of their
//! own, since no HTTP client reads that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode, Version};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use url::Url;

/// The longest head that is read.
const MOST_HEAD: usize = 16 * 1024;
/// Bytes taken from the connection at once.
const CHUNK: usize = 16 * 1024;

/// Whether `error` says that the answer is not HTTP. By its text: the type is hyper's, and a test holds it.
pub(crate) fn may_be_shoutcast(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(current) = cause {
        if current.to_string().contains("invalid HTTP version") {
            return true;
        }
        cause = current.source();
    }
    false
}

/// Asks for `url`; `None` when the server does not answer as SHOUTcast does.
pub(crate) async fn open(
    url: &Url,
    headers: &HeaderMap,
    connect_timeout: Duration,
) -> io::Result<Option<Response<reqwest::Body>>> {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return Ok(None) };
    // An IPv6 address stands in brackets in a URL, and not where it is connected to.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let mut stream = tokio::time::timeout(connect_timeout, TcpStream::connect((name, port))).await??;
    stream.write_all(&question(url, host, port, headers)).await?;
    let mut head = Vec::new();
    let end = loop {
        if let Some(end) = end_of_head(&head) {
            break end;
        }
        if head.len() > MOST_HEAD || !head.starts_with(&b"ICY "[..head.len().min(4)]) {
            return Ok(None);
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    };
    let Some((status, headers)) = parse(&head[..end]) else { return Ok(None) };
    let body = Stream { first: Bytes::from(head).slice(end..), stream };
    let mut response = Response::new(reqwest::Body::wrap(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    *response.version_mut() = Version::HTTP_10;
    Ok(Some(response))
}

fn question(url: &Url, host: &str, port: u16, headers: &HeaderMap) -> Vec<u8> {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut text = format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n").into_bytes();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::HOST) {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

/// Offset behind the empty line, with or without carriage returns.
fn end_of_head(head: &[u8]) -> Option<usize> {
    let find = |end: &[u8]| head.windows(end.len()).position(|part| part == end).map(|at| at + end.len());
    match (find(b"\r\n\r\n"), find(b"\n\n")) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Lines that are no headers are passed over: these servers send banners.
fn parse(head: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let code = lines.next()?.strip_prefix(b"ICY ")?.get(..3)?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    Some((StatusCode::from_bytes(code).ok()?, headers))
}

/// What follows the head, up to the close of the connection.
struct Stream {
    first: Bytes,
    stream: TcpStream,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let mut chunk = vec![0; CHUNK];
        let mut buf = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buf))?;
        let read = buf.filled().len();
        chunk.truncate(read);
        Poll::Ready((read > 0).then(|| Ok(Frame::data(chunk.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::{end_of_head, parse};

    #[test]
    fn heads_are_read_or_refused() {
        let head = b"ICY 200 OK\r\nicy-notice1:<BR>banner\r\nno header\r\nicy-name: Radio\r\nContent-Type:audio/mpeg\r\n\r\n";
        assert_eq!(end_of_head(head), Some(head.len()));
        let (status, headers) = parse(head).unwrap();
        assert_eq!(status.as_u16(), 200);
        assert_eq!(
            (&headers["icy-name"], &headers["content-type"]),
            (&"Radio".parse().unwrap(), &"audio/mpeg".parse().unwrap())
        );
        assert_eq!(parse(b"ICY 401 Service Unavailable\n\n").unwrap().0.as_u16(), 401);
        assert_eq!(end_of_head(b"ICY 200 OK\n\nab\r\n\r\n"), Some(12));
        for bad in
            ["", "ICY", "ICY ", "ICY x", "ICY 20", "ICY 9999999", "HTTP/1.0 200 OK", "ICY \u{e4}\u{f6}"]
        {
            assert!(parse(bad.as_bytes()).is_none_or(|(status, _)| status.as_u16() == 999), "{bad}");
        }
        assert_eq!(end_of_head(b"ICY 200 OK\r\n"), None);
    }
}
