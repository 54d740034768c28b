//! Threads that are inside of a source when their handle goes.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use kithara_worker::{BlockingWorkerSource, CommandOutcome, spawn_blocking};

/// A source that blocks until it is let go, or for ever.
struct Stuck {
    gate: Arc<(Mutex<bool>, Condvar)>,
    entered: std::sync::mpsc::Sender<()>,
    interruptible: bool,
    dropped: Arc<AtomicBool>,
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl BlockingWorkerSource for Stuck {
    type Item = ();
    type Command = ();
    type Error = ();

    fn fetch_next(&mut self) -> Result<Option<()>, ()> {
        self.entered.send(()).unwrap();
        let open = self.gate.0.lock().unwrap();
        drop(self.gate.1.wait_while(open, |open| !*open).unwrap());
        Ok(None)
    }

    fn handle_command(&mut self, (): ()) -> CommandOutcome {
        CommandOutcome::Continue
    }

    fn interrupter(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        let gate = self.gate.clone();
        let open = move || {
            *gate.0.lock().unwrap() = true;
            gate.1.notify_all();
        };
        self.interruptible.then(|| Box::new(open) as _)
    }
}

#[test]
fn dropping_joins_a_thread_that_can_be_interrupted_and_never_waits_for_one_that_cannot() {
    for interruptible in [true, false] {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let dropped = Arc::new(AtomicBool::new(false));
        let (entered, inside) = std::sync::mpsc::channel();
        let source = Stuck { gate: gate.clone(), entered, interruptible, dropped: dropped.clone() };
        let handle = spawn_blocking(source, 1);
        inside.recv().unwrap();
        drop(handle);
        assert_eq!(dropped.load(Ordering::SeqCst), interruptible);
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        // The sender goes with the source: the thread ends by itself.
        assert!(inside.recv().is_err());
    }
}

/// Says that it is inside of a fetch, and blocks until it is let go.
struct Held {
    entered: std::sync::mpsc::Sender<()>,
    release: std::sync::mpsc::Receiver<()>,
}

impl BlockingWorkerSource for Held {
    type Item = ();
    type Command = u32;
    type Error = std::convert::Infallible;

    fn fetch_next(&mut self) -> Result<Option<()>, Self::Error> {
        let _ = self.entered.send(());
        let _ = self.release.recv();
        Ok(None)
    }

    fn handle_command(&mut self, _: u32) -> CommandOutcome {
        CommandOutcome::Continue
    }
}

#[test]
fn commands_for_a_blocked_worker_are_bounded() {
    let (entered, inside) = std::sync::mpsc::channel();
    let (let_go, release) = std::sync::mpsc::channel::<()>();
    let mut worker = spawn_blocking(Held { entered, release }, 1);
    inside.recv().unwrap();
    let refused = (0..10_000).find_map(|command| worker.send_command(command).err()).unwrap();
    assert!(refused.is_retryable(), "{refused}");
    assert_eq!(refused.into_command(), 256);
    drop(let_go);
    assert!(worker.recv_blocking().unwrap().is_none());
    worker.send_command(0).unwrap();
}
