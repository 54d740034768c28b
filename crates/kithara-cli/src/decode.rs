//! `kithara decode`.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use kithara::decode::PcmChunk;
use kithara_testkit::process;
use tokio::sync::oneshot::Receiver;
use tokio::task::coop::consume_budget;

use crate::args::DecodeArgs;
use crate::output::Output;
use crate::pace::Pacer;
use crate::report::Report;
use crate::stream::{AudioStream, Session};

type Failure = Box<dyn Error + Send + Sync>;

/// PCM that is decoded at each target of `--seek`.
const SEEK_SPAN: Duration = Duration::from_secs(1);

/// How a run ended that did not fail.
#[derive(Debug)]
pub(crate) enum Ended {
    /// All that was asked for was decoded and written.
    Whole,
    /// Somebody ended it; the exit status that this has.
    Interrupted(u8),
}

/// Runs the command, until `interrupt` names the exit status of a signal.
///
/// `folder` is where the cache goes if no other folder was asked for; without one it is kept in memory.
pub(crate) async fn run(
    args: &DecodeArgs,
    folder: Option<&Path>,
    interrupt: Receiver<u8>,
) -> Result<Ended, Failure> {
    let mut output = Output::open(args.output.as_deref(), args.format)
        .map_err(|error| context("cannot write the output", error))?;
    let session = Session::prepare(args, folder).await?;
    let ended = tokio::select! {
        ended = Box::pin(session_run(&session, args, &mut output)) => ended.map(|()| Ended::Whole),
        Ok(status) = interrupt => Ok(Ended::Interrupted(status)),
    };
    if !matches!(ended, Ok(Ended::Whole)) {
        output.cut_short();
    }
    session.close(args).await;
    ended
}

async fn session_run(session: &Session, args: &DecodeArgs, output: &mut Output) -> Result<(), Failure> {
    let begun = Instant::now();
    let stream = session.open(args).await?;
    let mut run = Run {
        bar: progress(args, &stream),
        pacer: Pacer::new(args.realtime),
        stream,
        first_pcm: None,
        begun,
        frames: 0,
        skip: 0,
    };
    if args.seek.is_empty() {
        run.play(args, output).await?;
    } else {
        for target in &args.seek {
            run.seek_and_play(*target, SEEK_SPAN, output).await?;
        }
    }
    run.bar.finish_and_clear();
    let spec = run.stream.spec();
    output.finish(spec).map_err(|error| context("cannot write the output", error))?;

    if let Some(path) = &args.plot {
        run.draw(args, path)?;
    }
    if args.json {
        let line = serde_json::to_string(&run.report(session))?;
        let written = if args.writes_stdout() {
            writeln!(std::io::stderr(), "{line}")
        } else {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush())
        };
        written.map_err(|error| context("cannot write the report", error))?;
    }
    Ok(())
}

struct Run {
    stream: AudioStream,
    pacer: Pacer,
    bar: ProgressBar,
    begun: Instant,
    first_pcm: Option<Duration>,
    frames: u64,
    /// Frames that lie before the place that was asked for.
    skip: u64,
}

impl Run {
    async fn play(&mut self, args: &DecodeArgs, output: &mut Output) -> Result<(), Failure> {
        if let Some(start) = args.start {
            self.seek(start).await?;
        }
        let limit = args.duration.map_or(u64::MAX, |span| self.stream.spec().frame_at(span));
        self.take(limit, output).await
    }

    async fn seek_and_play(
        &mut self,
        to: Duration,
        span: Duration,
        output: &mut Output,
    ) -> Result<(), Failure> {
        self.seek(to).await?;
        self.pacer.restart();
        self.take(self.stream.spec().frame_at(span), output).await
    }

    /// A stream seeks no further than to the end that its playlist or header states. The sound may go on behind that;
    /// what comes before the place that was asked for is not given out.
    async fn seek(&mut self, to: Duration) -> Result<(), Failure> {
        let landed = self.stream.seek(to).await?;
        self.skip = self.stream.spec().frame_at(to).saturating_sub(landed);
        Ok(())
    }

    /// Writes up to `limit` frames.
    async fn take(&mut self, limit: u64, output: &mut Output) -> Result<(), Failure> {
        let mut left = limit;
        while left > 0 {
            let Some(chunk) = self.stream.next_chunk().await? else { break };
            // What comes from the cache never waits: an interrupt must get its turn all the same.
            consume_budget().await;
            let skipped = self.skip.min(chunk.frames() as u64);
            self.skip -= skipped;
            let frames = left.min(chunk.frames() as u64 - skipped);
            if frames == 0 {
                continue;
            }
            self.first_pcm.get_or_insert_with(|| self.begun.elapsed());
            self.write(&chunk, skipped, frames, output)?;
            left -= frames;
            self.frames += frames;
            self.bar.set_position(chunk.time().as_secs());
            self.pacer.arrived(chunk.spec().position_of(frames)).await;
        }
        Ok(())
    }

    fn write(&self, chunk: &PcmChunk, from: u64, frames: u64, output: &mut Output) -> Result<(), Failure> {
        let spec = chunk.spec();
        let sample = |frame: u64| usize::try_from(frame).map(|frame| frame * usize::from(spec.channels));
        output
            .write(spec, &chunk.samples()[sample(from)?..sample(from + frames)?])
            .map_err(|error| context("cannot write the output", error))
    }

    fn draw(&mut self, args: &DecodeArgs, path: &Path) -> Result<(), Failure> {
        let title = format!("{} in playback", args.policy.build().name());
        let Some(mut plot) = self.stream.plot(title) else {
            return Err("only an HLS presentation can be plotted".into());
        };
        let begun = tokio::time::Instant::from_std(self.begun);
        plot.stalls = self
            .pacer
            .waits
            .iter()
            .map(|(ended, wait)| {
                let ended = ended.saturating_duration_since(begun).as_secs_f64();
                (ended - wait.as_secs_f64(), wait.as_secs_f64())
            })
            .collect();
        std::fs::write(path, plot.svg()).map_err(|error| context("cannot write the plot", error))
    }

    fn report(&mut self, session: &Session) -> Report {
        let spec = self.stream.spec();
        Report {
            kind: self.stream.kind(),
            container: self.stream.container(),
            codec: self.stream.codec(),
            sample_rate: spec.sample_rate,
            channels: spec.channels,
            layout: spec.layout.to_string(),
            duration_s: self.stream.duration().map(|duration| duration.as_secs_f64()),
            frames: self.frames,
            first_pcm_s: self.first_pcm.map(|first| first.as_secs_f64()),
            wall_s: self.begun.elapsed().as_secs_f64(),
            cpu_s: process::cpu_time().unwrap_or_default().as_secs_f64(),
            peak_rss_bytes: process::peak_rss().unwrap_or_default(),
            requests: session.transfers().requests(),
            bytes_downloaded: session.transfers().network_bytes(),
            cache_hits: self.stream.cache_hits(),
            variants: self.stream.variants(),
            switches: self.stream.switches(),
            stalls: self.pacer.stalls,
            stall_s: self.pacer.stalled.as_secs_f64(),
        }
    }
}

/// A bar over the seconds of audio, where a person looks and it cannot mix with PCM.
fn progress(args: &DecodeArgs, stream: &AudioStream) -> ProgressBar {
    if !std::io::stderr().is_terminal() || !args.seek.is_empty() {
        return ProgressBar::hidden();
    }
    let bar = match stream.duration() {
        Some(duration) => ProgressBar::new(duration.as_secs()),
        None => ProgressBar::new_spinner(),
    };
    match ProgressStyle::with_template("{bar:40} {pos}/{len} s of audio") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// An error with what was being done.
pub(crate) fn context(doing: &'static str, source: impl Into<Failure>) -> Failure {
    #[derive(Debug)]
    struct Context(&'static str, Failure);
    impl std::fmt::Display for Context {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Context {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.1)
        }
    }
    Box::new(Context(doing, source.into()))
}
