//! The output's side of a player allocates nothing.
#![allow(clippy::unwrap_used, unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use kithara_decode::AudioSpec;
use kithara_play::{Player, PlayerOptions};
use support::Script;

thread_local! {
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Counting;

// SAFETY: every call is the system allocator's; counting touches a thread-local cell that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get().map(|count| count + 1)));
        // SAFETY: the caller's obligations are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        COUNT.with(|count| count.set(count.get().map(|count| count + 1)));
        // SAFETY: the caller's obligations are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::test(start_paused = true)]
async fn filling_allocates_and_frees_nothing_through_stalls_seeks_and_joins() {
    let spec = AudioSpec::new(48_000, 2);
    let player = Player::new(PlayerOptions::default()).unwrap();
    for _ in 0..3 {
        player.push(Script::new(spec, 48_000, |frame| frame as f32).track());
    }
    let mut renderer = player.attach(spec);
    player.play();
    let mut block = vec![0.0; 960];
    let mut heard = 0;
    for round in 0..400 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        match round {
            50 => player.seek(std::time::Duration::from_millis(700)),
            100 => player.pause(),
            120 => player.play(),
            130 => player.set_volume(0.5),
            _ => {}
        }
        COUNT.with(|count| count.set(Some(0)));
        heard += renderer.fill(&mut block);
        let allocated = COUNT.with(|count| count.replace(None));
        assert_eq!(allocated, Some(0), "in round {round}");
    }
    assert!(heard > 2 * 48_000, "{heard}");
}
