use std::sync::Arc;
use std::sync::atomic::Ordering;

use kithara_blocking::block_on;
use tokio::sync::mpsc::Receiver;

use crate::channel::{CloseOnDrop, Finish, queue};
use crate::commands::{CommandSender, Envelope};
use crate::core::{Core, Ended, Next, guard};
use crate::handle::Ending;
use crate::thread::{State, Thread};
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
    let (command_sender, commands) =
        CommandSender::new(signals.clone(), S::starts_epoch, source.interrupter());
    let state = Arc::new(State::default());
    let gone = CloseOnDrop(signals.clone());
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
    WorkerHandle::new(consumer, command_sender, ending)
}

struct Worker<S: BlockingWorkerSource> {
    source: S,
    core: Core<S::Item, S::Error>,
    commands: Receiver<Envelope<S::Command>>,
    state: Arc<State>,
}

/// What ended a rest.
enum Woken<C> {
    Command(Option<Envelope<C>>),
    Room,
}

impl<S: BlockingWorkerSource> Worker<S> {
    fn step(&mut self) -> Result<(), Ended> {
        while let Ok(envelope) = self.commands.try_recv() {
            self.handle_command(envelope)?;
        }
        match self.core.next() {
            Next::Fetch => self.fetch(),
            next => match block_on(self.rest(next)) {
                Woken::Command(Some(envelope)) => self.handle_command(envelope),
                Woken::Command(None) => Err(Ended),
                Woken::Room => Ok(()),
            },
        }
    }

    /// Waits for a command, and for room too if that is what is lacking. Nothing else wakes it.
    async fn rest(&mut self, next: Next) -> Woken<S::Command> {
        let signals = Arc::clone(&self.core.queue.signals);
        tokio::select! {
            biased;
            command = self.commands.recv() => Woken::Command(command),
            () = signals.drained.notified(), if next == Next::WaitForRoom => Woken::Room,
        }
    }

    fn handle_command(&mut self, envelope: Envelope<S::Command>) -> Result<(), Ended> {
        let source = &mut self.source;
        self.core.handle_command(envelope, |command| source.handle_command(command))
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

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::wakes::Wakes;
    use crate::{CommandOutcome, TryRecv};

    struct Count(u32);

    impl BlockingWorkerSource for Count {
        type Item = u32;
        type Command = CommandOutcome;
        type Error = ();

        fn fetch_next(&mut self) -> Result<Option<u32>, ()> {
            self.0 += 1;
            Ok((self.0 <= 6).then_some(self.0))
        }

        fn handle_command(&mut self, command: CommandOutcome) -> CommandOutcome {
            command
        }
    }

    /// The steps that the thread takes until it would park, and the wakes of the rest that it parks in while `meanwhile`
    /// goes on.
    fn wakes_while(worker: &mut Worker<Count>, meanwhile: impl FnOnce()) -> usize {
        let next = loop {
            while let Ok(envelope) = worker.commands.try_recv() {
                assert!(worker.handle_command(envelope).is_ok());
            }
            match worker.core.next() {
                Next::Fetch => assert!(worker.fetch().is_ok()),
                next => break next,
            }
        };
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut rest = pin!(worker.rest(next));
        if rest.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            // A bell from before.
            return 0;
        }
        meanwhile();
        wakes.0.load(Ordering::SeqCst)
    }

    #[test]
    fn a_resting_thread_is_woken_by_commands_alone() {
        let (producer, consumer) = queue(4);
        let signals = producer.signals.clone();
        let (command_sender, commands) = CommandSender::new(signals, Count::starts_epoch, None);
        let state = Arc::new(State::default());
        let mut worker = Worker { source: Count(0), core: Core::new(producer), commands, state };
        let mut handle =
            WorkerHandle::<u32, CommandOutcome, ()>::new(consumer, command_sender, Ending::Nothing);

        assert_eq!(wakes_while(&mut worker, || ()), 0, "the queue is full");
        let sent = wakes_while(&mut worker, || handle.send_command(CommandOutcome::Pause).unwrap());
        assert_eq!(sent, 1, "a command wakes it");
        let drained = wakes_while(&mut worker, || while let Ok(TryRecv::Item(_)) = handle.try_recv() {});
        assert_eq!(drained, 1, "an item waits for room, paused or not");
        let paused = wakes_while(&mut worker, || while let Ok(TryRecv::Item(_)) = handle.try_recv() {});
        assert_eq!(paused, 0, "paused, whatever the consumer does");

        handle.send_command(CommandOutcome::Resume).unwrap();
        let ended = wakes_while(&mut worker, || {
            while let Ok(TryRecv::Item(_)) = handle.try_recv() {}
            assert!(matches!(handle.try_recv(), Ok(TryRecv::End)));
        });
        assert_eq!(ended, 0, "at the end");
    }
}
