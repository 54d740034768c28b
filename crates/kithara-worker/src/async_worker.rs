use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;

use crate::channel::{CloseOnDrop, Signals, queue};
use crate::commands::{CommandSender, Envelope};
use crate::core::{Core, Ended, Next, guard};
use crate::handle::Ending;
use crate::{AsyncWorkerSource, WorkerHandle};

/// Runs `source` in a task of the current tokio runtime, and keeps at most `capacity` (at least one) items ready.
///
/// Dropping the handle aborts the task: a fetch that is under way is dropped at its next await.
/// [`WorkerHandle::shutdown`] waits for that.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn spawn_async<S: AsyncWorkerSource>(
    source: S,
    capacity: usize,
) -> WorkerHandle<S::Item, S::Command, S::Error> {
    spawn_async_on(&Handle::current(), source, capacity)
}

/// As [`spawn_async`], on a given runtime.
pub fn spawn_async_on<S: AsyncWorkerSource>(
    runtime: &Handle,
    source: S,
    capacity: usize,
) -> WorkerHandle<S::Item, S::Command, S::Error> {
    let (mut handle, work) = prepare(source, capacity);
    handle.ending = Ending::Task(runtime.spawn(work));
    handle
}

type HandleOf<S> = WorkerHandle<
    <S as AsyncWorkerSource>::Item,
    <S as AsyncWorkerSource>::Command,
    <S as AsyncWorkerSource>::Error,
>;

/// The handle, and the work to be spawned.
fn prepare<S: AsyncWorkerSource>(
    source: S,
    capacity: usize,
) -> (HandleOf<S>, impl Future<Output = ()> + Send) {
    let (producer, consumer) = queue(capacity);
    let (command_sender, commands) = CommandSender::new(producer.signals.clone(), S::starts_epoch, None);
    let gone = CloseOnDrop(producer.signals.clone());
    let mut worker = Worker { source, core: Core::new(producer), commands, _gone: gone };
    // Nothing is moved within the futures from here on: what is, has room in a task twice.
    let work = async move { while worker.step().await.is_ok() {} };
    (WorkerHandle::new(consumer, command_sender, Ending::Nothing), work)
}

struct Worker<S: AsyncWorkerSource> {
    source: S,
    core: Core<S::Item, S::Error>,
    commands: Receiver<Envelope<S::Command>>,
    /// The last field, so that it is dropped after the source.
    _gone: CloseOnDrop,
}

enum Event<S: AsyncWorkerSource> {
    Command(Option<Envelope<S::Command>>),
    Fetched(Result<Result<Option<S::Item>, S::Error>, Ended>),
    Room,
}

impl<S: AsyncWorkerSource> Worker<S> {
    /// Waits for one thing and does it. Commands go first.
    async fn step(&mut self) -> Result<(), Ended> {
        let Self { source, core, commands, .. } = self;
        let event = match core.next() {
            Next::WaitForCommand => Event::<S>::Command(commands.recv().await),
            Next::WaitForRoom => tokio::select! {
                biased;
                command = commands.recv() => Event::Command(command),
                () = core.queue.signals.drained.notified() => Event::Room,
            },
            Next::Fetch => {
                let fetch = pin!(source.fetch_next());
                tokio::select! {
                    biased;
                    command = commands.recv() => Event::Command(command),
                    fetched = guarded(&core.queue.signals, fetch) => Event::Fetched(fetched),
                }
            }
        };
        match event {
            Event::Command(None) => Err(Ended),
            Event::Command(Some(envelope)) => {
                core.handle_command(envelope, |command| source.handle_command(command))
            }
            Event::Fetched(fetched) => {
                let fetched = fetched?;
                let is_eof = guard(&core.queue.signals, || source.is_eof())?;
                core.fetched(fetched, is_eof);
                Ok(())
            }
            Event::Room => Ok(()),
        }
    }
}

/// Polls `future` so that its panic is an end of the worker.
fn guarded<F: Future>(
    signals: &Signals,
    mut future: Pin<&mut F>,
) -> impl Future<Output = Result<F::Output, Ended>> {
    poll_fn(move |context| match guard(signals, || future.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(ended) => Poll::Ready(Err(ended)),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::task::{Context, Waker};

    use super::*;
    use crate::CommandOutcome;
    use crate::wakes::Wakes;

    /// What is large, and is held while it waits.
    struct Large([u8; LARGE]);

    const LARGE: usize = 4096;

    impl AsyncWorkerSource for Large {
        type Item = u8;
        type Command = CommandOutcome;
        type Error = ();

        async fn fetch_next(&mut self) -> Result<Option<u8>, ()> {
            let copy = self.0;
            std::future::pending::<()>().await;
            Ok(copy.last().copied())
        }

        fn handle_command(&mut self, command: CommandOutcome) -> CommandOutcome {
            command
        }
    }

    #[test]
    fn a_task_has_room_for_the_source_and_its_fetch_once() {
        let (_handle, work) = prepare(Large([0; LARGE]), 1);
        let size = size_of_val(&work);
        assert!(size < 2 * LARGE + 1024, "{size} bytes");
    }

    struct Count(u32);

    impl AsyncWorkerSource for Count {
        type Item = u32;
        type Command = CommandOutcome;
        type Error = ();

        async fn fetch_next(&mut self) -> Result<Option<u32>, ()> {
            self.0 += 1;
            Ok((self.0 <= 6).then_some(self.0))
        }

        fn handle_command(&mut self, command: CommandOutcome) -> CommandOutcome {
            command
        }
    }

    /// There is no clock in a worker: what happens to the waker is all that can ever wake it.
    #[test]
    fn a_resting_worker_is_woken_by_commands_alone() {
        let (mut handle, work) = prepare(Count(0), 4);
        let mut work = Box::pin(work);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut run = || {
            // As an executor does: polled once, and again for as long as it was woken meanwhile.
            let mut polls = 0;
            while polls == 0 || wakes.0.swap(0, Ordering::SeqCst) > 0 {
                assert!(work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                polls += 1;
            }
            polls
        };
        run();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "the queue is full");

        handle.send_command(CommandOutcome::Pause).unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "a command wakes it");
        run();
        assert!(matches!(handle.try_recv(), Ok(crate::TryRecv::Item(_))));
        run();
        for _ in 0..3 {
            assert!(matches!(handle.try_recv(), Ok(crate::TryRecv::Item(_))));
        }
        let _ = handle.try_recv();
        run();
        while let Ok(crate::TryRecv::Item(_)) = handle.try_recv() {}
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "paused, whatever the consumer does");

        handle.send_command(CommandOutcome::Resume).unwrap();
        run();
        while let Ok(crate::TryRecv::Item(_)) = handle.try_recv() {}
        run();
        assert!(matches!(handle.try_recv(), Ok(crate::TryRecv::End)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "at the end");
    }
}
