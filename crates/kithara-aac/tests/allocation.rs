//! What a decoder allocates: everything at first, and then no more.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{decoder, packets, read};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test alone: the counters are the process's.
#[test]
fn packets_are_decoded_without_allocation_in_bounded_memory() {
    for (name, most) in [
        ("lc_stereo.aac", 110),
        ("lc_tools.aac", 110),
        ("main.aac", 160),
        ("ltp.aac", 160),
        ("he_v1_stereo.aac", 250),
        ("he_v2_44100.aac", 400),
        ("he_v2.loas", 400),
        ("lc_8ch.aac", 300),
    ] {
        let bytes = read(name);
        let all = packets(name, &bytes);
        // Tables that every decoder of the process shares.
        decoder(name).decode(all[0]).unwrap();
        let before = LIVE.load(Ordering::Relaxed);
        let mut decoder = decoder(name);
        decoder.decode(all[0]).unwrap();
        decoder.decode(all[1]).unwrap();
        let count = COUNT.load(Ordering::Relaxed);
        for packet in &all {
            decoder.decode(packet).unwrap();
        }
        decoder.reset();
        for packet in &all {
            let cut = &packet[..packet.len() - packet.len() / 3];
            let _ = decoder.decode(cut);
        }
        assert_eq!(COUNT.load(Ordering::Relaxed), count, "{name}: allocations");
        let kilobytes = (LIVE.load(Ordering::Relaxed) - before + size_of_val(&decoder)) / 1024;
        println!("{name}: {kilobytes} KB");
        assert!(kilobytes <= most, "{name}: {kilobytes} KB");
    }
}
