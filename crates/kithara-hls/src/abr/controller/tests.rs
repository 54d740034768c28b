use super::*;

const LADDER: &[u64] = &[64_000, 128_000, 256_000, 1_000_000];

/// A controller, and a clock that moves as the test says.
struct Play {
    abr: AbrController,
    now: Instant,
}

impl Play {
    fn new(settings: AbrOptions, mode: VariantMode) -> Self {
        let mut abr = AbrController::new(settings, LADDER, mode);
        abr.set_capacity(Duration::from_secs(30));
        Self { abr, now: Instant::now() }
    }

    fn auto() -> Self {
        Self::new(AbrOptions::default(), VariantMode::Auto)
    }

    /// The network gave this many bits per second for so long.
    fn network(&mut self, bits: u64, seconds: u64) -> &mut Self {
        for _ in 0..seconds {
            self.abr.record(bits / 8, Duration::from_secs(1));
            self.now += Duration::from_secs(1);
        }
        self
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn choose(&mut self, buffered: u64) -> Decision {
        self.abr.choose(self.now, Duration::from_secs(buffered)).unwrap()
    }
}

#[test]
fn playback_begins_with_the_lowest_variant() {
    let decision = Play::auto().choose(0);
    assert_eq!(decision, Decision { variant: 0, reason: SwitchReason::Initial, switched: false });
}

#[test]
fn known_throughput_chooses_first_variant() {
    let options = AbrOptions::default().with_initial_throughput(Some(600_000));
    assert_eq!(Play::new(options, VariantMode::Auto).choose(0).variant, 2, "half of it carries 256 kbit/s");
}

#[test]
fn ample_network_goes_to_the_top_with_the_second_segment() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(8_000_000, 1);
    let up = play.choose(4);
    assert_eq!((up.variant, up.reason, up.switched), (3, SwitchReason::ThroughputUp, true));
    assert!(!play.choose(8).switched);
}

#[test]
fn reader_without_a_buffer_climbs_where_throughput_is_ample() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(20_000_000, 3);
    assert_eq!(play.choose(0).variant, 3);
}

#[test]
fn slow_network_goes_down() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    assert_eq!(play.choose(24).variant, 3);
    play.network(200_000, 20);
    let down = play.choose(24);
    assert_eq!(down.reason, SwitchReason::ThroughputDown);
    assert!(down.variant < 3 && down.switched);
}

#[test]
fn nearly_empty_buffer_is_its_own_reason() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    play.choose(24);
    play.network(200_000, 20);
    assert_eq!(play.choose(2).reason, SwitchReason::BufferLow);
}

#[test]
fn switch_down_is_never_reported_as_up() {
    for policy in AbrPolicyKind::NAMES {
        let options = AbrOptions::default().with_policy(AbrPolicyKind::by_name(policy).unwrap());
        let mut play = Play::new(options, VariantMode::Auto);
        play.abr.set_capacity(Duration::from_secs(30));
        let mut before = play.choose(0).variant;
        for step in 0..400_u64 {
            play.network([3_000_000, 150_000, 600_000, 90_000][(step / 7 % 4) as usize], 1);
            let decision = play.choose(step * 7 % 25);
            let up = matches!(decision.reason, SwitchReason::ThroughputUp | SwitchReason::BufferUp);
            let down = matches!(decision.reason, SwitchReason::ThroughputDown | SwitchReason::BufferLow);
            if decision.switched {
                let is_up = decision.variant > before;
                assert!(if is_up { up } else { down }, "{policy}: {before} to {decision:?}");
            }
            before = decision.variant;
        }
    }
}

#[test]
fn highest_and_lowest_lock_the_ends_within_the_limits() {
    let mut play = Play::new(AbrOptions::default(), VariantMode::Highest);
    assert_eq!((play.choose(0).variant, play.choose(0).reason), (3, SwitchReason::Manual));
    play.abr.set_max_bandwidth(Some(300_000));
    assert_eq!(play.choose(0).variant, 2);
    play.abr.exclude(2, play.now, None);
    let failover = play.choose(0);
    assert_eq!((failover.variant, failover.reason), (1, SwitchReason::Failover));
    play.abr.set_mode(VariantMode::Lowest);
    let lowest = play.choose(0);
    assert_eq!((lowest.variant, lowest.reason), (0, SwitchReason::Manual));
}

#[test]
fn data_saver_limits_the_bandwidth_and_can_be_turned_off_while_playing() {
    let mut play = Play::new(AbrOptions::default().with_data_saver(true), VariantMode::Auto);
    play.choose(0);
    play.network(9_000_000, 10);
    assert_eq!(play.choose(20).variant, 1, "128 kbit/s is the highest within 160");
    play.abr.set_data_saver(false);
    assert_eq!(play.choose(20).variant, 3);
}

#[test]
fn policy_is_changed_while_playing_and_keeps_what_was_measured() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(1_000_000, 10);
    let measured = play.abr.throughput();
    play.abr.set_policy(AbrPolicyKind::Throughput);
    assert_eq!(play.abr.throughput(), measured);
    assert_eq!(play.choose(20).variant, 2, "90 % of 1 Mbit/s carries 256 kbit/s and not 1 Mbit/s");
}

#[test]
fn control_changes_a_running_stream_and_decisions_are_told_with_their_inputs() {
    let mut play = Play::auto();
    let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let tell = std::sync::Arc::clone(&told);
    play.abr.observe(move |decision, inputs| tell.lock().push((*decision, *inputs)));
    let control = play.abr.control();
    play.choose(0);
    play.network(8_000_000, 4);
    assert_eq!(play.choose(20).variant, 3);
    control.clone().set_max_bandwidth(Some(300_000));
    let capped = play.choose(20);
    assert_eq!((capped.variant, capped.reason), (2, SwitchReason::Cap));
    control.set_data_saver(true);
    assert_eq!(play.choose(20).variant, 1);
    control.set_data_saver(false);
    control.set_max_bandwidth(None);
    control.set_policy(AbrPolicyKind::Throughput);
    assert_eq!(play.choose(20).variant, 3);
    let told = told.lock();
    assert_eq!(told.len(), 5);
    assert_eq!((told[0].1.rate, told[0].1.buffered), (None, Duration::ZERO));
    assert!(told[4].1.rate.is_some_and(|rate| rate.throughput > 7e6) && told[4].0.switched);
}

#[test]
fn application_can_bring_its_own_policy() {
    #[derive(Debug)]
    struct Second;
    impl AbrPolicy for Second {
        fn name(&self) -> &'static str {
            "second"
        }
        fn choose(&mut self, _: &PlanView<'_>) -> Choice {
            Choice::Switch(1, SwitchReason::Initial)
        }
    }
    let kind = AbrPolicyKind::Custom(std::sync::Arc::new(|| Box::new(Second)));
    let mut play = Play::new(AbrOptions::default().with_policy(kind), VariantMode::Auto);
    assert_eq!(play.choose(0).variant, 1);
}

#[test]
fn known_sizes_of_the_next_segments_count() {
    let chosen = |bytes: &[u64]| {
        let mut play = Play::auto();
        play.choose(0);
        play.network(1_300_000, 5);
        play.abr.set_upcoming(Duration::from_secs(4), None, bytes);
        play.choose(8).variant
    };
    assert_eq!(chosen(&[]), 3);
    // The next segment of the top variant is eight times as large as its bandwidth says.
    assert!(chosen(&[32_000, 64_000, 128_000, 4_000_000]) < 3);
}

/// A segment of `total` bytes of variant 3 that gets `rate` bytes per second after 1 s for its first byte: the
/// second at which it is given up with `buffered` seconds at the request.
fn given_up_at(play: &mut Play, buffered: f64, total: u64, rate: u64) -> Option<f64> {
    let step = Duration::from_millis(200);
    let first_byte = Duration::from_secs(1);
    let mut elapsed = first_byte;
    loop {
        elapsed += step;
        play.now += step;
        let received = (rate as f64 * (elapsed - first_byte).as_secs_f64()) as u64;
        if received >= total {
            return None;
        }
        let transfer = TransferProgress::new(3, total, Duration::from_secs(4)).with_received(
            received,
            elapsed,
            Some(first_byte),
        );
        let left = Duration::from_secs_f64((buffered - elapsed.as_secs_f64()).max(0.0));
        if play.abr.should_abandon(play.now, left, &transfer) {
            play.abr.abandoned(play.now, &transfer);
            return Some(elapsed.as_secs_f64());
        }
    }
}

#[test]
fn segment_is_given_up_only_if_it_would_come_too_late() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    assert_eq!(play.choose(10).variant, 3);
    assert!(given_up_at(&mut play, 10.0, 500_000, 12_500).is_some_and(|at| at < 3.0));
    assert!(play.choose(8).variant < 3, "the policy does not ask for the same variant again");
    assert_eq!(given_up_at(&mut play, 60.0, 500_000, 12_500), None, "there is time");
    assert_eq!(
        given_up_at(&mut play, 10.0, 500_000, 62_500),
        None,
        "it comes in 9 s, timed from its first byte"
    );
    play.abr.set_mode(VariantMode::Manual(3));
    assert_eq!(given_up_at(&mut play, 10.0, 500_000, 12_500), None, "the application wants it");
}

#[test]
fn faster_playback_needs_more() {
    let chosen = |speed: f64, buffered| {
        let mut play = Play::auto();
        play.choose(0);
        play.network(2_000_000, 10);
        play.abr.set_speed(speed);
        play.choose(buffered).variant
    };
    assert_eq!(chosen(1.0, 10), 3);
    assert!(chosen(8.0, 20) < 3);
    assert_eq!(chosen(0.25, 10), 3, "slower playback may speed up at any time");
    assert_eq!(chosen(f64::NAN, 10), 3);
}

#[test]
fn a_seek_on_a_fast_network_stays_up_though_nothing_is_buffered() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    play.choose(24);
    play.abr.moved();
    assert!(!play.choose(0).switched);
}

#[test]
fn a_manual_variant_holds_whatever_the_network_does() {
    let mut play = Play::new(AbrOptions::default(), VariantMode::Manual(2));
    assert_eq!(play.choose(0), Decision { variant: 2, reason: SwitchReason::Manual, switched: false });
    play.network(10_000, 30);
    assert_eq!(play.choose(0).variant, 2);
    play.abr.set_mode(VariantMode::Manual(99));
    let last = play.choose(0);
    assert_eq!((last.variant, last.reason, last.switched), (3, SwitchReason::Manual, true));
    play.abr.set_mode(VariantMode::Auto);
    assert_eq!(play.choose(0).variant, 0);
    assert_eq!(play.abr.mode(), VariantMode::Auto);
}

#[test]
fn a_failed_variant_is_left_alone_until_its_penalty_is_over() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(400_000, 10);
    assert_eq!(play.choose(20).variant, 2);
    let penalty = play.abr.penalty();
    play.abr.exclude(2, play.now, Some(penalty));
    let failover = play.choose(20);
    assert!(failover.variant < 2 && failover.switched, "{failover:?}");
    assert_eq!(failover.reason, SwitchReason::Failover);
    assert_eq!(play.abr.next_return(play.now), Some(play.now + penalty));
    play.wait(59);
    assert!(play.choose(20).variant < 2);
    play.wait(1);
    assert!(!play.abr.is_excluded(2, play.now));
    assert_eq!(play.choose(20).variant, 2);
}

#[test]
fn with_every_variant_excluded_there_is_no_decision() {
    let mut play = Play::auto();
    for variant in 0..4 {
        play.abr.exclude(variant, play.now, (variant == 0).then_some(Duration::from_secs(5)));
    }
    assert_eq!(play.abr.choose(play.now, Duration::ZERO), None);
    play.wait(5);
    assert_eq!(play.choose(0).variant, 0);
    // For good stays for good.
    play.abr.exclude(1, play.now, Some(Duration::ZERO));
    assert!(play.abr.is_excluded(1, play.now));
    assert!(play.abr.is_excluded(77, play.now));
    play.abr.exclude(77, play.now, None);
}

#[test]
fn a_failed_manual_variant_gives_way_to_its_neighbour_below() {
    let mut play = Play::new(AbrOptions::default(), VariantMode::Manual(2));
    play.choose(0);
    play.abr.exclude(2, play.now, None);
    let failover = play.choose(0);
    assert_eq!((failover.variant, failover.reason), (1, SwitchReason::Failover));
    play.abr.exclude(0, play.now, None);
    play.abr.exclude(1, play.now, None);
    assert_eq!(play.choose(0).variant, 3);
}

#[test]
fn caps_bound_the_choice() {
    let settings = AbrOptions::default().with_max_bandwidth(Some(200_000));
    let mut play = Play::new(settings, VariantMode::Auto);
    play.choose(0);
    play.network(9_000_000, 10);
    assert_eq!(play.choose(20).variant, 1);
    play.wait(10).abr.set_max_bandwidth(None);
    assert_eq!(play.choose(20).variant, 3);
    play.abr.set_max_bandwidth(Some(100_000));
    let capped = play.choose(20);
    assert_eq!((capped.variant, capped.reason), (0, SwitchReason::Cap));
    // A cap below everything leaves the lowest.
    play.abr.set_max_bandwidth(Some(1));
    assert_eq!(play.choose(20).variant, 0);
}

#[test]
fn a_floor_bounds_the_choice() {
    let settings = AbrOptions { min_bandwidth: Some(100_000), ..AbrOptions::default() };
    assert_eq!(Play::new(settings, VariantMode::Auto).choose(0).variant, 1);
    let settings = AbrOptions { min_bandwidth: Some(9_000_000), ..AbrOptions::default() };
    assert_eq!(Play::new(settings, VariantMode::Auto).choose(0).variant, 3);
}

#[test]
fn what_segments_are_seen_to_have_corrects_what_was_declared() {
    // An audio group of a video ladder: declared with the video that is not fetched.
    let mut abr = AbrController::new(AbrOptions::default(), &[2_000_000, 2_200_000], VariantMode::Auto);
    abr.observe_segment(0, 32_000, Duration::from_secs(4));
    assert_eq!(abr.bandwidth(0), 80_000);
    abr.observe_segment(1, 500, Duration::from_millis(10));
    assert_eq!(abr.bandwidth(1), 2_200_000, "too short to tell");
    abr.observe_segment(1, 2_000_000, Duration::from_secs(4));
    assert_eq!(abr.bandwidth(1), 4_000_000, "more than declared");
    abr.observe_segment(9, 1, Duration::from_secs(4));
}

#[test]
fn a_lower_variant_never_seems_to_need_more_than_a_higher_one() {
    let mut play = Play::auto();
    play.abr = AbrController::new(AbrOptions::default(), &[2_000_000, 2_200_000], VariantMode::Manual(1));
    play.choose(0);
    play.abr.observe_segment(1, 128_000, Duration::from_secs(4));
    play.abr.set_mode(VariantMode::Auto);
    play.network(9_000_000, 10);
    assert_eq!(play.choose(20).variant, 1);
}

#[test]
fn an_empty_ladder_and_one_without_bandwidths_do_no_harm() {
    let now = Instant::now();
    let mut none = AbrController::new(AbrOptions::default(), &[], VariantMode::Auto);
    assert_eq!(none.choose(now, Duration::ZERO), None);
    none.set_mode(VariantMode::Manual(0));
    assert_eq!(none.choose(now, Duration::ZERO), None);
    let mut unknown = AbrController::new(AbrOptions::default(), &[0], VariantMode::Auto);
    assert_eq!(unknown.choose(now, Duration::ZERO).map(|decision| decision.variant), Some(0));
    unknown.record(1_000_000, Duration::from_secs(1));
    assert_eq!(unknown.choose(now, Duration::from_secs(30)).map(|decision| decision.variant), Some(0));
    assert_eq!(unknown.throughput(), Some(8_000_000));
}

/// A link of this many bits per second for each second, segments of 4 s, a player that plays in real time: the
/// variants that were played, and the seconds without audio.
fn simulate(link: impl Fn(u64) -> u64, seconds: u64) -> (Vec<usize>, f64) {
    let mut play = Play::auto();
    let begin = play.now;
    let (mut variants, mut buffered, mut dry) = (Vec::new(), 0.0_f64, 0.0_f64);
    while (play.now - begin).as_secs() < seconds {
        let decision = play.abr.choose(play.now, Duration::from_secs_f64(buffered)).unwrap();
        let bits = LADDER[decision.variant] as f64 * 4.0;
        let speed = link((play.now - begin).as_secs()).max(1) as f64;
        let took = bits / speed;
        play.abr.record((bits / 8.0) as u64, Duration::from_secs_f64(took));
        play.now += Duration::from_secs_f64(took);
        if took > buffered && !variants.is_empty() {
            dry += took - buffered;
        }
        buffered = (buffered - took).max(0.0) + 4.0;
        let buffer = Duration::from_secs_f64(buffered);
        play.abr.segment_arrived(play.now, buffer, decision.variant, Duration::from_secs_f64(took));
        variants.push(decision.variant);
        // The look-ahead is full at 30 s.
        if buffered > 30.0 {
            play.now += Duration::from_secs_f64(buffered - 30.0);
            buffered = 30.0;
        }
    }
    (variants, dry)
}

#[test]
fn a_steady_link_settles_on_the_best_variant_and_stays() {
    let (variants, dry) = simulate(|_| 500_000, 300);
    assert!(dry < 1e-9, "{dry}");
    assert_eq!(variants[0], 0);
    let settled = &variants[6..];
    assert!(settled.iter().all(|variant| *variant == 2), "{variants:?}");
}

#[test]
fn a_link_that_breaks_down_does_not_run_dry() {
    let (variants, dry) = simulate(|second| if second < 60 { 4_000_000 } else { 150_000 }, 300);
    assert!(variants.contains(&3), "{variants:?}");
    assert!(variants.last() <= Some(&1), "90 % of 150 kbit/s carry 128: {variants:?}");
    // The one large segment on the way when the link broke takes 27 s.
    assert!(dry < 1e-9, "{dry} s dry, {variants:?}");
}

#[test]
fn a_wavering_link_does_not_swing_the_variant() {
    let (variants, dry) = simulate(|second| if second % 8 < 4 { 420_000 } else { 300_000 }, 400);
    let switches = variants.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(switches <= 3, "{switches} switches: {variants:?}");
    assert!(dry < 1e-9, "{dry}");
}
