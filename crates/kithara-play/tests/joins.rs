//! Joins between tracks: no frame lost, doubled or moved.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use kithara_decode::AudioSpec;
use kithara_play::{Loudness, LoudnessOptions, Player, PlayerOptions, Repeat, ReplayGain};
use support::{Script, drain, failing, play_all};

const SPEC: AudioSpec = AudioSpec::new(8_000, 1);

fn player() -> Player {
    Player::new(PlayerOptions::default()).unwrap()
}

/// Exact in `f32` for every frame of an hour.
fn count(frame: u64) -> f32 {
    (frame % 10_007) as f32
}

#[tokio::test(start_paused = true)]
async fn tracks_follow_each_other_to_the_frame() {
    let player = player();
    let lengths = [8_001, 1, 12_345, 999, 1_000, 1_001, 40_000];
    for frames in lengths {
        player.push(Script::new(SPEC, frames, count).track());
    }
    let heard = play_all(&player, SPEC).await;
    let expected: Vec<f32> = lengths.into_iter().flat_map(|frames| (0..frames).map(count)).collect();
    assert_eq!(heard, expected);
}

#[tokio::test(start_paused = true)]
async fn tracks_of_other_formats_keep_their_exact_length() {
    let player = player();
    let formats = [(48_000, 2, 48_000), (8_000, 1, 4_000), (44_100, 1, 44_100), (22_050, 2, 2_205)];
    for (rate, channels, frames) in formats {
        player.push(Script::new(AudioSpec::new(rate, channels), frames, |_| 0.25).track());
    }
    let heard = play_all(&player, AudioSpec::new(48_000, 2)).await;
    assert_eq!(heard.len() / 2, 48_000 + 24_000 + 48_000 + 4_800);
}

#[tokio::test(start_paused = true)]
async fn a_crossfade_overlaps_by_its_length_at_each_join_and_not_at_the_ends() {
    let player = Player::new(PlayerOptions::default().with_crossfade(Duration::from_millis(500))).unwrap();
    for _ in 0..3 {
        player.push(Script::new(SPEC, 16_000, |_| 1.0).track());
    }
    let heard = play_all(&player, SPEC).await;
    assert_eq!(heard.len(), 3 * 16_000 - 2 * 4_000);
    assert!(heard[..12_000].iter().chain(&heard[28_000..]).all(|sample| *sample == 1.0));
    assert!(heard.iter().all(|sample| (0.99..1.42).contains(sample)), "equal power of equal sound");
}

#[tokio::test(start_paused = true)]
async fn twenty_four_hours_of_a_queue_lose_and_double_no_frame() {
    const TRACK: u64 = 4_000 * 173 + 211;
    let spec = AudioSpec::new(4_000, 1);
    let player = player();
    for _ in 0..20 {
        let mut script = Script::new(spec, TRACK, count);
        script.chunk = 1_152;
        player.push(script.track());
    }
    player.set_repeat(Repeat::All);
    let mut renderer = player.attach(spec);
    player.play();
    let (mut block, mut total, mut frame) = (vec![0.0; 2_000], 0u64, 0u64);
    while total < 24 * 3_600 * 4_000 {
        assert!(renderer.ready().await);
        let frames = renderer.take(&mut block);
        for sample in &block[..frames] {
            assert_eq!(*sample, count(frame), "frame {frame} of a track, {total} in all");
            frame = (frame + 1) % TRACK;
            total += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn failed_tracks_are_skipped_and_do_not_end_the_queue() {
    let player = player();
    let mut cut = Script::new(SPEC, 5_000, count);
    cut.fails_at = Some(2_000);
    player.push(failing());
    player.push(cut.track());
    player.push(failing());
    player.push(Script::new(SPEC, 3_000, count).track());
    let heard = play_all(&player, SPEC).await;
    let expected: Vec<f32> = (0..2_000).chain(0..3_000).map(count).collect();
    assert_eq!(heard, expected);
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_nothing_but_failures_ends() {
    let player = player();
    for _ in 0..3 {
        player.push(failing());
        player.push(Script::new(SPEC, 0, count).track());
    }
    player.set_repeat(Repeat::All);
    assert_eq!(play_all(&player, SPEC).await, [0.0; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_added_after_the_end_plays_when_asked() {
    let player = player();
    player.push(Script::new(SPEC, 100, count).track());
    let mut renderer = player.attach(SPEC);
    player.play();
    assert_eq!(drain(&mut renderer).await.len(), 100);
    let mut state = player.state();
    state.wait_for(|state| state.ended).await.unwrap();
    player.push(Script::new(SPEC, 50, count).track());
    player.play();
    state.wait_for(|state| !state.ended).await.unwrap();
    assert_eq!(drain(&mut renderer).await.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn loudness_levels_each_track_by_its_own_gain() {
    let loudness = LoudnessOptions::new(Loudness::Track);
    let player = Player::new(PlayerOptions::default().with_loudness(loudness)).unwrap();
    for gain in [-6.0206, 6.0206] {
        let gain = ReplayGain { track_gain: Some(gain), track_peak: Some(0.625), ..ReplayGain::default() };
        player.push(Script::new(SPEC, 1_000, |_| 0.5).track().with_gain(gain));
    }
    let heard = play_all(&player, SPEC).await;
    assert!(heard[..1_000].iter().all(|sample| (sample - 0.25).abs() < 1e-4));
    assert!(heard[1_000..].iter().all(|sample| (sample - 0.8).abs() < 1e-4), "up to the stated peak");
}

#[tokio::test(start_paused = true)]
async fn speed_shortens_the_track_and_positions_stay_the_tracks_own() {
    let spec = AudioSpec::new(48_000, 1);
    let player = player();
    player.push(Script::new(spec, 48_000 * 10, |frame| (frame as f32 * 0.05).sin()).track());
    player.set_speed(1.25);
    let mut renderer = player.attach(spec);
    player.play();
    let mut block = vec![0.0; 480];
    let mut taken = 0;
    while taken < 4 * 48_000 {
        assert!(renderer.ready().await);
        taken += renderer.take(&mut block);
    }
    let position = player.position().as_secs_f64();
    assert!((position - 5.0).abs() < 0.1, "{position}");
    let rest = drain(&mut renderer).await.len();
    let seconds = (taken + rest) as f64 / 48_000.0;
    assert!((seconds - 8.0).abs() < 0.1, "{seconds}");
}
