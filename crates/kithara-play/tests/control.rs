//! The handle: seeks, skips, pauses, stalls, lost outputs, and the events of all that.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use kithara_decode::AudioSpec;
use kithara_play::output::{Null, write_wav};
use kithara_play::{Player, PlayerEvent, PlayerOptions, Repeat};
use support::{Gate, Script, drain};
use tokio::sync::broadcast::Receiver;

const SPEC: AudioSpec = AudioSpec::new(8_000, 1);

fn player() -> Player {
    Player::new(PlayerOptions::default()).unwrap()
}

fn count(frame: u64) -> f32 {
    frame as f32
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The next event that `wanted` takes; others are passed over.
async fn event<T>(events: &mut Receiver<PlayerEvent>, wanted: impl Fn(&PlayerEvent) -> Option<T>) -> T {
    loop {
        let event = events.recv().await.unwrap();
        if let Some(found) = wanted(&event) {
            return found;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_seek_lands_on_the_frame() {
    let player = player();
    player.push(Script::new(SPEC, 80_000, count).track());
    let mut renderer = player.attach(SPEC);
    player.play();
    let mut block = [0.0; 100];
    assert!(renderer.ready().await);
    renderer.take(&mut block);
    player.seek(seconds(9));
    tokio::task::yield_now().await;
    let rest = drain(&mut renderer).await;
    assert_eq!(rest[0], 72_000.0);
    assert_eq!(rest.len(), 8_000);
}

#[tokio::test(start_paused = true)]
async fn a_seek_while_the_network_stalls_replaces_the_wait() {
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let mut script = Script::new(SPEC, 160_000, count);
    script.gate = Some(Arc::clone(&gate));
    let player = player();
    player.push(script.track());
    let mut events = player.events();
    let _output = Null::start(player.attach(SPEC));
    player.play();
    event(&mut events, |event| matches!(event, PlayerEvent::TrackStarted { .. }).then_some(())).await;
    gate.set(false);
    event(&mut events, |event| matches!(event, PlayerEvent::Stalled).then_some(())).await;
    assert!(player.state().borrow().stalled);
    player.seek(seconds(5));
    player.seek(seconds(15));
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(player.position(), seconds(15), "the wait goes on there");
    gate.set(true);
    tokio::time::sleep(seconds(1)).await;
    let position = player.position();
    assert!(position > seconds(15) && position < seconds(17), "{position:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_told_and_ends() {
    let gate = Arc::new(Gate::default());
    gate.set(true);
    let mut script = Script::new(SPEC, 800_000, count);
    script.gate = Some(Arc::clone(&gate));
    let player = player();
    player.push(script.track());
    let mut events = player.events();
    let _output = Null::start(player.attach(SPEC));
    player.play();
    tokio::time::sleep(seconds(1)).await;
    gate.set(false);
    event(&mut events, |event| matches!(event, PlayerEvent::Stalled).then_some(())).await;
    let held = player.position();
    tokio::time::sleep(seconds(2)).await;
    assert_eq!(player.position(), held);
    gate.set(true);
    let waited = event(&mut events, |event| match event {
        PlayerEvent::Resumed { waited } => Some(*waited),
        _ => None,
    });
    assert!(waited.await >= seconds(2));
}

#[tokio::test(start_paused = true)]
async fn a_pause_keeps_the_position() {
    let player = player();
    player.push(Script::new(SPEC, 800_000, count).track());
    let _output = Null::start(player.attach(SPEC));
    player.play();
    tokio::time::sleep(seconds(2)).await;
    player.pause();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let held = player.position();
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(player.position(), held);
    player.play();
    tokio::time::sleep(seconds(2)).await;
    assert!(player.position() > held + seconds(1));
}

#[tokio::test(start_paused = true)]
async fn skipping_goes_both_ways_and_tells_what_is_heard() {
    let player = player();
    let ids: Vec<_> = (0..3).map(|_| player.push(Script::new(SPEC, 800_000, count).track())).collect();
    let mut state = player.state();
    let _output = Null::start(player.attach(SPEC));
    player.play();
    state.wait_for(|state| state.track == Some(ids[0])).await.unwrap();
    tokio::time::sleep(seconds(1)).await;
    assert!(player.next());
    state.wait_for(|state| state.track == Some(ids[1])).await.unwrap();
    tokio::time::sleep(seconds(4)).await;
    player.previous();
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(player.state().borrow().track, Some(ids[1]), "after 3 s: its own beginning");
    player.previous();
    state.wait_for(|state| state.track == Some(ids[0])).await.unwrap();
    assert!(player.play_track(ids[2]));
    state.wait_for(|state| state.track == Some(ids[2])).await.unwrap();
    assert!(!player.next(), "there is none");
}

#[tokio::test(start_paused = true)]
async fn a_lost_output_is_told_and_another_one_goes_on_there() {
    let player = player();
    player.push(Script::new(SPEC, 800_000, count).track());
    let mut events = player.events();
    let output = Null::start(player.attach(SPEC));
    player.play();
    tokio::time::sleep(seconds(7)).await;
    drop(output);
    event(&mut events, |event| matches!(event, PlayerEvent::OutputLost).then_some(())).await;
    let mut renderer = player.attach(AudioSpec::new(16_000, 2));
    assert!(renderer.ready().await);
    let mut block = [0.0; 32_000];
    renderer.take(&mut block);
    let position = player.position();
    assert!(position > seconds(6) && position < seconds(9), "{position:?}");
}

#[tokio::test(start_paused = true)]
async fn starts_and_ends_are_told_when_they_are_heard() {
    let player = player();
    let ids: Vec<_> = (0..2).map(|_| player.push(Script::new(SPEC, 16_000, count).track())).collect();
    let mut events = player.events();
    let started = tokio::time::Instant::now();
    let _output = Null::start(player.attach(SPEC));
    player.play();
    let mut told = Vec::new();
    loop {
        let event = events.recv().await.unwrap();
        let at = started.elapsed().as_secs_f64().round();
        match event {
            PlayerEvent::TrackStarted { id } => told.push(("started", Some(id), at)),
            PlayerEvent::TrackEnded { id } => told.push(("ended", Some(id), at)),
            PlayerEvent::QueueEnded => {
                told.push(("queue", None, at));
                break;
            }
            _ => {}
        }
    }
    let expected = [
        ("started", Some(ids[0]), 0.0),
        ("ended", Some(ids[0]), 2.0),
        ("started", Some(ids[1]), 2.0),
        ("ended", Some(ids[1]), 4.0),
        ("queue", None, 4.0),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn the_successor_is_opened_in_time_and_not_before() {
    let player = player();
    player.push(Script::new(SPEC, 8_000 * 60, count).track());
    let second = Script::new(SPEC, 8_000, count);
    let opened = Arc::clone(&second.opened);
    player.push(second.track());
    let _output = Null::start(player.attach(SPEC));
    player.play();
    let is_open = || opened.load(std::sync::atomic::Ordering::SeqCst) > 0;
    tokio::time::sleep(seconds(30)).await;
    assert!(!is_open());
    tokio::time::sleep(seconds(20)).await;
    assert!(is_open());
}

#[tokio::test(start_paused = true)]
async fn a_changed_queue_exchanges_the_track_that_was_opened_ahead() {
    let player = player();
    player.push(Script::new(SPEC, 8_000, |_| 1.0).track());
    let second = player.push(Script::new(SPEC, 8_000, |_| 2.0).track());
    let mut renderer = player.attach(SPEC);
    player.play();
    assert!(renderer.ready().await);
    player.remove(second);
    player.push(Script::new(SPEC, 4_000, |_| 3.0).track());
    let heard = drain(&mut renderer).await;
    assert_eq!(heard.len(), 12_000);
    assert_eq!(heard[8_000..], [3.0; 4_000]);
}

#[tokio::test(start_paused = true)]
async fn one_track_repeats_until_told_otherwise() {
    let player = player();
    player.push(Script::new(SPEC, 1_000, count).track());
    player.set_repeat(Repeat::One);
    let mut renderer = player.attach(SPEC);
    player.play();
    let mut block = [0.0; 500];
    for round in 0..10 {
        assert!(renderer.ready().await);
        let mut taken = 0;
        while taken < block.len() {
            assert!(renderer.ready().await);
            taken += renderer.take(&mut block[taken..]);
        }
        assert_eq!(block[0], if round % 2 == 0 { 0.0 } else { 500.0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_becomes_a_wav_file() {
    let player = player();
    player.push(Script::new(SPEC, 5_000, |_| 0.5).track());
    player.push(Script::new(SPEC, 5_000, |_| 0.25).track());
    let renderer = player.attach(SPEC);
    player.play();
    let mut file = tempfile::tempfile().unwrap();
    assert_eq!(write_wav(renderer, &mut file).await.unwrap(), 10_000);
    assert_eq!(file.metadata().unwrap().len(), 58 + 40_000);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_player_ends_an_output_that_waits() {
    let player = player();
    let mut renderer = player.attach(SPEC);
    let waiting = tokio::spawn(async move { renderer.ready().await });
    tokio::task::yield_now().await;
    drop(player);
    assert!(!waiting.await.unwrap());
}

#[test]
fn a_player_outside_of_a_runtime_is_an_error() {
    assert!(Player::new(PlayerOptions::default()).unwrap_err().to_string().contains("runtime"));
}
