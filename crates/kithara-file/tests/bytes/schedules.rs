//! Random schedules of what a server does and what a reader does. Whatever happens: every wait ends, every byte that is
//! delivered is of one version of the file, an end is the true end, and a server that behaves again is used again.
//!
//! 10,000 by default; `KITHARA_SCHEDULES=1000000` runs that many, `KITHARA_SEED=n` others of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use kithara_assets::{AssetSettings, AssetStore};
use kithara_file::{FileError, FileSource, LookAhead};
use kithara_net::{MockAnswer, MockNet, MockStep, Request};
use kithara_stream::Source;
use kithara_testkit::pattern;
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::bed::{Bed, Store, entity};

/// What the server does with one request; correct ones follow after the last.
#[derive(Clone, Debug)]
enum Fault {
    None,
    Break(usize),
    Stall(usize),
    Pause(usize, u64),
    Refuse,
    Status(u16),
    Silent,
    Late(u64),
    WholeForPart,
    UnnamedWhole,
    WrongRange,
    /// Bytes 3 to 5 of 9, whatever is asked for. Where that is what is asked for, nothing tells that it is a lie until the
    /// truth is told: no part of random schedules.
    LieOf9,
    NoRange,
    ShortPart(u64),
    OtherTotal,
    /// A whole body that declares to be much longer than it is.
    TooLong,
    Unsatisfiable,
    NewVersion,
}

#[derive(Clone, Debug)]
enum Action {
    Read(u64),
    Seek(u64),
    Rest(u64),
    Cancel(u64),
    Reopen,
    Beside(u64, u64),
}

/// How versions are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Naming {
    Strong,
    Weak,
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length,
    Chunked,
    Closed,
}

#[derive(Clone, Debug)]
struct Schedule {
    len: u64,
    chunk: usize,
    naming: Naming,
    framing: Framing,
    look_ahead: u64,
    faults: Vec<Fault>,
    actions: Vec<Action>,
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        4 => (0..100_000usize).prop_map(Fault::Break),
        2 => (0..100_000usize).prop_map(Fault::Stall),
        2 => (0..100_000usize, 1..20_000u64).prop_map(|(at, ms)| Fault::Pause(at, ms)),
        1 => Just(Fault::Refuse),
        1 => prop_oneof![Just(500), Just(503), Just(429), Just(404)].prop_map(Fault::Status),
        1 => Just(Fault::Silent),
        1 => (1..20_000u64).prop_map(Fault::Late),
        2 => Just(Fault::WholeForPart),
        1 => Just(Fault::UnnamedWhole),
        1 => Just(Fault::WrongRange),
        1 => Just(Fault::NoRange),
        2 => (1..50_000u64).prop_map(Fault::ShortPart),
        1 => Just(Fault::OtherTotal),
        1 => Just(Fault::TooLong),
        1 => Just(Fault::Unsatisfiable),
        2 => Just(Fault::NewVersion),
    ]
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1..80_000u64).prop_map(Action::Read),
        4 => (0..=1000u64).prop_map(Action::Seek),
        2 => (1..40_000u64).prop_map(Action::Rest),
        2 => (0..200u64).prop_map(Action::Cancel),
        1 => Just(Action::Reopen),
        1 => (0..=1000u64, 1..50_000u64).prop_map(|(at, len)| Action::Beside(at, len)),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let naming = prop_oneof![4 => Just(Naming::Strong), 1 => Just(Naming::Weak), 1 => Just(Naming::Nothing)];
    let framing =
        prop_oneof![6 => Just(Framing::Length), 1 => Just(Framing::Chunked), 1 => Just(Framing::Closed)];
    let ahead = prop_oneof![Just(1u64), Just(20_000), Just(u64::MAX)];
    let shape = (prop_oneof![1..100u64, 1..60_000u64], 500..40_000usize, naming, framing, ahead);
    (shape, vec(faults(), 0..8), vec(actions(), 0..10)).prop_map(
        |((len, chunk, naming, framing, look_ahead), faults, actions)| Schedule {
            len,
            chunk,
            naming,
            framing,
            look_ahead,
            faults,
            actions,
        },
    )
}

/// The versions of the file so far, by seed; version `n` is one byte longer than the one before, so that a total tells.
struct Server {
    schedule: Schedule,
    versions: Vec<Bytes>,
    requests: usize,
    behaves: bool,
}

impl Server {
    fn new(schedule: &Schedule) -> Self {
        let versions = vec![entity(1, schedule.len)];
        Self { schedule: schedule.clone(), versions, requests: 0, behaves: false }
    }

    fn answer(&mut self, request: &Request) -> MockAnswer {
        let fault = match self.schedule.faults.get(self.requests) {
            Some(fault) if !self.behaves => fault.clone(),
            _ => Fault::None,
        };
        self.requests += 1;
        assert!(self.requests < 5000, "asks without end");
        // Nothing in the answers would tell.
        let unnamed = self.schedule.naming == Naming::Nothing
            || self.schedule.faults.iter().any(|fault| matches!(fault, Fault::UnnamedWhole));
        let untold = unnamed && self.schedule.framing != Framing::Length;
        if matches!(fault, Fault::NewVersion) && !untold {
            let next = self.versions.len() as u64 + 1;
            self.versions.push(entity(next, self.schedule.len + next - 1));
        }
        let chunk = self.schedule.chunk;
        let answer = self.correct(request);
        match fault {
            Fault::None | Fault::NewVersion => answer.in_chunks(chunk),
            Fault::Break(at) => answer.in_chunks(chunk).cut(at, MockStep::Break),
            Fault::Stall(at) => answer.in_chunks(chunk).cut(at, MockStep::Stall),
            Fault::Pause(at, ms) => answer
                .in_chunks(chunk)
                .cut(at, MockStep::Wait(Duration::from_millis(ms)))
                .then(MockStep::Break),
            Fault::Refuse => MockAnswer::unreachable(),
            Fault::Status(status) => MockAnswer::status(status),
            Fault::Silent => MockAnswer::silent(),
            Fault::Late(ms) => answer.in_chunks(chunk).after(Duration::from_millis(ms)),
            Fault::WholeForPart => self.whole().in_chunks(chunk),
            Fault::UnnamedWhole => self.whole().without_header(&header::ETAG).in_chunks(chunk),
            Fault::WrongRange => {
                let start = request.range.map_or(0, |range| range.start) + 3;
                let range = format!("bytes {start}-{}/{}", start + 2, start + 6);
                answer.with_header(header::CONTENT_RANGE, &range).in_chunks(chunk)
            }
            Fault::LieOf9 => answer.with_header(header::CONTENT_RANGE, "bytes 3-5/9").in_chunks(chunk),
            Fault::NoRange => answer.without_header(&header::CONTENT_RANGE).in_chunks(chunk),
            Fault::ShortPart(len) => self.short(request, len).in_chunks(chunk),
            Fault::OtherTotal => {
                answer.with_header(header::CONTENT_RANGE, "bytes 0-199999/200000").in_chunks(chunk)
            }
            Fault::TooLong if request.range.is_none() => {
                let declared = (self.current().len() + 500_000).to_string();
                answer.with_header(header::CONTENT_LENGTH, &declared).in_chunks(chunk)
            }
            Fault::TooLong => answer.in_chunks(chunk),
            Fault::Unsatisfiable => MockAnswer::status(416),
        }
    }

    fn etag(&self) -> Option<String> {
        let version = self.versions.len();
        match self.schedule.naming {
            Naming::Strong => Some(format!("\"v{version}\"")),
            Naming::Weak => Some(format!("W/\"v{version}\"")),
            Naming::Nothing => None,
        }
    }

    fn current(&self) -> &Bytes {
        self.versions.last().unwrap()
    }

    fn framed(&self, answer: MockAnswer) -> MockAnswer {
        match self.schedule.framing {
            Framing::Length => answer,
            Framing::Chunked => answer.chunked(),
            Framing::Closed => answer.close_delimited(),
        }
    }

    fn correct(&self, request: &Request) -> MockAnswer {
        let answer = MockAnswer::serve(self.current(), self.etag().as_deref(), request);
        if request.range.is_some() { answer } else { self.framed(answer) }
    }

    fn whole(&self) -> MockAnswer {
        let answer = MockAnswer::ok(self.current().clone());
        self.framed(match self.etag() {
            Some(etag) => answer.with_header(header::ETAG, &etag),
            None => answer,
        })
    }

    fn short(&self, request: &Request, len: u64) -> MockAnswer {
        let body = self.current();
        let Some(range) = request.range.filter(|range| range.start < body.len() as u64) else {
            return self.correct(request);
        };
        let mut shorter = request.clone();
        let end = range.end.unwrap_or(u64::MAX).min(range.start + len);
        shorter.range = Some(kithara_net::ByteRange::new(range.start, end));
        MockAnswer::serve(body, self.etag().as_deref(), &shorter)
    }
}

/// A source, and which versions its bytes may still be of.
struct Reading {
    source: FileSource<Store>,
    server: Arc<Mutex<Server>>,
    ruled_out: Vec<bool>,
    offset: u64,
}

/// No wait of all those in a schedule is longer than this.
const LONG: Duration = Duration::from_secs(3600);

impl Reading {
    fn note(&mut self, bytes: &[u8]) {
        let versions = self.server.lock().versions.clone();
        self.ruled_out.resize(versions.len(), false);
        for (at, version) in versions.iter().enumerate() {
            let end = self.offset + bytes.len() as u64;
            let fits =
                end <= version.len() as u64 && pattern::mismatch(at as u64 + 1, self.offset, bytes).is_none();
            self.ruled_out[at] |= !fits;
        }
        assert!(self.ruled_out.contains(&false), "bytes at {} are of no version, or of two", self.offset);
        self.offset += bytes.len() as u64;
    }

    fn note_end(&self) {
        let versions = self.server.lock().versions.clone();
        let true_end = versions.iter().enumerate().any(|(at, version)| {
            !self.ruled_out.get(at).copied().unwrap_or(false) && self.offset >= version.len() as u64
        });
        assert!(true_end, "an end at {}, which is none", self.offset);
    }

    /// Reads up to `len` bytes; whether the end or an error came before.
    async fn read(&mut self, len: u64) -> Result<bool, FileError> {
        let mut buf = vec![0; 16 * 1024];
        let until = self.offset + len;
        while self.offset < until {
            let most = buf.len().min(usize::try_from(until - self.offset).unwrap());
            let read = self.source.read_at(self.offset, &mut buf[..most]);
            let read = timeout(LONG, read).await.expect("a read that never ends")?;
            if read == 0 {
                self.note_end();
                return Ok(true);
            }
            self.note(&buf[..read]);
        }
        Ok(false)
    }
}

struct Play {
    bed: Bed,
    server: Arc<Mutex<Server>>,
    len: u64,
    may_fail: bool,
}

impl Play {
    async fn open(&self) -> Option<Reading> {
        let opened = timeout(LONG, self.bed.try_open()).await.expect("an open that never ends");
        match opened {
            Ok(source) => {
                Some(Reading { source, server: Arc::clone(&self.server), ruled_out: Vec::new(), offset: 0 })
            }
            Err(error) => {
                assert!(self.may_fail, "{error:?}");
                None
            }
        }
    }

    fn allow<T>(&self, outcome: Result<T, FileError>) {
        if let Err(error) = outcome {
            assert!(self.may_fail, "{error:?}");
            assert!(!format!("{error:?} {error}").contains("secret"));
        }
    }

    async fn act(&self, reading: &mut Option<Reading>, action: &Action) {
        match (action, reading.as_mut()) {
            (Action::Reopen, _) | (_, None) => {
                drop(reading.take());
                *reading = self.open().await;
            }
            (Action::Read(len), Some(reading)) => self.allow(reading.read(*len).await),
            (Action::Seek(permille), Some(reading)) => reading.offset = self.len * permille / 1000,
            (Action::Rest(ms), _) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            (Action::Cancel(ms), Some(reading)) => {
                let mut buf = [0; 100];
                let read = reading.source.read_at(reading.offset, &mut buf);
                // Whatever it brought is dropped with it.
                let _ = timeout(Duration::from_millis(*ms), read).await;
            }
            (Action::Beside(permille, len), Some(reading)) => {
                let Some(mut other) = self.open().await else { return };
                other.offset = self.len * permille / 1000;
                let (one, two) = tokio::join!(reading.read(*len), other.read(*len));
                self.allow(one);
                self.allow(two);
            }
        }
    }
}

async fn play(schedule: Schedule) {
    let server = Arc::new(Mutex::new(Server::new(&schedule)));
    let answers = Arc::clone(&server);
    let net = MockNet::new(move |request| answers.lock().answer(request));
    let mut bed = Bed::over(net, AssetStore::memory(AssetSettings::default()));
    bed.options.look_ahead = LookAhead::new(schedule.look_ahead, Duration::MAX);
    let play = Play {
        bed,
        server: Arc::clone(&server),
        len: schedule.len,
        may_fail: schedule.faults.iter().any(|fault| !matches!(fault, Fault::None | Fault::Late(_))),
    };
    let mut reading = play.open().await;
    for action in &schedule.actions {
        play.act(&mut reading, action).await;
    }
    if let Some(reading) = &mut reading {
        play.allow(reading.read(u64::from(u32::MAX)).await);
    }
    drop(reading);
    // A server that behaves again is used again: the whole of one version plays to its end.
    server.lock().behaves = true;
    let mut last = Play { may_fail: false, ..play }.open().await.unwrap();
    let ended = last.read(u64::from(u32::MAX)).await;
    match ended {
        Ok(ended) => assert!(ended),
        // What was stored is of a version that is gone; that is told, and the next one plays the new version.
        Err(FileError::EntityChanged { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn run(runtime: &Runtime, schedule: Schedule) {
    runtime.block_on(async {
        play(schedule).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(runtime.metrics().num_alive_tasks(), 0, "a task was left behind");
}

fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

#[test]
fn a_length_that_was_a_lie_is_not_believed_for_ever() {
    // A part with a length of its own, under the right name: the body came without one.
    let schedule = Schedule {
        len: 15,
        chunk: 500,
        naming: Naming::Strong,
        framing: Framing::Chunked,
        look_ahead: 20_000,
        faults: vec![Fault::Break(3), Fault::LieOf9, Fault::None],
        actions: vec![Action::Read(1)],
    };
    run(&paused(), schedule);
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One of four parts, so that they run side by side.
fn run_part(part: u64) {
    let cases = u32::try_from(number("KITHARA_SCHEDULES", 10_000) / 4).unwrap();
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&number("KITHARA_SEED", 1).to_le_bytes());
    seed[8..].copy_from_slice(&(part + 1).to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::XorShift, &seed));
    let outcome = runner.run(&schedules(), |schedule| {
        run(&paused(), schedule);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn every_wait_ends_and_every_byte_is_true_1() {
    run_part(0);
}

#[test]
fn every_wait_ends_and_every_byte_is_true_2() {
    run_part(1);
}

#[test]
fn every_wait_ends_and_every_byte_is_true_3() {
    run_part(2);
}

#[test]
fn every_wait_ends_and_every_byte_is_true_4() {
    run_part(3);
}
