//! Playing at the pace of the media over a line that is not much faster, in virtual time.

use std::time::Duration;

use kithara_file::LookAhead;
use kithara_net::{MockAnswer, MockStep};
use tokio::time::{Instant, sleep_until};

use crate::bed::{Bed, KB, MB, check, entity};

/// 400 KB/s: what a millisecond brings.
const LINE: usize = 400;
/// A file of three megabytes at the byte rates of MP3 (128 kbit/s), AAC, FLAC and WAV.
const RATES: [u64; 4] = [16_000, 32_000, 100_000, 176_400];

/// Reads as a player does, a second ahead of what is heard. How often what was to be heard was not there.
async fn play(bed: &Bed, rate: u64) -> u32 {
    let source = bed.open().await;
    check(&source, 0, 8 * KB).await;
    let began = Instant::now();
    let (mut offset, mut late) = (8 * KB, 0);
    while offset < 3 * MB {
        let heard_at = began + Duration::from_secs_f64(offset as f64 / rate as f64);
        sleep_until(heard_at - Duration::from_secs(1).min(heard_at - began)).await;
        let len = (4 * KB).min(3 * MB - offset);
        check(&source, offset, len).await;
        late += u32::from(Instant::now() > heard_at);
        offset += len;
    }
    late
}

#[tokio::test(start_paused = true)]
async fn a_file_plays_at_400_kb_per_second_without_a_stall() {
    let body = entity(1, 3 * MB);
    for rate in RATES {
        let served = body.clone();
        let mut bed = Bed::new(move |request| {
            MockAnswer::serve(&served, Some("\"v1\""), request)
                .in_chunks(LINE)
                .after(Duration::from_millis(50))
        });
        bed.options.look_ahead = LookAhead::default();
        let began = Instant::now();
        let source = bed.open().await;
        check(&source, 0, 64 * KB).await;
        let beginning = began.elapsed();
        drop(source);
        assert!(beginning <= Duration::from_millis(50 + 64 * 1024 / LINE as u64 + 10), "{beginning:?}");
        assert_eq!(play(&bed, rate).await, 0, "{rate}");
        assert!(bed.starts().len() <= 3, "{:?}", bed.starts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_every_half_megabyte_is_not_heard() {
    let body = entity(1, 3 * MB);
    for rate in RATES {
        let served = body.clone();
        let mut bed = Bed::new(move |request| {
            MockAnswer::serve(&served, Some("\"v1\""), request)
                .cut(500_000, MockStep::Break)
                .in_chunks(LINE)
                .after(Duration::from_millis(50))
        });
        bed.options.look_ahead = LookAhead::default();
        assert_eq!(play(&bed, rate).await, 0, "{rate}");
        assert_eq!(bed.starts().len(), 7, "{:?}", bed.starts());
    }
}
