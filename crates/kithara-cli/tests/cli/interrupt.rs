#![cfg(unix)]
//! Ctrl-C, and who ends the tool from outside.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use kithara_testkit::Origin;

use crate::tool::{PATIENCE, decode, path_of};

fn send(signal: &str, child: &Child) {
    // It may have ended already.
    let _ = Command::new("kill").arg(signal).arg(child.id().to_string()).output().unwrap();
}

/// The exit status; a process that a signal killed has none.
fn status(mut child: Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Until more than so many bytes were written.
fn written(path: &Path, bytes: u64) {
    let begun = Instant::now();
    while std::fs::metadata(path).map_or(0, |file| file.len()) <= bytes {
        assert!(begun.elapsed() < PATIENCE, "nothing is written");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_was_decoded_is_a_whole_wav_and_nothing_else_is_left() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let wav = folder.path().join("a.wav");
    for (signal, expected) in [("-INT", 130), ("-TERM", 143)] {
        // The last segment never comes: the run is in the middle until it is ended.
        let _held = origin.expect("/hls/ts-aac/seg2.ts");
        let child = decode(origin.url(&path_of("ts-aac")))
            .args("--output")
            .args(&wav)
            .env("TMPDIR", temporary.path())
            .spawn();
        written(&wav, 100_000);
        assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_some(), "the cache is elsewhere");
        send(signal, &child);
        assert_eq!(status(child), Some(expected), "{signal}");
        assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_none(), "{signal} leaves a cache");
        let bytes = std::fs::read(&wav).unwrap();
        let stated = u32::from_le_bytes(bytes[40..44].try_into().unwrap());
        assert_eq!(usize::try_from(stated).unwrap(), bytes.len() - 44, "{signal}");
        std::fs::remove_file(&wav).unwrap();
    }
}

#[test]
fn a_pipe_that_nobody_reads_does_not_keep_it() {
    let origin = Origin::start_blocking().unwrap();
    let path = path_of("pcm16.wav");
    let (_reader, mut full) = std::io::pipe().unwrap();
    full.write_all(&[0; 64 * 1024]).unwrap();
    let child = decode(origin.url(&path)).with("--output - --no-cache").stdout(full).spawn();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(origin.wait_for_request(&path));
    send("-TERM", &child);
    send("-TERM", &child);
    assert_eq!(status(child), Some(143));
}
