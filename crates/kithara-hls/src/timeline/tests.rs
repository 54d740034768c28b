use super::*;
use crate::playlist::{Playlist, parse};

fn playlist(text: &str) -> Arc<MediaPlaylist> {
    let base = url::Url::parse("https://example.com/a.m3u8").unwrap();
    match parse(format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n{text}").as_bytes(), &base).unwrap() {
        Playlist::Media(media) => Arc::new(media),
        Playlist::Master(_) => panic!("not a media playlist"),
    }
}

/// A VOD playlist of these durations; a negative one has a discontinuity before it.
fn vod(durations: &[f64]) -> Arc<MediaPlaylist> {
    playlist(&(segments(durations) + "#EXT-X-ENDLIST\n"))
}

fn segments(durations: &[f64]) -> String {
    let segment = |duration: &f64| {
        let discontinuity = if *duration < 0.0 { "#EXT-X-DISCONTINUITY\n" } else { "" };
        format!("{discontinuity}#EXTINF:{},\ns\n", duration.abs())
    };
    durations.iter().map(segment).collect()
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn timeline(variants: &[&[f64]]) -> Timeline {
    let mut timeline = Timeline::new();
    for (variant, durations) in variants.iter().enumerate() {
        timeline.insert(variant, vod(durations));
    }
    timeline
}

#[test]
fn places_are_the_sum_of_the_durations() {
    let timeline = timeline(&[&[4.0, 4.0, 2.5]]);
    assert_eq!(timeline.start_of(0, 0), Some(Duration::ZERO));
    assert_eq!(timeline.start_of(0, 2), Some(secs(8.0)));
    assert_eq!(timeline.start_of(0, 3), Some(secs(10.5)));
    assert_eq!(timeline.start_of(0, 4), None);
    assert_eq!(timeline.start_of(1, 0), None);
    assert_eq!(timeline.duration(), Some(secs(10.5)));
    let found = timeline.segment_at(0, secs(7.999)).unwrap();
    assert_eq!(
        (found.segment, found.start, found.duration, found.end()),
        (1, secs(4.0), secs(4.0), secs(8.0))
    );
    assert_eq!(timeline.segment_at(0, secs(8.0)).unwrap().segment, 2);
    assert_eq!(timeline.segment_at(0, secs(99.0)).unwrap().segment, 2);
    assert_eq!(timeline.segment_at(1, secs(0.0)), None);
}

#[test]
fn an_empty_playlist_has_no_segment_and_no_duration() {
    let timeline = timeline(&[&[]]);
    assert_eq!(timeline.segment_at(0, Duration::ZERO), None);
    assert_eq!(timeline.duration(), Some(Duration::ZERO));
    assert_eq!(Timeline::new().duration(), None);
}

#[test]
fn variants_are_aligned_by_time_whatever_their_segment_lengths() {
    let mut timeline = timeline(&[&[4.0; 15], &[6.0; 10]]);
    let aligned =
        |timeline: &Timeline, from, segment, to| timeline.aligned(from, segment, to).unwrap().segment;
    assert_eq!(aligned(&timeline, 0, 3, 1), 2);
    assert_eq!(aligned(&timeline, 0, 4, 1), 2);
    assert_eq!(aligned(&timeline, 1, 2, 0), 3);
    assert_eq!(aligned(&timeline, 1, 1, 0), 1);
    assert_eq!(timeline.aligned(0, 16, 1), None);
    assert_eq!(timeline.aligned(0, 1, 7), None);
    // A media sequence number says nothing across variants.
    let text = format!("#EXT-X-MEDIA-SEQUENCE:1000\n{}#EXT-X-ENDLIST\n", segments(&[4.0; 15]));
    timeline.insert(2, playlist(&text));
    assert_eq!(aligned(&timeline, 0, 7, 2), 7);
    assert_eq!(timeline.segment(2, 7).unwrap().media_sequence, 1007);
}

#[test]
fn rounded_durations_do_not_cost_a_segment() {
    // Each boundary of the second variant is a few milliseconds late.
    let timeline = timeline(&[&[3.99; 10], &[3.9912; 10]]);
    assert_eq!(timeline.aligned(0, 5, 1).unwrap().segment, 5);
    assert_eq!(timeline.aligned(1, 5, 0).unwrap().segment, 5);
}

#[test]
fn what_the_media_says_moves_everything_after_it() {
    let mut timeline = timeline(&[&[4.0; 10]]);
    timeline.correct(0, 1, secs(4.1), secs(4.5));
    assert_eq!(timeline.start_of(0, 0), Some(Duration::ZERO));
    assert_eq!(timeline.segment(0, 0).unwrap().duration, secs(4.1));
    assert_eq!(timeline.start_of(0, 1), Some(secs(4.1)));
    assert_eq!(timeline.start_of(0, 2), Some(secs(8.6)));
    assert_eq!(timeline.start_of(0, 9), Some(secs(36.6)));
    assert_eq!(timeline.duration(), Some(secs(40.6)));
    assert_eq!(timeline.segment_at(0, secs(8.5)).unwrap().segment, 1);
    // A shorter segment moves it back.
    timeline.correct(0, 5, secs(20.6), secs(3.0));
    assert_eq!(timeline.start_of(0, 6), Some(secs(23.6)));
    assert_eq!(timeline.duration(), Some(secs(39.6)));
}

#[test]
fn measures_that_contradict_each_other_never_go_back_in_time() {
    let mut timeline = timeline(&[&[4.0; 10]]);
    timeline.correct(0, 3, secs(12.0), secs(4.0));
    timeline.correct(0, 2, secs(30.0), secs(400.0));
    timeline.correct(0, 4, secs(1.0), secs(0.0));
    timeline.correct(0, 7, Duration::MAX, Duration::MAX);
    timeline.correct(0, 8, Duration::ZERO, Duration::MAX);
    timeline.correct(0, 99, Duration::ZERO, Duration::ZERO);
    timeline.correct(5, 0, Duration::ZERO, Duration::ZERO);
    let starts: Vec<_> = (0..=10).map(|segment| timeline.start_of(0, segment).unwrap()).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    for start in starts {
        assert!(timeline.segment_at(0, start).is_some());
    }
}

#[test]
fn a_variant_that_was_not_measured_moves_with_the_one_that_was() {
    // Durations rounded up in both variants: after 900 segments the media is 9 s short.
    let mut timeline = timeline(&[&[4.0; 1000], &[4.0; 1000]]);
    for segment in 0..900 {
        timeline.correct(0, segment, secs(3.99) * segment as u32, secs(3.99));
    }
    assert_eq!(timeline.aligned(0, 900, 1).unwrap().segment, 900);
    assert_eq!(timeline.start_of(1, 900), Some(secs(3591.0)));
    assert_eq!(timeline.segment_at(1, secs(3591.0)).unwrap().segment, 900);
    // Nor does it stay behind after a visit.
    timeline.correct(1, 900, secs(3591.0), secs(3.99));
    for segment in 901..950 {
        timeline.correct(0, segment, secs(3.99) * segment as u32, secs(3.99));
    }
    assert_eq!(timeline.aligned(0, 950, 1).unwrap().segment, 950);
}

#[test]
fn a_variant_with_wrong_durations_does_not_spoil_a_measured_one() {
    let mut timeline = timeline(&[&[4.0; 100], &[3.9; 100]]);
    for segment in 0..50 {
        timeline.correct(0, segment, secs(4.0) * segment as u32, secs(4.0));
    }
    // The media of the second variant is 4 s a segment as well.
    timeline.correct(1, 51, secs(204.0), secs(4.0));
    let place = timeline.start_of(0, 60).unwrap();
    assert!(place.abs_diff(secs(240.0)) < secs(0.2), "{place:?}");
    assert!((51..=52).contains(&timeline.aligned(1, 52, 0).unwrap().segment));
}

#[test]
fn a_run_of_equal_corrections_is_kept_in_two_pins() {
    let mut timeline = timeline(&[&[4.0; 1000]]);
    for segment in 0..1000 {
        timeline.correct(0, segment, secs(0.5) + secs(4.0) * segment as u32, secs(4.0));
    }
    let pins = timeline.tracks[&0].pins.len();
    assert!(pins <= 4, "{pins} pins");
    assert_eq!(timeline.start_of(0, 700), Some(secs(2800.5)));
}

#[test]
fn discontinuity_domains_align_variants_whose_times_differ() {
    // The advertisement between is 30 s in one variant and 33 s in the other.
    let one = [10.0, 10.0, -10.0, 10.0, 10.0, -10.0, 10.0];
    let other = [10.0, 10.0, -11.0, 11.0, 11.0, -10.0, 10.0];
    let timeline = timeline(&[&one, &other]);
    assert_eq!(timeline.aligned(0, 5, 1).unwrap().segment, 5);
    assert_eq!(timeline.aligned(0, 6, 1).unwrap().segment, 6);
    assert_eq!(timeline.aligned(1, 6, 0).unwrap().segment, 6);
    // What the shorter domain lacks: go on with what comes after it.
    let longer = timeline_of_lengths();
    assert_eq!(longer.aligned(0, 3, 1).unwrap().segment, 3);
}

/// The first domain has four segments in one variant and three in the other.
fn timeline_of_lengths() -> Timeline {
    timeline(&[&[4.0, 4.0, 4.0, 4.0, -4.0], &[4.0, 4.0, 4.0, -4.0, 4.0]])
}

#[test]
fn a_discontinuity_before_the_first_segment_of_one_variant_does_not_matter() {
    let timeline = timeline(&[&[-4.0, 4.0, -4.0, 4.0], &[4.0, 4.0, -4.0, 4.0]]);
    for segment in 0..4 {
        assert_eq!(timeline.aligned(0, segment, 1).unwrap().segment, segment);
        assert_eq!(timeline.aligned(1, segment, 0).unwrap().segment, segment);
    }
}

fn live(sequence: u64, durations: &[f64]) -> Arc<MediaPlaylist> {
    playlist(&format!("#EXT-X-MEDIA-SEQUENCE:{sequence}\n{}", segments(durations)))
}

#[test]
fn a_reload_leaves_segments_where_they_were() {
    let mut timeline = Timeline::new();
    timeline.insert(0, live(100, &[4.0, 5.0, 6.0]));
    timeline.correct(0, 1, secs(4.0), secs(5.5));
    timeline.insert(0, live(102, &[6.0, 4.0, 4.0]));
    let first = timeline.segment(0, 0).unwrap();
    assert_eq!((first.media_sequence, first.start), (102, secs(9.5)));
    assert_eq!(timeline.duration(), Some(secs(23.5)));
    // Segments that came and went between two loads count as one target duration each.
    timeline.insert(0, live(107, &[4.0]));
    assert_eq!(timeline.start_of(0, 0), Some(secs(43.5)));
    // A server that steps back.
    timeline.insert(0, live(106, &[4.0, 4.0]));
    assert_eq!(timeline.start_of(0, 0), Some(secs(39.5)));
}

#[test]
fn live_variants_are_aligned_by_the_wall_clock_or_by_their_ends() {
    let dated = |sequence: u64, time: &str, count: usize| {
        let date = format!("#EXT-X-PROGRAM-DATE-TIME:2024-01-01T{time}Z\n");
        playlist(&format!("#EXT-X-MEDIA-SEQUENCE:{sequence}\n{date}{}", segments(&vec![4.0; count])))
    };
    let mut timeline = Timeline::new();
    timeline.insert(0, dated(10, "00:00:08", 5));
    timeline.insert(1, dated(77, "00:00:04", 6));
    assert_eq!(timeline.aligned(0, 0, 1).unwrap().segment, 1);
    assert_eq!(timeline.aligned(1, 5, 0).unwrap().segment, 4);
    assert_eq!(timeline.start_of(1, 0), Some(Duration::ZERO), "before the first variant's beginning");

    let mut timeline = Timeline::new();
    timeline.insert(0, live(10, &[4.0; 5]));
    timeline.insert(1, live(3, &[4.0; 6]));
    assert_eq!(timeline.aligned(0, 4, 1).unwrap().segment, 5);
}

#[test]
fn live_variants_are_aligned_by_a_discontinuity_that_both_show() {
    let text = |sequence: u64, durations: &[f64]| {
        playlist(&format!("#EXT-X-DISCONTINUITY-SEQUENCE:{sequence}\n{}", segments(durations)))
    };
    let mut timeline = Timeline::new();
    timeline.insert(0, text(7, &[4.0, 4.0, -4.0, 4.0]));
    timeline.insert(1, text(7, &[4.0, -4.0, 4.0, 4.0]));
    assert_eq!(timeline.aligned(0, 2, 1).unwrap().segment, 1);
    assert_eq!(timeline.aligned(0, 3, 1).unwrap().segment, 2);
}

#[test]
fn absurd_playlists_do_not_overflow() {
    let text = "#EXT-X-MEDIA-SEQUENCE:9223372036854775807\n#EXT-X-PROGRAM-DATE-TIME:9999-12-31T00:00:00Z\n";
    let mut timeline = Timeline::new();
    timeline.insert(0, playlist(&(text.to_owned() + &segments(&[1_000_000.0; 3]))));
    timeline.insert(
        1,
        playlist(&("#EXT-X-PROGRAM-DATE-TIME:0000-03-01T00:00:00Z\n".to_owned() + &segments(&[1.0]))),
    );
    timeline.insert(0, live(0, &[1_000_000.0; 3]));
    timeline.insert(0, live(u64::MAX / 2, &[1_000_000.0; 3]));
    for variant in 0..2 {
        for segment in 0..3 {
            let _ = (timeline.segment(variant, segment), timeline.aligned(variant, segment, 1 - variant));
        }
    }
}

#[test]
fn a_reference_that_jumps_back_keeps_the_others_ascending() {
    // The second variant was measured at 0 s and, a nominal 20 s later, only 15 s further on.
    let mut timeline = timeline(&[&[4.0; 10], &[10.0; 4]]);
    timeline.correct(1, 2, secs(15.0), secs(10.0));
    let starts: Vec<_> = (0..=10).map(|segment| timeline.start_of(0, segment).unwrap()).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    assert_eq!(starts[5], secs(15.0));
}

#[test]
fn measures_of_three_hundred_years_keep_places_ascending() {
    let mut timeline = timeline(&[&[4.0; 3], &[4.0; 3]]);
    timeline.correct(1, 0, Duration::from_secs(9_000_000_000), Duration::MAX);
    timeline.correct(0, 1, Duration::MAX, Duration::MAX);
    for variant in 0..2 {
        let starts: Vec<_> = (0..=3).map(|segment| timeline.start_of(variant, segment).unwrap()).collect();
        assert!(starts.is_sorted(), "{starts:?}");
    }
}

mod random {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn places_ascend_and_are_found_again(
            one in prop::collection::vec(0.1_f64..12.0, 1..40),
            other in prop::collection::vec(0.1_f64..12.0, 1..40),
            measures in prop::collection::vec((0_usize..2, 0_usize..40, 0.0_f64..500.0, 0.0_f64..20.0), 0..30),
        ) {
            let mut timeline = timeline(&[&one, &other]);
            for (variant, segment, start, duration) in measures {
                timeline.correct(variant, segment, secs(start), secs(duration));
            }
            for (variant, len) in [(0, one.len()), (1, other.len())] {
                let starts: Vec<_> = (0..=len).map(|segment| timeline.start_of(variant, segment).unwrap()).collect();
                prop_assert!(starts.is_sorted(), "{starts:?}");
                for (segment, start) in starts.iter().take(len).enumerate() {
                    let found = timeline.segment_at(variant, *start).unwrap();
                    prop_assert_eq!(found.start, *start);
                    prop_assert!(found.segment >= segment);
                    prop_assert!(timeline.aligned(variant, segment, 1 - variant).is_some());
                }
            }
        }
    }
}

/// A live playlist of these names, four seconds each, with a number for the first.
fn named(sequence: u64, names: &[&str]) -> Arc<MediaPlaylist> {
    let segments: String = names.iter().map(|name| format!("#EXTINF:4,\n{name}\n")).collect();
    playlist(&format!("#EXT-X-MEDIA-SEQUENCE:{sequence}\n{segments}"))
}

#[test]
fn a_list_whose_numbers_stand_still_or_fall_goes_on_by_its_names() {
    // Numbers that stand still, as without EXT-X-MEDIA-SEQUENCE.
    let mut timeline = Timeline::new();
    timeline.insert(0, named(0, &["a", "b", "c"]));
    timeline.insert(0, named(0, &["b?token=2", "c?token=2", "d?token=2"]));
    assert_eq!(timeline.start_of(0, 0), Some(secs(4.0)));
    assert_eq!(timeline.duration_of(0), Some(secs(16.0)));
    // Numbers that begin anew in the middle of the list.
    let mut timeline = Timeline::new();
    timeline.insert(0, named(70, &["c", "d", "e"]));
    timeline.insert(0, named(0, &["d", "e", "f"]));
    assert_eq!(timeline.duration_of(0), Some(secs(16.0)));
    // Numbers and names that begin anew.
    timeline.insert(0, named(100, &["x98", "x99", "x100"]));
    let end = timeline.duration_of(0).unwrap();
    timeline.insert(0, named(0, &["x0", "x1"]));
    assert_eq!(timeline.start_of(0, 0), Some(end));
    // An older copy of the list is no such thing, whatever its tokens.
    timeline.insert(0, named(5, &["x5", "x6"]));
    let start = timeline.start_of(0, 0).unwrap();
    timeline.insert(0, named(4, &["x4?old", "x5?old"]));
    assert_eq!(timeline.start_of(0, 1), Some(start));
}

#[test]
fn a_variant_that_is_left_over_from_before_a_restart_joins_the_others_where_they_are() {
    let mut timeline = Timeline::new();
    timeline.insert(0, named(100, &["l0", "l1"]));
    timeline.insert(1, named(100, &["h0", "h1"]));
    // Only the second is played for a quarter of an hour, and then across the restart.
    timeline.insert(1, named(325, &["h325", "h326"]));
    let restart = timeline.duration_of(1).unwrap();
    timeline.insert(1, named(0, &["new0", "new1"]));
    assert_eq!(timeline.start_of(1, 0), Some(restart));
    timeline.insert(1, named(1, &["new1", "new2"]));
    timeline.insert(0, named(1, &["low1", "low2"]));
    assert_eq!(timeline.start_of(0, 0), Some(restart + secs(4.0)), "as the other's number 1");
    assert_eq!((timeline.restarts(0), timeline.restarts(1)), (1, 1));

    // The first that is seen to begin anew stands behind everything: the other one was being played.
    let mut timeline = Timeline::new();
    timeline.insert(0, named(100, &["l0", "l1"]));
    timeline.insert(1, named(100, &["h0", "h1"]));
    timeline.insert(1, named(325, &["h325", "h326"]));
    timeline.insert(0, named(0, &["low0", "low1"]));
    assert_eq!(timeline.start_of(0, 0), Some(restart));
    // Both again: the one that comes second is as new as the first.
    timeline.insert(1, named(0, &["new0", "new1"]));
    assert_eq!(timeline.start_of(1, 0), Some(restart));
    assert_eq!((timeline.restarts(0), timeline.restarts(1)), (1, 1));
}
