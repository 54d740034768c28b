//! The origin in a process of its own, so that what serving costs is never charged to the player.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kithara_testkit::{DelayProxy, Origin};

use super::long;

/// Set in the environment of the process that serves.
const ROLE: &str = "KITHARA_BENCH_SERVES";

/// One way of the long line: its round trip is 50 ms.
const ONE_WAY: Duration = Duration::from_millis(25);

/// The first thing of every `main`: true in the process that serves, after it has served.
pub fn has_served() -> bool {
    if env::var_os(ROLE).is_none() {
        return false;
    }
    let origin = Origin::start_blocking().unwrap();
    long::serve(&origin);
    let proxy = DelayProxy::start_blocking(origin.address(), ONE_WAY).unwrap();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}\n{}", origin.url("/"), proxy.url("/")).unwrap();
    stdout.flush().unwrap();
    // It ends with the process that started it, however that ends.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    true
}

/// The embedded media (and what [`long`] makes of it) on loopback, and the same at 50 ms round trip.
pub struct Server {
    child: Child,
    near: String,
    far: String,
}

impl Server {
    pub fn start() -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap().trim_end_matches('/').to_owned();
        let (near, far) = (next(), next());
        Self { child, near, far }
    }

    /// The URL of a path on loopback.
    pub fn near(&self, path: &str) -> String {
        format!("{}{path}", self.near)
    }

    /// The URL of a path at 50 ms round trip; a new connection costs a round trip too.
    pub fn far(&self, path: &str) -> String {
        format!("{}{path}", self.far)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
