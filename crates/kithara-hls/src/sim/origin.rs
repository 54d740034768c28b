//! The model origin: its lists as text, and what becomes of a request.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use url::Url;

use super::scenario::{Fault, FaultKind, ListFault, ListFaultKind, Scenario, Until};
use crate::playlist;
use crate::playlists::LoadedPlaylist;
use crate::segment::SegmentPlan;

/// What a list is answered with.
pub(super) enum ListAnswer {
    Loaded(Box<LoadedPlaylist>),
    Status(u16),
}

#[derive(Debug, Default)]
pub(super) struct Origin {
    loads: HashMap<usize, usize>,
    requests: HashMap<(usize, usize), u32>,
}

pub(super) fn root() -> Url {
    // A constant that parses.
    Url::parse("http://sim/master.m3u8").unwrap_or_else(|_| unreachable!("a constant URL"))
}

/// The master playlist of a scenario.
pub(super) fn master(scenario: &Scenario) -> LoadedPlaylist {
    let mut text = String::from("#EXTM3U\n");
    for (index, variant) in scenario.variants.iter().enumerate() {
        let bandwidth = variant.bandwidth;
        let _ = writeln!(text, "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS=\"mp4a.40.2\"\nv{index}.m3u8");
    }
    parse(&text)
}

fn parse(text: &str) -> LoadedPlaylist {
    let from = root();
    match playlist::parse(text.as_bytes(), &from) {
        Ok(playlist) => LoadedPlaylist { playlist, from },
        Err(error) => unreachable!("the model's own list: {error}"),
    }
}

impl Origin {
    /// The list of a variant as it is at `now`.
    pub(super) fn list(&mut self, scenario: &Scenario, variant: usize, now: Duration) -> ListAnswer {
        let loads = self.loads.entry(variant).or_default();
        *loads += 1;
        let mut at = now;
        let mut behind = 0;
        for ListFault { variant: of, kind, from, until } in &scenario.list_faults {
            if of.is_some_and(|of| of != variant) || now < *from || now >= *until {
                continue;
            }
            match kind {
                ListFaultKind::Status(status) => return ListAnswer::Status(*status),
                ListFaultKind::Freeze => at = *from,
                ListFaultKind::Cut => {
                    let loaded = parse("#EXTM3U\n#EXT-X-TARGETDURATION:4\n");
                    return ListAnswer::Loaded(Box::new(loaded));
                }
                ListFaultKind::Behind(segments) if loads.is_multiple_of(2) => behind = *segments,
                ListFaultKind::Behind(_) => {}
            }
        }
        ListAnswer::Loaded(Box::new(parse(&text(scenario, variant, at, behind))))
    }

    /// The fault that meets a request for a segment, counting it.
    pub(super) fn request(
        &mut self,
        scenario: &Scenario,
        variant: usize,
        segment: usize,
        now: Duration,
    ) -> Option<FaultKind> {
        let count = self.requests.entry((variant, segment)).or_default();
        *count += 1;
        if let Some(live) = &scenario.live
            && now < published(scenario, variant, segment) + live.lag
        {
            return Some(FaultKind::Status(404));
        }
        let meets = |fault: &&Fault| {
            fault.segment == segment
                && fault.variant.is_none_or(|of| of == variant)
                && match fault.until {
                    Until::Time(until) => now < until,
                    Until::Requests(most) => *count <= most,
                    Until::Never => true,
                }
        };
        scenario.faults.iter().find(meets).map(|fault| fault.kind)
    }
}

/// When a segment is listed.
pub(super) fn published(scenario: &Scenario, variant: usize, segment: usize) -> Duration {
    let model = &scenario.variants[variant];
    let Some(live) = scenario.live.filter(|live| segment >= live.listed) else { return Duration::ZERO };
    model.start_of(segment + 1).saturating_sub(model.start_of(live.listed))
}

/// The segment at the origin that a plan names.
pub(super) fn segment_of(plan: &SegmentPlan) -> Option<usize> {
    plan.url.path().rsplit_once('-')?.1.strip_suffix(".ts")?.parse().ok()
}

fn text(scenario: &Scenario, variant: usize, at: Duration, behind: usize) -> String {
    let model = &scenario.variants[variant];
    let longest = model.segments.iter().map(|segment| segment.duration).max().unwrap_or_default();
    let target = scenario.live.and_then(|live| live.target);
    let target = target.unwrap_or_else(|| longest.as_secs_f64().ceil() as u64);
    let mut text = format!("#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n");
    let count = model.segments.len();
    let is_listed = |segment: &usize| published(scenario, variant, *segment) <= at;
    let end = match scenario.live {
        Some(live) => (live.listed.min(count)..count)
            .take_while(is_listed)
            .last()
            .map_or(live.listed.min(count), |last| last + 1),
        None => count,
    };
    let is_over = end == count && scenario.live.is_none_or(|live| live.ends);
    let end = if is_over { end } else { end.saturating_sub(behind).max(1) };
    let mut first = scenario.live.map_or(0, |live| end.saturating_sub(live.window));
    // The restart that is the last one before now: what was listed before is gone.
    let restart = scenario.restarts.iter().enumerate().rev().find(|(_, when)| **when <= at);
    let mut number = model.first_number;
    let mut epoch = 0;
    if let Some((index, when)) = restart {
        let before = (0..count).take_while(|segment| published(scenario, variant, *segment) <= *when).count();
        let before = before.min(end.saturating_sub(1));
        epoch = index + 1;
        first = first.max(before);
        number = 0;
        let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", number + (first - before) as u64);
    } else {
        let _ = writeln!(text, "#EXT-X-MEDIA-SEQUENCE:{}", number + first as u64);
    }
    for segment in first..end {
        if scenario.live.is_some_and(|live| live.is_dated) {
            let seconds = model.start_of(segment).as_secs_f64();
            let (minutes, seconds) = ((seconds / 60.0) as u64, seconds % 60.0);
            let _ = writeln!(
                text,
                "#EXT-X-PROGRAM-DATE-TIME:2024-01-01T{:02}:{:02}:{seconds:06.3}Z",
                minutes / 60,
                minutes % 60
            );
        }
        let seconds = model.segments[segment].duration.as_secs_f64();
        let _ = writeln!(text, "#EXTINF:{seconds:.6},\nv{variant}/e{epoch}-{segment}.ts");
    }
    if is_over {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}
