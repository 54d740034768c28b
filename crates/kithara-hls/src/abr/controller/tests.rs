use super::*;

const LADDER: &[u64] = &[64_000, 128_000, 256_000, 1_000_000];

/// A controller, and a clock that moves as the test says.
struct Play {
    abr: AbrController,
    now: Instant,
}

impl Play {
    fn new(settings: AbrSettings, mode: VariantMode) -> Self {
        Self { abr: AbrController::new(settings, LADDER, mode), now: Instant::now() }
    }

    fn auto() -> Self {
        Self::new(AbrSettings::default(), VariantMode::Auto)
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
fn a_known_throughput_chooses_the_first_variant() {
    let settings = AbrSettings { initial_throughput: Some(400_000), ..AbrSettings::default() };
    assert_eq!(Play::new(settings, VariantMode::Auto).choose(0).variant, 2);
}

#[test]
fn a_fast_network_goes_up_once_the_buffer_allows_it() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 4);
    assert_eq!(play.choose(0).variant, 2, "ample for 256 kbit/s, and nothing need be buffered");
    play.wait(8);
    assert_eq!(play.choose(4).variant, 2, "not ample for 1 Mbit/s, and not yet buffered");
    let up = play.choose(10);
    assert_eq!(up, Decision { variant: 3, reason: SwitchReason::ThroughputUp, switched: true });
    let held = play.choose(10);
    assert_eq!(held, Decision { variant: 3, reason: SwitchReason::ThroughputUp, switched: false });
}

#[test]
fn a_reader_that_takes_everything_at_once_climbs_where_throughput_is_ample_and_stays_there() {
    let mut play = Play::auto();
    play.choose(0);
    for _ in 0..20 {
        play.network(900_000, 1);
        let decision = play.choose(0);
        assert_eq!(decision.variant, 1, "900 kbit/s are ample for 128, and would do for 256 with a buffer");
        play.network(600_000, 1);
        assert_eq!(play.choose(0).variant, 1, "no longer ample, and still enough");
    }
}

#[test]
fn the_room_between_up_and_down_keeps_it_still() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(400_000, 10);
    assert_eq!(play.choose(10).variant, 2);
    // 256 of 300 kbit/s: too much to go up to, not too much to stay.
    for _ in 0..10 {
        play.network(300_000, 4);
        assert!(!play.choose(10).switched);
        play.network(360_000, 4);
        assert!(!play.choose(10).switched);
    }
}

#[test]
fn a_slow_network_goes_down_and_a_full_buffer_waits() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    assert_eq!(play.choose(30).variant, 3);
    play.network(200_000, 20);
    assert_eq!(play.choose(30).variant, 3, "30 s are buffered");
    let down = play.choose(12);
    assert_eq!(down, Decision { variant: 1, reason: SwitchReason::ThroughputDown, switched: true });
}

#[test]
fn a_nearly_empty_buffer_is_its_own_reason() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    play.choose(30);
    play.network(200_000, 20);
    assert_eq!(play.choose(2).reason, SwitchReason::BufferLow);
}

#[test]
fn a_seek_on_a_fast_network_stays_up_though_nothing_is_buffered() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    play.choose(30);
    assert!(!play.choose(0).switched);
}

#[test]
fn a_stall_goes_down_at_once() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    play.choose(30);
    play.network(1_200_000, 20);
    play.abr.stalled();
    let down = play.choose(10);
    assert_eq!((down.variant, down.reason), (2, SwitchReason::BufferLow));
}

#[test]
fn a_switch_up_keeps_its_distance_to_the_switch_before() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(250_000, 10);
    assert_eq!(play.choose(10).variant, 1);
    play.network(9_000_000, 6);
    assert_eq!(play.choose(20).variant, 1);
    play.wait(3);
    assert_eq!(play.choose(20).variant, 3);
}

#[test]
fn a_manual_variant_holds_whatever_the_network_does() {
    let mut play = Play::new(AbrSettings::default(), VariantMode::Manual(2));
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
    assert_eq!(play.choose(10).variant, 2);
    let penalty = play.abr.penalty();
    play.abr.exclude(2, play.now, Some(penalty));
    let failover = play.choose(10);
    assert_eq!(failover, Decision { variant: 1, reason: SwitchReason::Failover, switched: true });
    assert_eq!(play.abr.next_return(play.now), Some(play.now + penalty));
    play.wait(59);
    assert_eq!(play.choose(10).variant, 1);
    play.wait(1);
    assert!(!play.abr.is_excluded(2, play.now));
    assert_eq!(play.choose(10).variant, 2);
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
    let mut play = Play::new(AbrSettings::default(), VariantMode::Manual(2));
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
    let settings = AbrSettings { max_bandwidth: Some(200_000), ..AbrSettings::default() };
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
    let settings = AbrSettings { min_bandwidth: Some(100_000), ..AbrSettings::default() };
    assert_eq!(Play::new(settings, VariantMode::Auto).choose(0).variant, 1);
    let settings = AbrSettings { min_bandwidth: Some(9_000_000), ..AbrSettings::default() };
    assert_eq!(Play::new(settings, VariantMode::Auto).choose(0).variant, 3);
}

#[test]
fn what_segments_are_seen_to_have_corrects_what_was_declared() {
    // An audio group of a video ladder: declared with the video that is not fetched.
    let mut abr = AbrController::new(AbrSettings::default(), &[2_000_000, 2_200_000], VariantMode::Auto);
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
    play.abr = AbrController::new(AbrSettings::default(), &[2_000_000, 2_200_000], VariantMode::Manual(1));
    play.choose(0);
    play.abr.observe_segment(1, 128_000, Duration::from_secs(4));
    play.abr.set_mode(VariantMode::Auto);
    play.network(9_000_000, 10);
    assert_eq!(play.choose(20).variant, 1);
}

#[test]
fn a_segment_is_given_up_when_it_cannot_arrive_in_time() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    assert_eq!(play.choose(10).variant, 3);
    let slow = TransferProgress {
        variant: 3,
        received: 25_000,
        total: 500_000,
        elapsed: Duration::from_secs(2),
        duration: Duration::from_secs(4),
    };
    let asks = |play: &mut Play, buffered, transfer| {
        play.abr.should_abandon(play.now, Duration::from_secs(buffered), &transfer)
    };
    assert!(asks(&mut play, 5, slow));
    assert!(!asks(&mut play, 60, slow), "there is time");
    assert!(!asks(&mut play, 5, TransferProgress { received: 490_000, ..slow }), "almost there");
    assert!(!asks(&mut play, 5, TransferProgress { variant: 0, total: 32_000, ..slow }), "nothing is lower");
    assert!(!asks(&mut play, 5, TransferProgress { elapsed: Duration::ZERO, ..slow }), "too early to tell");
    assert!(!asks(&mut play, 5, TransferProgress { received: 600_000, ..slow }), "more than was said");
    assert!(
        !asks(&mut play, 0, TransferProgress { received: 260_000, ..slow }),
        "it comes as fast as it is played: a reader that takes everything at once never has a buffer"
    );
    play.abr.set_mode(VariantMode::Manual(3));
    assert!(!asks(&mut play, 5, slow), "the application wants it");
}

#[test]
fn after_a_segment_was_given_up_its_own_throughput_rules() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(2_000_000, 10);
    assert_eq!(play.choose(10).variant, 3);
    play.abr.abandoned(&TransferProgress {
        variant: 3,
        received: 25_000,
        total: 500_000,
        elapsed: Duration::from_secs(2),
        duration: Duration::from_secs(4),
    });
    let decision = play.choose(5);
    assert_eq!((decision.variant, decision.reason), (0, SwitchReason::BufferLow));
}

#[test]
fn a_short_look_ahead_does_not_keep_a_stream_low() {
    let mut play = Play::auto();
    play.choose(0);
    play.network(600_000, 10);
    assert_eq!(play.choose(5).variant, 0, "too little of what could be buffered");
    // Eight segments of a second.
    play.abr.set_capacity(Duration::from_secs(8));
    assert!(play.choose(5).variant > 0);
}

#[test]
fn who_listens_faster_needs_more() {
    let chosen = |speed: f64, buffered| {
        let mut play = Play::auto();
        play.choose(0);
        play.network(2_000_000, 10);
        play.abr.set_speed(speed);
        play.choose(buffered).variant
    };
    assert_eq!(chosen(1.0, 10), 3);
    assert!(chosen(4.0, 40) < 3);
    assert_eq!(chosen(0.25, 10), 3, "who listens more slowly may speed up at any time");
    assert_eq!(chosen(f64::NAN, 10), 3);
}

#[test]
fn an_empty_ladder_and_one_without_bandwidths_do_no_harm() {
    let now = Instant::now();
    let mut none = AbrController::new(AbrSettings::default(), &[], VariantMode::Auto);
    assert_eq!(none.choose(now, Duration::ZERO), None);
    none.set_mode(VariantMode::Manual(0));
    assert_eq!(none.choose(now, Duration::ZERO), None);
    let mut unknown = AbrController::new(AbrSettings::default(), &[0], VariantMode::Auto);
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
            play.abr.stalled();
        }
        buffered = (buffered - took).max(0.0) + 4.0;
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
    assert_eq!(variants.last(), Some(&0));
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
