use std::path::Path;

use kithara_testkit::Origin;
use serde_json::Value;

use crate::tool::{Tool, decode, fixture, path_of};

const SOURCES: [&str; 4] = ["aac4/128k", "ts-aac", "vbr.mp3", "tail.m4a"];

fn cached(origin: &Origin, name: &str, folder: &Path) -> Tool {
    decode(origin.url(&path_of(name))).args("--cache").args(folder)
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_second_run_needs_no_network() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in SOURCES {
        let first = cached(&origin, name, folder.path()).report();
        assert_eq!(
            (&first["cache_hits"], first["frames"].as_u64()),
            (&0.into(), Some(fixture(name).frames)),
            "{name}"
        );
        origin.forget();
        for flags in ["", "--offline", "--offline --start 2 --duration 1"] {
            let again = cached(&origin, name, folder.path()).with(flags).report();
            assert_eq!(
                (&again["requests"], &again["bytes_downloaded"]),
                (&0.into(), &0.into()),
                "{name} {flags}"
            );
            assert!(again["cache_hits"].as_u64().unwrap() > 0, "{name} {flags}: {again}");
            if !flags.contains("start") {
                assert_eq!(again["frames"], first["frames"], "{name}");
            }
        }
        assert_eq!(origin.counters().requests, 0, "{name}");
    }
}

#[test]
fn the_ladder_is_cached_too() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = || decode(origin.url("/hls/aac4/master.m3u8")).args("--cache").args(folder.path()).report();
    run();
    let again = run();
    assert_eq!(again["requests"], 0, "{again}");
}

#[test]
fn offline_plays_what_is_there_and_nothing_else() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in SOURCES {
        for tool in
            [cached(&origin, name, folder.path()), decode(origin.url(&path_of(name))).with("--no-cache")]
        {
            let outcome = tool.with("--offline").run();
            assert!(
                outcome.error().contains("not be used") || outcome.error().contains("offline"),
                "{outcome:?}"
            );
        }
    }
    assert_eq!(origin.counters().requests, 0);
}

#[test]
fn nothing_is_left_behind_that_was_not_asked_for() {
    let origin = Origin::start_blocking().unwrap();
    let temporary = tempfile::tempdir().unwrap();
    for flags in ["", "--no-cache"] {
        for name in ["ts-aac", "vbr.mp3"] {
            let report =
                decode(origin.url(&path_of(name))).with(flags).env("TMPDIR", temporary.path()).report();
            assert_eq!(report["frames"], fixture(name).frames);
            assert!(is_empty(temporary.path()), "{name} {flags}");
        }
        decode(origin.url("/none.mp3")).with(flags).env("TMPDIR", temporary.path()).run().error();
        assert!(is_empty(temporary.path()), "after an error {flags}");
    }
}

#[test]
fn what_the_cache_could_not_keep_is_told() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["ts-aac", "vbr.mp3"] {
        cached(&origin, name, folder.path()).report();
        // Something stands in the way of what is to be kept.
        let assets = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let asset = assets.into_iter().find(|path| !path.ends_with("_index") && path.is_dir()).unwrap();
        std::fs::remove_dir_all(&asset).unwrap();
        std::fs::write(&asset, "in the way").unwrap();
        let outcome = cached(&origin, name, folder.path()).with("--json").run().good();
        let warning = outcome.stderr.strip_suffix('\n').unwrap();
        assert!(warning.starts_with("warning: not all is kept in the cache: "), "{name}: {warning}");
        assert!(!warning.contains('\n'), "{warning}");
        let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
        assert_eq!(report["frames"], fixture(name).frames);
    }
}

#[test]
fn no_folder_is_needed_to_play() {
    let origin = Origin::start_blocking().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "in the way").unwrap();
    for name in ["ts-aac", "vbr.mp3"] {
        let outcome = cached(&origin, name, &in_the_way).with("--json").run().good();
        assert!(outcome.stderr.starts_with("warning: nothing is kept in the cache: "), "{}", outcome.stderr);
        let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
        assert_eq!(report["frames"], fixture(name).frames);
        // No temporary folder either.
        let report = decode(origin.url(&path_of(name))).env("TMPDIR", &in_the_way).report();
        assert_eq!(report["frames"], fixture(name).frames);
    }
    assert_eq!(std::fs::read(in_the_way).unwrap(), b"in the way");
}
