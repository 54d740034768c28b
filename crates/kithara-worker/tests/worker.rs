//! What a worker promises, for both kinds, on both kinds of runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use kithara_worker::{
    AsyncWorkerSource, BlockingWorkerSource, CommandOutcome, Fetched, TryRecv, WorkerError, WorkerHandle,
    spawn_async, spawn_async_on, spawn_blocking,
};
use tokio::runtime::{Builder, Runtime};

#[derive(Debug, Clone, Copy)]
enum Command {
    /// Starts an epoch where it is sent.
    Seek(u64),
    /// Starts an epoch where it is obeyed.
    LateSeek(u64),
    Count,
    Pause,
    Resume,
    Stop,
    Panic,
}

/// Counts upwards from where it was put, up to an end; fails or panics at one number.
#[derive(Default)]
struct Numbers {
    next: u64,
    end: u64,
    fails_at: Option<u64>,
    panics_at: Option<u64>,
    counted: Arc<AtomicUsize>,
    /// The number that it was paused before.
    paused_at: Arc<AtomicU64>,
    yields: bool,
    /// Tells on drop.
    _dropped: Option<OnDrop>,
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Numbers {
    fn up_to(end: u64) -> Self {
        Self { end, ..Self::default() }
    }

    fn fetch(&mut self) -> Result<Option<u64>, String> {
        let at = self.next;
        if at >= self.end {
            return Ok(None);
        }
        if self.fails_at == Some(at) {
            self.fails_at = None;
            return Err(format!("no {at}"));
        }
        assert_ne!(self.panics_at, Some(at), "bad number");
        self.next += 1;
        Ok(Some(at))
    }

    fn obey(&mut self, command: Command) -> CommandOutcome {
        match command {
            Command::Seek(to) | Command::LateSeek(to) => {
                self.next = to;
                CommandOutcome::NewEpoch
            }
            Command::Count => {
                self.counted.fetch_add(1, Ordering::SeqCst);
                CommandOutcome::Continue
            }
            Command::Pause => {
                self.paused_at.store(self.next, Ordering::SeqCst);
                CommandOutcome::Pause
            }
            Command::Resume => CommandOutcome::Resume,
            Command::Stop => CommandOutcome::Stop,
            Command::Panic => panic!("bad command"),
        }
    }
}

impl AsyncWorkerSource for Numbers {
    type Item = u64;
    type Command = Command;
    type Error = String;

    async fn fetch_next(&mut self) -> Result<Option<u64>, String> {
        if self.yields && self.next.is_multiple_of(3) {
            tokio::task::yield_now().await;
        }
        self.fetch()
    }

    fn handle_command(&mut self, command: Command) -> CommandOutcome {
        self.obey(command)
    }

    fn starts_epoch(command: &Command) -> bool {
        matches!(command, Command::Seek(_))
    }

    fn is_eof(&self) -> bool {
        self.next == self.end
    }
}

impl BlockingWorkerSource for Numbers {
    type Item = u64;
    type Command = Command;
    type Error = String;

    fn fetch_next(&mut self) -> Result<Option<u64>, String> {
        self.fetch()
    }

    fn handle_command(&mut self, command: Command) -> CommandOutcome {
        self.obey(command)
    }

    fn starts_epoch(command: &Command) -> bool {
        matches!(command, Command::Seek(_))
    }

    fn is_eof(&self) -> bool {
        self.next == self.end
    }
}

type Handle = WorkerHandle<u64, Command, String>;

/// Runs a test on either runtime with either kind of worker.
fn everywhere<F: Future<Output = ()>>(test: impl Fn(fn(Numbers, usize) -> Handle) -> F) {
    for runtime in runtimes() {
        runtime.block_on(test(spawn_async));
        runtime.block_on(test(spawn_blocking));
    }
}

fn runtimes() -> [Runtime; 2] {
    let current = Builder::new_current_thread().enable_all().build().unwrap();
    [current, Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()]
}

async fn next(handle: &mut Handle) -> u64 {
    handle.recv().await.unwrap().expect("not at the end").data
}

#[test]
fn items_come_in_order_and_the_end_is_none_until_a_command() {
    everywhere(|spawn| async move {
        let mut handle = spawn(Numbers::up_to(50), 3);
        for number in 0..50 {
            let item = handle.recv().await.unwrap();
            assert_eq!(item, Some(Fetched { epoch: 0, data: number, is_eof: number == 49 }));
        }
        assert_eq!(handle.recv().await.unwrap(), None);
        assert_eq!(handle.recv().await.unwrap(), None);
        assert!(!handle.is_finished());
        // The same end again, for a command that changes nothing.
        handle.send_command(Command::Count).unwrap();
        assert_eq!(handle.recv().await.unwrap(), None);
        handle.send_command(Command::Seek(48)).unwrap();
        assert_eq!(next(&mut handle).await, 48);
        assert_eq!(handle.epoch(), 1);
        assert_eq!(next(&mut handle).await, 49);
        assert_eq!(handle.recv().await.unwrap(), None);
    });
}

/// Seeded schedules of receiving and seeking: after a seek, nothing from before it.
#[test]
fn stale_epochs_are_never_delivered() {
    everywhere(|spawn| async move {
        for seed in 0..40_u64 {
            let mut random = fastish(seed);
            let source = Numbers { yields: true, ..Numbers::up_to(u64::MAX) };
            let mut handle = spawn(source, 1 + (seed % 8) as usize);
            let mut expected = 0;
            for step in 0..200_u64 {
                match random() % 4 {
                    0 => {
                        expected = step * 1_000_000;
                        handle.send_command(Command::Seek(expected)).unwrap();
                    }
                    1 => handle.send_command(Command::Count).unwrap(),
                    _ => {
                        let item = handle.recv().await.unwrap().unwrap();
                        assert_eq!((item.data, item.epoch), (expected, handle.epoch()), "seed {seed}");
                        expected += 1;
                    }
                }
            }
        }
    });
}

/// Without a word of the source, the border is where the source obeys: items of an epoch are then all from one side of it.
#[test]
fn an_epoch_never_mixes_two_sides_of_a_seek() {
    everywhere(|spawn| async move {
        let mut handle = spawn(Numbers::up_to(u64::MAX), 4);
        let mut last = (0, 0);
        for step in 1..300_u64 {
            if step.is_multiple_of(7) {
                handle.send_command(Command::LateSeek(step * 1_000_000)).unwrap();
            }
            if step.is_multiple_of(11) {
                handle.send_command(Command::Seek(step * 1_000_000 + 500_000)).unwrap();
            }
            let item = handle.recv().await.unwrap().unwrap();
            assert!(item.epoch >= last.0, "epochs only grow");
            if item.epoch == last.0 && step > 1 {
                assert_eq!(item.data, last.1 + 1, "one run of numbers per epoch");
            }
            last = (item.epoch, item.data);
        }
    });
}

#[test]
fn a_full_channel_does_not_block_a_seek() {
    everywhere(|spawn| async move {
        let mut handle = spawn(Numbers::up_to(u64::MAX), 1);
        assert_eq!(next(&mut handle).await, 0);
        for to in [100, 200, 300] {
            handle.send_command(Command::Seek(to)).unwrap();
        }
        assert_eq!(next(&mut handle).await, 300);
        assert_eq!(next(&mut handle).await, 301);
    });
}

#[test]
fn commands_are_never_lost() {
    everywhere(|spawn| async move {
        let counted = Arc::new(AtomicUsize::new(0));
        let source = Numbers { counted: counted.clone(), yields: true, ..Numbers::up_to(u64::MAX) };
        let mut handle = spawn(source, 2);
        let command_sender = handle.command_sender();
        for _ in 0..500 {
            command_sender.send_command(Command::Count).unwrap();
            handle.send_command(Command::Count).unwrap();
            next(&mut handle).await;
        }
        handle.send_command(Command::Seek(u64::MAX)).unwrap();
        assert_eq!(handle.recv().await.unwrap(), None);
        assert_eq!(counted.load(Ordering::SeqCst), 1000);
    });
}

#[test]
fn a_cancelled_recv_loses_nothing() {
    everywhere(|spawn| async move {
        let source = Numbers { yields: true, ..Numbers::up_to(20_000) };
        let mut handle = spawn(source, 8);
        let mut expected = 0;
        while expected < 20_000 {
            tokio::select! {
                biased;
                item = handle.recv() => {
                    assert_eq!(item.unwrap().unwrap().data, expected);
                    expected += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
        assert_eq!(handle.recv().await.unwrap(), None);
    });
}

#[test]
fn a_paused_worker_fetches_nothing() {
    everywhere(|spawn| async move {
        let paused_at = Arc::new(AtomicU64::new(0));
        let mut handle = spawn(Numbers { paused_at: paused_at.clone(), ..Numbers::up_to(u64::MAX) }, 2);
        next(&mut handle).await;
        handle.send_command(Command::Pause).unwrap();
        while paused_at.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        // What had been fetched before comes; then nothing, until it is told to go on.
        let (end, mut expected) = (paused_at.load(Ordering::SeqCst), 1);
        for _ in 0..10_000 {
            match handle.try_recv().unwrap() {
                TryRecv::Item(item) => {
                    assert_eq!(item.data, expected);
                    assert!(expected < end, "{expected} was fetched after the pause before {end}");
                    expected += 1;
                }
                TryRecv::Pending => tokio::task::yield_now().await,
                TryRecv::End => panic!("a pause is no end"),
            }
        }
        handle.send_command(Command::Resume).unwrap();
        for number in expected..end + 3 {
            assert_eq!(next(&mut handle).await, number);
        }
    });
}

#[test]
fn an_error_comes_once_and_in_its_place_and_a_command_tries_again() {
    everywhere(|spawn| async move {
        let mut handle = spawn(Numbers { fails_at: Some(2), ..Numbers::up_to(4) }, 8);
        assert_eq!((next(&mut handle).await, next(&mut handle).await), (0, 1));
        let error = handle.recv().await.unwrap_err();
        assert!(matches!(&error, WorkerError::Source(message) if message == "no 2") && error.is_retryable());
        assert!(matches!(handle.recv().await, Err(WorkerError::AlreadyFailed)));
        handle.send_command(Command::Resume).unwrap();
        assert_eq!((next(&mut handle).await, next(&mut handle).await), (2, 3));
        assert_eq!(handle.recv().await.unwrap(), None);
    });
}

#[test]
fn a_panic_in_the_source_is_an_error_at_the_reader() {
    everywhere(|spawn| async move {
        let dropped = Arc::new(AtomicBool::new(false));
        let told = Some(OnDrop(dropped.clone()));
        let source = Numbers { panics_at: Some(2), _dropped: told, ..Numbers::up_to(9) };
        let mut handle = spawn(source, 8);
        assert_eq!((next(&mut handle).await, next(&mut handle).await), (0, 1));
        for _ in 0..2 {
            match handle.recv().await {
                Err(WorkerError::Panicked { message }) => assert!(message.contains("bad number")),
                other => panic!("{other:?}"),
            }
        }
        assert!(handle.is_finished() && dropped.load(Ordering::SeqCst));
        assert!(handle.send_command(Command::Resume).is_err());
        let mut handle = spawn(Numbers::up_to(0), 1);
        handle.send_command(Command::Panic).unwrap();
        assert!(matches!(handle.recv().await, Err(WorkerError::Panicked { .. })));
    });
}

#[test]
fn stop_is_a_clean_end_after_what_was_queued() {
    everywhere(|spawn| async move {
        let mut handle = spawn(Numbers::up_to(u64::MAX), 8);
        assert_eq!((next(&mut handle).await, next(&mut handle).await), (0, 1));
        handle.send_command(Command::Stop).unwrap();
        // It looks at commands between two numbers: these are what was queued.
        for number in 2..1000 {
            match handle.recv().await.unwrap() {
                Some(item) => assert_eq!(item.data, number),
                None => break,
            }
        }
        assert_eq!(handle.recv().await.unwrap(), None);
        assert!(handle.is_finished());
        handle.shutdown().await;
    });
}

#[test]
fn shutdown_waits_until_the_source_is_closed() {
    everywhere(|spawn| async move {
        let dropped = Arc::new(AtomicBool::new(false));
        let source = Numbers { _dropped: Some(OnDrop(dropped.clone())), ..Numbers::up_to(u64::MAX) };
        let mut handle = spawn(source, 1);
        next(&mut handle).await;
        handle.shutdown().await;
        assert!(dropped.load(Ordering::SeqCst));
    });
}

#[test]
fn a_runtime_that_goes_away_is_no_clean_end() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut handle = spawn_async_on(runtime.handle(), Numbers::up_to(u64::MAX), 1);
    assert_eq!(handle.recv_blocking().unwrap().unwrap().data, 0);
    drop(runtime);
    let end = loop {
        match handle.recv_blocking() {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Err(WorkerError::Cancelled)), "{end:?}");
}

#[test]
fn a_plain_thread_receives_from_either_kind() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handles =
        [spawn_async_on(runtime.handle(), Numbers::up_to(1000), 4), spawn_blocking(Numbers::up_to(1000), 4)];
    for mut handle in handles {
        let mut received = VecDeque::new();
        while let Some(item) = handle.recv_blocking().unwrap() {
            received.push_back(item.data);
        }
        assert!(received.into_iter().eq(0..1000));
    }
}

#[test]
fn dropping_the_handle_of_a_resting_thread_joins_it() {
    let dropped = Arc::new(AtomicBool::new(false));
    let source = Numbers { _dropped: Some(OnDrop(dropped.clone())), ..Numbers::up_to(1) };
    let mut handle = spawn_blocking(source, 1);
    while handle.recv_blocking().unwrap().is_some() {}
    // The end was queued from inside of our own code, which does not enter the source again.
    drop(handle);
    assert!(dropped.load(Ordering::SeqCst));
}

fn fastish(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn a_blocking_call_in_async_code_is_an_error_instead_of_a_runtime_that_stands_still() {
    everywhere(|spawn| async move {
        let mut handle = spawn(Numbers::up_to(u64::MAX), 3);
        assert_eq!(next(&mut handle).await, 0);
        handle.send_command(Command::Pause).unwrap();
        // What is there is given, also here.
        let error = loop {
            match handle.recv_blocking() {
                Ok(item) => assert!(item.is_some()),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, WorkerError::InAsync), "{error}");
        handle.send_command(Command::Seek(7)).unwrap();
        assert_eq!(next(&mut handle).await, 7, "nothing is lost by it");
    });
}
