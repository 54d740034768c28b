use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};

use super::{
    Control, Counters, Cut, Received, Reply, Resource, Shared,
    connection::{Connection, Socket},
    control, respond,
    shared::Step,
};
use crate::host::{Host, Tasks};

/// An HTTP server on loopback whose every answer a test can script, hold back, break and count.
///
/// It speaks HTTP/1.1 and HTTP/2 with prior knowledge. The embedded [media](crate::media) is served at its path
/// (`/hls/aac4/master.m3u8`, `/file/cbr.mp3`) without further ado; [`serve`](Self::serve) and
/// [`serve_folder`](Self::serve_folder) add to it or replace it. Well-kept by default: ranges, If-Range, ETag,
/// Last-Modified, conditional requests, HEAD, Content-Type. A [`Reply`] bends one answer; [`expect`](Self::expect)
/// puts one into the test's hands.
///
/// For each request the first of these decides: a guard, the next scripted reply of the path, the path's answer
/// function, the reply for everything.
///
/// Dropping it ends the server and all its connections.
#[derive(Debug)]
pub struct Origin {
    shared: Arc<Shared>,
    address: SocketAddr,
    host: Host,
}

impl Origin {
    /// Starts an origin on the current tokio runtime, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// The system gives no port.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[allow(clippy::unused_async, reason = "async says that it needs a runtime")]
    pub async fn start() -> io::Result<Self> {
        let shared = Shared::new();
        let (address, server) = bind(&shared)?;
        Ok(Self { shared, address, host: Host::task(server) })
    }

    /// Starts an origin on a thread of its own: for examples, benches and plain threads.
    ///
    /// Its counters and waits work from any runtime.
    ///
    /// # Errors
    /// The system gives no port or no thread.
    pub fn start_blocking() -> io::Result<Self> {
        let shared = Shared::new();
        let for_thread = Arc::clone(&shared);
        let (address, host) = Host::thread(move || bind(&for_thread))?;
        Ok(Self { shared, address, host })
    }

    /// Ends the server: from now on connections are refused. Its log can still be read.
    pub async fn stop(&mut self) {
        self.host.stop().await;
    }

    /// Address and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, `http://127.0.0.1:PORT/path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_start_matches('/'))
    }

    /// The URL of the same path on another host name: `http://localhost:PORT/path`.
    pub fn url_on_other_host(&self, path: &str) -> String {
        format!("http://localhost:{}/{}", self.address.port(), path.trim_start_matches('/'))
    }

    /// Serves a resource, or bare bytes, at a path.
    pub fn serve(&self, path: &str, resource: impl Into<Resource>) {
        self.shared.route(path, Some(resource.into()));
    }

    /// Serves what lies in a folder on disk, below a path prefix (`""` or `"/music"`).
    pub fn serve_folder(&self, prefix: &str, folder: impl Into<PathBuf>) {
        self.shared.folder(prefix, folder.into());
    }

    /// Takes back what [`serve`](Self::serve) put there.
    pub fn remove(&self, path: &str) {
        self.shared.route(path, None);
    }

    /// Appends replies to the path's script: each is given once, in order.
    pub fn script(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        for reply in replies {
            self.shared.push_step(path, Step::Reply(Box::new(reply)));
        }
    }

    /// Gives this reply whenever the path's script has nothing more.
    pub fn always(&self, path: &str, reply: Reply) {
        self.answer(path, move |_| reply.clone());
    }

    /// Lets a function reply whenever the path's script has nothing more; [`Received::nth`] counts.
    pub fn answer(&self, path: &str, answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        self.shared.set_answer(path, Arc::new(answer));
    }

    /// Gives this reply wherever nothing else is scripted: a latency for all, say.
    pub fn everywhere(&self, reply: Reply) {
        self.shared.set_fallback(reply);
    }

    /// Asks a function before anything else, for every path that begins by `prefix`; a reply ends the matter.
    pub fn guard(&self, prefix: &str, guard: impl Fn(&Received) -> Option<Reply> + Send + Sync + 'static) {
        self.shared.push_guard(prefix, Arc::new(guard));
    }

    /// Gives `status` to requests below `prefix` that lack this header (or cookie, as `cookie: name=value`).
    pub fn require_header(&self, prefix: &str, name: &str, value: &str, status: u16) {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        self.guard(prefix, move |received| {
            let mut given = received.headers().get_all(&name).iter().filter_map(|given| given.to_str().ok());
            let found = match name.as_str() {
                "cookie" => given.any(|given| given.split(';').any(|cookie| cookie.trim() == value)),
                _ => given.any(|given| given == value),
            };
            (!found).then(|| Reply::status(status))
        });
    }

    /// Forgets scripts, answers, guards and the reply for everything. What is served stays.
    pub fn clear_scripts(&self) {
        self.shared.clear_scripts();
    }

    /// Puts the next request of this path (after those scripted so far) into the test's hands.
    ///
    /// ```
    /// # use kithara_testkit::{Content, Origin};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let origin = Origin::start().await?;
    /// origin.serve("/seg3.m4s", Content::pattern(3, 4096));
    /// let mut control = origin.expect("/seg3.m4s");
    /// # let stream = tokio::net::TcpStream::connect(origin.address()).await?;
    /// # stream.writable().await?;
    /// # stream.try_write(b"GET /seg3.m4s HTTP/1.1\r\nhost: x\r\n\r\n")?;
    /// let request = control.request().await?; // a client asks
    /// assert_eq!(request.range(), None);
    /// control.send(..1024).await?;
    /// control.drop_connection().await?;
    /// # Ok(()) }
    /// ```
    pub fn expect(&self, path: &str) -> Control {
        let (control, controlled) = control::pair();
        self.shared.push_step(path, Step::Control(controlled));
        control
    }

    /// Limits what all bodies together are sent at, in bytes per second; 0 stands still, `None` is unlimited.
    ///
    /// Can be changed at any moment, for those under way, too.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.shared.link.set_rate(bytes_per_second);
    }

    /// Ends all open connections; new ones are welcome.
    pub fn cut_connections(&self, cut: Cut) {
        self.shared.cut_all(cut);
    }

    /// All requests, in the order of their arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.log()
    }

    /// The requests of one path.
    pub fn requests_for(&self, path: &str) -> Vec<Received> {
        self.shared.log().into_iter().filter(|received| received.path() == path).collect()
    }

    /// How many requests one path has had.
    pub fn count(&self, path: &str) -> usize {
        self.requests_for(path).len()
    }

    /// Requests, connections and bytes so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Bytes of bodies sent so far for one path.
    pub fn body_bytes(&self, path: &str) -> u64 {
        self.requests_for(path).iter().map(Received::body_sent).sum()
    }

    /// Forgets the log and the counts (of requests, bytes and the peak), between two phases of a test.
    pub fn forget(&self) {
        self.shared.forget();
    }

    /// Waits for the first request of a path: gives it at once when it was there already. Cancel-safe.
    pub async fn wait_for_request(&self, path: &str) -> Received {
        self.wait_for_nth_request(path, 0).await
    }

    /// Waits for the request that `nth` others of this path came before. Cancel-safe.
    pub async fn wait_for_nth_request(&self, path: &str, nth: usize) -> Received {
        self.shared.wait(|shared| shared.nth_request(path, nth)).await
    }

    /// Waits until a condition on the counters holds. Cancel-safe.
    pub async fn wait_until(&self, mut condition: impl FnMut(Counters) -> bool) -> Counters {
        self.shared.wait(|shared| Some(shared.counters()).filter(|counters| condition(*counters))).await
    }

    /// Waits until no answer is under way. Cancel-safe.
    pub async fn wait_until_idle(&self) {
        self.wait_until(|counters| counters.in_flight == 0).await;
    }
}

fn bind(shared: &Arc<Shared>) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(1024)?;
    let address = listener.local_addr()?;
    Ok((address, accept(listener, Arc::clone(shared))))
}

/// Accepts for ever. The connections end with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    let connection = shared.opened();
                    let socket = Socket::new(stream, Arc::clone(&connection), Arc::clone(&shared.written));
                    connections.spawn(serve(socket, Arc::clone(&shared), connection));
                }
                // Out of descriptors, say: time makes room.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(socket: Socket, shared: Arc<Shared>, connection: Arc<Connection>) {
    let _closed = Closed { shared: Arc::clone(&shared), id: connection.id };
    let service =
        service_fn(move |request| respond::respond(Arc::clone(&shared), Arc::clone(&connection), request));
    let mut server = auto::Builder::new(Tasks::default());
    server.http1().max_buf_size(64 * 1024);
    server.http2().max_concurrent_streams(1000);
    // Faults are what this server is for: whether the client or the script broke the connection, nobody need know.
    let _ = server.serve_connection(TokioIo::new(socket), service).await;
}

struct Closed {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Closed {
    fn drop(&mut self) {
        self.shared.closed(self.id);
    }
}
