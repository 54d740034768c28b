use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::block_on::block_on;
use crate::channel::{Finish, GoneOnDrop, queue};
use crate::commands::{Commander, Envelope};
use crate::core::{Core, Ended, Next, guard};
use crate::handle::Ending;
use crate::{BlockingWorkerSource, WorkerHandle};

/// Runs `source` in a thread of its own, and keeps at most `capacity` (at least one) items ready. If the operating system
/// gives no thread, the first `recv` says so.
///
/// Dropping the handle tells the thread to stop. It is joined if that cannot take long: when the source has an
/// [interrupter](BlockingWorkerSource::interrupter), or when the thread is not inside of the source at that moment. Otherwise
/// the thread ends by itself as soon as the fetch under way returns. [`WorkerHandle::shutdown`] waits in any case.
pub fn spawn_blocking<S: BlockingWorkerSource>(
    source: S,
    capacity: usize,
) -> WorkerHandle<S::Item, S::Command, S::Error> {
    let (producer, consumer) = queue(capacity);
    let signals = producer.signals.clone();
    let (commander, commands) = Commander::new(signals.clone(), S::starts_epoch, source.interrupter());
    let state = Arc::new(State::default());
    let gone = GoneOnDrop(signals.clone());
    let worker = Worker { source, core: Core::new(producer), commands, state: Arc::clone(&state) };
    let run = move || {
        let _gone = gone;
        let mut worker = worker;
        while worker.step().is_ok() {}
        drop(worker);
    };
    let ending = match std::thread::Builder::new().name("kithara-worker".to_owned()).spawn(run) {
        Ok(join) => Ending::Thread(Thread { state, join }),
        Err(error) => {
            // The closure is dropped already, and with it the word that the worker has gone; only the reason is missing.
            signals.set_finish(Finish::NotSpawned(error.to_string()));
            Ending::Nothing
        }
    };
    WorkerHandle::new(consumer, commander, ending)
}

/// Where the thread is, and whether it shall go. Sequentially consistent: either the thread sees `stop` before it enters the
/// source, or whoever sets `stop` sees that it is inside.
#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    in_source: AtomicBool,
}

/// The thread of a blocking worker.
pub(crate) struct Thread {
    state: Arc<State>,
    join: JoinHandle<()>,
}

impl Thread {
    /// Called after the word to stop was sent.
    pub(crate) fn end(self, interruptible: bool) {
        self.state.stop.store(true, Ordering::SeqCst);
        let inside = self.state.in_source.load(Ordering::SeqCst);
        let own = self.join.thread().id() == std::thread::current().id();
        if (interruptible || !inside) && !own {
            // The worker catches panics of the source; what is left has no result.
            let _ = self.join.join();
        }
    }
}

struct Worker<S: BlockingWorkerSource> {
    source: S,
    core: Core<S::Item, S::Error>,
    commands: UnboundedReceiver<Envelope<S::Command>>,
    state: Arc<State>,
}

impl<S: BlockingWorkerSource> Worker<S> {
    fn step(&mut self) -> Result<(), Ended> {
        while let Ok(envelope) = self.commands.try_recv() {
            self.obey(envelope)?;
        }
        match self.core.next() {
            Next::Fetch => self.fetch(),
            Next::WaitForCommand => match block_on(self.commands.recv()) {
                Some(envelope) => self.obey(envelope),
                None => Err(Ended),
            },
            Next::WaitForRoom => {
                let signals = Arc::clone(&self.core.queue.signals);
                let commands = &mut self.commands;
                let command = block_on(async {
                    tokio::select! {
                        biased;
                        command = commands.recv() => Some(command),
                        () = signals.drained.notified() => None,
                    }
                });
                match command {
                    Some(Some(envelope)) => self.obey(envelope),
                    Some(None) => Err(Ended),
                    None => Ok(()),
                }
            }
        }
    }

    fn obey(&mut self, envelope: Envelope<S::Command>) -> Result<(), Ended> {
        let source = &mut self.source;
        self.core.obey(envelope, |command| source.handle_command(command))
    }

    fn fetch(&mut self) -> Result<(), Ended> {
        self.state.in_source.store(true, Ordering::SeqCst);
        if self.state.stop.load(Ordering::SeqCst) {
            return Err(Ended);
        }
        let source = &mut self.source;
        let fetched =
            guard(&self.core.queue.signals, || source.fetch_next().map(|item| (item, source.is_eof())));
        self.state.in_source.store(false, Ordering::SeqCst);
        match fetched? {
            Ok((item, is_eof)) => self.core.fetched(Ok(item), is_eof),
            Err(error) => self.core.fetched(Err(error), false),
        }
        Ok(())
    }
}
