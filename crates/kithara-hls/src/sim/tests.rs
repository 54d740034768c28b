//! Playback in virtual time: faults one by one, and thousands of schedules that mix them.

use std::time::Duration;

use super::*;
use crate::abr::VariantMode;
use crate::options::LiveStart;

mod schedules;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// Two variants of 4-s segments, which grow by one each 4 s.
fn live(listed: usize, window: usize, count: usize) -> Scenario {
    let mut scenario = Scenario::ladder(&[64_000, 128_000], SECOND * 4, count);
    scenario.live = Some(Live::new(listed, window));
    scenario
}

fn requests(log: &Log, segment: usize) -> usize {
    log.fetches.iter().filter(|fetch| fetch.segment == segment).count()
}

/// Nothing is heard twice, left out or silent, from the first segment that was heard to the last of the origin.
fn assert_whole(scenario: &Scenario, log: &Log) {
    assert_eq!(log.outcome, Outcome::Ended, "{log:#?}");
    assert_eq!(log.silence(), Duration::ZERO, "{log:#?}");
    assert_eq!(schedules::check(scenario, log), Ok(()), "{log:#?}");
    let last = scenario.variants[0].segments.len() - 1;
    assert_eq!(log.played.last().and_then(|played| played.segment), Some(last), "{log:#?}");
}

#[test]
fn the_same_scenario_gives_the_same_log() {
    let scenario = Scenario::ladder(&[64_000, 128_000], SECOND * 4, 40);
    let (one, other) = (run(&scenario), run(&scenario));
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
    assert_whole(&scenario, &one);
    assert_eq!(one.stalls, []);
    assert!(one.switches() == 1 && one.startup.is_some_and(|startup| startup < SECOND));
}

/// AAC beside codecs of other frame sizes: the boundaries of their segments are up to 93 ms apart.
#[test]
fn variants_cut_at_other_frames_are_one_timeline() {
    for (slow, frame) in [(8_000u64, 4096u64), (20_000, 1152), (50_000, 4608), (90_000, 2048)] {
        let mut scenario = Scenario::ladder(&[64_000, 128_000, 700_000], SECOND * 4, 12);
        for (variant, frame) in [(0, 1024), (1, 1024), (2, frame)] {
            let model = &mut scenario.variants[variant];
            model.segments = schedules::cut(SECOND * 4, 12, frame, model.bandwidth);
        }
        scenario.abr.initial_throughput = Some(20_000_000);
        scenario.link = vec![
            LinkStep::new(Duration::ZERO, 20_000_000, MILLI * 5),
            LinkStep::new(SECOND * 6, slow * 8, MILLI * 5),
        ];
        scenario.look_ahead.segments = 3;
        let log = run(&scenario);
        assert_whole(&scenario, &log);
        for segment in 0..12 {
            let of_best = log.fetches.iter().filter(|fetch| (fetch.variant, fetch.segment) == (2, segment));
            assert!(of_best.count() <= 1, "segment {segment} of the best variant is fetched once: {log:#?}");
        }
    }
}

/// An edge of the network that is behind its own list.
#[test]
fn a_segment_that_is_not_there_yet_is_asked_for_again_until_it_is_due() {
    for lag in [300, 700, 1_500] {
        let mut scenario = live(6, 6, 30);
        if let Some(live) = &mut scenario.live {
            live.lag = MILLI * lag;
        }
        let log = run(&scenario);
        assert_whole(&scenario, &log);
        assert!((0..30).all(|segment| requests(&log, segment) <= 5), "{log:#?}");
    }
}

#[test]
fn a_locked_variant_is_not_left_for_a_server_that_fails_now_and_then() {
    for speed in [Some(1.0), None] {
        let mut scenario = Scenario::ladder(&[64_000, 128_000], SECOND * 4, 20);
        scenario.mode = VariantMode::Manual(1);
        scenario.listener.speed = speed;
        let fault = |segment| Fault {
            variant: None,
            segment,
            kind: FaultKind::Status(503),
            until: Until::Requests(1),
        };
        scenario.faults = (0..20).map(fault).collect();
        let log = run(&scenario);
        assert_whole(&scenario, &log);
        assert!(log.played.iter().all(|played| played.variant == 1), "{log:#?}");
    }
}

#[test]
fn what_is_missing_from_a_complete_list_is_silent_only_when_it_is_due() {
    let mut scenario = Scenario::ladder(&[64_000], SECOND * 4, 20);
    let fault = |until| Fault { variant: None, segment: 5, kind: FaultKind::Status(404), until };
    // The reader comes to it after 20 s.
    scenario.faults = vec![fault(Until::Time(SECOND * 17))];
    assert_whole(&scenario, &run(&scenario));
    scenario.faults = vec![fault(Until::Never)];
    let log = run(&scenario);
    assert_eq!((log.outcome.clone(), log.silence()), (Outcome::Ended, SECOND * 4), "{log:#?}");
    assert!(requests(&log, 5) <= 12 && log.stalled() < SECOND, "{log:#?}");
    // Another variant has it.
    let mut scenario = Scenario::ladder(&[64_000, 128_000], SECOND * 4, 20);
    scenario.faults = vec![Fault { variant: Some(0), ..fault(Until::Never) }];
    scenario.mode = VariantMode::Manual(0);
    let log = run(&scenario);
    assert_eq!((log.silence(), requests(&log, 5)), (Duration::ZERO, 2), "{log:#?}");
}

#[test]
fn a_reader_without_a_speed_is_patient_before_anything_is_replaced() {
    let mut scenario = Scenario::ladder(&[64_000, 128_000], SECOND * 4, 20);
    scenario.mode = VariantMode::Manual(1);
    scenario.listener.speed = None;
    let fault = |until| Fault { variant: Some(1), segment: 5, kind: FaultKind::Status(503), until };
    scenario.faults = vec![fault(Until::Time(SECOND * 8))];
    let log = run(&scenario);
    assert_whole(&scenario, &log);
    assert_eq!(log.switches(), 0, "{log:#?}");
    scenario.faults = vec![fault(Until::Never)];
    let log = run(&scenario);
    assert_whole(&scenario, &log);
    assert!(log.switches() > 0 && requests(&log, 5) <= 10, "{log:#?}");
}

#[test]
fn a_presentation_without_its_first_segment_begins_with_the_next() {
    for (status, live_list) in [(404, false), (503, false), (404, true), (503, true)] {
        let mut scenario = Scenario::ladder(&[64_000, 128_000], SECOND * 4, 20);
        let mut first = 0;
        if live_list {
            scenario.live = Some(Live::new(10, 10));
            first = 7;
        }
        let (kind, until) = (FaultKind::Status(status), Until::Never);
        scenario.faults = vec![Fault { variant: None, segment: first, kind, until }];
        let log = run(&scenario);
        assert_eq!(log.outcome, Outcome::Ended, "{log:#?}");
        assert_eq!(log.silence(), SECOND * 4, "{log:#?}");
        assert!(requests(&log, first) <= 12, "{status} {live_list}: {log:#?}");
        assert!(log.ended < SECOND * 100, "{log:#?}");
    }
}

#[test]
fn a_live_presentation_is_joined_near_its_end() {
    // A window of four hours.
    let mut scenario = live(3600, 3600, 3610);
    let log = run(&scenario);
    assert_whole(&scenario, &log);
    assert_eq!(log.played.first().and_then(|played| played.segment), Some(3597));
    assert!(log.fetches.iter().all(|fetch| fetch.segment >= 3597));
    for (live_start, first) in [(LiveStart::Oldest, 0), (LiveStart::FromEdge(SECOND * 40), 3590)] {
        scenario.live_start = live_start;
        scenario.limit = SECOND * 30;
        let log = run(&scenario);
        assert_eq!(log.played.first().and_then(|played| played.segment), Some(first), "{live_start:?}");
    }
}

#[test]
fn a_live_list_that_fails_or_stands_still_for_a_while_is_gone_on_with() {
    for (kind, len) in [
        (ListFaultKind::Status(404), 20),
        (ListFaultKind::Status(503), 15),
        (ListFaultKind::Freeze, 24),
        (ListFaultKind::Cut, 12),
    ] {
        for listed in [6, 3] {
            let mut scenario = live(listed, 12, 30);
            let (from, until) = (SECOND * 20, SECOND * (20 + len));
            scenario.list_faults = vec![ListFault { variant: None, kind, from, until }];
            let log = run(&scenario);
            assert_whole(&scenario, &log);
        }
    }
}

#[test]
fn a_live_list_that_ends_without_a_word_is_told_of() {
    let mut scenario = live(6, 12, 20);
    if let Some(live) = &mut scenario.live {
        live.ends = false;
    }
    let log = run(&scenario);
    assert_whole(&scenario, &log);
    assert!(log.events.iter().any(|(_, event)| event.starts_with("EndedWithoutEndList")), "{log:#?}");
    // Patience begins when the audio is over.
    let over = SECOND * (20 - 6) * 4;
    assert!(log.ended >= over + SECOND * 30 && log.ended < over + SECOND * 60, "{:?}", log.ended);
    // A list that cannot be had any more is an error.
    let mut scenario = live(6, 12, 20);
    let (kind, from) = (ListFaultKind::Status(404), SECOND * 20);
    scenario.list_faults = vec![ListFault { variant: None, kind, from, until: SECOND * 3600 }];
    let log = run(&scenario);
    assert!(matches!(log.outcome, Outcome::Failed(_)), "{log:#?}");
    assert!(log.ended > SECOND * 50 && log.ended < SECOND * 120, "{:?}", log.ended);
}

/// The second list is loaded after the first has moved on.
#[test]
fn live_variants_without_dates_are_brought_together_by_their_numbers() {
    for first_number in [0, 1000] {
        let mut scenario = live(6, 8, 60);
        for variant in &mut scenario.variants {
            variant.first_number = first_number;
        }
        scenario.link = vec![
            LinkStep::new(Duration::ZERO, 80_000, MILLI * 50),
            LinkStep::new(SECOND * 30, 3_000_000, MILLI * 50),
            LinkStep::new(SECOND * 90, 70_000, MILLI * 50),
            LinkStep::new(SECOND * 120, 3_000_000, MILLI * 50),
        ];
        let log = run(&scenario);
        assert_whole(&scenario, &log);
        assert!(log.switches() >= 1, "{log:#?}");
    }
}

#[test]
fn lists_that_are_cut_or_come_from_an_edge_behind_are_not_believed() {
    for kind in [ListFaultKind::Cut, ListFaultKind::Behind(1), ListFaultKind::Behind(3)] {
        let mut scenario = live(6, 8, 40);
        let (from, until) = (SECOND * 10, SECOND * 60);
        scenario.list_faults = (0..5)
            .map(|step| ListFault {
                variant: None,
                kind,
                from: from + SECOND * (10 * step),
                until: until.min(from + SECOND * (10 * step + 5)),
            })
            .collect();
        let log = run(&scenario);
        assert_whole(&scenario, &log);
    }
}

#[test]
fn a_short_window_under_a_long_target_duration_loses_nothing() {
    let mut scenario = Scenario::ladder(&[64_000], SECOND * 2, 60);
    scenario.live = Some(Live { target: Some(10), ..Live::new(4, 4) });
    let log = run(&scenario);
    assert_whole(&scenario, &log);
    // Never more often than half a segment.
    assert!(log.list_loads <= 2 * 60 + 4, "{}", log.list_loads);
}

#[test]
fn an_encoder_that_restarts_is_heard_on() {
    let mut scenario = live(6, 6, 40);
    scenario.restarts = vec![SECOND * 42];
    let log = run(&scenario);
    assert_eq!(log.outcome, Outcome::Ended, "{log:#?}");
    assert_eq!(schedules::check(&scenario, &log), Ok(()), "{log:#?}");
    assert_eq!(log.played.last().and_then(|played| played.segment), Some(39));
}

#[test]
fn a_reader_that_pauses_does_not_stop_the_planning_behind_a_segment_that_fails() {
    let mut scenario = Scenario::ladder(&[64_000], SECOND * 4, 30);
    scenario.listener.pauses = vec![(SECOND, SECOND * 60)];
    scenario.faults =
        vec![Fault { variant: None, segment: 3, kind: FaultKind::Status(503), until: Until::Never }];
    let log = run(&scenario);
    assert_eq!(log.outcome, Outcome::Ended, "{log:#?}");
    let behind = log.fetches.iter().find(|fetch| fetch.segment == 7).map(|fetch| fetch.ended);
    assert!(behind.is_some_and(|ended| ended < SECOND * 10), "{log:#?}");
}

#[test]
fn the_look_ahead_reaches_as_far_as_it_says() {
    for segments in [1, 4, 8, 12, 50] {
        let mut scenario = Scenario::ladder(&[64_000], SECOND * 4, 60);
        scenario.look_ahead.segments = segments;
        scenario.look_ahead.duration = SECOND * 1000;
        scenario.listener.pauses = vec![(SECOND, SECOND * 300)];
        scenario.limit = SECOND * 200;
        let log = run(&scenario);
        let fetched = log.fetches.iter().map(|fetch| fetch.segment).max().unwrap_or(0) + 1;
        assert_eq!(fetched, segments.max(2), "of {segments}");
    }
}
