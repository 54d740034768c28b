//! Ctrl-C and its like: the run ends, but tidily.

use std::future::pending;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

/// How long a run may take to end tidily.
const GRACE: Duration = Duration::from_secs(5);

/// Watches for signals from now on. The first one gives the exit status that a shell expects of it; a second one, or a run
/// that does not end by itself, ends the process at once.
///
/// It has a thread of its own, because the run may stand in a write to a pipe that nobody reads.
pub(crate) fn watch() -> oneshot::Receiver<u8> {
    let (sender, receiver) = oneshot::channel();
    let (installed, ready) = std::sync::mpsc::channel();
    let watching = std::thread::Builder::new().name("kithara-signals".to_owned()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut signals) = Signals::new() else { return };
            let _ = installed.send(());
            let status = signals.next().await;
            let _ = sender.send(status);
            tokio::select! {
                _ = signals.next() => {}
                () = sleep(GRACE) => {}
            }
            std::process::exit(status.into());
        });
    });
    // Without the thread, or without signals, the system ends the process as it always did.
    if watching.is_ok() {
        let _ = ready.recv();
    }
    receiver
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The exit status of the next one: 128 and its number.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            Some(()) = self.interrupt.recv() => 130,
            Some(()) = self.terminate.recv() => 143,
            else => pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> u8 {
        match tokio::signal::ctrl_c().await {
            Ok(()) => 130,
            Err(_) => pending().await,
        }
    }
}
