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
