//! Random schedules: seeded, and made smaller until nothing can be left out of what fails.

use std::time::Duration;

use super::super::*;
use super::{MILLI, SECOND};
use crate::abr::VariantMode;
use crate::segment::SAME_TIME;

/// Requests for one segment of one variant that are never exceeded.
const MAX_REQUESTS: usize = 20;

/// Numbers that look random, the same for each seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most.max(1)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most))
    }
}

/// Segments of about `target`, each cut at the end of a frame.
pub(super) fn cut(target: Duration, count: usize, frame: u64, bandwidth: u64) -> Vec<SegmentModel> {
    let rate = 44_100u64;
    let end = |index: usize| {
        let samples = (target.as_nanos() as u64 / 1000 * index as u64 * rate).div_ceil(1_000_000);
        samples.div_ceil(frame) * frame
    };
    let segment = |index: usize| {
        let duration = Duration::from_nanos((end(index + 1) - end(index)) * 1_000_000_000 / rate);
        SegmentModel::new(duration, (bandwidth as f64 / 8.0 * duration.as_secs_f64()) as u64)
    };
    (0..count).map(segment).collect()
}

fn schedule(seed: u64) -> Scenario {
    let mut dice = Dice(seed);
    let ladders: [&[u64]; 4] =
        [&[64_000], &[64_000, 128_000], &[48_000, 96_000, 256_000], &[64_000, 128_000, 256_000, 800_000]];
    let ladder = dice.pick(&ladders);
    let target = Duration::from_millis(dice.pick(&[2_000, 4_000, 6_006, 9_500]));
    let count = 4 + dice.below(14) as usize;
    let mut scenario = Scenario::ladder(ladder, target, count);
    for variant in &mut scenario.variants {
        let frame = dice.pick(&[1024, 1024, 1152, 2048, 4096]);
        variant.segments = cut(target, count, frame, variant.bandwidth);
    }
    if dice.below(2) == 0 {
        let listed = 1 + dice.below(6) as usize;
        let mut live = Live::new(listed.min(count), 3 + dice.below(6) as usize);
        live.is_dated = dice.below(3) == 0;
        live.ends = dice.below(5) > 0;
        live.lag = if dice.below(3) == 0 { dice.millis(1500) } else { Duration::ZERO };
        scenario.live = Some(live);
        let first_number = dice.pick(&[0, 1, 77, 100_000]);
        scenario.variants.iter_mut().for_each(|variant| variant.first_number = first_number);
        for _ in 0..dice.below(3) {
            let kinds = [
                ListFaultKind::Status(404),
                ListFaultKind::Status(503),
                ListFaultKind::Freeze,
                ListFaultKind::Cut,
                ListFaultKind::Behind(1),
                ListFaultKind::Behind(2),
            ];
            let from = dice.millis(60_000) + SECOND;
            let (kind, until) = (dice.pick(&kinds), from + dice.millis(20_000));
            let variant = (dice.below(2) == 0).then(|| dice.below(ladder.len() as u64) as usize);
            scenario.list_faults.push(ListFault { variant, kind, from, until });
        }
        if dice.below(6) == 0 {
            scenario.restarts.push(dice.millis(50_000) + SECOND * 5);
        }
    }
    let steps = 1 + dice.below(3);
    for step in 0..steps {
        let rates = [100_000, 200_000, 400_000, 1_000_000, 5_000_000, 20_000_000];
        // Now and then less than the least variant needs, and not at the end.
        let slow = step + 1 < steps && dice.below(3) == 0;
        let rate = if slow { dice.pick(&[0, 20_000, 50_000]) } else { dice.pick(&rates) };
        let at = if step == 0 { Duration::ZERO } else { dice.millis(40_000) };
        scenario.link.push(LinkStep::new(at, rate, MILLI * (5 + dice.below(300) as u32)));
    }
    scenario.link.sort_by_key(|step| step.at);
    if let Some(last) = scenario.link.last_mut() {
        last.bits_per_second = last.bits_per_second.max(200_000);
    }
    for _ in 0..dice.below(4) {
        let segment = dice.below(count as u64) as usize;
        let variant = (dice.below(2) == 0).then(|| dice.below(ladder.len() as u64) as usize);
        let part = dice.below(1000) as u16;
        let kind = dice.pick(&[
            FaultKind::Status(404),
            FaultKind::Status(503),
            FaultKind::Status(500),
            FaultKind::Reset(part),
            FaultKind::Stall(part),
            FaultKind::Damaged,
        ]);
        let until = match dice.below(3) {
            0 => Until::Requests(1 + dice.below(3) as u32),
            1 => Until::Time(dice.millis(60_000)),
            _ if matches!(kind, FaultKind::Reset(_) | FaultKind::Stall(_)) => Until::Requests(1),
            _ => Until::Never,
        };
        scenario.faults.push(Fault { variant, segment, kind, until });
    }
    scenario.listener.speed = dice.pick(&[Some(1.0), Some(1.0), Some(2.0), None]);
    let total = target * count as u32;
    for _ in 0..dice.below(3) {
        let (at, to) = (dice.millis(60_000), dice.millis(total.as_millis() as u64));
        scenario.listener.seeks.push((at, to));
    }
    scenario.listener.seeks.sort();
    if dice.below(4) == 0 {
        scenario.listener.pauses.push((dice.millis(30_000), dice.millis(30_000)));
    }
    scenario.look_ahead.segments = dice.pick(&[0, 1, 2, 4, 8, 20]);
    scenario.look_ahead.parallel = dice.pick(&[1, 2, 4]);
    if dice.below(4) == 0 {
        scenario.mode = VariantMode::Manual(dice.below(ladder.len() as u64) as usize);
    }
    scenario.limit = SECOND * 1200;
    scenario
}

/// What must hold of every log.
pub(super) fn check(scenario: &Scenario, log: &Log) -> Result<(), String> {
    match &log.outcome {
        Outcome::Hung => return Err(format!("waits for ever at {:?}", log.ended)),
        Outcome::OutOfTime => return Err("goes on for ever".to_owned()),
        Outcome::Failed(error) if !may_fail(scenario) => return Err(format!("fails: {error}")),
        Outcome::Ended | Outcome::Failed(_) => {}
    }
    bounded(log)?;
    if scenario.listener.seeks.is_empty() {
        continuous(scenario, log)?;
        silent_only_where_missing(scenario, log)?;
    }
    Ok(())
}

fn may_fail(scenario: &Scenario) -> bool {
    // Lists that fail, and nothing else in their place; a link without any byte for longer than the patience.
    !scenario.list_faults.is_empty() || scenario.link.iter().any(|step| step.bits_per_second < 100_000)
        // So many different segments that more than three in a row may be missing.
        || scenario.faults.len() > 3
        || scenario.faults.iter().any(|fault| matches!(fault.kind, FaultKind::Reset(_) | FaultKind::Stall(_)))
        || !scenario.restarts.is_empty()
}

fn bounded(log: &Log) -> Result<(), String> {
    let mut counts = std::collections::BTreeMap::new();
    for fetch in &log.fetches {
        let count = counts.entry((fetch.variant, fetch.segment)).or_insert(0usize);
        *count += 1;
        if *count > MAX_REQUESTS {
            return Err(format!(
                "segment {} of variant {} is asked for too often",
                fetch.segment, fetch.variant
            ));
        }
    }
    Ok(())
}

/// Audio is continuous on the timeline, and in the media: no segment is heard twice, none is left out without silence.
fn continuous(scenario: &Scenario, log: &Log) -> Result<(), String> {
    let real = |played: &Played, at: Duration| {
        let start = scenario.variants[played.variant].start_of(played.segment?);
        Some(start.as_secs_f64() + at.as_secs_f64() - played.start.as_secs_f64())
    };
    let tolerance = 2.0 * SAME_TIME.as_secs_f64();
    let mut last: Option<(f64, Duration)> = None;
    let mut was_silent = false;
    for played in &log.played {
        if played.to <= played.from {
            continue;
        }
        if let Some((_, to)) = last
            && played.from.abs_diff(to) > SAME_TIME
        {
            return Err(format!("the timeline jumps from {to:?} to {:?}", played.from));
        }
        let Some((from, to)) = real(played, played.from).zip(real(played, played.to)) else {
            was_silent = true;
            last = last.map(|(media, _)| (media, played.to)).or(Some((f64::MIN, played.to)));
            continue;
        };
        if let Some((media, _)) = last {
            if from < media - tolerance {
                return Err(format!("segment {:?} is heard again at {:?}", played.segment, played.at));
            }
            if from > media + tolerance && !was_silent && scenario.restarts.is_empty() {
                return Err(format!("left out before segment {:?} at {:?}", played.segment, played.at));
            }
        }
        last = Some((to, played.to));
        was_silent = false;
    }
    Ok(())
}

/// Silence stands where no variant could have brought the segment.
fn silent_only_where_missing(scenario: &Scenario, log: &Log) -> Result<(), String> {
    if scenario.live.is_some() {
        return Ok(());
    }
    for played in log.played.iter().filter(|played| played.segment.is_none()) {
        let middle = played.start + (played.to.saturating_sub(played.start)) / 2;
        let is_missing = |variant: usize| {
            let model = &scenario.variants[variant];
            let index = (0..model.segments.len()).rev().find(|index| model.start_of(*index) <= middle);
            scenario.faults.iter().any(|fault| {
                Some(fault.segment) == index
                    && fault.variant.is_none_or(|of| of == variant)
                    && match fault.until {
                        Until::Time(until) => until + SECOND * 15 >= played.at,
                        Until::Requests(_) | Until::Never => true,
                    }
            })
        };
        if !(0..scenario.variants.len()).all(is_missing) {
            return Err(format!("silent at {:?} though it could be had", played.start));
        }
    }
    Ok(())
}

/// Everything that is a little less than this.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut smaller = Vec::new();
    let mut with = |change: &dyn Fn(&mut Scenario)| {
        let mut one = scenario.clone();
        change(&mut one);
        if format!("{one:?}") != format!("{scenario:?}") {
            smaller.push(one);
        }
    };
    (0..scenario.faults.len()).for_each(|index| {
        with(&|one| {
            one.faults.remove(index);
        })
    });
    (0..scenario.list_faults.len()).for_each(|index| {
        with(&|one| {
            one.list_faults.remove(index);
        })
    });
    (0..scenario.listener.seeks.len()).for_each(|index| {
        with(&|one| {
            one.listener.seeks.remove(index);
        })
    });
    with(&|one| one.listener.pauses.clear());
    with(&|one| one.restarts.clear());
    with(&|one| one.mode = VariantMode::Auto);
    with(&|one| one.look_ahead = Default::default());
    with(&|one| one.live = None);
    with(&|one| one.listener.speed = Some(1.0));
    (1..scenario.link.len()).for_each(|index| {
        with(&|one| {
            one.link.remove(index);
        })
    });
    with(&|one| one.link.iter_mut().for_each(|step| step.latency = MILLI * 20));
    if scenario.variants.len() > 1 {
        with(&|one| {
            one.variants.pop();
        });
    }
    with(&|one| {
        for variant in &mut one.variants {
            let half = variant.segments.len().div_ceil(2).max(2).min(variant.segments.len());
            variant.segments.truncate(half);
        }
        let count = one.variants[0].segments.len();
        one.faults.retain(|fault| fault.segment < count);
        if let Some(live) = &mut one.live {
            live.listed = live.listed.min(count);
        }
    });
    smaller
}

fn is_sound(scenario: &Scenario) -> bool {
    let count = scenario.variants.len();
    let within = |variant: Option<usize>| variant.is_none_or(|variant| variant < count);
    let mode = match scenario.mode {
        VariantMode::Manual(variant) => variant < count,
        _ => true,
    };
    mode && scenario.faults.iter().all(|fault| within(fault.variant))
        && scenario.list_faults.iter().all(|fault| within(fault.variant))
}

/// Leaves out of a failing schedule what it fails without.
fn shrink(mut scenario: Scenario) -> Scenario {
    loop {
        let fails = |one: &Scenario| is_sound(one) && check(one, &run(one)).is_err();
        match smaller(&scenario).into_iter().find(fails) {
            Some(less) => scenario = less,
            None => return scenario,
        }
    }
}

/// Plays the schedules of these seeds; one that fails is made smaller and printed.
fn play(seeds: std::ops::Range<u64>, change: impl Fn(&mut Scenario)) {
    for seed in seeds {
        let mut scenario = schedule(seed);
        change(&mut scenario);
        let log = run(&scenario);
        if let Err(error) = check(&scenario, &log) {
            let least = shrink(scenario);
            let log = run(&least);
            let error = check(&least, &log).err().unwrap_or(error);
            panic!("seed {seed}: {error}\n{least:#?}\n{log:#?}");
        }
    }
}

/// `KITHARA_SCHEDULES` sets how many; `KITHARA_SEED` where to begin.
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let (count, first) = (number("KITHARA_SCHEDULES", 5_000), number("KITHARA_SEED", 0));
    first..first + count
}

/// Any ladder, link and look-ahead, pauses and speeds, and nothing that fails.
#[test]
fn every_schedule_without_faults_is_played_without_loss_or_repetition() {
    play(seeds(), |scenario| {
        scenario.live = None;
        scenario.list_faults.clear();
        scenario.restarts.clear();
        scenario.faults.clear();
        scenario.listener.seeks.clear();
    });
}

#[test]
#[ignore = "about one in four hundred still asks too often, or loops behind an abandoned seek"]
fn every_schedule_of_a_complete_presentation_is_played_without_loss_or_repetition() {
    play(seeds(), |scenario| {
        scenario.live = None;
        scenario.list_faults.clear();
        scenario.restarts.clear();
    });
}

#[test]
#[ignore = "about one live schedule in two hundred still loses or repeats a segment"]
fn every_schedule_is_played_without_loss_or_repetition() {
    play(seeds(), |_| ());
}
