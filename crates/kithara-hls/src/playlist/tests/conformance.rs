//! `docs/hls.md` says what the parser does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::playlist::tags::{ATTRIBUTES, Support, TAGS};

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn word(support: Support) -> &'static str {
    match support {
        Support::Supported => "supported",
        Support::Ignored => "ignored",
        Support::Refused => "refused",
    }
}

/// Names of test functions in a folder's sources.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let tests = source
                .split("#[test]")
                .skip(1)
                .filter_map(|after| after.split_once("fn ")?.1.split_once('('));
            names.extend(tests.map(|(name, _)| name.to_owned()));
        }
    }
}

fn corpus(names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(in_crate("tests/corpus")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "m3u8") {
            names.insert(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
}

/// Tag, attribute (or nothing) and status of every row, and the tests that it names.
fn rows(page: &str) -> Vec<([String; 3], Vec<String>)> {
    let table = page.lines().filter(|line| line.starts_with("| `EXT"));
    let row = |line: &str| {
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect();
        let [tag, attribute, status, _, tests] = cells.try_into().unwrap();
        ([tag, attribute, status], tests.split(", ").map(str::to_owned).collect())
    };
    table.map(row).collect()
}

#[test]
fn the_conformance_table_is_true() {
    let page = std::fs::read_to_string(in_crate("../../docs/hls.md")).unwrap();
    let rows = rows(&page);
    let mut expected = BTreeSet::new();
    for info in TAGS {
        expected.insert([info.name.to_owned(), String::new(), word(info.support).to_owned()]);
    }
    for (tag, attributes) in ATTRIBUTES {
        for (attribute, support) in *attributes {
            expected.insert([(*tag).to_owned(), (*attribute).to_owned(), word(*support).to_owned()]);
        }
    }
    let stated: BTreeSet<_> = rows.iter().map(|(row, _)| row.clone()).collect();
    assert_eq!(stated.len(), rows.len(), "a row stands twice");
    let missing: Vec<_> = expected.difference(&stated).collect();
    let wrong: Vec<_> = stated.difference(&expected).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing: {missing:?}\nwrong: {wrong:?}");

    let mut known = BTreeSet::new();
    corpus(&mut known);
    functions(&in_crate("src"), &mut known);
    functions(&in_crate("tests/playlists"), &mut known);
    for (row, tests) in rows {
        assert!(!tests.is_empty(), "{row:?} names no test");
        for test in tests {
            assert!(known.contains(&test), "{row:?} names {test}, which is neither a test nor a playlist");
        }
    }
}

/// What the table calls supported is asked for by name somewhere in the parser, and what it calls ignored is not.
#[test]
fn the_parser_reads_the_attributes_that_the_table_says() {
    let sources = ["key.rs", "master_builder.rs", "media_builder.rs", "parser.rs", "variables.rs"];
    let source: String = sources
        .iter()
        .map(|file| std::fs::read_to_string(in_crate("src/playlist").join(file)).unwrap())
        .collect();
    for (tag, attributes) in ATTRIBUTES {
        for (attribute, support) in *attributes {
            let is_read = source.contains(&format!("\"{attribute}\""));
            // A name may be read for another tag; it is then no proof against this one.
            let elsewhere = ATTRIBUTES.iter().any(|(other, list)| {
                other != tag
                    && list.iter().any(|(name, support)| name == attribute && *support == Support::Supported)
            });
            match support {
                Support::Supported => assert!(is_read, "{tag}: {attribute} is not read"),
                _ => assert!(!is_read || elsewhere, "{tag}: {attribute} is read"),
            }
        }
    }
}
