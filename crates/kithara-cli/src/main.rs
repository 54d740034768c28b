//! `kithara`: decodes audio URLs to PCM, and computes what the bitrate decisions do over a network trace.
//!
//! Exit status: 0, 1 (one line `error: …` on standard error, with its causes), 2 (usage), 130 and 143 (interrupted).

mod abr;
mod args;
mod decode;
mod interrupt;
mod output;
mod pace;
mod plot;
mod recording;
mod report;
mod stream;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::decode::Ended;

/// How long an interrupted run waits for what it cannot cancel (the look-up of a name).
const LAST_WAIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into()),
        )
        .with_writer(std::io::stderr)
        // It would panic where standard error cannot be written.
        .log_internal_errors(false)
        .init();
    // One thread is enough: decoding happens where the PCM is pulled, and files decode in a thread of their own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let args = match cli.command {
        Command::Decode(args) => args,
        Command::Abr(args) => {
            return match abr::run(&args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&*error),
            };
        }
    };
    let interrupt = interrupt::watch();
    let folder = stream::temporary_folder(&args);
    let ended = runtime.block_on(decode::run(&args, folder.as_ref().map(tempfile::TempDir::path), interrupt));
    // The last task lets go of the cache with the runtime: only then is it removed for good.
    match ended {
        Ok(Ended::Interrupted(_)) => runtime.shutdown_timeout(LAST_WAIT),
        _ => drop(runtime),
    }
    drop(folder);
    match ended {
        Ok(Ended::Whole) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted(status)) => ExitCode::from(status),
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    complain("error", error);
    ExitCode::FAILURE
}

/// One line on standard error, if there is one.
fn complain(kind: &str, error: &(dyn std::error::Error + 'static)) {
    let _ = writeln!(std::io::stderr(), "{kind}: {}", one_line(error));
}

/// An error with its causes.
fn one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // A transparent wrapper says the same as what it wraps.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line.replace(['\n', '\r'], " ")
}
