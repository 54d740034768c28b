//! `kithara`: decodes audio URLs to PCM.
//!
//! Exit status: 0, 1 (one line `error: …` on standard error, with its causes), 2 (usage).

mod args;
mod decode;
mod output;
mod pace;
mod report;
mod stream;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    // One thread is enough: decoding happens where the PCM is pulled, and files decode in a thread of their own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let Command::Decode(args) = cli.command;
    let folder = stream::temporary_folder(&args);
    let ended = runtime.block_on(decode::run(&args, folder.as_ref().map(tempfile::TempDir::path)));
    // The last task lets go of the cache with the runtime: only then is it removed for good.
    drop(runtime);
    drop(folder);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn fail(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    eprintln!("error: {}", one_line(error));
    ExitCode::FAILURE
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
