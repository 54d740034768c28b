//! Servers as they are: stations that do not say so, ranges that are refused or shifted, bodies that trickle.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, header};
use kithara_file::{FileError, FileEvent};
use kithara_net::{MockAnswer, MockStep, Request};
use kithara_testkit::pattern;
use tokio::time::Instant;

use crate::bed::{Bed, Count, KB, MB, check, drain, entity, paced, read, serve, settle};
use crate::endless::station;

#[tokio::test(start_paused = true)]
async fn metadata_in_a_body_of_declared_length_is_no_audio() {
    let audio = entity(1, 300_000);
    let bed = Bed::new(move |_| {
        let mixed = station(&audio, 16_000);
        // 18 whole intervals, each with a length byte, every other one with 32 bytes of text.
        let len = 300_000 + 18 + 9 * 32;
        mixed.with_header(header::CONTENT_LENGTH, &len.to_string())
    });
    let source = bed.open().await;
    let mut events = source.events();
    check(&source, 0, 200_000).await;
    assert!(drain(&mut events).iter().any(|event| matches!(event, FileEvent::Title { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_station_that_gives_no_name_is_a_station_too() {
    for name in ["icy-pub", "icy-metadata", "icy-url"] {
        let audio = entity(1, MB);
        let count = Count::default();
        let bed = Bed::new(move |_| {
            let part = if count.next() == 0 { audio.slice(..300_000) } else { audio.slice(300_000..) };
            let answer = paced(MockAnswer::ok(part).close_delimited());
            answer.with_header(HeaderName::from_bytes(name.as_bytes()).unwrap(), "1")
        });
        let source = bed.open().await;
        assert_eq!(source.stats().bytes_stored, 0, "{name}");
        check(&source, 0, MB).await;
    }
}

/// Audio without a length, a name or a validator.
fn bare(body: Bytes) -> MockAnswer {
    paced(MockAnswer::ok(body).close_delimited().with_header(header::CONTENT_TYPE, "audio/mpeg"))
}

#[tokio::test(start_paused = true)]
async fn bare_audio_that_goes_on_with_other_bytes_is_a_station() {
    for breaks in [false, true] {
        let audio = entity(1, MB);
        let count = Count::default();
        let bed = Bed::new(move |_| match count.next() {
            0 if breaks => bare(audio.slice(..300_000)).then(MockStep::Break),
            0 => bare(audio.slice(..300_000)),
            1 => bare(audio.slice(300_000..600_000)),
            _ => bare(audio.slice(600_000..)),
        });
        let source = bed.open().await;
        check(&source, 0, MB).await;
        assert_eq!(bed.starts().len(), 3, "breaks {breaks}: {:?}", bed.starts());
    }
}

#[tokio::test(start_paused = true)]
async fn bare_audio_that_begins_anew_with_the_same_bytes_is_a_file() {
    let body = entity(1, MB);
    let bed = Bed::new(move |_| bare(body.clone()));
    let source = bed.open().await;
    check(&source, 0, MB).await;
    assert!(read(&source, MB, 1).await.unwrap().is_empty());
    assert_eq!(bed.starts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn parts_that_begin_before_the_asked_byte_are_read_in_order() {
    for shift in [u64::MAX, 100 * KB, KB] {
        let body = entity(1, 2 * MB);
        let count = Count::default();
        let bed = Bed::new(move |request: &Request| {
            let is_first = count.next() == 0;
            let Some(range) = request.range else {
                let whole = serve(&body, request);
                return if is_first { whole.cut(300_000, MockStep::Break) } else { whole };
            };
            let start = range.start.saturating_sub(shift);
            let part = body.slice(usize::try_from(start).unwrap()..);
            let answer = MockAnswer::status(206)
                .with_header(header::CONTENT_RANGE, &format!("bytes {start}-{}/{}", 2 * MB - 1, 2 * MB))
                .with_header(header::ETAG, "\"v1\"")
                .then(MockStep::Data(part));
            paced(answer)
        });
        let source = bed.open().await;
        check(&source, 0, 2 * MB).await;
        assert_eq!(bed.starts(), [0, 300_000, 0], "shifted by {shift}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_range_does_not_end_a_body_that_flows() {
    for status in [400, 403, 404, 405, 406, 501] {
        let body = entity(1, 2 * MB);
        let bed = Bed::new(move |request| match request.range {
            Some(_) => MockAnswer::status(status),
            None => serve(&body, request),
        });
        let source = bed.open().await;
        let mut events = source.events();
        check(&source, 0, KB).await;
        check(&source, 2 * MB - KB, KB).await;
        check(&source, 0, 2 * MB).await;
        assert_eq!(bed.starts(), [0, 2 * MB - KB], "{status}");
        assert!(drain(&mut events).iter().any(|event| matches!(event, FileEvent::NoRanges)));
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_without_a_validator_are_compared_before_they_are_spliced() {
    for is_part in [true, false] {
        for (version, is_same) in [(1, true), (2, false)] {
            let (first, then) = (entity(1, MB), entity(version, MB));
            let count = Count::default();
            let bed = Bed::new(move |request| match count.next() {
                0 => paced(MockAnswer::ok(first.clone()).cut(300_000, MockStep::Break)),
                _ if is_part => paced(MockAnswer::serve(&then, None, request)),
                _ => paced(MockAnswer::ok(then.clone())),
            });
            let source = bed.open().await;
            let all = read(&source, 0, MB).await;
            match is_same {
                true => assert_eq!(pattern::mismatch(1, 0, &all.unwrap()), None),
                false => {
                    let error = all.unwrap_err();
                    assert!(matches!(error, FileError::EntityChanged { .. }), "part {is_part}: {error:?}");
                }
            }
            assert_eq!(bed.starts()[1], 300_000 - KB, "the last KiB is asked for again");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let body = entity(1, MB);
    let bed = Bed::new(move |request| {
        let mut answer =
            MockAnswer::serve(&body, Some("\"v1\""), request).cut(0, MockStep::Wait(Duration::ZERO));
        let start = usize::try_from(request.range.map_or(0, |range| range.start)).unwrap();
        for at in start..start + 2000 {
            answer =
                answer.then(MockStep::Data(body.slice(at..=at))).then(MockStep::Wait(Duration::from_secs(1)));
        }
        answer
    });
    let source = bed.open().await;
    let begun = Instant::now();
    let error = read(&source, 0, MB).await.unwrap_err();
    assert!(matches!(error, FileError::Server { .. }), "{error:?}");
    assert!((100..300).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert_eq!(bed.starts().len(), 4, "as often as the policy says");
    settle().await;
}
