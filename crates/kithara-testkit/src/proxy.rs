use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};

use crate::{clock, host::Host, origin::Link};

/// Pieces under way in one direction of one connection, of up to 16 KiB each: 4 MiB.
const WINDOW: usize = 256;

/// A line of some length between a client and a server on loopback: everything takes `one_way` to get across.
///
/// What a client sends on a new connection leaves one round trip late, as it would after the handshake of TCP (which
/// loopback itself finishes at once). So the first byte of an answer comes two round trips after `connect`, and one
/// after the request on a connection that is in use. There is no slow start and no loss; bandwidth can be limited for
/// the direction to the client, all connections together.
///
/// Time is tokio's: exact when paused, within about a millisecond otherwise. Dropping it ends all connections.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    settings: Arc<Settings>,
    _host: Host,
}

#[derive(Debug)]
struct Settings {
    to: SocketAddr,
    one_way: Duration,
    link: Link,
}

impl DelayProxy {
    /// Starts a proxy to this address on the current tokio runtime.
    ///
    /// # Errors
    /// The system gives no port.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[allow(clippy::unused_async, reason = "async says that it needs a runtime")]
    pub async fn start(to: SocketAddr, one_way: Duration) -> io::Result<Self> {
        let settings = Settings::new(to, one_way);
        let (address, server) = bind(&settings)?;
        Ok(Self { address, settings, _host: Host::task(server) })
    }

    /// Starts a proxy on a thread of its own.
    ///
    /// # Errors
    /// The system gives no port or no thread.
    pub fn start_blocking(to: SocketAddr, one_way: Duration) -> io::Result<Self> {
        let settings = Settings::new(to, one_way);
        let for_thread = Arc::clone(&settings);
        let (address, host) = Host::thread(move || bind(&for_thread))?;
        Ok(Self { address, settings, _host: host })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path behind the proxy.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_start_matches('/'))
    }

    /// Limits what comes back to all clients together, in bytes per second; 0 stands still, `None` is unlimited.
    pub fn set_bandwidth(&self, bytes_per_second: Option<u64>) {
        self.settings.link.set_rate(bytes_per_second);
    }
}

impl Settings {
    fn new(to: SocketAddr, one_way: Duration) -> Arc<Self> {
        Arc::new(Self { to, one_way, link: Link::default() })
    }
}

fn bind(settings: &Arc<Settings>) -> io::Result<(SocketAddr, impl Future<Output = ()> + Send + use<>)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(1024)?;
    let address = listener.local_addr()?;
    let settings = Arc::clone(settings);
    let server = async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => drop(connections.spawn(relay(client, Arc::clone(&settings)))),
                    // Out of descriptors, say: time makes room.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    };
    Ok((address, server))
}

/// One connection, both ways, until both have ended or either has failed.
async fn relay(client: TcpStream, settings: Arc<Settings>) {
    let connected = Instant::now() + 2 * settings.one_way;
    let Ok(server) = TcpStream::connect(settings.to).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let (up, down) = (
        Direction::new(&settings, connected, None),
        Direction::new(&settings, connected, Some(&settings.link)),
    );
    // An error in one direction resets the other: the sockets are dropped together.
    let _ = tokio::try_join!(up.run(client_reads, server_writes), down.run(server_reads, client_writes));
}

struct Direction<'a> {
    one_way: Duration,
    not_before: Instant,
    link: Option<&'a Link>,
}

/// Bytes and when they arrive; none is the end.
type Parcel = (Instant, Option<Vec<u8>>);

impl<'a> Direction<'a> {
    fn new(settings: &Settings, not_before: Instant, link: Option<&'a Link>) -> Self {
        Self { one_way: settings.one_way, not_before, link }
    }

    async fn run(self, from: OwnedReadHalf, to: OwnedWriteHalf) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(WINDOW);
        tokio::try_join!(self.depart(from, sender), arrive(receiver, to)).map(drop)
    }

    async fn depart(&self, mut from: OwnedReadHalf, sender: mpsc::Sender<Parcel>) -> io::Result<()> {
        loop {
            let mut bytes = vec![0; 16 * 1024];
            let count = from.read(&mut bytes).await?;
            if let Some(link) = self.link {
                link.carry(count).await;
            }
            let arrival = Instant::now().max(self.not_before) + self.one_way;
            bytes.truncate(count);
            let parcel = (arrival, (count > 0).then_some(bytes));
            if sender.send(parcel).await.is_err() || count == 0 {
                return Ok(());
            }
        }
    }
}

async fn arrive(mut receiver: mpsc::Receiver<Parcel>, mut to: OwnedWriteHalf) -> io::Result<()> {
    while let Some((arrival, bytes)) = receiver.recv().await {
        clock::sleep_until(arrival).await;
        match bytes {
            Some(bytes) => to.write_all(&bytes).await?,
            None => return to.shutdown().await,
        }
    }
    Ok(())
}
