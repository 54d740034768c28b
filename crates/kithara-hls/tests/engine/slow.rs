//! Segments that arrive too slowly, and bodies whose end nothing proves.

use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_hls::{HlsEvent, HlsOptions, VariantMode};
use kithara_testkit::{Gate, Origin, Reply};

use crate::support::{MASTER, difference, locked, open, options, read, read_all, segment_path};

/// Begins with the best variant, as after an earlier stream.
fn begin_high() -> HlsOptions {
    let mut options = options();
    options.abr.initial_throughput = Some(20_000_000);
    options
}

#[tokio::test]
async fn a_segment_that_stops_arriving_is_given_up_for_a_lesser_one() {
    let origin = Origin::start().await.unwrap();
    // Never opened: whoever waits for the rest of this segment waits for ever.
    let gate = Gate::new();
    origin.always(&segment_path("flac", 2), Reply::ok().stall_at(20_000, &gate));
    let options = begin_high();
    // What comes before is in the store: however slow the machine is, this is the first that arrives slowly.
    let mut before = options.clone();
    before.variant = VariantMode::Manual(3);
    before.look_ahead.segments = 1;
    let mut stream = open(&origin, MASTER, before).await;
    let mut events = stream.events();
    while !matches!(events.recv().await, Ok(HlsEvent::SegmentStored { segment: 1, .. })) {}
    drop(stream);
    let mut stream = open(&origin, MASTER, options).await;
    let mut events = stream.events();
    let samples = read_all(&mut stream).await;
    let whole = read_all(&mut open(&origin, MASTER, locked(2)).await).await;
    assert!(samples.len().abs_diff(whole.len()) < 2 * 4096, "{} {}", samples.len(), whole.len());
    assert_eq!(stream.stats().gaps, 0);
    let mut abandoned = None;
    let mut switched = false;
    while let Ok(event) = events.try_recv() {
        match event {
            HlsEvent::SegmentAbandoned { variant, segment } => {
                abandoned.get_or_insert((variant, segment));
            }
            HlsEvent::VariantSwitched { from: 3, at, .. } => {
                switched = true;
                assert!(at >= Duration::from_secs(7), "{at:?}");
            }
            HlsEvent::VariantExcluded { variant, error, .. } => {
                panic!("{variant} is slow, not broken: {error}")
            }
            _ => {}
        }
    }
    assert_eq!((abandoned, switched), (Some((3, 2)), true));
}

#[tokio::test]
async fn a_locked_variant_is_waited_for() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::new();
    origin.always(&segment_path("flac", 1), Reply::ok().stall_at(20_000, &gate));
    let mut stream = open(&origin, MASTER, locked(3)).await;
    let mut events = stream.events();
    read(&mut stream, 4 * 44_100).await;
    gate.wait_for_arrivals(1).await;
    // Longer than any slow segment is waited for, and shorter than the network's own patience.
    tokio::time::pause();
    let rest = tokio::time::timeout(Duration::from_secs(10), read_all(&mut stream)).await;
    assert!(rest.is_err(), "the segment cannot be there");
    tokio::time::resume();
    gate.open();
    read_all(&mut stream).await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, HlsEvent::SegmentAbandoned { .. } | HlsEvent::VariantSwitched { .. }));
    }
}

#[tokio::test]
async fn what_ends_without_proof_is_played_and_not_kept_as_complete() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, MASTER, locked(1)).await).await;
    let path = segment_path("128k", 1);
    origin.always(&path, Reply::ok().close_delimited());
    let folder = tempfile::tempdir().unwrap();
    for run in 1..=2 {
        origin.forget();
        let mut options = locked(1);
        options.assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        let mut stream = open(&origin, MASTER, options).await;
        let samples = read_all(&mut stream).await;
        assert!(difference(&samples, &whole) < 1e-6);
        assert!(origin.count(&path) >= 1, "asked for again in run {run}");
        let others = origin.requests().iter().filter(|request| request.path() != path).count();
        assert_eq!(others > 0, run == 1, "everything else is kept");
        // Once more from the middle of it, in the same run.
        stream.seek(Duration::from_secs(6)).await.unwrap();
        let part = read(&mut stream, 1000).await;
        assert!(difference(&part, &whole[6 * 44_100 * 2..][..part.len()]) < 1e-3);
    }
}

#[tokio::test]
async fn bounds_below_one_segment_are_no_deadlock() {
    let origin = Origin::start().await.unwrap();
    let whole = read_all(&mut open(&origin, MASTER, locked(1)).await).await;
    let tight: [fn(&mut kithara_hls::LookAhead); 4] = [
        |bounds| bounds.segments = 0,
        |bounds| bounds.duration = Duration::from_millis(1),
        |bounds| bounds.bytes = 1,
        |bounds| bounds.parallel = 0,
    ];
    for tighten in tight {
        let mut options = locked(1);
        tighten(&mut options.look_ahead);
        let mut stream = open(&origin, MASTER, options).await;
        assert_eq!(read_all(&mut stream).await.len(), whole.len());
        stream.seek(Duration::from_secs(9)).await.unwrap();
        assert_eq!(read(&mut stream, 1000).await.len(), 2000);
    }
}

#[tokio::test]
async fn what_follows_a_segment_that_hangs_comes_nevertheless() {
    let origin = Origin::start().await.unwrap();
    let gate = Gate::new();
    origin.always(&segment_path("64k", 2), Reply::ok().stall_at(1000, &gate));
    let mut stream = open(&origin, MASTER, locked(0)).await;
    let mut events = stream.events();
    // One at a time until then: they come at once.
    let next =
        async { while !matches!(events.recv().await, Ok(HlsEvent::SegmentStored { segment: 3, .. })) {} };
    tokio::time::timeout(Duration::from_secs(20), next).await.expect("nothing is fetched beside it");
    gate.open();
    read_all(&mut stream).await;
    assert_eq!(stream.stats().gaps, 0);
}
