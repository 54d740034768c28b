//! The origin in a process of its own, so that what serving costs is never charged to the player.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kithara_testkit::{DelayProxy, Origin};

use super::child::ROLE;
use super::long;

/// The role of the process that serves.
const SERVES: &str = "serve";

/// One way of the long line: its round trip is 50 ms.
const ONE_WAY: Duration = Duration::from_millis(25);

/// Serves until the process that asked for it ends, if that is the role.
pub fn serve(role: &str) -> bool {
    if role != SERVES {
        return false;
    }
    let origin = Origin::start_blocking().unwrap();
    long::serve(&origin);
    let proxy = DelayProxy::start_blocking(origin.address(), ONE_WAY).unwrap();
    let thin = DelayProxy::start_blocking(origin.address(), ONE_WAY).unwrap();
    thin.set_bandwidth(Some(THIN));
    let mut stdout = std::io::stdout();
    let secure = format!("https://localhost:{}", super::tls::serve(origin.address()));
    let (near, far, thin) = (origin.url("/"), proxy.url("/"), thin.url("/"));
    writeln!(stdout, "{near}\n{far}\n{thin}\n{secure}").unwrap();
    stdout.flush().unwrap();
    // It ends with the process that started it, however that ends.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    true
}

/// Bytes per second of the thin line: 800 kbit/s.
const THIN: u64 = 100_000;

/// The embedded media (and what [`long`] makes of it) on loopback, and the same at 50 ms round trip.
pub struct Server {
    child: Child,
    near: String,
    far: String,
    thin: String,
    secure: String,
}

impl Server {
    pub fn start() -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env(ROLE, SERVES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap().trim_end_matches('/').to_owned();
        let (near, far, thin, secure) = (next(), next(), next(), next());
        Self { child, near, far, thin, secure }
    }

    /// The URL of a path on loopback.
    pub fn near(&self, path: &str) -> String {
        format!("{}{path}", self.near)
    }

    /// The URL of a path on loopback, with TLS ([`ROOT`](super::tls::ROOT) must be trusted).
    pub fn secure(&self, path: &str) -> String {
        format!("{}{path}", self.secure)
    }

    /// The URL of a path at 50 ms round trip; a new connection costs a round trip too.
    pub fn far(&self, path: &str) -> String {
        format!("{}{path}", self.far)
    }

    /// The URL of a path at 50 ms round trip and 800 kbit/s for all connections together.
    pub fn thin(&self, path: &str) -> String {
        format!("{}{path}", self.thin)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
