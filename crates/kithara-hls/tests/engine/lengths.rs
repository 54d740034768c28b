//! What is told of segments that are not as long as the playlist says.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use kithara_testkit::{Origin, media};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{open, options, playlist, read_all, text};

/// The warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("kithara_hls")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is told of lengths while `list` is played from its start and from a place in its second segment.
async fn told(list: &str) -> Vec<String> {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let origin = Origin::start().await.unwrap();
    origin.serve("/hls/ts-aac/other.m3u8", playlist(list));
    let mut stream = open(&origin, "/hls/ts-aac/other.m3u8", options()).await;
    read_all(&mut stream).await;
    stream.seek(std::time::Duration::from_millis(3100)).await.unwrap();
    read_all(&mut stream).await;
    let told = warnings.0.lock().unwrap();
    told.iter().filter(|line| line.contains("EXTINF")).cloned().collect()
}

#[tokio::test]
async fn a_segment_that_is_not_as_long_as_its_extinf_says_is_told_of() {
    let list = text(media::find("ts-aac").unwrap().entry);
    assert_eq!(told(list).await, [""; 0], "nothing where all is right, nor behind a seek into a segment");
    let second = list.lines().filter(|line| line.starts_with("#EXTINF")).nth(1).unwrap();
    // Half a second is as good as a rounded duration.
    let seconds: f64 = second.trim_start_matches("#EXTINF:").trim_end_matches(',').parse().unwrap();
    let with = |seconds: f64| list.replacen(second, &format!("#EXTINF:{seconds},"), 2);
    assert_eq!(told(&with(seconds + 0.5)).await, [""; 0]);
    for wrong in [seconds + 2.0, seconds - 1.5] {
        let told = told(&with(wrong)).await;
        assert!(!told.is_empty(), "{wrong}");
        assert!(told.iter().all(|line| line.contains("declared") && line.contains("actual")), "{told:?}");
        assert!(told[0].contains("segment=1"), "{told:?}");
    }
}

#[tokio::test]
async fn a_list_without_any_duration_is_played() {
    let list = text(media::find("ts-aac").unwrap().entry);
    let without: String = list
        .lines()
        .map(|line| if line.starts_with("#EXTINF") { "#EXTINF:0,\n".into() } else { format!("{line}\n") })
        .collect();
    let origin = Origin::start().await.unwrap();
    origin.serve("/hls/ts-aac/other.m3u8", playlist(without));
    let samples = read_all(&mut open(&origin, "/hls/ts-aac/other.m3u8", options()).await).await;
    let whole = read_all(&mut open(&origin, "/hls/ts-aac/index.m3u8", options()).await).await;
    assert_eq!(samples.len(), whole.len());
}
