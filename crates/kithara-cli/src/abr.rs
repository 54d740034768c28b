//! `kithara abr`: a session over a network trace, computed.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use kithara::hls::abr::model::{self, Outcome, Period, Segments, Setup, Trace, synthetic};
use serde::{Deserialize, Serialize};

use crate::args::AbrArgs;
use crate::decode::context;
use crate::plot::Plot;

type Failure = Box<dyn Error + Send + Sync>;

/// A file larger than this is no trace.
const MAX_FILE: u64 = 64 << 20;

/// Segments of a session where neither a flag nor a file tells.
const DEFAULT_SEGMENTS: usize = 37;

/// An entry of a trace file.
#[derive(Debug, Deserialize)]
struct TraceEntry {
    duration_ms: f64,
    bandwidth_kbps: f64,
    latency_ms: f64,
}

/// A file of segment sizes.
#[derive(Debug, Deserialize)]
struct SizesFile {
    segment_duration_ms: f64,
    bitrates_kbps: Vec<f64>,
    segment_sizes_bits: Vec<Vec<f64>>,
}

/// The figures of a session. The names are read by scripts: they stay.
#[derive(Debug, Serialize)]
struct Figures {
    rebuffer_ratio: f64,
    rebuffer_events: u32,
    startup_s: f64,
    avg_kbps: f64,
    change_kbps_per_segment: f64,
    switches: u32,
    score: f64,
}

impl From<&Outcome> for Figures {
    fn from(outcome: &Outcome) -> Self {
        Self {
            rebuffer_ratio: outcome.rebuffer_ratio,
            rebuffer_events: outcome.rebuffer_events,
            startup_s: outcome.startup_s,
            avg_kbps: outcome.avg_kbps,
            change_kbps_per_segment: outcome.change_kbps_per_segment,
            switches: outcome.switches,
            score: outcome.score,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &AbrArgs) -> Result<(), Failure> {
    let trace = trace(&args.trace)?.scaled(args.multiplier)?;
    let segments = segments(args)?;
    let setup = Setup { trace: &trace, segments: &segments, max_buffer: args.max_buffer.as_secs_f64() };
    let outcome = model::play(&setup, &mut *args.policy.build());
    if let Some(path) = &args.plot {
        let svg = plot(args, &setup, &outcome).svg();
        std::fs::write(path, svg).map_err(|error| context("cannot write the plot", error))?;
    }
    let figures = Figures::from(&outcome);
    let text = if args.json { serde_json::to_string(&figures)? } else { table(&figures) };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| context("cannot write the figures", error))
}

fn trace(source: &str) -> Result<Trace, Failure> {
    if let Some(name) = source.strip_prefix("synthetic:") {
        let unknown = || format!("no synthetic trace `{name}`; there are {}", synthetic::NAMES.join(", "));
        return Ok(synthetic::named(name).ok_or_else(unknown)??);
    }
    let entries: Vec<TraceEntry> = read(Path::new(source), "cannot read the trace")?;
    let period =
        |entry: &TraceEntry| Period::from_units(entry.duration_ms, entry.bandwidth_kbps, entry.latency_ms);
    Ok(Trace::new(entries.iter().map(period).collect())?)
}

fn segments(args: &AbrArgs) -> Result<Segments, Failure> {
    let Some(path) = &args.sizes else {
        let ladder: Vec<f64> = args.ladder.iter().map(|kbps| kbps * 1e3).collect();
        return Ok(Segments::constant(&ladder, args.segment, args.segments.unwrap_or(DEFAULT_SEGMENTS))?);
    };
    let file: SizesFile = read(path, "cannot read the segment sizes")?;
    let ladder: Vec<f64> = file.bitrates_kbps.iter().map(|kbps| kbps * 1e3).collect();
    let segment = Duration::try_from_secs_f64(file.segment_duration_ms / 1e3)
        .map_err(|error| context("the segment sizes have no usable `segment_duration_ms`", error))?;
    Ok(Segments::with_sizes(&ladder, segment, &file.segment_sizes_bits, args.segments)?)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, doing: &'static str) -> Result<T, Failure> {
    let len = std::fs::metadata(path).map_err(|error| context(doing, error))?.len();
    if len > MAX_FILE {
        return Err(context(doing, format!("{} has more than {MAX_FILE} bytes", path.display())));
    }
    let text = std::fs::read(path).map_err(|error| context(doing, error))?;
    serde_json::from_slice(&text).map_err(|error| context(doing, error))
}

fn table(figures: &Figures) -> String {
    let mut text = String::new();
    let rows = [
        ("time without audio", format!("{:.2} %", figures.rebuffer_ratio * 100.0)),
        ("interruptions", figures.rebuffer_events.to_string()),
        ("start", format!("{:.2} s", figures.startup_s)),
        ("bitrate", format!("{:.0} kbit/s", figures.avg_kbps)),
        ("change per segment", format!("{:.1} kbit/s", figures.change_kbps_per_segment)),
        ("switches", figures.switches.to_string()),
        ("score", format!("{:.3}", figures.score)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<20}{value:>14}");
    }
    text.trim_end().to_owned()
}

fn plot(args: &AbrArgs, setup: &Setup<'_>, outcome: &Outcome) -> Plot {
    let ladder: Vec<f64> = setup.segments.ladder().iter().map(|bits| bits / 1e3).collect();
    let last = outcome.played.last().map_or(0.0, |played| played.at);
    let seconds = last + setup.segments.seconds();
    let kbps = |line: &[(f64, f64)]| line.iter().map(|(at, bits)| (*at, bits / 1e3)).collect();
    Plot {
        title: format!("{} over {}", args.policy.build().name(), args.trace),
        seconds,
        link: link(setup.trace, seconds),
        estimate: kbps(&outcome.estimates),
        variant: outcome.played.iter().map(|played| (played.at, ladder[played.variant])).collect(),
        ladder: ladder.clone(),
        buffer: outcome.buffer.clone(),
        stalls: outcome.stalls.iter().map(|stall| (stall.at, stall.seconds)).collect(),
    }
}

/// The trace from the start to `seconds`, repeated as the session repeats it.
fn link(trace: &Trace, seconds: f64) -> Vec<(f64, f64)> {
    let (mut at, mut line) = (0.0, Vec::new());
    for period in trace.periods().iter().cycle().take(100_000) {
        if at > seconds {
            break;
        }
        line.push((at, period.bandwidth / 1e3));
        at += period.seconds;
    }
    line
}
