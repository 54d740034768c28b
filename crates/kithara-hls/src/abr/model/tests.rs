use std::time::Duration;

use super::*;
use crate::abr::AbrPolicyKind;

const LADDER: [f64; 4] = [66e3, 134e3, 270e3, 989e3];

fn segments(count: usize) -> Segments {
    Segments::constant(&LADDER, Duration::from_secs(6), count).unwrap()
}

fn constant(kbps: f64, latency_ms: f64) -> Trace {
    Trace::new(vec![Period::from_units(10_000.0, kbps, latency_ms)]).unwrap()
}

fn run(trace: &Trace, policy: &AbrPolicyKind, count: usize) -> Outcome {
    play(&Setup { trace, segments: &segments(count), max_buffer: 30.0 }, &mut *policy.build())
}

#[test]
fn ample_link_costs_nothing_but_the_start() {
    let trace = constant(50_000.0, 0.0);
    let outcome = run(&trace, &AbrPolicyKind::BolaE, 10);
    assert_eq!((outcome.rebuffer_events, outcome.switches), (0, 1));
    // The lowest variant first: 396 kbit at 50 Mbit/s.
    assert!((outcome.startup_s - 0.007_92).abs() < 1e-9, "{}", outcome.startup_s);
    let all = 10.0 * 6.0 + outcome.startup_s;
    let played = (66.0 + 9.0 * 989.0) * 6.0 / all;
    assert!((outcome.avg_kbps - played).abs() < 1e-6, "{} {played}", outcome.avg_kbps);
    let change = (989.0 - 66.0) * 6.0 / all;
    assert!((outcome.change_kbps_per_segment - change).abs() < 1e-6);
    assert!((outcome.score - (66.0 + 9.0 * 989.0 - 923.0) / 1e4).abs() < 1e-9, "{}", outcome.score);
}

#[test]
fn link_below_the_lowest_variant_waits_as_long_as_arithmetic_says() {
    let trace = constant(33.0, 0.0);
    let outcome = run(&trace, &AbrPolicyKind::Throughput, 10);
    // Each segment takes 12 s and lasts 6: nine waits of 6 s, in 120 s until the last arrives and 6 s of playing it.
    assert_eq!(outcome.rebuffer_events, 9);
    assert!((outcome.rebuffer_ratio - 54.0 / 126.0).abs() < 1e-9, "{}", outcome.rebuffer_ratio);
    assert!((outcome.startup_s - 12.0).abs() < 1e-9);
    assert!((outcome.score - (0.066 - 0.989 * 54.0 / 10.0)).abs() < 1e-9);
    assert_eq!(outcome.stalls.len(), 9);
}

#[test]
fn latency_is_waited_for_with_each_request() {
    let trace = constant(66.0 * 6.0, 500.0);
    let outcome = run(&trace, &AbrPolicyKind::Throughput, 1);
    assert!((outcome.startup_s - 1.5).abs() < 1e-9, "{}", outcome.startup_s);
}

#[test]
fn trace_repeats_and_outages_are_waited_out() {
    let periods = vec![Period::from_units(1000.0, 132.0, 0.0), Period::from_units(3000.0, 0.0, 0.0)];
    let trace = Trace::new(periods).unwrap();
    let mut link = Link::new(&trace);
    // 396 kbit at 132 kbit per second of four.
    let (bits, seconds) = link.receive(396e3, 396e3, 0.0);
    assert!((bits - 396e3).abs() < 1e-6 && (seconds - 9.0).abs() < 1e-9, "{bits} {seconds}");
    assert!((trace.mean_bandwidth() - 33e3).abs() < 1e-6);
    assert_eq!((trace.bandwidth_at(4.5), trace.bandwidth_at(5.5)), (132e3, 0.0));
}

#[test]
fn published_policies_stand_still_on_a_link_that_carries_a_rung() {
    for policy in [AbrPolicyKind::Throughput, AbrPolicyKind::BolaE] {
        let outcome = run(&constant(400.0, 50.0), &policy, 37);
        let rungs: Vec<_> = outcome.played.iter().skip(8).map(|played| played.variant).collect();
        assert!(rungs.iter().all(|rung| *rung == 2), "{policy:?}: {rungs:?}");
    }
}

#[test]
fn invalid_traces_and_sizes_are_refused() {
    let period =
        |duration, bandwidth, latency| Trace::new(vec![Period::from_units(duration, bandwidth, latency)]);
    assert_eq!(period(1000.0, 0.0, 0.0), Err(TraceError::NoBandwidth));
    assert_eq!(period(0.0, 100.0, 0.0), Err(TraceError::NoBandwidth));
    assert_eq!(period(f64::NAN, 1.0, 0.0), Err(TraceError::InvalidPeriod { index: 0 }));
    assert_eq!(period(1000.0, -1.0, 0.0), Err(TraceError::InvalidPeriod { index: 0 }));
    assert_eq!(Trace::new(Vec::new()), Err(TraceError::NoBandwidth));
    let second = Duration::from_secs(1);
    assert_eq!(Segments::constant(&[], second, 3), Err(TraceError::InvalidLadder));
    assert_eq!(Segments::constant(&[2.0, 1.0], second, 3), Err(TraceError::InvalidLadder));
    assert_eq!(Segments::constant(&[1.0], Duration::ZERO, 3), Err(TraceError::InvalidSegments));
    assert_eq!(Segments::constant(&[1.0], second, 0), Err(TraceError::InvalidSegments));
    let sizes = |row: Vec<f64>| Segments::with_sizes(&[1.0, 2.0], second, &[row], None);
    assert_eq!(sizes(vec![1.0]), Err(TraceError::InvalidSizes { index: 0 }));
    assert_eq!(sizes(vec![1.0, 0.0]), Err(TraceError::InvalidSizes { index: 0 }));
}

#[test]
fn table_of_sizes_repeats_to_the_wanted_number() {
    let rows = [vec![10.0, 20.0], vec![30.0, 40.0]];
    let table = Segments::with_sizes(&[1.0, 2.0], Duration::from_secs(1), &rows, Some(5)).unwrap();
    assert_eq!((table.count(), table.bits(0, 1), table.bits(3, 0), table.bits(4, 0)), (5, 20.0, 30.0, 10.0));
}

#[test]
fn synthetic_traces_are_the_same_everywhere() {
    for name in synthetic::NAMES {
        let once = synthetic::named(name).unwrap().unwrap();
        assert_eq!(once, synthetic::named(name).unwrap().unwrap(), "{name}");
    }
    assert!(synthetic::named("nonesuch").is_none() && synthetic::named("walk:x").is_none());
    let first = synthetic::named("cell-3g:7").unwrap().unwrap();
    assert_ne!(first, synthetic::named("cell-3g:8").unwrap().unwrap());
    assert_eq!(synthetic::named("constant:400").unwrap().unwrap().mean_bandwidth(), 400e3);
    let mean: f64 = (0..40).map(|seed| SETS[0].trace(seed).unwrap().mean_bandwidth()).sum::<f64>() / 40.0;
    assert!((0.9e6..1.8e6).contains(&mean), "about the mean of the published 3G logs: {mean}");
}

#[test]
fn hybrid_plays_the_highest_rung_that_fits_and_stays_there() {
    for (kbps, rung) in [(400.0, 2), (1300.0, 3), (2000.0, 3), (20_000.0, 3)] {
        let mut reached = Vec::new();
        for latency in [50.0, 600.0] {
            let outcome = run(&constant(kbps, latency), &AbrPolicyKind::Hybrid, 37);
            assert_eq!(outcome.rebuffer_events, 0, "{kbps} kbit/s");
            let first = outcome.played.iter().position(|played| played.variant == rung).unwrap();
            assert!(outcome.played[first..].iter().all(|played| played.variant == rung), "{kbps} kbit/s");
            reached.push(first);
        }
        assert!(reached[0] <= 2, "{kbps} kbit/s: rung {rung} is heard from segment {} on", reached[0]);
        assert!(reached[1] <= reached[0] + 1, "{kbps} kbit/s: 600 ms of latency cost {reached:?}");
    }
}

/// The published policies and the default one on a set.
fn compare(set: &TraceSet, segments: usize, traces: u64) -> [Mean; 4] {
    let kinds = [AbrPolicyKind::Throughput, AbrPolicyKind::Bola, AbrPolicyKind::BolaE, AbrPolicyKind::Hybrid];
    kinds.map(|kind| mean(set, &kind, segments, traces))
}

#[test]
fn hybrid_scores_above_the_published_policies_and_stays_within_their_bounds() {
    for set in SETS {
        let [throughput, bola, bola_e, hybrid] = compare(set, 37, 16);
        let best = throughput.score.max(bola.score).max(bola_e.score);
        // A few traces of a kind differ by more than the policies do; docs/abr.md has the figures over 80.
        assert!(hybrid.score > best - 0.02, "{}: score {} of {best}", set.name, hybrid.score);
        let change = (throughput.change_kbps + bola_e.change_kbps) / 2.0;
        assert!(hybrid.change_kbps <= change * 1.1, "{}: {} of {change}", set.name, hybrid.change_kbps);
        assert!(hybrid.avg_kbps >= 0.9 * bola_e.avg_kbps, "{}: {hybrid:?} {bola_e:?}", set.name);
        let rebuffering = throughput.rebuffer_ratio.max(bola_e.rebuffer_ratio) + 0.001;
        assert!(hybrid.rebuffer_ratio <= rebuffering, "{}: {hybrid:?} {throughput:?}", set.name);
    }
}

#[test]
fn short_tracks_get_at_least_the_bitrate_of_bola_e() {
    for set in &SETS[..4] {
        let [_, _, bola_e, hybrid] = compare(set, 5, 40);
        assert!(hybrid.avg_kbps >= bola_e.avg_kbps, "{}: {hybrid:?} {bola_e:?}", set.name);
    }
}
