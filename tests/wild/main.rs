//! HLS media as it is in the wild.
//!
//! Two kinds of presentations. `habits` plays what packagers write (ffmpeg under flags that change its habits), committed
//! with ffmpeg's decode of each. All others put the *same* coded frames of a fixture into another packaging, by hand where
//! no tool writes it: whatever stands around the frames, the PCM must be the fixture's reference, frame for frame, which is
//! ffmpeg's decode of those frames. Each is played through, and then sought in.
//!
//! Whether ffmpeg makes the same of a packaging is checked by `KITHARA_WILD_DUMP=DIR cargo test --test wild` and then
//! `tests/wild/ffmpeg.py DIR`; where it does not, the test says so and what the specification says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod field;
mod fmp4;
mod habits;
mod keys;
mod packed;
mod playlist;
mod proof;
#[path = "../support/mod.rs"]
mod support;
mod ts;
mod units;

/// The table in `docs/hls.md` names tests that exist, and every test of a presentation.
#[test]
fn the_table_of_segments_and_keys_is_true() {
    let page = include_str!("../../docs/hls.md");
    let (_, rest) = page.split_once("## Segments and keys").unwrap();
    let (table, _) = rest.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| What "));
    let named: Vec<_> = rows
        .flat_map(|row| row.rsplit('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let sources = [
        include_str!("field.rs"),
        include_str!("fmp4.rs"),
        include_str!("habits.rs"),
        include_str!("keys.rs"),
        include_str!("packed.rs"),
        include_str!("playlist.rs"),
        include_str!("ts.rs"),
    ];
    let sources = sources.concat();
    let functions = sources.lines().filter_map(|line| {
        let name = match line.strip_prefix("async fn ") {
            Some(name) => name.split('(').next(),
            // The list of habits.
            None => line.split_once(": \"wild-").map(|(name, _)| name.trim()),
        };
        name.filter(|name| !name.contains(' '))
    });
    let functions: Vec<_> = functions.collect();
    for name in &named {
        assert!(functions.contains(name), "no test {name}");
    }
    for name in functions {
        assert!(named.contains(&name), "{name} is not in the table");
    }
}
