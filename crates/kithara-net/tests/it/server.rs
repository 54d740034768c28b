//! A server that says exactly the bytes a test wants, on loopback.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

/// What the server does after a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Does nothing any more.
    Stall,
}

/// A request as it came: the text of its head.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    /// Which connection, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The start of its `Range`.
    pub(crate) fn start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
    }
}

type Handler = dyn Fn(&Seen, usize) -> Vec<Act> + Send + Sync;

/// The server; dropping it ends it.
pub(crate) struct Server {
    pub(crate) port: u16,
    log: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers request number *n* (from 0) as `handler(request, n)` says. After acts without an end the connection
    /// waits for its next request.
    pub(crate) async fn start(handler: impl Fn(&Seen, usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (handler, seen): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&log));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for index in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                connections.spawn(serve(stream, index, Arc::clone(&handler), Arc::clone(&seen)));
            }
        });
        Self { port, log, task }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen().iter().map(|seen| seen.connection + 1).max().unwrap_or(0)
    }
}

async fn serve(mut stream: TcpStream, connection: usize, handler: Arc<Handler>, log: Arc<Mutex<Vec<Seen>>>) {
    while let Some(head) = read_head(&mut stream).await {
        let seen = Seen { head, connection };
        let number = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.len() - 1
        };
        for act in handler(&seen, number) {
            match act {
                Act::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Act::Close => return,
                Act::Reset => {
                    let _ = stream.set_zero_linger();
                    return;
                }
                Act::Stall => std::future::pending().await,
            }
        }
    }
}

/// The head of the next request, or `None` at the end of the connection.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A head with these lines, and then the body.
pub(crate) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Act {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\n{}", headers.iter().map(|h| format!("{h}\r\n")).collect::<String>())
            .into_bytes();
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Act::Send(bytes)
}

/// 200 with a declared length.
pub(crate) fn ok(headers: &[&str], body: &[u8]) -> Act {
    let length = format!("content-length: {}", body.len());
    answer("200 OK", &[headers, &[length.as_str()]].concat(), body)
}

/// 206 of `entity` from `start` on.
pub(crate) fn part(headers: &[&str], entity: &[u8], start: usize) -> Act {
    let total = entity.len();
    let range = format!("content-range: bytes {start}-{}/{total}", total - 1);
    let length = format!("content-length: {}", total - start);
    answer("206 Partial Content", &[headers, &[range.as_str(), length.as_str()]].concat(), &entity[start..])
}

/// The same act, its bytes cut so that `body_len` of the body are left.
pub(crate) fn cut(act: Act, body_len: usize) -> Act {
    let Act::Send(mut bytes) = act else { return act };
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    bytes.truncate(head + body_len);
    Act::Send(bytes)
}
