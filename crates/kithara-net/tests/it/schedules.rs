//! Random schedules of faults: whatever a server does, what is delivered is a prefix of one version, a proven end is
//! the whole of it, and every schedule ends.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::header;
use kithara_net::{
    Body, ByteRange, MockAnswer, MockNet, MockStep, Net, Request, RetryNet, RetryPolicy, TimeoutNet,
    Timeouts, Url,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::entity;

#[derive(Clone, Debug)]
enum Fault {
    None,
    Break(usize),
    Stall(usize),
    Status(u16),
    Silent,
    Unreachable,
    WrongRange,
    ShiftedRange,
    IgnoreRange,
    Piece(usize),
    NoTag,
    Compressed,
    Unsatisfied(u64),
}

#[derive(Clone, Debug)]
struct Answer {
    fault: Fault,
    version: u8,
    chunk: usize,
    framing: u8,
}

#[derive(Clone, Debug)]
struct Schedule {
    len: usize,
    tagging: u8,
    answers: Vec<Answer>,
    range: Option<(u64, Option<u64>)>,
    /// Waits of the caller are dropped after this many milliseconds.
    patience: Option<u64>,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        4 => (0usize..6000).prop_map(Fault::Break),
        2 => (0usize..6000).prop_map(Fault::Stall),
        2 => prop::sample::select(vec![404u16, 500, 503, 429, 204]).prop_map(Fault::Status),
        1 => Just(Fault::Silent),
        1 => Just(Fault::Unreachable),
        1 => Just(Fault::WrongRange),
        1 => Just(Fault::ShiftedRange),
        3 => Just(Fault::IgnoreRange),
        2 => (1usize..3000).prop_map(Fault::Piece),
        1 => Just(Fault::NoTag),
        1 => Just(Fault::Compressed),
        1 => (0u64..6000).prop_map(Fault::Unsatisfied),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let version = prop_oneof![8 => Just(0u8), 1 => Just(1u8)];
    let answer = (fault(), version, 1usize..4000, 0u8..3)
        .prop_map(|(fault, version, chunk, framing)| Answer { fault, version, chunk, framing });
    let range = prop::option::of((0u64..6000, prop::option::of(1u64..6000)))
        .prop_map(|range| range.map(|(start, len)| (start, len.map(|len| start + len))));
    let patience = prop::option::of(1u64..3000);
    (1usize..6000, 0u8..4, prop::collection::vec(answer, 0..8), range, patience).prop_map(
        |(len, tagging, answers, range, patience)| Schedule { len, tagging, answers, range, patience },
    )
}

/// What the faulty server answers.
fn respond(schedule: &Schedule, answer: &Answer, request: &Request) -> MockAnswer {
    // Versions of one length, told apart by their tags where there are tags.
    let data = entity(schedule.len, answer.version);
    let tag = match schedule.tagging {
        0 | 1 => Some(format!("\"{}\"", answer.version)),
        2 => Some(format!("W/\"{}\"", answer.version)),
        _ => None,
    };
    let mut asked = request.clone();
    if matches!(answer.fault, Fault::IgnoreRange) {
        asked.range = None;
    }
    let good = MockAnswer::serve(&data, tag.as_deref(), &asked).in_chunks(answer.chunk);
    let start = asked.range.map_or(0, |range| range.start);
    let framed = |answered: MockAnswer| match answer.framing {
        0 => answered,
        1 => answered.chunked(),
        // Truth cannot be proven about these, and is not claimed.
        _ => answered.close_delimited(),
    };
    match &answer.fault {
        Fault::None | Fault::IgnoreRange => framed(good),
        Fault::Break(at) => framed(good).cut(*at, MockStep::Break),
        Fault::Stall(at) => framed(good).cut(*at, MockStep::Stall),
        Fault::Status(status) => MockAnswer::status(*status),
        Fault::Silent => MockAnswer::silent(),
        Fault::Unreachable => MockAnswer::unreachable(),
        Fault::WrongRange => good.with_header(header::CONTENT_RANGE, "bytes 7-3/nonsense"),
        Fault::ShiftedRange => {
            let range = ByteRange { start: start.saturating_sub(100), end: asked.range.and_then(|r| r.end) };
            MockAnswer::serve(&data, tag.as_deref(), &asked.with_range(range))
        }
        Fault::Piece(len) => {
            let end = (start as usize + len).min(data.len());
            match asked.range {
                Some(_) if (start as usize) < end => {
                    let range = ByteRange::new(start, end as u64);
                    MockAnswer::serve(&data, tag.as_deref(), &asked.with_range(range))
                }
                _ => good,
            }
        }
        Fault::NoTag => good.without_header(&header::ETAG),
        Fault::Compressed => good.with_header(header::CONTENT_ENCODING, "gzip"),
        Fault::Unsatisfied(total) => {
            MockAnswer::status(416).with_header(header::CONTENT_RANGE, &format!("bytes */{total}"))
        }
    }
}

fn check(schedule: &Schedule) -> Result<(), TestCaseError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(100_000), run(schedule)).await })
        .map_err(|_| TestCaseError::fail("the schedule hangs"))?
}

async fn run(schedule: &Schedule) -> Result<(), TestCaseError> {
    let queue = Mutex::new(schedule.answers.clone().into_iter());
    let plan = schedule.clone();
    let lied_416 = schedule.answers.iter().any(|answer| matches!(answer.fault, Fault::Unsatisfied(_)));
    let mock = MockNet::new(move |request| {
        let last = Answer { fault: Fault::None, version: 0, chunk: 4000, framing: 0 };
        let answer = queue.lock().unwrap().next().unwrap_or(last);
        respond(&plan, &answer, request)
    });
    let net = TimeoutNet::new(mock.clone(), Timeouts::default());
    let mut request = Request::new(Url::parse("http://h/x").unwrap());
    request.range = schedule.range.map(|(start, end)| ByteRange { start, end });
    let policy = RetryPolicy { seed: Some(1), ..RetryPolicy::default() };
    let Ok(mut response) = RetryNet::new(net.clone(), policy).open(request).await else { return Ok(()) };
    let start = response.head.body_offset as usize;
    let mut bytes = Vec::new();
    let end = loop {
        let next = response.body.next_chunk();
        let result = match schedule.patience {
            None => next.await,
            Some(patience) => match tokio::time::timeout(Duration::from_millis(patience), next).await {
                Ok(result) => result,
                Err(_) => continue,
            },
        };
        match result {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let versions: Vec<Bytes> = (0..2).map(|version| entity(schedule.len, version)).collect();
    let of_one = |wanted: &dyn Fn(&Bytes) -> bool| versions.iter().any(wanted);
    prop_assert!(
        bytes.is_empty() || of_one(&|v| v.get(start..).is_some_and(|rest| rest.starts_with(&bytes))),
        "{} bytes from {start} are of no version, {end:?}",
        bytes.len()
    );
    if end.is_ok() && response.body.is_complete() && !lied_416 {
        let wanted_end = schedule
            .range
            .and_then(|(_, end)| end)
            .map_or(schedule.len, |end| schedule.len.min(end as usize));
        prop_assert_eq!(start + bytes.len(), wanted_end.max(start), "proven and short");
    }
    prop_assert!(mock.requests().len() < 200, "{} requests", mock.requests().len());
    Ok(())
}

#[test]
fn what_is_delivered_is_of_one_version() {
    let cases = std::env::var("KITHARA_SCHEDULES").ok().and_then(|n| n.parse().ok()).unwrap_or(3000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    if let Err(error) = runner.run(&schedule(), |schedule| check(&schedule)) {
        panic!("{error}");
    }
}
